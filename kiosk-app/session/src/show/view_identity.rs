//! View identity: what must be unchanged for a touch to keep its meaning.

use contract::VisitId;
use view::{Lang, Theme};

use crate::kiosk::Kiosk;
use crate::pin::PinStepUp;
use crate::step_up::{ProofMethod, StepUp};
use crate::visit::{StepState, Task, Visit};

/// Everything that decides the meaning of a touch. The digits of a PIN and the rows chosen so far are excluded, since
/// they change with each touch on the same view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ViewIdentity {
    lang: Lang,
    theme: Theme,
    visit: Option<VisitId>,
    notice: bool,
    /// Count of a gate's verdicts: each verdict is a view of its own.
    gate_verdicts: u64,
    staff: bool,
    task: TaskIdentity,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum TaskIdentity {
    #[default]
    Idle,
    Working,
    /// The menu; a disabled tile has another meaning than an enabled one.
    Menu {
        online: bool,
    },
    /// A wrong PIN shuffles the keys: a digit meant for the old ones must not land on the new.
    StepUp {
        state: u8,
        keys: Option<[u8; 10]>,
    },
    /// Service, step, state of the step, page, key order of a PIN pad, and the print state that decides the buttons.
    Step {
        service: String,
        step_index: usize,
        state: u8,
        page: usize,
        keys: Option<[u8; 10]>,
        print_state: Option<crate::print_job::PrintState>,
    },
}

impl ViewIdentity {
    pub(crate) fn of_kiosk(kiosk: &Kiosk) -> Self {
        let shown_in = match (&kiosk.visit, &kiosk.notice) {
            (Some(visit), _) => (visit.lang, visit.theme),
            (None, Some(notice)) => (notice.lang, notice.theme),
            (None, None) => (kiosk.idle_screen.lang, kiosk.idle_screen.theme),
        };
        Self {
            lang: shown_in.0,
            theme: shown_in.1,
            visit: kiosk.visit.as_ref().map(|visit| visit.id),
            notice: kiosk.visit.is_none() && kiosk.notice.is_some(),
            gate_verdicts: kiosk.gate.verdicts,
            staff: kiosk.staff_sign_in.is_some(),
            task: kiosk.visit.as_ref().map_or(TaskIdentity::Idle, |visit| task_identity(kiosk, visit)),
        }
    }
}

fn task_identity(kiosk: &Kiosk, visit: &Visit) -> TaskIdentity {
    let running = match &visit.task {
        Task::Reading { .. } | Task::Identifying { .. } => return TaskIdentity::Working,
        Task::Menu { .. } => return TaskIdentity::Menu { online: kiosk.online },
        Task::StepUp(step_up) => return step_up_identity(step_up),
        Task::Service(running) => running,
    };
    let (state, page, receipt) = match &running.state {
        StepState::Consent => (0, 0, None),
        StepState::Querying { .. } => (1, 0, None),
        StepState::QueryFailed(_) => (2, 0, None),
        StepState::NothingFound(_) => (3, 0, None),
        StepState::Show => (4, 0, None),
        StepState::Choose { page, .. } => (5, *page, None),
        StepState::NoPaymentMethod => (6, 0, None),
        StepState::PaymentsSuspended => (15, 0, None),
        StepState::Confirm { .. } => (7, 0, None),
        StepState::Pin { .. } => (8, 0, None),
        StepState::PinVerifying { .. } => (9, 0, None),
        StepState::PinLocked => (10, 0, None),
        StepState::PinFailed => (11, 0, None),
        StepState::Paying { slow, .. } => (12, usize::from(*slow), None),
        StepState::ShowCode => (16, 0, None),
        StepState::PinChangeEntry(_) => (17, 0, None),
        StepState::PinChanging { .. } => (18, 0, None),
        StepState::PinChanged => (19, 0, None),
        StepState::PinChangeFailed(_) => (20, 0, None),
        StepState::Settled { receipt, .. } => (13, 0, Some(*receipt)),
        StepState::Printing { receipt } => (14, 0, Some(*receipt)),
    };
    let paper = receipt.and_then(|receipt| kiosk.print_state(receipt)).copied();
    let keys = running.state.pin_entry().map(|pad| pad.keys);
    TaskIdentity::Step {
        service: running.doc.id.clone(),
        step_index: running.step_index,
        state,
        page,
        keys,
        print_state: paper,
    }
}

fn step_up_identity(step_up: &StepUp) -> TaskIdentity {
    let (state, keys) = match &step_up.method {
        ProofMethod::Phone { .. } => (u8::from(step_up.pending.is_some()), None),
        ProofMethod::Pin(PinStepUp::Entering(entry)) => (2, Some(entry.keys)),
        ProofMethod::Pin(PinStepUp::CardVerifying | PinStepUp::Reporting) => (3, None),
        ProofMethod::Pin(PinStepUp::Locked | PinStepUp::Failed(_)) => (4, None),
    };
    TaskIdentity::StepUp { state, keys }
}
