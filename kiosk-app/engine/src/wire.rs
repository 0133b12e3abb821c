//! HTTP requests of the kiosk to the platform, and the meaning of the responses, as plain bytes. The HTTP client adds
//! time and signature (`sync::signed_text`) and takes no decisions.
//!
//! A request is sent once. Only the kiosk and the uplink decide whether and when to send it again, because only they
//! know the consequences (I1).

mod answer;

use std::time::Duration;

use contract::{ChargeRequest, InquireRequest, OrderId};
use serde::Serialize;
use session::{Answer, Event, Failure, Ticket, Work};
use sync::{Exchange, Failed, UplinkRequest};
use zeroize::Zeroizing;

use crate::engine::{UplinkAnswer, What};

pub use answer::Head;

/// Initial capacity of a request body in bytes, so that growing it leaves no copies in memory.
const BODY_ROOM: usize = 8 * 1024;

/// Bounds of a request: its duration and the size of its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From the first byte sent to the last byte received.
    pub time: Duration,
    /// Longest response body in bytes.
    pub answer_bytes: usize,
}

const KIB: usize = 1024;
/// Work of a visit: a little less than the kiosk's own timeout.
const WORK: Limits = Limits { time: Duration::from_secs(9), answer_bytes: 512 * KIB };
/// A charge passes through to the acquirer.
const MONEY: Limits = Limits { time: Duration::from_secs(30), answer_bytes: 16 * KIB };
/// A batch may be large and the link slow.
const BATCH: Limits = Limits { time: Duration::from_secs(60), answer_bytes: 256 * KIB };
/// The feed of a site: some hundred documents at a first start.
const CHANGES: Limits = Limits { time: Duration::from_secs(30), answer_bytes: 8 * KIB * KIB };

/// A request to the platform. No `Debug`: its body may hold personal data.
pub struct Request {
    /// HTTP method: `GET` or `POST`.
    pub method: &'static str,
    /// Path and query of the URL.
    pub path: String,
    /// `Content-Type` of the body.
    pub content_type: &'static str,
    /// The body; wiped after use.
    pub body: Zeroizing<Vec<u8>>,
    /// Bounds of the request.
    pub limits: Limits,
    /// Kind of the request: determines how its response is decoded.
    pub asked: Asked,
}

/// Kind of a request: all that is needed to decode its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Identifies a resident.
    Identify(Ticket),
    /// Verifies the answer code of a phone.
    Prove(Ticket),
    /// Authenticates a card.
    Authenticate(Ticket),
    /// Calls an operation of a service.
    Call(Ticket),
    /// Charges an order.
    Charge(OrderId),
    /// Inquires the state of an order.
    Inquire(OrderId),
    /// Delivers records.
    Records,
    /// Fetches the feed.
    Changes,
}

impl Request {
    /// The request for work of a visit; `None` for work of the card.
    #[must_use]
    pub fn work(ticket: Ticket, work: &Work) -> Option<Self> {
        match work {
            Work::Identify(body) => Some(Self::post("/v1/identify", body, WORK, Asked::Identify(ticket))),
            Work::Prove(body) => Some(Self::post("/v1/evidence", body, WORK, Asked::Prove(ticket))),
            Work::Call(body) => Some(Self::post("/v1/calls", body, WORK, Asked::Call(ticket))),
            Work::AskAuthority(body) => {
                Some(Self::post("/v1/card-authentications", body, WORK, Asked::Authenticate(ticket)))
            }
            Work::VerifyPin(_) | Work::ChangePin { .. } | Work::Authenticate(_) => None,
        }
    }

    /// The request for a charge.
    #[must_use]
    pub fn charge(charge: &ChargeRequest) -> Self {
        Self::post("/v1/charges", charge, MONEY, Asked::Charge(charge.order))
    }

