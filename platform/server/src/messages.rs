//! Requests and answers, as plain data.

use contract::{HttpMethod, request_bytes_to_sign};
use contract::{Problem, SecretKey, UnixMs};
use serde::Serialize;

/// A request as received. No `Debug`: its body may hold personal data.
#[derive(Clone)]
pub struct PlatformRequest {
    /// HTTP method.
    pub method: HttpMethod,
    /// Path and query, as sent.
    pub target: String,
    /// Header `X-Device`: id of the kiosk or relying party.
    pub device: Option<String>,
    /// Header `X-Time`: Unix time in milliseconds.
    pub time: Option<String>,
    /// Header `X-Signature`, over the bytes of [`request_bytes_to_sign`].
    pub signature: Option<String>,
    /// Body as sent.
    pub body: Vec<u8>,
}

impl PlatformRequest {
    /// An unsigned GET request, as for a page.
    #[must_use]
    pub fn get(target: impl Into<String>) -> Self {
        let target = target.into();
        Self { method: HttpMethod::Get, target, device: None, time: None, signature: None, body: Vec::new() }
    }

    /// A request signed by a kiosk or relying party.
    #[must_use]
    pub fn signed(
        method: HttpMethod,
        target: impl Into<String>,
        body: Vec<u8>,
        device: &str,
        key: &SecretKey,
        time: UnixMs,
    ) -> Self {
        let (target, time) = (target.into(), time.0.to_string());
        let signature = key.sign(&request_bytes_to_sign(method, &target, &time, &body)).to_string();
        Self {
            method,
            target,
            device: Some(device.into()),
            time: Some(time),
            signature: Some(signature),
            body,
        }
    }
}

/// An HTTP answer. No `Debug`: its body may hold personal data.
#[derive(Clone)]
pub struct PlatformResponse {
    /// HTTP status.
    pub status: u16,
    /// Header `Content-Type`.
    pub content_type: &'static str,
    /// Body.
    pub body: Vec<u8>,
}

impl PlatformResponse {
    pub(crate) fn json<T: Serialize>(body: &T) -> Self {
        let body = serde_json::to_vec(body).expect("answers have string keys and no floats");
        Self { status: 200, content_type: "application/json", body }
    }

    pub(crate) fn text(content_type: &'static str, body: &str) -> Self {
        Self { status: 200, content_type, body: body.as_bytes().to_vec() }
    }

    pub(crate) fn html(status: u16, body: String) -> Self {
        Self { status, content_type: "text/html; charset=utf-8", body: body.into_bytes() }
    }

    pub(crate) fn problem(problem: &Problem) -> Self {
        let mut response = Self::json(problem);
        response.status = problem.status;
        response.content_type = "application/problem+json";
        response
    }
}
