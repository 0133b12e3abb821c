//! The root of the state machine: its state, the dispatch of events, its deadlines.

use std::collections::BTreeMap;
use std::sync::Arc;

use contract::{CloseReason, Entry, OrderId, ReceiptId, UnixMs, VisitId, Way};
use view::{Lang, Theme, ViewId};

use crate::clock::Clock;
use crate::closing::{Closing, LastWords, Refusal};
use crate::draw::Draw;
use crate::effect::{Effect, Ticket, Transition, Work};
use crate::event::{Device, Event, Health, Input, Mono, Now};
use crate::gate::Gate;
use crate::open::OpenWork;
use crate::paper::{Paper, PaperState};
use crate::payment::Payment;
use crate::setup::{Catalogue, Setup};
use crate::show::Place;
use crate::staff::Staff;
use crate::trust::CodeTrust;
use crate::visit::{StepState, Task, Visit};

/// The used-code record of an online token is kept this long, far beyond the validity of the token.
pub(crate) const MARK_LIFE_MS: u64 = 3_600_000;
/// Limit of used-code records kept. A queue of residents shows a few codes per minute.
const MARKS_MAX: usize = 4096;
/// The confirmation of a call for help is shown this long.
pub(crate) const HELP_SHOWN_MS: u64 = 10_000;

/// The state machine of one kiosk (自助终端). State that must end with the visit is stored under `visit`, all other state
/// beside it.
pub struct Kiosk {
    pub(crate) setup: Arc<Setup>,
    pub(crate) catalogue: Catalogue,
    pub(crate) devices: Devices,
    pub(crate) online: bool,
    /// The journal has crossed its high-water mark: no new order is created.
    pub(crate) money_off: bool,
    /// Used-code records: codes accepted here, so that each is accepted once, with the time until which it is kept.
    pub(crate) marks: BTreeMap<String, UnixMs>,
    /// Issuer keys and revocations, by which codes and cards are judged without the platform.
    pub(crate) codes: Arc<CodeTrust>,
    pub(crate) clock: Clock,
    /// Used only if this kiosk is a gate.
    pub(crate) gate: Gate,
    /// Unsettled orders, of this or of earlier visits.
    pub(crate) payments: BTreeMap<OrderId, Payment>,
    /// Print jobs that were issued and not yet finished.
    pub(crate) papers: BTreeMap<ReceiptId, Paper>,
    pub(crate) visit: Option<Visit>,
    /// Set while a staff card is signed in; no visit can begin meanwhile.
    pub(crate) staff: Option<Staff>,
    /// Anonymous notice after a visit, bounded in time.
    pub(crate) closing: Option<Closing>,
    pub(crate) lobby: Lobby,
    pub(crate) now: Now,
    tickets: u64,
    view_id: ViewId,
    place: Place,
}

/// Health of the devices, and whether a card is inserted.
#[derive(Default)]
pub(crate) struct Devices {
    pub(crate) card_reader: Health,
    pub(crate) code_reader: Health,
    pub(crate) id_reader: Health,
    pub(crate) printer: Health,
    pub(crate) sheet_printer: Health,
    /// A card is in the card slot.
    pub(crate) card_in: bool,
}

/// State of the idle screen (待机页): settings made before a visit, and hints that concern nobody in particular.
#[derive(Default)]
pub(crate) struct Lobby {
    pub(crate) lang: Lang,
    pub(crate) theme: Theme,
    pub(crate) explain: Option<view::Way>,
    pub(crate) hint: Option<crate::event::CodeHint>,
    pub(crate) help_until: Option<Mono>,
    /// When language, theme and hints are reset to their defaults.
    pub(crate) reset_at: Option<Mono>,
}

/// Context of one call of [`Kiosk::handle`]: its time, its entropy source, and the transition being built.
pub(crate) struct Turn {
    pub(crate) now: Now,
    pub(crate) draw: Draw,
    pub(crate) out: Transition,
}

impl Turn {
    fn new(now: Now, entropy: u128) -> Self {
        Self { now, draw: Draw::new(entropy), out: Transition::default() }
    }
}

