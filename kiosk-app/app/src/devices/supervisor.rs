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
use device::wire::{DeviceConfig, DeviceWork, FromDevice, Signal, ToDevice};
use session::{DeviceKind, DeviceState, Event, Failure, FaultReason, PrintResult, Ticket, WorkAnswer};
use zeroize::Zeroizing;

use super::heartbeat::{Heartbeat, HeartbeatTimeouts, RestartBackoff};
use super::mapping::{self, Delivery};
use super::metrics::DeviceMetrics;
use super::spawn::{DeviceProcess, SpawnDevice, SpawnedDevice};
use crate::inbox::{InboxClosed, InboxSender};
use crate::message::EngineMessage;

/// Requests and frames that may wait for the supervisor.
const MESSAGES_MAX: usize = 32;
/// Write timeout of the socket in milliseconds: a device process that reads no bytes for this long hangs.
const WRITE_MS: u64 = 500;
/// Killed processes that are not reaped yet, at most. With so many, starting another would not help.
const UNREAPED_MAX: usize = 4;
/// Waiting for the engine for longer than this is not counted against the heartbeat timeout.
const ENGINE_WAIT_MIN: Duration = Duration::from_millis(50);

/// Request of the engine to a device.
pub(crate) enum DeviceRequest {
    /// The card verifies this PIN (VERIFY).
    Pin(Ticket, Zeroizing<Vec<u8>>),
    /// The card replaces its PIN: the old one, then the new one.
    ChangePin(Ticket, Zeroizing<Vec<u8>>, Zeroizing<Vec<u8>>),
    /// The reader continues with the card that waits for its authentication; without an answer it gives up.
    Authenticate(Ticket, Option<card::AuthAnswer>),
    /// The printer prints a receipt or an A4 document.
    Print(ReceiptId, Box<DeviceWork>),
    /// The signal lamp shows this. There is no answer.
    Signal(Signal),
}

/// The engine's handle of a supervisor.
pub(crate) struct Supervisor {
    messages: SyncSender<SupervisorMessage>,
    thread: Option<JoinHandle<()>>,
}

enum SupervisorMessage {
    Request(DeviceRequest),
    Frame { generation: u64, frame: FromDevice },
    Lost { generation: u64, why: &'static str },
    Stop,
}

/// Work that the device has not answered yet, by its number in the device protocol.
enum PendingWork {
    Pin(Ticket),
    Authenticate(Ticket),
    Print(ReceiptId),
}

/// The supervisor ends: by request, or because the inbox of the engine is closed.
struct SupervisorStopped;

impl From<InboxClosed> for SupervisorStopped {
    fn from(_: InboxClosed) -> Self {
        Self
    }
}

/// Configuration of a supervisor.
pub(crate) struct SupervisorConfig {
    pub(crate) device: DeviceKind,
    pub(crate) device_config: DeviceConfig,
    pub(crate) spawner: Box<dyn SpawnDevice>,
    pub(crate) timeouts: HeartbeatTimeouts,
    pub(crate) inbox: InboxSender<EngineMessage>,
}

impl Supervisor {
    /// Starts the supervisor thread, which starts the process.
    pub(crate) fn start(config: SupervisorConfig) -> io::Result<Self> {
        let (sender, messages) = mpsc::sync_channel(MESSAGES_MAX);
        let to_self = sender.clone();
        let thread = thread::Builder::new().name(format!("keep-{:?}", config.device)).spawn(move || {
            let mut supervisor = SupervisorLoop {
                config,
                messages,
                sender: to_self,
                backoff: RestartBackoff::default(),
                generation: 0,
                last_work_id: 0,
                pending: BTreeMap::new(),
                unreaped: Vec::new(),
                metrics: DeviceMetrics::default(),
            };
            let SupervisorStopped = supervisor.run();
            tracing::info!(device = ?supervisor.config.device, counted = %supervisor.metrics, "device supervisor stopped");
        })?;
        Ok(Self { messages: sender, thread: Some(thread) })
    }

