//! One visit of one resident. All data in here is dropped with the visit (I3).

mod answer_entry;
pub(crate) mod data;
mod identify;
mod menu;
mod menu_place;
mod pin;
mod service;
mod step;
mod step_up;
mod steps;

use std::sync::Arc;

use contract::{
    CardChallenge, CardEvidence, CloseReason, IdCardEvidence, IdentificationMethod, OrderId,
    PresentedCredential, ServiceDocument, Settlement, VisitId,
};
use view::{Intent, Lang, Text, TextId, Theme};

use crate::code_verification::AcceptedCode;
use crate::components::{Components, Status};
use crate::content::{ViewContent, help_banner, working_content};
use crate::durable::PrintState;
use crate::front::notice::NoticeKind;
use crate::front::visit::data::VisitData;
use crate::front::visit::identify::{Identify, IdentifyFlow, identify_offline};
use crate::front::visit::menu::{Availability, menu_content, service_of_tile, shown_page};
use crate::front::visit::menu_place::MenuPlace;
use crate::front::visit::service::{RunningService, ServiceFlow};
use crate::front::visit::step_up::{StepUp, StepUpFlow};
use crate::mask;
use crate::refusal::VisitRefusal;
use crate::time::{MonotonicMs, Now};
use crate::transition::{Effect, Turn};
use crate::work::{Failure, PendingWork, Ticket, WorkAnswer};

/// A visit (办理), from the insertion of the card or the acceptance of the code to its end.
pub(crate) struct Visit {
    data: VisitData,
    task: Task,
    /// Where in the menu a service was opened: a resident who comes back from it is there again.
    menu_place: MenuPlace,
    /// When the visit ends by idle timeout; none while work is pending.
    idle_until: Option<MonotonicMs>,
    /// Until when the confirmation of a call for help is shown.
    pub(crate) help_until: Option<MonotonicMs>,
}

/// What the resident does.
enum Task {
    /// The resident is being identified.
    Identify(Identify),
    /// The menu is shown.
    Menu { declined: bool },
    /// The resident is raising the level of the visit.
    StepUp(Box<StepUp>),
    /// A service runs.
    Service(Box<RunningService>),
}

/// How the visit goes on.
pub(crate) enum VisitFlow {
    Goes,
    Ends(CloseReason),
    Refused(VisitRefusal),
}

/// What is due in a visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VisitDue {
    /// The resident did nothing for too long.
    Idle,
    /// The confirmation of a call for help ends.
    Help,
    /// Work was not answered in time.
    Work,
    /// The current step asked for it.
    Step,
}

impl Visit {
    /// A visit without an identified resident, whose card is being read until `deadline`.
    pub(crate) fn reading(
        turn: &mut Turn<'_>,
        method: IdentificationMethod,
        (lang, theme): (Lang, Theme),
        read_ms: u64,
    ) -> Self {
        let id = VisitId::from_entropy(turn.next_u128());
        let deadline = turn.now.mono.plus_ms(read_ms);
        Self::new(id, method, (lang, theme), Identify::reading(deadline))
    }

    /// A visit that begins with an accepted code.
    pub(crate) fn by_code(
        components: &Components,
        turn: &mut Turn<'_>,
        accepted: AcceptedCode,
        shown_in: (Lang, Theme),
    ) -> Self {
        let identify = Identify::reading(turn.now.mono);
        let mut visit = Self::new(accepted.visit, IdentificationMethod::Code, shown_in, identify);
        visit.data.recorded = true;
        visit.data.verified_code = accepted.verified;
        if components.online {
            let presented = PresentedCredential::Code { text: accepted.text };
            visit.task = Task::Identify(Identify::ask(components, turn, &visit.data, presented));
        } else if identify_offline(turn, &mut visit.data) {
            visit.task = Task::Menu { declined: false };
        }
        visit
    }

