//! A card's PIN: entered on a shuffled pad, checked by the card, never kept. It confirms a payment; on a card that
//! proved to be its issuer's own it also proves its holder, once the platform has heard of it.

use contract::{Evidence, EvidenceAnswer, EvidenceRequest, Given, Level, ProblemCode};
use zeroize::Zeroizing;

use crate::closing::Refusal;
use crate::draw::Draw;
use crate::effect::Work;
use crate::event::{Answer, Failure, PinAnswer};
use crate::kiosk::{Kiosk, Turn};
use crate::prove::{By, Proving};
use crate::visit::Task;

/// 社会保障卡 PINs have six digits.
pub(crate) const PIN_LENGTH: usize = 6;

/// Digits on their way to the card; wiped on drop.
pub(crate) struct PinEntry {
    digits: Zeroizing<Vec<u8>>,
    /// The ten digits in the order of the keys.
    pub(crate) keys: [u8; 10],
    /// After a wrong PIN, until the next digit.
    pub(crate) tries_left: Option<u8>,
}

impl PinEntry {
    /// An empty pad with keys in a new order.
    pub(crate) fn new(draw: &mut Draw, tries_left: Option<u8>) -> Self {
        // Room from the start: growing would leave copies behind in freed memory.
        let digits = Zeroizing::new(Vec::with_capacity(PIN_LENGTH));
        Self { digits, keys: draw.shuffled_digits(), tries_left }
    }

    pub(crate) fn entered(&self) -> usize {
        self.digits.len()
    }

    pub(crate) fn push(&mut self, digit: u8) {
        if self.digits.len() < PIN_LENGTH && digit < 10 {
            self.digits.push(b'0' + digit);
            self.tries_left = None;
        }
    }

    pub(crate) fn erase(&mut self) {
        self.digits.pop();
    }

    /// The PIN, once it is whole.
    pub(crate) fn take(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        (self.digits.len() == PIN_LENGTH).then(|| std::mem::take(&mut self.digits))
    }
}

/// How far a holder's proof by PIN is.
pub(crate) enum PinProof {
    /// It is entered.
    Entering(PinEntry),
    /// The card checks it.
    AtCard,
    /// The card said yes, and the platform is told.
    AtPlatform,
    /// No tries are left.
    Locked,
    /// The card or the platform did not answer.
    Failed(Failure),
}

impl Kiosk {
    /// The pad on the screen.
    pub(crate) fn pin_mut(&mut self) -> Option<&mut PinEntry> {
        match &mut self.visit.as_mut()?.task {
            Task::Service(running) => running.state.pad(),
            Task::Proving(proving) => match &mut proving.by {
                By::Pin(PinProof::Entering(entry)) => Some(entry),
                By::Pin(_) | By::Phone { .. } => None,
            },
            Task::Reading { .. } | Task::Identifying { .. } | Task::Menu { .. } => None,
        }
    }

    /// The primary action while a holder proves themselves by PIN.
    pub(crate) fn go_on_with_pin(&mut self, turn: &mut Turn) {
        match self.proving_mut().map(|proving| &mut proving.by) {
            Some(By::Pin(PinProof::Entering(entry))) => {
                if let Some(pin) = entry.take() {
                    let check = self.start(turn, Work::VerifyPin(pin));
                    self.set_pin_proof(PinProof::AtCard, Some(check));
                }
            }
            Some(By::Pin(PinProof::Locked | PinProof::Failed(_))) => self.show_menu(false),
            Some(By::Pin(PinProof::AtCard | PinProof::AtPlatform) | By::Phone { .. }) | None => {}
        }
    }

    /// What the card says of a PIN that proves its holder.
    pub(crate) fn on_proof_pin(&mut self, turn: &mut Turn, answer: Result<Answer, Failure>) {
        let proof = match answer {
            Ok(Answer::Pin(PinAnswer::Verified)) => return self.report_pin(turn),
            Ok(Answer::Pin(PinAnswer::Wrong { tries_left: 0 } | PinAnswer::Locked)) => PinProof::Locked,
            Ok(Answer::Pin(PinAnswer::Wrong { tries_left })) => {
                PinProof::Entering(PinEntry::new(&mut turn.draw, Some(tries_left)))
            }
            Ok(
                Answer::Identified(_) | Answer::Called(_) | Answer::Evidence(_) | Answer::CardAuthority(_),
            )
            | Err(_) => PinProof::Failed(Failure::Device),
        };
        self.set_pin_proof(proof, None);
    }

    /// The platform opens what needs a proof only for visits of which it has heard one.
    fn report_pin(&mut self, turn: &mut Turn) {
        let key = self.visit.as_ref().and_then(|visit| visit.person.as_ref()?.key.clone());
        let Some(key) = key else {
            return self.set_pin_proof(PinProof::Failed(Failure::Unreachable), None);
        };
        let check = self.start(turn, Work::Prove(EvidenceRequest { key, given: Given::CardPin }));
        self.set_pin_proof(PinProof::AtPlatform, Some(check));
    }

    /// What the platform says to a PIN that the card verified.
    pub(crate) fn on_pin_reported(&mut self, turn: &mut Turn, answer: Result<Answer, Failure>) {
        let failure = match answer {
            Ok(Answer::Evidence(EvidenceAnswer { evidence: Evidence::AuthenticatedCardPin, level }))
                if level >= Level::Proven =>
            {
                return self.proven(turn, Evidence::AuthenticatedCardPin);
            }
            Err(Failure::Problem(ProblemCode::VisitExpired)) => {
                return self.refuse(turn, Refusal::VisitExpired);
            }
            Err(failure) => failure,
            Ok(
                Answer::Evidence(_)
                | Answer::Identified(_)
                | Answer::Called(_)
                | Answer::Pin(_)
                | Answer::CardAuthority(_),
            ) => Failure::Nonsense,
        };
        self.set_pin_proof(PinProof::Failed(failure), None);
    }

    fn set_pin_proof(&mut self, proof: PinProof, check: Option<(crate::Ticket, crate::Mono)>) {
        if let Some(Proving { by, check: waits, .. }) = self.proving_mut() {
            (*by, *waits) = (By::Pin(proof), check);
        }
        self.attend();
    }
}
