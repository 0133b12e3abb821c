//! The engine's thread: receives messages, passes them to the engine, and executes the engine's outputs. Takes no
//! decisions itself.

use std::collections::VecDeque;
use std::time::Instant;

use engine::wire::Request;
use engine::{Engine, Fittings, Input, Out, What};
use journal::Disk;
use session::{Effect, Work};

use crate::cache::Cache;
use crate::clock::Clock;
use crate::devices::Devices;
use crate::inbox::{Inbox, Port};
use crate::message::Message;
use crate::net::{Errand, Net};
use crate::watchdog::{self, Watchdog};

/// Executes the engine's outputs: network, devices, cache and screen.
pub(crate) struct Hands {
    pub(crate) inbox: Inbox<Message>,
    pub(crate) net: Net,
    pub(crate) devices: Devices,
    pub(crate) cache: Cache,
    pub(crate) screen: screen::Handle,
    /// Sends the screen's heartbeats to the inbox.
    pub(crate) heartbeat: Port<Message>,
}

/// Runs the engine until a stop message. The data of an open visit is wiped; recovery at the next start closes the
/// visit in the journal.
pub(crate) fn run<D: Disk>(config: Fittings<D>, executor: Hands) {
    let clock = Clock::start();
    let (mut engine, outputs) = Engine::start(config, clock.now(), entropy());
    let mut watchdog = Watchdog::start(Instant::now());
    let mut immediate = VecDeque::new();
    executor.take(outputs, &mut immediate);
    loop {
        if watchdog.asks(Instant::now()) {
            executor.ask_screen();
        }
        let wake = clock.instant(engine.wake()).min(watchdog.next());
        let message = immediate.pop_front().or_else(|| executor.inbox.take(wake));
        let what = match message {
            None => What::Tick,
            Some(Message::Happened(what)) => what,
            Some(Message::ScreenAlive) => {
                watchdog.alive();
                continue;
            }
            Some(Message::Stop) => break,
        };
        let outputs = engine.turn(Input { at: clock.now(), entropy: entropy(), what });
        executor.take(outputs, &mut immediate);
    }
    tracing::info!("kiosk stopped by request");
    watchdog::stopping();
    drop(engine);
    executor.let_go();
}

impl Hands {
    /// Executes outputs. Messages that result at once, because an output could not be executed, go to `immediate`.
    fn take(&self, outputs: Vec<Out>, immediate: &mut VecDeque<Message>) {
        for output in outputs {
            match output {
                Out::Effect(effect) => immediate.extend(self.perform(effect)),
                Out::Send(request) => immediate.extend(self.ask(Request::uplink(request))),
                Out::Show(view) => {
                    self.devices.show(&view);
                    self.screen.show(*view);
                }
                Out::Remember(entry) => self.cache.keep(entry),
            }
        }
    }

    fn perform(&self, effect: Effect) -> Option<Message> {
        match effect {
            Effect::Do { ticket, work: Work::VerifyPin(digits), .. } => {
                self.devices.verify_pin(ticket, digits).map(Message::from)
            }
            Effect::Do { ticket, work: Work::ChangePin { old, new }, .. } => {
                self.devices.change_pin(ticket, old, new).map(Message::from)
            }
            Effect::Do { ticket, work: Work::Authenticate(answer), .. } => {
                self.devices.authenticate(ticket, answer.as_ref()).map(Message::from)
            }
            // All other work goes to the platform.
            Effect::Do { ticket, work, .. } => self.ask(Request::work(ticket, &work)?),
            Effect::Cancel(ticket) => {
                self.devices.cancel(ticket);
                self.net.send(Errand::Cancel(ticket))
            }
            Effect::Charge(charge) => self.ask(Request::charge(&charge)),
            Effect::Inquire(order) => self.ask(Request::inquire(order)),
            Effect::Print { receipt, on, content, mark } => {
                self.devices.print(receipt, on, &content, mark).map(Message::from)
            }
        }
    }

    fn ask(&self, request: Request) -> Option<Message> {
        self.net.send(Errand::Ask(request))
    }

    fn ask_screen(&self) {
        let heartbeat = self.heartbeat.clone();
        self.screen.heartbeat(move || {
            // A full inbox holds a heartbeat already; a closed one means that the kiosk ends.
            let _ = heartbeat.offer(Message::ScreenAlive);
        });
    }

    /// Shuts down what the engine's thread started. The inbox is dropped first: a supervisor that waits for room in
    /// it could not be joined.
    fn let_go(self) {
        let Self { inbox, net, devices, cache, screen, heartbeat } = self;
        drop(inbox);
        drop(heartbeat);
        drop(net);
        drop(devices);
        drop(cache);
        screen.quit();
    }
}

/// 128 fresh random bits.
fn entropy() -> u128 {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the kernel's random generator is seeded once the system is up");
    u128::from_be_bytes(bytes)
}
