//! The platform over HTTP: sockets, clock, entropy, and the calls to the systems behind it.
//!
//! Nothing is decided here. A request runs in a task of its own, so that a kiosk that hangs up does not
//! leave an order half-way; what is lost all the same is found again by [`Platform::due`].

use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response as HttpResponse};
use contract::{ProblemCode, UnixMs};
use tokio::net::TcpListener;

use crate::platform::Platform;
use crate::wire::{OutAnswer, OutCall, Peer, Reply, Request, Response, Unreachable, Verb};

/// Largest request body in bytes.
const BODY_MAX: usize = 1024 * 1024;
/// Largest answer in bytes of a system behind the platform.
const ANSWER_MAX: usize = 1024 * 1024;
/// A system behind the platform that does not answer for this long does not answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(6);
/// How often the platform looks what is due.
const DUE_EVERY: Duration = Duration::from_millis(500);
/// Pages load nothing from elsewhere, whatever is filled into them.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                              connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'";

/// Where the systems behind the platform are.
#[derive(Clone, Debug)]
pub struct Peers {
    /// Base URL of the acquirer, without a slash at its end.
    pub acquirer: String,
    /// Base URL of the department, without a slash at its end.
    pub department: String,
}

struct Shell {
    platform: Mutex<Platform>,
    peers: Peers,
    client: reqwest::Client,
}

/// Why the shell cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ShellError {
    /// The HTTP client cannot be made.
    #[error("the HTTP client cannot be set up")]
    Client(#[source] reqwest::Error),
    /// The listener failed.
    #[error("the listener failed")]
    Listener(#[source] io::Error),
}

/// Serves until `stop` is ready and the requests in hand are answered.
///
/// # Errors
/// [`ShellError`].
pub async fn serve(
    listener: TcpListener,
    platform: Platform,
    peers: Peers,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ShellError> {
    let client = reqwest::Client::builder().timeout(ANSWER_TIMEOUT).build().map_err(ShellError::Client)?;
    let shell = Arc::new(Shell { platform: Mutex::new(platform), peers, client });
    let router =
        Router::new().fallback(answer).layer(DefaultBodyLimit::max(BODY_MAX)).with_state(Arc::clone(&shell));
    let due = tokio::spawn(keep_due(shell));
    let served = axum::serve(listener, router).with_graceful_shutdown(stop).await;
    due.abort();
    served.map_err(ShellError::Listener)
}

async fn answer(
    State(shell): State<Arc<Shell>>,
    method: Method,
    target: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> HttpResponse {
    let verb = match method {
        Method::GET => Verb::Get,
        Method::POST => Verb::Post,
        _ => return StatusCode::METHOD_NOT_ALLOWED.into_response(),
    };
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let request = Request {
        verb,
        target: target.path_and_query().map_or_else(String::new, ToString::to_string),
        device: text("x-device"),
        time: text("x-time"),
        signature: text("x-signature"),
        body: body.into(),
    };
    let task = tokio::spawn(async move {
        let reply = match entropy() {
            Some(entropy) => locked(&shell.platform).handle(&request, now(), entropy),
            None => unavailable(),
        };
        conclude(&shell, reply).await
    });
    let response = match task.await {
        Ok(response) => response,
        Err(_) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    };
    HttpResponse::builder()
        .status(response.status)
        .header(header::CONTENT_TYPE, response.content_type)
        .header(header::CACHE_CONTROL, "no-store")
        .header(header::CONTENT_SECURITY_POLICY, CONTENT_POLICY)
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .body(Body::from(response.body))
        .unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

/// Makes the calls that the platform asks for until it answers.
async fn conclude(shell: &Shell, mut reply: Reply) -> Response {
    loop {
        let call = match reply {
            Reply::Done(response) => return response,
            Reply::Ask(call) => call,
        };
        let result = send(shell, &call).await;
        reply = match entropy() {
            Some(entropy) => locked(&shell.platform).resume(&call, result, now(), entropy),
            None => unavailable(),
        };
    }
}

/// Makes the calls that the platform owes, for ever.
async fn keep_due(shell: Arc<Shell>) {
    let mut every = tokio::time::interval(DUE_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let calls = locked(&shell.platform).due(now());
        for call in calls {
            let shell = Arc::clone(&shell);
            tokio::spawn(async move { conclude(&shell, Reply::Ask(call)).await });
        }
    }
}

async fn send(shell: &Shell, call: &OutCall) -> Result<OutAnswer, Unreachable> {
    let base = match call.peer {
        Peer::Acquirer => &shell.peers.acquirer,
        Peer::Department => &shell.peers.department,
    };
    let request = shell
        .client
        .post(format!("{base}{}", call.target))
        .header(header::CONTENT_TYPE, "application/json")
        .body(call.body.clone());
    receive(request).await.map_err(|error| {
        // The URL is dropped: it names an order, and the peer says enough.
        tracing::warn!(peer = ?call.peer, error = %error.without_url(), "no answer");
        Unreachable
    })
}

async fn receive(request: reqwest::RequestBuilder) -> reqwest::Result<OutAnswer> {
    let mut response = request.send().await?;
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_MAX {
            // Far beyond any honest answer; what is cut cannot be read and counts as nonsense.
            break;
        }
    }
    Ok(OutAnswer { status, body })
}

fn unavailable() -> Reply {
    tracing::error!("the operating system gives no entropy");
    Reply::Done(Response::problem(&ProblemCode::Unavailable.because("no entropy")))
}

fn entropy() -> Option<u128> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(u128::from_ne_bytes(bytes))
}

fn now() -> UnixMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// What a poisoned lock guards is a database whose open transaction was rolled back: it is whole.
fn locked(platform: &Mutex<Platform>) -> MutexGuard<'_, Platform> {
    platform.lock().unwrap_or_else(PoisonError::into_inner)
}
