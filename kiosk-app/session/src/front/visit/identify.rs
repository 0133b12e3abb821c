//! Identification: a card is read or a code accepted, and the platform says who the resident is.

use contract::{
    CardAuthRequest, CardChallenge, CardEvidence, Entry, IdCardEvidence, IdentificationMethod,
    IdentifyRequest, PresentedCredential, ProblemCode, Pseudonym,
};

use crate::code_verification::LocallyVerifiedCode;
use crate::components::Components;
use crate::evidence::{is_within_validity, limit_to_observed};
use crate::front::visit::data::{IdentifiedResident, VisitData};
use crate::refusal::{VisitRefusal, refusal_for_failure};
use crate::time::MonotonicMs;
use crate::transition::{Effect, Turn};
use crate::work::{CardWork, Failure, PendingWork, PlatformWork, WorkAnswer};

/// A card is being read, or its holder identified.
pub(crate) enum Identify {
    /// The card is being read; with work while the platform is asked to authenticate the card.
    Reading { authority: Option<PendingWork>, deadline: MonotonicMs },
    /// The platform is being asked who the resident is.
    Asking(PendingWork),
}

/// How identification goes on.
pub(crate) enum IdentifyFlow {
    Stay,
    /// The resident is known.
    Identified,
    Refuse(VisitRefusal),
}

impl Identify {
    pub(crate) const fn reading(deadline: MonotonicMs) -> Self {
        Self::Reading { authority: None, deadline }
    }

    /// Asks the platform who the holder of this credential is.
    pub(crate) fn ask(
        components: &Components,
        turn: &mut Turn<'_>,
        data: &VisitData,
        presented: PresentedCredential,
    ) -> Self {
        let request = PlatformWork::Identify(IdentifyRequest { visit: data.id, presented });
        Self::Asking(components.start_platform_work(turn, request))
    }

    pub(crate) const fn pending(&self) -> Option<PendingWork> {
        match self {
            Self::Reading { authority, .. } => *authority,
            Self::Asking(work) => Some(*work),
        }
    }

    /// When the card must have been read or the platform must have answered.
    pub(crate) const fn deadline(&self) -> MonotonicMs {
        match self {
            Self::Reading { deadline, .. } => *deadline,
            Self::Asking(work) => work.deadline,
        }
    }

    pub(crate) const fn is_reading(&self) -> bool {
        matches!(self, Self::Reading { .. })
    }

    pub(crate) fn on_card_read(
        &mut self,
        components: &Components,
        turn: &mut Turn<'_>,
        data: &mut VisitData,
        (evidence, valid_to): (CardEvidence, Option<&str>),
    ) -> IdentifyFlow {
        let Self::Reading { authority, .. } = self else { return IdentifyFlow::Stay };
        if !is_within_validity(components, turn.now, valid_to) {
            return IdentifyFlow::Refuse(VisitRefusal::CardExpired);
        }
        if let Some(work) = authority {
            // The card was read without waiting for its authentication.
            turn.effect(Effect::CancelWork(work.ticket));
        }
        data.card_authenticated = evidence.authenticated;
        *self = Self::ask(components, turn, data, PresentedCredential::Card(evidence));
        IdentifyFlow::Stay
    }

    pub(crate) fn on_id_card_read(
        &mut self,
        components: &Components,
        turn: &mut Turn<'_>,
        data: &VisitData,
        (evidence, valid_to): (IdCardEvidence, Option<&str>),
    ) -> IdentifyFlow {
        if !self.is_reading() {
            return IdentifyFlow::Stay;
        }
        if !is_within_validity(components, turn.now, valid_to) {
            return IdentifyFlow::Refuse(VisitRefusal::IdCardExpired);
        }
        *self = Self::ask(components, turn, data, PresentedCredential::IdCard(evidence));
        IdentifyFlow::Stay
    }

    /// Requests the authentication of the card that is being read; reading waits for it.
    pub(crate) fn request_card_authentication(
        &mut self,
        components: &Components,
        turn: &mut Turn<'_>,
        data: &VisitData,
        card: CardChallenge,
    ) {
        if let Self::Reading { authority: authority @ None, deadline } = self {
            let request = PlatformWork::RequestCardAuthentication(CardAuthRequest { visit: data.id, card });
            let work = components.start_platform_work(turn, request);
            (*authority, *deadline) = (Some(work), work.deadline);
        }
    }

