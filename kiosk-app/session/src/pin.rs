//! A card's PIN: entered on a shuffled pad, verified by the card, never stored. The PIN confirms a payment. On an
//! authenticated card it also proves the holder's identity, after it was reported to the platform.

use contract::{EntropySource, Evidence, EvidenceRequest, StepUpProof};
use view::{Text, TextId};
use zeroize::Zeroizing;

use crate::effect::Work;
use crate::event::{Failure, PinAnswer, WorkAnswer};
use crate::kiosk::{Kiosk, TransitionBuilder};
use crate::step_up::{ProofMethod, StepUp};
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
    pub(crate) fn new(draw: &mut EntropySource, problem: Option<Text>) -> Self {
        // Allocated at full capacity: growing would leave copies in freed memory.
        let digits = Zeroizing::new(Vec::with_capacity(PIN_LENGTH));
        Self { digits, keys: shuffled_digits(draw), problem }
    }

    /// An empty pad with keys in a new order; `tries_left` after a wrong PIN.
    pub(crate) fn after_wrong(draw: &mut EntropySource, tries_left: Option<u8>) -> Self {
        let problem = tries_left.map(|left| Text::With(TextId::PinWrong, vec![left.to_string()]));
        Self::new(draw, problem)
    }

    pub(crate) fn digits_entered(&self) -> usize {
        self.digits.len()
    }

    pub(crate) fn push_digit(&mut self, digit: u8) {
        if self.digits.len() < PIN_LENGTH && digit < 10 {
            self.digits.push(b'0' + digit);
            self.problem = None;
        }
    }

    pub(crate) fn erase_digit(&mut self) {
        self.digits.pop();
    }

    /// Takes the PIN out when it is complete.
    pub(crate) fn take_pin(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        (self.digits.len() == PIN_LENGTH).then(|| std::mem::take(&mut self.digits))
    }
}

/// Result of the verification or change of a PIN by the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PinResult {
    Verified,
    Wrong {
        /// At least one.
        tries_left: u8,
    },
    /// No tries are left.
    Locked,
    /// The card does not support the operation.
    Unsupported,
    /// Unknown outcome: no answer or an invalid one; the card may or may not have carried it out.
    Unknown,
}

impl PinResult {
    pub(crate) const fn from_answer(answer: &Result<WorkAnswer, Failure>) -> Self {
        let Ok(WorkAnswer::Pin(pin)) = answer else { return Self::Unknown };
        match *pin {
            PinAnswer::Verified => Self::Verified,
            PinAnswer::Wrong { tries_left: 0 } | PinAnswer::Locked => Self::Locked,
            PinAnswer::Wrong { tries_left } => Self::Wrong { tries_left },
            PinAnswer::Unsupported => Self::Unsupported,
        }
    }
}

/// Progress of a step-up by PIN.
pub(crate) enum PinStepUp {
    /// The PIN is being entered.
    Entering(PinEntry),
    /// The card is verifying the PIN.
    CardVerifying,
    /// The card verified the PIN, and the platform is being informed.
    Reporting,
    /// No tries are left.
    Locked,
    /// The card or the platform failed.
    Failed(Failure),
}

impl Kiosk {
    /// The PIN entry on the screen, if there is one.
    pub(crate) fn pin_entry_mut(&mut self) -> Option<&mut PinEntry> {
        match &mut self.visit.as_mut()?.task {
            Task::Service(running) => running.state.pin_entry_mut(),
            Task::StepUp(step_up) => match &mut step_up.method {
                ProofMethod::Pin(PinStepUp::Entering(entry)) => Some(entry),
                ProofMethod::Pin(_) | ProofMethod::Phone { .. } => None,
            },
            Task::Reading { .. } | Task::Identifying { .. } | Task::Menu { .. } => None,
        }
    }

    /// Handles the primary action during a step-up by PIN.
    pub(crate) fn advance_pin_step_up(&mut self, builder: &mut TransitionBuilder) {
        match self.step_up_mut().map(|step_up| &mut step_up.method) {
            Some(ProofMethod::Pin(PinStepUp::Entering(entry))) => {
                if let Some(pin) = entry.take_pin() {
                    let check = self.start_work(builder, Work::VerifyPin(pin));
                    self.set_pin_step_up(PinStepUp::CardVerifying, Some(check));
                }
            }
            Some(ProofMethod::Pin(PinStepUp::Locked | PinStepUp::Failed(_))) => self.show_menu(false),
            Some(
                ProofMethod::Pin(PinStepUp::CardVerifying | PinStepUp::Reporting) | ProofMethod::Phone { .. },
            )
            | None => {}
        }
    }

    /// Handles the card's result of a PIN entered for a step-up.
    pub(crate) fn on_step_up_pin_result(&mut self, builder: &mut TransitionBuilder, result: PinResult) {
        let proof = match result {
            PinResult::Verified => return self.report_pin_evidence(builder),
            PinResult::Wrong { tries_left } => {
                PinStepUp::Entering(PinEntry::after_wrong(&mut builder.entropy, Some(tries_left)))
            }
            PinResult::Locked => PinStepUp::Locked,
            PinResult::Unsupported | PinResult::Unknown => PinStepUp::Failed(Failure::DeviceFailed),
        };
        self.set_pin_step_up(proof, None);
    }

    /// Reports the verified PIN to the platform, which grants level 2 only to visits with reported evidence.
    fn report_pin_evidence(&mut self, builder: &mut TransitionBuilder) {
        let key = self.visit.as_ref().and_then(|visit| visit.resident.as_ref()?.visit_key.clone());
        let Some(key) = key else {
            return self.set_pin_step_up(PinStepUp::Failed(Failure::Unreachable), None);
        };
        let check = self
            .start_work(builder, Work::ReportEvidence(EvidenceRequest { key, given: StepUpProof::CardPin }));
        self.set_pin_step_up(PinStepUp::Reporting, Some(check));
    }

    /// Handles the platform's answer to the report of a verified PIN.
    pub(crate) fn on_pin_evidence_answer(
        &mut self,
        builder: &mut TransitionBuilder,
        checked: Result<(), Failure>,
    ) {
        match checked {
            Ok(()) => self.complete_step_up(builder, Evidence::AuthenticatedCardPin),
            Err(failure) => self.set_pin_step_up(PinStepUp::Failed(failure), None),
        }
    }

    fn set_pin_step_up(&mut self, proof: PinStepUp, check: Option<(crate::Ticket, crate::MonotonicMs)>) {
        if let Some(StepUp { method: by, pending: waits, .. }) = self.step_up_mut() {
            (*by, *waits) = (ProofMethod::Pin(proof), check);
        }
        self.reset_idle_timer();
    }
}

/// The ten digits in random order (Fisher–Yates; the bias of `% n` over 128 bits is below 2⁻¹²⁴).
fn shuffled_digits(entropy: &mut EntropySource) -> [u8; 10] {
    let mut digits = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
    let mut bits = entropy.next_u128();
    for left in (2..=10_u8).rev() {
        let at = usize::try_from(bits % u128::from(left)).unwrap_or(0);
        digits.swap(at, usize::from(left - 1));
        bits /= u128::from(left);
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shuffled_digits_are_a_permutation_of_ten() {
        let mut seen = std::collections::BTreeSet::new();
        for entropy in 0..50 {
            let keys = shuffled_digits(&mut EntropySource::new("draw", entropy));
            let mut sorted = keys;
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
            seen.insert(keys);
        }
        assert!(seen.len() > 45);
    }
}
