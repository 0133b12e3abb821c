//! The front: what stands before the screen. Everything else of the kiosk outlives it.

pub(crate) mod gate;
pub(crate) mod idle;
pub(crate) mod notice;
mod staff;
mod visit;

use contract::{CloseReason, Entry, IdentificationMethod, OrderId, Settlement, StaffProof, VisitId};
use view::{Intent, Lang, Text, Theme};

use crate::code_verification::consume_code;
use crate::components::{Components, Status};
use crate::content::ViewContent;
use crate::event::{CardEvent, CodeHint, DeviceKind, DeviceState, IdCardEvent};
use crate::front::gate::{Gate, GateDue};
use crate::front::idle::Idle;
use crate::front::notice::{Notice, NoticeKind};
use crate::front::staff::StaffSignIn;
use crate::front::visit::{Visit, VisitDue, VisitFlow};
use crate::refusal::{VisitRefusal, refusal_for_card, refusal_for_id_card};
use crate::time::{MonotonicMs, Now};
use crate::transition::{Effect, Turn};
use crate::work::{Failure, Ticket, WorkAnswer};

/// The confirmation of a call for help is shown this long.
const HELP_SHOWN_MS: u64 = 10_000;

/// What stands before the screen (前台).
pub(crate) enum Front {
    /// Nobody: how a visit can begin.
    Idle(Idle),
    /// An anonymous message.
    Notice(Notice),
    /// Staff.
    Staff(StaffSignIn),
    /// A resident.
    Visit(Box<Visit>),
    /// People passing through; a gate has no other front.
    Gate(Box<Gate>),
}

/// What is due in front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrontDue {
    /// The idle screen returns to its defaults.
    Reset,
    /// The confirmation of a call for help ends.
    Help,
    /// The notice, or the sign-in of staff, ends.
    End,
    Visit(VisitDue),
    Gate(GateDue),
}

/// Where a touch was made, beside what the view shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FrontPlace {
    visit: Option<VisitId>,
    service: Option<(String, usize)>,
    /// Count of a gate's verdicts: each verdict is a view of its own.
    verdicts: u64,
}

impl Front {
    pub(crate) fn new(components: &Components) -> Self {
        if components.setup.gate_rules.is_some() {
            Self::Gate(Box::default())
        } else {
            Self::Idle(Idle::default())
        }
    }

    // Events of devices

    pub(crate) fn on_card(&mut self, components: &mut Components, turn: &mut Turn<'_>, event: CardEvent) {
        if let Self::Gate(gate) = self {
            return gate.on_card(components, turn, event);
        }
        match event {
            CardEvent::Inserted => {
                components.devices.set_card_inserted(true);
                if !matches!(self, Self::Visit(_)) {
                    self.begin_reading(components, turn, IdentificationMethod::Card);
                }
            }
            CardEvent::LeftInSlot => {
                components.devices.set_card_inserted(true);
                if matches!(self, Self::Idle(_)) {
                    self.notify(components, turn.now, NoticeKind::TakeCard);
                }
            }
            CardEvent::NeedsAuthentication(card) => {
                if let Self::Visit(visit) = self {
                    visit.request_card_authentication(components, turn, card);
                }
            }
            CardEvent::Read { evidence, valid_to } => {
                if let Self::Visit(visit) = self {
                    let flow = visit.on_card_read(components, turn, (evidence, valid_to.as_deref()));
                    self.follow(components, turn, flow);
                }
            }
            CardEvent::Staff(proof) => self.on_staff_card(components, turn, &proof),
            CardEvent::Refused(refusal) => {
                if self.is_reading(IdentificationMethod::Card) {
                    self.refuse(components, turn, refusal_for_card(refusal));
                }
            }
            CardEvent::Removed => self.on_card_removed(components, turn),
        }
    }

    /// The card was removed, or the reader was lost.
    fn on_card_removed(&mut self, components: &mut Components, turn: &mut Turn<'_>) {
        components.devices.set_card_inserted(false);
        match self {
            Self::Visit(visit) if visit.method() == IdentificationMethod::Card => {
                self.end_visit(components, turn, CloseReason::CardRemoved);
            }
            Self::Notice(notice) if notice.ends_on_card_removal() => *self = Self::Idle(Idle::default()),
            Self::Staff(_) => self.end_staff_sign_in(components, turn.now),
            Self::Visit(_) | Self::Notice(_) | Self::Idle(_) | Self::Gate(_) => {}
        }
    }

