//! 挑战: level 2 for somebody who came by code. The kiosk shows a nonce, the phone signs it and shows its answer
//! to the window. A picture of a code, however fresh, is worth level 1; this takes the phone itself, and its
//! owner's yes.

use std::sync::Arc;

use contract::{
    Challenge, CodeHolder, Entry, Evidence, EvidenceAnswer, EvidenceRequest, Level, ProblemCode,
    ServiceDocument, Step, Way,
};
use resident_code::{AnswerCode, Code};
use view::TextId;

use crate::closing::Refusal;
use crate::effect::{Ticket, Work};
use crate::event::{Answer, Failure, Health, Mono};
use crate::kiosk::{Kiosk, Turn};
use crate::visit::{Person, Task, Visit};

/// A phone was asked.
pub(crate) struct Proving {
    /// The service that needs it; opened when the answer is good.
    pub(crate) doc: Arc<ServiceDocument>,
    pub(crate) challenge: Challenge,
    /// What was wrong with what was shown last.
    pub(crate) problem: Option<TextId>,
    /// The platform is being asked about the answer.
    pub(crate) check: Option<(Ticket, Mono)>,
}

/// How a service stands to the resident who is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It can be opened.
    Open,
    /// It can be opened once the phone has answered.
    NeedsPhone,
    /// It needs the platform.
    NeedsLink,
    /// It needs the platform to know who this is, and the visit began without it.
    NeedsCodeAgain,
    /// It needs more than this visit can give.
    NeedsLevel,
}

