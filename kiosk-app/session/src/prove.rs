//! Step-up to level 2, when a service needs it. A resident identified by card enters the card's PIN, see
//! [`crate::pin`]. A resident identified by code answers a challenge (质询码): the kiosk shows a nonce, the phone signs
//! it, and the resident presents the answer code to the code reader. A picture of a code, however recent, proves level
//! 1; the challenge proves possession of the phone and the consent of its owner.

use std::sync::Arc;

use contract::{
    Challenge, CodeHolder, Entry, Evidence, EvidenceAnswer, EvidenceRequest, Given, Level, ProblemCode,
    ServiceDocument, Step, Way,
};
use resident_code::{AnswerCode, Code};
use view::TextId;

use crate::closing::Refusal;
use crate::effect::{Ticket, Work};
use crate::event::{Answer, Failure, Health, Mono};
use crate::kiosk::{Kiosk, Turn};
use crate::pin::{PinEntry, PinProof, Said};
use crate::visit::{Person, Task, Visit};

/// Raising the level of the current visit (提升认证).
pub(crate) struct Proving {
    /// The service that requires the higher level; opened after the step-up.
    pub(crate) doc: Arc<ServiceDocument>,
    /// How the resident proves their identity.
    pub(crate) by: By,
    /// Ticket and deadline of the pending request to the card or the platform.
    pub(crate) check: Option<(Ticket, Mono)>,
}

/// How a resident proves their identity.
pub(crate) enum By {
    /// By the phone's answer to a challenge.
    Phone {
        challenge: Challenge,
        /// What was wrong with the last code that was presented.
        problem: Option<TextId>,
    },
    /// By the card's PIN.
    Pin(PinProof),
}

/// Whether a service can be offered in this visit, and why not (可办状态).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The service can be opened.
    Open,
    /// The service can be opened after the phone has answered a challenge.
    NeedsPhone,
    /// The service can be opened after the card has verified its PIN.
    NeedsPin,
    /// The service needs the link to the platform.
    NeedsLink,
    /// The platform must know the resident, and the visit began without a link.
    NeedsCodeAgain,
    /// The service acts on the card, and the visit was not begun with one.
    NeedsCard,
    /// The service needs a higher level than this visit can reach.
    NeedsLevel,
}

impl Kiosk {
    /// Whether a service can be opened now, and if not, why.
    pub(crate) fn standing(&self, doc: &ServiceDocument, visit: &Visit) -> Standing {
        let Some(person) = &visit.person else { return Standing::NeedsLevel };
        if visit.way != Way::Card && doc.steps.iter().any(|step| matches!(step, Step::ChangePin { .. })) {
            return Standing::NeedsCard;
        }
        if crate::touch::needs_link(doc.offline) {
            if !self.online {
                return Standing::NeedsLink;
            }
            if person.key.is_none() {
                return Standing::NeedsCodeAgain;
            }
        }
        let needed = needed(doc, person);
        if person.level >= needed {
            Standing::Open
        } else if needed == Level::Proven {
            self.proof(visit, person)
        } else {
            Standing::NeedsLevel
        }
    }

    /// The step-up that is possible now: a phone whose answer the kiosk can read and judge, or the PIN of an
    /// authenticated card while the platform can be informed of it.
    fn proof(&self, visit: &Visit, person: &Person) -> Standing {
        let of_phone = matches!(person.evidence, Evidence::TokenConsumed | Evidence::OfflineCode);
        let vouched = matches!(person.evidence, Evidence::CardAuthenticated | Evidence::AuthenticatedCardPin);
        let phone_can = self.devices.code_reader == Health::Ready && self.judge().is_ok();
        let pin_can = self.online && person.key.is_some();
        match visit.way {
            Way::Code if of_phone && phone_can => Standing::NeedsPhone,
            Way::Card if vouched && pin_can => Standing::NeedsPin,
            Way::Code | Way::Card | Way::IdCard => Standing::NeedsLevel,
        }
    }