    /// Handles a staff card. It is ignored unless a card is being read for a new visit.
    fn on_staff_card(&mut self, components: &mut Components, turn: &mut Turn<'_>, proof: &StaffProof) {
        if !self.is_reading(IdentificationMethod::Card) {
            return;
        }
        let default = (Lang::default(), Theme::default());
        match StaffSignIn::begin(components, turn, proof, default) {
            // Nobody was identified: the visit has nothing to record and nothing to wipe.
            Some(staff) => *self = Self::Staff(staff),
            None => self.refuse(components, turn, VisitRefusal::CardUnsupported),
        }
    }

    /// Ends the staff view: the card was removed, or its time is over.
    fn end_staff_sign_in(&mut self, components: &Components, now: Now) {
        if components.devices.is_card_inserted() {
            self.notify(components, now, NoticeKind::TakeCard);
        } else {
            *self = Self::Idle(Idle::default());
        }
    }

    /// Handles an event of the ID card reader. An ID card begins a visit; during a visit it is ignored.
    pub(crate) fn on_id_card(
        &mut self,
        components: &mut Components,
        turn: &mut Turn<'_>,
        event: IdCardEvent,
    ) {
        match event {
            IdCardEvent::Detected => {
                let is_free = matches!(self, Self::Idle(_) | Self::Notice(_));
                if !is_free || components.devices.is_card_inserted() {
                    return;
                }
                self.begin_reading(components, turn, IdentificationMethod::IdCard);
                if !components.online {
                    self.refuse(components, turn, VisitRefusal::NoLink);
                }
            }
            IdCardEvent::Read { evidence, valid_to } => {
                if let Self::Visit(visit) = self {
                    let flow = visit.on_id_card_read(components, turn, (evidence, valid_to.as_deref()));
                    self.follow(components, turn, flow);
                }
            }
            IdCardEvent::Refused(refusal) => {
                if self.is_reading(IdentificationMethod::IdCard) {
                    self.refuse(components, turn, refusal_for_id_card(refusal));
                }
            }
        }
    }

    /// Handles a scanned code. A code is accepted only without a visit and without a card in the slot, or as the answer
    /// to a challenge; otherwise it is ignored.
    pub(crate) fn on_code(&mut self, components: &mut Components, turn: &mut Turn<'_>, code: &[u8]) {
        match self {
            Self::Gate(gate) => gate.on_code(components, turn, code),
            Self::Visit(visit) => {
                let flow = visit.on_code(components, turn, code);
                self.follow(components, turn, flow);
            }
            Self::Staff(_) => {}
            Self::Idle(_) | Self::Notice(_) => {
                if components.devices.is_card_inserted() {
                    return;
                }
                let shown_in = self.shown_in_before_visit();
                let parsed = components.status(turn).validate_code(code);
                match parsed.and_then(|parsed| consume_code(components, turn, parsed)) {
                    Ok(accepted) => {
                        *self = Self::Visit(Box::new(Visit::by_code(components, turn, accepted, shown_in)));
                    }
                    Err(refusal) => {
                        self.notify_in(components, turn.now, NoticeKind::Refused(refusal), shown_in);
                    }
                }
            }
        }
    }

    pub(crate) fn on_code_hint(&mut self, components: &Components, now: Now, hint: CodeHint) {
        if let Self::Idle(idle) = self {
            idle.code_hint = Some(hint);
            idle.reset_at = Some(now.mono.plus_ms(components.setup.time_limits.short_notice_ms));
        }
    }

