//! Step-up to level 2, when a service needs it. A resident identified by card enters the card's PIN, see
//! [`crate::pin`]. A resident identified by code answers a challenge (质询码): the kiosk shows a nonce, the phone signs
//! it, and the resident presents the answer code to the code reader. A picture of a code, however recent, proves level
//! 1; the challenge proves possession of the phone and the consent of its owner.

use std::sync::Arc;

use contract::{
    Challenge, CodeHolder, Entry, Evidence, EvidenceAnswer, EvidenceRequest, IdentificationMethod, Level,
    ProblemCode, ServiceDocument, Step, StepUpProof,
};
use resident_code::{AnswerCode, Code};
use view::TextId;

use crate::effect::{Ticket, Work};
use crate::event::{DeviceState, Failure, MonotonicMs, WorkAnswer};
use crate::kiosk::{Kiosk, TransitionBuilder};
use crate::notice::VisitRefusal;
use crate::pin::{PinEntry, PinResult, PinStepUp};
use crate::visit::{IdentifiedResident, Task, Visit};

/// Raising the level of the current visit (提升认证).
pub(crate) struct StepUp {
    /// The service that requires the higher level; opened after the step-up.
    pub(crate) doc: Arc<ServiceDocument>,
    /// How the resident proves their identity.
    pub(crate) method: ProofMethod,
    /// Ticket and deadline of the pending request to the card or the platform.
    pub(crate) pending: Option<(Ticket, MonotonicMs)>,
}

/// How a resident proves their identity.
pub(crate) enum ProofMethod {
    /// By the phone's answer to a challenge.
    Phone {
        challenge: Challenge,
        /// What was wrong with the last code that was presented.
        problem: Option<TextId>,
    },
    /// By the card's PIN.
    Pin(PinStepUp),
}

