//! The platform over HTTP: sockets, clock, entropy, and the calls to acquirer, department and identity service.
//!
//! There are two listeners: one for pages, and one for kiosks, with certificates on both ends and sealed bodies.
//! The shell makes no decisions. Each request runs in a task of its own, so that a kiosk that disconnects does not
//! leave an order half-processed; [`Platform::due_calls`] takes up work that was lost nevertheless.

mod departments;
mod publication_file;
pub mod tls;

use std::future::IntoFuture as _;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response as HttpResponse};
use contract::{
    AnswerKey, DEVICE_HEADER, EnvelopeSecret, HttpMethod, ProblemCode, Publication, SEALED_TYPE,
    SIGNATURE_HEADER, TIME_HEADER, UnixMs,
};
use tokio::net::TcpListener;
use tokio::sync::watch;

use self::departments::DepartmentClients;
pub use self::publication_file::{PublicationFile, PublicationFileError};
use self::tls::{KioskListener, KioskPeer};
use crate::kiosks::authenticator::{AuthenticatedRequest, Authenticator};
use crate::messages::{PlatformRequest, PlatformResponse};
use crate::peer_calls::{Peer, PeerAnswer, PeerCall, PeerUnreachable, PlatformReply};
use crate::platform::{Platform, is_kiosk_target};

/// Largest request body in bytes.
const BODY_MAX: usize = 1024 * 1024;
/// Largest answer of a peer in bytes.
const ANSWER_MAX: usize = 1024 * 1024;
/// Time after which a call to a peer fails.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(6);
/// Interval at which the file of the publication is looked at.
const PUBLICATION_INTERVAL: Duration = Duration::from_secs(2);
/// Interval at which background work is polled.
const DUE_INTERVAL: Duration = Duration::from_millis(500);
/// Content security policy of pages: nothing is loaded from other origins, whatever is filled into a template.
const PAGE_CSP: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                              connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'";

/// Content security policy of the phone's web app, which has scripts and styles in files, and a service worker.
const WEB_APP_CSP: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; \
                            manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; \
                            frame-ancestors 'none'";

/// Figures of the departments, as JSON, beside the administration page.
const DEPARTMENT_FIGURES: &str = "/admin/departments";

/// Base URLs of the systems that the platform calls.
#[derive(Clone, Debug)]
pub struct PeerUrls {
    /// Base URL of the acquirer, without a slash at its end.
    pub acquirer: String,
    /// Base URL of the trusted identity service, without a slash at its end.
    pub identity: String,
}

/// Listener and envelope keys for kiosks.
pub struct KioskEndpoint {
    /// TLS listener for kiosks.
    pub listener: KioskListener,
    /// Envelope keys to which kiosks seal requests: the current one, and earlier ones that some site file still
    /// names.
    pub envelope_keys: Vec<EnvelopeSecret>,
}

struct ShellState {
    platform: Mutex<Platform>,
    authenticator: Authenticator,
    peers: PeerUrls,
    http_client: reqwest::Client,
    /// Replaced with each publication.
    departments: Mutex<Arc<DepartmentClients>>,
}

