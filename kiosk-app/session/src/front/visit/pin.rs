//! A card's PIN: entered on a shuffled pad, verified by the card, never stored.

use contract::{EntropySource, IdentificationMethod};
use view::{Body, Intent, PinPad, Text, TextId};
use zeroize::Zeroizing;

use crate::content::{ViewContent, action, service_footer};
use crate::work::{Failure, PinAnswer, WorkAnswer};

/// Digits of the PIN of a social security card (社会保障卡).
pub(crate) const PIN_LENGTH: usize = 6;

/// A PIN being entered; wiped on drop.
pub(crate) struct PinEntry {
    digits: Zeroizing<Vec<u8>>,
    /// The ten digits in the order of the keys.
    keys: [u8; 10],
    /// What was wrong with the last entry, until the next digit.
    problem: Option<Text>,
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

    /// Handles a touch on the keys; false when it is no key.
    pub(crate) fn on_touch(&mut self, intent: Intent) -> bool {
        if let Intent::PinDigit(digit) = intent {
            if self.digits.len() < PIN_LENGTH && digit < 10 {
                self.digits.push(b'0' + digit);
                self.problem = None;
            }
            true
        } else if intent == Intent::PinErase {
            self.digits.pop();
            true
        } else {
            false
        }
    }

    pub(crate) fn content(&self, method: IdentificationMethod, title: TextId, lead: TextId) -> ViewContent {
        let entered = self.digits.len();
        let mut go = action(TextId::PinGo, true, Intent::Primary);
        go.enabled = entered == PIN_LENGTH;
        let body = Body::Pin(PinPad {
            entered: u8::try_from(entered).unwrap_or(u8::MAX),
            length: u8::try_from(PIN_LENGTH).unwrap_or(u8::MAX),
            keys: self.keys,
            problem: self.problem.clone(),
        });
        ViewContent {
            lead: Some(lead.into()),
            actions: vec![go],
            footer: service_footer(method),
            ..ViewContent::new(title, body)
        }
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