    /// Handles the state of a reader. The states themselves are with the devices.
    pub(crate) fn on_device_state(
        &mut self,
        components: &mut Components,
        turn: &mut Turn<'_>,
        device: DeviceKind,
        state: DeviceState,
    ) {
        if state == DeviceState::Ready {
            return;
        }
        if device == DeviceKind::CardReader && components.devices.is_card_inserted() {
            // Without the reader, the removal of the card cannot be detected: the visit must end. While the
            // card is being read, it is still in the slot, and the resident is asked to take it.
            components.devices.set_card_inserted(false);
            if self.is_reading(IdentificationMethod::Card) {
                self.refuse(components, turn, VisitRefusal::CardNotResponding);
            } else {
                self.on_card_removed(components, turn);
            }
        } else if device == DeviceKind::IdReader && self.is_reading(IdentificationMethod::IdCard) {
            self.refuse(components, turn, VisitRefusal::IdCardNotRead);
        }
    }

    // Answers

    pub(crate) fn on_answer(
        &mut self,
        components: &mut Components,
        turn: &mut Turn<'_>,
        ticket: Ticket,
        answer: Result<WorkAnswer, Failure>,
    ) {
        match self {
            Self::Gate(gate) => gate.on_answer(components, turn, ticket, answer),
            Self::Visit(visit) => {
                let flow = visit.on_answer(components, turn, ticket, answer);
                self.follow(components, turn, flow);
            }
            Self::Idle(_) | Self::Notice(_) | Self::Staff(_) => {}
        }
    }

    /// The language of the resident who waits for the outcome of this order; none when nobody does.
    pub(crate) fn language_of_payer(&self, order: OrderId) -> Option<Lang> {
        match self {
            Self::Visit(visit) => visit.has_order(order).then(|| visit.shown_in().0),
            Self::Notice(notice) => notice.waits_for(order).then_some(notice.lang),
            Self::Idle(_) | Self::Staff(_) | Self::Gate(_) => None,
        }
    }

    /// The outcome of this order is known and recorded.
    pub(crate) fn on_settled(
        &mut self,
        components: &Components,
        now: Now,
        order: OrderId,
        settlement: &Settlement,
    ) {
        match self {
            Self::Visit(visit) => visit.on_settled(order, settlement),
            Self::Notice(notice) if notice.waits_for(order) => {
                notice.on_settled(settlement, now, components.setup.time_limits);
            }
            Self::Notice(_) | Self::Idle(_) | Self::Staff(_) | Self::Gate(_) => {}
        }
    }

    /// An answer about this order came, and its outcome is still unknown.
    pub(crate) fn on_outcome_unknown(&mut self, order: OrderId) {
        if let Self::Visit(visit) = self {
            visit.on_outcome_unknown(order);
        }
    }

    // Touches

    pub(crate) fn on_touch(&mut self, components: &mut Components, turn: &mut Turn<'_>, intent: Intent) {
        if intent == Intent::SwitchLanguage {
            let (lang, _) = self.shown_in_mut();
            *lang = match lang {
                Lang::Zh => Lang::En,
                Lang::En => Lang::Zh,
            };
        } else if intent == Intent::SwitchTheme {
            let (_, theme) = self.shown_in_mut();
            *theme = match theme {
                Theme::Standard => Theme::Elder,
                Theme::Elder => Theme::Standard,
            };
        } else if intent == Intent::Help {
            self.call_help(turn);
        }
        match self {
            Self::Visit(visit) => {
                let flow = visit.on_touch(components, turn, intent);
                self.follow(components, turn, flow);
            }
            Self::Idle(idle) => {
                idle.reset_at = Some(turn.now.mono.plus_ms(components.setup.time_limits.idle_ms));
                if let Intent::ExplainSignIn(method) = intent {
                    idle.explained_method = Some(method);
                }
            }
            Self::Notice(notice) => {
                let leaves =
                    intent == Intent::Home || intent == Intent::Primary && !notice.ends_on_card_removal();
                if leaves {
                    *self = Self::Idle(Idle::default());
                }
            }
            Self::Staff(_) => {
                if intent == Intent::EndVisit {
                    self.end_staff_sign_in(components, turn.now);
                }
            }
            Self::Gate(_) => {}
        }
    }

    fn call_help(&mut self, turn: &mut Turn<'_>) {
        let (visit, shown) = match self {
            Self::Visit(visit) => (visit.is_recorded().then(|| visit.id()), &mut visit.help_until),
            Self::Idle(idle) => (None, &mut idle.help_until),
            Self::Notice(notice) => (None, &mut notice.help_until),
            Self::Staff(_) | Self::Gate(_) => return,
        };
        if shown.is_none() {
            turn.record(Entry::HelpRequested { visit });
        }
        *shown = Some(turn.now.mono.plus_ms(HELP_SHOWN_MS));
    }

