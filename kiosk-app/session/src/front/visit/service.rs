//! The service interpreter: executes the steps of a service document in order.

use std::sync::Arc;

use contract::{OrderId, ServiceDocument};
use view::{Intent, Steps, Text, TextId};

use crate::components::{Components, Status};
use crate::content::ViewContent;
use crate::front::notice::NoticeKind;
use crate::front::visit::data::{Progress, VisitData, VisitOrder};
use crate::front::visit::step::{Entered, StepContext, StepFlow, StepState, StepView};
use crate::front::visit::steps::payment_outcome::PaymentOutcome;
use crate::front::visit::steps::{enter, names_in_bar};
use crate::refusal::VisitRefusal;
use crate::time::MonotonicMs;
use crate::transition::Turn;
use crate::work::{Failure, PendingWork, WorkAnswer};

/// A bar with fewer steps says nothing.
const BAR_STEPS_MIN: usize = 3;

/// A service at one of its steps.
pub(crate) struct RunningService {
    progress: Progress,
    state: Box<dyn StepState>,
}

/// How the visit goes on after a step.
pub(crate) enum ServiceFlow {
    /// With the service.
    Stay,
    /// With the menu; what the service fetched is wiped.
    Menu { declined: bool },
    /// The visit ends.
    Exit,
    /// The visit cannot go on.
    Refuse(VisitRefusal),
}

impl RunningService {
    /// Opens a service at its first step; none when it ends at once.
    pub(crate) fn open(
        components: &mut Components,
        turn: &mut Turn<'_>,
        data: &mut VisitData,
        doc: Arc<ServiceDocument>,
    ) -> Result<Self, ServiceFlow> {
        let mut progress = Progress::new(doc, 0);
        let mut context = StepContext { components, turn, data, progress: &mut progress };
        let state = reach_state(&mut context)?;
        Ok(Self { progress, state })
    }

    /// Shows the outcome of an order of this visit, which is known.
    pub(crate) fn outcome(order: &VisitOrder) -> Option<Self> {
        let (settlement, total, receipt) = (order.settlement.clone()?, order.total, order.receipt);
        let progress = Progress::new(Arc::clone(&order.doc), order.next_step);
        Some(Self { progress, state: Box::new(PaymentOutcome { settlement, total, receipt }) })
    }

    pub(crate) fn on_touch(
        &mut self,
        components: &mut Components,
        turn: &mut Turn<'_>,
        data: &mut VisitData,
        intent: Intent,
    ) -> ServiceFlow {
        let mut context = StepContext { components, turn, data, progress: &mut self.progress };
        let flow = self.state.on_touch(&mut context, intent);
        self.follow(components, turn, data, flow)
    }

    pub(crate) fn on_answer(
        &mut self,
        components: &mut Components,
        turn: &mut Turn<'_>,
        data: &mut VisitData,
        answer: Result<WorkAnswer, Failure>,
    ) -> ServiceFlow {
        let mut context = StepContext { components, turn, data, progress: &mut self.progress };
        let flow = self.state.on_answer(&mut context, answer);
        self.follow(components, turn, data, flow)
    }

    /// Whether a code that is scanned now is for the current step.
    pub(crate) fn takes_codes(&self) -> bool {
        self.state.takes_codes()
    }

    pub(crate) fn on_code(
        &mut self,
        components: &mut Components,
        turn: &mut Turn<'_>,
        data: &mut VisitData,
        scanned: &[u8],
    ) -> ServiceFlow {
        let mut context = StepContext { components, turn, data, progress: &mut self.progress };
        let flow = self.state.on_code(&mut context, scanned);
        self.follow(components, turn, data, flow)
    }

