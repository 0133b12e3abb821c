//! Change of a card's PIN: the current PIN, the new PIN, and the new PIN again. The card makes the change. The digits
//! are held only here, and are wiped.

use contract::{Entry, IdentificationMethod};
use view::{Text, TextId};
use zeroize::Zeroizing;

use crate::effect::Work;
use crate::kiosk::{Kiosk, TransitionBuilder};
use crate::pin::{PIN_LENGTH, PinEntry, PinResult};
use crate::visit::{IdentifiedResident, StepState};

type PinDigits = Zeroizing<Vec<u8>>;

/// A PIN change that is being entered (修改密码).
pub(crate) struct PinChange {
    pub(crate) stage: PinChangeStage,
    pub(crate) entry: PinEntry,
}

/// Which PIN is being entered.
pub(crate) enum PinChangeStage {
    /// The current PIN.
    Old,
    /// The new PIN.
    New { old: PinDigits },
    /// The new PIN, repeated.
    Repeat { old: PinDigits, new: PinDigits },
}

/// Why a PIN is not known to be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PinChangeFailure {
    /// No tries are left.
    Locked,
    /// The card does not support the change.
    Refused,
    /// Unknown outcome: the card did not answer, and may have changed the PIN.
    Unknown,
}

impl Kiosk {
    /// Starts with the current PIN; `tries_left` after a wrong one.
    pub(crate) fn ask_current_pin(&mut self, builder: &mut TransitionBuilder, tries_left: Option<u8>) {
        if self.visit.as_ref().is_some_and(|visit| visit.identification_method != IdentificationMethod::Card)
        {
            // There is no card whose PIN could be changed: the tile is disabled in that case.
            return self.show_menu(false);
        }
        let entry = PinEntry::after_wrong(&mut builder.entropy, tries_left);
        self.set_step_state(StepState::PinChangeEntry(Box::new(PinChange {
            stage: PinChangeStage::Old,
            entry,
        })));
    }

    /// Handles a complete entry: requests the next PIN, or has the card make the change.
    pub(crate) fn advance_pin_change(&mut self, builder: &mut TransitionBuilder) {
        let Some(running) = self.running_service_mut() else { return };
        let StepState::PinChangeEntry(pin) = &mut running.state else { return };
        let Some(digits) = pin.entry.take_pin() else { return };
        let stage = std::mem::replace(&mut pin.stage, PinChangeStage::Old);
        match stage {
            PinChangeStage::Old => self.ask_new_pin(builder, PinChangeStage::New { old: digits }, None),
            PinChangeStage::New { old } => match self.new_pin_problem(&old, &digits) {
                Some(problem) => self.ask_new_pin(builder, PinChangeStage::New { old }, Some(problem)),
                None => self.ask_new_pin(builder, PinChangeStage::Repeat { old, new: digits }, None),
            },
            PinChangeStage::Repeat { old, new } if new == digits => {
                let (ticket, deadline) = self.start_work(builder, Work::ChangePin { old, new });
                self.set_step_state(StepState::PinChanging { ticket, deadline });
            }
            PinChangeStage::Repeat { old, .. } => {
                self.ask_new_pin(builder, PinChangeStage::New { old }, Some(TextId::ChangePinDiffers));
            }
        }
    }

    fn ask_new_pin(
        &mut self,
        builder: &mut TransitionBuilder,
        stage: PinChangeStage,
        problem: Option<TextId>,
    ) {
        let entry = PinEntry::new(&mut builder.entropy, problem.map(Text::Id));
        self.set_step_state(StepState::PinChangeEntry(Box::new(PinChange { stage, entry })));
    }

    /// Why a new PIN is rejected; none when it is accepted.
    fn new_pin_problem(&self, old: &[u8], new: &[u8]) -> Option<TextId> {
        let person = self.visit.as_ref().and_then(|visit| visit.resident.as_ref());
        if old == new {
            Some(TextId::ChangePinSame)
        } else if is_digit_sequence(new)
            || person.is_some_and(|person| is_derived_from_id_number(person, new))
        {
            Some(TextId::ChangePinWeak)
        } else {
            None
        }
    }

    /// Handles the card's result of the change.
    pub(crate) fn on_pin_change_result(&mut self, builder: &mut TransitionBuilder, result: PinResult) {
        let state = match result {
            PinResult::Verified => {
                if let Some(visit) = &self.visit {
                    builder.record(&mut self.durable, Entry::PinChanged { visit: visit.id });
                }
                StepState::PinChanged
            }
            PinResult::Wrong { tries_left } => return self.ask_current_pin(builder, Some(tries_left)),
            PinResult::Locked => StepState::PinChangeFailed(PinChangeFailure::Locked),
            PinResult::Unsupported => StepState::PinChangeFailed(PinChangeFailure::Refused),
            PinResult::Unknown => StepState::PinChangeFailed(PinChangeFailure::Unknown),
        };
        self.set_step_state(state);
    }
}

/// True for six equal digits, or ascending or descending consecutive digits.
fn is_digit_sequence(pin: &[u8]) -> bool {
    let steps =
        |by: i16| pin.windows(2).all(|pair| matches!(pair, [a, b] if i16::from(*b) - i16::from(*a) == by));
    [0, 1, -1].into_iter().any(steps)
}

/// True for a PIN derived from the resident's ID number: its end, or the date of birth in either order of its parts.
fn is_derived_from_id_number(person: &IdentifiedResident, pin: &[u8]) -> bool {
    let number = person.id_number.as_bytes();
    let birth = number.get(6..14).unwrap_or_default();
    let day_first = match birth {
        [_, _, y1, y2, m1, m2, d1, d2] => Zeroizing::new(vec![*d1, *d2, *m1, *m2, *y1, *y2]),
        _ => Zeroizing::default(),
    };
    number.ends_with(pin) || birth.windows(PIN_LENGTH).any(|part| part == pin) || day_first.as_slice() == pin
}
