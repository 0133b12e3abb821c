//! HTTP client: sends one sealed, signed request to the platform and reads its answer, bounded in time and size.
//! Never repeats a request (I1).

use std::error::Error as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use contract::{
    ANSWER_OVERHEAD, AnswerKey, DEVICE_HEADER, EnvelopeKey, KioskId, RequestBinding, SEALED_TYPE,
    SIGNATURE_HEADER, SecretKey, TIME_HEADER, request_bytes_to_sign,
};
use engine::platform_api::{OutgoingRequest, ResponseHead};
use engine::{ExchangeTiming, InputEvent};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, DATE, HeaderMap};
use hyper::{Response, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::UnixTime;
use session::Failure;
use zeroize::Zeroizing;

use super::tls::{CertificateClock, TlsCredentials, TlsCredentialsError};
use crate::clock;

/// Timeout of connecting, in milliseconds.
const CONNECT_MS: u64 = 3_000;
/// An idle connection is closed after this many milliseconds: before the platform or its gateway closes it.
const IDLE_MS: u64 = 10_000;
/// Initial capacity for the body of an answer, in bytes.
const BODY_ROOM: usize = 8 * 1024;

/// Why the client could not be created.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// The address is not an https base URL.
    #[error("invalid platform address `{0}`: it must be https://HOST:PORT")]
    Address(String),
    /// The credentials cannot be used.
    #[error("cannot set up TLS to the platform")]
    Credentials(#[from] TlsCredentialsError),
}

/// HTTP client of this kiosk for the platform.
pub(crate) struct PlatformClient {
    http: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    certificate_clock: Arc<CertificateClock>,
    base: String,
    device: KioskId,
    key: Arc<SecretKey>,
    envelope: EnvelopeKey,
}

impl PlatformClient {
    /// `base`: `https://HOST:PORT`.
    pub(crate) fn new(
        base: &str,
        device: KioskId,
        key: Arc<SecretKey>,
        envelope: EnvelopeKey,
        credentials: TlsCredentials,
    ) -> Result<Self, ClientError> {
        if !is_base_url(base) {
            return Err(ClientError::Address(base.to_owned()));
        }
        let (tls, certificate_clock) = credentials.config(device)?;
        if certificate_clock.has_expired(UnixTime::now()) {
            tracing::warn!(
                "the kiosk's certificate has expired by this machine's clock: set the clock, or have \
                 tls.csr certified again"
            );
        }
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(Duration::from_millis(CONNECT_MS)));
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1().wrap_connector(tcp);
        let http = Client::builder(TokioExecutor::new())
            // I1: only the kiosk decides whether a request is sent again.
            .retry_canceled_requests(false)
            .pool_idle_timeout(Duration::from_millis(IDLE_MS))
            .pool_timer(TokioTimer::new())
            .build(connector);
        Ok(Self {
            http,
            certificate_clock,
            base: base.trim_end_matches('/').to_owned(),
            device,
            key,
            envelope,
        })
    }

    /// Sends a request and decodes its answer.
    pub(crate) async fn execute(&self, request: OutgoingRequest) -> InputEvent {
        let (kind, sent) = (request.kind, clock::wall_time());
        let answer = match tokio::time::timeout(request.limits.time, self.send(request)).await {
            Ok(answer) => answer,
            Err(_) => {
                tracing::debug!("request to the platform timed out");
                Err(Failure::Unreachable)
            }
        };
        let timing = ExchangeTiming { sent, received: clock::wall_time() };
        match &answer {
            Ok((status, content_type, body)) => {
                let head = ResponseHead { status: *status, content_type: content_type.as_deref() };
                kind.decode_response(timing, Ok((head, body)))
            }
            Err(failure) => kind.failure_event(timing, *failure),
        }
    }

    async fn send(&self, request: OutgoingRequest) -> Result<ResponseParts, Failure> {
        let OutgoingRequest { method, path, content_type, body, limits, kind: _ } = request;
        let (device, time) = (self.device.to_string(), clock::wall_time().0.to_string());
        // A request without a body asks for no personal data, and its answer is not sealed.
        let (body, answer) = if body.is_empty() {
            (Bytes::new(), None)
        } else {
            let to = RequestBinding { method: method.name(), target: &path, device: &device, time: &time };
            let (sealed, answer) = self.envelope.seal(&body, to, &entropy()?);
            (Bytes::from(sealed), Some(answer))
        };
        let signature = self.key.sign(&request_bytes_to_sign(method, &path, &time, &body));
        let request = hyper::Request::builder()
            .method(method.name())
            .uri(format!("{}{path}", self.base))
            .header(CONTENT_TYPE, if answer.is_some() { SEALED_TYPE } else { content_type })
            .header(DEVICE_HEADER, device)
            .header(TIME_HEADER, time)
            .header(SIGNATURE_HEADER, signature.to_string())
            .body(Full::new(body))
            .map_err(|_| Failure::Unreachable)?;
        let response = self.http.request(request).await.map_err(|error| classify_error(&error))?;
        self.sync_clock(response.headers());
        let status = response.status().as_u16();
        let content_type = content_type_of(response.headers());
        match answer {
            None => Ok((status, content_type, read_body(response, limits.response_bytes).await?)),
            Some(answer) => {
                let body = read_body(response, limits.response_bytes + ANSWER_OVERHEAD).await?;
                open_response(&answer, status, content_type.as_deref(), body)
            }
        }
    }

    /// Updates the certificate clock from the `Date` header of an answer (RFC 9110, 6.6.1).
    fn sync_clock(&self, headers: &HeaderMap) {
        let date = headers.get(DATE).and_then(|value| httpdate::parse_http_date(value.to_str().ok()?).ok());
        let since = date.and_then(|date: SystemTime| date.duration_since(UNIX_EPOCH).ok());
        if let Some(since) = since {
            self.certificate_clock.synchronise(UnixTime::since_unix_epoch(since));
        }
    }
}