    /// The request for the state of an order.
    #[must_use]
    pub fn inquire(order: OrderId) -> Self {
        Self::post("/v1/inquiries", &InquireRequest { order }, MONEY, Asked::Inquire(order))
    }

    /// The HTTP request for a request of the uplink.
    #[must_use]
    pub fn uplink(request: UplinkRequest) -> Self {
        match request {
            UplinkRequest::Records(batch) => Self {
                method: "POST",
                path: "/v1/records".to_owned(),
                content_type: "application/zstd",
                // Personal data in records is masked; the buffer is wiped nevertheless.
                body: Zeroizing::new(batch),
                limits: BATCH,
                asked: Asked::Records,
            },
            UplinkRequest::Changes { since } => Self {
                method: "GET",
                path: format!("/v1/changes?since={since}"),
                content_type: "application/json",
                body: Zeroizing::default(),
                limits: CHANGES,
                asked: Asked::Changes,
            },
        }
    }

    fn post<B: Serialize>(path: &str, body: &B, limits: Limits, kind: Asked) -> Self {
        let mut json = Zeroizing::new(Vec::with_capacity(BODY_ROOM));
        serde_json::to_writer(&mut *json, body)
            .expect("bodies of the contract have string keys and no floats, so they are always JSON");
        let path = path.to_owned();
        Self { method: "POST", path, content_type: "application/json", body: json, limits, asked: kind }
    }
}

impl Asked {
    /// Decodes a response (status, content type and complete body), or the failure in its place.
    #[must_use]
    pub fn answered(self, timing: Exchange, answer: Result<(Head<'_>, &[u8]), Failure>) -> What {
        let Ok((head, body)) = answer else {
            let failure = answer.err().unwrap_or(Failure::Unreachable);
            return self.failed(timing, failure);
        };
        let event = match self {
            Self::Identify(ticket) => Event::Answer(ticket, answer::read(head, body).map(Answer::Identified)),
            Self::Prove(ticket) => Event::Answer(ticket, answer::read(head, body).map(Answer::Evidence)),
            Self::Authenticate(ticket) => {
                Event::Answer(ticket, answer::read(head, body).map(Answer::CardAuthority))
            }
            Self::Call(ticket) => Event::Answer(ticket, answer::read(head, body).map(Answer::Called)),
            Self::Charge(order) | Self::Inquire(order) => Event::Payment(order, answer::read(head, body)),
            Self::Records => {
                return What::Uplink(UplinkAnswer::Records(timing, usable(answer::read(head, body))));
            }
            Self::Changes => {
                return What::Uplink(UplinkAnswer::Changes(timing, usable(answer::read(head, body))));
            }
        };
        What::Event(event)
    }

    /// The input that reports a request without a response, or one that was never sent.
    #[must_use]
    pub fn failed(self, timing: Exchange, failure: Failure) -> What {
        match self {
            Self::Identify(ticket)
            | Self::Prove(ticket)
            | Self::Authenticate(ticket)
            | Self::Call(ticket) => What::Event(Event::Answer(ticket, Err(failure))),
            Self::Charge(order) | Self::Inquire(order) => What::Event(Event::Payment(order, Err(failure))),
            Self::Records => What::Uplink(UplinkAnswer::Records(timing, usable(Err(failure)))),
            Self::Changes => What::Uplink(UplinkAnswer::Changes(timing, usable(Err(failure)))),
        }
    }
}

/// The uplink treats a refusal or an invalid response like no response: it tries again.
fn usable<T>(answer: Result<T, Failure>) -> Result<T, Failed> {
    answer.map_err(|failure| {
        match failure {
            // Expected whenever the link is down.
            Failure::Unreachable => tracing::debug!("uplink: no answer from the platform"),
            Failure::Problem(code) => {
                tracing::warn!(?code, "uplink: request refused by the platform, will retry")
            }
            Failure::Nonsense => tracing::warn!("uplink: invalid response from the platform, will retry"),
            Failure::Device => {}
        }
        Failed
    })
}
