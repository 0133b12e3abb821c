//! Requests, answers and calls to other systems, as plain data.

use contract::{DeviceId, Problem, SecretKey, UnixMs, sm3};
use serde::Serialize;

use crate::base::{Issue, PinReset};
use crate::charges::OrderRef;
use crate::codes::CertifyRequest;

/// The two HTTP methods that the platform knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// GET.
    Get,
    /// POST.
    Post,
}

impl Verb {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// A request as it came. No `Debug`: its body may hold a person's data.
#[derive(Clone)]
pub struct Request {
    /// Method.
    pub verb: Verb,
    /// Path and query, as sent.
    pub target: String,
    /// `X-Device`.
    pub device: Option<String>,
    /// `X-Time`.
    pub time: Option<String>,
    /// `X-Signature`.
    pub signature: Option<String>,
    /// The body as sent.
    pub body: Vec<u8>,
}

impl Request {
    /// A request for a page.
    #[must_use]
    pub fn get(target: impl Into<String>) -> Self {
        let target = target.into();
        Self { verb: Verb::Get, target, device: None, time: None, signature: None, body: Vec::new() }
    }

    /// A kiosk's request, signed.
    #[must_use]
    pub fn signed(
        verb: Verb,
        target: impl Into<String>,
        body: Vec<u8>,
        device: &str,
        key: &SecretKey,
        time: UnixMs,
    ) -> Self {
        let (target, time) = (target.into(), time.0.to_string());
        let signature = key.sign(&to_be_signed(verb, &target, &time, &body)).to_string();
        Self { verb, target, device: Some(device.into()), time: Some(time), signature: Some(signature), body }
    }
}

/// The bytes that `X-Signature` covers, see the `contract` crate.
#[must_use]
pub fn to_be_signed(verb: Verb, target: &str, time: &str, body: &[u8]) -> Vec<u8> {
    let digest: String = sm3(&[body]).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}\n{target}\n{time}\n{digest}", verb.name()).into_bytes()
}

/// An answer. No `Debug`: its body may hold a person's data.
#[derive(Clone)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
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

/// What the platform does with a request.
pub enum Reply {
    /// It answers.
    Done(Response),
    /// It must ask another system first; the result goes into [`Platform::resume`](crate::Platform::resume).
    Ask(OutCall),
}

impl From<Response> for Reply {
    fn from(response: Response) -> Self {
        Self::Done(response)
    }
}

/// A system behind the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Charges.
    Acquirer,
    /// Owns the bills.
    Department,
    /// 可信身份认证: sees persons and says who they are.
    Identity,
}

/// A `POST` of JSON to a system behind the platform. No `Debug`: its body may name a person.
///
/// Losing it loses nothing: what it is about stands in the database, and [`Platform::due`] asks again.
///
/// [`Platform::due`]: crate::Platform::due
#[derive(Clone)]
pub struct OutCall {
    /// Whom to ask.
    pub peer: Peer,
    /// Path.
    pub target: String,
    /// JSON; empty for none.
    pub body: Vec<u8>,
    pub(crate) purpose: Purpose,
}

/// What a call is for; all that is needed to go on with its result.
#[derive(Clone)]
pub(crate) enum Purpose {
    /// An order's charge.
    Charge(OrderRef),
    /// Asking for an order's outcome.
    Inquiry(OrderRef),
    /// Fetching a resident's bills.
    Bills { resident: i64 },
    /// Telling the department that bills were paid.
    Posting(OrderRef),
    /// Asking whom the trusted identity service saw, to bind a phone.
    Binding,
    /// Asking whether the credential behind a phone still stands, to go on with its request for a certificate.
    Credential { request: Box<CertifyRequest> },
    /// Asking whom the trusted identity service saw, to let a desk set a card's PIN anew.
    PinReset { client: DeviceId, request: Box<PinReset> },
    /// Asking whether a name is an ID number's, to issue a card that a client asked for.
    Names { client: DeviceId, issue: Box<Issue> },
}

/// What a system behind the platform answered. No `Debug`: its body may hold a person's data.
#[derive(Clone)]
pub struct OutAnswer {
    /// HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// No whole answer came. Whether the call arrived is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreachable;
