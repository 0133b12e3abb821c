//! The engine's thread: receives messages, passes them to the engine, and executes the engine's outputs. Takes no
//! decisions itself.

use std::collections::VecDeque;
use std::time::Instant;

use engine::platform_api::OutgoingRequest;
use engine::{Engine, EngineConfig, EngineInput, InputEvent, Output};
use journal::Disk;
use session::{Effect, Work};

use crate::cache_thread::CacheThread;
use crate::clock::Clock;
use crate::devices::Devices;
use crate::inbox::{Inbox, InboxSender};
use crate::message::EngineMessage;
use crate::net::{Net, NetCommand};
use crate::watchdog::{self, Watchdog};

/// Executes the engine's outputs: network, devices, cache and screen.
pub(crate) struct Executor {
    pub(crate) inbox: Inbox<EngineMessage>,
    pub(crate) net: Net,
    pub(crate) devices: Devices,
    pub(crate) cache: CacheThread,
    pub(crate) screen: screen::ScreenHandle,
    /// Sends the screen's heartbeats to the inbox.
    pub(crate) screen_heartbeat: InboxSender<EngineMessage>,
}

/// Runs the engine until a stop message. The data of an open visit is wiped; recovery at the next start closes the
/// visit in the journal.
pub(crate) fn run<D: Disk>(config: EngineConfig<D>, executor: Executor) {
    let clock = Clock::start();
    let (mut engine, outputs) = Engine::start(config, clock.now(), entropy());
    let mut watchdog = Watchdog::start(Instant::now());
    let mut immediate = VecDeque::new();
    executor.execute(outputs, &mut immediate);
    loop {
        if watchdog.probe_due(Instant::now()) {
            executor.probe_screen();
        }
        let wake = clock.instant(engine.next_deadline()).min(watchdog.next_probe());
        let message = immediate.pop_front().or_else(|| executor.inbox.receive_until(wake));
        let what = match message {
            None => InputEvent::Tick,
            Some(EngineMessage::Input(what)) => what,
            Some(EngineMessage::ScreenAlive) => {
                watchdog.screen_alive();
                continue;
            }
            Some(EngineMessage::Stop) => break,
        };
        let outputs = engine.turn(EngineInput { at: clock.now(), entropy: entropy(), event: what });
        executor.execute(outputs, &mut immediate);
    }
    tracing::info!("kiosk stopped by request");
    watchdog::notify_stopping();
    drop(engine);
    executor.shut_down();
}

impl Executor {
    /// Executes outputs. Messages that result at once, because an output could not be executed, go to `immediate`.
    fn execute(&self, outputs: Vec<Output>, immediate: &mut VecDeque<EngineMessage>) {
        for output in outputs {
            match output {
                Output::Effect(effect) => immediate.extend(self.execute_effect(effect)),
                Output::Send(request) => {
                    immediate.extend(self.send_request(OutgoingRequest::uplink(request)))
                }
                Output::Reconcile => {
                    immediate.extend(self.send_request(OutgoingRequest::unreported_orders()));
                }
                Output::Show(view) => {
                    self.devices.update_signal(&view);
                    self.screen.show(*view);
                }
                Output::Cache(entry) => self.cache.store(entry),
            }
        }
    }

    fn execute_effect(&self, effect: Effect) -> Option<EngineMessage> {
        match effect {
            Effect::StartWork { ticket, work: Work::Card(work), .. } => {
                self.devices.start_card_work(ticket, work).map(EngineMessage::from)
            }
            Effect::StartWork { ticket, work: Work::Platform(work), .. } => {
                self.send_request(OutgoingRequest::work(ticket, &work))
            }
            // A device finishes what it has begun; the session drops its late answer.
            Effect::CancelWork(ticket) => self.net.send(NetCommand::Cancel(ticket)),
            Effect::Charge(charge) => self.send_request(OutgoingRequest::charge(&charge)),
            Effect::Inquire(order) => self.send_request(OutgoingRequest::inquire(order)),
            Effect::Print { receipt, printer: on, content, copy_mark: mark } => {
                self.devices.print(receipt, on, &content, mark).map(EngineMessage::from)
            }
        }
    }

    fn send_request(&self, request: OutgoingRequest) -> Option<EngineMessage> {
        self.net.send(NetCommand::Send(request))
    }

    fn probe_screen(&self) {
        let heartbeat = self.screen_heartbeat.clone();
        self.screen.run_on_screen_thread(move || {
            // A full inbox holds a heartbeat already; a closed one means that the kiosk ends.
            let _ = heartbeat.try_send(EngineMessage::ScreenAlive);
        });
    }

    /// Shuts down what the engine's thread started. The inbox is dropped first: a supervisor that waits for room in
    /// it could not be joined.
    fn shut_down(self) {
        let Self { inbox, net, devices, cache, screen, screen_heartbeat: heartbeat } = self;
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