impl Kiosk {
    /// Recovers the kiosk from the open work in the journal. Every unsettled order is inquired, never charged again; a
    /// copy whose printing had started becomes *unconfirmed*; a receipt that was not started is abandoned as a print
    /// job and can be fetched by its number.
    pub fn recover(setup: Arc<Setup>, catalogue: Catalogue, open: OpenWork, at: Now) -> (Self, Transition) {
        let mut kiosk = Self {
            setup,
            catalogue,
            devices: Devices::default(),
            online: false,
            money_off: false,
            marks: open.code_marks.into_iter().collect(),
            codes: Arc::default(),
            clock: Clock::recovered(open.clock_heard, open.clock_floor),
            gate: Gate::recovered(open.admitted),
            payments: BTreeMap::new(),
            papers: BTreeMap::new(),
            visit: None,
            staff: None,
            closing: None,
            lobby: Lobby::default(),
            now: at,
            tickets: 0,
            view_id: ViewId(0),
            place: Place::default(),
        };
        let mut builder = Turn::new(at, 0);
        if let Some(visit) = open.visit {
            builder.out.record(Entry::VisitClosed { visit, reason: CloseReason::Interrupted });
        }
        for job in open.papers {
            let receipt = job.receipt;
            builder.out.record(match job.started {
                Some(copy) => Entry::PrintUnconfirmed { receipt, copy },
                None => Entry::ReceiptWaived { receipt },
            });
        }
        for payment in open.payments {
            builder.out.effect(Effect::Inquire(payment.order));
            kiosk.payments.insert(payment.order, Payment::recovered(payment));
        }
        kiosk.place = Place::of(&kiosk);
        (kiosk, builder.out)
    }

    /// Handles one event. Commit the transition before anything else is done with the kiosk; when the commit
    /// fails, drop the kiosk and recover a new one from the journal.
    pub fn handle(&mut self, input: Input) -> Transition {
        self.now = input.at;
        let mut builder = Turn::new(input.at, input.entropy);
        match input.event {
            Event::Tick => self.tick(&mut builder),
            Event::Touch { on, intent } => {
                if on == self.view_id {
                    self.touch(&mut builder, intent);
                }
            }
            Event::Card(event) => self.on_card(&mut builder, event),
            Event::IdCard(event) => self.on_id_card(&mut builder, event),
            Event::Code(code) => self.on_code(&mut builder, &code),
            Event::CodeHint(hint) => self.on_code_hint(hint),
            Event::Health(device, health) => self.on_health(&mut builder, device, health),
            Event::Answer(ticket, answer) => self.on_answer(&mut builder, ticket, answer),
            Event::Payment(order, outcome) => self.on_payment(&mut builder, order, outcome),
            Event::Paper(receipt, result) => self.on_paper(&mut builder, receipt, result),
            Event::Catalogue(catalogue) => self.on_catalogue(&mut builder, catalogue),
            Event::Codes(trust) => self.codes = trust,
            Event::ClockHeard(offset_ms) => self.on_clock(&mut builder, offset_ms),
            Event::Link(online) => self.online = online,
            Event::LogNearlyFull(full) => self.on_log_nearly_full(&mut builder, full),
        }
        self.settle_attention();
        let place = Place::of(self);
        if place != self.place {
            self.place = place;
            self.view_id = ViewId(self.view_id.0.saturating_add(1));
        }
        builder.out
    }

    /// The id of the current view.
    pub(crate) const fn view_id(&self) -> ViewId {
        self.view_id
    }

