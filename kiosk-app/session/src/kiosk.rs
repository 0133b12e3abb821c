//! The root of the state machine: its state, the dispatch of events, its deadlines.

use std::collections::BTreeMap;
use std::sync::Arc;

use contract::{
    CloseReason, EntropySource, Entry, IdentificationMethod, OrderId, ReceiptId, USED_CODES_MAX, UnixMs,
    VisitId,
};
use view::{Lang, Theme, ViewId};

use crate::code_trust::CodeTrust;
use crate::durable::Durable;
use crate::effect::{Effect, Ticket, Transition, Work};
use crate::event::{DeviceKind, DeviceState, Event, KioskInput, MonotonicMs, Now};
use crate::gate::Gate;
use crate::notice::{Notice, NoticeKind, VisitRefusal};
use crate::payment::{self, PaymentPhase};
use crate::platform_clock::PlatformClock;
use crate::print_job::{PrintJob, PrintState};
use crate::setup::{Catalogue, KioskSetup};
use crate::show::ViewIdentity;
use crate::staff::StaffSignIn;
use crate::visit::{StepState, Task, Visit};

/// Label of the values that are expanded from the entropy of an input.
const ENTROPY_LABEL: &str = "draw";
/// The confirmation of a call for help is shown this long.
pub(crate) const HELP_SHOWN_MS: u64 = 10_000;

/// The state machine of one kiosk (自助终端). State that must end with the visit is stored under `visit`, all other state
/// beside it.
pub struct Kiosk {
    pub(crate) setup: Arc<KioskSetup>,
    /// What the records fold to. Changed by [`TransitionBuilder::record`] only.
    pub(crate) durable: Durable,
    pub(crate) catalogue: Catalogue,
    pub(crate) devices: DeviceStates,
    pub(crate) online: bool,
    /// The journal has crossed its high-water mark: no new order is created.
    pub(crate) payments_suspended: bool,
    /// Issuer keys and revocations, by which codes and cards are judged without the platform.
    pub(crate) code_trust: Arc<CodeTrust>,
    pub(crate) clock: PlatformClock,
    /// Used only if this kiosk is a gate.
    pub(crate) gate: Gate,
    /// What is going on with each of the unsettled orders, which are in the durable state.
    pub(crate) payments: BTreeMap<OrderId, PaymentPhase>,
    /// Print jobs that were issued and not yet finished.
    pub(crate) print_jobs: BTreeMap<ReceiptId, PrintJob>,
    pub(crate) visit: Option<Visit>,
    /// Set while a staff card is signed in; no visit can begin meanwhile.
    pub(crate) staff_sign_in: Option<StaffSignIn>,
    /// Anonymous notice after a visit, bounded in time.
    pub(crate) notice: Option<Notice>,
    pub(crate) idle_screen: IdleScreen,
    pub(crate) now: Now,
    last_ticket: u64,
    view_id: ViewId,
    view_identity: ViewIdentity,
}

/// Health of the devices, and whether a card is inserted.
#[derive(Default)]
pub(crate) struct DeviceStates {
    pub(crate) card_reader: DeviceState,
    pub(crate) code_reader: DeviceState,
    pub(crate) id_reader: DeviceState,
    pub(crate) receipt_printer: DeviceState,
    pub(crate) document_printer: DeviceState,
    /// A card is in the card slot.
    pub(crate) card_inserted: bool,
}

/// State of the idle screen (待机页): settings made before a visit, and hints that concern nobody in particular.
#[derive(Default)]
pub(crate) struct IdleScreen {
    pub(crate) lang: Lang,
    pub(crate) theme: Theme,
    pub(crate) explained_method: Option<view::SignInMethod>,
    pub(crate) code_hint: Option<crate::event::CodeHint>,
    pub(crate) help_until: Option<MonotonicMs>,
    /// When language, theme and hints are reset to their defaults.
    pub(crate) reset_at: Option<MonotonicMs>,
}

/// Context of one call of [`Kiosk::handle`]: its time, its entropy source, and the transition being built.
pub(crate) struct TransitionBuilder {
    pub(crate) now: Now,
    pub(crate) entropy: EntropySource,
    pub(crate) transition: Transition,
}

