//! What the kiosk asks of the platform as HTTP requests, and what their answers mean to it: bytes out,
//! bytes in. Whoever carries them adds time and signature (`sync::signed_text`) and decides nothing.
//!
//! A request is made once. Whether and when something is asked again is up to the kiosk and the uplink,
//! which know what it would mean.

mod answer;

use std::time::Duration;

use contract::{ChargeRequest, InquireRequest, OrderId};
use serde::Serialize;
use session::{Answer, Event, Failure, Ticket, Work};
use sync::{Exchange, Failed, UplinkRequest};
use zeroize::Zeroizing;

use crate::engine::{UplinkAnswer, What};

pub use answer::Head;

/// Room for a request body, so that growing it leaves no copies behind.
const BODY_ROOM: usize = 8 * 1024;

/// How long a request may take and how large its answer may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From the first byte out to the last byte in.
    pub time: Duration,
    /// Bytes of the answer's body.
    pub answer_bytes: usize,
}

const KIB: usize = 1024;
/// Work of a visit: a little less than the kiosk waits for it.
const WORK: Limits = Limits { time: Duration::from_secs(9), answer_bytes: 512 * KIB };
/// A charge goes through to a bank.
const MONEY: Limits = Limits { time: Duration::from_secs(30), answer_bytes: 16 * KIB };
/// A batch may be large and the link thin.
const BATCH: Limits = Limits { time: Duration::from_secs(60), answer_bytes: 256 * KIB };
/// The feed of a site: some hundred documents at a first start.
const CHANGES: Limits = Limits { time: Duration::from_secs(30), answer_bytes: 8 * KIB * KIB };

/// One request. No `Debug`: its body may hold a person's data.
pub struct Request {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// Path and query.
    pub path: String,
    /// Of the body.
    pub content_type: &'static str,
    /// Wiped after use.
    pub body: Zeroizing<Vec<u8>>,
    /// Its bounds.
    pub limits: Limits,
    /// What it is, and so what its answer will be.
    pub asked: Asked,
}

/// What was asked: all that is needed to read the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Who is this?
    Identify(Ticket),
    /// What is this answer of a phone worth?
    Prove(Ticket),
    /// What has this card to answer?
    Authenticate(Ticket),
    /// Data for a service.
    Call(Ticket),
    /// Charge an order.
    Charge(OrderId),
    /// How does an order stand?
    Inquire(OrderId),
    /// Take these records.
    Records,
    /// What is new?
    Changes,
}

impl Request {
    /// The request for work of a visit; none when it is for the card and not for the platform.
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

    /// The uplink's request.
    #[must_use]
    pub fn uplink(request: UplinkRequest) -> Self {
        match request {
            UplinkRequest::Records(batch) => Self {
                method: "POST",
                path: "/v1/records".to_owned(),
                content_type: "application/zstd",
                // Personal data in records is masked, but the buffer is wiped all the same.
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

    fn post<B: Serialize>(path: &str, body: &B, limits: Limits, asked: Asked) -> Self {
        let mut json = Zeroizing::new(Vec::with_capacity(BODY_ROOM));
        serde_json::to_writer(&mut *json, body)
            .expect("bodies of the contract have string keys and no floats, so they are always JSON");
        let path = path.to_owned();
        Self { method: "POST", path, content_type: "application/json", body: json, limits, asked }
    }
}

impl Asked {
    /// What an answer means: status, type and whole body, or why there is none.
    #[must_use]
    pub fn answered(self, exchange: Exchange, answer: Result<(Head<'_>, &[u8]), Failure>) -> What {
        let Ok((head, body)) = answer else {
            let failure = answer.err().unwrap_or(Failure::Unreachable);
            return self.failed(exchange, failure);
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
                return What::Uplink(UplinkAnswer::Records(exchange, usable(answer::read(head, body))));
            }
            Self::Changes => {
                return What::Uplink(UplinkAnswer::Changes(exchange, usable(answer::read(head, body))));
            }
        };
        What::Event(event)
    }

    /// There is no answer, or the request never left.
    #[must_use]
    pub fn failed(self, exchange: Exchange, failure: Failure) -> What {
        match self {
            Self::Identify(ticket)
            | Self::Prove(ticket)
            | Self::Authenticate(ticket)
            | Self::Call(ticket) => What::Event(Event::Answer(ticket, Err(failure))),
            Self::Charge(order) | Self::Inquire(order) => What::Event(Event::Payment(order, Err(failure))),
            Self::Records => What::Uplink(UplinkAnswer::Records(exchange, usable(Err(failure)))),
            Self::Changes => What::Uplink(UplinkAnswer::Changes(exchange, usable(Err(failure)))),
        }
    }
}

/// A refusal or nonsense is as good as no answer to the uplink: it tries again.
fn usable<T>(answer: Result<T, Failure>) -> Result<T, Failed> {
    answer.map_err(|failure| {
        match failure {
            // Expected whenever the link is down.
            Failure::Unreachable => tracing::debug!("the platform does not answer the uplink"),
            Failure::Problem(code) => tracing::warn!(?code, "the platform refuses the uplink"),
            Failure::Nonsense => tracing::warn!("the platform answers the uplink with nonsense"),
            Failure::Device => {}
        }
        Failed
    })
}