    /// Queues a request for the device. When the queue is full or closed, the event that reports it is returned.
    pub(crate) fn request(&self, request: DeviceRequest) -> Option<Event> {
        match self.messages.try_send(SupervisorMessage::Request(request)) {
            Ok(()) => None,
            Err(TrySendError::Full(message) | TrySendError::Disconnected(message)) => match message {
                SupervisorMessage::Request(request) => not_started_event(request),
                SupervisorMessage::Frame { .. }
                | SupervisorMessage::Lost { .. }
                | SupervisorMessage::Stop => None,
            },
        }
    }
}

impl Drop for Supervisor {
    /// Ends the process and the thread.
    fn drop(&mut self) {
        // An error means that the thread has ended already.
        if self.messages.send(SupervisorMessage::Stop).is_ok()
            && let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!("device supervisor thread panicked");
        }
    }
}

/// The event that answers a request which never reached the device.
fn not_started_event(request: DeviceRequest) -> Option<Event> {
    match request {
        DeviceRequest::Pin(ticket, _)
        | DeviceRequest::ChangePin(ticket, ..)
        | DeviceRequest::Authenticate(ticket, _) => {
            Some(Event::WorkAnswered(ticket, Err(Failure::DeviceFailed)))
        }
        DeviceRequest::Print(receipt, _) => Some(Event::PrintFinished(receipt, PrintResult::NotStarted)),
        DeviceRequest::Signal(_) => None,
    }
}

/// State of the supervisor thread.
struct SupervisorLoop {
    config: SupervisorConfig,
    messages: Receiver<SupervisorMessage>,
    sender: SyncSender<SupervisorMessage>,
    backoff: RestartBackoff,
    /// Number of the running process, from 1.
    generation: u64,
    last_work_id: u64,
    pending: BTreeMap<u64, PendingWork>,
    unreaped: Vec<Box<dyn DeviceProcess>>,
    metrics: DeviceMetrics,
}

/// The running process.
struct RunningProcess {
    stream: UnixStream,
    heartbeat: Heartbeat,
}

impl SupervisorLoop {
    fn run(&mut self) -> SupervisorStopped {
        loop {
            self.unreaped.retain_mut(|process| !process.try_reap());
            let lived = if self.unreaped.len() < UNREAPED_MAX {
                match self.run_once() {
                    Ok(lived) => lived,
                    Err(stopped) => return stopped,
                }
            } else {
                Duration::ZERO
            };
            let pause = self.backoff.next_pause(lived, &self.config.timeouts);
            if let Err(stopped) = self.backoff_wait(Instant::now() + pause) {
                return stopped;
            }
        }
    }

    /// Runs one process from its start to its end. Returns how long it lived.
    fn run_once(&mut self) -> Result<Duration, SupervisorStopped> {
        self.generation += 1;
        let device = self.config.device;
        let SpawnedDevice { stream, mut process } = match self.config.spawner.spawn() {
            Ok(launched) => launched,
            Err(error) => {
                tracing::warn!(?device, %error, "cannot start device process");
                self.emit(Event::DeviceStateChanged(device, DeviceState::Faulty(FaultReason::Unavailable)))?;
                return Ok(Duration::ZERO);
            }
        };
        let born = Instant::now();
        let ended = self.serve(&stream, born);
        // Both ends must close: a process that hangs is killed, and the reader thread sees the end of the stream.
        process.kill();
        if let Err(error) = stream.shutdown(Shutdown::Both) {
            tracing::trace!(%error, "device socket was already closed");
        }
        self.unreaped.push(process);
        let lived = born.elapsed();
        let why = ended?;
        self.metrics.on_process_lost();
        let (generation, counted) = (self.generation, self.metrics);
        tracing::warn!(?device, generation, ?lived, why, %counted, "device process lost, will be restarted");
        self.fail_pending()?;
        Ok(lived)
    }

