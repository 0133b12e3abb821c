//! The keeper of one device: a thread that starts its process, listens to its heartbeat, kills and starts
//! it again with growing pauses, for ever (I8).
//!
//! Whoever waits for the device is released as soon as its process is gone: what was asked is answered
//! with a failure, a print that was sent with *unconfirmed* (I6). What an earlier process left in the
//! socket is never taken for the present one's: each generation has its own number.

use std::collections::BTreeMap;
use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use contract::ReceiptId;
use device::framing::{self, WireError};
use device::wire::{DeviceConfig, FromDevice, Signal, ToDevice, Work};
use session::{Answer, Device, Event, Failure, Health, PrintResult, Ticket, Trouble};
use zeroize::Zeroizing;

use super::counters::Counters;
use super::launch::{Launch, Launched, Process};
use super::mapping::{self, Told};
use super::pulse::{Backoff, Intervals, Pulse};
use crate::inbox::{Closed, Port};
use crate::message::Message;

/// Orders and frames that may wait for the keeper.
const MAIL_MAX: usize = 32;
/// A device process that takes no bytes for this long hangs.
const WRITE_MS: u64 = 500;
/// Processes that were killed and are not dead yet. With so many, starting another would not help.
const UNBURIED_MAX: usize = 4;
/// Waiting for the engine for longer than this is made good to the process's heartbeat.
const EXCUSED: Duration = Duration::from_millis(50);

/// Work for a device.
pub(crate) enum Order {
    /// Let the card check this PIN.
    Pin(Ticket, Zeroizing<Vec<u8>>),
    /// Let the card take another PIN.
    ChangePin(Ticket, Zeroizing<Vec<u8>>, Zeroizing<Vec<u8>>),
    /// Go on with the card that waits.
    Authenticate(Ticket, Option<card::AuthAnswer>),
    /// Print this: a receipt or a sheet.
    Print(ReceiptId, Box<Work>),
    /// Show this. Nobody waits for it.
    Signal(Signal),
    /// The answer is no longer wanted.
    Cancel(Ticket),
}

/// The engine's handle on a keeper.
pub(crate) struct Keeper {
    mail: SyncSender<Mail>,
    thread: Option<JoinHandle<()>>,
}

enum Mail {
    Order(Order),
    Frame { generation: u64, frame: FromDevice },
    Lost { generation: u64, why: &'static str },
    Stop,
}

/// What is waited for, by the number it has on the wire.
enum Job {
    Pin(Ticket),
    Authenticate(Ticket),
    Print(ReceiptId),
}

/// Why the keeper stops keeping: it was told to, or nobody takes its messages any more.
struct Stopped;

impl From<Closed> for Stopped {
    fn from(_: Closed) -> Self {
        Self
    }
}

/// What a keeper works with.
pub(crate) struct Keeping {
    pub(crate) device: Device,
    pub(crate) config: DeviceConfig,
    pub(crate) launch: Box<dyn Launch>,
    pub(crate) intervals: Intervals,
    pub(crate) port: Port<Message>,
}

impl Keeper {
    /// Starts the thread, which starts the process.
    pub(crate) fn start(keeping: Keeping) -> io::Result<Self> {
        let (mail, arrived) = mpsc::sync_channel(MAIL_MAX);
        let to_self = mail.clone();
        let thread = thread::Builder::new().name(format!("keep-{:?}", keeping.device)).spawn(move || {
            let mut post = Post {
                keeping,
                arrived,
                to_self,
                backoff: Backoff::default(),
                generation: 0,
                tickets: 0,
                jobs: BTreeMap::new(),
                unburied: Vec::new(),
                counters: Counters::default(),
            };
            let Stopped = post.keep();
            tracing::info!(device = ?post.keeping.device, counted = %post.counters, "what this device did");
        })?;
        Ok(Self { mail, thread: Some(thread) })
    }

    /// Gives work to the device. When it cannot even be passed on, the event that says so comes back.
    pub(crate) fn order(&self, order: Order) -> Option<Event> {
        match self.mail.try_send(Mail::Order(order)) {
            Ok(()) => None,
            Err(TrySendError::Full(mail) | TrySendError::Disconnected(mail)) => match mail {
                Mail::Order(order) => not_begun(order),
                Mail::Frame { .. } | Mail::Lost { .. } | Mail::Stop => None,
            },
        }
    }
}

impl Drop for Keeper {
    /// Ends the process and the thread.
    fn drop(&mut self) {
        // An error means that the thread has ended already.
        if self.mail.send(Mail::Stop).is_ok()
            && let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!("the keeper of a device had panicked");
        }
    }
}