    fn follow(
        &mut self,
        components: &mut Components,
        turn: &mut Turn<'_>,
        data: &mut VisitData,
        flow: StepFlow,
    ) -> ServiceFlow {
        match flow {
            StepFlow::Stay => return ServiceFlow::Stay,
            StepFlow::Menu { declined } => return ServiceFlow::Menu { declined },
            StepFlow::Exit => return ServiceFlow::Exit,
            StepFlow::Refuse(refusal) => return ServiceFlow::Refuse(refusal),
            StepFlow::Next => self.progress.step_index += 1,
            StepFlow::Previous => match self.progress.step_back() {
                Some(index) => self.progress.step_index = index,
                None => return ServiceFlow::Menu { declined: false },
            },
            StepFlow::Open(doc) => {
                let services_before = self.progress.services_before.saturating_add(1);
                self.progress = Progress { services_before, ..Progress::new(doc, 0) };
            }
            StepFlow::Again => {}
        }
        let mut context = StepContext { components, turn, data, progress: &mut self.progress };
        match reach_state(&mut context) {
            Ok(state) => {
                self.state = state;
                ServiceFlow::Stay
            }
            Err(flow) => flow,
        }
    }

    pub(crate) fn pending(&self) -> Option<PendingWork> {
        self.state.pending()
    }

    pub(crate) fn is_working(&self) -> bool {
        self.state.is_working()
    }

    pub(crate) fn may_leave(&self) -> bool {
        self.state.may_leave()
    }

    pub(crate) fn is_using_phone(&self) -> bool {
        self.state.is_using_phone()
    }

    pub(crate) fn is_about_order(&self, order: OrderId) -> bool {
        self.state.is_about_order(order)
    }

    pub(crate) fn on_outcome_unknown(&mut self) {
        self.state.on_outcome_unknown();
    }

    pub(crate) fn deadline(&self) -> Option<MonotonicMs> {
        self.state.deadline()
    }

    pub(crate) fn on_deadline(&mut self) {
        self.state.on_deadline();
    }

    pub(crate) fn notice_left_behind(&self) -> Option<NoticeKind> {
        self.state.notice_left_behind()
    }

    /// Service and step, as the place of a touch.
    pub(crate) fn place(&self) -> (&str, usize) {
        (&self.progress.doc.id, self.progress.step_index)
    }

    pub(crate) fn content(&self, status: Status<'_>, data: &VisitData) -> ViewContent {
        let view = StepView { status, data, progress: &self.progress };
        ViewContent { steps: self.step_bar(view), ..self.state.content(view) }
    }

    /// The bar shows only the steps of the resident; steps of the kiosk (queries) are left out.
    fn step_bar(&self, view: StepView<'_>) -> Option<Steps> {
        let (method, has) = (view.data.identification_method, &view.status.setup().equipment);
        let mut names: Vec<TextId> = Vec::new();
        let mut current = 0;
        for (index, step) in self.progress.doc.steps.iter().enumerate() {
            let of_step = names_in_bar(step, method, has);
            // Questions that follow each other are one name.
            if names.last().is_some_and(|last| of_step.first() == Some(last)) {
                names.pop();
            }
            if index == self.progress.step_index {
                let here = if of_step.is_empty() { None } else { Some(self.state.place_in_bar(&of_step)) };
                current = here.map_or_else(|| names.len().saturating_sub(1), |here| names.len() + here);
            }
            names.extend(of_step);
        }
        (names.len() >= BAR_STEPS_MIN)
            .then(|| Steps { names: names.into_iter().map(Text::Id).collect(), current })
    }
}

/// Enters steps until one waits for something, or the service ends.
fn reach_state(context: &mut StepContext<'_, '_>) -> Result<Box<dyn StepState>, ServiceFlow> {
    loop {
        let Some(step) = context.progress.current_step().cloned() else {
            return Err(ServiceFlow::Menu { declined: false });
        };
        match enter(context, &step) {
            Entered::State(state) => return Ok(state),
            Entered::Flow(StepFlow::Next) => context.progress.step_index += 1,
            Entered::Flow(StepFlow::Exit) => return Err(ServiceFlow::Exit),
            Entered::Flow(StepFlow::Refuse(refusal)) => return Err(ServiceFlow::Refuse(refusal)),
            Entered::Flow(StepFlow::Menu { declined }) => return Err(ServiceFlow::Menu { declined }),
            // A step that cannot begin must not begin again.
            Entered::Flow(StepFlow::Stay | StepFlow::Previous | StepFlow::Again | StepFlow::Open(_)) => {
                return Err(ServiceFlow::Menu { declined: false });
            }
        }
    }
}