    pub(crate) fn proving(&self) -> Option<&Proving> {
        match &self.visit.as_ref()?.task {
            Task::Proving(step_up) => Some(step_up),
            Task::Reading { .. } | Task::Identifying { .. } | Task::Menu { .. } | Task::Service(_) => None,
        }
    }

    /// Starts a step-up by phone with a new challenge. The nonce is new each time: an answer to an earlier one is
    /// invalid.
    pub(crate) fn prove_by_phone(&mut self, builder: &mut Turn, doc: Arc<ServiceDocument>) {
        let challenge = Challenge { device: self.setup.device, nonce: builder.draw.next().to_be_bytes() };
        self.begin_proof(doc, By::Phone { challenge, problem: None });
    }

    /// Starts a step-up by the card's PIN.
    pub(crate) fn prove_by_pin(&mut self, builder: &mut Turn, doc: Arc<ServiceDocument>) {
        self.begin_proof(doc, By::Pin(PinProof::Entering(PinEntry::new(&mut builder.draw, None))));
    }

    fn begin_proof(&mut self, doc: Arc<ServiceDocument>, by: By) {
        if let Some(visit) = &mut self.visit {
            visit.task = Task::Proving(Box::new(Proving { doc, by, check: None }));
        }
    }

    /// Handles a code that was scanned while an answer code is awaited.
    pub(crate) fn on_proof(&mut self, builder: &mut Turn, code: &[u8]) {
        let Some(Proving { by: By::Phone { challenge, .. }, check: None, .. }) = self.proving() else {
            return;
        };
        let challenge = *challenge;
        self.attend();
        let (answer, holder) = match self.answered(code, &challenge) {
            Ok(answered) => answered,
            Err(problem) => return self.say_problem(problem),
        };
        let Some(visit) = &self.visit else { return };
        let Some(person) = &visit.person else { return };
        // The platform decides whose phone answered; a phone that has just renewed its certificate has another alias.
        let Some(key) = person.key.clone() else {
            return if visit.code.is_some_and(|shown| shown.holder != holder) {
                self.say_problem(TextId::ProveOtherPhone)
            } else {
                self.proven(builder, Evidence::ChallengeAnswered)
            };
        };
        let nonce = challenge.nonce.iter().map(|byte| format!("{byte:02x}")).collect();
        let given = Given::ChallengeAnswer { nonce, answer: answer.to_text() };
        let check = self.start(builder, Work::Prove(EvidenceRequest { key, given }));
        if let Some(step_up) = self.proving_mut() {
            (step_up.by, step_up.check) = (By::Phone { challenge, problem: None }, Some(check));
        }
    }

    /// Verifies an answer code to the current challenge. Returns it and the holder of the phone that signed it.
    fn answered(&self, code: &[u8], challenge: &Challenge) -> Result<(AnswerCode, CodeHolder), TextId> {
        let policy = self.judge().map_err(|_| TextId::ProveNotNow)?;
        let text = std::str::from_utf8(code).map_err(|_| TextId::ProveWrong)?;
        let answer = match Code::parse(text) {
            Ok(Code::Answer(answer)) => answer,
            // A resident code, live or a picture, is no answer code and proves nothing here.
            Ok(Code::Online(_) | Code::Offline(_) | Code::Paper(_)) => return Err(TextId::ProveShowsCode),
            Err(_) => return Err(TextId::ProveWrong),
        };
        let (issuers, signed) = (self.codes.issuers(policy.now), challenge.to_be_signed());
        let shown = answer
            .verify(&issuers, &signed, policy.seconds(), policy.window())
            .map_err(|_| TextId::ProveWrong)?;
        let holder = CodeHolder::of(&shown.alias.0);
        if self.codes.is_revoked(holder) { Err(TextId::CodeRevoked) } else { Ok((answer, holder)) }
    }

