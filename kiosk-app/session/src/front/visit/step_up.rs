//! Step-up to level 2, when a service needs it. A resident identified by card enters the card's PIN, which the card verifies and
//! the kiosk reports to the platform. A resident identified by code answers a challenge (质询码): the kiosk shows a nonce, the
//! phone signs it, and the resident presents the answer code to the code reader. A picture of a code, however recent, proves
//! level 1; the challenge proves possession of the phone and the consent of its owner.

use std::sync::Arc;

use contract::{
    Challenge, CodeHolder, Evidence, EvidenceAnswer, EvidenceRequest, Level, ProblemCode, ServiceDocument,
    StepUpProof,
};
use resident_code::{AnswerCode, Code};
use view::{Banner, Body, FooterButton, Icon, Intent, Scan, Text, TextId, Tone};

use crate::components::{Components, Status};
use crate::content::{ViewContent, exit_button, failure_content, working_content};
use crate::front::visit::data::VisitData;
use crate::front::visit::pin::{PinEntry, PinResult};
use crate::refusal::{VisitRefusal, refusal_for_failure};
use crate::transition::Turn;
use crate::work::{CardWork, Failure, PendingWork, PlatformWork, WorkAnswer};

/// Raising the level of the current visit (提升认证).
pub(crate) struct StepUp {
    /// The service that requires the higher level; opened after the step-up.
    doc: Arc<ServiceDocument>,
    proof: Proof,
}

/// How the resident proves their identity, and how far that is.
enum Proof {
    /// By the phone's answer to a challenge.
    Phone {
        challenge: Challenge,
        /// What was wrong with the last code that was presented.
        problem: Option<TextId>,
        /// The platform is being asked whose phone answered.
        reporting: Option<PendingWork>,
    },
    /// The PIN is being entered.
    EnteringPin(PinEntry),
    /// The card is verifying the PIN.
    VerifyingPin(PendingWork),
    /// The card verified the PIN, and the platform is being informed.
    ReportingPin(PendingWork),
    /// No tries are left.
    PinLocked,
    /// The card or the platform failed.
    PinFailed(Failure),
}

/// How the step-up goes on.
pub(crate) enum StepUpFlow {
    Stay,
    Menu,
    /// The level was raised: the service opens.
    Open(Arc<ServiceDocument>),
    Refuse(VisitRefusal),
}

impl StepUp {
    /// Starts a step-up by phone with a new challenge. The nonce is new each time: an answer to an earlier one is
    /// invalid.
    pub(crate) fn by_phone(components: &Components, turn: &mut Turn<'_>, doc: Arc<ServiceDocument>) -> Self {
        let nonce = turn.next_u128().to_be_bytes();
        let challenge = Challenge { device: components.setup.kiosk, nonce };
        Self { doc, proof: Proof::Phone { challenge, problem: None, reporting: None } }
    }

    /// Starts a step-up by the card's PIN.
    pub(crate) fn by_pin(turn: &mut Turn<'_>, doc: Arc<ServiceDocument>) -> Self {
        Self { doc, proof: Proof::EnteringPin(PinEntry::new(turn.entropy(), None)) }
    }

    pub(crate) const fn pending(&self) -> Option<PendingWork> {
        match &self.proof {
            Proof::Phone { reporting, .. } => *reporting,
            Proof::VerifyingPin(work) | Proof::ReportingPin(work) => Some(*work),
            Proof::EnteringPin(_) | Proof::PinLocked | Proof::PinFailed(_) => None,
        }
    }

    pub(crate) const fn is_using_phone(&self) -> bool {
        matches!(self.proof, Proof::Phone { .. })
    }

    pub(crate) fn on_touch(
        &mut self,
        components: &Components,
        turn: &mut Turn<'_>,
        intent: Intent,
    ) -> StepUpFlow {
        if self.pending().is_some() {
            return StepUpFlow::Stay;
        }
        if matches!(intent, Intent::Home | Intent::Back) {
            // A later answer code is ignored.
            return StepUpFlow::Menu;
        }
        match &mut self.proof {
            Proof::EnteringPin(entry) => {
                if !entry.on_touch(intent)
                    && intent == Intent::Primary
                    && let Some(pin) = entry.take_pin()
                {
                    let work = components.start_card_work(turn, CardWork::VerifyPin(pin));
                    self.proof = Proof::VerifyingPin(work);
                }
                StepUpFlow::Stay
            }
            Proof::PinLocked | Proof::PinFailed(_) if intent == Intent::Primary => StepUpFlow::Menu,
            Proof::PinLocked
            | Proof::PinFailed(_)
            | Proof::Phone { .. }
            | Proof::VerifyingPin(_)
            | Proof::ReportingPin(_) => StepUpFlow::Stay,
        }
    }

