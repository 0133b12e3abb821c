//! The platform over HTTP: sockets, clock, entropy, and the calls to the systems behind it.
//!
//! Two listeners: pages on one, kiosks on another with certificates on both ends, where bodies come and go
//! sealed. Nothing is decided here. A request runs in a task of its own, so that a kiosk that hangs up does not
//! leave an order half-way; what is lost all the same is found again by [`Platform::due`].

use std::future::IntoFuture as _;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response as HttpResponse};
use contract::{AnswerKey, EnvelopeSecret, ProblemCode, SEALED_TYPE, UnixMs};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::door::{Admitted, Door};
use crate::platform::{Platform, is_for_kiosks};
use crate::tls::{KioskListener, Peer as KioskPeer};
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

/// The phone's page has its scripts and styles in files of its own, and a worker that keeps them.
const PHONE_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; \
                            manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; \
                            frame-ancestors 'none'";

/// Where the systems behind the platform are.
#[derive(Clone, Debug)]
pub struct Peers {
    /// Base URL of the acquirer, without a slash at its end.
    pub acquirer: String,
    /// Base URL of the department, without a slash at its end.
    pub department: String,
    /// Base URL of the trusted identity service, without a slash at its end.
    pub identity: String,
}

/// The kiosks' side.
pub struct KioskSide {
    /// Where they connect.
    pub listener: KioskListener,
    /// The keys that their requests are sealed to: the present one, and those before it that are still in
    /// some site's file.
    pub keys: Vec<EnvelopeSecret>,
}

struct Shell {
    platform: Mutex<Platform>,
    door: Door,
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

/// Serves until something is told on `stop` (or its sender is gone) and the requests in hand are answered.
///
/// # Errors
/// [`ShellError`].
pub async fn serve(
    pages: TcpListener,
    kiosks: KioskSide,
    platform: Platform,
    peers: Peers,
    stop: watch::Receiver<()>,
) -> Result<(), ShellError> {
    let client = reqwest::Client::builder().timeout(ANSWER_TIMEOUT).build().map_err(ShellError::Client)?;
    let door = Door::new(platform.devices(), kiosks.keys);
    let shell = Arc::new(Shell { platform: Mutex::new(platform), door, peers, client });
    let limit = DefaultBodyLimit::max(BODY_MAX);
    let people = Router::new().fallback(answer_people).layer(limit).with_state(Arc::clone(&shell));
    let kiosk = Router::new().fallback(answer_kiosk).layer(limit).with_state(Arc::clone(&shell));
    let kiosk = kiosk.into_make_service_with_connect_info::<KioskPeer>();
    let due = tokio::spawn(keep_due(shell));
    let served = tokio::try_join!(
        axum::serve(pages, people).with_graceful_shutdown(told(stop.clone())).into_future(),
        axum::serve(kiosks.listener, kiosk).with_graceful_shutdown(told(stop)).into_future(),
    );
    due.abort();
    served.map(drop).map_err(ShellError::Listener)
}

async fn told(mut stop: watch::Receiver<()>) {
    // A sender that is gone says the same.
    let _ = stop.changed().await;
}

/// A page, or what else is not the kiosks'.
async fn answer_people(
    State(shell): State<Arc<Shell>>,
    method: Method,
    target: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> HttpResponse {
    let Some(request) = request(&method, &target, &headers, body) else {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    };
    if is_for_kiosks(&request.target) {
        return http(refused("kiosks come by their own listener, with a certificate"));
    }
    let policy = if target.path().starts_with("/code/") { PHONE_POLICY } else { CONTENT_POLICY };
    let task = tokio::spawn(async move {
        let reply = match entropy() {
            Some(entropy) => locked(&shell.platform).handle(&request, now(), entropy),
            None => unavailable(),
        };
        conclude(&shell, reply).await
    });
    let answered = |response| with_policy(response, policy);
    task.await.map_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response(), answered)
}

async fn answer_kiosk(
    State(shell): State<Arc<Shell>>,
    ConnectInfo(peer): ConnectInfo<KioskPeer>,
    method: Method,
    target: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> HttpResponse {
    let Some(request) = request(&method, &target, &headers, body) else {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    };
    let Some(certificate) = peer.certificate.filter(|_| is_for_kiosks(&request.target)) else {
        return http(refused("there is no such path here"));
    };
    let (admitted, answer) = match shell.door.admit(request, &certificate) {
        Ok(admitted) => admitted,
        Err(refusal) => return http(refusal),
    };
    let task = tokio::spawn(async move { serve_kiosk(&shell, admitted).await });
    let Ok(response) = task.await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    match answer.map(|answer| sealed(&answer, &response)) {
        None => http(response),
        Some(Some(sealed)) => http(sealed),
        // The work is done and the kiosk asks again; an answer in the open is none.
        Some(None) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

async fn serve_kiosk(shell: &Shell, admitted: Admitted) -> Response {
    let reply = match entropy() {
        Some(entropy) => locked(&shell.platform).handle_admitted(&admitted, now(), entropy),
        None => unavailable(),
    };
    drop(admitted);
    conclude(shell, reply).await
}

/// The answer in its envelope; none without entropy.
fn sealed(answer: &AnswerKey, response: &Response) -> Option<Response> {
    let mut random = [0; 11];
    getrandom::fill(&mut random).ok()?;
    let body = answer.seal(response.status, &response.body, &random);
    Some(Response { status: response.status, content_type: SEALED_TYPE, body })
}

fn request(method: &Method, target: &Uri, headers: &HeaderMap, body: Bytes) -> Option<Request> {
    let verb = match *method {
        Method::GET => Verb::Get,
        Method::POST => Verb::Post,
        _ => return None,
    };
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    Some(Request {
        verb,
        target: target.path_and_query().map_or_else(String::new, ToString::to_string),
        device: text("x-device"),
        time: text("x-time"),
        signature: text("x-signature"),
        body: body.into(),
    })
}

fn refused(title: &str) -> Response {
    Response::problem(&ProblemCode::NotOffered.because(title))
}

fn http(response: Response) -> HttpResponse {
    with_policy(response, CONTENT_POLICY)
}

fn with_policy(response: Response, policy: &str) -> HttpResponse {
    HttpResponse::builder()
        .status(response.status)
        .header(header::CONTENT_TYPE, response.content_type)
        .header(header::CACHE_CONTROL, "no-store")
        .header(header::CONTENT_SECURITY_POLICY, policy)
        .header(header::REFERRER_POLICY, "no-referrer")
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
        Peer::Identity => &shell.peers.identity,
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