    /// When the kiosk needs an [`Event::Tick`] at the latest. Call again after every [`Kiosk::handle`].
    #[must_use]
    pub fn next_deadline(&self) -> Option<Mono> {
        let minute = 60_000 - self.now.wall.0 % 60_000;
        let clock = Some(self.now.mono.plus_ms(minute));
        let notice = self.closing.as_ref().and_then(|notice| notice.until);
        let payments = self.payments.values().filter_map(Payment::next_inquiry).min();
        let visit = self.visit.as_ref();
        let pending = visit.and_then(Visit::pending).map(|(_, deadline)| deadline);
        let slow = visit.and_then(slow_at);
        let help = visit.and_then(|visit| visit.help_until);
        [
            clock,
            notice,
            payments,
            pending,
            slow,
            help,
            self.gate.next_deadline(),
            self.next_second(),
            self.lobby.reset_at,
            self.lobby.help_until,
            self.staff.as_ref().map(|staff| staff.until),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The end of the visit by idle timeout, or the next second of the countdown to it.
    fn next_second(&self) -> Option<Mono> {
        let end = self.visit.as_ref()?.idle_until?;
        let left = end.0.saturating_sub(self.now.mono.0);
        let countdown = self.setup.times.countdown_ms;
        if left > countdown {
            return Some(Mono(end.0 - countdown));
        }
        let into_second = left % 1000;
        Some(self.now.mono.plus_ms(if into_second == 0 { left.min(1000) } else { into_second }))
    }

    fn tick(&mut self, builder: &mut Turn) {
        let now = builder.now.mono;
        self.inquire_due(builder);
        self.gate_tick(builder);
        if self.closing.as_ref().is_some_and(|notice| notice.until.is_some_and(|until| until <= now)) {
            self.closing = None;
        }
        if self.staff.as_ref().is_some_and(|staff| staff.until <= now) {
            self.end_staff();
        }
        if self.lobby.reset_at.is_some_and(|at| at <= now) {
            self.lobby = Lobby::default();
        }
        if self.lobby.help_until.is_some_and(|at| at <= now) {
            self.lobby.help_until = None;
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
            late = visit.pending().is_some_and(|(_, deadline)| deadline <= now);
            if let Task::Service(running) = &mut visit.task
                && let StepState::Paying { slow_at, slow, .. } = &mut running.state
                && *slow_at <= now
            {
                *slow = true;
            }
        }
        if late {
            self.on_late(builder);
        }
        if let Some(reason) = ended {
            self.end_visit(builder, reason);
        }
    }

    /// Starts the idle timer when the resident can act, and stops it while work is pending.
    fn settle_attention(&mut self) {
        let until = |visit: &Visit, times: crate::Times, now: Mono| {
            let idle = match visit.theme {
                Theme::Standard => times.idle_ms,
                Theme::Elder => times.idle_elder_ms,
            };
            now.plus_ms(if visit.is_with_phone() { idle.saturating_mul(2) } else { idle })
        };
        let (times, now) = (self.setup.times, self.now.mono);
        if let Some(visit) = &mut self.visit {
            if visit.working() {
                visit.idle_until = None;
            } else if visit.idle_until.is_none() {
                visit.idle_until = Some(until(visit, times, now));
            }
        }
    }

    /// Restarts the idle timer of the visit or of the idle screen.
    pub(crate) fn attend(&mut self) {
        match &mut self.visit {
            Some(visit) => visit.idle_until = None,
            None => self.lobby.reset_at = Some(self.now.mono.plus_ms(self.setup.times.idle_ms)),
        }
    }

    /// Starts work of the visit. The ticket ties the answer to it.
    pub(crate) fn start(&mut self, builder: &mut Turn, work: Work) -> (Ticket, Mono) {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let deadline = builder.now.mono.plus_ms(self.setup.times.answer_ms);
        builder.out.effect(Effect::Do { ticket, deadline, work });
        (ticket, deadline)
    }

    /// Ends the visit and wipes its data. Pending payments and print jobs continue as duties.
    pub(crate) fn end_visit(&mut self, builder: &mut Turn, reason: CloseReason) {
        let Some(visit) = self.visit.take() else { return };
        if let Some((Some(ticket), _)) = visit.pending() {
            builder.out.effect(Effect::Cancel(ticket));
        }
        self.release_papers(builder, visit.id);
        if visit.recorded {
            builder.out.record(Entry::VisitClosed { visit: visit.id, reason });
        }
        self.closing = self.last_words(&visit);
        self.lobby = Lobby::default();
    }

    /// The notice to show after the visit: the state of its payment, or the request to take the card.
    fn last_words(&self, visit: &Visit) -> Option<Closing> {
        let times = self.setup.times;
        let pending = visit.running().and_then(|running| self.unsaid(&running.state));
        let take_card = self.devices.card_in.then_some(LastWords::TakeCard);
        // An ID card stays on its reader and is easily forgotten.
        let id_card_left = visit.way == Way::IdCard && visit.person.is_some();
        let kind = pending.or(take_card).or(id_card_left.then_some(LastWords::TakeIdCard))?;
        // Only the removal of the card ends the notice about it.
        let until = match kind {
            LastWords::TakeCard => None,
            LastWords::TakeIdCard => Some(self.now.mono.plus_ms(times.notice_ms)),
            LastWords::Refused(_) | LastWords::Payment { .. } | LastWords::PinUnclear => {
                Some(self.now.mono.plus_ms(times.closing_ms))
            }
        };
        Some(Closing { words: kind, lang: visit.lang, theme: visit.theme, until })
    }

    /// The outcome that the resident has not seen yet: of a payment, of the print of its receipt, or of a change of
    /// PIN.
    fn unsaid(&self, state: &StepState) -> Option<LastWords> {
        if let StepState::PinChanging { .. } = state {
            return Some(LastWords::PinUnclear);
        }
        if let StepState::Paying { order, .. } = state {
            let payment = self.payments.get(order)?;
            let (total, receipt) = (payment.total, payment.receipt);
            return Some(LastWords::Payment { order: Some(*order), total, settlement: None, receipt });
        }
        if let StepState::Settled { settlement, total, receipt } = state
            && self.paper_of(*receipt) == Some(&PaperState::Printing)
        {
            let settlement = Some(settlement.clone());
            return Some(LastWords::Payment { order: None, total: *total, settlement, receipt: *receipt });
        }
        None
    }

    fn on_health(&mut self, builder: &mut Turn, device: Device, health: Health) {
        match device {
            Device::CardReader => {
                self.devices.card_reader = health;
                if health != Health::Ready && self.devices.card_in {
                    // Without the reader, the removal of the card cannot be detected: the visit must end. While the
                    // card is being read, it is still in the slot, and the resident is asked to take it.
                    let reading = self.reading(Way::Card);
                    self.devices.card_in = false;
                    if reading {
                        self.refuse(builder, Refusal::CardMute);
                    } else {
                        self.card_gone(builder);
                    }
                }
            }
            Device::CodeReader => self.devices.code_reader = health,
            Device::IdReader => {
                self.devices.id_reader = health;
                if health != Health::Ready && self.reading(Way::IdCard) {
                    self.refuse(builder, Refusal::IdCardUnread);
                }
            }
            // The sign on the screen shows the same as a gate's light: the gate works without the light.
            Device::Signal => {}
            Device::Printer => {
                let before = std::mem::replace(&mut self.devices.printer, health);
                self.on_printer(builder, before, health);
            }
            Device::SheetPrinter => {
                let before = std::mem::replace(&mut self.devices.sheet_printer, health);
                self.on_printer(builder, before, health);
            }
        }
    }

    /// A printer that became ready prints the next waiting job.
    fn on_printer(&mut self, builder: &mut Turn, before: Health, now: Health) {
        if now == Health::Ready && before != Health::Ready {
            self.print_waiting(builder);
        }
    }

    /// The card was removed, or the reader was lost.
    pub(crate) fn card_gone(&mut self, builder: &mut Turn) {
        self.devices.card_in = false;
        self.end_staff();
        if self.visit.as_ref().is_some_and(|visit| visit.way == Way::Card) {
            self.end_visit(builder, CloseReason::CardTaken);
        } else if self.closing.as_ref().is_some_and(Closing::ends_with_card) {
            self.closing = None;
        }
    }

    fn on_log_nearly_full(&mut self, builder: &mut Turn, full: bool) {
        if full && !self.money_off {
            // Staff must come even if nobody touches *help*.
            builder.out.record(Entry::HelpCalled { visit: None });
        }
        self.money_off = full;
    }

    fn on_catalogue(&mut self, builder: &mut Turn, catalogue: Catalogue) {
        builder.out.record(Entry::CatalogueChanged {
            cursor: catalogue.cursor,
            services: catalogue.services.values().map(|doc| (doc.id.clone(), doc.version)).collect(),
        });
        self.catalogue = catalogue;
    }

    /// Stores a used-code record. False when the code was accepted here before, or when the limit is reached: a record
    /// is never dropped to make room for another.
    pub(crate) fn mark(&mut self, key: &str, until: UnixMs) -> bool {
        let now = self.best_time();
        self.marks.retain(|_, end| *end > now);
        if self.marks.contains_key(key) || self.marks.len() >= MARKS_MAX {
            return false;
        }
        self.marks.insert(key.to_owned(), until);
        true
    }

    /// The platform's time as far as it is known, or else the kiosk's own.
    pub(crate) fn best_time(&self) -> UnixMs {
        self.clock.best(self.now)
    }

    /// Synchronises the clock. The synchronisation is recorded only where codes are judged by the clock.
    fn on_clock(&mut self, builder: &mut Turn, offset_ms: i64) {
        let to_record = self.clock.hear(builder.now, offset_ms);
        if let Some(platform) = to_record
            && self.setup.codes.is_some()
        {
            builder.out.record(Entry::ClockHeard { platform, offset_ms });
        }
    }

    /// State of the print job of this receipt; none when it has no unfinished print job.
    pub(crate) fn paper_of(&self, receipt: ReceiptId) -> Option<&PaperState> {
        self.papers.get(&receipt).map(|job| &job.state)
    }

    /// A visit without an identified resident.
    pub(crate) fn open_visit(&self, id: VisitId, method: Way, task: Task) -> Visit {
        Visit {
            id,
            way: method,
            person: None,
            code: None,
            authenticated: false,
            recorded: false,
            task,
            lang: self.lobby.lang,
            theme: self.lobby.theme,
            idle_until: None,
            help_until: None,
        }
    }
}

fn slow_at(visit: &Visit) -> Option<Mono> {
    if let StepState::Paying { slow_at, slow: false, .. } = &visit.running()?.state {
        Some(*slow_at)
    } else {
        None
    }
}