    const fn shown_in_mut(&mut self) -> (&mut Lang, &mut Theme) {
        match self {
            Self::Idle(idle) => (&mut idle.lang, &mut idle.theme),
            Self::Notice(notice) => (&mut notice.lang, &mut notice.theme),
            Self::Staff(staff) => (&mut staff.lang, &mut staff.theme),
            Self::Visit(visit) => visit.shown_in_mut(),
            Self::Gate(gate) => (&mut gate.lang, &mut gate.theme),
        }
    }

    /// The language and theme of the view.
    pub(crate) const fn shown_in(&self) -> (Lang, Theme) {
        match self {
            Self::Idle(idle) => (idle.lang, idle.theme),
            Self::Notice(notice) => (notice.lang, notice.theme),
            Self::Staff(staff) => (staff.lang, staff.theme),
            Self::Visit(visit) => visit.shown_in(),
            Self::Gate(gate) => (gate.lang, gate.theme),
        }
    }

    /// Language and theme for a new visit: those chosen on the idle screen. What a resident before chose is not passed on.
    fn shown_in_before_visit(&self) -> (Lang, Theme) {
        if let Self::Idle(idle) = self { (idle.lang, idle.theme) } else { Default::default() }
    }

    // Time

    /// When something is due in front.
    pub(crate) fn deadlines(&self) -> Vec<(MonotonicMs, FrontDue)> {
        let one = |at: Option<MonotonicMs>, due| at.map(|at| (at, due)).into_iter();
        match self {
            Self::Idle(idle) => {
                one(idle.help_until, FrontDue::Help).chain(one(idle.reset_at, FrontDue::Reset)).collect()
            }
            Self::Notice(notice) => {
                one(notice.help_until, FrontDue::Help).chain(one(notice.until, FrontDue::End)).collect()
            }
            Self::Staff(staff) => vec![(staff.until, FrontDue::End)],
            Self::Visit(visit) => visit.deadlines().map(|(at, due)| (at, FrontDue::Visit(due))).collect(),
            Self::Gate(gate) => gate.deadlines().map(|(at, due)| (at, FrontDue::Gate(due))).collect(),
        }
    }

    pub(crate) fn on_due(&mut self, components: &mut Components, turn: &mut Turn<'_>, due: FrontDue) {
        match (&mut *self, due) {
            (Self::Visit(visit), FrontDue::Visit(due)) => {
                let flow = visit.on_due(components, turn, due);
                self.follow(components, turn, flow);
            }
            (Self::Gate(gate), FrontDue::Gate(due)) => gate.on_due(components, turn, due),
            (Self::Idle(idle), FrontDue::Help) => idle.help_until = None,
            (Self::Notice(notice), FrontDue::Help) => notice.help_until = None,
            (Self::Idle(_), FrontDue::Reset) | (Self::Notice(_), FrontDue::End) => {
                *self = Self::Idle(Idle::default());
            }
            (Self::Staff(_), FrontDue::End) => self.end_staff_sign_in(components, turn.now),
            // The front changed since the deadline was read.
            (
                Self::Visit(_) | Self::Gate(_) | Self::Idle(_) | Self::Notice(_) | Self::Staff(_),
                FrontDue::Visit(_) | FrontDue::Gate(_) | FrontDue::Help | FrontDue::Reset | FrontDue::End,
            ) => {}
        }
    }

    pub(crate) fn update_idle_timer(&mut self, components: &Components, now: Now) {
        if let Self::Visit(visit) = self {
            visit.update_idle_timer(components, now);
        }
    }

    /// Milliseconds until the visit ends by idle timeout.
    pub(crate) fn idle_ms_left(&self, now: Now) -> Option<u64> {
        if let Self::Visit(visit) = self { visit.idle_ms_left(now) } else { None }
    }

    // From one front to another

    fn is_reading(&self, method: IdentificationMethod) -> bool {
        matches!(self, Self::Visit(visit) if visit.is_reading(method))
    }

