//! Supervisors over real socket pairs, with device processes that exit, hang, send garbage and recover.

use std::fs;
use std::io::{self, Write as _};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use contract::{Backoff, ReceiptId};
use device::framing::{self, WireError};
use device::wire::{self, DeviceConfig, DeviceWork, FromDevice, ToDevice};
use engine::InputEvent;
use session::{
    CardEvent, DeviceKind, DeviceState, Event, Failure, FaultReason, PinAnswer, PrintResult, Ticket,
    WorkAnswer,
};

use super::heartbeat::HeartbeatTimeouts;
use super::spawn::{DeviceProcess, DeviceProgram, SpawnDevice, SpawnedDevice};
use super::supervisor::{DeviceRequest, Supervisor, SupervisorConfig};
use crate::inbox::Inbox;
use crate::message::EngineMessage;

/// What a fake device process does after it was opened.
#[derive(Clone, Copy)]
enum Behaviour {
    /// Answers every ping and request.
    Responsive,
    /// Reports that it is ready and never answers again.
    Hangs,
    /// Exits at the first work.
    ExitsOnWork,
    /// Sends bytes that are not a frame.
    SendsGarbage,
    /// Sends another protocol version.
    WrongVersion,
}

/// Spawns a process with the next behaviour for each generation; the last behaviour for all that follow.
struct FakeSpawner {
    behaviours: Vec<Behaviour>,
    started: Arc<AtomicUsize>,
    /// Killing has no effect.
    unkillable: bool,
}

impl SpawnDevice for FakeSpawner {
    fn spawn(&mut self) -> io::Result<SpawnedDevice> {
        let number = self.started.fetch_add(1, Ordering::SeqCst);
        let behaviour =
            *self.behaviours.get(number).or(self.behaviours.last()).ok_or(io::ErrorKind::NotFound)?;
        let (stream, theirs) = UnixStream::pair()?;
        let process = FakeProcess { theirs: theirs.try_clone()?, unkillable: self.unkillable, killed: false };
        thread::spawn(move || run_process(behaviour, theirs));
        Ok(SpawnedDevice { stream, process: Box::new(process) })
    }
}

struct FakeProcess {
    theirs: UnixStream,
    unkillable: bool,
    killed: bool,
}

impl DeviceProcess for FakeProcess {
    fn kill(&mut self) {
        self.killed = true;
        let _ = self.theirs.shutdown(Shutdown::Both);
    }

    fn try_reap(&mut self) -> bool {
        self.killed && !self.unkillable
    }
}

/// Runs a process from its start to its end, which closes its socket.
fn run_process(behaviour: Behaviour, mut stream: UnixStream) {
    // An error means that the kiosk has closed its end, which ends the process too.
    let _ = match behaviour {
        Behaviour::WrongVersion => stream.write_all(&[0xff; 64]).map_err(WireError::Disconnected),
        Behaviour::Responsive | Behaviour::Hangs | Behaviour::ExitsOnWork | Behaviour::SendsGarbage => {
            converse(behaviour, &mut stream)
        }
    };
    let _ = stream.shutdown(Shutdown::Both);
}

fn converse(behaviour: Behaviour, stream: &mut UnixStream) -> Result<(), WireError> {
    framing::write_version(stream)?;
    framing::read_version(stream)?;
    framing::write_frame(stream, &FromDevice::Health(wire::DeviceHealth::Ready))?;
    loop {
        match (behaviour, framing::read_frame::<ToDevice>(stream)?) {
            (Behaviour::SendsGarbage, _) => {
                stream.write_all(&[0, 0, 0, 3, 0xff, 0xff, 0xff]).map_err(WireError::Disconnected)?;
                thread::sleep(Duration::from_secs(60));
            }
            (Behaviour::Hangs, _) => {}
            (Behaviour::ExitsOnWork, ToDevice::Request(..)) => return Ok(()),
            (_, ToDevice::Ping(number)) => framing::write_frame(stream, &FromDevice::Pong(number))?,
            (_, ToDevice::Request(ticket, work)) => {
                framing::write_frame(stream, &FromDevice::Event(wire::DeviceEvent::CardInserted))?;
                let answer = match work {
                    DeviceWork::VerifyPin(_) | DeviceWork::ChangePin { .. } => {
                        wire::DeviceAnswer::Pin(card::PinOutcome::Wrong { tries_left: 2 })
                    }
                    DeviceWork::Authenticate(_) => wire::DeviceAnswer::Authenticated,
                    DeviceWork::PrintReceipt(_) | DeviceWork::PrintDocument(_) => {
                        wire::DeviceAnswer::Printed(printer::PrintOutcome::Printed {
                            confirmation: printer::PrintConfirmation::Barrier,
                        })
                    }
                    DeviceWork::ShowSignal(_) => wire::DeviceAnswer::SignalShown,
                };
                framing::write_frame(stream, &FromDevice::Answer(ticket, Ok(answer)))?;
            }
            (_, ToDevice::Open(_)) => {}
        }
    }
}