impl Kiosk {
    /// Whether a service can be opened now, and if not, why.
    pub(crate) fn standing(&self, doc: &ServiceDocument, visit: &Visit) -> Standing {
        let Some(person) = &visit.person else { return Standing::NeedsLevel };
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
        } else if needed == Level::Proven && self.can_prove(visit, person) {
            Standing::NeedsPhone
        } else {
            Standing::NeedsLevel
        }
    }

    /// Somebody came by a phone, and the kiosk can read and judge what it answers.
    fn can_prove(&self, visit: &Visit, person: &Person) -> bool {
        let phone = match person.evidence {
            Evidence::TokenConsumed | Evidence::OfflineCode => true,
            Evidence::CardRead
            | Evidence::IdCardRead
            | Evidence::CardPin
            | Evidence::CardAuthenticated
            | Evidence::AuthenticatedCardPin
            | Evidence::PaperCode
            | Evidence::ChallengeAnswered => false,
        };
        phone && visit.way == Way::Code && self.devices.code_reader == Health::Ready && self.judge().is_ok()
    }

    pub(crate) fn proving(&self) -> Option<&Proving> {
        match &self.visit.as_ref()?.task {
            Task::Proving(proving) => Some(proving),
            Task::Reading { .. } | Task::Identifying { .. } | Task::Menu { .. } | Task::Service(_) => None,
        }
    }

    /// Poses a challenge. A new nonce each time: an answer to an earlier one is good for nothing.
    pub(crate) fn prove(&mut self, turn: &mut Turn, doc: Arc<ServiceDocument>) {
        let challenge = Challenge { device: self.setup.device, nonce: turn.draw.next().to_be_bytes() };
        if let Some(visit) = &mut self.visit {
            visit.task = Task::Proving(Box::new(Proving { doc, challenge, problem: None, check: None }));
        }
    }

    /// Something was held to the window while a phone was asked.
    pub(crate) fn on_proof(&mut self, turn: &mut Turn, code: &[u8]) {
        if self.proving().is_none_or(|proving| proving.check.is_some()) {
            return;
        }
        self.attend();
        let (answer, holder) = match self.answered(code) {
            Ok(answered) => answered,
            Err(problem) => return self.say_problem(problem),
        };
        let Some(visit) = &self.visit else { return };
        if visit.code.is_some_and(|shown| shown.holder != holder) {
            return self.say_problem(TextId::ProveOtherPhone);
        }
        let (Some(proving), Some(person)) = (self.proving(), &visit.person) else { return };
        let Some(key) = person.key.clone() else { return self.proven(turn) };
        let nonce = proving.challenge.nonce.iter().map(|byte| format!("{byte:02x}")).collect();
        let request = EvidenceRequest { key, nonce, answer: answer.to_text() };
        let check = self.start(turn, Work::Prove(request));
        if let Some(proving) = self.proving_mut() {
            (proving.check, proving.problem) = (Some(check), None);
        }
    }

    /// The answer to the present challenge, and whose phone gave it.
    fn answered(&self, code: &[u8]) -> Result<(AnswerCode, CodeHolder), TextId> {
        let (Some(proving), Ok(judge)) = (self.proving(), self.judge()) else {
            return Err(TextId::ProveNotNow);
        };
        let text = std::str::from_utf8(code).map_err(|_| TextId::ProveWrong)?;
        let answer = match Code::parse(text) {
            Ok(Code::Answer(answer)) => answer,
            // The code itself, live or a picture: it proves nothing here.
            Ok(Code::Online(_) | Code::Offline(_) | Code::Paper(_)) => return Err(TextId::ProveShowsCode),
            Err(_) => return Err(TextId::ProveWrong),
        };
        let (issuers, signed) = (self.codes.issuers(judge.now), proving.challenge.to_be_signed());
        let shown = answer
            .verify(&issuers, &signed, judge.seconds(), judge.window())
            .map_err(|_| TextId::ProveWrong)?;
        let holder = CodeHolder::of(&shown.alias.0);
        if self.codes.is_revoked(holder) { Err(TextId::CodeRevoked) } else { Ok((answer, holder)) }
    }

    /// What the platform says of the answer.
    pub(crate) fn on_proof_answer(&mut self, turn: &mut Turn, answer: Result<Answer, Failure>) {
        match answer {
            Ok(Answer::Evidence(EvidenceAnswer { evidence: Evidence::ChallengeAnswered, level }))
                if level >= Level::Proven =>
            {
                self.proven(turn);
            }
            Err(Failure::Problem(ProblemCode::VisitExpired)) => self.refuse(turn, Refusal::VisitExpired),
            Err(Failure::Problem(ProblemCode::ChallengeFailed)) => self.say_problem(TextId::ProveOtherPhone),
            Err(Failure::Problem(ProblemCode::CodeRevoked)) => self.say_problem(TextId::CodeRevoked),
            Err(Failure::Unreachable | Failure::Device) => self.say_problem(TextId::NoLink),
            Ok(
                Answer::Evidence(_)
                | Answer::Identified(_)
                | Answer::Called(_)
                | Answer::Pin(_)
                | Answer::CardAuthority(_),
            )
            | Err(Failure::Nonsense | Failure::Problem(_)) => self.say_problem(TextId::ProveWrong),
        }
    }

    /// Recorded, and only then level 2.
    fn proven(&mut self, turn: &mut Turn) {
        let Some(visit) = &mut self.visit else { return };
        let (Some(person), Task::Proving(proving)) = (&mut visit.person, &visit.task) else { return };
        let (evidence, level) = (Evidence::ChallengeAnswered, Evidence::ChallengeAnswered.most());
        let doc = Arc::clone(&proving.doc);
        (person.evidence, person.level) = (evidence, level);
        turn.out.record(Entry::EvidenceGiven { visit: visit.id, evidence, level });
        self.open_service(turn, doc);
    }

    fn proving_mut(&mut self) -> Option<&mut Proving> {
        match &mut self.visit.as_mut()?.task {
            Task::Proving(proving) => Some(proving),
            Task::Reading { .. } | Task::Identifying { .. } | Task::Menu { .. } | Task::Service(_) => None,
        }
    }

    fn say_problem(&mut self, problem: TextId) {
        if let Some(proving) = self.proving_mut() {
            (proving.problem, proving.check) = (Some(problem), None);
        }
        self.attend();
    }
}

/// The level that a service needs of this person: money is never moved by a code that anybody could have
/// relayed (I5).
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
