//! Gate mode: verifies codes and cards of people passing through, with a link and without one. No visit and no touch:
//! one large sign shows the verdict and clears automatically.

use contract::{
    AdmissionSubject, CardAuthRequest, CardChallenge, CardEvidence, CardName, CloseReason, Entry, Evidence,
    GATE_NAMES_MAX, IdentifyRequest, PresentedCredential, ProblemCode, VisitId,
};
use view::{Body, GateSign, Lang, Light, TextId, Theme};

use crate::code_verification::{ParsedCode, consume_code};
use crate::components::{Components, Status};
use crate::content::ViewContent;
use crate::event::{CardEvent, DeviceKind, DeviceState};
use crate::evidence::{is_within_validity, limit_to_observed};
use crate::front::idle;
use crate::refusal::{VisitRefusal, refusal_for_card, refusal_for_failure};
use crate::time::MonotonicMs;
use crate::transition::{Effect, Turn};
use crate::work::{CardWork, Failure, PendingWork, PlatformWork, Ticket, WorkAnswer};

/// Within this time, a code of the resident who was just admitted is ignored: the phone is still in front of the
/// reader.
const REPEAT_IGNORED_MS: u64 = 10_000;
/// Limit of the wait for the platform's answer, since a queue waits at the gate.
const GATE_ANSWER_MS_MAX: u64 = 3_000;

/// State of a gate (闸口).
#[derive(Default)]
pub(crate) struct Gate {
    pub(crate) lang: Lang,
    pub(crate) theme: Theme,
    sign: Option<ShownVerdict>,
    pending: Option<PendingRequest>,
    /// The names of the person who was admitted last, and when.
    last_admitted: Option<(Vec<AdmissionSubject>, MonotonicMs)>,
    /// Count of verdicts since the start, so that two equal verdicts in a row are distinct views.
    pub(crate) verdicts: u64,
}

/// The sign on the screen: a verdict and when it clears.
struct ShownVerdict {
    verdict: GateVerdict,
    until: MonotonicMs,
}

/// Verdict of a gate on one code or card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GateVerdict {
    Go,
    Stop(TextId),
}

/// What is due at a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GateDue {
    /// The sign clears.
    Sign,
    /// The platform has not answered in time.
    Answer,
}

/// A pending request to the platform.
struct PendingRequest {
    visit: VisitId,
    work: PendingWork,
    subject: RequestSubject,
}

/// What the pending request asks.
#[derive(Clone, Copy)]
enum RequestSubject {
    /// Who the holder of this code is. A record names the visit, so its end must be recorded too.
    Code,
    /// Who the holder of this card is.
    Card {
        card: Option<CardName>,
        /// The card was authenticated.
        authenticated: bool,
    },
    /// To authenticate the card, which waits in its reader.
    CardAuthentication,
}

impl Gate {
    /// Handles a code that was scanned at a gate.
    pub(crate) fn on_code(&mut self, components: &Components, turn: &mut Turn<'_>, code: &[u8]) {
        if self.pending.is_some() {
            return;
        }
        let parsed = components.status(turn).validate_code(code);
        if parsed.as_ref().is_ok_and(|parsed| self.is_repeat_of_last_admitted(parsed, turn)) {
            return;
        }
        let accepted = match parsed.and_then(|parsed| consume_code(components, turn, parsed)) {
            Ok(accepted) => accepted,
            Err(refusal) => return self.show_stop_sign(components, turn, refusal.texts().0),
        };
        let visit = accepted.visit;
        match accepted.verified {
            Some(verified) => {
                let who = AdmissionSubject::Holder(verified.holder);
                self.admit(components, turn, visit, who, Vec::new(), verified.evidence);
                turn.record(Entry::VisitClosed { visit, reason: CloseReason::Exit });
            }
            None => self.request_identification(
                components,
                turn,
                visit,
                PresentedCredential::Code { text: accepted.text },
                RequestSubject::Code,
            ),
        }
    }