    /// Handles the platform's answer.
    pub(crate) fn on_answer(
        &mut self,
        components: &Components,
        turn: &mut Turn<'_>,
        data: &mut VisitData,
        answer: Result<WorkAnswer, Failure>,
    ) -> IdentifyFlow {
        match self {
            Self::Reading { .. } => self.on_card_authority(components, turn, answer),
            Self::Asking(_) => on_identified(turn, data, answer),
        }
    }

    /// Handles the platform's answer about the waiting card: the reading continues.
    fn on_card_authority(
        &mut self,
        components: &Components,
        turn: &mut Turn<'_>,
        answer: Result<WorkAnswer, Failure>,
    ) -> IdentifyFlow {
        let answer = match answer {
            Ok(WorkAnswer::CardAuthority(answer)) => Some(answer),
            Ok(
                WorkAnswer::Identified(_)
                | WorkAnswer::CallAnswered(_)
                | WorkAnswer::Pin(_)
                | WorkAnswer::Evidence(_),
            ) => return IdentifyFlow::Refuse(VisitRefusal::InvalidResponse),
            // The platform does not authenticate this kind of card: it counts as a card that was only read.
            Err(Failure::Problem(ProblemCode::NotOffered)) => None,
            Err(failure) => return IdentifyFlow::Refuse(refusal_for_failure(failure)),
        };
        components.start_card_work(turn, CardWork::Authenticate(answer));
        *self = Self::reading(turn.now.mono.plus_ms(components.setup.time_limits.read_ms));
        IdentifyFlow::Stay
    }

    /// Handles the deadline: the card was not read, or the platform has not answered.
    pub(crate) fn on_deadline(
        &mut self,
        components: &Components,
        turn: &mut Turn<'_>,
        data: &mut VisitData,
    ) -> IdentifyFlow {
        match self.pending() {
            Some(work) => {
                turn.effect(Effect::CancelWork(work.ticket));
                self.on_answer(components, turn, data, Err(Failure::Unreachable))
            }
            None if data.identification_method == IdentificationMethod::IdCard => {
                IdentifyFlow::Refuse(VisitRefusal::IdCardNotRead)
            }
            None => IdentifyFlow::Refuse(VisitRefusal::CardNotResponding),
        }
    }
}

fn on_identified(
    turn: &mut Turn<'_>,
    data: &mut VisitData,
    answer: Result<WorkAnswer, Failure>,
) -> IdentifyFlow {
    let mut identified = match answer {
        Ok(WorkAnswer::Identified(identified)) => identified,
        Ok(
            WorkAnswer::CallAnswered(_)
            | WorkAnswer::Pin(_)
            | WorkAnswer::Evidence(_)
            | WorkAnswer::CardAuthority(_),
        ) => return IdentifyFlow::Refuse(VisitRefusal::InvalidResponse),
        // The link was lost during the request: fall back to the code that the kiosk verified itself.
        Err(Failure::Unreachable) if identify_offline(turn, data) => return IdentifyFlow::Identified,
        Err(failure) => return IdentifyFlow::Refuse(refusal_for_failure(failure)),
    };
    let evidence = limit_to_observed(identified.evidence, data.card_authenticated);
    let resident = IdentifiedResident {
        name: std::mem::take(&mut identified.name).into(),
        id_number: std::mem::take(&mut identified.id_number).into(),
        visit_key: Some(identified.key.clone()),
        pseudonym: identified.resident,
        evidence,
        // The platform's level, limited to what this evidence can prove (I5).
        level: identified.level.min(evidence.max_level()),
    };
    set_resident(turn, data, resident);
    IdentifyFlow::Identified
}

/// Identifies the holder of a code that the kiosk verified, without the platform: no name, level 1.
/// False when the visit has no such code.
pub(crate) fn identify_offline(turn: &mut Turn<'_>, data: &mut VisitData) -> bool {
    let Some(LocallyVerifiedCode { holder, evidence, .. }) = data.verified_code else { return false };
    let resident = IdentifiedResident {
        name: String::new().into(),
        id_number: String::new().into(),
        visit_key: None,
        pseudonym: Pseudonym::from_holder(holder),
        evidence,
        level: evidence.max_level(),
    };
    set_resident(turn, data, resident);
    true
}

/// Records who the resident of the visit is.
fn set_resident(turn: &mut Turn<'_>, data: &mut VisitData, resident: IdentifiedResident) {
    turn.record(Entry::Identified {
        visit: data.id,
        resident: resident.pseudonym,
        method: data.identification_method,
        evidence: resident.evidence,
        level: resident.level,
    });
    data.recorded = true;
    data.resident = Some(resident);
}