    const fn new(
        id: VisitId,
        method: IdentificationMethod,
        (lang, theme): (Lang, Theme),
        identify: Identify,
    ) -> Self {
        let data = VisitData {
            id,
            identification_method: method,
            resident: None,
            verified_code: None,
            card_authenticated: false,
            recorded: false,
            lang,
            theme,
            orders: Vec::new(),
        };
        let menu_place = MenuPlace::new();
        Self { data, task: Task::Identify(identify), menu_place, idle_until: None, help_until: None }
    }

    pub(crate) const fn id(&self) -> VisitId {
        self.data.id
    }

    pub(crate) const fn method(&self) -> IdentificationMethod {
        self.data.identification_method
    }

    /// A record names this visit, so its end must be recorded too.
    pub(crate) const fn is_recorded(&self) -> bool {
        self.data.recorded
    }

    pub(crate) const fn is_identified(&self) -> bool {
        self.data.resident.is_some()
    }

    pub(crate) const fn shown_in(&self) -> (Lang, Theme) {
        (self.data.lang, self.data.theme)
    }

    pub(crate) const fn shown_in_mut(&mut self) -> (&mut Lang, &mut Theme) {
        (&mut self.data.lang, &mut self.data.theme)
    }

    /// True while a card with this method is being read.
    pub(crate) fn is_reading(&self, method: IdentificationMethod) -> bool {
        let reads = matches!(&self.task, Task::Identify(identify) if identify.is_reading());
        reads && self.data.identification_method == method
    }

    pub(crate) fn on_card_read(
        &mut self,
        components: &Components,
        turn: &mut Turn<'_>,
        read: (CardEvidence, Option<&str>),
    ) -> VisitFlow {
        if !self.is_reading(IdentificationMethod::Card) {
            return VisitFlow::Goes;
        }
        let Task::Identify(identify) = &mut self.task else { return VisitFlow::Goes };
        let flow = identify.on_card_read(components, turn, &mut self.data, read);
        self.follow_identify(flow)
    }

    pub(crate) fn on_id_card_read(
        &mut self,
        components: &Components,
        turn: &mut Turn<'_>,
        read: (IdCardEvidence, Option<&str>),
    ) -> VisitFlow {
        if !self.is_reading(IdentificationMethod::IdCard) {
            return VisitFlow::Goes;
        }
        let Task::Identify(identify) = &mut self.task else { return VisitFlow::Goes };
        let flow = identify.on_id_card_read(components, turn, &self.data, read);
        self.follow_identify(flow)
    }

    pub(crate) fn request_card_authentication(
        &mut self,
        components: &Components,
        turn: &mut Turn<'_>,
        card: CardChallenge,
    ) {
        if let Task::Identify(identify) = &mut self.task
            && self.data.identification_method == IdentificationMethod::Card
        {
            identify.request_card_authentication(components, turn, &self.data, card);
        }
    }

    /// Handles a code that was scanned during the visit: the answer to a challenge, or the code of a paper that a step asks for.
    /// Any other means nothing. No code is consumed here.
    pub(crate) fn on_code(
        &mut self,
        components: &mut Components,
        turn: &mut Turn<'_>,
        code: &[u8],
    ) -> VisitFlow {
        match &mut self.task {
            Task::StepUp(step_up) => {
                self.idle_until = None;
                let flow = step_up.on_code(components, turn, &mut self.data, code);
                self.follow_step_up(components, turn, flow)
            }
            Task::Service(service) if service.takes_codes() => {
                self.idle_until = None;
                let flow = service.on_code(components, turn, &mut self.data, code);
                self.follow_service(flow)
            }
            Task::Service(_) | Task::Identify(_) | Task::Menu { .. } => VisitFlow::Goes,
        }
    }

    /// Handles the outcome of work, if its ticket is the one that this visit waits for.
    pub(crate) fn on_answer(
        &mut self,
        components: &mut Components,
        turn: &mut Turn<'_>,
        ticket: Ticket,
        answer: Result<WorkAnswer, Failure>,
    ) -> VisitFlow {
        if self.pending().is_none_or(|work| work.ticket != ticket) {
            return VisitFlow::Goes;
        }
        self.idle_until = None;
        match &mut self.task {
            Task::Identify(identify) => {
                let flow = identify.on_answer(components, turn, &mut self.data, answer);
                self.follow_identify(flow)
            }
            Task::StepUp(step_up) => {
                let flow = step_up.on_answer(components, turn, &mut self.data, answer);
                self.follow_step_up(components, turn, flow)
            }
            Task::Service(service) => {
                let flow = service.on_answer(components, turn, &mut self.data, answer);
                self.follow_service(flow)
            }
            Task::Menu { .. } => VisitFlow::Goes,
        }
    }

