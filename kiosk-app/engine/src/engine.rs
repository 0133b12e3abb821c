//! The engine's state and its turn.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use contract::{BatchAck, ChangesAnswer, PublicKey, SecretKey, UnixMs};
use journal::{Checkpoint, Disk, Journal};
use session::{Device, Effect, Event, Failure, Health, Kiosk, Mono, Now, Setup, Transition, closed_view};
use sync::{Exchange, Failed, Uplink, UplinkRequest};
use view::View;

use crate::bits::Bits;
use crate::lives::Life;
use crate::log::{LogSettings, Source};
use crate::memory::{Memo, Place, Remembered};
use crate::open;
use crate::shelf::Shelf;

/// Pause before the first attempt to reopen a failed journal; doubles with each failure.
const REOPEN_FIRST_MS: u64 = 1_000;
/// Longest pause between attempts: an operator may have freed disk space meanwhile.
const REOPEN_MOST_MS: u64 = 60_000;
/// A journal without failures for this long was stable: its next failure starts with the first pause again.
const WELL_MS: u64 = 120_000;
/// Pause before records are read again, after a read found nothing although records wait.
const READ_AGAIN_MS: u64 = 10_000;
/// A new checkpoint is cached after this many records.
const REMEMBER_RECORDS: u64 = 64;

/// Configuration of an engine.
pub struct Fittings<D> {
    /// The session's setup for the site.
    pub setup: Arc<Setup>,
    /// Opens the journal.
    pub log: LogSettings<D>,
    /// The kiosk's signing key: signs the heads of the record chain.
    pub device_key: Arc<SecretKey>,
    /// The city's catalogue key: verifies service documents.
    pub catalogue_key: PublicKey,
    /// The cached values of the previous process.
    pub remembered: Remembered,
}

/// One input of the engine, with the time and the entropy for its turn.
pub struct Input {
    /// Monotonic and wall time of the turn.
    pub at: Now,
    /// 128 fresh random bits.
    pub entropy: u128,
    /// The event.
    pub what: What,
}

/// The event of an [`Input`].
pub enum What {
    /// [`Engine::next_deadline`] has passed.
    Tick,
    /// An event for the kiosk.
    Event(Event),
    /// The answer to an [`Output::Send`].
    Uplink(UplinkAnswer),
}

/// The answer to a request of the uplink. Each request has exactly one.
pub enum UplinkAnswer {
    /// Answer to [`UplinkRequest::Records`].
    Records(Exchange, Result<BatchAck, Failed>),
    /// Answer to [`UplinkRequest::Changes`].
    Changes(Exchange, Result<ChangesAnswer, Failed>),
}

/// An output of a turn, to be executed by the caller.
pub enum Out {
    /// An effect for a device or the platform; its records are durable.
    Effect(Effect),
    /// A request of the uplink to the platform.
    Send(UplinkRequest),
    /// A changed view for the screen; everything on it is durable.
    Show(Box<View>),
    /// A value to be cached when the cache has time; nothing waits for it.
    Remember(Memo),
}

/// The kiosk, its journal and its uplink.
pub struct Engine<D> {
    setup: Arc<Setup>,
    log: LogSettings<D>,
    key: Arc<SecretKey>,
    shelf: Shelf,
    /// The services changed, and the kiosk has not recorded it yet.
    shelf_unrecorded: bool,
    shelf_unkept: bool,
    /// The cached checkpoint, until the journal is opened with it.
    checkpoint: Option<Checkpoint>,
    uplink: Uplink,
    state: State<D>,
    /// Consecutive failures of the journal.
    failures: u32,
    life: Life,
    /// Last health of each device, for a new kiosk after a recovery.
    devices: BTreeMap<Device, Health>,
    shown: Option<View>,
}

enum State<D> {
    /// In service: the journal is open and a kiosk runs.
    Open(Box<Open<D>>),
    /// Out of service: the journal failed and is reopened at this time.
    Shut { until: Mono },
}

