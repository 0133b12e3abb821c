//! Supervisor of one device: a thread that starts the device process, checks its heartbeat, and kills and
//! restarts it with exponential back-off, without a limit of attempts (I8).
//!
//! When the process is lost, all pending work is answered at once: a request with a failure, a print that was
//! sent with *unconfirmed* (I6). Each process has its own generation number, so frames that an earlier process
//! left in the socket are never attributed to the running one.

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

/// Requests and frames that may wait for the supervisor.
const MAIL_MAX: usize = 32;
/// Write timeout of the socket in milliseconds: a device process that reads no bytes for this long hangs.
const WRITE_MS: u64 = 500;
/// Killed processes that are not reaped yet, at most. With so many, starting another would not help.
const UNBURIED_MAX: usize = 4;
/// Waiting for the engine for longer than this is not counted against the heartbeat timeout.
const EXCUSED: Duration = Duration::from_millis(50);

/// Request of the engine to a device.
pub(crate) enum Order {
    /// The card verifies this PIN (VERIFY).
    Pin(Ticket, Zeroizing<Vec<u8>>),
    /// The card replaces its PIN: the old one, then the new one.
    ChangePin(Ticket, Zeroizing<Vec<u8>>, Zeroizing<Vec<u8>>),
    /// The reader continues with the card that waits for its authentication; without an answer it gives up.
    Authenticate(Ticket, Option<card::AuthAnswer>),
    /// The printer prints a receipt or an A4 document.
    Print(ReceiptId, Box<Work>),
    /// The signal lamp shows this. There is no answer.
    Signal(Signal),
    /// The answer to this ticket is no longer wanted.
    Cancel(Ticket),
}

/// The engine's handle of a supervisor.
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

/// Work that the device has not answered yet, by its number in the device protocol.
enum Job {
    Pin(Ticket),
    Authenticate(Ticket),
    Print(ReceiptId),
}

/// The supervisor ends: by request, or because the inbox of the engine is closed.
struct Stopped;

impl From<Closed> for Stopped {
    fn from(_: Closed) -> Self {
        Self
    }
}

/// Configuration of a supervisor.
pub(crate) struct Keeping {
    pub(crate) device: Device,
    pub(crate) config: DeviceConfig,
    pub(crate) launch: Box<dyn Launch>,
    pub(crate) intervals: Intervals,
    pub(crate) port: Port<Message>,
}

impl Keeper {
    /// Starts the supervisor thread, which starts the process.
    pub(crate) fn start(config: Keeping) -> io::Result<Self> {
        let (sender, messages) = mpsc::sync_channel(MAIL_MAX);
        let to_self = sender.clone();
        let thread = thread::Builder::new().name(format!("keep-{:?}", config.device)).spawn(move || {
            let mut supervisor = Post {
                keeping: config,
                arrived: messages,
                to_self,
                backoff: Backoff::default(),
                generation: 0,
                tickets: 0,
                jobs: BTreeMap::new(),
                unburied: Vec::new(),
                counters: Counters::default(),
            };
            let Stopped = supervisor.keep();
            tracing::info!(device = ?supervisor.keeping.device, counted = %supervisor.counters, "device supervisor stopped");
        })?;
        Ok(Self { mail: sender, thread: Some(thread) })
    }

    /// Queues a request for the device. When the queue is full or closed, the event that reports it is returned.
    pub(crate) fn order(&self, request: Order) -> Option<Event> {
        match self.mail.try_send(Mail::Order(request)) {
            Ok(()) => None,
            Err(TrySendError::Full(message) | TrySendError::Disconnected(message)) => match message {
                Mail::Order(request) => not_begun(request),
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
            tracing::warn!("device supervisor thread panicked");
        }
    }
}

/// The event that answers a request which never reached the device.
fn not_begun(request: Order) -> Option<Event> {
    match request {
        Order::Pin(ticket, _) | Order::ChangePin(ticket, ..) | Order::Authenticate(ticket, _) => {
            Some(Event::Answer(ticket, Err(Failure::Device)))
        }
        Order::Print(receipt, _) => Some(Event::Paper(receipt, PrintResult::NotStarted)),
        Order::Signal(_) | Order::Cancel(_) => None,
    }
}

/// State of the supervisor thread.
struct Post {
    keeping: Keeping,
    arrived: Receiver<Mail>,
    to_self: SyncSender<Mail>,
    backoff: Backoff,
    /// Number of the running process, from 1.
    generation: u64,
    tickets: u64,
    jobs: BTreeMap<u64, Job>,
    unburied: Vec<Box<dyn Process>>,
    counters: Counters,
}

/// The running process.
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

