//! Keepers over real socket pairs, with device processes that die, hang, babble and come back.

use std::fs;
use std::io::{self, Write as _};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use contract::ReceiptId;
use device::framing::{self, WireError};
use device::wire::{self, DeviceConfig, FromDevice, ToDevice, Work};
use engine::What;
use session::{Answer, CardEvent, Device, Event, Failure, Health, PinAnswer, PrintResult, Ticket, Trouble};

use super::keeper::{Keeper, Keeping, Order};
use super::launch::{Launch, Launched, Process, Program};
use super::pulse::Intervals;
use crate::inbox::Inbox;
use crate::message::Message;

/// What a fake device process does once it is open.
#[derive(Clone, Copy)]
enum Character {
    /// Answers everything.
    Well,
    /// Says that it is ready and never answers again.
    Hangs,
    /// Ends at the first work.
    DiesAtWork,
    /// Sends what is no frame.
    Babbles,
    /// Speaks another version.
    Stranger,
}

/// Launches a character for each generation; the last one for all that follow.
struct Fake {
    characters: Vec<Character>,
    started: Arc<AtomicUsize>,
    /// Killing has no effect.
    immortal: bool,
}

impl Launch for Fake {
    fn launch(&mut self) -> io::Result<Launched> {
        let number = self.started.fetch_add(1, Ordering::SeqCst);
        let character =
            *self.characters.get(number).or(self.characters.last()).ok_or(io::ErrorKind::NotFound)?;
        let (stream, theirs) = UnixStream::pair()?;
        let process = FakeProcess { theirs: theirs.try_clone()?, immortal: self.immortal, killed: false };
        thread::spawn(move || act(character, theirs));
        Ok(Launched { stream, process: Box::new(process) })
    }
}

struct FakeProcess {
    theirs: UnixStream,
    immortal: bool,
    killed: bool,
}

impl Process for FakeProcess {
    fn kill(&mut self) {
        self.killed = true;
        let _ = self.theirs.shutdown(Shutdown::Both);
    }

    fn is_over(&mut self) -> bool {
        self.killed && !self.immortal
    }
}

/// A process from its start to its end, which closes its socket.
fn act(character: Character, mut stream: UnixStream) {
    // Errors mean that the kiosk has closed its end, which ends a process too.
    let _ = match character {
        Character::Stranger => stream.write_all(&[0xff; 64]).map_err(WireError::Gone),
        Character::Well | Character::Hangs | Character::DiesAtWork | Character::Babbles => {
            converse(character, &mut stream)
        }
    };
    let _ = stream.shutdown(Shutdown::Both);
}

fn converse(character: Character, stream: &mut UnixStream) -> Result<(), WireError> {
    framing::write_version(stream)?;
    framing::read_version(stream)?;
    framing::write_frame(stream, &FromDevice::Health(wire::Health::Ready))?;
    loop {
        match (character, framing::read_frame::<ToDevice>(stream)?) {
            (Character::Babbles, _) => {
                stream.write_all(&[0, 0, 0, 3, 0xff, 0xff, 0xff]).map_err(WireError::Gone)?;
                thread::sleep(Duration::from_secs(60));
            }
            (Character::Hangs, _) => {}
            (Character::DiesAtWork, ToDevice::Do(..)) => return Ok(()),
            (_, ToDevice::Ping(number)) => framing::write_frame(stream, &FromDevice::Pong(number))?,
            (_, ToDevice::Do(ticket, work)) => {
                framing::write_frame(stream, &FromDevice::Event(wire::Event::CardInserted))?;
                let answer = match work {
                    Work::VerifyPin(_) | Work::ChangePin { .. } => {
                        wire::Answer::Pin(card::PinOutcome::Wrong { tries_left: 2 })
                    }
                    Work::Authenticate(_) => wire::Answer::Authenticated,
                    Work::Print(_) | Work::PrintSheet(_) => {
                        wire::Answer::Printed(printer::Outcome::Printed {
                            confirmation: printer::Confirmation::Fence,
                        })
                    }
                    Work::Scan(on) => wire::Answer::Scanning(on),
                    Work::Signal(_) => wire::Answer::Signalled,
                };
                framing::write_frame(stream, &FromDevice::Answer(ticket, Ok(answer)))?;
            }
            (_, ToDevice::Open(_) | ToDevice::Cancel(_)) => {}
        }
    }
}