impl TransitionBuilder {
    fn new(now: Now, entropy: u128) -> Self {
        Self { now, entropy: EntropySource::new(ENTROPY_LABEL, entropy), transition: Transition::default() }
    }

    /// Records an entry and applies it to the durable state, as recovery will.
    pub(crate) fn record(&mut self, durable: &mut Durable, entry: Entry) {
        self.transition.record(durable, entry, self.now.wall);
    }
}

impl Kiosk {
    /// Recovers the kiosk from the durable state of its journal. Every unsettled order is inquired, never charged again; a
    /// copy whose printing had started becomes *unconfirmed*; a receipt that was not started is abandoned as a print
    /// job and can be fetched by its number.
    pub fn recover(
        setup: Arc<KioskSetup>,
        catalogue: Catalogue,
        durable: Durable,
        at: Now,
    ) -> (Self, Transition) {
        let mut kiosk = Self {
            setup,
            durable,
            catalogue,
            devices: DeviceStates::default(),
            online: false,
            payments_suspended: false,
            code_trust: Arc::default(),
            clock: PlatformClock::default(),
            gate: Gate::default(),
            payments: BTreeMap::new(),
            print_jobs: BTreeMap::new(),
            visit: None,
            staff_sign_in: None,
            notice: None,
            idle_screen: IdleScreen::default(),
            now: at,
            last_ticket: 0,
            view_id: ViewId(0),
            view_identity: ViewIdentity::default(),
        };
        let mut builder = TransitionBuilder::new(at, 0);
        if let Some(visit) = kiosk.durable.visit {
            let closed = Entry::VisitClosed { visit, reason: CloseReason::Interrupted };
            builder.record(&mut kiosk.durable, closed);
        }
        for entry in kiosk.durable.interrupted_prints() {
            builder.record(&mut kiosk.durable, entry);
        }
        for order in kiosk.durable.orders.keys() {
            builder.transition.effect(Effect::Inquire(*order));
            kiosk.payments.insert(*order, PaymentPhase::RECOVERED);
        }
        kiosk.view_identity = ViewIdentity::of_kiosk(&kiosk);
        (kiosk, builder.transition)
    }

    /// Handles one event. Commit the transition before anything else is done with the kiosk; when the commit
    /// fails, drop the kiosk and recover a new one from the journal.
    pub fn handle(&mut self, input: KioskInput) -> Transition {
        self.now = input.at;
        let mut builder = TransitionBuilder::new(input.at, input.entropy);
        match input.event {
            Event::Tick => self.tick(&mut builder),
            Event::Touch { view: on, intent } => {
                if on == self.view_id {
                    self.on_touch(&mut builder, intent);
                }
            }
            Event::Card(event) => self.on_card(&mut builder, event),
            Event::IdCard(event) => self.on_id_card(&mut builder, event),
            Event::CodeScanned(code) => self.on_code(&mut builder, &code),
            Event::CodeHint(hint) => self.on_code_hint(hint),
            Event::DeviceStateChanged(device, health) => self.on_health(&mut builder, device, health),
            Event::WorkAnswered(ticket, answer) => self.on_work_answer(&mut builder, ticket, answer),
            Event::PaymentAnswered(order, outcome) => self.on_payment(&mut builder, order, outcome),
            Event::PrintFinished(receipt, result) => self.on_print_result(&mut builder, receipt, result),
            Event::CatalogueChanged(catalogue) => self.on_catalogue(&mut builder, catalogue),
            Event::CodeTrustChanged(trust) => self.code_trust = trust,
            Event::ClockSynchronised(offset_ms) => self.on_clock_synchronised(&mut builder, offset_ms),
            Event::LinkChanged(online) => self.online = online,
            Event::JournalNearlyFull(full) => self.on_journal_nearly_full(&mut builder, full),
        }
        self.update_idle_timer();
        let place = ViewIdentity::of_kiosk(self);
        if place != self.view_identity {
            self.view_identity = place;
            self.view_id = ViewId(self.view_id.0.saturating_add(1));
        }
        builder.transition
    }

    /// What the records fold to. Recovery from it yields a kiosk that has everything that must outlive the process.
    #[must_use]
    pub const fn durable(&self) -> &Durable {
        &self.durable
    }

