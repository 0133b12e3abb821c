//! The net thread: sends requests to the platform and delivers the answers to the engine.
//!
//! One thread, one tokio runtime, one HTTP client. Each request is sent once: only the kiosk and the uplink decide
//! whether and when to send it again, because only they know the consequences (I1). Requests are bounded in number,
//! time and size. Knows no service and stores no answer.

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

/// Requests in flight and waiting, at most. The kiosk sends one request per open order, so this many never occur.
pub(crate) const ERRANDS_MAX: usize = 256;
/// Commands that may wait for the thread.
const QUEUE_MAX: usize = 64;
/// Inquiries in flight at a time: after a long time offline there may be many, and work of a visit has priority.
const INQUIRIES_MAX: usize = 4;

/// Command of the engine to the net thread.
pub(crate) enum Errand {
    /// Sends this request once.
    Ask(Request),
    /// Cancels the request with this ticket.
    Cancel(Ticket),
}

/// The engine's handle of the net thread; dropping it ends the thread.
pub(crate) struct Net {
    errands: mpsc::Sender<Errand>,
}

impl Net {
    /// Starts the thread. `inbox` needs a quota of [`REQUESTS_MAX`]. SIGTERM and SIGINT are sent to `stop`.
    pub(crate) fn start(platform: Platform, inbox: Port<Message>, stop: Port<Message>) -> io::Result<Self> {
        let (commands, queue) = mpsc::channel(QUEUE_MAX);
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name("net".to_owned()).spawn(move || {
            runtime.block_on(async {
                let signals = tokio::spawn(tell_signals(stop));
                Desk::new(platform, inbox).serve(queue).await;
                signals.abort();
            });
        })?;
        Ok(Self { errands: commands })
    }

    /// Queues a command. When the queue is full or closed, the failure is returned at once.
    pub(crate) fn send(&self, command: Errand) -> Option<Message> {
        match self.errands.try_send(command) {
            Ok(()) => None,
            Err(mpsc::error::TrySendError::Full(command) | mpsc::error::TrySendError::Closed(command)) => {
                unsent(&command)
            }
        }
    }
}

/// The answer to a request that was never sent.
fn unsent(command: &Errand) -> Option<Message> {
    match command {
        Errand::Ask(request) => {
            let now = clock::wall();
            let timing = Exchange { sent: now, received: now };
            Some(Message::Happened(request.asked.failed(timing, Failure::Unreachable)))
        }
        Errand::Cancel(_) => None,
    }
}

/// The asynchronous side: one task per request.
struct Desk {
    platform: Arc<Platform>,
    port: Port<Message>,
    inquiries: Arc<Semaphore>,
    tasks: JoinSet<()>,
    /// Tasks that can be cancelled.
    work: BTreeMap<Ticket, AbortHandle>,
}

impl Desk {
    fn new(platform: Platform, inbox: Port<Message>) -> Self {
        Self {
            platform: Arc::new(platform),
            port: inbox,
            inquiries: Arc::new(Semaphore::new(INQUIRIES_MAX)),
            tasks: JoinSet::new(),
            work: BTreeMap::new(),
        }
    }

    async fn serve(mut self, mut queue: mpsc::Receiver<Errand>) {
        loop {
            tokio::select! {
                command = queue.recv() => match command {
                    Some(command) => self.begin(command),
                    None => return,
                },
                Some(_) = self.tasks.join_next() => {
                    self.work.retain(|_, task| !task.is_finished());
                }
            }
        }
    }

    fn begin(&mut self, command: Errand) {
        let request = match command {
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
        let kind = request.asked;
        let (platform, inbox) = (Arc::clone(&self.platform), self.port.clone());
        let inquiries = Arc::clone(&self.inquiries);
        let task = self.tasks.spawn(async move {
            // The semaphore is never closed; without a permit, only more inquiries would run at a time.
            let _permit = match kind {
                Asked::Inquire(_) => inquiries.acquire().await.ok(),
                Asked::Identify(_)
                | Asked::Prove(_)
                | Asked::Authenticate(_)
                | Asked::Call(_)
                | Asked::Charge(_)
                | Asked::Records
                | Asked::Changes => None,
            };
            tell(&inbox, Message::Happened(platform.carry(request).await));
        });
        if let Asked::Identify(ticket)
        | Asked::Prove(ticket)
        | Asked::Authenticate(ticket)
        | Asked::Call(ticket) = kind
        {
            self.work.insert(ticket, task);
        }
    }
}

/// Delivers a message to the engine. The quota covers every request, so this never blocks the thread.
fn tell(inbox: &Port<Message>, message: Message) {
    if let Err(error) = inbox.post(message) {
        tracing::debug!(%error, "answer dropped: the engine has stopped");
    }
}

async fn tell_signals(stop: Port<Message>) {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::warn!(
            "cannot install signal handlers: SIGTERM and SIGINT will end the kiosk without a clean stop"
        );
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tell(&stop, Message::Stop);
}
