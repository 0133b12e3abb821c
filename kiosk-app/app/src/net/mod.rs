//! The net thread: carries requests to the platform and answers to the engine.
//!
//! One thread, one tokio runtime, one HTTP client. Every request is made once: whether and when something
//! is asked again is decided by the kiosk and the uplink, which know what it would mean. Requests are
//! bounded in number, time and size. Knows no service and keeps nothing of an answer.

#[cfg(test)]
mod authority;
mod client;
#[cfg(test)]
mod tests;
mod tls;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::thread;

use engine::Exchange;
use engine::wire::{Asked, Request};
use session::{Failure, Ticket};
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinSet};

pub(crate) use client::Platform;
pub(crate) use tls::Credentials;

use crate::clock;
use crate::inbox::Port;
use crate::message::Message;

/// Errands under way and waiting. The kiosk asks once per open order, so this many never come up.
pub(crate) const ERRANDS_MAX: usize = 256;
/// Errands that may wait for the thread to look at them.
const QUEUE_MAX: usize = 64;
/// Inquiries at a time: after a long time offline there may be many, and a resident's work comes first.
const INQUIRIES_MAX: usize = 4;

/// What the engine wants from the platform.
pub(crate) enum Errand {
    /// To be asked once.
    Ask(Request),
    /// The work is no longer wanted.
    Cancel(Ticket),
}

/// The engine's handle on the net thread, which ends with it.
pub(crate) struct Net {
    errands: mpsc::Sender<Errand>,
}

impl Net {
    /// Starts the thread. `port` needs a quota of [`ERRANDS_MAX`]. SIGTERM and SIGINT are told on `stop`.
    pub(crate) fn start(platform: Platform, port: Port<Message>, stop: Port<Message>) -> io::Result<Self> {
        let (errands, queue) = mpsc::channel(QUEUE_MAX);
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name("net".to_owned()).spawn(move || {
            runtime.block_on(async {
                let signals = tokio::spawn(tell_signals(stop));
                Desk::new(platform, port).serve(queue).await;
                signals.abort();
            });
        })?;
        Ok(Self { errands })
    }

    /// Sends an errand out. When it cannot be taken, what came of it comes back at once.
    pub(crate) fn send(&self, errand: Errand) -> Option<Message> {
        match self.errands.try_send(errand) {
            Ok(()) => None,
            Err(mpsc::error::TrySendError::Full(errand) | mpsc::error::TrySendError::Closed(errand)) => {
                unsent(&errand)
            }
        }
    }
}

/// What came of an errand that never left.
fn unsent(errand: &Errand) -> Option<Message> {
    match errand {
        Errand::Ask(request) => {
            let now = clock::wall();
            let exchange = Exchange { sent: now, received: now };
            Some(Message::Happened(request.asked.failed(exchange, Failure::Unreachable)))
        }
        Errand::Cancel(_) => None,
    }
}

/// The asynchronous side: one task per errand.
struct Desk {
    platform: Arc<Platform>,
    port: Port<Message>,
    inquiries: Arc<Semaphore>,
    tasks: JoinSet<()>,
    /// Work that can be cancelled.
    work: BTreeMap<Ticket, AbortHandle>,
}

impl Desk {
    fn new(platform: Platform, port: Port<Message>) -> Self {
        Self {
            platform: Arc::new(platform),
            port,
            inquiries: Arc::new(Semaphore::new(INQUIRIES_MAX)),
            tasks: JoinSet::new(),
            work: BTreeMap::new(),
        }
    }

    async fn serve(mut self, mut queue: mpsc::Receiver<Errand>) {
        loop {
            tokio::select! {
                errand = queue.recv() => match errand {
                    Some(errand) => self.begin(errand),
                    None => return,
                },
                Some(_) = self.tasks.join_next() => {
                    self.work.retain(|_, task| !task.is_finished());
                }
            }
        }
    }

    fn begin(&mut self, errand: Errand) {
        let request = match errand {
            Errand::Cancel(ticket) => {
                if let Some(task) = self.work.remove(&ticket) {
                    task.abort();
                }
                return;
            }
            Errand::Ask(request) if self.tasks.len() >= ERRANDS_MAX => {
                if let Some(message) = unsent(&Errand::Ask(request)) {
                    tell(&self.port, message);
                }
                return;
            }
            Errand::Ask(request) => request,
        };
        let asked = request.asked;
        let (platform, port) = (Arc::clone(&self.platform), self.port.clone());
        let inquiries = Arc::clone(&self.inquiries);
        let task = self.tasks.spawn(async move {
            // The semaphore is never closed; a permit that is none would only let more run at a time.
            let _turn = match asked {
                Asked::Inquire(_) => inquiries.acquire().await.ok(),
                Asked::Identify(_)
                | Asked::Prove(_)
                | Asked::Authenticate(_)
                | Asked::Call(_)
                | Asked::Charge(_)
                | Asked::Records
                | Asked::Changes => None,
            };
            tell(&port, Message::Happened(platform.carry(request).await));
        });
        if let Asked::Identify(ticket)
        | Asked::Prove(ticket)
        | Asked::Authenticate(ticket)
        | Asked::Call(ticket) = asked
        {
            self.work.insert(ticket, task);
        }
    }
}

/// The port has room for every errand, so this never holds the thread up.
fn tell(port: &Port<Message>, message: Message) {
    if let Err(error) = port.post(message) {
        tracing::debug!(%error, "an answer came too late");
    }
}

async fn tell_signals(stop: Port<Message>) {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::warn!("signals cannot be watched: the kiosk will end without saying so");
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tell(&stop, Message::Stop);
}
