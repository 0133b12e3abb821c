//! Change of a card's PIN: the current PIN, the new PIN, and the new PIN again. The card makes the change. The digits
//! are held only here, and are wiped.

use contract::{Entry, Way};
use view::{Text, TextId};
use zeroize::Zeroizing;

use crate::effect::Work;
use crate::kiosk::{Kiosk, Turn};
use crate::pin::{PIN_LENGTH, PinEntry, Said};
use crate::visit::{Person, StepState};

type Digits = Zeroizing<Vec<u8>>;

/// A PIN change that is being entered (修改密码).
pub(crate) struct NewPin {
    pub(crate) stage: Stage,
    pub(crate) entry: PinEntry,
}

/// Which PIN is being entered.
pub(crate) enum Stage {
    /// The current PIN.
    Old,
    /// The new PIN.
    New { old: Digits },
    /// The new PIN, repeated.
    Again { old: Digits, new: Digits },
}

/// Why a PIN is not known to be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unchanged {
    /// No tries are left.
    Locked,
    /// The card does not support the change.
    Refused,
    /// Unknown outcome: the card did not answer, and may have changed the PIN.
    Unclear,
}

impl Kiosk {
    /// Starts with the current PIN; `tries_left` after a wrong one.
    pub(crate) fn ask_old_pin(&mut self, builder: &mut Turn, tries_left: Option<u8>) {
        if self.visit.as_ref().is_some_and(|visit| visit.way != Way::Card) {
            // There is no card whose PIN could be changed: the tile is disabled in that case.
            return self.show_menu(false);
        }
        let entry = PinEntry::after_wrong(&mut builder.draw, tries_left);
        self.set_state(StepState::NewPin(Box::new(NewPin { stage: Stage::Old, entry })));
    }

    /// Handles a complete entry: requests the next PIN, or has the card make the change.
    pub(crate) fn take_new_pin(&mut self, builder: &mut Turn) {
        let Some(running) = self.running_mut() else { return };
        let StepState::NewPin(pin) = &mut running.state else { return };
        let Some(digits) = pin.entry.take() else { return };
        let stage = std::mem::replace(&mut pin.stage, Stage::Old);
        match stage {
            Stage::Old => self.ask_new_pin(builder, Stage::New { old: digits }, None),
            Stage::New { old } => match self.refusal_of_pin(&old, &digits) {
                Some(problem) => self.ask_new_pin(builder, Stage::New { old }, Some(problem)),
                None => self.ask_new_pin(builder, Stage::Again { old, new: digits }, None),
            },
            Stage::Again { old, new } if new == digits => {
                let (ticket, deadline) = self.start(builder, Work::ChangePin { old, new });
                self.set_state(StepState::PinChanging { ticket, deadline });
            }
            Stage::Again { old, .. } => {
                self.ask_new_pin(builder, Stage::New { old }, Some(TextId::ChangePinDiffers));
            }
        }
    }

    fn ask_new_pin(&mut self, builder: &mut Turn, stage: Stage, problem: Option<TextId>) {
        let entry = PinEntry::new(&mut builder.draw, problem.map(Text::Id));
        self.set_state(StepState::NewPin(Box::new(NewPin { stage, entry })));
    }

    /// Why a new PIN is rejected; none when it is accepted.
    fn refusal_of_pin(&self, old: &[u8], new: &[u8]) -> Option<TextId> {
        let person = self.visit.as_ref().and_then(|visit| visit.person.as_ref());
        if old == new {
            Some(TextId::ChangePinSame)
        } else if is_run(new) || person.is_some_and(|person| is_about(person, new)) {
            Some(TextId::ChangePinWeak)
        } else {
            None
        }
    }

    /// Handles the card's result of the change.
    pub(crate) fn on_pin_changed(&mut self, builder: &mut Turn, result: Said) {
        let state = match result {
            Said::Yes => {
                if let Some(visit) = &self.visit {
                    builder.out.record(Entry::PinChanged { visit: visit.id });
                }
                StepState::PinChanged
            }
            Said::Wrong { tries_left } => return self.ask_old_pin(builder, Some(tries_left)),
            Said::Locked => StepState::PinNotChanged(Unchanged::Locked),
            Said::No => StepState::PinNotChanged(Unchanged::Refused),
            Said::Nothing => StepState::PinNotChanged(Unchanged::Unclear),
        };
        self.set_state(state);
    }
}

/// True for six equal digits, or ascending or descending consecutive digits.
fn is_run(pin: &[u8]) -> bool {
    let steps =
        |by: i16| pin.windows(2).all(|pair| matches!(pair, [a, b] if i16::from(*b) - i16::from(*a) == by));
    [0, 1, -1].into_iter().any(steps)
}

/// True for a PIN derived from the resident's ID number: its end, or the date of birth in either order of its parts.
fn is_about(person: &Person, pin: &[u8]) -> bool {
    let number = person.id_number.as_bytes();
    let birth = number.get(6..14).unwrap_or_default();
    let day_first = match birth {
        [_, _, y1, y2, m1, m2, d1, d2] => Zeroizing::new(vec![*d1, *d2, *m1, *m2, *y1, *y2]),
        _ => Zeroizing::default(),
    };
    number.ends_with(pin) || birth.windows(PIN_LENGTH).any(|part| part == pin) || day_first.as_slice() == pin
}