    /// Handles an event at the gate's card reader.
    pub(crate) fn on_card(&mut self, components: &Components, turn: &mut Turn<'_>, event: CardEvent) {
        match event {
            CardEvent::Read { evidence, valid_to }
                if is_within_validity(components, turn.now, valid_to.as_deref()) =>
            {
                self.on_card_read(components, turn, evidence);
            }
            CardEvent::Read { .. } => self.refuse(components, turn, VisitRefusal::CardExpired),
            CardEvent::Refused(refusal) => self.refuse(components, turn, refusal_for_card(refusal)),
            CardEvent::NeedsAuthentication(card) => self.authenticate_card(components, turn, card),
            // A gate has no staff view: staff use the kiosk beside it.
            CardEvent::Staff(_) => self.refuse(components, turn, VisitRefusal::CardUnsupported),
            CardEvent::Inserted | CardEvent::Removed | CardEvent::LeftInSlot => {}
        }
    }

    /// Handles a card that needs authentication and has no PSAM to do it: the platform is asked.
    fn authenticate_card(&mut self, components: &Components, turn: &mut Turn<'_>, card: CardChallenge) {
        if self.pending.is_some() {
            return;
        }
        if components.online {
            let visit = VisitId::from_entropy(turn.next_u128());
            let work = PlatformWork::RequestCardAuthentication(CardAuthRequest { visit, card });
            self.start_gate_request(components, turn, visit, work, RequestSubject::CardAuthentication);
        } else {
            components.start_card_work(turn, CardWork::Authenticate(None));
        }
    }

    /// Handles a card that was tapped or inserted at a gate.
    fn on_card_read(&mut self, components: &Components, turn: &mut Turn<'_>, evidence: CardEvidence) {
        if self.pending.is_some() {
            return;
        }
        let (card, authenticated) = (evidence.card_name(), evidence.authenticated);
        if components.online {
            let visit = VisitId::from_entropy(turn.next_u128());
            self.request_identification(
                components,
                turn,
                visit,
                PresentedCredential::Card(evidence),
                RequestSubject::Card { card, authenticated },
            );
        } else {
            self.admit_card_offline(components, turn, card, authenticated);
        }
    }

    /// Judges a card without the platform: its holder is admitted when the gate's own PSAM authenticated the card and
    /// the card is not revoked.
    fn admit_card_offline(
        &mut self,
        components: &Components,
        turn: &mut Turn<'_>,
        card: Option<CardName>,
        authenticated: bool,
    ) {
        // A card that was only read can be a copy.
        let (Some(card), true) = (card, authenticated) else {
            return self.show_stop_sign(components, turn, TextId::GateCardOffline);
        };
        if !components
            .status(turn)
            .rules_and_time()
            .is_ok_and(|(_, now)| components.code_trust.can_judge_cards(now))
        {
            return self.show_stop_sign(components, turn, TextId::GateCardOffline);
        }
        if components.code_trust.is_card_revoked(card) {
            return self.show_stop_sign(components, turn, VisitRefusal::CardStopped.texts().0);
        }
        let visit = VisitId::from_entropy(turn.next_u128());
        let who = AdmissionSubject::Card(card);
        self.admit(components, turn, visit, who, Vec::new(), Evidence::CardAuthenticated);
    }

    fn refuse(&mut self, components: &Components, turn: &mut Turn<'_>, refusal: VisitRefusal) {
        self.show_stop_sign(components, turn, refusal.texts().0);
    }

    fn request_identification(
        &mut self,
        components: &Components,
        turn: &mut Turn<'_>,
        visit: VisitId,
        presented: PresentedCredential,
        about: RequestSubject,
    ) {
        self.start_gate_request(
            components,
            turn,
            visit,
            PlatformWork::Identify(IdentifyRequest { visit, presented }),
            about,
        );
    }

    fn start_gate_request(
        &mut self,
        components: &Components,
        turn: &mut Turn<'_>,
        visit: VisitId,
        work: PlatformWork,
        about: RequestSubject,
    ) {
        let PendingWork { ticket, deadline } = components.start_platform_work(turn, work);
        let deadline = deadline.min(turn.now.mono.plus_ms(GATE_ANSWER_MS_MAX));
        self.sign = None;
        self.pending = Some(PendingRequest { visit, work: PendingWork { ticket, deadline }, subject: about });
    }

