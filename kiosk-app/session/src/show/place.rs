//! View identity: what must be unchanged for a touch to keep its meaning.

use contract::VisitId;
use view::{Lang, Theme};

use crate::kiosk::Kiosk;
use crate::pin::PinProof;
use crate::prove::{By, Proving};
use crate::visit::{StepState, Task, Visit};

/// Everything that decides the meaning of a touch. The digits of a PIN and the rows chosen so far are excluded, since
/// they change with each touch on the same view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    lang: Lang,
    theme: Theme,
    visit: Option<VisitId>,
    closing: bool,
    /// Count of a gate's verdicts: each verdict is a view of its own.
    verdicts: u64,
    staff: bool,
    spot: Spot,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Spot {
    #[default]
    Lobby,
    Working,
    /// The menu; a disabled tile has another meaning than an enabled one.
    Menu {
        online: bool,
    },
    /// A wrong PIN shuffles the keys: a digit meant for the old ones must not land on the new.
    Proving {
        state: u8,
        keys: Option<[u8; 10]>,
    },
    /// Service, step, state of the step, page, key order of a PIN pad, and the print state that decides the buttons.
    Step {
        service: String,
        at: usize,
        state: u8,
        page: usize,
        keys: Option<[u8; 10]>,
        paper: Option<crate::paper::PaperState>,
    },
}

impl Place {
    pub(crate) fn of(kiosk: &Kiosk) -> Self {
        let shown_in = match (&kiosk.visit, &kiosk.closing) {
            (Some(visit), _) => (visit.lang, visit.theme),
            (None, Some(notice)) => (notice.lang, notice.theme),
            (None, None) => (kiosk.lobby.lang, kiosk.lobby.theme),
        };
        Self {
            lang: shown_in.0,
            theme: shown_in.1,
            visit: kiosk.visit.as_ref().map(|visit| visit.id),
            closing: kiosk.visit.is_none() && kiosk.closing.is_some(),
            verdicts: kiosk.gate.verdicts,
            staff: kiosk.staff.is_some(),
            spot: kiosk.visit.as_ref().map_or(Spot::Lobby, |visit| spot(kiosk, visit)),
        }
    }
}

fn spot(kiosk: &Kiosk, visit: &Visit) -> Spot {
    let running = match &visit.task {
        Task::Reading { .. } | Task::Identifying { .. } => return Spot::Working,
        Task::Menu { .. } => return Spot::Menu { online: kiosk.online },
        Task::Proving(step_up) => return of_proof(step_up),
        Task::Service(running) => running,
    };
    let (state, page, receipt) = match &running.state {
        StepState::Consent => (0, 0, None),
        StepState::Querying { .. } => (1, 0, None),
        StepState::QueryFailed(_) => (2, 0, None),
        StepState::Nothing(_) => (3, 0, None),
        StepState::Show => (4, 0, None),
        StepState::Choose { page, .. } => (5, *page, None),
        StepState::NoMethod => (6, 0, None),
        StepState::MoneyOff => (15, 0, None),
        StepState::Confirm { .. } => (7, 0, None),
        StepState::Pin { .. } => (8, 0, None),
        StepState::PinCheck { .. } => (9, 0, None),
        StepState::PinLocked => (10, 0, None),
        StepState::PinFailed => (11, 0, None),
        StepState::Paying { slow, .. } => (12, usize::from(*slow), None),
        StepState::ShowCode => (16, 0, None),
        StepState::NewPin(_) => (17, 0, None),
        StepState::PinChanging { .. } => (18, 0, None),
        StepState::PinChanged => (19, 0, None),
        StepState::PinNotChanged(_) => (20, 0, None),
        StepState::Settled { receipt, .. } => (13, 0, Some(*receipt)),
        StepState::Printing { receipt } => (14, 0, Some(*receipt)),
    };
    let paper = receipt.and_then(|receipt| kiosk.paper_of(receipt)).copied();
    let keys = running.state.pad().map(|pad| pad.keys);
    Spot::Step { service: running.doc.id.clone(), at: running.at, state, page, keys, paper }
}

fn of_proof(step_up: &Proving) -> Spot {
    let (state, keys) = match &step_up.by {
        By::Phone { .. } => (u8::from(step_up.check.is_some()), None),
        By::Pin(PinProof::Entering(entry)) => (2, Some(entry.keys)),
        By::Pin(PinProof::AtCard | PinProof::AtPlatform) => (3, None),
        By::Pin(PinProof::Locked | PinProof::Failed(_)) => (4, None),
    };
    Spot::Proving { state, keys }
}
