//! The net thread: sends requests to the platform and delivers the answers to the engine.
//!
//! One thread, one tokio runtime, one HTTP client. Each request is sent once: only the kiosk and the uplink decide
//! whether and when to send it again, because only they know the consequences (I1). Requests are bounded in number,
//! time and size. Knows no service and stores no answer.

mod client;
#[cfg(test)]
mod test_authority;
#[cfg(test)]
mod tests;
mod tls;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::thread;

use engine::ExchangeTiming;
use engine::platform_api::{OutgoingRequest, RequestKind};
use session::{Failure, Ticket};
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinSet};

pub(crate) use client::PlatformClient;
pub(crate) use tls::TlsCredentials;

use crate::clock;
use crate::inbox::InboxSender;
use crate::message::EngineMessage;

/// Requests in flight and waiting, at most. The kiosk sends one request per open order, so this many never occur.
pub(crate) const REQUESTS_MAX: usize = 256;
/// Commands that may wait for the thread.
const QUEUE_MAX: usize = 64;
/// Inquiries in flight at a time: after a long time offline there may be many, and work of a visit has priority.
const INQUIRIES_MAX: usize = 4;

/// Command of the engine to the net thread.
pub(crate) enum NetCommand {
    /// Sends this request once.
    Send(OutgoingRequest),
    /// Cancels the request with this ticket.
    Cancel(Ticket),
}

/// The engine's handle of the net thread; dropping it ends the thread.
pub(crate) struct Net {
    commands: mpsc::Sender<NetCommand>,
}

impl Net {
    /// Starts the thread. `inbox` needs a quota of [`REQUESTS_MAX`]. SIGTERM and SIGINT are sent to `stop`.
    pub(crate) fn start(
        platform: PlatformClient,
        inbox: InboxSender<EngineMessage>,
        stop: InboxSender<EngineMessage>,
    ) -> io::Result<Self> {
        let (commands, queue) = mpsc::channel(QUEUE_MAX);
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name("net".to_owned()).spawn(move || {
            runtime.block_on(async {
                let signals = tokio::spawn(forward_signals(stop));
                RequestPool::new(platform, inbox).serve(queue).await;
                signals.abort();
            });
        })?;
        Ok(Self { commands })
    }

    /// Queues a command. When the queue is full or closed, the failure is returned at once.
    pub(crate) fn send(&self, command: NetCommand) -> Option<EngineMessage> {
        match self.commands.try_send(command) {
            Ok(()) => None,
            Err(mpsc::error::TrySendError::Full(command) | mpsc::error::TrySendError::Closed(command)) => {
                unsent_answer(&command)
            }
        }
    }
}

/// The answer to a request that was never sent.
fn unsent_answer(command: &NetCommand) -> Option<EngineMessage> {
    match command {
        NetCommand::Send(request) => {
            let now = clock::wall_time();
            let timing = ExchangeTiming { sent: now, received: now };
            Some(EngineMessage::Input(request.kind.failure_event(timing, Failure::Unreachable)))
        }
        NetCommand::Cancel(_) => None,
    }
}

/// The asynchronous side: one task per request.
struct RequestPool {
    platform: Arc<PlatformClient>,
    inbox: InboxSender<EngineMessage>,
    inquiries: Arc<Semaphore>,
    tasks: JoinSet<()>,
    /// Tasks that can be cancelled.
    cancellable: BTreeMap<Ticket, AbortHandle>,
}

impl RequestPool {
    fn new(platform: PlatformClient, inbox: InboxSender<EngineMessage>) -> Self {
        Self {
            platform: Arc::new(platform),
            inbox,
            inquiries: Arc::new(Semaphore::new(INQUIRIES_MAX)),
            tasks: JoinSet::new(),
            cancellable: BTreeMap::new(),
        }
    }

    async fn serve(mut self, mut queue: mpsc::Receiver<NetCommand>) {
        loop {
            tokio::select! {
                command = queue.recv() => match command {
                    Some(command) => self.start_request(command),
                    None => return,
                },
                Some(_) = self.tasks.join_next() => {
                    self.cancellable.retain(|_, task| !task.is_finished());
                }
            }
        }
    }

    fn start_request(&mut self, command: NetCommand) {
        let request = match command {
            NetCommand::Cancel(ticket) => {
                if let Some(task) = self.cancellable.remove(&ticket) {
                    task.abort();
                }
                return;
            }
            NetCommand::Send(request) if self.tasks.len() >= REQUESTS_MAX => {
                if let Some(message) = unsent_answer(&NetCommand::Send(request)) {
                    deliver(&self.inbox, message);
                }
                return;
            }
            NetCommand::Send(request) => request,
        };
        let kind = request.kind;
        let (platform, inbox) = (Arc::clone(&self.platform), self.inbox.clone());
        let inquiries = Arc::clone(&self.inquiries);
        let task = self.tasks.spawn(async move {
            // The semaphore is never closed; without a permit, only more inquiries would run at a time.
            let _permit = match kind {
                RequestKind::Inquire(_) => inquiries.acquire().await.ok(),
                RequestKind::Identify(_)
                | RequestKind::Evidence(_)
                | RequestKind::Authenticate(_)
                | RequestKind::Call(_)
                | RequestKind::Charge(_)
                | RequestKind::Records
                | RequestKind::Changes
                | RequestKind::UnreportedOrders => None,
            };
            deliver(&inbox, EngineMessage::Input(platform.execute(request).await));
        });
        if let RequestKind::Identify(ticket)
        | RequestKind::Evidence(ticket)
        | RequestKind::Authenticate(ticket)
        | RequestKind::Call(ticket) = kind
        {
            self.cancellable.insert(ticket, task);
        }
    }
}

/// Delivers a message to the engine. The quota covers every request, so this never blocks the thread.
fn deliver(inbox: &InboxSender<EngineMessage>, message: EngineMessage) {
    if let Err(error) = inbox.send(message) {
        tracing::debug!(%error, "answer dropped: the engine has stopped");
    }
}

async fn forward_signals(stop: InboxSender<EngineMessage>) {
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
    deliver(&stop, EngineMessage::Stop);
}