/// Status, content type and body of a complete answer.
type ResponseParts = (u16, Option<String>, Zeroizing<Vec<u8>>);

/// Opens a sealed answer. An answer that is not sealed comes from the platform's authentication of requests, before
/// the request was processed, or from another system: it proves nothing about the outcome of the request.
fn open_response(
    answer: &AnswerKey,
    status: u16,
    content_type: Option<&str>,
    body: Zeroizing<Vec<u8>>,
) -> Result<ResponseParts, Failure> {
    if content_type != Some(SEALED_TYPE) {
        tracing::warn!(
            status,
            "answer is not sealed: check that the kiosk is registered and its site file is up to date"
        );
        return if status == 200 { Err(Failure::InvalidResponse) } else { Ok((status, None, body)) };
    }
    let body = answer.open(status, &body).map_err(|error| {
        tracing::warn!(status, %error, "sealed answer rejected");
        Failure::InvalidResponse
    })?;
    let kind = if status == 200 { "application/json" } else { "application/problem+json" };
    Ok((status, Some(kind.to_owned()), body))
}

async fn read_body(response: Response<Incoming>, bytes_max: usize) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut stream = response.into_body();
    let mut body = Zeroizing::new(Vec::with_capacity(bytes_max.min(BODY_ROOM)));
    while let Some(frame) = stream.frame().await {
        let frame = frame.map_err(|error| {
            tracing::debug!(%error, "answer of the platform is incomplete");
            Failure::Unreachable
        })?;
        // A trailer is not part of the body.
        let Some(chunk) = frame.data_ref() else { continue };
        let wanted = body.len() + chunk.len();
        if wanted > bytes_max {
            return Err(Failure::InvalidResponse);
        }
        if wanted > body.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(bytes_max.min(wanted * 2)));
            larger.extend_from_slice(&body);
            body = larger;
        }
        body.extend_from_slice(chunk);
    }
    Ok(body)
}

/// Classifies an exchange without a complete answer: the outcome of the request is unknown.
fn classify_error(error: &Error) -> Failure {
    let mut source = error.source();
    while let Some(cause) = source {
        let tls = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(tls) = tls.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            // Not a failure of the link: an operator must check the certificates.
            tracing::warn!(error = %tls, "TLS handshake failed: check the certificates of platform and kiosk");
            return Failure::Unreachable;
        }
        source = cause.source();
    }
    tracing::debug!(connect = error.is_connect(), "no answer from the platform: the link failed");
    Failure::Unreachable
}

fn entropy() -> Result<Zeroizing<[u8; 32]>, Failure> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(bytes.as_mut_slice()).map_err(|error| {
        tracing::error!(%error, "cannot read entropy from the operating system");
        Failure::Unreachable
    })?;
    Ok(bytes)
}

fn content_type_of(headers: &HeaderMap) -> Option<String> {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

fn is_base_url(base: &str) -> bool {
    base.parse::<Uri>().is_ok_and(|uri| {
        uri.scheme_str() == Some("https")
            && uri.host().is_some_and(|host| !host.is_empty())
            && uri.path() == "/"
            && uri.query().is_none()
    })
}