struct Open<D> {
    kiosk: Kiosk,
    journal: Journal<D>,
    since: Mono,
    /// State of the link and of the high-water mark that the kiosk was last notified of.
    online: bool,
    nearly_full: bool,
    /// The uplink found no readable record: it does not read again before this time.
    unreadable_until: Mono,
    /// Number of the last record in the checkpoint that was cached last.
    kept_upto: u64,
}

/// State of one turn: its time, its entropy, and its outputs so far.
struct Turn {
    at: Now,
    bits: Bits,
    out: Vec<Out>,
}

impl<D: Disk> Engine<D> {
    /// Starts an engine and opens the journal; shows *out of service* until that succeeds.
    #[must_use]
    pub fn start(config: Fittings<D>, at: Now, entropy: u128) -> (Self, Vec<Out>) {
        let Remembered { log: checkpoint, shelf: feed } = config.remembered;
        let feed = match feed {
            Some(snapshot) => Shelf::restore(config.catalogue_key, config.setup.codes.clone(), &snapshot),
            None => Shelf::new(config.catalogue_key, config.setup.codes.clone()),
        };
        let checkpoint = checkpoint.and_then(|bytes| {
            let read = Checkpoint::decode(&bytes);
            if read.is_err() {
                tracing::warn!("cached checkpoint is malformed, reading the whole journal");
            }
            read.ok()
        });
        let mut engine = Self {
            uplink: Uplink::new(config.setup.device, feed.cursor()),
            setup: config.setup,
            log: config.log,
            key: config.device_key,
            shelf: feed,
            shelf_unrecorded: false,
            shelf_unkept: false,
            checkpoint,
            state: State::Shut { until: at.mono },
            failures: 0,
            life: Life::default(),
            devices: BTreeMap::new(),
            shown: None,
        };
        let out = engine.turn(Input { at, entropy, what: What::Tick });
        (engine, out)
    }

    /// Handles one input and everything that is due. Must be called again at [`Engine::next_deadline`] at the latest.
    pub fn turn(&mut self, input: Input) -> Vec<Out> {
        let mut turn = Turn { at: input.at, bits: Bits::new(input.entropy), out: Vec::new() };
        match input.what {
            What::Tick => {}
            What::Event(event) => self.on_event(&mut turn, event),
            What::Uplink(answer) => self.on_uplink(&mut turn, answer),
        }
        self.do_due(&mut turn);
        self.tell_changes(&mut turn);
        self.send(&mut turn);
        self.show(&mut turn);
        self.remember(&mut turn);
        turn.out
    }

    /// When the engine needs an [`InputEvent::Tick`] at the latest. Changes with every turn.
    #[must_use]
    pub fn wake(&self) -> Mono {
        match &self.state {
            State::Shut { until } => *until,
            State::Open(open) => {
                let waiting = self.uplink.waiting(open.journal.head());
                let uplink = self.uplink.next_deadline(waiting).map(|at| {
                    // Otherwise unreadable records would cause a tick in an endless loop.
                    if waiting { Mono(at).max(open.unreadable_until) } else { Mono(at) }
                });
                let wanted = [open.kiosk.next_deadline(), uplink].into_iter().flatten().min();
                wanted.unwrap_or(Mono(u64::MAX))
            }
        }
    }

    /// The view that the screen must show.
    #[must_use]
    pub fn view(&self, wall: UnixMs) -> View {
        match &self.state {
            State::Open(open) => open.kiosk.view(),
            State::Shut { .. } => closed_view(&self.setup, wall),
        }
    }

    /// Number of documents of the feed that were rejected since the start; for the operator.
    #[must_use]
    pub const fn refused_documents(&self) -> u64 {
        self.shelf.refused()
    }

    fn on_event(&mut self, turn: &mut Turn, event: Event) {
        match &event {
            Event::Health(device, health) => {
                self.devices.insert(*device, *health);
            }
            Event::Answer(_, Err(Failure::Unreachable)) | Event::Payment(_, Err(Failure::Unreachable)) => {
                self.uplink.suspect(turn.at.mono.0);
            }
            Event::Tick
            | Event::Touch { .. }
            | Event::Card(_)
            | Event::Code(_)
            | Event::IdCard(_)
            | Event::CodeHint(_)
            | Event::Answer(..)
            | Event::Payment(..)
            | Event::Paper(..)
            | Event::Catalogue(_)
            | Event::Codes(_)
            | Event::ClockHeard(_)
            | Event::Link(_)
            | Event::LogNearlyFull(_) => {}
        }
        if let Some(event) = self.life.inward(event) {
            self.give(turn, event);
        }
    }