    /// Handles the answer of the card or the platform to the pending step-up request.
    pub(crate) fn on_proof_answer(&mut self, builder: &mut Turn, answer: Result<Answer, Failure>) {
        if matches!(answer, Err(Failure::Problem(ProblemCode::VisitExpired))) {
            return self.refuse(builder, Refusal::VisitExpired);
        }
        match self.proving().map(|step_up| &step_up.by) {
            Some(By::Phone { .. }) => {
                self.on_phone_proof(builder, heard(answer, Evidence::ChallengeAnswered))
            }
            Some(By::Pin(PinProof::AtCard)) => self.on_proof_pin(builder, Said::of(&answer)),
            Some(By::Pin(PinProof::AtPlatform)) => {
                self.on_pin_reported(builder, heard(answer, Evidence::AuthenticatedCardPin));
            }
            Some(By::Pin(PinProof::Entering(_) | PinProof::Locked | PinProof::Failed(_))) | None => {}
        }
    }

    fn on_phone_proof(&mut self, builder: &mut Turn, checked: Result<(), Failure>) {
        match checked {
            Ok(()) => self.proven(builder, Evidence::ChallengeAnswered),
            Err(Failure::Problem(ProblemCode::ChallengeFailed)) => self.say_problem(TextId::ProveOtherPhone),
            Err(Failure::Problem(ProblemCode::CodeRevoked)) => self.say_problem(TextId::CodeRevoked),
            Err(Failure::Unreachable | Failure::Device) => self.say_problem(TextId::NoLink),
            Err(Failure::Nonsense | Failure::Problem(_)) => self.say_problem(TextId::ProveWrong),
        }
    }

    /// Records the evidence and raises the level to 2; the service opens after that.
    pub(crate) fn proven(&mut self, builder: &mut Turn, evidence: Evidence) {
        let Some(visit) = &mut self.visit else { return };
        let (Some(person), Task::Proving(step_up)) = (&mut visit.person, &visit.task) else { return };
        let level = evidence.most();
        let doc = Arc::clone(&step_up.doc);
        (person.evidence, person.level) = (evidence, level);
        builder.out.record(Entry::EvidenceGiven { visit: visit.id, evidence, level });
        self.open_service(builder, doc);
    }

    pub(crate) fn proving_mut(&mut self) -> Option<&mut Proving> {
        match &mut self.visit.as_mut()?.task {
            Task::Proving(step_up) => Some(step_up),
            Task::Reading { .. } | Task::Identifying { .. } | Task::Menu { .. } | Task::Service(_) => None,
        }
    }

    fn say_problem(&mut self, word: TextId) {
        if let Some(step_up) = self.proving_mut()
            && let By::Phone { problem, .. } = &mut step_up.by
        {
            (*problem, step_up.check) = (Some(word), None);
        }
        self.attend();
    }
}

/// Checks that the platform grants level 2 for this evidence.
fn heard(answer: Result<Answer, Failure>, of: Evidence) -> Result<(), Failure> {
    match answer? {
        Answer::Evidence(EvidenceAnswer { evidence, level }) if evidence == of && level >= Level::Proven => {
            Ok(())
        }
        Answer::Evidence(_)
        | Answer::Identified(_)
        | Answer::Called(_)
        | Answer::Pin(_)
        | Answer::CardAuthority(_) => Err(Failure::Nonsense),
    }
}

/// The level that a service requires of this resident: a code that anybody could have relayed never authorises a
/// payment (I5).
fn needed(doc: &ServiceDocument, person: &Person) -> Level {
    let pays = doc.steps.iter().any(|step| matches!(step, Step::Pay { .. }));
    match person.evidence {
        Evidence::OfflineCode | Evidence::PaperCode if pays => doc.level.max(Level::Proven),
        Evidence::OfflineCode
        | Evidence::PaperCode
        | Evidence::CardRead
        | Evidence::IdCardRead
        | Evidence::CardPin
        | Evidence::CardAuthenticated
        | Evidence::AuthenticatedCardPin
        | Evidence::TokenConsumed
        | Evidence::ChallengeAnswered => doc.level,
    }
}