struct Fixture {
    supervisor: Option<Supervisor>,
    inbox: Option<Inbox<EngineMessage>>,
    started: Arc<AtomicUsize>,
}

/// Timeouts so long that a responsive process is never lost on a busy machine, and short pauses before restarts.
fn long_timeouts() -> HeartbeatTimeouts {
    HeartbeatTimeouts {
        response: Duration::from_secs(60),
        startup: Duration::from_secs(60),
        ping: Duration::from_millis(5),
        restart: Backoff::new(2, 20),
        ..HeartbeatTimeouts::default()
    }
}

fn short_timeouts() -> HeartbeatTimeouts {
    HeartbeatTimeouts {
        response: Duration::from_millis(50),
        startup: Duration::from_millis(50),
        ..long_timeouts()
    }
}

impl Fixture {
    fn start(behaviours: &[Behaviour], intervals: HeartbeatTimeouts) -> Self {
        Self::with(behaviours, intervals, false)
    }

    fn with(behaviours: &[Behaviour], intervals: HeartbeatTimeouts, unkillable: bool) -> Self {
        let started = Arc::new(AtomicUsize::new(0));
        let launch =
            FakeSpawner { behaviours: behaviours.to_vec(), started: Arc::clone(&started), unkillable };
        let mut fixture = Self::with_spawner(Box::new(launch), intervals);
        fixture.started = started;
        fixture
    }

    fn with_spawner(launch: Box<dyn SpawnDevice>, intervals: HeartbeatTimeouts) -> Self {
        let inbox = Inbox::new();
        let config = DeviceConfig::Card {
            reader: "Virtual".into(),
            psam: None,
            older: card::OldAlgorithmPolicy::Limit,
        };
        let port = inbox.sender(16);
        let config = SupervisorConfig {
            device: DeviceKind::ReceiptPrinter,
            device_config: config,
            spawner: launch,
            timeouts: intervals,
            inbox: port,
        };
        let supervisor = Supervisor::start(config).unwrap();
        Self { supervisor: Some(supervisor), inbox: Some(inbox), started: Arc::default() }
    }

    fn request(&self, request: DeviceRequest) -> Option<Event> {
        self.supervisor.as_ref().unwrap().request(request)
    }

    fn event(&self) -> Event {
        let message = self.inbox.as_ref().unwrap().receive_until(Instant::now() + Duration::from_secs(30));
        let Some(EngineMessage::Input(InputEvent::Kiosk(event))) = message else {
            panic!("no event within 30 s")
        };
        event
    }

    /// The next event that is not about health.
    fn outcome(&self) -> Event {
        loop {
            let event = self.event();
            if !matches!(event, Event::DeviceStateChanged(..)) {
                return event;
            }
        }
    }

    fn wait_for_health(&self, wanted: DeviceState) {
        while !matches!(self.event(), Event::DeviceStateChanged(DeviceKind::ReceiptPrinter, health) if health == wanted)
        {
        }
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.inbox = None;
        self.supervisor = None;
    }
}

const LOST: DeviceState = DeviceState::Faulty(FaultReason::Unavailable);

fn print() -> DeviceRequest {
    let content = printer::PrintableReceipt { blocks: Vec::new(), copy_mark: None };
    DeviceRequest::Print(ReceiptId::from_entropy(7), Box::new(DeviceWork::PrintReceipt(content)))
}

fn pin(ticket: u64) -> DeviceRequest {
    DeviceRequest::Pin(Ticket(ticket), b"123456".to_vec().into())
}

#[test]
fn request_answer_carries_its_ticket_or_receipt() {
    let fixture = Fixture::start(&[Behaviour::Responsive], long_timeouts());
    fixture.wait_for_health(DeviceState::Ready);
    assert!(fixture.request(pin(41)).is_none());
    assert!(matches!(fixture.outcome(), Event::Card(CardEvent::Inserted)));
    let wrong = PinAnswer::Wrong { tries_left: 2 };
    assert!(
        matches!(fixture.outcome(), Event::WorkAnswered(Ticket(41), Ok(WorkAnswer::Pin(said))) if said == wrong)
    );
    assert!(fixture.request(print()).is_none());
    assert!(matches!(fixture.outcome(), Event::Card(CardEvent::Inserted)));
    let fenced = PrintResult::Printed(contract::Confirmation::BarrierAnswered);
    assert!(
        matches!(fixture.outcome(), Event::PrintFinished(of, said) if of == ReceiptId::from_entropy(7) && said == fenced)
    );
}

#[test]
fn exited_process_fails_pending_work_and_restarts() {
    let fixture = Fixture::start(
        &[Behaviour::ExitsOnWork, Behaviour::ExitsOnWork, Behaviour::Responsive],
        long_timeouts(),
    );
    fixture.wait_for_health(DeviceState::Ready);
    assert!(fixture.request(print()).is_none());
    assert!(
        matches!(fixture.event(), Event::PrintFinished(_, PrintResult::Unconfirmed)),
        "the receipt may have been printed"
    );
    assert!(matches!(fixture.event(), Event::DeviceStateChanged(DeviceKind::ReceiptPrinter, LOST)));
    fixture.wait_for_health(DeviceState::Ready);
    assert!(fixture.request(pin(1)).is_none());
    assert!(matches!(fixture.event(), Event::WorkAnswered(Ticket(1), Err(Failure::DeviceFailed))));
    fixture.wait_for_health(DeviceState::Ready);
    assert!(fixture.request(pin(2)).is_none());
    assert!(matches!(fixture.outcome(), Event::Card(_)));
    assert!(matches!(fixture.outcome(), Event::WorkAnswered(Ticket(2), Ok(_))));
}

