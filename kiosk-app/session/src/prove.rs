//! Level 2, when a service needs it. Who came by card enters its PIN, see [`crate::pin`]. Who came by code is posed a
//! 挑战: the kiosk shows a nonce, the phone signs it and shows its answer to the window. A picture of a code, however
//! fresh, is worth level 1; this takes the phone itself, and its owner's yes.

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

/// The resident is asked to prove who they are.
pub(crate) struct Proving {
    /// The service that needs it; opened when it is done.
    pub(crate) doc: Arc<ServiceDocument>,
    /// How.
    pub(crate) by: By,
    /// The card or the platform is being asked about what was given.
    pub(crate) check: Option<(Ticket, Mono)>,
}

/// What proves a resident.
pub(crate) enum By {
    /// Their phone's answer.
    Phone {
        challenge: Challenge,
        /// What was wrong with what was shown last.
        problem: Option<TextId>,
    },
    /// Their card's PIN.
    Pin(PinProof),
}

/// How a service stands to the resident who is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It can be opened.
    Open,
    /// It can be opened once the phone has answered.
    NeedsPhone,
    /// It can be opened once the card has verified its PIN.
    NeedsPin,
    /// It needs the platform.
    NeedsLink,
    /// It needs the platform to know who this is, and the visit began without it.
    NeedsCodeAgain,
    /// It is about the card, and there is none in the slot.
    NeedsCard,
    /// It needs more than this visit can give.
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

    /// What would prove this person here and now: a phone whose answer the kiosk can read and judge, or the PIN of a
    /// card that is its issuer's own and can be told of it.
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
            Task::Proving(proving) => Some(proving),
            Task::Reading { .. } | Task::Identifying { .. } | Task::Menu { .. } | Task::Service(_) => None,
        }
    }

    /// Poses a challenge. A new nonce each time: an answer to an earlier one is good for nothing.
    pub(crate) fn prove_by_phone(&mut self, turn: &mut Turn, doc: Arc<ServiceDocument>) {
        let challenge = Challenge { device: self.setup.device, nonce: turn.draw.next().to_be_bytes() };
        self.begin_proof(doc, By::Phone { challenge, problem: None });
    }

    /// Asks for the card's PIN.
    pub(crate) fn prove_by_pin(&mut self, turn: &mut Turn, doc: Arc<ServiceDocument>) {
        self.begin_proof(doc, By::Pin(PinProof::Entering(PinEntry::new(&mut turn.draw, None))));
    }

    fn begin_proof(&mut self, doc: Arc<ServiceDocument>, by: By) {
        if let Some(visit) = &mut self.visit {
            visit.task = Task::Proving(Box::new(Proving { doc, by, check: None }));
        }
    }

    /// Something was held to the window while a phone was asked.
    pub(crate) fn on_proof(&mut self, turn: &mut Turn, code: &[u8]) {
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
        // The platform knows whose phone answered; a phone that has just renewed its certificate has another alias.
        let Some(key) = person.key.clone() else {
            return if visit.code.is_some_and(|shown| shown.holder != holder) {
                self.say_problem(TextId::ProveOtherPhone)
            } else {
                self.proven(turn, Evidence::ChallengeAnswered)
            };
        };
        let nonce = challenge.nonce.iter().map(|byte| format!("{byte:02x}")).collect();
        let given = Given::ChallengeAnswer { nonce, answer: answer.to_text() };
        let check = self.start(turn, Work::Prove(EvidenceRequest { key, given }));
        if let Some(proving) = self.proving_mut() {
            (proving.by, proving.check) = (By::Phone { challenge, problem: None }, Some(check));
        }
    }

    /// The answer to the present challenge, and whose phone gave it.
    fn answered(&self, code: &[u8], challenge: &Challenge) -> Result<(AnswerCode, CodeHolder), TextId> {
        let judge = self.judge().map_err(|_| TextId::ProveNotNow)?;
        let text = std::str::from_utf8(code).map_err(|_| TextId::ProveWrong)?;
        let answer = match Code::parse(text) {
            Ok(Code::Answer(answer)) => answer,
            // The code itself, live or a picture: it proves nothing here.
            Ok(Code::Online(_) | Code::Offline(_) | Code::Paper(_)) => return Err(TextId::ProveShowsCode),
            Err(_) => return Err(TextId::ProveWrong),
        };
        let (issuers, signed) = (self.codes.issuers(judge.now), challenge.to_be_signed());
        let shown = answer
            .verify(&issuers, &signed, judge.seconds(), judge.window())
            .map_err(|_| TextId::ProveWrong)?;
        let holder = CodeHolder::of(&shown.alias.0);
        if self.codes.is_revoked(holder) { Err(TextId::CodeRevoked) } else { Ok((answer, holder)) }
    }

    /// What the card or the platform says of what was given.
    pub(crate) fn on_proof_answer(&mut self, turn: &mut Turn, answer: Result<Answer, Failure>) {
        if matches!(answer, Err(Failure::Problem(ProblemCode::VisitExpired))) {
            return self.refuse(turn, Refusal::VisitExpired);
        }
        match self.proving().map(|proving| &proving.by) {
            Some(By::Phone { .. }) => self.on_phone_proof(turn, heard(answer, Evidence::ChallengeAnswered)),
            Some(By::Pin(PinProof::AtCard)) => self.on_proof_pin(turn, Said::of(&answer)),
            Some(By::Pin(PinProof::AtPlatform)) => {
                self.on_pin_reported(turn, heard(answer, Evidence::AuthenticatedCardPin));
            }
            Some(By::Pin(PinProof::Entering(_) | PinProof::Locked | PinProof::Failed(_))) | None => {}
        }
    }

    fn on_phone_proof(&mut self, turn: &mut Turn, heard: Result<(), Failure>) {
        match heard {
            Ok(()) => self.proven(turn, Evidence::ChallengeAnswered),
            Err(Failure::Problem(ProblemCode::ChallengeFailed)) => self.say_problem(TextId::ProveOtherPhone),
            Err(Failure::Problem(ProblemCode::CodeRevoked)) => self.say_problem(TextId::CodeRevoked),
            Err(Failure::Unreachable | Failure::Device) => self.say_problem(TextId::NoLink),
            Err(Failure::Nonsense | Failure::Problem(_)) => self.say_problem(TextId::ProveWrong),
        }
    }

    /// Recorded, and only then level 2.
    pub(crate) fn proven(&mut self, turn: &mut Turn, evidence: Evidence) {
        let Some(visit) = &mut self.visit else { return };
        let (Some(person), Task::Proving(proving)) = (&mut visit.person, &visit.task) else { return };
        let level = evidence.most();
        let doc = Arc::clone(&proving.doc);
        (person.evidence, person.level) = (evidence, level);
        turn.out.record(Entry::EvidenceGiven { visit: visit.id, evidence, level });
        self.open_service(turn, doc);
    }

    pub(crate) fn proving_mut(&mut self) -> Option<&mut Proving> {
        match &mut self.visit.as_mut()?.task {
            Task::Proving(proving) => Some(proving),
            Task::Reading { .. } | Task::Identifying { .. } | Task::Menu { .. } | Task::Service(_) => None,
        }
    }

    fn say_problem(&mut self, word: TextId) {
        if let Some(proving) = self.proving_mut()
            && let By::Phone { problem, .. } = &mut proving.by
        {
            (*problem, proving.check) = (Some(word), None);
        }
        self.attend();
    }
}

/// Whether the platform gives level 2 for this evidence.
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