impl ShellState {
    fn departments(&self) -> Arc<DepartmentClients> {
        Arc::clone(&self.departments.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Why the shell stopped serving or could not start.
#[derive(Debug, thiserror::Error)]
pub enum ShellError {
    /// The client for calls to peers cannot be built.
    #[error("cannot build the HTTP client")]
    HttpClient(#[source] reqwest::Error),
    /// A listener failed.
    #[error("an HTTP listener failed")]
    Listener(#[source] io::Error),
}

/// Serves until `stop` changes or its sender is dropped, and the requests in progress are answered. With `publications`, what is
/// published there meanwhile is taken into force.
///
/// # Errors
/// [`ShellError`].
pub async fn serve(
    pages: TcpListener,
    kiosks: KioskEndpoint,
    platform: Platform,
    peers: PeerUrls,
    publications: Option<PublicationFile>,
    stop: watch::Receiver<()>,
) -> Result<(), ShellError> {
    let client =
        reqwest::Client::builder().timeout(ANSWER_TIMEOUT).build().map_err(ShellError::HttpClient)?;
    let authenticator = Authenticator::new(platform.kiosks(), kiosks.envelope_keys);
    let departments = DepartmentClients::new(platform.publication().departments(), None)?;
    let departments = Mutex::new(Arc::new(departments));
    let platform = Mutex::new(platform);
    let shell = Arc::new(ShellState { platform, authenticator, peers, http_client: client, departments });
    let limit = DefaultBodyLimit::max(BODY_MAX);
    let people = Router::new().fallback(handle_page_request).layer(limit).with_state(Arc::clone(&shell));
    let kiosk = Router::new().fallback(handle_kiosk_request).layer(limit).with_state(Arc::clone(&shell));
    let kiosk = kiosk.into_make_service_with_connect_info::<KioskPeer>();
    let due_task = tokio::spawn(run_due_calls(Arc::clone(&shell)));
    let publication_task = publications.map(|file| tokio::spawn(watch_publications(shell, file)));
    let served = tokio::try_join!(
        axum::serve(pages, people).with_graceful_shutdown(stop_requested(stop.clone())).into_future(),
        axum::serve(kiosks.listener, kiosk).with_graceful_shutdown(stop_requested(stop)).into_future(),
    );
    due_task.abort();
    if let Some(task) = publication_task {
        task.abort();
    }
    served.map(drop).map_err(ShellError::Listener)
}

/// Waits for the stop signal.
async fn stop_requested(mut stop: watch::Receiver<()>) {
    // A dropped sender also means stop.
    let _ = stop.changed().await;
}

/// Handles a request on the pages listener: pages, relying parties, phones, service desks, audit export.
async fn handle_page_request(
    State(shell): State<Arc<ShellState>>,
    method: Method,
    target: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> HttpResponse {
    let Some(request) = parse_request(&method, &target, &headers, body) else {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    };
    if is_kiosk_target(&request.target) {
        return to_http(not_offered("kiosk requests are served on the kiosk listener only"));
    }
    if request.method == HttpMethod::Get && request.target == DEPARTMENT_FIGURES {
        return to_http(PlatformResponse::json(&shell.departments().figures()));
    }
    let policy = if target.path().starts_with("/code/") { WEB_APP_CSP } else { PAGE_CSP };
    let task = tokio::spawn(async move {
        let reply = match draw_entropy() {
            Some(entropy) => lock_platform(&shell.platform).handle(&request, unix_now(), entropy),
            None => entropy_unavailable(),
        };
        run_peer_calls(&shell, reply).await
    });
    let answered = |response| to_http_with_csp(response, policy);
    task.await.map_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response(), answered)
}

/// Handles a request on the kiosk listener.
async fn handle_kiosk_request(
    State(shell): State<Arc<ShellState>>,
    ConnectInfo(peer): ConnectInfo<KioskPeer>,
    method: Method,
    target: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> HttpResponse {
    let Some(request) = parse_request(&method, &target, &headers, body) else {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    };
    let Some(certificate) = peer.certificate.filter(|_| is_kiosk_target(&request.target)) else {
        return to_http(not_offered("no such path for kiosks"));
    };
    let (admitted, answer) = match shell.authenticator.authenticate(request, &certificate) {
        Ok(admitted) => admitted,
        Err(refusal) => return to_http(refusal),
    };
    let task = tokio::spawn(async move { run_kiosk_request(&shell, admitted).await });
    let Ok(response) = task.await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    match answer.map(|answer| seal_response(&answer, &response)) {
        None => to_http(response),
        Some(Some(sealed)) => to_http(sealed),
        // The work is done. The kiosk repeats the request; an unsealed answer must not be sent.
        Some(None) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

async fn run_kiosk_request(shell: &ShellState, admitted: AuthenticatedRequest) -> PlatformResponse {
    let reply = match draw_entropy() {
        Some(entropy) => lock_platform(&shell.platform).handle_authenticated(&admitted, unix_now(), entropy),
        None => entropy_unavailable(),
    };
    drop(admitted);
    run_peer_calls(shell, reply).await
}

/// Seals the answer for the kiosk; `None` without entropy.
fn seal_response(answer: &AnswerKey, response: &PlatformResponse) -> Option<PlatformResponse> {
    let mut random = [0; 11];
    getrandom::fill(&mut random).ok()?;
    let body = answer.seal(response.status, &response.body, &random);
    Some(PlatformResponse { status: response.status, content_type: SEALED_TYPE, body })
}

fn parse_request(method: &Method, target: &Uri, headers: &HeaderMap, body: Bytes) -> Option<PlatformRequest> {
    let verb = match *method {
        Method::GET => HttpMethod::Get,
        Method::POST => HttpMethod::Post,
        _ => return None,
    };
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    Some(PlatformRequest {
        method: verb,
        target: target.path_and_query().map_or_else(String::new, ToString::to_string),
        device: text(DEVICE_HEADER),
        time: text(TIME_HEADER),
        signature: text(SIGNATURE_HEADER),
        body: body.into(),
    })
}

fn not_offered(title: &str) -> PlatformResponse {
    PlatformResponse::problem(&ProblemCode::NotOffered.into_problem(title))
}

fn to_http(response: PlatformResponse) -> HttpResponse {
    to_http_with_csp(response, PAGE_CSP)
}

fn to_http_with_csp(response: PlatformResponse, policy: &str) -> HttpResponse {
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

/// Makes the calls that the platform returns until it has an answer.
async fn run_peer_calls(shell: &ShellState, mut reply: PlatformReply) -> PlatformResponse {
    loop {
        let call = match reply {
            PlatformReply::Answer(response) => return response,
            PlatformReply::CallPeer(call) => call,
        };
        let result = send_peer_call(shell, &call).await;
        reply = match draw_entropy() {
            Some(entropy) => lock_platform(&shell.platform).resume(&call, result, unix_now(), entropy),
            None => entropy_unavailable(),
        };
    }
}

/// Polls [`Platform::due_calls`] and makes these calls, until the task is aborted.
async fn run_due_calls(shell: Arc<ShellState>) {
    let mut interval = tokio::time::interval(DUE_INTERVAL);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        let calls = lock_platform(&shell.platform).due_calls(unix_now());
        for call in calls {
            let shell = Arc::clone(&shell);
            tokio::spawn(async move { run_peer_calls(&shell, PlatformReply::CallPeer(call)).await });
        }
    }
}

/// Takes each new content of the file into force, until the task is aborted.
async fn watch_publications(shell: Arc<ShellState>, mut file: PublicationFile) {
    let mut interval = tokio::time::interval(PUBLICATION_INTERVAL);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        if !file.is_changed() {
            continue;
        }
        let shell = Arc::clone(&shell);
        // Hundreds of signatures are verified: not on the thread that serves.
        let taken = tokio::task::spawn_blocking(move || {
            let read = file.read();
            publish(&shell, read);
            file
        });
        match taken.await {
            Ok(returned) => file = returned,
            Err(_) => return tracing::error!("publications are no longer looked for: restart the platform"),
        }
    }
}

/// Takes a publication into force, or says why not.
fn publish(shell: &ShellState, read: Result<Publication, PublicationFileError>) {
    let refused = |digest: &[u8; 32], why: &str| {
        tracing::error!(why, "publication refused: the one before stays in force");
        lock_platform(&shell.platform).record_refused_publication(digest, why, unix_now());
    };
    let publication = match read {
        Ok(publication) => publication,
        Err(PublicationFileError::Read { .. }) => {
            return tracing::warn!("the changed publication cannot be read");
        }
        Err(error @ PublicationFileError::Content { digest, .. }) => {
            return refused(&digest, &error.to_string());
        }
    };
    let before = shell.departments();
    let clients = match DepartmentClients::new(publication.departments(), Some(&before)) {
        Ok(clients) => clients,
        Err(error) => return refused(publication.digest(), &error.to_string()),
    };
    let (number, digest) = (publication.number(), *publication.digest());
    let services = publication.documents().count();
    // No call is sent between the two: it could be of a department that only the new list has.
    let mut in_use = shell.departments.lock().unwrap_or_else(PoisonError::into_inner);
    let published = lock_platform(&shell.platform).publish(publication);
    match published {
        Ok(()) => {
            *in_use = Arc::new(clients);
            tracing::info!(number, services, "publication taken into force");
        }
        Err(error) => refused(&digest, &error.to_string()),
    }
}

async fn send_peer_call(shell: &ShellState, call: &PeerCall) -> Result<PeerAnswer, PeerUnreachable> {
    let base = match &call.peer {
        Peer::Department(department) => return shell.departments().send(department, call).await,
        Peer::Acquirer => &shell.peers.acquirer,
        Peer::Identity => &shell.peers.identity,
    };
    let request = shell
        .http_client
        .post(format!("{base}{}", call.target))
        .header(header::CONTENT_TYPE, "application/json")
        .body(call.body.clone());
    receive_peer_answer(request).await.map_err(|error| {
        // The URL holds an order id, so it is not logged; the peer is enough.
        tracing::warn!(peer = ?call.peer, error = %error.without_url(), "call to peer failed");
        PeerUnreachable
    })
}

async fn receive_peer_answer(request: reqwest::RequestBuilder) -> reqwest::Result<PeerAnswer> {
    let mut response = request.send().await?;
    let status = response.status().as_u16();
    let text =
        |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (time, signature) = (text(TIME_HEADER), text(SIGNATURE_HEADER));
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_MAX {
            // Larger than any valid answer. The truncated body does not parse and is treated as invalid.
            break;
        }
    }
    Ok(PeerAnswer { status, body, time, signature })
}

fn entropy_unavailable() -> PlatformReply {
    tracing::error!("cannot read entropy from the operating system; request answered as unavailable");
    PlatformReply::Answer(PlatformResponse::problem(
        &ProblemCode::Unavailable.into_problem("no entropy available"),
    ))
}

fn draw_entropy() -> Option<u128> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(u128::from_ne_bytes(bytes))
}

/// The time of this machine's clock.
#[must_use]
pub fn unix_now() -> UnixMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Locks the platform. A poisoned lock is accepted: the panic rolled the open transaction back, so the database is
/// consistent.
fn lock_platform(platform: &Mutex<Platform>) -> MutexGuard<'_, Platform> {
    platform.lock().unwrap_or_else(PoisonError::into_inner)
}