    /// Runs one process from its start to its end. Returns how long it lived.
    fn live(&mut self) -> Result<Duration, Stopped> {
        self.generation += 1;
        let device = self.keeping.device;
        let Launched { stream, mut process } = match self.keeping.launch.launch() {
            Ok(launched) => launched,
            Err(error) => {
                tracing::warn!(?device, %error, "cannot start device process");
                self.tell(Event::Health(device, Health::Trouble(Trouble::Gone)))?;
                return Ok(Duration::ZERO);
            }
        };
        let born = Instant::now();
        let ended = self.converse(&stream, born);
        // Both ends must close: a process that hangs is killed, and the reader thread sees the end of the stream.
        process.kill();
        if let Err(error) = stream.shutdown(Shutdown::Both) {
            tracing::trace!(%error, "device socket was already closed");
        }
        self.unburied.push(process);
        let lived = born.elapsed();
        let why = ended?;
        self.counters.lost();
        let (generation, counted) = (self.generation, self.counters);
        tracing::warn!(?device, generation, ?lived, why, %counted, "device process lost, will be restarted");
        self.release()?;
        Ok(lived)
    }

    /// Exchanges frames with the process until it is lost or its heartbeat times out. Returns the reason.
    fn converse(&mut self, stream: &UnixStream, born: Instant) -> Result<&'static str, Stopped> {
        let opened = self.open(stream);
        let Ok(stream) = opened else { return Ok("opening the device protocol failed") };
        let mut process = Alive { stream, pulse: Pulse::new(born) };
        loop {
            let now = Instant::now();
            if now >= process.pulse.gives_up(&self.keeping.intervals) {
                return Ok("heartbeat timeout");
            }
            if let Some(number) = process.pulse.ping(now, &self.keeping.intervals)
                && framing::write_frame(&mut process.stream, &ToDevice::Ping(number)).is_err()
            {
                return Ok("sending a ping failed");
            }
            let wake = process.pulse.wake(&self.keeping.intervals);
            match self.arrived.recv_timeout(wake.saturating_duration_since(now)) {
                Ok(Mail::Order(request)) => {
                    if self.pass_on(&mut process, request).is_err() {
                        return Ok("sending work failed");
                    }
                }
                Ok(Mail::Frame { generation, frame }) if generation == self.generation => {
                    self.heard(&mut process, frame)?;
                }
                Ok(Mail::Lost { generation, why }) if generation == self.generation => return Ok(why),
                Ok(Mail::Frame { .. } | Mail::Lost { .. }) | Err(RecvTimeoutError::Timeout) => {}
                Ok(Mail::Stop) | Err(RecvTimeoutError::Disconnected) => return Err(Stopped),
            }
        }
    }

    /// Exchanges protocol versions, sends the device's configuration, and starts the reader thread.
    fn open(&self, stream: &UnixStream) -> Result<UnixStream, WireError> {
        let mut writer = stream.try_clone().map_err(WireError::Gone)?;
        let mut reader = stream.try_clone().map_err(WireError::Gone)?;
        writer.set_write_timeout(Some(Duration::from_millis(WRITE_MS))).map_err(WireError::Gone)?;
        framing::write_version(&mut writer)?;
        framing::write_frame(&mut writer, &ToDevice::Open(self.keeping.config.clone()))?;
        let (sender, generation) = (self.to_self.clone(), self.generation);
        let listening = thread::Builder::new().name("device-reader".to_owned()).spawn(move || {
            let why = listen(&mut reader, &sender, generation);
            // An error means that the supervisor has ended.
            let _ = sender.send(Mail::Lost { generation, why });
        });
        listening.map(|_| writer).map_err(WireError::Gone)
    }

    fn pass_on(&mut self, process: &mut Alive, request: Order) -> Result<(), WireError> {
        let (job, work) = match request {
            Order::Pin(ticket, digits) => (Job::Pin(ticket), Work::VerifyPin(digits)),
            Order::ChangePin(ticket, old, new) => (Job::Pin(ticket), Work::ChangePin { old, new }),
            Order::Authenticate(ticket, answer) => (Job::Authenticate(ticket), Work::Authenticate(answer)),
            Order::Print(receipt, content) => (Job::Print(receipt), *content),
            Order::Signal(signal) => {
                self.tickets += 1;
                let frame = ToDevice::Do(self.tickets, Work::Signal(signal));
                return framing::write_frame(&mut process.stream, &frame);
            }
            Order::Cancel(ticket) => {
                let found = self.jobs.iter().find(|(_, job)| matches!(job, Job::Pin(own) if *own == ticket));
                return match found {
                    Some((number, _)) => {
                        framing::write_frame(&mut process.stream, &ToDevice::Cancel(*number))
                    }
                    None => Ok(()),
                };
            }
        };
        self.tickets += 1;
        // Before the first byte is sent: half a frame may be enough for half a receipt (I6).
        self.jobs.insert(self.tickets, job);
        framing::write_frame(&mut process.stream, &ToDevice::Do(self.tickets, work))
    }

    fn heard(&mut self, process: &mut Alive, frame: FromDevice) -> Result<(), Stopped> {
        self.counters.heard(&frame);
        let delivery = match frame {
            FromDevice::Pong(number) => {
                process.pulse.pong(number, Instant::now());
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
        let offered = Instant::now();
        match delivery {
            Some(Told::Must(event)) => self.tell(event)?,
            Some(Told::May(event)) => {
                self.keeping.port.offer(event.into())?;
            }
            None => {}
        }
        let waited = offered.elapsed();
        if waited > EXCUSED {
            process.pulse.excuse(waited);
        }
        Ok(())
    }

    fn tell(&self, event: Event) -> Result<(), Stopped> {
        Ok(self.keeping.port.post(event.into())?)
    }

    /// The process is lost: answers all pending work and reports the device as failed.
    fn release(&mut self) -> Result<(), Stopped> {
        for (_, job) in std::mem::take(&mut self.jobs) {
            self.tell(match job {
                Job::Pin(ticket) | Job::Authenticate(ticket) => Event::Answer(ticket, Err(Failure::Device)),
                Job::Print(receipt) => Event::Paper(receipt, PrintResult::Unconfirmed),
            })?;
        }
        self.tell(Event::Health(self.keeping.device, Health::Trouble(Trouble::Gone)))
    }

    /// Waits before the next start. Requests that arrive meanwhile are answered at once as not started.
    fn rest(&mut self, until: Instant) -> Result<(), Stopped> {
        loop {
            match self.arrived.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Mail::Order(request)) => {
                    if let Some(event) = not_begun(request) {
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

/// Reads frames until the stream ends or is invalid. Returns the reason.
fn listen(reader: &mut UnixStream, sender: &SyncSender<Mail>, generation: u64) -> &'static str {
    match framing::read_version(reader) {
        Ok(()) => {}
        Err(WireError::Gone(_)) => return "ended before the version exchange",
        Err(WireError::Version(_) | WireError::Length(_) | WireError::Malformed(_)) => {
            return "protocol version mismatch: install both programs from one package";
        }
    }
    loop {
        match framing::read_frame::<FromDevice>(reader) {
            Ok(frame) => {
                if sender.send(Mail::Frame { generation, frame }).is_err() {
                    return "supervisor has ended";
                }
            }
            Err(WireError::Gone(_)) => return "socket closed",
            Err(WireError::Length(_) | WireError::Malformed(_) | WireError::Version(_)) => {
                return "malformed frame";
            }
        }
    }
}
