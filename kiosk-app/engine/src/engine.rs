//! The engine.

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

/// A log that failed is opened again after this long, doubling.
const REOPEN_FIRST_MS: u64 = 1_000;
/// It is tried at least this often: somebody may have made room meanwhile.
const REOPEN_MOST_MS: u64 = 60_000;
/// A log that held this long was well: its next failure is a first one.
const WELL_MS: u64 = 120_000;
/// A reading that finds nothing although records wait is not repeated sooner.
const READ_AGAIN_MS: u64 = 10_000;
/// After so many more records the fold of the log is worth keeping anew.
const REMEMBER_RECORDS: u64 = 64;

/// What an engine is made of.
pub struct Fittings<D> {
    /// The site.
    pub setup: Arc<Setup>,
    /// The log.
    pub log: LogSettings<D>,
    /// The device's key: vouches for the log.
    pub device_key: Arc<SecretKey>,
    /// The city's key: vouches for service documents.
    pub catalogue_key: PublicKey,
    /// What was kept at the end of the life before.
    pub remembered: Remembered,
}

/// One thing that happened, with the time and the entropy of its handling.
pub struct Input {
    /// When.
    pub at: Now,
    /// 128 fresh random bits.
    pub entropy: u128,
    /// What.
    pub what: What,
}

/// What can happen to an engine.
pub enum What {
    /// [`Engine::wake`] has passed.
    Tick,
    /// Something that the kiosk decides on.
    Event(Event),
    /// What came of an [`Out::Send`].
    Uplink(UplinkAnswer),
}

/// What came of a request of the uplink. Each request has one.
pub enum UplinkAnswer {
    /// Of [`UplinkRequest::Records`].
    Records(Exchange, Result<BatchAck, Failed>),
    /// Of [`UplinkRequest::Changes`].
    Changes(Exchange, Result<ChangesAnswer, Failed>),
}

/// What is to be done.
pub enum Out {
    /// For a device or the platform; its records are durable.
    Effect(Effect),
    /// For the platform.
    Send(UplinkRequest),
    /// The screen changed; everything on it is durable.
    Show(Box<View>),
    /// To be kept beside the log, when there is time; nothing waits for it.
    Remember(Memo),
}

/// The kiosk, its log and its uplink.
pub struct Engine<D> {
    setup: Arc<Setup>,
    log: LogSettings<D>,
    key: Arc<SecretKey>,
    shelf: Shelf,
    /// The shelf changed while no kiosk was there to record it.
    shelf_unrecorded: bool,
    shelf_unkept: bool,
    /// The fold of the log that was kept, until the log is opened with it.
    checkpoint: Option<Checkpoint>,
    uplink: Uplink,
    state: State<D>,
    /// The failures in a row of a log that did not hold.
    failures: u32,
    life: Life,
    /// What a new kiosk must be told of its devices.
    devices: BTreeMap<Device, Health>,
    shown: Option<View>,
}

enum State<D> {
    /// In service.
    Open(Box<Open<D>>),
    /// Out of service: the log failed and is opened again then.
    Shut { until: Mono },
}

struct Open<D> {
    kiosk: Kiosk,
    journal: Journal<D>,
    since: Mono,
    /// What the kiosk was told of the link and of the room in the log.
    online: bool,
    nearly_full: bool,
    /// The uplink found nothing to read: not again before then.
    unreadable_until: Mono,
    /// The number of the last record in the fold that was given out to be kept.
    kept_upto: u64,
}

/// One turn: its time, its random bits, and what comes of it.
struct Turn {
    at: Now,
    bits: Bits,
    out: Vec<Out>,
}