/// What is answered to work that never reached the device.
fn not_begun(order: Order) -> Option<Event> {
    match order {
        Order::Pin(ticket, _) | Order::ChangePin(ticket, ..) | Order::Authenticate(ticket, _) => {
            Some(Event::Answer(ticket, Err(Failure::Device)))
        }
        Order::Print(receipt, _) => Some(Event::Paper(receipt, PrintResult::NotStarted)),
        Order::Signal(_) | Order::Cancel(_) => None,
    }
}

/// One keeper at its post.
struct Post {
    keeping: Keeping,
    arrived: Receiver<Mail>,
    to_self: SyncSender<Mail>,
    backoff: Backoff,
    /// Number of the present process.
    generation: u64,
    tickets: u64,
    jobs: BTreeMap<u64, Job>,
    unburied: Vec<Box<dyn Process>>,
    counters: Counters,
}

/// The present process.
struct Alive {
    stream: UnixStream,
    pulse: Pulse,
}

impl Post {
    fn keep(&mut self) -> Stopped {
        loop {
            self.unburied.retain_mut(|process| !process.is_over());
            let lived = if self.unburied.len() < UNBURIED_MAX {
                match self.live() {
                    Ok(lived) => lived,
                    Err(stopped) => return stopped,
                }
            } else {
                Duration::ZERO
            };
            let pause = self.backoff.pause(lived, &self.keeping.intervals);
            if let Err(stopped) = self.rest(Instant::now() + pause) {
                return stopped;
            }
        }
    }

    /// One process from start to end; how long it lived.
    fn live(&mut self) -> Result<Duration, Stopped> {
        self.generation += 1;
        let device = self.keeping.device;
        let Launched { stream, mut process } = match self.keeping.launch.launch() {
            Ok(launched) => launched,
            Err(error) => {
                tracing::warn!(?device, %error, "the device process cannot be started");
                self.tell(Event::Health(device, Health::Trouble(Trouble::Gone)))?;
                return Ok(Duration::ZERO);
            }
        };
        let born = Instant::now();
        let ended = self.converse(&stream, born);
        // Both ends must go: a process that hangs is killed, its reader thread sees the end of the stream.
        process.kill();
        if let Err(error) = stream.shutdown(Shutdown::Both) {
            tracing::trace!(%error, "the socket was closed already");
        }
        self.unburied.push(process);
        let lived = born.elapsed();
        let why = ended?;
        self.counters.lost();
        let (generation, counted) = (self.generation, self.counters);
        tracing::warn!(?device, generation, ?lived, why, %counted, "the device process is gone");
        self.release()?;
        Ok(lived)
    }