    /// Handles a code that was scanned while an answer code is awaited.
    pub(crate) fn on_code(
        &mut self,
        components: &Components,
        turn: &mut Turn<'_>,
        data: &mut VisitData,
        code: &[u8],
    ) -> StepUpFlow {
        let Proof::Phone { challenge, problem, reporting: reporting @ None } = &mut self.proof else {
            return StepUpFlow::Stay;
        };
        let (answer, holder) = match verify_answer_code(components.status(turn), code, challenge) {
            Ok(answered) => answered,
            Err(wrong) => {
                *problem = Some(wrong);
                return StepUpFlow::Stay;
            }
        };
        // The platform decides whose phone answered; a phone that has just renewed its certificate has another alias.
        if let Some(key) = data.visit_key() {
            let nonce = contract::to_hex(&challenge.nonce);
            let given = StepUpProof::ChallengeAnswer { nonce, answer: answer.to_text() };
            let request = PlatformWork::ReportEvidence(EvidenceRequest { key, given });
            (*problem, *reporting) = (None, Some(components.start_platform_work(turn, request)));
            StepUpFlow::Stay
        } else if data.verified_code.is_some_and(|shown| shown.holder != holder) {
            *problem = Some(TextId::ProveOtherPhone);
            StepUpFlow::Stay
        } else {
            self.complete(turn, data, Evidence::ChallengeAnswered)
        }
    }

    /// Handles the answer of the card or the platform to the pending request.
    pub(crate) fn on_answer(
        &mut self,
        components: &Components,
        turn: &mut Turn<'_>,
        data: &mut VisitData,
        answer: Result<WorkAnswer, Failure>,
    ) -> StepUpFlow {
        if matches!(answer, Err(Failure::Problem(ProblemCode::VisitExpired))) {
            return StepUpFlow::Refuse(VisitRefusal::VisitExpired);
        }
        match &mut self.proof {
            Proof::Phone { problem, reporting, .. } => {
                *reporting = None;
                *problem = Some(match check_evidence(answer, Evidence::ChallengeAnswered) {
                    Ok(()) => return self.complete(turn, data, Evidence::ChallengeAnswered),
                    Err(Failure::Problem(ProblemCode::ChallengeFailed)) => TextId::ProveOtherPhone,
                    Err(Failure::Problem(ProblemCode::CodeRevoked)) => TextId::CodeRevoked,
                    Err(Failure::Unreachable | Failure::DeviceFailed) => TextId::NoLink,
                    Err(Failure::InvalidResponse | Failure::Problem(_)) => TextId::ProveWrong,
                });
            }
            Proof::VerifyingPin(_) => {
                self.proof = on_pin_result(components, turn, data, PinResult::from_answer(&answer));
            }
            Proof::ReportingPin(_) => match check_evidence(answer, Evidence::AuthenticatedCardPin) {
                Ok(()) => return self.complete(turn, data, Evidence::AuthenticatedCardPin),
                Err(failure) => self.proof = Proof::PinFailed(failure),
            },
            Proof::EnteringPin(_) | Proof::PinLocked | Proof::PinFailed(_) => {}
        }
        StepUpFlow::Stay
    }

    /// Records the evidence and raises the level to 2; the service opens after that.
    fn complete(&self, turn: &mut Turn<'_>, data: &mut VisitData, evidence: Evidence) -> StepUpFlow {
        data.take_evidence(turn, evidence, evidence.max_level());
        StepUpFlow::Open(Arc::clone(&self.doc))
    }