    /// Exchanges frames with the process until it is lost or its heartbeat times out. Returns the reason.
    fn serve(&mut self, stream: &UnixStream, born: Instant) -> Result<&'static str, SupervisorStopped> {
        let opened = self.open(stream);
        let Ok(stream) = opened else { return Ok("opening the device protocol failed") };
        let mut process = RunningProcess { stream, heartbeat: Heartbeat::new(born) };
        loop {
            let now = Instant::now();
            if now >= process.heartbeat.deadline(&self.config.timeouts) {
                return Ok("heartbeat timeout");
            }
            if let Some(number) = process.heartbeat.ping(now, &self.config.timeouts)
                && framing::write_frame(&mut process.stream, &ToDevice::Ping(number)).is_err()
            {
                return Ok("sending a ping failed");
            }
            let wake = process.heartbeat.next_wake(&self.config.timeouts);
            match self.messages.recv_timeout(wake.saturating_duration_since(now)) {
                Ok(SupervisorMessage::Request(request)) => {
                    if self.forward_request(&mut process, request).is_err() {
                        return Ok("sending work failed");
                    }
                }
                Ok(SupervisorMessage::Frame { generation, frame }) if generation == self.generation => {
                    self.on_frame(&mut process, frame)?;
                }
                Ok(SupervisorMessage::Lost { generation, why }) if generation == self.generation => {
                    return Ok(why);
                }
                Ok(SupervisorMessage::Frame { .. } | SupervisorMessage::Lost { .. })
                | Err(RecvTimeoutError::Timeout) => {}
                Ok(SupervisorMessage::Stop) | Err(RecvTimeoutError::Disconnected) => {
                    return Err(SupervisorStopped);
                }
            }
        }
    }

    /// Exchanges protocol versions, sends the device's configuration, and starts the reader thread.
    fn open(&self, stream: &UnixStream) -> Result<UnixStream, WireError> {
        let mut writer = stream.try_clone().map_err(WireError::Disconnected)?;
        let mut reader = stream.try_clone().map_err(WireError::Disconnected)?;
        writer.set_write_timeout(Some(Duration::from_millis(WRITE_MS))).map_err(WireError::Disconnected)?;
        framing::write_version(&mut writer)?;
        framing::write_frame(&mut writer, &ToDevice::Open(self.config.device_config.clone()))?;
        let (sender, generation) = (self.sender.clone(), self.generation);
        let listening = thread::Builder::new().name("device-reader".to_owned()).spawn(move || {
            let why = read_frames(&mut reader, &sender, generation);
            // An error means that the supervisor has ended.
            let _ = sender.send(SupervisorMessage::Lost { generation, why });
        });
        listening.map(|_| writer).map_err(WireError::Disconnected)
    }

    fn forward_request(
        &mut self,
        process: &mut RunningProcess,
        request: DeviceRequest,
    ) -> Result<(), WireError> {
        let (job, work) = match request {
            DeviceRequest::Pin(ticket, digits) => (PendingWork::Pin(ticket), DeviceWork::VerifyPin(digits)),
            DeviceRequest::ChangePin(ticket, old, new) => {
                (PendingWork::Pin(ticket), DeviceWork::ChangePin { old, new })
            }
            DeviceRequest::Authenticate(ticket, answer) => {
                (PendingWork::Authenticate(ticket), DeviceWork::Authenticate(answer))
            }
            DeviceRequest::Print(receipt, content) => (PendingWork::Print(receipt), *content),
            DeviceRequest::Signal(signal) => {
                self.last_work_id += 1;
                let frame = ToDevice::Request(self.last_work_id, DeviceWork::ShowSignal(signal));
                return framing::write_frame(&mut process.stream, &frame);
            }
        };
        self.last_work_id += 1;
        // Before the first byte is sent: half a frame may be enough for half a receipt (I6).
        self.pending.insert(self.last_work_id, job);
        framing::write_frame(&mut process.stream, &ToDevice::Request(self.last_work_id, work))
    }

    fn on_frame(&mut self, process: &mut RunningProcess, frame: FromDevice) -> Result<(), SupervisorStopped> {
        self.metrics.on_frame(&frame);
        let delivery = match frame {
            FromDevice::Pong(number) => {
                process.heartbeat.pong(number, Instant::now());
                None
            }
            FromDevice::Health(health) => Some(Delivery::Required(Event::DeviceStateChanged(
                self.config.device,
                mapping::session_health(health),
            ))),
            FromDevice::Event(event) => mapping::session_event(event),
            FromDevice::Answer(number, answer) => self.pending.remove(&number).and_then(|job| {
                Some(Delivery::Required(match job {
                    PendingWork::Pin(ticket) => {
                        Event::WorkAnswered(ticket, mapping::pin_result(answer).map(WorkAnswer::Pin))
                    }
                    PendingWork::Authenticate(ticket) => {
                        Event::WorkAnswered(ticket, Err(mapping::authentication_failure(&answer)?))
                    }
                    PendingWork::Print(receipt) => {
                        Event::PrintFinished(receipt, mapping::print_result(answer))
                    }
                }))
            }),
        };
        let offered = Instant::now();
        match delivery {
            Some(Delivery::Required(event)) => self.emit(event)?,
            Some(Delivery::Droppable(event)) => {
                self.config.inbox.try_send(event.into())?;
            }
            None => {}
        }
        let waited = offered.elapsed();
        if waited > ENGINE_WAIT_MIN {
            process.heartbeat.extend(waited);
        }
        Ok(())
    }

    fn emit(&self, event: Event) -> Result<(), SupervisorStopped> {
        Ok(self.config.inbox.send(event.into())?)
    }

    /// The process is lost: answers all pending work and reports the device as failed.
    fn fail_pending(&mut self) -> Result<(), SupervisorStopped> {
        for (_, job) in std::mem::take(&mut self.pending) {
            self.emit(match job {
                PendingWork::Pin(ticket) | PendingWork::Authenticate(ticket) => {
                    Event::WorkAnswered(ticket, Err(Failure::DeviceFailed))
                }
                PendingWork::Print(receipt) => Event::PrintFinished(receipt, PrintResult::Unconfirmed),
            })?;
        }
        self.emit(Event::DeviceStateChanged(
            self.config.device,
            DeviceState::Faulty(FaultReason::Unavailable),
        ))
    }

    /// Waits before the next start. Requests that arrive meanwhile are answered at once as not started.
    fn backoff_wait(&mut self, until: Instant) -> Result<(), SupervisorStopped> {
        loop {
            match self.messages.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(SupervisorMessage::Request(request)) => {
                    if let Some(event) = not_started_event(request) {
                        self.emit(event)?;
                    }
                }
                Ok(SupervisorMessage::Frame { .. } | SupervisorMessage::Lost { .. }) => {}
                Ok(SupervisorMessage::Stop) | Err(RecvTimeoutError::Disconnected) => {
                    return Err(SupervisorStopped);
                }
                Err(RecvTimeoutError::Timeout) => return Ok(()),
            }
        }
    }
}

/// Reads frames until the stream ends or is invalid. Returns the reason.
fn read_frames(
    reader: &mut UnixStream,
    sender: &SyncSender<SupervisorMessage>,
    generation: u64,
) -> &'static str {
    match framing::read_version(reader) {
        Ok(()) => {}
        Err(WireError::Disconnected(_)) => return "ended before the version exchange",
        Err(WireError::Version(_) | WireError::Length(_) | WireError::Malformed(_)) => {
            return "protocol version mismatch: install both programs from one package";
        }
    }
    loop {
        match framing::read_frame::<FromDevice>(reader) {
            Ok(frame) => {
                if sender.send(SupervisorMessage::Frame { generation, frame }).is_err() {
                    return "supervisor has ended";
                }
            }
            Err(WireError::Disconnected(_)) => return "socket closed",
            Err(WireError::Length(_) | WireError::Malformed(_) | WireError::Version(_)) => {
                return "malformed frame";
            }
        }
    }
}
