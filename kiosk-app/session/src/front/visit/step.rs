//! What every step kind of a service is to the interpreter.

use std::sync::Arc;

use view::{Intent, TextId};

use crate::components::{Components, Status};
use crate::content::ViewContent;
use crate::front::notice::NoticeKind;
use crate::front::visit::data::{Progress, VisitData};
use crate::refusal::VisitRefusal;
use crate::time::MonotonicMs;
use crate::transition::Turn;
use crate::work::{Failure, PendingWork, WorkAnswer};
use contract::{OrderId, ServiceDocument};

/// State of the current step of a service. A step kind (步骤) is one file in `steps/`: it enters, handles touches and answers,
/// and has content.
pub(crate) trait StepState {
    /// Handles a touch that is about this step.
    fn on_touch(&mut self, context: &mut StepContext<'_, '_>, intent: Intent) -> StepFlow;

    /// Handles the answer to the pending work.
    fn on_answer(
        &mut self,
        _context: &mut StepContext<'_, '_>,
        _answer: Result<WorkAnswer, Failure>,
    ) -> StepFlow {
        StepFlow::Stay
    }

    /// Whether a code that is scanned now is for this step.
    fn takes_codes(&self) -> bool {
        false
    }

    /// Handles a scanned code, where the step takes codes.
    fn on_code(&mut self, _context: &mut StepContext<'_, '_>, _scanned: &[u8]) -> StepFlow {
        StepFlow::Stay
    }

    /// The work that the step waits for.
    fn pending(&self) -> Option<PendingWork> {
        None
    }

    /// While work is pending nothing can be touched but *exit*, and the idle timer stands.
    fn is_working(&self) -> bool {
        self.pending().is_some()
    }

    /// False while a touch meant for something else must not leave the step.
    fn may_leave(&self) -> bool {
        true
    }

    /// When [`Self::on_deadline`] is due, beside the deadline of pending work.
    fn deadline(&self) -> Option<MonotonicMs> {
        None
    }

    fn on_deadline(&mut self) {}

    /// Whether this step shows the state of this order.
    fn is_about_order(&self, _order: OrderId) -> bool {
        false
    }

    /// An answer about this order came, and its outcome is still unknown.
    fn on_outcome_unknown(&mut self) {}

    /// True while the resident is expected to use a phone and so does not touch the screen.
    fn is_using_phone(&self) -> bool {
        false
    }

    /// What the resident must still read if the visit ends now.
    fn notice_left_behind(&self) -> Option<NoticeKind> {
        None
    }

    /// Which of the step's names in the bar is the current one.
    fn place_in_bar(&self, names: &[TextId]) -> usize {
        names.len().saturating_sub(1)
    }

    fn content(&self, view: StepView<'_>) -> ViewContent;
}

/// What a step acts with.
pub(crate) struct StepContext<'a, 'turn> {
    pub(crate) components: &'a mut Components,
    pub(crate) turn: &'a mut Turn<'turn>,
    pub(crate) data: &'a mut VisitData,
    pub(crate) progress: &'a mut Progress,
}

/// What a step is shown with.
#[derive(Clone, Copy)]
pub(crate) struct StepView<'a> {
    pub(crate) status: Status<'a>,
    pub(crate) data: &'a VisitData,
    pub(crate) progress: &'a Progress,
}

/// How the service goes on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum StepFlow {
    /// With this step.
    Stay,
    /// With the next step, or the menu after the last.
    Next,
    /// With the step to which *back* leads, or the menu.
    Previous,
    /// With this step, entered anew.
    Again,
    /// With the menu.
    Menu { declined: bool },
    /// With another service in place of this one.
    Open(Arc<ServiceDocument>),
    /// The visit ends.
    Exit,
    /// The visit cannot go on.
    Refuse(VisitRefusal),
}

/// How a step begins.
pub(crate) enum Entered {
    State(Box<dyn StepState>),
    Flow(StepFlow),
}

impl Entered {
    pub(crate) fn state(state: impl StepState + 'static) -> Self {
        Self::State(Box::new(state))
    }
}

/// The flow of a touch on a view whose primary action leads to the menu, too.
pub(crate) const fn close_by(intent: Intent) -> StepFlow {
    if matches!(intent, Intent::Primary) { StepFlow::Menu { declined: false } } else { leave_by(intent) }
}

/// The flow of a touch that leaves the step, to the step before where there is one.
pub(crate) const fn back_by(intent: Intent) -> StepFlow {
    if matches!(intent, Intent::Back) { StepFlow::Previous } else { leave_by(intent) }
}

/// The flow of a touch that leaves the service.
pub(crate) const fn leave_by(intent: Intent) -> StepFlow {
    if matches!(intent, Intent::Back | Intent::Home) {
        StepFlow::Menu { declined: false }
    } else {
        StepFlow::Stay
    }
}