    /// Handles the platform's answer to the pending request.
    pub(crate) fn on_answer(
        &mut self,
        components: &Components,
        turn: &mut Turn<'_>,
        ticket: Ticket,
        answer: Result<WorkAnswer, Failure>,
    ) {
        if self.pending.as_ref().is_none_or(|pending| pending.work.ticket != ticket) {
            return;
        }
        let Some(PendingRequest { visit, subject: about, .. }) = self.pending.take() else { return };
        match about {
            RequestSubject::CardAuthentication => self.on_gate_card_authority(components, turn, answer),
            RequestSubject::Card { card, authenticated } => {
                if let Err(Failure::Unreachable) = answer {
                    // The link was lost during the request.
                    return self.admit_card_offline(components, turn, card, authenticated);
                }
                self.on_gate_identified(
                    components,
                    turn,
                    visit,
                    card.map(AdmissionSubject::Card),
                    authenticated,
                    answer,
                );
            }
            RequestSubject::Code => {
                self.on_gate_identified(components, turn, visit, None, false, answer);
                turn.record(Entry::VisitClosed { visit, reason: CloseReason::Exit });
            }
        }
    }

    /// Handles the platform's identification. The resident's name is dropped here.
    fn on_gate_identified(
        &mut self,
        components: &Components,
        turn: &mut Turn<'_>,
        visit: VisitId,
        card: Option<AdmissionSubject>,
        authenticated: bool,
        answer: Result<WorkAnswer, Failure>,
    ) {
        match answer {
            Ok(WorkAnswer::Identified(mut identified)) => {
                let evidence = limit_to_observed(identified.evidence, authenticated);
                let who = AdmissionSubject::Resident(identified.resident);
                let mut names = std::mem::take(&mut identified.names);
                names.truncate(GATE_NAMES_MAX);
                names.extend(card.filter(|card| !names.contains(card)));
                self.admit(components, turn, visit, who, names, evidence);
            }
            Ok(
                WorkAnswer::CallAnswered(_)
                | WorkAnswer::Pin(_)
                | WorkAnswer::Evidence(_)
                | WorkAnswer::CardAuthority(_),
            ) => {
                self.show_stop_sign(components, turn, VisitRefusal::InvalidResponse.texts().0);
            }
            Err(failure) => self.show_stop_sign(components, turn, refusal_for_failure(failure).texts().0),
        }
    }

    /// Handles the platform's answer on card authentication. If the platform rejects this card, the gate shows stop. On
    /// any other failure, the card is read without authentication, and its holder is identified next.
    fn on_gate_card_authority(
        &mut self,
        components: &Components,
        turn: &mut Turn<'_>,
        answer: Result<WorkAnswer, Failure>,
    ) {
        let authority = match answer {
            Ok(WorkAnswer::CardAuthority(answer)) => Some(answer),
            Err(Failure::Problem(
                code @ (ProblemCode::CardUnknown
                | ProblemCode::CardStopped
                | ProblemCode::CardMismatch
                | ProblemCode::ChallengeFailed),
            )) => {
                return self.show_stop_sign(
                    components,
                    turn,
                    refusal_for_failure(Failure::Problem(code)).texts().0,
                );
            }
            Ok(
                WorkAnswer::Identified(_)
                | WorkAnswer::CallAnswered(_)
                | WorkAnswer::Pin(_)
                | WorkAnswer::Evidence(_),
            )
            | Err(_) => None,
        };
        components.start_card_work(turn, CardWork::Authenticate(authority));
    }

