//! The device host: receives requests from the kiosk for the driver, sends the driver's events and answers to the kiosk,
//! and answers pings from the driver's heartbeat.

use std::cell::Cell;
use std::io;
use std::os::unix::net::UnixStream;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use device::framing::{WireError, read_frame, write_frame};
use device::wire::{
    DeviceAnswer, DeviceEvent, DeviceFault, DeviceHealth, DeviceWork, FromDevice, RequestId, ToDevice,
};

/// Greatest age of the driver's heartbeat at which a ping is still answered.
const HEARTBEAT_AGE_MAX: Duration = Duration::from_secs(2);
/// Capacity of each queue: requests to the driver, and messages to the kiosk. The kiosk has one unanswered request at
/// a time.
const QUEUE_MAX: usize = 64;
/// Longest single wait for a request, so that the heartbeat stays recent.
const WAIT_MAX: Duration = Duration::from_millis(200);

/// What a driver runs in: its queues to and from the kiosk, and its heartbeat.
pub(crate) struct DeviceHost {
    requests: Receiver<(RequestId, DeviceWork)>,
    message_sender: SyncSender<FromDevice>,
    heartbeat: Arc<DriverHeartbeat>,
    last_health: Cell<Option<DeviceHealth>>,
}

/// Time of the driver's last sign of life.
struct DriverHeartbeat {
    start: Instant,
    at_ms: AtomicU64,
}

impl DriverHeartbeat {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn is_recent(&self) -> bool {
        let age_ms = self.now_ms().saturating_sub(self.at_ms.load(Ordering::Relaxed));
        Duration::from_millis(age_ms) <= HEARTBEAT_AGE_MAX
    }
}

/// The kiosk closed the connection: the driver ends.
pub(crate) struct KioskDisconnected;

impl DeviceHost {
    /// Starts the threads that read and write the socket.
    pub(crate) fn start(socket: UnixStream) -> io::Result<Self> {
        let (request_sender, orders) = sync_channel(QUEUE_MAX);
        let (out, messages) = sync_channel(QUEUE_MAX);
        let beat = Arc::new(DriverHeartbeat { start: Instant::now(), at_ms: AtomicU64::new(0) });
        let mut writer = socket.try_clone()?;
        thread::Builder::new().name("wire-out".into()).spawn(move || {
            for message in messages {
                if let Err(error) = write_frame(&mut writer, &message) {
                    exit_process(&error);
                }
            }
        })?;
        let (replies, driver_heartbeat) = (out.clone(), Arc::clone(&beat));
        thread::Builder::new().name("wire-in".into()).spawn(move || {
            let mut reader = socket;
            loop {
                match read_frame(&mut reader) {
                    Ok(message) => dispatch(message, &request_sender, &replies, &driver_heartbeat),
                    Err(error) => exit_process(&error),
                }
            }
        })?;
        Ok(Self { requests: orders, message_sender: out, heartbeat: beat, last_health: Cell::new(None) })
    }

    /// Records that the driver is alive now.
    pub(crate) fn heartbeat(&self) {
        self.heartbeat.at_ms.store(self.heartbeat.now_ms(), Ordering::Relaxed);
    }

    /// Waits for the next request, at most `patience` and at most [`WAIT_MAX`].
    pub(crate) fn next_request(
        &self,
        patience: Duration,
    ) -> Result<Option<(RequestId, DeviceWork)>, KioskDisconnected> {
        self.heartbeat();
        let order = match self.requests.recv_timeout(patience.min(WAIT_MAX)) {
            Ok(order) => Some(order),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return Err(KioskDisconnected),
        };
        self.heartbeat();
        Ok(order)
    }

    /// Answers every request with [`DeviceFault::Unavailable`] for the length of `pause`; used while the device is not
    /// connected.
    pub(crate) fn refuse_requests(&self, pause: Duration) -> Result<(), KioskDisconnected> {
        let until = Instant::now() + pause;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if let Some((id, _)) = self.next_request(left)? {
                self.send_answer(id, Err(DeviceFault::Unavailable))?;
            } else if left.is_zero() {
                return Ok(());
            }
        }
    }

    pub(crate) fn send_answer(
        &self,
        id: RequestId,
        answer: Result<DeviceAnswer, DeviceFault>,
    ) -> Result<(), KioskDisconnected> {
        self.send(FromDevice::Answer(id, answer))
    }

    pub(crate) fn send_event(&self, event: DeviceEvent) -> Result<(), KioskDisconnected> {
        self.send(FromDevice::Event(event))
    }

    /// Sends the device's health to the kiosk if it differs from the health sent last.
    pub(crate) fn report_health(&self, health: DeviceHealth) -> Result<(), KioskDisconnected> {
        if self.last_health.replace(Some(health)) == Some(health) {
            return Ok(());
        }
        tracing::info!(?health, "device health changed");
        self.send(FromDevice::Health(health))
    }

    fn send(&self, message: FromDevice) -> Result<(), KioskDisconnected> {
        self.message_sender.send(message).map_err(|_| KioskDisconnected)
    }
}

/// Passes a message of the kiosk to the driver, or answers it here. A closed channel means that the process is about to
/// end.
fn dispatch(
    message: ToDevice,
    orders: &SyncSender<(RequestId, DeviceWork)>,
    replies: &SyncSender<FromDevice>,
    beat: &DriverHeartbeat,
) {
    let reply = match message {
        ToDevice::Request(id, work) => match orders.try_send((id, work)) {
            Ok(()) | Err(TrySendError::Disconnected(_)) => None,
            Err(TrySendError::Full(_)) => Some(FromDevice::Answer(id, Err(DeviceFault::Busy))),
        },
        ToDevice::Ping(number) => beat.is_recent().then_some(FromDevice::Pong(number)),
        // The device is open already.
        ToDevice::Open(_) => None,
    };
    if let Some(reply) = reply
        && replies.send(reply).is_err()
    {
        tracing::debug!("reply dropped: connection to the kiosk closed");
    }
}

/// Ends the process at once: a driver that hangs in C code could not be stopped in another way.
fn exit_process(error: &WireError) -> ! {
    match error {
        WireError::Disconnected(_) => {
            tracing::info!("kiosk closed the connection: device process ends");
            process::exit(0)
        }
        WireError::Length(_) | WireError::Malformed(_) | WireError::Version(_) => {
            tracing::error!(
                error = error as &dyn std::error::Error,
                "protocol error from the kiosk: device process ends"
            );
            process::exit(1)
        }
    }
}
