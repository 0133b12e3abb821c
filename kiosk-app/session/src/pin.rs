//! A card's PIN: entered on a shuffled pad, verified by the card, never stored. The PIN confirms a payment. On an
//! authenticated card it also proves the holder's identity, after it was reported to the platform.

use contract::{Evidence, EvidenceRequest, Given};
use view::{Text, TextId};
use zeroize::Zeroizing;

use crate::draw::Draw;
use crate::effect::Work;
use crate::event::{Answer, Failure, PinAnswer};
use crate::kiosk::{Kiosk, Turn};
use crate::prove::{By, Proving};
use crate::visit::Task;

/// Digits of the PIN of a social security card (社会保障卡).
pub(crate) const PIN_LENGTH: usize = 6;

/// A PIN being entered; wiped on drop.
pub(crate) struct PinEntry {
    digits: Zeroizing<Vec<u8>>,
    /// The ten digits in the order of the keys.
    pub(crate) keys: [u8; 10],
    /// What was wrong with the last entry, until the next digit.
    pub(crate) problem: Option<Text>,
}

impl PinEntry {
    /// An empty pad with keys in a new order.
    pub(crate) fn new(draw: &mut Draw, problem: Option<Text>) -> Self {
        // Allocated at full capacity: growing would leave copies in freed memory.
        let digits = Zeroizing::new(Vec::with_capacity(PIN_LENGTH));
        Self { digits, keys: draw.shuffled_digits(), problem }
    }

    /// An empty pad with keys in a new order; `tries_left` after a wrong PIN.
    pub(crate) fn after_wrong(draw: &mut Draw, tries_left: Option<u8>) -> Self {
        let problem = tries_left.map(|left| Text::With(TextId::PinWrong, vec![left.to_string()]));
        Self::new(draw, problem)
    }

    pub(crate) fn entered(&self) -> usize {
        self.digits.len()
    }

    pub(crate) fn push(&mut self, digit: u8) {
        if self.digits.len() < PIN_LENGTH && digit < 10 {
            self.digits.push(b'0' + digit);
            self.problem = None;
        }
    }

    pub(crate) fn erase(&mut self) {
        self.digits.pop();
    }

    /// Takes the PIN out when it is complete.
    pub(crate) fn take(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        (self.digits.len() == PIN_LENGTH).then(|| std::mem::take(&mut self.digits))
    }
}

/// Result of the verification or change of a PIN by the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Yes,
    Wrong {
        /// At least one.
        tries_left: u8,
    },
    /// No tries are left.
    Locked,
    /// The card does not support the operation.
    No,
    /// Unknown outcome: no answer or an invalid one; the card may or may not have carried it out.
    Nothing,
}

impl Said {
    pub(crate) const fn of(answer: &Result<Answer, Failure>) -> Self {
        let Ok(Answer::Pin(pin)) = answer else { return Self::Nothing };
        match *pin {
            PinAnswer::Verified => Self::Yes,
            PinAnswer::Wrong { tries_left: 0 } | PinAnswer::Locked => Self::Locked,
            PinAnswer::Wrong { tries_left } => Self::Wrong { tries_left },
            PinAnswer::NotPossible => Self::No,
        }
    }
}

/// Progress of a step-up by PIN.
pub(crate) enum PinProof {
    /// The PIN is being entered.
    Entering(PinEntry),
    /// The card is verifying the PIN.
    AtCard,
    /// The card verified the PIN, and the platform is being informed.
    AtPlatform,
    /// No tries are left.
    Locked,
    /// The card or the platform failed.
    Failed(Failure),
}

impl Kiosk {
    /// The PIN entry on the screen, if there is one.
    pub(crate) fn pin_mut(&mut self) -> Option<&mut PinEntry> {
        match &mut self.visit.as_mut()?.task {
            Task::Service(running) => running.state.pad_mut(),
            Task::Proving(step_up) => match &mut step_up.by {
                By::Pin(PinProof::Entering(entry)) => Some(entry),
                By::Pin(_) | By::Phone { .. } => None,
            },
            Task::Reading { .. } | Task::Identifying { .. } | Task::Menu { .. } => None,
        }
    }

    /// Handles the primary action during a step-up by PIN.
    pub(crate) fn go_on_with_pin(&mut self, builder: &mut Turn) {
        match self.proving_mut().map(|step_up| &mut step_up.by) {
            Some(By::Pin(PinProof::Entering(entry))) => {
                if let Some(pin) = entry.take() {
                    let check = self.start(builder, Work::VerifyPin(pin));
                    self.set_pin_proof(PinProof::AtCard, Some(check));
                }
            }
            Some(By::Pin(PinProof::Locked | PinProof::Failed(_))) => self.show_menu(false),
            Some(By::Pin(PinProof::AtCard | PinProof::AtPlatform) | By::Phone { .. }) | None => {}
        }
    }

    /// Handles the card's result of a PIN entered for a step-up.
    pub(crate) fn on_proof_pin(&mut self, builder: &mut Turn, result: Said) {
        let proof = match result {
            Said::Yes => return self.report_pin(builder),
            Said::Wrong { tries_left } => {
                PinProof::Entering(PinEntry::after_wrong(&mut builder.draw, Some(tries_left)))
            }
            Said::Locked => PinProof::Locked,
            Said::No | Said::Nothing => PinProof::Failed(Failure::Device),
        };
        self.set_pin_proof(proof, None);
    }

    /// Reports the verified PIN to the platform, which grants level 2 only to visits with reported evidence.
    fn report_pin(&mut self, builder: &mut Turn) {
        let key = self.visit.as_ref().and_then(|visit| visit.person.as_ref()?.key.clone());
        let Some(key) = key else {
            return self.set_pin_proof(PinProof::Failed(Failure::Unreachable), None);
        };
        let check = self.start(builder, Work::Prove(EvidenceRequest { key, given: Given::CardPin }));
        self.set_pin_proof(PinProof::AtPlatform, Some(check));
    }

    /// Handles the platform's answer to the report of a verified PIN.
    pub(crate) fn on_pin_reported(&mut self, builder: &mut Turn, checked: Result<(), Failure>) {
        match checked {
            Ok(()) => self.proven(builder, Evidence::AuthenticatedCardPin),
            Err(failure) => self.set_pin_proof(PinProof::Failed(failure), None),
        }
    }

    fn set_pin_proof(&mut self, proof: PinProof, check: Option<(crate::Ticket, crate::Mono)>) {
        if let Some(Proving { by, check: waits, .. }) = self.proving_mut() {
            (*by, *waits) = (By::Pin(proof), check);
        }
        self.attend();
    }
}
