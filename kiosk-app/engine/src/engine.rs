//! The engine's state and its turn.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use contract::{
    Backoff, BatchAck, ChangesAnswer, EntropySource, Entry, Head, PublicKey, SecretKey, UnixMs,
    UnreportedOrdersAnswer,
};
use journal::{Disk, Journal};
use session::{
    CardEvent, DeviceKind, DeviceState, Effect, Event, Failure, Kiosk, KioskSetup, MonotonicMs, Now,
    Transition, out_of_service_view,
};
use sync::{
    ExchangeFailed, ExchangeTiming, FeedAnswer, Reconciled, Reconciliation, RecordsOutcome, Uplink,
    UplinkRequest,
};
use view::View;

use crate::cache_entry::{CacheEntry, CacheKey, CacheSnapshot};
use crate::feed_state::FeedState;
use crate::generation::Generation;
use crate::journal_source::{JournalOpener, JournalSource, readable, restated_after};
use crate::kiosk_state::KioskState;

/// Pauses between attempts to reopen a failed journal. The longest is short: an operator may have freed disk space
/// meanwhile.
const REOPEN_BACKOFF: Backoff = Backoff::new(1_000, 60_000);
/// Label of the values that are expanded from the entropy of an input.
const ENTROPY_LABEL: &str = "engine-turn";
/// A journal without failures for this long was stable: its next failure starts with the first pause again.
const STABLE_MS: u64 = 120_000;
/// Pause before records are read again, after a read found nothing although records wait.
const REREAD_MS: u64 = 10_000;

/// Configuration of an engine.
pub struct EngineConfig<D> {
    /// The session's setup for the site.
    pub setup: Arc<KioskSetup>,
    /// Opens the journal.
    pub journal: JournalOpener<D>,
    /// The kiosk's signing key: signs the heads of the record chain.
    pub device_key: Arc<SecretKey>,
    /// The city's catalogue key: verifies service documents.
    pub catalogue_key: PublicKey,
    /// The cached values of the previous process.
    pub cached: CacheSnapshot,
}

/// One input of the engine, with the time and the entropy for its turn.
pub struct EngineInput {
    /// Monotonic and wall time of the turn.
    pub at: Now,
    /// 128 fresh random bits.
    pub entropy: u128,
    /// The event.
    pub event: InputEvent,
}

/// The event of an [`EngineInput`].
pub enum InputEvent {
    /// [`Engine::next_deadline`] has passed.
    Tick,
    /// An event for the kiosk.
    Kiosk(Event),
    /// The answer to an [`Output::Send`] or an [`Output::Reconcile`].
    Uplink(UplinkAnswer),
}

/// The answer to a request of the uplink. Each request has exactly one.
pub enum UplinkAnswer {
    /// Answer to [`UplinkRequest::Records`].
    Records(ExchangeTiming, Result<BatchAck, ExchangeFailed>),
    /// Answer to [`UplinkRequest::Changes`].
    Changes(ExchangeTiming, Result<ChangesAnswer, ExchangeFailed>),
    /// Answer to [`Output::Reconcile`].
    UnreportedOrders(Result<UnreportedOrdersAnswer, ExchangeFailed>),
}

/// An output of a turn, to be executed by the caller.
pub enum Output {
    /// An effect for a device or the platform; its records are durable.
    Effect(Effect),
    /// A request of the uplink to the platform.
    Send(UplinkRequest),
    /// The request for the orders that the kiosk has not reported.
    Reconcile,
    /// A changed view for the screen; everything on it is durable.
    Show(Box<View>),
    /// A value to be cached when the cache has time; nothing waits for it.
    Cache(CacheEntry),
}

/// The kiosk, its journal and its uplink.
pub struct Engine<D> {
    setup: Arc<KioskSetup>,
    journal: JournalOpener<D>,
    device_key: Arc<SecretKey>,
    feed: FeedState,
    /// The services changed, and the kiosk has not recorded it yet.
    feed_unrecorded: bool,
    feed_uncached: bool,
    uplink: Uplink,
    reconciliation: Reconciliation,
    state: EngineState<D>,
    /// Consecutive failures of the journal.
    failures: u32,
    generation: Generation,
    /// Last health of each device, for a new kiosk after a recovery.
    devices: BTreeMap<DeviceKind, DeviceState>,
    /// A card is in the slot, also while the journal is closed.
    card_inserted: bool,
    shown: Option<View>,
}

