//! Requests, answers, and calls to peers, as plain data.

pub use contract::{HttpMethod, request_bytes_to_sign};
use contract::{KioskId, Problem, SecretKey, UnixMs};
use serde::Serialize;

use crate::card_holder_base::{IssueRequest, PinResetRequest};
use crate::charges::OrderRef;
use crate::codes::CertifyRequest;

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

/// Result of handling a request: an answer, or a call that must be made first.
pub enum PlatformReply {
    /// The answer to the request.
    Answer(PlatformResponse),
    /// A call to a peer; its result goes into [`Platform::resume`](crate::Platform::resume).
    CallPeer(PeerCall),
}

impl From<PlatformResponse> for PlatformReply {
    fn from(response: PlatformResponse) -> Self {
        Self::Answer(response)
    }
}

/// A system that the platform calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// The institution that charges orders.
    Acquirer,
    /// The authority that owns the bills and receives the payments.
    Department,
    /// The trusted identity service (可信身份认证), which verifies persons.
    Identity,
}

/// A `POST` of JSON to a peer. No `Debug`: its body may name a person.
///
/// A lost call loses no payment: orders and postings are stored in the database, and [`Platform::due_calls`] repeats
/// their calls.
///
/// [`Platform::due_calls`]: crate::Platform::due_calls
#[derive(Clone)]
pub struct PeerCall {
    /// System to call.
    pub peer: Peer,
    /// Path of the URL.
    pub target: String,
    /// JSON body; may be empty.
    pub body: Vec<u8>,
    pub(crate) continuation: Continuation,
}

/// What to do with the result of a call, with all data that this needs. A call and its answer are not one transaction,
/// so [`Platform::resume`](crate::Platform::resume) continues from this value in a new one.
#[derive(Clone)]
pub(crate) enum Continuation {
    /// Apply the acquirer's answer to the charge of an order.
    Charge(OrderRef),
    /// Apply the acquirer's answer to the inquiry about an order.
    Inquiry(OrderRef),
    /// Store and list a resident's bills.
    Bills { resident: i64 },
    /// Close the posting of an order that the department has booked or refused.
    Posting(OrderRef),
    /// Bind a phone to the person whom the trusted identity service verified.
    PhoneBinding,
    /// Issue a session certificate, if the credential behind the phone is still valid.
    CredentialCheck { request: Box<CertifyRequest> },
    /// Let a service desk reset a card's PIN, if the trusted identity service verified the holder in person.
    PinReset { relying_party: KioskId, request: Box<PinResetRequest> },
    /// Issue a card for a service desk, if name and ID number belong to one person.
    NameCheck { relying_party: KioskId, issue: Box<IssueRequest> },
}

/// A peer's answer. No `Debug`: its body may hold personal data.
#[derive(Clone)]
pub struct PeerAnswer {
    /// HTTP status.
    pub status: u16,
    /// Body.
    pub body: Vec<u8>,
}

/// No complete answer came from a peer. It is unknown whether the call arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerUnreachable;