    pub(crate) fn content(&self, data: &VisitData) -> ViewContent {
        let method = data.identification_method;
        match &self.proof {
            Proof::Phone { reporting: Some(_), .. } => {
                working_content(method, TextId::ProveCheck, TextId::IdentifyingDetail)
            }
            Proof::Phone { challenge, problem, .. } => phone_content(data, challenge, *problem),
            Proof::EnteringPin(entry) => entry.content(method, TextId::PinTitle, TextId::ProvePinLead),
            Proof::VerifyingPin(_) | Proof::ReportingPin(_) => {
                working_content(method, TextId::PinCheck, TextId::IdentifyingDetail)
            }
            Proof::PinLocked => {
                failure_content(method, TextId::PinLocked, TextId::ProvePinLockedDetail, None)
            }
            Proof::PinFailed(Failure::DeviceFailed) => {
                failure_content(method, TextId::PinFailed, TextId::ProvePinFailedDetail, None)
            }
            Proof::PinFailed(failure) => {
                let (word, detail) = refusal_for_failure(*failure).texts();
                failure_content(method, word, detail, None)
            }
        }
    }
}

/// Handles the card's result. A verified PIN is reported to the platform, which grants level 2 only to visits with reported
/// evidence.
fn on_pin_result(components: &Components, turn: &mut Turn<'_>, data: &VisitData, result: PinResult) -> Proof {
    match result {
        PinResult::Verified => match data.visit_key() {
            Some(key) => {
                let given = StepUpProof::CardPin;
                let request = PlatformWork::ReportEvidence(EvidenceRequest { key, given });
                Proof::ReportingPin(components.start_platform_work(turn, request))
            }
            None => Proof::PinFailed(Failure::Unreachable),
        },
        PinResult::Wrong { tries_left } => {
            Proof::EnteringPin(PinEntry::after_wrong(turn.entropy(), Some(tries_left)))
        }
        PinResult::Locked => Proof::PinLocked,
        PinResult::Unsupported | PinResult::Unknown => Proof::PinFailed(Failure::DeviceFailed),
    }
}

/// Verifies an answer code to the current challenge. Returns it and the holder of the phone that signed it.
fn verify_answer_code(
    status: Status<'_>,
    code: &[u8],
    challenge: &Challenge,
) -> Result<(AnswerCode, CodeHolder), TextId> {
    let policy = status.code_policy().map_err(|_| TextId::ProveNotNow)?;
    let text = std::str::from_utf8(code).map_err(|_| TextId::ProveWrong)?;
    let answer = match Code::parse(text) {
        Ok(Code::Answer(answer)) => answer,
        // A resident code, live or a picture, is no answer code and proves nothing here.
        Ok(Code::Online(_) | Code::Offline(_) | Code::Paper(_)) => return Err(TextId::ProveShowsCode),
        Err(_) => return Err(TextId::ProveWrong),
    };
    let (issuers, signed) =
        (status.components.code_trust.issuers_in_force(policy.now), challenge.to_be_signed());
    let shown = answer
        .verify(&issuers, &signed, policy.unix_seconds(), policy.window())
        .map_err(|_| TextId::ProveWrong)?;
    let holder = CodeHolder::from_alias(&shown.alias.0);
    if status.components.code_trust.is_holder_revoked(holder) {
        Err(TextId::CodeRevoked)
    } else {
        Ok((answer, holder))
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

fn phone_content(data: &VisitData, challenge: &Challenge, problem: Option<TextId>) -> ViewContent {
    let banner = |problem: TextId| Banner {
        tone: Tone::Wait,
        icon: Icon::TriangleAlert,
        title: problem.into(),
        detail: None,
    };
    // The phone shows which kiosk posed the challenge; a relayed challenge names another kiosk.
    let agree = Text::With(TextId::ProveStepAgree, vec![challenge.device.to_string()]);
    let steps = [TextId::ProveStepScan.into(), agree, TextId::ProveStepShow.into()];
    let exit = exit_button(data.identification_method);
    let body = Body::Scan(Scan { qr: challenge.to_string(), steps: steps.into() });
    ViewContent {
        // The problem text says what to do now; more text would push the code off a small panel.
        lead: problem.is_none().then(|| TextId::ProveLead.into()),
        banners: problem.map(banner).into_iter().collect(),
        footer: vec![FooterButton::Back, FooterButton::Home, FooterButton::Help, exit],
        ..ViewContent::new(TextId::ProveTitle, body)
    }
}
