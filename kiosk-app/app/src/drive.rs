//! The engine's thread: takes one message after the other, lets the engine decide, and hands out what is to
//! be done. Decides nothing itself.

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

/// What the engine's thread works with.
pub(crate) struct Hands {
    pub(crate) inbox: Inbox<Message>,
    pub(crate) net: Net,
    pub(crate) devices: Devices,
    pub(crate) cache: Cache,
    pub(crate) screen: screen::Handle,
    /// Where the screen says that it is alive.
    pub(crate) heartbeat: Port<Message>,
}

/// Runs the engine until it is told to stop. The open visit is wiped on the way out; the log closes it at
/// the next start.
pub(crate) fn run<D: Disk>(fittings: Fittings<D>, hands: Hands) {
    let clock = Clock::start();
    let (mut engine, out) = Engine::start(fittings, clock.now(), entropy());
    let mut watchdog = Watchdog::start(Instant::now());
    let mut at_once = VecDeque::new();
    hands.take(out, &mut at_once);
    loop {
        if watchdog.asks(Instant::now()) {
            hands.ask_screen();
        }
        let wake = clock.instant(engine.wake()).min(watchdog.next());
        let message = at_once.pop_front().or_else(|| hands.inbox.take(wake));
        let what = match message {
            None => What::Tick,
            Some(Message::Happened(what)) => what,
            Some(Message::ScreenAlive) => {
                watchdog.alive();
                continue;
            }
            Some(Message::Stop) => break,
        };
        let out = engine.turn(Input { at: clock.now(), entropy: entropy(), what });
        hands.take(out, &mut at_once);
    }
    tracing::info!("the kiosk ends by request");
    watchdog::stopping();
    drop(engine);
    hands.let_go();
}

impl Hands {
    /// Hands out what is to be done. What is known at once to have come to nothing goes to `at_once`.
    fn take(&self, out: Vec<Out>, at_once: &mut VecDeque<Message>) {
        for out in out {
            match out {
                Out::Effect(effect) => at_once.extend(self.perform(effect)),
                Out::Send(request) => at_once.extend(self.ask(Request::uplink(request))),
                Out::Show(view) => {
                    self.devices.show(&view);
                    self.screen.show(*view);
                }
                Out::Remember(memo) => self.cache.keep(memo),
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
            // What is for the card is the one thing that does not go to the platform.
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
        let port = self.heartbeat.clone();
        self.screen.heartbeat(move || {
            // A full port holds an answer already; a closed one means that the kiosk ends.
            let _ = port.offer(Message::ScreenAlive);
        });
    }

    /// Ends what the engine's thread started. The inbox goes first: a keeper that waits for room in it could
    /// not be joined.
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