enum EngineState<D> {
    /// In service: the journal is open and a kiosk runs.
    InService(Box<InService<D>>),
    /// Out of service: the journal failed and is reopened at this time.
    OutOfService { until: MonotonicMs },
}

struct InService<D> {
    kiosk: Kiosk,
    journal: Journal<KioskState, D>,
    opened_at: MonotonicMs,
    /// State of the link and of the high-water mark that the kiosk was last notified of.
    online: bool,
    above_high_water: bool,
    /// The uplink found no readable record: it does not read again before this time.
    unreadable_until: MonotonicMs,
}

impl<D: Disk> InService<D> {
    /// Whether the platform is to be asked for orders that the log lacks, and has all of the log.
    fn wants_reconciliation(&self, uplink: &Uplink) -> bool {
        !self.journal.state().orders_reconciled && uplink.has_delivered(self.journal.head())
    }
}

/// State of one turn: its time, its entropy, and its outputs so far.
struct Turn {
    at: Now,
    entropy: EntropySource,
    outputs: Vec<Output>,
}

impl<D: Disk> Engine<D> {
    /// Starts an engine and opens the journal; shows *out of service* until that succeeds.
    #[must_use]
    pub fn start(config: EngineConfig<D>, at: Now, entropy: u128) -> (Self, Vec<Output>) {
        let feed = match config.cached.feed {
            Some(snapshot) => {
                FeedState::restore(config.catalogue_key, config.setup.code_rules.clone(), &snapshot)
            }
            None => FeedState::new(config.catalogue_key, config.setup.code_rules.clone()),
        };
        let mut engine = Self {
            uplink: Uplink::new(config.setup.kiosk, feed.position()),
            reconciliation: Reconciliation::default(),
            setup: config.setup,
            journal: config.journal,
            device_key: config.device_key,
            feed,
            feed_unrecorded: false,
            feed_uncached: false,
            state: EngineState::OutOfService { until: at.mono },
            failures: 0,
            generation: Generation::default(),
            devices: BTreeMap::new(),
            card_inserted: false,
            shown: None,
        };
        let out = engine.turn(EngineInput { at, entropy, event: InputEvent::Tick });
        (engine, out)
    }

    /// Handles one input and everything that is due. Must be called again at [`Engine::next_deadline`] at the latest.
    pub fn turn(&mut self, input: EngineInput) -> Vec<Output> {
        let mut turn = Turn {
            at: input.at,
            entropy: EntropySource::new(ENTROPY_LABEL, input.entropy),
            outputs: Vec::new(),
        };
        match input.event {
            InputEvent::Tick => {}
            InputEvent::Kiosk(event) => self.on_event(&mut turn, event),
            InputEvent::Uplink(answer) => self.on_uplink(&mut turn, answer),
        }
        self.run_due(&mut turn);
        self.notify_changes(&mut turn);
        self.poll_uplink(&mut turn);
        self.leave_damaged_epoch(&mut turn);
        self.show(&mut turn);
        self.update_cache(&mut turn);
        turn.outputs
    }

    /// When the engine needs an [`InputEvent::Tick`] at the latest. Changes with every turn.
    #[must_use]
    pub fn next_deadline(&self) -> MonotonicMs {
        match &self.state {
            EngineState::OutOfService { until } => *until,
            EngineState::InService(open) => {
                let waiting = self.uplink.has_unacknowledged(open.journal.head());
                let uplink = self.uplink.next_deadline(waiting).map(|at| {
                    // Otherwise unreadable records would cause a tick in an endless loop.
                    if waiting { MonotonicMs(at).max(open.unreadable_until) } else { MonotonicMs(at) }
                });
                let reconciliation = self
                    .reconciliation
                    .next_deadline()
                    .filter(|_| open.wants_reconciliation(&self.uplink))
                    .map(MonotonicMs);
                let wanted = [open.kiosk.next_deadline(), uplink, reconciliation].into_iter().flatten().min();
                wanted.unwrap_or(MonotonicMs(u64::MAX))
            }
        }
    }

    /// The view that the screen must show.
    #[must_use]
    pub fn view(&self, wall: UnixMs) -> View {
        self.present_view(wall).into_owned()
    }