    fn begin_reading(&mut self, components: &Components, turn: &mut Turn<'_>, method: IdentificationMethod) {
        let shown_in = self.shown_in_before_visit();
        let read_ms = components.setup.time_limits.read_ms;
        *self = Self::Visit(Box::new(Visit::reading(turn, method, shown_in, read_ms)));
    }

    fn follow(&mut self, components: &mut Components, turn: &mut Turn<'_>, flow: VisitFlow) {
        match flow {
            VisitFlow::Goes => {}
            VisitFlow::Ends(reason) => self.end_visit(components, turn, reason),
            VisitFlow::Refused(refusal) => self.refuse(components, turn, refusal),
        }
    }

    /// Ends the visit and wipes its data. Unsettled orders and prints that have begun go on as duties.
    fn end_visit(&mut self, components: &mut Components, turn: &mut Turn<'_>, reason: CloseReason) {
        let shown_in = self.shown_in();
        match self.close_visit(components, turn, reason) {
            Some(kind) => self.notify_in(components, turn.now, kind, shown_in),
            None => *self = Self::Idle(Idle::default()),
        }
    }

    /// Ends a visit that cannot begin or continue, and shows why. A payment whose outcome is unknown is shown first.
    fn refuse(&mut self, components: &mut Components, turn: &mut Turn<'_>, refusal: VisitRefusal) {
        let shown_in = self.shown_in();
        let kind = match self.close_visit(components, turn, CloseReason::Interrupted) {
            Some(kind @ NoticeKind::Payment { settlement: None, .. }) => kind,
            Some(_) | None => NoticeKind::Refused(refusal),
        };
        self.notify_in(components, turn.now, kind, shown_in);
    }

    /// Records the end of the visit; returns what its resident must still read.
    fn close_visit(
        &self,
        components: &mut Components,
        turn: &mut Turn<'_>,
        reason: CloseReason,
    ) -> Option<NoticeKind> {
        let Self::Visit(visit) = self else { return None };
        if let Some(work) = visit.pending() {
            turn.effect(Effect::CancelWork(work.ticket));
        }
        components.printing.on_visit_end(turn, visit.id());
        if visit.is_recorded() {
            turn.record(Entry::VisitClosed { visit: visit.id(), reason });
        }
        let left = visit.notice_left_behind(components.status(turn));
        let take_card = components.devices.is_card_inserted().then_some(NoticeKind::TakeCard);
        // An ID card stays on its reader and is easily forgotten.
        let id_card = visit.method() == IdentificationMethod::IdCard && visit.is_identified();
        left.or(take_card).or(id_card.then_some(NoticeKind::TakeIdCard))
    }

    fn notify(&mut self, components: &Components, now: Now, kind: NoticeKind) {
        let shown_in = self.shown_in();
        self.notify_in(components, now, kind, shown_in);
    }

    fn notify_in(&mut self, components: &Components, now: Now, kind: NoticeKind, shown_in: (Lang, Theme)) {
        let is_card_inserted = components.devices.is_card_inserted();
        let times = components.setup.time_limits;
        *self = Self::Notice(Notice::new(kind, shown_in, is_card_inserted, now, times));
    }

    // The view

    /// Where a touch is made now.
    pub(crate) fn place(&self) -> FrontPlace {
        match self {
            Self::Visit(visit) => FrontPlace {
                visit: Some(visit.id()),
                service: visit.place().map(|(service, step)| (service.to_owned(), step)),
                verdicts: 0,
            },
            Self::Gate(gate) => FrontPlace { verdicts: gate.verdicts, ..FrontPlace::default() },
            Self::Idle(_) | Self::Notice(_) | Self::Staff(_) => FrontPlace::default(),
        }
    }

    /// The name of the resident in front, masked.
    pub(crate) fn masked_resident(&self) -> Option<Text> {
        if let Self::Visit(visit) = self { visit.masked_resident() } else { None }
    }

    pub(crate) fn content(&self, status: Status<'_>) -> ViewContent {
        match self {
            Self::Idle(idle) => idle.content(status),
            Self::Notice(notice) => notice.content(status),
            Self::Staff(staff) => staff.content(status),
            Self::Visit(visit) => visit.content(status),
            Self::Gate(gate) => gate.content(status),
        }
    }
}