    /// Handles a touch on what this visit shows.
    pub(crate) fn on_touch(
        &mut self,
        components: &mut Components,
        turn: &mut Turn<'_>,
        intent: Intent,
    ) -> VisitFlow {
        self.idle_until = None;
        if intent == Intent::EndVisit {
            let stays = matches!(&self.task, Task::Service(service) if !service.may_leave());
            return if stays { VisitFlow::Goes } else { VisitFlow::Ends(CloseReason::Exit) };
        }
        match &mut self.task {
            Task::Identify(_) => VisitFlow::Goes,
            Task::Menu { declined } => {
                if let Intent::OpenTile(tile) = intent {
                    return self.open_tile(components, turn, tile);
                }
                let status = components.status(turn);
                let help = self.help_until.is_some();
                let (page, size) = shown_page(status, &self.data, &self.menu_place, *declined, help);
                if self.menu_place.on_touch(intent, &page, size) {
                    *declined = false;
                }
                VisitFlow::Goes
            }
            Task::StepUp(step_up) => {
                let flow = step_up.on_touch(components, turn, intent);
                if intent == Intent::Home && matches!(flow, StepUpFlow::Menu) {
                    self.menu_place = MenuPlace::new();
                }
                self.follow_step_up(components, turn, flow)
            }
            Task::Service(service) => {
                let flow = service.on_touch(components, turn, &mut self.data, intent);
                if intent == Intent::Home && matches!(flow, ServiceFlow::Menu { .. }) {
                    self.menu_place = MenuPlace::new();
                }
                self.follow_service(flow)
            }
        }
    }

    fn open_tile(&mut self, components: &mut Components, turn: &mut Turn<'_>, tile: u16) -> VisitFlow {
        let Some((doc, availability)) = service_of_tile(components.status(turn), &self.data, tile) else {
            return VisitFlow::Goes;
        };
        match availability {
            Availability::Available => return self.open_service(components, turn, doc),
            Availability::NeedsPhone => {
                self.task = Task::StepUp(Box::new(StepUp::by_phone(components, turn, doc)));
            }
            Availability::NeedsPin => self.task = Task::StepUp(Box::new(StepUp::by_pin(turn, doc))),
            Availability::NeedsLink
            | Availability::NeedsCodeAgain
            | Availability::NeedsCard
            | Availability::NeedsLevel
            | Availability::OpensToday(_)
            | Availability::OpensOn(..) => {}
        }
        VisitFlow::Goes
    }

    fn open_service(
        &mut self,
        components: &mut Components,
        turn: &mut Turn<'_>,
        doc: Arc<ServiceDocument>,
    ) -> VisitFlow {
        match RunningService::open(components, turn, &mut self.data, doc) {
            Ok(service) => {
                self.task = Task::Service(Box::new(service));
                VisitFlow::Goes
            }
            Err(flow) => self.follow_service(flow),
        }
    }

    fn follow_identify(&mut self, flow: IdentifyFlow) -> VisitFlow {
        match flow {
            IdentifyFlow::Stay => VisitFlow::Goes,
            IdentifyFlow::Identified => {
                self.show_menu(false);
                VisitFlow::Goes
            }
            IdentifyFlow::Refuse(refusal) => VisitFlow::Refused(refusal),
        }
    }

    fn follow_step_up(
        &mut self,
        components: &mut Components,
        turn: &mut Turn<'_>,
        flow: StepUpFlow,
    ) -> VisitFlow {
        match flow {
            StepUpFlow::Stay => VisitFlow::Goes,
            StepUpFlow::Menu => {
                self.show_menu(false);
                VisitFlow::Goes
            }
            StepUpFlow::Open(doc) => self.open_service(components, turn, doc),
            StepUpFlow::Refuse(refusal) => VisitFlow::Refused(refusal),
        }
    }