    fn present_view(&self, wall: UnixMs) -> Cow<'_, View> {
        match &self.state {
            EngineState::InService(open) => Cow::Borrowed(open.kiosk.view()),
            EngineState::OutOfService { .. } => Cow::Owned(out_of_service_view(&self.setup, wall)),
        }
    }

    /// Whether the kiosk's durable state is what the journal's records fold to, as it is in every turn: for tests and simulations.
    #[must_use]
    pub fn is_durable_state_recorded(&self) -> bool {
        match &self.state {
            EngineState::InService(open) => *open.kiosk.durable() == open.journal.state().durable,
            EngineState::OutOfService { .. } => true,
        }
    }

    /// The newest head of the journal; none while it is closed. For tests and simulations.
    #[must_use]
    pub fn journal_head(&self) -> Option<Head> {
        match &self.state {
            EngineState::InService(open) => Some(open.journal.head()),
            EngineState::OutOfService { .. } => None,
        }
    }

    /// Number of documents of the feed that were rejected since the start; for the operator.
    #[must_use]
    pub const fn refused_documents(&self) -> u64 {
        self.feed.refused()
    }

    fn on_event(&mut self, turn: &mut Turn, event: Event) {
        match &event {
            Event::DeviceStateChanged(device, health) => {
                self.devices.insert(*device, *health);
                // Without the reader, the removal of the card cannot be detected.
                self.card_inserted &= *device != DeviceKind::CardReader || *health == DeviceState::Ready;
            }
            Event::Card(CardEvent::Inserted) => self.card_inserted = true,
            Event::Card(CardEvent::Removed) => self.card_inserted = false,
            Event::WorkAnswered(_, Err(Failure::Unreachable))
            | Event::PaymentAnswered(_, Err(Failure::Unreachable)) => {
                self.uplink.probe_now(turn.at.mono.0);
            }
            Event::Tick
            | Event::Touch { .. }
            | Event::Card(_)
            | Event::CodeScanned(_)
            | Event::IdCard(_)
            | Event::CodeHint(_)
            | Event::WorkAnswered(..)
            | Event::PaymentAnswered(..)
            | Event::OrdersReconciled { .. }
            | Event::PrintFinished(..)
            | Event::CatalogueChanged(_)
            | Event::CodeTrustChanged(_)
            | Event::ClockSynchronised(_)
            | Event::LinkChanged(_)
            | Event::JournalNearlyFull(_) => {}
        }
        if let Some(event) = self.generation.accept_event(event) {
            self.dispatch(turn, event);
        }
    }

    /// Dispatches an event to the kiosk while in service. Events while out of service are lost, as in a
    /// crash; recovery inquires what must be known.
    fn dispatch(&mut self, turn: &mut Turn, event: Event) {
        let EngineState::InService(open) = &mut self.state else { return };
        let input = session::KioskInput { at: turn.at, entropy: turn.entropy.next_u128(), event };
        let transition = open.kiosk.handle(input);
        self.commit(turn, transition);
    }

    /// Makes the records of a transition durable, and only then outputs its effects (I1).
    fn commit(&mut self, turn: &mut Turn, transition: Transition) {
        let EngineState::InService(open) = &mut self.state else { return };
        let (journal, entropy, wall) = (&mut open.journal, &mut turn.entropy, turn.at.wall);
        let mut recovered = 0;
        let committed = transition.commit(|entries| {
            recovered = entries.iter().filter(|entry| matches!(entry, Entry::OrderRecovered { .. })).count();
            journal.append(entries, wall, &mut || entropy.next_bytes())
        });
        match committed {
            Ok(effects) => {
                if recovered > 0 {
                    tracing::warn!(
                        orders = recovered,
                        "orders recovered from the platform: the log lacks them, their outcomes are inquired"
                    );
                }
                let generation = self.generation;
                turn.outputs
                    .extend(effects.into_iter().map(|effect| Output::Effect(generation.tag_effect(effect))));
            }
            Err(error) => {
                let well = turn.at.mono.0.saturating_sub(open.opened_at.0) >= STABLE_MS;
                self.failures = if well { 0 } else { self.failures };
                self.suspend(turn, &error);
            }
        }
    }

    /// Goes out of service. Dropping the kiosk wipes all data of a resident (I3).
    fn suspend(&mut self, turn: &Turn, error: &(dyn Error + 'static)) {
        let pause = REOPEN_BACKOFF.pause_ms(self.failures);
        self.failures = self.failures.saturating_add(1);
        tracing::error!(error, pause_ms = pause, "out of service: the journal failed and will be reopened");
        self.state = EngineState::OutOfService { until: turn.at.mono.plus_ms(pause) };
    }

    /// Opens the journal and recovers a kiosk from it.
    fn reopen(&mut self, turn: &mut Turn) {
        let opened = self.journal.open(self.setup.kiosk, turn.at.wall, &mut turn.entropy);
        let (journal, report) = match opened {
            Ok(opened) => opened,
            Err(error) => return self.suspend(turn, &error),
        };
        let durable = journal.state().durable.clone();
        let services = self.feed.catalogue().services.len();
        tracing::info!(replayed = report.replayed_records, services, "journal opened");
        let (kiosk, transition) =
            Kiosk::recover(Arc::clone(&self.setup), self.feed.catalogue(), durable, turn.at);
        self.generation = self.generation.next();
        self.reconciliation.restart();
        self.state = EngineState::InService(Box::new(InService {
            kiosk,
            journal,
            opened_at: turn.at.mono,
            online: false,
            above_high_water: false,
            unreadable_until: MonotonicMs(0),
        }));
        self.commit(turn, transition);
        if let EngineState::InService(open) = &self.state {
            // The answer that said so may have come while the journal was closed.
            let epoch = open.journal.head().epoch;
            self.leave_forked_epoch(turn, epoch);
        }
        for (device, health) in self.devices.clone() {
            self.dispatch(turn, Event::DeviceStateChanged(device, health));
        }
        if self.card_inserted {
            self.dispatch(turn, Event::Card(CardEvent::LeftInSlot));
        }
        self.dispatch(turn, Event::CodeTrustChanged(self.feed.codes()));
        self.update_clock(turn);
    }

    fn run_due(&mut self, turn: &mut Turn) {
        match &self.state {
            EngineState::OutOfService { until } if *until <= turn.at.mono => self.reopen(turn),
            EngineState::OutOfService { .. } => {}
            EngineState::InService(open) => {
                if open.kiosk.next_deadline().is_some_and(|at| at <= turn.at.mono) {
                    self.dispatch(turn, Event::Tick);
                }
            }
        }
    }

    /// Notifies the kiosk of changes around it: services, the link, the journal's high-water mark.
    fn notify_changes(&mut self, turn: &mut Turn) {
        if self.feed_unrecorded && matches!(self.state, EngineState::InService(_)) {
            self.feed_unrecorded = false;
            self.dispatch(turn, Event::CatalogueChanged(self.feed.catalogue()));
        }
        let online = self.uplink.online();
        if let EngineState::InService(open) = &mut self.state
            && open.online != online
        {
            open.online = online;
            tracing::info!(online, "link to the platform changed");
            self.dispatch(turn, Event::LinkChanged(online));
        }
        if let EngineState::InService(open) = &mut self.state
            && open.above_high_water != open.journal.is_above_high_water()
        {
            open.above_high_water = !open.above_high_water;
            let nearly_full = open.above_high_water;
            tracing::warn!(
                nearly_full,
                "journal crossed its high-water mark: new money is refused while nearly_full is true"
            );
            self.dispatch(turn, Event::JournalNearlyFull(nearly_full));
        }
    }

    fn on_uplink(&mut self, turn: &mut Turn, answer: UplinkAnswer) {
        let now = turn.at.mono.0;
        match answer {
            UplinkAnswer::Records(timing, answer) => {
                let random = turn.entropy.next_u128();
                let mut journal = match &mut self.state {
                    EngineState::InService(open) => Some(&mut open.journal),
                    EngineState::OutOfService { .. } => None,
                };
                let head_at = |epoch, seq| readable(journal.as_mut()?.head_at(epoch, seq));
                let outcome = self.uplink.on_records(now, random, timing, answer, head_at);
                self.feed_uncached |= self.feed.note_compared(self.uplink.position().compared);
                let EngineState::InService(open) = &mut self.state else { return };
                let settled = match outcome {
                    Some(RecordsOutcome::Acknowledged { epoch, upto, platform }) => {
                        open.journal.acknowledge(epoch, upto, platform)
                    }
                    Some(RecordsOutcome::Forked { epoch, platform }) => {
                        self.leave_forked_epoch(turn, epoch);
                        let EngineState::InService(open) = &mut self.state else { return };
                        open.journal.abandon_epoch(epoch, platform)
                    }
                    None => Ok(()),
                };
                if let Err(error) = settled {
                    // Keeping the segment is harmless; the next acknowledgement tries again.
                    tracing::warn!(
                        error = &error as &dyn Error,
                        "cannot delete an acknowledged journal segment"
                    );
                }
            }
            UplinkAnswer::Changes(timing, answer) => {
                let changes = self.uplink.on_changes(now, turn.entropy.next_u128(), timing, answer);
                let Some(answer) = changes else { return };
                if let FeedAnswer::OtherFeed { .. } = &answer {
                    tracing::warn!("feed epoch changed: the platform was restored or is another one");
                }
                let changed = self.feed.apply(answer, turn.at.wall);
                self.feed_uncached |= changed.position;
                self.feed_unrecorded |= changed.services;
                if changed.codes {
                    self.dispatch(turn, Event::CodeTrustChanged(self.feed.codes()));
                }
                self.update_clock(turn);
            }
            UplinkAnswer::UnreportedOrders(answer) => {
                let (random, head) = (turn.entropy.next_u128(), self.journal_head());
                let reconciled = self.reconciliation.on_answer(now, random, head, answer);
                if let Some(Reconciled { orders, is_complete }) = reconciled {
                    self.dispatch(turn, Event::OrdersReconciled { orders, is_complete });
                }
            }
        }
    }

    /// Begins a new epoch, because the platform has other records of this one: the disk was restored from a copy, or lost what
    /// it had confirmed. The records that only this kiosk has are stated again in the new epoch.
    fn leave_forked_epoch(&mut self, turn: &mut Turn, epoch: u64) {
        let EngineState::InService(open) = &mut self.state else { return };
        let Some(common) = self.uplink.forked_after(epoch) else { return };
        tracing::error!(
            common,
            "journal forked: the platform has other records of this epoch, a new epoch begins"
        );
        let entries = restated_after(&mut open.journal, epoch, common);
        self.begin_epoch(turn, &entries);
    }

    /// Begins a new epoch when damage was found in the present one.
    fn leave_damaged_epoch(&mut self, turn: &mut Turn) {
        let EngineState::InService(open) = &mut self.state else { return };
        if !open.journal.needs_new_epoch() {
            return;
        }
        tracing::error!("journal damaged: unreadable records were set aside, a new epoch begins");
        self.begin_epoch(turn, &[]);
    }

    fn begin_epoch(&mut self, turn: &mut Turn, entries: &[Entry]) {
        let EngineState::InService(open) = &mut self.state else { return };
        let entropy = &mut turn.entropy;
        if let Err(error) = open.journal.begin_epoch(entries, turn.at.wall, &mut || entropy.next_bytes()) {
            self.suspend(turn, &error);
        }
        self.reconciliation.restart();
    }

    /// Notifies the kiosk of the platform's clock offset, once the platform has answered since the start.
    fn update_clock(&mut self, turn: &mut Turn) {
        if let Some(offset_ms) = self.uplink.clock().offset_ms() {
            self.dispatch(turn, Event::ClockSynchronised(offset_ms));
        }
    }

    /// Outputs the requests that the uplink wants to send now.
    fn poll_uplink(&mut self, turn: &mut Turn) {
        let EngineState::InService(open) = &mut self.state else { return };
        let now = turn.at.mono;
        let mut source = JournalSource { journal: &mut open.journal, key: &self.device_key };
        // The uplink yields at most one request of each kind.
        while let Some(request) = self.uplink.poll(now.0, &mut source) {
            turn.outputs.push(Output::Send(request));
        }
        // What the log may lack is known only when the platform has all that is in it.
        if open.wants_reconciliation(&self.uplink) && self.reconciliation.poll(now.0, open.journal.head()) {
            turn.outputs.push(Output::Reconcile);
        }
        let due = |at| at <= now.0;
        if self.uplink.has_unacknowledged(open.journal.head())
            && self.uplink.next_deadline(true).is_some_and(due)
        {
            open.unreadable_until = now.plus_ms(REREAD_MS);
        }
    }

    fn show(&mut self, turn: &mut Turn) {
        let view = self.present_view(turn.at.wall);
        if self.shown.as_ref() != Some(&*view) {
            let view = view.into_owned();
            self.shown = Some(view.clone());
            turn.outputs.push(Output::Show(Box::new(view)));
        }
    }

    /// Outputs changed values for the cache.
    fn update_cache(&mut self, turn: &mut Turn) {
        if self.feed_uncached {
            self.feed_uncached = false;
            turn.outputs.push(Output::Cache(CacheEntry { key: CacheKey::Feed, bytes: self.feed.snapshot() }));
        }
    }
}