#[test]
fn hung_process_is_killed_and_fails_pending_work() {
    let fixture = Fixture::start(&[Behaviour::Hangs], short_timeouts());
    fixture.wait_for_health(DeviceState::Ready);
    let _ = fixture.request(print());
    let result = fixture.outcome();
    assert!(matches!(result, Event::PrintFinished(_, PrintResult::Unconfirmed | PrintResult::NotStarted)));
    fixture.wait_for_health(LOST);
    fixture.wait_for_health(DeviceState::Ready);
    assert!(fixture.started.load(Ordering::SeqCst) >= 2);
}

#[test]
fn request_to_a_silent_device_holds_no_caller() {
    // The visit of an unanswered request may end; the next resident does not wait for it.
    let fixture = Fixture::start(&[Behaviour::Hangs], long_timeouts());
    fixture.wait_for_health(DeviceState::Ready);
    let begun = Instant::now();
    for ticket in 1..=3 {
        assert!(fixture.request(pin(ticket)).is_none());
    }
    assert!(begun.elapsed() < Duration::from_millis(100), "{:?}", begun.elapsed());
}

#[test]
fn process_with_malformed_frames_is_restarted() {
    for bad in [Behaviour::SendsGarbage, Behaviour::WrongVersion] {
        let fixture = Fixture::start(&[bad, Behaviour::Responsive], long_timeouts());
        fixture.wait_for_health(LOST);
        fixture.wait_for_health(DeviceState::Ready);
    }
}

#[test]
fn request_during_backoff_is_answered_at_once() {
    // Without a behaviour the process cannot be spawned.
    let fixture =
        Fixture::start(&[], HeartbeatTimeouts { restart: Backoff::new(60_000, 60_000), ..long_timeouts() });
    fixture.wait_for_health(LOST);
    assert!(fixture.request(print()).is_none());
    assert!(matches!(fixture.event(), Event::PrintFinished(_, PrintResult::NotStarted)));
    assert!(fixture.request(pin(3)).is_none());
    assert!(matches!(fixture.event(), Event::WorkAnswered(Ticket(3), Err(Failure::DeviceFailed))));
}

#[test]
fn spawn_failures_are_retried_without_limit() {
    let fixture = Fixture::start(&[], long_timeouts());
    for _ in 0..20 {
        fixture.wait_for_health(LOST);
    }
    assert!(fixture.started.load(Ordering::SeqCst) >= 20);
}

#[test]
fn unkillable_processes_stop_further_spawns() {
    let fixture = Fixture::with(&[Behaviour::SendsGarbage], long_timeouts(), true);
    for _ in 0..4 {
        fixture.wait_for_health(LOST);
    }
    // A fifth process would be spawned within milliseconds, and its health would be the next event.
    let later = fixture.inbox.as_ref().unwrap().receive_until(Instant::now() + Duration::from_millis(200));
    assert!(later.is_none());
    assert_eq!(fixture.started.load(Ordering::SeqCst), 4);
}

/// A shell script in a temporary directory.
fn script(text: &str) -> (tempfile::TempDir, DeviceProgram) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("kiosk-device");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    (place, DeviceProgram { path, name: "card" })
}

#[test]
fn real_program_gets_device_name_and_is_restarted() {
    let (place, program) = script(r#"echo "$1" >> "$0.log"; exit 3"#);
    let fixture = Fixture::with_spawner(Box::new(program), long_timeouts());
    for _ in 0..3 {
        fixture.wait_for_health(LOST);
    }
    let log = fs::read_to_string(place.path().join("kiosk-device.log")).unwrap();
    assert!(log.lines().count() >= 3 && log.lines().all(|line| line == "card"), "{log}");
}

#[test]
fn hung_real_program_is_killed() {
    let (_place, mut program) = script("exec sleep 1000");
    let SpawnedDevice { stream: _stream, mut process } = program.spawn().unwrap();
    assert!(!process.try_reap());
    process.kill();
    let end = Instant::now() + Duration::from_secs(30);
    while !process.try_reap() {
        assert!(Instant::now() < end, "SIGKILL did not end the process");
        thread::yield_now();
    }
}

#[test]
fn drop_during_event_flood_ends_supervisor() {
    let mut fixture = Fixture::start(&[Behaviour::Responsive], long_timeouts());
    fixture.wait_for_health(DeviceState::Ready);
    // The inbox is not read: the quota fills and the supervisor waits for room.
    for ticket in 0..60 {
        let _ = fixture.request(pin(ticket));
    }
    fixture.inbox = None;
    fixture.supervisor = None;
}