    /// The id of the current view.
    pub(crate) const fn view_id(&self) -> ViewId {
        self.view_id
    }

    /// When the kiosk needs an [`Event::Tick`] at the latest. Call again after every [`Kiosk::handle`].
    #[must_use]
    pub fn next_deadline(&self) -> Option<MonotonicMs> {
        let minute = 60_000 - self.now.wall.0 % 60_000;
        let clock = Some(self.now.mono.plus_ms(minute));
        let notice = self.notice.as_ref().and_then(|notice| notice.until);
        let payments = self.payments.values().filter_map(PaymentPhase::next_inquiry_at).min();
        let visit = self.visit.as_ref();
        let pending = visit.and_then(Visit::pending_work).map(|(_, deadline)| deadline);
        let slow = visit.and_then(charge_slow_at);
        let help = visit.and_then(|visit| visit.help_until);
        [
            clock,
            notice,
            payments,
            pending,
            slow,
            help,
            self.gate.next_deadline(),
            self.next_countdown_step(),
            self.idle_screen.reset_at,
            self.idle_screen.help_until,
            self.staff_sign_in.as_ref().map(|staff| staff.until),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The end of the visit by idle timeout, or the next second of the countdown to it.
    fn next_countdown_step(&self) -> Option<MonotonicMs> {
        let end = self.visit.as_ref()?.idle_until?;
        let left = end.0.saturating_sub(self.now.mono.0);
        let countdown = self.setup.time_limits.countdown_ms;
        if left > countdown {
            return Some(MonotonicMs(end.0 - countdown));
        }
        let into_second = left % 1000;
        Some(self.now.mono.plus_ms(if into_second == 0 { left.min(1000) } else { into_second }))
    }

    fn tick(&mut self, builder: &mut TransitionBuilder) {
        let now = builder.now.mono;
        self.send_due_inquiries(builder);
        self.on_gate_tick(builder);
        if self.notice.as_ref().is_some_and(|notice| notice.until.is_some_and(|until| until <= now)) {
            self.notice = None;
        }
        if self.staff_sign_in.as_ref().is_some_and(|staff| staff.until <= now) {
            self.end_staff_sign_in();
        }
        if self.idle_screen.reset_at.is_some_and(|at| at <= now) {
            self.idle_screen = IdleScreen::default();
        }
        if self.idle_screen.help_until.is_some_and(|at| at <= now) {
            self.idle_screen.help_until = None;
        }
        let mut ended = None;
        let mut late = false;
        if let Some(visit) = &mut self.visit {
            if visit.help_until.is_some_and(|at| at <= now) {
                visit.help_until = None;
            }
            if visit.idle_until.is_some_and(|at| at <= now) {
                ended = Some(CloseReason::TimedOut);
            }
            late = visit.pending_work().is_some_and(|(_, deadline)| deadline <= now);
            if let Task::Service(running) = &mut visit.task
                && let StepState::Paying { slow_at, slow, .. } = &mut running.state
                && *slow_at <= now
            {
                *slow = true;
            }
        }
        if late {
            self.on_work_timeout(builder);
        }
        if let Some(reason) = ended {
            self.end_visit(builder, reason);
        }
    }

    /// Starts the idle timer when the resident can act, and stops it while work is pending.
    fn update_idle_timer(&mut self) {
        let until = |visit: &Visit, times: crate::TimeLimits, now: MonotonicMs| {
            let idle = match visit.theme {
                Theme::Standard => times.idle_ms,
                Theme::Elder => times.idle_elder_ms,
            };
            now.plus_ms(if visit.is_using_phone() { idle.saturating_mul(2) } else { idle })
        };
        let (times, now) = (self.setup.time_limits, self.now.mono);
        if let Some(visit) = &mut self.visit {
            if visit.is_working() {
                visit.idle_until = None;
            } else if visit.idle_until.is_none() {
                visit.idle_until = Some(until(visit, times, now));
            }
        }
    }

    /// Restarts the idle timer of the visit or of the idle screen.
    pub(crate) fn reset_idle_timer(&mut self) {
        match &mut self.visit {
            Some(visit) => visit.idle_until = None,
            None => self.idle_screen.reset_at = Some(self.now.mono.plus_ms(self.setup.time_limits.idle_ms)),
        }
    }

    /// Starts work of the visit. The ticket ties the answer to it.
    pub(crate) fn start_work(
        &mut self,
        builder: &mut TransitionBuilder,
        work: Work,
    ) -> (Ticket, MonotonicMs) {
        self.last_ticket += 1;
        let ticket = Ticket(self.last_ticket);
        let deadline = builder.now.mono.plus_ms(self.setup.time_limits.answer_ms);
        builder.transition.effect(Effect::StartWork { ticket, deadline, work });
        (ticket, deadline)
    }

    /// Ends the visit and wipes its data. Pending payments and print jobs continue as duties.
    pub(crate) fn end_visit(&mut self, builder: &mut TransitionBuilder, reason: CloseReason) {
        let Some(visit) = self.visit.take() else { return };
        if let Some((Some(ticket), _)) = visit.pending_work() {
            builder.transition.effect(Effect::CancelWork(ticket));
        }
        self.detach_visit(builder, visit.id);
        if visit.recorded {
            builder.record(&mut self.durable, Entry::VisitClosed { visit: visit.id, reason });
        }
        self.notice = self.notice_after(&visit);
        self.idle_screen = IdleScreen::default();
    }

    /// The notice to show after the visit: the state of its payment, or the request to take the card.
    fn notice_after(&self, visit: &Visit) -> Option<Notice> {
        let times = self.setup.time_limits;
        let pending = visit.running_service().and_then(|running| self.pending_notice(&running.state));
        let take_card = self.devices.card_inserted.then_some(NoticeKind::TakeCard);
        // An ID card stays on its reader and is easily forgotten.
        let id_card_left =
            visit.identification_method == IdentificationMethod::IdCard && visit.resident.is_some();
        let kind = pending.or(take_card).or(id_card_left.then_some(NoticeKind::TakeIdCard))?;
        // Only the removal of the card ends the notice about it.
        let until = match kind {
            NoticeKind::TakeCard => None,
            NoticeKind::TakeIdCard => Some(self.now.mono.plus_ms(times.short_notice_ms)),
            NoticeKind::Refused(_) | NoticeKind::Payment { .. } | NoticeKind::PinChangeUnknown => {
                Some(self.now.mono.plus_ms(times.outcome_notice_ms))
            }
        };
        Some(Notice { kind, lang: visit.lang, theme: visit.theme, until })
    }

    /// The outcome that the resident has not seen yet: of a payment, of the print of its receipt, or of a change of
    /// PIN.
    fn pending_notice(&self, state: &StepState) -> Option<NoticeKind> {
        if let StepState::PinChanging { .. } = state {
            return Some(NoticeKind::PinChangeUnknown);
        }
        if let StepState::Paying { order, .. } = state {
            let (total, receipt) = (self.durable.orders.get(order)?.total, payment::receipt_of(*order));
            return Some(NoticeKind::Payment { order: Some(*order), total, settlement: None, receipt });
        }
        if let StepState::Settled { settlement, total, receipt } = state
            && self.print_state(*receipt) == Some(&PrintState::Printing)
        {
            let settlement = Some(settlement.clone());
            return Some(NoticeKind::Payment { order: None, total: *total, settlement, receipt: *receipt });
        }
        None
    }

    fn on_health(&mut self, builder: &mut TransitionBuilder, device: DeviceKind, health: DeviceState) {
        match device {
            DeviceKind::CardReader => {
                self.devices.card_reader = health;
                if health != DeviceState::Ready && self.devices.card_inserted {
                    // Without the reader, the removal of the card cannot be detected: the visit must end. While the
                    // card is being read, it is still in the slot, and the resident is asked to take it.
                    let reading = self.is_reading(IdentificationMethod::Card);
                    self.devices.card_inserted = false;
                    if reading {
                        self.refuse_visit(builder, VisitRefusal::CardNotResponding);
                    } else {
                        self.on_card_removed(builder);
                    }
                }
            }
            DeviceKind::CodeReader => self.devices.code_reader = health,
            DeviceKind::IdReader => {
                self.devices.id_reader = health;
                if health != DeviceState::Ready && self.is_reading(IdentificationMethod::IdCard) {
                    self.refuse_visit(builder, VisitRefusal::IdCardNotRead);
                }
            }
            // The sign on the screen shows the same as a gate's light: the gate works without the light.
            DeviceKind::Signal => {}
            DeviceKind::ReceiptPrinter => {
                let before = std::mem::replace(&mut self.devices.receipt_printer, health);
                self.on_printer_health(builder, before, health);
            }
            DeviceKind::DocumentPrinter => {
                let before = std::mem::replace(&mut self.devices.document_printer, health);
                self.on_printer_health(builder, before, health);
            }
        }
    }

    /// A printer that became ready prints the next waiting job.
    fn on_printer_health(&mut self, builder: &mut TransitionBuilder, before: DeviceState, now: DeviceState) {
        if now == DeviceState::Ready && before != DeviceState::Ready {
            self.start_next_print(builder);
        }
    }

    /// The card was removed, or the reader was lost.
    pub(crate) fn on_card_removed(&mut self, builder: &mut TransitionBuilder) {
        self.devices.card_inserted = false;
        self.end_staff_sign_in();
        if self.visit.as_ref().is_some_and(|visit| visit.identification_method == IdentificationMethod::Card)
        {
            self.end_visit(builder, CloseReason::CardRemoved);
        } else if self.notice.as_ref().is_some_and(Notice::ends_on_card_removal) {
            self.notice = None;
        }
    }

    fn on_journal_nearly_full(&mut self, builder: &mut TransitionBuilder, full: bool) {
        if full && !self.payments_suspended {
            // Staff must come even if nobody touches *help*.
            builder.record(&mut self.durable, Entry::HelpRequested { visit: None });
        }
        self.payments_suspended = full;
    }

    fn on_catalogue(&mut self, builder: &mut TransitionBuilder, catalogue: Catalogue) {
        builder.record(
            &mut self.durable,
            Entry::ServicesChanged {
                cursor: catalogue.cursor,
                services: catalogue.services.values().map(|doc| (doc.id.clone(), doc.version)).collect(),
            },
        );
        self.catalogue = catalogue;
    }

    /// Whether a code may be accepted: it was not before, and the limit is not reached. A used-code record is never dropped to
    /// make room for another.
    pub(crate) fn is_unused(&self, key: &str) -> bool {
        let now = self.estimated_time();
        let kept = self.durable.used_codes.values().filter(|until| **until > now).count();
        kept < USED_CODES_MAX && self.durable.used_codes.get(key).is_none_or(|until| *until <= now)
    }

    /// The platform's time as far as it is known, or else the kiosk's own.
    pub(crate) fn estimated_time(&self) -> UnixMs {
        self.clock.estimated_now(&self.durable, self.now)
    }

    /// Synchronises the clock. The synchronisation is recorded only where codes are judged by the clock.
    fn on_clock_synchronised(&mut self, builder: &mut TransitionBuilder, offset_ms: i64) {
        let to_record = self.clock.synchronise(builder.now, offset_ms);
        if let Some(platform) = to_record
            && self.setup.code_rules.is_some()
        {
            builder.record(&mut self.durable, Entry::ClockSynchronised { platform, offset_ms });
        }
    }

    /// State of the print job of this receipt; none when it has no unfinished print job.
    pub(crate) fn print_state(&self, receipt: ReceiptId) -> Option<&PrintState> {
        self.print_jobs.get(&receipt).map(|job| &job.state)
    }

    /// A visit without an identified resident.
    pub(crate) fn new_visit(&self, id: VisitId, method: IdentificationMethod, task: Task) -> Visit {
        Visit {
            id,
            identification_method: method,
            resident: None,
            verified_code: None,
            card_authenticated: false,
            recorded: false,
            task,
            lang: self.idle_screen.lang,
            theme: self.idle_screen.theme,
            idle_until: None,
            help_until: None,
        }
    }
}

fn charge_slow_at(visit: &Visit) -> Option<MonotonicMs> {
    if let StepState::Paying { slow_at, slow: false, .. } = &visit.running_service()?.state {
        Some(*slow_at)
    } else {
        None
    }
}