impl<D: Disk> Engine<D> {
    /// An engine that has opened its log, or says *out of service* until it can.
    #[must_use]
    pub fn start(fittings: Fittings<D>, at: Now, entropy: u128) -> (Self, Vec<Out>) {
        let Remembered { log, shelf } = fittings.remembered;
        let shelf = match shelf {
            Some(kept) => Shelf::restore(fittings.catalogue_key, fittings.setup.codes.clone(), &kept),
            None => Shelf::new(fittings.catalogue_key, fittings.setup.codes.clone()),
        };
        let checkpoint = log.and_then(|bytes| {
            let read = Checkpoint::decode(&bytes);
            if read.is_err() {
                tracing::warn!("the fold of the log that was kept cannot be read: the log is read whole");
            }
            read.ok()
        });
        let mut engine = Self {
            uplink: Uplink::new(fittings.setup.device, shelf.cursor()),
            setup: fittings.setup,
            log: fittings.log,
            key: fittings.device_key,
            shelf,
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

    /// Takes one thing in and does all that is due. Call it again at [`Engine::wake`] at the latest.
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

    /// When the engine wants a [`What::Tick`] at the latest. Ask again after every turn.
    #[must_use]
    pub fn wake(&self) -> Mono {
        match &self.state {
            State::Shut { until } => *until,
            State::Open(open) => {
                let waiting = self.uplink.waiting(open.journal.head());
                let uplink = self.uplink.next_deadline(waiting).map(|at| {
                    // Records that cannot be read would be asked for without end.
                    if waiting { Mono(at).max(open.unreadable_until) } else { Mono(at) }
                });
                let wanted = [open.kiosk.next_deadline(), uplink].into_iter().flatten().min();
                wanted.unwrap_or(Mono(u64::MAX))
            }
        }
    }

    /// What is on the screen.
    #[must_use]
    pub fn view(&self, wall: UnixMs) -> View {
        match &self.state {
            State::Open(open) => open.kiosk.view(),
            State::Shut { .. } => closed_view(&self.setup, wall),
        }
    }

    /// Documents of the feed that were refused since the start; for the operator.
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

    /// Lets the kiosk handle an event, if there is one. What comes while there is none is lost, as in a
    /// crash; recovery asks for what must be known.
    fn give(&mut self, turn: &mut Turn, event: Event) {
        let State::Open(open) = &mut self.state else { return };
        let input = session::Input { at: turn.at, entropy: turn.bits.next(), event };
        let transition = open.kiosk.handle(input);
        self.commit(turn, transition);
    }

    /// Durable first; then, and only then, the effects.
    fn commit(&mut self, turn: &mut Turn, transition: Transition) {
        let State::Open(open) = &mut self.state else { return };
        let (journal, bits, wall) = (&mut open.journal, &mut turn.bits, turn.at.wall);
        match transition.commit(|entries| journal.append(entries, wall, &mut || bits.next_bytes())) {
            Ok(effects) => {
                let life = self.life;
                turn.out.extend(effects.into_iter().map(|effect| Out::Effect(life.outward(effect))));
            }
            Err(error) => {
                let well = turn.at.mono.0.saturating_sub(open.since.0) >= WELL_MS;
                self.failures = if well { 0 } else { self.failures };
                self.shut(turn, &error);
            }
        }
    }

    /// Out of service. With the kiosk goes all it knew of a resident.
    fn shut(&mut self, turn: &Turn, error: &(dyn Error + 'static)) {
        let pause = REOPEN_FIRST_MS.saturating_mul(1 << self.failures.min(16)).min(REOPEN_MOST_MS);
        self.failures = self.failures.saturating_add(1);
        tracing::error!(error, pause_ms = pause, "out of service: the log failed and is opened again");
        self.state = State::Shut { until: turn.at.mono.plus_ms(pause) };
    }

    /// Opens the log and recovers a kiosk from it.
    fn reopen(&mut self, turn: &mut Turn) {
        // Once only: after a failure nothing but the log itself is trusted.
        let checkpoint = self.checkpoint.take();
        let opened = self.log.open(self.setup.device, checkpoint, turn.at.wall, &mut turn.bits);
        let (journal, opening) = match opened {
            Ok(opened) => opened,
            Err(error) => return self.shut(turn, &error),
        };
        let work = open::work(journal.open_work());
        let kept_upto = journal.head().seq.saturating_sub(opening.folded);
        let services = self.shelf.catalogue().services.len();
        tracing::info!(folded = opening.folded, services, "the log is open");
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
            kept_upto,
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

    /// Tells the kiosk what changed around it: services, the link, the room in the log.
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
            tracing::info!(online, "the link to the platform changed");
            self.give(turn, Event::Link(online));
        }
        if let State::Open(open) = &mut self.state
            && open.nearly_full != open.journal.nearly_full()
        {
            open.nearly_full = !open.nearly_full;
            let nearly_full = open.nearly_full;
            tracing::warn!(nearly_full, "the room in the log changed");
            self.give(turn, Event::LogNearlyFull(nearly_full));
        }
    }

    fn on_uplink(&mut self, turn: &mut Turn, answer: UplinkAnswer) {
        let now = turn.at.mono.0;
        match answer {
            UplinkAnswer::Records(exchange, answer) => {
                let settled = self.uplink.on_records(now, turn.bits.next(), exchange, answer);
                if let Some((epoch, upto)) = settled
                    && let State::Open(open) = &mut self.state
                    && let Err(error) = open.journal.settled(epoch, upto, turn.at.wall)
                {
                    // Nothing is lost by keeping it; the next acknowledgement tries again.
                    tracing::warn!(error = &error as &dyn Error, "a settled part of the log stays");
                }
            }
            UplinkAnswer::Changes(exchange, answer) => {
                let changes = self.uplink.on_changes(now, turn.bits.next(), exchange, answer);
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

    /// Tells the kiosk what its clock is worth, as far as the platform was heard in this life.
    fn hear_clock(&mut self, turn: &mut Turn) {
        if let Some(offset_ms) = self.uplink.clock().offset_ms() {
            self.give(turn, Event::ClockHeard(offset_ms));
        }
    }

    /// Gives out what the uplink wants sent now.
    fn send(&mut self, turn: &mut Turn) {
        let State::Open(open) = &mut self.state else { return };
        let now = turn.at.mono;
        let mut source = Source { journal: &mut open.journal, key: &self.key };
        // One request of each kind at most can come of it.
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
    /// Gives out what is worth keeping over a restart: between visits, so that no resident waits for it.
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
