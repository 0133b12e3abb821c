//! Where a touch lands: what must be the same for a touch to still mean what it meant.

use contract::VisitId;
use view::{Lang, Theme};

use crate::kiosk::Kiosk;
use crate::pin::PinProof;
use crate::prove::{By, Proving};
use crate::visit::{StepState, Task, Visit};

/// Everything that decides what touches mean. Not the digits of a PIN and not the rows chosen so far:
/// those change under the finger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    lang: Lang,
    theme: Theme,
    visit: Option<VisitId>,
    closing: bool,
    /// Of a gate: each verdict is a view of its own, for whoever stands there next.
    verdicts: u64,
    staff: bool,
    spot: Spot,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Spot {
    #[default]
    Lobby,
    Working,
    /// The menu; greyed tiles mean something else than live ones.
    Menu {
        online: bool,
    },
    /// A wrong PIN shuffles the keys: a digit meant for the old ones must not land on the new.
    Proving {
        state: u8,
        keys: Option<[u8; 10]>,
    },
    /// Service, step, state of the step, page, the keys of a pad, and whether the paper's buttons are there.
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
        let manner = match (&kiosk.visit, &kiosk.closing) {
            (Some(visit), _) => (visit.lang, visit.theme),
            (None, Some(closing)) => (closing.lang, closing.theme),
            (None, None) => (kiosk.lobby.lang, kiosk.lobby.theme),
        };
        Self {
            lang: manner.0,
            theme: manner.1,
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
        Task::Proving(proving) => return of_proof(proving),
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

fn of_proof(proving: &Proving) -> Spot {
    let (state, keys) = match &proving.by {
        By::Phone { .. } => (u8::from(proving.check.is_some()), None),
        By::Pin(PinProof::Entering(entry)) => (2, Some(entry.keys)),
        By::Pin(PinProof::AtCard | PinProof::AtPlatform) => (3, None),
        By::Pin(PinProof::Locked | PinProof::Failed(_)) => (4, None),
    };
    Spot::Proving { state, keys }
}
