//! Step kind `change-pin`: the current PIN of the card, the new PIN, and the new PIN again. The card makes the change. The
//! digits are held only here, and are wiped.

use contract::{Entry, IdentificationMethod};
use view::{Intent, OutcomeKind, Text, TextId};
use zeroize::Zeroizing;

use crate::content::{ViewContent, failure_content, final_content, plain_outcome, working_content};
use crate::front::notice::NoticeKind;
use crate::front::visit::data::IdentifiedResident;
use crate::front::visit::pin::{PIN_LENGTH, PinEntry, PinResult};
use crate::front::visit::step::{Entered, StepContext, StepFlow, StepState, StepView, close_by, leave_by};
use crate::work::{CardWork, Failure, PendingWork, WorkAnswer};

type PinDigits = Zeroizing<Vec<u8>>;

/// State of a change of PIN (修改密码).
enum ChangePin {
    Entering(Box<PinEntering>),
    Changing(PendingWork),
    Changed,
    Failed(PinChangeFailure),
}

/// One of the PINs is being entered.
struct PinEntering {
    stage: PinChangeStage,
    entry: PinEntry,
}

/// Which PIN is being entered.
enum PinChangeStage {
    /// The current PIN.
    Old,
    /// The new PIN.
    New { old: PinDigits },
    /// The new PIN, repeated.
    Repeat { old: PinDigits, new: PinDigits },
}

/// Why a PIN is not known to be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PinChangeFailure {
    /// No tries are left.
    Locked,
    /// The card does not support the change.
    Refused,
    /// Unknown outcome: the card did not answer, and may have changed the PIN.
    Unknown,
}

pub(super) fn enter(context: &mut StepContext<'_, '_>) -> Entered {
    if context.data.identification_method != IdentificationMethod::Card {
        // There is no card whose PIN could be changed: the tile is disabled in that case.
        return Entered::Flow(StepFlow::Menu { declined: false });
    }
    Entered::state(ChangePin::ask_current(context, None))
}

impl StepState for ChangePin {
    fn on_touch(&mut self, context: &mut StepContext<'_, '_>, intent: Intent) -> StepFlow {
        match self {
            Self::Entering(pin) => {
                if pin.entry.on_touch(intent) {
                    StepFlow::Stay
                } else if intent == Intent::Primary {
                    self.advance(context);
                    StepFlow::Stay
                } else {
                    leave_by(intent)
                }
            }
            Self::Changed if intent == Intent::Primary => StepFlow::Next,
            Self::Changed if intent == Intent::Back => StepFlow::Stay,
            Self::Changed => leave_by(intent),
            Self::Failed(_) => close_by(intent),
            Self::Changing(_) => StepFlow::Stay,
        }
    }

    fn on_answer(
        &mut self,
        context: &mut StepContext<'_, '_>,
        answer: Result<WorkAnswer, Failure>,
    ) -> StepFlow {
        *self = match PinResult::from_answer(&answer) {
            PinResult::Verified => {
                context.turn.record(Entry::PinChanged { visit: context.data.id });
                Self::Changed
            }
            PinResult::Wrong { tries_left } => Self::ask_current(context, Some(tries_left)),
            PinResult::Locked => Self::Failed(PinChangeFailure::Locked),
            PinResult::Unsupported => Self::Failed(PinChangeFailure::Refused),
            PinResult::Unknown => Self::Failed(PinChangeFailure::Unknown),
        };
        StepFlow::Stay
    }

    fn pending(&self) -> Option<PendingWork> {
        if let Self::Changing(work) = self { Some(*work) } else { None }
    }

    fn notice_left_behind(&self) -> Option<NoticeKind> {
        matches!(self, Self::Changing(_)).then_some(NoticeKind::PinChangeUnknown)
    }

    fn content(&self, view: StepView<'_>) -> ViewContent {
        let method = view.data.identification_method;
        match self {
            Self::Entering(pin) => {
                let (title, lead) = match &pin.stage {
                    PinChangeStage::Old => (TextId::ChangePinOld, TextId::PinLead),
                    PinChangeStage::New { .. } => (TextId::ChangePinNew, TextId::ChangePinNewLead),
                    PinChangeStage::Repeat { .. } => (TextId::ChangePinAgain, TextId::PinLead),
                };
                pin.entry.content(method, title, lead)
            }
            Self::Changing(_) => working_content(method, TextId::ChangePinWorking, TextId::IdentifyingDetail),
            Self::Changed => {
                let (word, detail) = (TextId::ChangePinDone, TextId::ChangePinDoneDetail);
                let outcome = plain_outcome(OutcomeKind::Done, word, detail);
                final_content(method, word, outcome, TextId::Finish)
            }
            Self::Failed(PinChangeFailure::Locked) => {
                failure_content(method, TextId::PinLocked, TextId::ProvePinLockedDetail, None)
            }
            Self::Failed(PinChangeFailure::Refused) => {
                failure_content(method, TextId::ChangePinFailed, TextId::ChangePinFailedDetail, None)
            }
            Self::Failed(PinChangeFailure::Unknown) => {
                let (word, detail) = (TextId::ChangePinUnclear, TextId::ChangePinUnclearDetail);
                let outcome = plain_outcome(OutcomeKind::Unknown, word, detail);
                final_content(method, TextId::ClosingPinTitle, outcome, TextId::BackToMenu)
            }
        }
    }
}

impl ChangePin {
    /// Starts with the current PIN; `tries_left` after a wrong one.
    fn ask_current(context: &mut StepContext<'_, '_>, tries_left: Option<u8>) -> Self {
        let entry = PinEntry::after_wrong(context.turn.entropy(), tries_left);
        Self::Entering(Box::new(PinEntering { stage: PinChangeStage::Old, entry }))
    }

    fn ask_new(context: &mut StepContext<'_, '_>, stage: PinChangeStage, problem: Option<TextId>) -> Self {
        let entry = PinEntry::new(context.turn.entropy(), problem.map(Text::Id));
        Self::Entering(Box::new(PinEntering { stage, entry }))
    }

    /// Handles a complete entry: requests the next PIN, or has the card make the change.
    fn advance(&mut self, context: &mut StepContext<'_, '_>) {
        let Self::Entering(pin) = self else { return };
        let Some(digits) = pin.entry.take_pin() else { return };
        *self = match std::mem::replace(&mut pin.stage, PinChangeStage::Old) {
            PinChangeStage::Old => Self::ask_new(context, PinChangeStage::New { old: digits }, None),
            PinChangeStage::New { old } => {
                match new_pin_problem(context.data.resident.as_ref(), &old, &digits) {
                    Some(problem) => Self::ask_new(context, PinChangeStage::New { old }, Some(problem)),
                    None => Self::ask_new(context, PinChangeStage::Repeat { old, new: digits }, None),
                }
            }
            PinChangeStage::Repeat { old, new } if new == digits => {
                let work = CardWork::ChangePin { old, new };
                Self::Changing(context.components.start_card_work(context.turn, work))
            }
            PinChangeStage::Repeat { old, .. } => {
                Self::ask_new(context, PinChangeStage::New { old }, Some(TextId::ChangePinDiffers))
            }
        };
    }
}

/// Why a new PIN is rejected; none when it is accepted.
fn new_pin_problem(person: Option<&IdentifiedResident>, old: &[u8], new: &[u8]) -> Option<TextId> {
    if old == new {
        Some(TextId::ChangePinSame)
    } else if is_digit_sequence(new) || person.is_some_and(|person| is_derived_from_id_number(person, new)) {
        Some(TextId::ChangePinWeak)
    } else {
        None
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
