//! What every driver here works at: orders come in, events and answers go out.

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
use device::wire::{Answer, Event, Fault, FromDevice, Health, Ticket, ToDevice, Work};

/// A ping is answered when the driver was alive this recently.
const FRESH: Duration = Duration::from_secs(2);
/// Orders and messages that may wait; the kiosk has one order out at a time.
const WAITING_MAX: usize = 64;
/// Longest single wait for an order.
const SLICE: Duration = Duration::from_millis(200);

/// The driver's side of the wire.
pub(crate) struct Desk {
    orders: Receiver<(Ticket, Work)>,
    out: SyncSender<FromDevice>,
    beat: Arc<Beat>,
    health: Cell<Option<Health>>,
}

/// When the driver was last seen alive.
struct Beat {
    start: Instant,
    at_ms: AtomicU64,
}

impl Beat {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn is_fresh(&self) -> bool {
        let age_ms = self.now_ms().saturating_sub(self.at_ms.load(Ordering::Relaxed));
        Duration::from_millis(age_ms) <= FRESH
    }
}

/// The kiosk is gone: the driver ends.
pub(crate) struct Gone;

impl Desk {
    /// Starts the threads that read and write the socket.
    pub(crate) fn start(socket: UnixStream) -> io::Result<Self> {
        let (order_in, orders) = sync_channel(WAITING_MAX);
        let (out, messages) = sync_channel(WAITING_MAX);
        let beat = Arc::new(Beat { start: Instant::now(), at_ms: AtomicU64::new(0) });
        let mut writer = socket.try_clone()?;
        thread::Builder::new().name("wire-out".into()).spawn(move || {
            for message in messages {
                if let Err(error) = write_frame(&mut writer, &message) {
                    leave(&error);
                }
            }
        })?;
        let (replies, pulse) = (out.clone(), Arc::clone(&beat));
        thread::Builder::new().name("wire-in".into()).spawn(move || {
            let mut reader = socket;
            loop {
                match read_frame(&mut reader) {
                    Ok(message) => sort(message, &order_in, &replies, &pulse),
                    Err(error) => leave(&error),
                }
            }
        })?;
        Ok(Self { orders, out, beat, health: Cell::new(None) })
    }

    /// The driver is alive.
    pub(crate) fn beat(&self) {
        self.beat.at_ms.store(self.beat.now_ms(), Ordering::Relaxed);
    }

    /// The next order, waited for at most so long, and no longer than a slice.
    pub(crate) fn order(&self, patience: Duration) -> Result<Option<(Ticket, Work)>, Gone> {
        self.beat();
        let order = match self.orders.recv_timeout(patience.min(SLICE)) {
            Ok(order) => Some(order),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return Err(Gone),
        };
        self.beat();
        Ok(order)
    }

    /// Refuses every order for so long; used while the device is away.
    pub(crate) fn away(&self, pause: Duration) -> Result<(), Gone> {
        let until = Instant::now() + pause;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if let Some((ticket, _)) = self.order(left)? {
                self.answer(ticket, Err(Fault::Unavailable))?;
            } else if left.is_zero() {
                return Ok(());
            }
        }
    }

    pub(crate) fn answer(&self, ticket: Ticket, answer: Result<Answer, Fault>) -> Result<(), Gone> {
        self.send(FromDevice::Answer(ticket, answer))
    }

    pub(crate) fn event(&self, event: Event) -> Result<(), Gone> {
        self.send(FromDevice::Event(event))
    }

    /// Says how the device is, when that changed.
    pub(crate) fn health(&self, health: Health) -> Result<(), Gone> {
        if self.health.replace(Some(health)) == Some(health) {
            return Ok(());
        }
        tracing::info!(?health, "the device's state");
        self.send(FromDevice::Health(health))
    }

    fn send(&self, message: FromDevice) -> Result<(), Gone> {
        self.out.send(message).map_err(|_| Gone)
    }
}

/// Puts a message where it belongs. A channel that has ended means that the process is about to.
fn sort(
    message: ToDevice,
    orders: &SyncSender<(Ticket, Work)>,
    replies: &SyncSender<FromDevice>,
    beat: &Beat,
) {
    let reply = match message {
        ToDevice::Do(ticket, work) => match orders.try_send((ticket, work)) {
            Ok(()) | Err(TrySendError::Disconnected(_)) => None,
            Err(TrySendError::Full(_)) => Some(FromDevice::Answer(ticket, Err(Fault::Busy))),
        },
        ToDevice::Ping(number) => beat.is_fresh().then_some(FromDevice::Pong(number)),
        // No driver here does work that could be broken off half way, and the device is open already.
        ToDevice::Cancel(_) | ToDevice::Open(_) => None,
    };
    if let Some(reply) = reply
        && replies.send(reply).is_err()
    {
        tracing::debug!("a reply found the wire closed");
    }
}

/// Ends the process: a driver that hangs in C could not be told.
fn leave(error: &WireError) -> ! {
    match error {
        WireError::Gone(_) => {
            tracing::info!("the kiosk closed the wire");
            process::exit(0)
        }
        WireError::Length(_) | WireError::Malformed(_) | WireError::Version(_) => {
            tracing::error!(error = error as &dyn std::error::Error, "the wire cannot be used any more");
            process::exit(1)
        }
    }
}