struct Rig {
    keeper: Option<Keeper>,
    inbox: Option<Inbox<Message>>,
    started: Arc<AtomicUsize>,
}

/// Patient enough that a well process is never given up on a busy machine, quick to start again.
fn patient() -> Intervals {
    Intervals {
        mute: Duration::from_secs(60),
        birth: Duration::from_secs(60),
        ping: Duration::from_millis(5),
        restart_first: Duration::from_millis(2),
        restart_max: Duration::from_millis(20),
        ..Intervals::default()
    }
}

fn impatient() -> Intervals {
    Intervals { mute: Duration::from_millis(50), birth: Duration::from_millis(50), ..patient() }
}

impl Rig {
    fn start(characters: &[Character], intervals: Intervals) -> Self {
        Self::with(characters, intervals, false)
    }

    fn with(characters: &[Character], intervals: Intervals, immortal: bool) -> Self {
        let started = Arc::new(AtomicUsize::new(0));
        let launch = Fake { characters: characters.to_vec(), started: Arc::clone(&started), immortal };
        let mut rig = Self::keeping(Box::new(launch), intervals);
        rig.started = started;
        rig
    }

    fn keeping(launch: Box<dyn Launch>, intervals: Intervals) -> Self {
        let inbox = Inbox::new();
        let config =
            DeviceConfig::Card { reader: "Virtual".into(), psam: None, older: card::OlderCards::Limit };
        let port = inbox.port(16);
        let keeping = Keeping { device: Device::Printer, config, launch, intervals, port };
        let keeper = Keeper::start(keeping).unwrap();
        Self { keeper: Some(keeper), inbox: Some(inbox), started: Arc::default() }
    }

    fn order(&self, order: Order) -> Option<Event> {
        self.keeper.as_ref().unwrap().order(order)
    }

    fn event(&self) -> Event {
        let message = self.inbox.as_ref().unwrap().take(Instant::now() + Duration::from_secs(30));
        let Some(Message::Happened(What::Event(event))) = message else { panic!("no event within 30 s") };
        event
    }

    /// The next event that is not about health.
    fn outcome(&self) -> Event {
        loop {
            let event = self.event();
            if !matches!(event, Event::Health(..)) {
                return event;
            }
        }
    }

    fn wait_for_health(&self, wanted: Health) {
        while !matches!(self.event(), Event::Health(Device::Printer, health) if health == wanted) {}
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.inbox = None;
        self.keeper = None;
    }
}

const GONE: Health = Health::Trouble(Trouble::Gone);

fn print() -> Order {
    let content = printer::Receipt { blocks: Vec::new(), copy_mark: None };
    Order::Print(ReceiptId::from_entropy(7), Box::new(Work::Print(content)))
}

fn pin(ticket: u64) -> Order {
    Order::Pin(Ticket(ticket), b"123456".to_vec().into())
}

#[test]
fn work_is_passed_on_and_answered_under_its_own_name() {
    let rig = Rig::start(&[Character::Well], patient());
    rig.wait_for_health(Health::Ready);
    assert!(rig.order(pin(41)).is_none());
    assert!(matches!(rig.outcome(), Event::Card(CardEvent::Inserted)));
    let wrong = PinAnswer::Wrong { tries_left: 2 };
    assert!(matches!(rig.outcome(), Event::Answer(Ticket(41), Ok(Answer::Pin(said))) if said == wrong));
    assert!(rig.order(print()).is_none());
    assert!(matches!(rig.outcome(), Event::Card(CardEvent::Inserted)));
    let fenced = PrintResult::Printed(contract::Confirmation::Fenced);
    assert!(
        matches!(rig.outcome(), Event::Paper(of, said) if of == ReceiptId::from_entropy(7) && said == fenced)
    );
}

#[test]
fn a_process_that_dies_releases_who_waits_and_comes_back() {
    let rig = Rig::start(&[Character::DiesAtWork, Character::DiesAtWork, Character::Well], patient());
    rig.wait_for_health(Health::Ready);
    assert!(rig.order(print()).is_none());
    assert!(matches!(rig.event(), Event::Paper(_, PrintResult::Unconfirmed)), "it may have been printed");
    assert!(matches!(rig.event(), Event::Health(Device::Printer, GONE)));
    rig.wait_for_health(Health::Ready);
    assert!(rig.order(pin(1)).is_none());
    assert!(matches!(rig.event(), Event::Answer(Ticket(1), Err(Failure::Device))));
    rig.wait_for_health(Health::Ready);
    assert!(rig.order(pin(2)).is_none());
    assert!(matches!(rig.outcome(), Event::Card(_)));
    assert!(matches!(rig.outcome(), Event::Answer(Ticket(2), Ok(_))));
}

