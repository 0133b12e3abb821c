//! One signed request to the platform and its answer, bounded in time and size. Never repeats a request.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use contract::{DeviceId, SecretKey};
use engine::wire::{Head, Limits, Request};
use engine::{Exchange, What};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Method, Response};
use session::Failure;
use zeroize::Zeroizing;

use crate::clock;

/// A connection that takes longer is none.
const CONNECT_MS: u64 = 3_000;
/// An idle connection is given up before a platform or its gateway would.
const IDLE_MS: u64 = 10_000;
/// Room for an answer at first.
const BODY_ROOM: usize = 8 * 1024;

/// Why no client could be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// The address is not one that requests may go to.
    #[error(
        "the platform's address `{0}` cannot be used: it must be http://HOST:PORT of this machine, where a proxy with the kiosk's certificate listens"
    )]
    Address(String),
    /// The HTTP library refused.
    #[error("the HTTP client cannot be made")]
    Build(#[source] reqwest::Error),
}

/// The platform as this kiosk reaches it.
pub(crate) struct Platform {
    http: Client,
    base: String,
    device: DeviceId,
    key: Arc<SecretKey>,
}

impl Platform {
    /// `base`: `http://HOST:PORT`. Plain HTTP never leaves the machine, so the host is a loopback address.
    pub(crate) fn new(base: &str, device: DeviceId, key: Arc<SecretKey>) -> Result<Self, ClientError> {
        if !loopback(base) {
            return Err(ClientError::Address(base.to_owned()));
        }
        let http = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            // I1: whether a request is made again is the kiosk's decision alone.
            .retry(reqwest::retry::never())
            .connect_timeout(Duration::from_millis(CONNECT_MS))
            .pool_idle_timeout(Duration::from_millis(IDLE_MS))
            .build()
            .map_err(ClientError::Build)?;
        Ok(Self { http, base: base.trim_end_matches('/').to_owned(), device, key })
    }

    /// Makes a request, and says what its answer means.
    pub(crate) async fn carry(&self, request: Request) -> What {
        let (asked, sent) = (request.asked, clock::wall());
        let answer = self.send(request).await;
        let exchange = Exchange { sent, received: clock::wall() };
        match &answer {
            Ok((status, content_type, body)) => {
                let head = Head { status: *status, content_type: content_type.as_deref() };
                asked.answered(exchange, Ok((head, body)))
            }
            Err(failure) => asked.failed(exchange, *failure),
        }
    }

    async fn send(&self, request: Request) -> Result<Whole, Failure> {
        let Request { method, path, content_type, body, limits, asked: _ } = request;
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| Failure::Unreachable)?;
        let time = clock::wall();
        let signature = self.key.sign(&sync::signed_text(method.as_str(), &path, time, &body));
        let [device_header, time_header, signature_header] = sync::SIGNATURE_HEADERS;
        let request = self
            .http
            .request(method, format!("{}{path}", self.base))
            .timeout(limits.time)
            .header(CONTENT_TYPE, HeaderValue::from_static(content_type))
            .header(device_header, self.device.to_string())
            .header(time_header, time.0)
            .header(signature_header, signature.to_string())
            // Wiped when the connection has taken the last byte.
            .body(Bytes::from_owner(body));
        let mut response = request.send().await.map_err(|error| lost(&error))?;
        let body = read_body(&mut response, limits).await?;
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        Ok((response.status().as_u16(), content_type.map(str::to_owned), body))
    }
}

/// Status, type and body of an answer that came whole.
type Whole = (u16, Option<String>, Zeroizing<Vec<u8>>);

async fn read_body(response: &mut Response, limits: Limits) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let bytes_max = limits.answer_bytes;
    let mut body = Zeroizing::new(Vec::with_capacity(bytes_max.min(BODY_ROOM)));
    while let Some(chunk) = response.chunk().await.map_err(|error| lost(&error))? {
        let wanted = body.len() + chunk.len();
        if wanted > bytes_max {
            return Err(Failure::Nonsense);
        }
        if wanted > body.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(bytes_max.min(wanted * 2)));
            larger.extend_from_slice(&body);
            body = larger;
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// No whole answer: what was asked may or may not have been done.
fn lost(error: &reqwest::Error) -> Failure {
    tracing::debug!(
        timeout = error.is_timeout(),
        connect = error.is_connect(),
        body = error.is_body() || error.is_decode(),
        "no answer from the platform"
    );
    Failure::Unreachable
}

fn loopback(base: &str) -> bool {
    reqwest::Url::parse(base).is_ok_and(|url| {
        let here = match url.host_str() {
            Some("localhost") => true,
            Some(host) => {
                let bare = host.trim_start_matches('[').trim_end_matches(']');
                bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
            }
            None => false,
        };
        url.scheme() == "http" && here && url.path() == "/" && url.query().is_none()
    })
}