/// Whether a service can be offered in this visit, and why not (可办状态).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Availability {
    /// The service can be opened.
    Available,
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
    pub(crate) fn availability(&self, doc: &ServiceDocument, visit: &Visit) -> Availability {
        let Some(person) = &visit.resident else { return Availability::NeedsLevel };
        if visit.identification_method != IdentificationMethod::Card
            && doc.steps.iter().any(|step| matches!(step, Step::ChangePin { .. }))
        {
            return Availability::NeedsCard;
        }
        if crate::touch::needs_link(doc.offline) {
            if !self.online {
                return Availability::NeedsLink;
            }
            if person.visit_key.is_none() {
                return Availability::NeedsCodeAgain;
            }
        }
        let needed = required_level(doc, person);
        if person.level >= needed {
            Availability::Available
        } else if needed == Level::Proven {
            self.available_step_up(visit, person)
        } else {
            Availability::NeedsLevel
        }
    }

    /// The step-up that is possible now: a phone whose answer the kiosk can read and judge, or the PIN of an
    /// authenticated card while the platform can be informed of it.
    fn available_step_up(&self, visit: &Visit, person: &IdentifiedResident) -> Availability {
        let of_phone = matches!(person.evidence, Evidence::TokenConsumed | Evidence::OfflineCode);
        let authenticated =
            matches!(person.evidence, Evidence::CardAuthenticated | Evidence::AuthenticatedCardPin);
        let phone_can = self.devices.code_reader == DeviceState::Ready && self.code_policy().is_ok();
        let pin_can = self.online && person.visit_key.is_some();
        match visit.identification_method {
            IdentificationMethod::Code if of_phone && phone_can => Availability::NeedsPhone,
            IdentificationMethod::Card if authenticated && pin_can => Availability::NeedsPin,
            IdentificationMethod::Code | IdentificationMethod::Card | IdentificationMethod::IdCard => {
                Availability::NeedsLevel
            }
        }
    }

    pub(crate) fn step_up(&self) -> Option<&StepUp> {
        match &self.visit.as_ref()?.task {
            Task::StepUp(step_up) => Some(step_up),
            Task::Reading { .. } | Task::Identifying { .. } | Task::Menu { .. } | Task::Service(_) => None,
        }
    }

    /// Starts a step-up by phone with a new challenge. The nonce is new each time: an answer to an earlier one is
    /// invalid.
    pub(crate) fn start_phone_step_up(&mut self, builder: &mut TransitionBuilder, doc: Arc<ServiceDocument>) {
        let challenge =
            Challenge { device: self.setup.kiosk, nonce: builder.entropy.next_u128().to_be_bytes() };
        self.begin_step_up(doc, ProofMethod::Phone { challenge, problem: None });
    }

    /// Starts a step-up by the card's PIN.
    pub(crate) fn start_pin_step_up(&mut self, builder: &mut TransitionBuilder, doc: Arc<ServiceDocument>) {
        self.begin_step_up(
            doc,
            ProofMethod::Pin(PinStepUp::Entering(PinEntry::new(&mut builder.entropy, None))),
        );
    }

    fn begin_step_up(&mut self, doc: Arc<ServiceDocument>, by: ProofMethod) {
        if let Some(visit) = &mut self.visit {
            visit.task = Task::StepUp(Box::new(StepUp { doc, method: by, pending: None }));
        }
    }

    /// Handles a code that was scanned while an answer code is awaited.
    pub(crate) fn on_answer_code(&mut self, builder: &mut TransitionBuilder, code: &[u8]) {
        let Some(StepUp { method: ProofMethod::Phone { challenge, .. }, pending: None, .. }) = self.step_up()
        else {
            return;
        };
        let challenge = *challenge;
        self.reset_idle_timer();
        let (answer, holder) = match self.verify_answer_code(code, &challenge) {
            Ok(answered) => answered,
            Err(problem) => return self.show_step_up_problem(problem),
        };
        let Some(visit) = &self.visit else { return };
        let Some(person) = &visit.resident else { return };
        // The platform decides whose phone answered; a phone that has just renewed its certificate has another alias.
        let Some(key) = person.visit_key.clone() else {
            return if visit.verified_code.is_some_and(|shown| shown.holder != holder) {
                self.show_step_up_problem(TextId::ProveOtherPhone)
            } else {
                self.complete_step_up(builder, Evidence::ChallengeAnswered)
            };
        };
        let nonce = contract::to_hex(&challenge.nonce);
        let given = StepUpProof::ChallengeAnswer { nonce, answer: answer.to_text() };
        let check = self.start_work(builder, Work::ReportEvidence(EvidenceRequest { key, given }));
        if let Some(step_up) = self.step_up_mut() {
            (step_up.method, step_up.pending) =
                (ProofMethod::Phone { challenge, problem: None }, Some(check));
        }
    }

    /// Verifies an answer code to the current challenge. Returns it and the holder of the phone that signed it.
    fn verify_answer_code(
        &self,
        code: &[u8],
        challenge: &Challenge,
    ) -> Result<(AnswerCode, CodeHolder), TextId> {
        let policy = self.code_policy().map_err(|_| TextId::ProveNotNow)?;
        let text = std::str::from_utf8(code).map_err(|_| TextId::ProveWrong)?;
        let answer = match Code::parse(text) {
            Ok(Code::Answer(answer)) => answer,
            // A resident code, live or a picture, is no answer code and proves nothing here.
            Ok(Code::Online(_) | Code::Offline(_) | Code::Paper(_)) => return Err(TextId::ProveShowsCode),
            Err(_) => return Err(TextId::ProveWrong),
        };
        let (issuers, signed) = (self.code_trust.issuers_in_force(policy.now), challenge.to_be_signed());
        let shown = answer
            .verify(&issuers, &signed, policy.unix_seconds(), policy.window())
            .map_err(|_| TextId::ProveWrong)?;
        let holder = CodeHolder::from_alias(&shown.alias.0);
        if self.code_trust.is_holder_revoked(holder) {
            Err(TextId::CodeRevoked)
        } else {
            Ok((answer, holder))
        }
    }

    /// Handles the answer of the card or the platform to the pending step-up request.
    pub(crate) fn on_step_up_answer(
        &mut self,
        builder: &mut TransitionBuilder,
        answer: Result<WorkAnswer, Failure>,
    ) {
        if matches!(answer, Err(Failure::Problem(ProblemCode::VisitExpired))) {
            return self.refuse_visit(builder, VisitRefusal::VisitExpired);
        }
        match self.step_up().map(|step_up| &step_up.method) {
            Some(ProofMethod::Phone { .. }) => {
                self.on_phone_evidence(builder, check_evidence(answer, Evidence::ChallengeAnswered))
            }
            Some(ProofMethod::Pin(PinStepUp::CardVerifying)) => {
                self.on_step_up_pin_result(builder, PinResult::from_answer(&answer))
            }
            Some(ProofMethod::Pin(PinStepUp::Reporting)) => {
                self.on_pin_evidence_answer(builder, check_evidence(answer, Evidence::AuthenticatedCardPin));
            }
            Some(ProofMethod::Pin(PinStepUp::Entering(_) | PinStepUp::Locked | PinStepUp::Failed(_)))
            | None => {}
        }
    }

    fn on_phone_evidence(&mut self, builder: &mut TransitionBuilder, checked: Result<(), Failure>) {
        match checked {
            Ok(()) => self.complete_step_up(builder, Evidence::ChallengeAnswered),
            Err(Failure::Problem(ProblemCode::ChallengeFailed)) => {
                self.show_step_up_problem(TextId::ProveOtherPhone)
            }
            Err(Failure::Problem(ProblemCode::CodeRevoked)) => self.show_step_up_problem(TextId::CodeRevoked),
            Err(Failure::Unreachable | Failure::DeviceFailed) => self.show_step_up_problem(TextId::NoLink),
            Err(Failure::InvalidResponse | Failure::Problem(_)) => {
                self.show_step_up_problem(TextId::ProveWrong)
            }
        }
    }

    /// Records the evidence and raises the level to 2; the service opens after that.
    pub(crate) fn complete_step_up(&mut self, builder: &mut TransitionBuilder, evidence: Evidence) {
        let Some(visit) = &mut self.visit else { return };
        let (Some(person), Task::StepUp(step_up)) = (&mut visit.resident, &visit.task) else { return };
        let level = evidence.max_level();
        let doc = Arc::clone(&step_up.doc);
        (person.evidence, person.level) = (evidence, level);
        builder.record(&mut self.durable, Entry::EvidenceGiven { visit: visit.id, evidence, level });
        self.open_service(builder, doc);
    }

    pub(crate) fn step_up_mut(&mut self) -> Option<&mut StepUp> {
        match &mut self.visit.as_mut()?.task {
            Task::StepUp(step_up) => Some(step_up),
            Task::Reading { .. } | Task::Identifying { .. } | Task::Menu { .. } | Task::Service(_) => None,
        }
    }

    fn show_step_up_problem(&mut self, word: TextId) {
        if let Some(step_up) = self.step_up_mut()
            && let ProofMethod::Phone { problem, .. } = &mut step_up.method
        {
            (*problem, step_up.pending) = (Some(word), None);
        }
        self.reset_idle_timer();
    }
}

/// Checks that the platform grants level 2 for this evidence.
fn check_evidence(answer: Result<WorkAnswer, Failure>, of: Evidence) -> Result<(), Failure> {
    match answer? {
        WorkAnswer::Evidence(EvidenceAnswer { evidence, level })
            if evidence == of && level >= Level::Proven =>
        {
            Ok(())
        }
        WorkAnswer::Evidence(_)
        | WorkAnswer::Identified(_)
        | WorkAnswer::CallAnswered(_)
        | WorkAnswer::Pin(_)
        | WorkAnswer::CardAuthority(_) => Err(Failure::InvalidResponse),
    }
}

/// The level that a service requires of this resident: a code that anybody could have relayed never authorises a
/// payment (I5).
fn required_level(doc: &ServiceDocument, person: &IdentifiedResident) -> Level {
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