#[test]
fn a_process_that_hangs_is_killed_and_who_waits_is_released() {
    let rig = Rig::start(&[Character::Hangs], impatient());
    rig.wait_for_health(Health::Ready);
    let _ = rig.order(print());
    let result = rig.outcome();
    assert!(matches!(result, Event::Paper(_, PrintResult::Unconfirmed | PrintResult::NotStarted)));
    rig.wait_for_health(GONE);
    rig.wait_for_health(Health::Ready);
    assert!(rig.started.load(Ordering::SeqCst) >= 2);
}

#[test]
fn a_process_that_sends_what_is_no_message_is_started_again() {
    for bad in [Character::Babbles, Character::Stranger] {
        let rig = Rig::start(&[bad, Character::Well], patient());
        rig.wait_for_health(GONE);
        rig.wait_for_health(Health::Ready);
    }
}

#[test]
fn work_for_a_device_that_is_down_is_answered_at_once() {
    // No character: the program cannot even be started.
    let rig = Rig::start(
        &[],
        Intervals {
            restart_first: Duration::from_secs(60),
            restart_max: Duration::from_secs(60),
            ..patient()
        },
    );
    rig.wait_for_health(GONE);
    assert!(rig.order(print()).is_none());
    assert!(matches!(rig.event(), Event::Paper(_, PrintResult::NotStarted)));
    assert!(rig.order(pin(3)).is_none());
    assert!(matches!(rig.event(), Event::Answer(Ticket(3), Err(Failure::Device))));
}

#[test]
fn a_device_that_never_comes_back_is_tried_for_ever() {
    let rig = Rig::start(&[], patient());
    for _ in 0..20 {
        rig.wait_for_health(GONE);
    }
    assert!(rig.started.load(Ordering::SeqCst) >= 20);
}

#[test]
fn processes_that_no_kill_ends_do_not_pile_up() {
    let rig = Rig::with(&[Character::Babbles], patient(), true);
    for _ in 0..4 {
        rig.wait_for_health(GONE);
    }
    // A fifth would be started within milliseconds; its word would be the next event.
    let later = rig.inbox.as_ref().unwrap().take(Instant::now() + Duration::from_millis(200));
    assert!(later.is_none());
    assert_eq!(rig.started.load(Ordering::SeqCst), 4);
}

/// A program of its own, in a directory that goes with the test.
fn script(text: &str) -> (tempfile::TempDir, Program) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("kiosk-device");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    (place, Program { path, name: "card" })
}

#[test]
fn a_real_program_is_started_with_its_name_and_started_again_when_it_ends() {
    let (place, program) = script(r#"echo "$1" >> "$0.log"; exit 3"#);
    let rig = Rig::keeping(Box::new(program), patient());
    for _ in 0..3 {
        rig.wait_for_health(GONE);
    }
    let log = fs::read_to_string(place.path().join("kiosk-device.log")).unwrap();
    assert!(log.lines().count() >= 3 && log.lines().all(|line| line == "card"), "{log}");
}

#[test]
fn a_real_program_that_hangs_is_killed_for_good() {
    let (_place, mut program) = script("exec sleep 1000");
    let Launched { stream: _stream, mut process } = program.launch().unwrap();
    assert!(!process.is_over());
    process.kill();
    let end = Instant::now() + Duration::from_secs(30);
    while !process.is_over() {
        assert!(Instant::now() < end, "SIGKILL did not end it");
        thread::yield_now();
    }
}

#[test]
fn a_keeper_ends_with_its_process_even_while_the_device_floods() {
    let mut rig = Rig::start(&[Character::Well], patient());
    rig.wait_for_health(Health::Ready);
    // Nobody takes the events: the quota fills and the keeper waits for room.
    for ticket in 0..60 {
        let _ = rig.order(pin(ticket));
    }
    rig.inbox = None;
    rig.keeper = None;
}