    fn follow_service(&mut self, flow: ServiceFlow) -> VisitFlow {
        match flow {
            ServiceFlow::Stay => VisitFlow::Goes,
            ServiceFlow::Menu { declined } => {
                self.show_menu(declined);
                VisitFlow::Goes
            }
            ServiceFlow::Exit => VisitFlow::Ends(CloseReason::Exit),
            ServiceFlow::Refuse(refusal) => VisitFlow::Refused(refusal),
        }
    }

    /// Returns to the menu; data fetched by the service is wiped. An outcome that the resident has not seen comes first.
    fn show_menu(&mut self, declined: bool) {
        self.idle_until = None;
        let unseen = self.data.orders.iter_mut().find(|order| !order.is_shown && order.settlement.is_some());
        let outcome = unseen.and_then(|order| {
            order.is_shown = true;
            RunningService::outcome(order)
        });
        self.task = match outcome {
            Some(outcome) => Task::Service(Box::new(outcome)),
            None => Task::Menu { declined },
        };
    }

    /// Whether this order was created in this visit.
    pub(crate) fn has_order(&self, order: OrderId) -> bool {
        self.data.orders.iter().any(|own| own.order == order)
    }

    /// The outcome of an order of this visit is known. It is shown at once, unless the resident does something else.
    pub(crate) fn on_settled(&mut self, order: OrderId, settlement: &Settlement) {
        let Some(own) = self.data.orders.iter_mut().find(|own| own.order == order) else { return };
        own.settlement = Some(settlement.clone());
        let waits = match &self.task {
            Task::Menu { .. } => true,
            Task::Service(service) => service.is_about_order(order),
            Task::Identify(_) | Task::StepUp(_) => false,
        };
        if waits {
            self.show_menu(false);
        }
    }

    /// An answer about this order came, and its outcome is still unknown.
    pub(crate) fn on_outcome_unknown(&mut self, order: OrderId) {
        if let Task::Service(service) = &mut self.task
            && service.is_about_order(order)
        {
            service.on_outcome_unknown();
        }
    }

    /// What the resident must still read if the visit ends now: a payment whose outcome is unknown or unseen or whose receipt is
    /// being printed, or a change of PIN without an answer.
    pub(crate) fn notice_left_behind(&self, status: Status<'_>) -> Option<NoticeKind> {
        if let Task::Service(service) = &self.task
            && let Some(kind) = service.notice_left_behind()
        {
            return Some(kind);
        }
        let orders = || self.data.orders.iter().rev();
        let is_printing = |receipt| status.print_state(receipt) == Some(PrintState::Printing);
        let order = orders()
            .find(|order| order.settlement.is_none())
            .or_else(|| orders().find(|order| !order.is_shown || is_printing(order.receipt)))?;
        Some(NoticeKind::Payment {
            order: order.settlement.is_none().then_some(order.order),
            total: order.total,
            settlement: order.settlement.clone(),
            receipt: order.receipt,
        })
    }

    /// The work that the visit waits for.
    pub(crate) fn pending(&self) -> Option<PendingWork> {
        match &self.task {
            Task::Identify(identify) => identify.pending(),
            Task::Menu { .. } => None,
            Task::StepUp(step_up) => step_up.pending(),
            Task::Service(service) => service.pending(),
        }
    }

    fn is_working(&self) -> bool {
        match &self.task {
            Task::Identify(_) => true,
            Task::Menu { .. } => false,
            Task::StepUp(step_up) => step_up.pending().is_some(),
            Task::Service(service) => service.is_working(),
        }
    }