    /// Talks with the process until it is lost or given up; why.
    fn converse(&mut self, stream: &UnixStream, born: Instant) -> Result<&'static str, Stopped> {
        let opened = self.open(stream);
        let Ok(stream) = opened else { return Ok("the wire could not be opened") };
        let mut alive = Alive { stream, pulse: Pulse::new(born) };
        loop {
            let now = Instant::now();
            if now >= alive.pulse.gives_up(&self.keeping.intervals) {
                return Ok("it does not answer");
            }
            if let Some(number) = alive.pulse.ping(now, &self.keeping.intervals)
                && framing::write_frame(&mut alive.stream, &ToDevice::Ping(number)).is_err()
            {
                return Ok("it takes no ping");
            }
            let wake = alive.pulse.wake(&self.keeping.intervals);
            match self.arrived.recv_timeout(wake.saturating_duration_since(now)) {
                Ok(Mail::Order(order)) => {
                    if self.pass_on(&mut alive, order).is_err() {
                        return Ok("it takes no work");
                    }
                }
                Ok(Mail::Frame { generation, frame }) if generation == self.generation => {
                    self.heard(&mut alive, frame)?;
                }
                Ok(Mail::Lost { generation, why }) if generation == self.generation => return Ok(why),
                Ok(Mail::Frame { .. } | Mail::Lost { .. }) | Err(RecvTimeoutError::Timeout) => {}
                Ok(Mail::Stop) | Err(RecvTimeoutError::Disconnected) => return Err(Stopped),
            }
        }
    }

    /// Exchanges versions, says which device it is, and lets a thread listen.
    fn open(&self, stream: &UnixStream) -> Result<UnixStream, WireError> {
        let mut writer = stream.try_clone().map_err(WireError::Gone)?;
        let mut reader = stream.try_clone().map_err(WireError::Gone)?;
        writer.set_write_timeout(Some(Duration::from_millis(WRITE_MS))).map_err(WireError::Gone)?;
        framing::write_version(&mut writer)?;
        framing::write_frame(&mut writer, &ToDevice::Open(self.keeping.config.clone()))?;
        let (mail, generation) = (self.to_self.clone(), self.generation);
        let listening = thread::Builder::new().name("device-reader".to_owned()).spawn(move || {
            let why = listen(&mut reader, &mail, generation);
            // An error means that the keeper has ended.
            let _ = mail.send(Mail::Lost { generation, why });
        });
        listening.map(|_| writer).map_err(WireError::Gone)
    }

    fn pass_on(&mut self, alive: &mut Alive, order: Order) -> Result<(), WireError> {
        let (job, work) = match order {
            Order::Pin(ticket, digits) => (Job::Pin(ticket), Work::VerifyPin(digits)),
            Order::ChangePin(ticket, old, new) => (Job::Pin(ticket), Work::ChangePin { old, new }),
            Order::Authenticate(ticket, answer) => (Job::Authenticate(ticket), Work::Authenticate(answer)),
            Order::Print(receipt, content) => (Job::Print(receipt), *content),
            Order::Signal(signal) => {
                self.tickets += 1;
                let shows = ToDevice::Do(self.tickets, Work::Signal(signal));
                return framing::write_frame(&mut alive.stream, &shows);
            }
            Order::Cancel(ticket) => {
                let of = self.jobs.iter().find(|(_, job)| matches!(job, Job::Pin(of) if *of == ticket));
                return match of {
                    Some((number, _)) => framing::write_frame(&mut alive.stream, &ToDevice::Cancel(*number)),
                    None => Ok(()),
                };
            }
        };
        self.tickets += 1;
        // Before the first byte: half a frame may be enough for half a receipt.
        self.jobs.insert(self.tickets, job);
        framing::write_frame(&mut alive.stream, &ToDevice::Do(self.tickets, work))
    }

    fn heard(&mut self, alive: &mut Alive, frame: FromDevice) -> Result<(), Stopped> {
        self.counters.heard(&frame);
        let told = match frame {
            FromDevice::Pong(number) => {
                alive.pulse.pong(number, Instant::now());
                None
            }
            FromDevice::Health(health) => {
                Some(Told::Must(Event::Health(self.keeping.device, mapping::health(health))))
            }
            FromDevice::Event(event) => mapping::event(event),
            FromDevice::Answer(number, answer) => self.jobs.remove(&number).and_then(|job| {
                Some(Told::Must(match job {
                    Job::Pin(ticket) => Event::Answer(ticket, mapping::pin(answer).map(Answer::Pin)),
                    Job::Authenticate(ticket) => Event::Answer(ticket, Err(mapping::unread(&answer)?)),
                    Job::Print(receipt) => Event::Paper(receipt, mapping::printed(answer)),
                }))
            }),
        };
        let asked = Instant::now();
        match told {
            Some(Told::Must(event)) => self.tell(event)?,
            Some(Told::May(event)) => {
                self.keeping.port.offer(event.into())?;
            }
            None => {}
        }
        let waited = asked.elapsed();
        if waited > EXCUSED {
            alive.pulse.excuse(waited);
        }
        Ok(())
    }

    fn tell(&self, event: Event) -> Result<(), Stopped> {
        Ok(self.keeping.port.post(event.into())?)
    }

    /// The process is gone: everybody who waited for it is told, and so is the screen.
    fn release(&mut self) -> Result<(), Stopped> {
        for (_, job) in std::mem::take(&mut self.jobs) {
            self.tell(match job {
                Job::Pin(ticket) | Job::Authenticate(ticket) => Event::Answer(ticket, Err(Failure::Device)),
                Job::Print(receipt) => Event::Paper(receipt, PrintResult::Unconfirmed),
            })?;
        }
        self.tell(Event::Health(self.keeping.device, Health::Trouble(Trouble::Gone)))
    }

    /// The pause before the next start. Nobody waits for it: all work is answered at once.
    fn rest(&mut self, until: Instant) -> Result<(), Stopped> {
        loop {
            match self.arrived.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Mail::Order(order)) => {
                    if let Some(event) = not_begun(order) {
                        self.tell(event)?;
                    }
                }
                Ok(Mail::Frame { .. } | Mail::Lost { .. }) => {}
                Ok(Mail::Stop) | Err(RecvTimeoutError::Disconnected) => return Err(Stopped),
                Err(RecvTimeoutError::Timeout) => return Ok(()),
            }
        }
    }
}

/// Reads frames until there are no more; why.
fn listen(reader: &mut UnixStream, mail: &SyncSender<Mail>, generation: u64) -> &'static str {
    match framing::read_version(reader) {
        Ok(()) => {}
        Err(WireError::Gone(_)) => return "it ended before it said a word",
        Err(WireError::Version(_) | WireError::Length(_) | WireError::Malformed(_)) => {
            return "it speaks another version: install both programs from one package";
        }
    }
    loop {
        match framing::read_frame::<FromDevice>(reader) {
            Ok(frame) => {
                if mail.send(Mail::Frame { generation, frame }).is_err() {
                    return "the keeper has ended";
                }
            }
            Err(WireError::Gone(_)) => return "its wire broke or was closed",
            Err(WireError::Length(_) | WireError::Malformed(_) | WireError::Version(_)) => {
                return "it sent what is no message";
            }
        }
    }
}