    /// Dispatches an event to the kiosk while in service. Events while out of service are lost, as in a
    /// crash; recovery inquires what must be known.
    fn give(&mut self, turn: &mut Turn, event: Event) {
        let State::Open(open) = &mut self.state else { return };
        let input = session::Input { at: turn.at, entropy: turn.bits.next(), event };
        let transition = open.kiosk.handle(input);
        self.commit(turn, transition);
    }

    /// Makes the records of a transition durable, and only then outputs its effects (I1).
    fn commit(&mut self, turn: &mut Turn, transition: Transition) {
        let State::Open(open) = &mut self.state else { return };
        let (journal, entropy, wall) = (&mut open.journal, &mut turn.bits, turn.at.wall);
        match transition.commit(|entries| journal.append(entries, wall, &mut || entropy.next_bytes())) {
            Ok(effects) => {
                let generation = self.life;
                turn.out.extend(effects.into_iter().map(|effect| Out::Effect(generation.outward(effect))));
            }
            Err(error) => {
                let well = turn.at.mono.0.saturating_sub(open.since.0) >= WELL_MS;
                self.failures = if well { 0 } else { self.failures };
                self.shut(turn, &error);
            }
        }
    }

    /// Goes out of service. Dropping the kiosk wipes all data of a resident (I3).
    fn shut(&mut self, turn: &Turn, error: &(dyn Error + 'static)) {
        let pause = REOPEN_FIRST_MS.saturating_mul(1 << self.failures.min(16)).min(REOPEN_MOST_MS);
        self.failures = self.failures.saturating_add(1);
        tracing::error!(error, pause_ms = pause, "out of service: the journal failed and will be reopened");
        self.state = State::Shut { until: turn.at.mono.plus_ms(pause) };
    }

    /// Opens the journal and recovers a kiosk from it.
    fn reopen(&mut self, turn: &mut Turn) {
        // Used once: after a failure only the journal itself is trusted.
        let checkpoint = self.checkpoint.take();
        let opened = self.log.open(self.setup.device, checkpoint, turn.at.wall, &mut turn.bits);
        let (journal, report) = match opened {
            Ok(opened) => opened,
            Err(error) => return self.shut(turn, &error),
        };
        let work = open::work(journal.open_work());
        let cached_upto = journal.head().seq.saturating_sub(report.folded);
        let services = self.shelf.catalogue().services.len();
        tracing::info!(folded = report.folded, services, "journal opened");
        let (kiosk, transition) =
            Kiosk::recover(Arc::clone(&self.setup), self.shelf.catalogue(), work, turn.at);
        self.life = self.life.next();
        self.state = State::Open(Box::new(Open {
            kiosk,
            journal,
            since: turn.at.mono,
            online: false,
            nearly_full: false,
            unreadable_until: Mono(0),
            kept_upto: cached_upto,
        }));
        self.commit(turn, transition);
        for (device, health) in self.devices.clone() {
            self.give(turn, Event::Health(device, health));
        }
        self.give(turn, Event::Codes(self.shelf.codes()));
        self.hear_clock(turn);
    }

    fn do_due(&mut self, turn: &mut Turn) {
        match &self.state {
            State::Shut { until } if *until <= turn.at.mono => self.reopen(turn),
            State::Shut { .. } => {}
            State::Open(open) => {
                if open.kiosk.next_deadline().is_some_and(|at| at <= turn.at.mono) {
                    self.give(turn, Event::Tick);
                }
            }
        }
    }

    /// Notifies the kiosk of changes around it: services, the link, the journal's high-water mark.
    fn tell_changes(&mut self, turn: &mut Turn) {
        if self.shelf_unrecorded && matches!(self.state, State::Open(_)) {
            self.shelf_unrecorded = false;
            self.give(turn, Event::Catalogue(self.shelf.catalogue()));
        }
        let online = self.uplink.online();
        if let State::Open(open) = &mut self.state
            && open.online != online
        {
            open.online = online;
            tracing::info!(online, "link to the platform changed");
            self.give(turn, Event::Link(online));
        }
        if let State::Open(open) = &mut self.state
            && open.nearly_full != open.journal.nearly_full()
        {
            open.nearly_full = !open.nearly_full;
            let nearly_full = open.nearly_full;
            tracing::warn!(
                nearly_full,
                "journal crossed its high-water mark: new money is refused while nearly_full is true"
            );
            self.give(turn, Event::LogNearlyFull(nearly_full));
        }
    }

    fn on_uplink(&mut self, turn: &mut Turn, answer: UplinkAnswer) {
        let now = turn.at.mono.0;
        match answer {
            UplinkAnswer::Records(timing, answer) => {
                let acknowledged = self.uplink.on_records(now, turn.bits.next(), timing, answer);
                if let Some((epoch, upto)) = acknowledged
                    && let State::Open(open) = &mut self.state
                    && let Err(error) = open.journal.settled(epoch, upto, turn.at.wall)
                {
                    // Keeping the segment is harmless; the next acknowledgement tries again.
                    tracing::warn!(
                        error = &error as &dyn Error,
                        "cannot delete an acknowledged journal segment"
                    );
                }
            }
            UplinkAnswer::Changes(timing, answer) => {
                let changes = self.uplink.on_changes(now, turn.bits.next(), timing, answer);
                if let Some((items, cursor)) = changes {
                    self.shelf_unkept |= cursor != self.shelf.cursor();
                    let changed = self.shelf.take(items, cursor, turn.at.wall);
                    self.shelf_unrecorded |= changed.services;
                    if changed.codes {
                        self.give(turn, Event::Codes(self.shelf.codes()));
                    }
                    self.hear_clock(turn);
                }
            }
        }
    }

    /// Notifies the kiosk of the platform's clock offset, once the platform has answered since the start.
    fn hear_clock(&mut self, turn: &mut Turn) {
        if let Some(offset_ms) = self.uplink.clock().offset_ms() {
            self.give(turn, Event::ClockHeard(offset_ms));
        }
    }

    /// Outputs the requests that the uplink wants to send now.
    fn send(&mut self, turn: &mut Turn) {
        let State::Open(open) = &mut self.state else { return };
        let now = turn.at.mono;
        let mut source = Source { journal: &mut open.journal, key: &self.key };
        // The uplink yields at most one request of each kind.
        while let Some(request) = self.uplink.poll(now.0, &mut source) {
            turn.out.push(Out::Send(request));
        }
        let due = |at| at <= now.0;
        if self.uplink.waiting(open.journal.head()) && self.uplink.next_deadline(true).is_some_and(due) {
            open.unreadable_until = now.plus_ms(READ_AGAIN_MS);
        }
    }

    fn show(&mut self, turn: &mut Turn) {
        let view = self.view(turn.at.wall);
        if self.shown.as_ref() != Some(&view) {
            self.shown = Some(view.clone());
            turn.out.push(Out::Show(Box::new(view)));
        }
    }
    /// Outputs changed values for the cache: the checkpoint only between visits, so that no resident waits for it.
    fn remember(&mut self, turn: &mut Turn) {
        if self.shelf_unkept {
            self.shelf_unkept = false;
            turn.out.push(Out::Remember(Memo { place: Place::Shelf, bytes: self.shelf.keep() }));
        }
        let State::Open(open) = &mut self.state else { return };
        let upto = open.journal.head().seq;
        let between_visits = open.journal.open_work().visit.is_none();
        if between_visits && upto.saturating_sub(open.kept_upto) >= REMEMBER_RECORDS {
            open.kept_upto = upto;
            let bytes = open.journal.checkpoint().encode();
            turn.out.push(Out::Remember(Memo { place: Place::Log, bytes }));
        }
    }
}