    /// Admits the holder unless already admitted under one of these names. `also`: other names of the same holder, by which
    /// the gate knows the holder without asking the platform.
    fn admit(
        &mut self,
        components: &Components,
        turn: &mut Turn<'_>,
        visit: VisitId,
        who: AdmissionSubject,
        also: Vec<AdmissionSubject>,
        evidence: Evidence,
    ) {
        let Some(rules) = components.setup.gate_rules else { return };
        let now = components.status(turn).estimated_time();
        let names: Vec<AdmissionSubject> = std::iter::once(who).chain(also.iter().copied()).collect();
        if !turn.durable().admissions().is_free(&names, now) {
            return self.show_stop_sign(components, turn, TextId::GatePassback);
        }
        let until = now.plus_ms(u64::from(rules.passback_s) * 1000);
        let offline = !components.online;
        turn.record(Entry::Admitted { visit, who, also, evidence, until, offline });
        self.last_admitted = Some((names, turn.now.mono));
        self.show_verdict(components, turn, GateVerdict::Go);
    }

    /// True for a code of the resident who was just admitted: the phone renews its code every few seconds.
    fn is_repeat_of_last_admitted(&self, parsed: &ParsedCode, turn: &Turn<'_>) -> bool {
        let (Some((names, at)), Some(verified)) = (&self.last_admitted, parsed.verified) else {
            return false;
        };
        names.contains(&AdmissionSubject::Holder(verified.holder))
            && turn.now.mono.0.saturating_sub(at.0) < REPEAT_IGNORED_MS
    }

    fn show_stop_sign(&mut self, components: &Components, turn: &Turn<'_>, word: TextId) {
        self.show_verdict(components, turn, GateVerdict::Stop(word));
    }

    fn show_verdict(&mut self, components: &Components, turn: &Turn<'_>, verdict: GateVerdict) {
        let shown = components.setup.gate_rules.map_or(0, |gate| u64::from(gate.verdict_ms));
        self.verdicts += 1;
        self.sign = Some(ShownVerdict { verdict, until: turn.now.mono.plus_ms(shown) });
    }

    /// When something is due at the gate.
    pub(crate) fn deadlines(&self) -> impl Iterator<Item = (MonotonicMs, GateDue)> {
        let sign = self.sign.as_ref().map(|sign| (sign.until, GateDue::Sign));
        let answer = self.pending.as_ref().map(|pending| (pending.work.deadline, GateDue::Answer));
        [sign, answer].into_iter().flatten()
    }

    pub(crate) fn on_due(&mut self, components: &Components, turn: &mut Turn<'_>, due: GateDue) {
        match due {
            GateDue::Sign => self.sign = None,
            GateDue::Answer => {
                let Some(ticket) = self.pending.as_ref().map(|pending| pending.work.ticket) else { return };
                turn.effect(Effect::CancelWork(ticket));
                self.on_answer(components, turn, ticket, Err(Failure::Unreachable));
            }
        }
    }

    /// The sign, or *out of service* when no reader works.
    pub(crate) fn content(&self, status: Status<'_>) -> ViewContent {
        if idle::sign_in_cards(status).is_empty() {
            return idle::out_of_service();
        }
        let (light, word, detail) = match &self.sign {
            _ if self.pending.is_some() => (Light::Wait, TextId::GateWait, TextId::GateWaitDetail),
            None => ready_sign(status),
            Some(sign) => match sign.verdict {
                GateVerdict::Go => (Light::Go, TextId::GateGo, TextId::GateGoDetail),
                GateVerdict::Stop(why) => (Light::Stop, TextId::GateStop, why),
            },
        };
        let sign = GateSign { light, headline: word.into(), detail: detail.into() };
        ViewContent::new(word, Body::Sign(sign))
    }
}

/// The sign while the gate is ready: which of codes and cards it accepts.
fn ready_sign(status: Status<'_>) -> (Light, TextId, TextId) {
    let works = |device| !matches!(status.components.devices.state(device), DeviceState::Faulty(_));
    let card = status.setup().equipment.card_reader && works(DeviceKind::CardReader);
    let code = status.setup().equipment.code_reader && works(DeviceKind::CodeReader);
    let (word, detail) = match (code, card) {
        (false, true) => (TextId::GateTap, TextId::GateTapDetail),
        (true, true) => (TextId::GateReady, TextId::GateReadyBothDetail),
        (_, false) => (TextId::GateReady, TextId::GateReadyDetail),
    };
    (Light::Ready, word, detail)
}