    /// When something is due in this visit.
    pub(crate) fn deadlines(&self) -> impl Iterator<Item = (MonotonicMs, VisitDue)> {
        let (work, step) = match &self.task {
            Task::Identify(identify) => (Some(identify.deadline()), None),
            Task::Menu { .. } => (None, None),
            Task::StepUp(step_up) => (step_up.pending().map(|work| work.deadline), None),
            Task::Service(service) => (service.pending().map(|work| work.deadline), service.deadline()),
        };
        let due = |at: Option<MonotonicMs>, what| at.map(|at| (at, what));
        let (idle, help) = (self.idle_until, self.help_until);
        [
            due(help, VisitDue::Help),
            due(work, VisitDue::Work),
            due(step, VisitDue::Step),
            due(idle, VisitDue::Idle),
        ]
        .into_iter()
        .flatten()
    }

    pub(crate) fn on_due(
        &mut self,
        components: &mut Components,
        turn: &mut Turn<'_>,
        due: VisitDue,
    ) -> VisitFlow {
        match due {
            VisitDue::Idle => return VisitFlow::Ends(CloseReason::TimedOut),
            VisitDue::Help => self.help_until = None,
            VisitDue::Work => {
                if let Task::Identify(identify) = &mut self.task {
                    let flow = identify.on_deadline(components, turn, &mut self.data);
                    return self.follow_identify(flow);
                }
                if let Some(work) = self.pending() {
                    turn.effect(Effect::CancelWork(work.ticket));
                    return self.on_answer(components, turn, work.ticket, Err(Failure::Unreachable));
                }
            }
            VisitDue::Step => {
                if let Task::Service(service) = &mut self.task {
                    service.on_deadline();
                }
            }
        }
        VisitFlow::Goes
    }

    /// Starts the idle timer when the resident can act, and stops it while work is pending.
    pub(crate) fn update_idle_timer(&mut self, components: &Components, now: Now) {
        if self.is_working() {
            self.idle_until = None;
        } else if self.idle_until.is_none() {
            let times = components.setup.time_limits;
            let idle = match self.data.theme {
                Theme::Standard => times.idle_ms,
                Theme::Elder => times.idle_elder_ms,
            };
            let is_using_phone = match &self.task {
                Task::StepUp(step_up) => step_up.is_using_phone(),
                Task::Service(service) => service.is_using_phone(),
                Task::Identify(_) | Task::Menu { .. } => false,
            };
            let idle = if is_using_phone { idle.saturating_mul(2) } else { idle };
            self.idle_until = Some(now.mono.plus_ms(idle));
        }
    }

    /// Milliseconds until the visit ends by idle timeout.
    pub(crate) fn idle_ms_left(&self, now: Now) -> Option<u64> {
        Some(self.idle_until?.0.saturating_sub(now.mono.0))
    }

    /// Service and step, as the place of a touch.
    pub(crate) fn place(&self) -> Option<(&str, usize)> {
        if let Task::Service(service) = &self.task { Some(service.place()) } else { None }
    }

    /// The resident's name, masked.
    pub(crate) fn masked_resident(&self) -> Option<Text> {
        let person = self.data.resident.as_ref()?;
        // The name of a holder whose code was verified without the platform is not known.
        Some(if person.visit_key.is_some() {
            Text::Data(mask::name(&person.name))
        } else {
            TextId::WhoByCode.into()
        })
    }

    pub(crate) fn content(&self, status: Status<'_>) -> ViewContent {
        let method = self.data.identification_method;
        let help = self.help_until.is_some();
        let mut content = match &self.task {
            Task::Identify(identify) => {
                let (word, detail) = match (identify.is_reading(), method) {
                    (true, IdentificationMethod::IdCard) => {
                        (TextId::ReadingIdCard, TextId::ReadingIdCardDetail)
                    }
                    (true, IdentificationMethod::Card | IdentificationMethod::Code) => {
                        (TextId::ReadingCard, TextId::ReadingCardDetail)
                    }
                    (false, _) => (TextId::Identifying, TextId::IdentifyingDetail),
                };
                return working_content(method, word, detail);
            }
            Task::Menu { declined } => {
                return menu_content(status, &self.data, &self.menu_place, *declined, help);
            }
            Task::StepUp(step_up) => step_up.content(&self.data),
            Task::Service(service) => service.content(status, &self.data),
        };
        if help {
            content.banners.insert(0, help_banner(status.components.online));
        }
        content
    }
}
