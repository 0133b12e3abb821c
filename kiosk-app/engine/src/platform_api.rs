//! HTTP requests of the kiosk to the platform, and the meaning of the responses, as plain bytes. The HTTP client adds
//! time and signature ([`contract::request_bytes_to_sign`]) and takes no decisions.
//!
//! A request is sent once. Only the kiosk and the uplink decide whether and when to send it again, because only they
//! know the consequences (I1).

mod response;

use std::time::Duration;

use contract::routes::{self, HttpMethod, Route};
use contract::{ChargeRequest, InquiryRequest, OrderId};
use serde::Serialize;
use session::{Event, Failure, PlatformWork, Ticket, WorkAnswer};
use sync::{ExchangeFailed, ExchangeTiming, UplinkRequest};
use zeroize::Zeroizing;

use crate::engine::{InputEvent, UplinkAnswer};

pub use response::ResponseHead;

/// Initial capacity of a request body in bytes, so that growing it leaves no copies in memory.
const BODY_ROOM: usize = 8 * 1024;

/// Bounds of a request: its duration and the size of its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    /// From the first byte sent to the last byte received.
    pub time: Duration,
    /// Longest response body in bytes.
    pub response_bytes: usize,
}

const KIB: usize = 1024;
/// Work of a visit: a little less than the kiosk's own timeout.
const WORK_LIMITS: RequestLimits = RequestLimits { time: Duration::from_secs(9), response_bytes: 512 * KIB };
/// A charge passes through to the acquirer.
const MONEY_LIMITS: RequestLimits = RequestLimits { time: Duration::from_secs(30), response_bytes: 16 * KIB };
/// A batch may be large and the link slow.
const BATCH_LIMITS: RequestLimits =
    RequestLimits { time: Duration::from_secs(60), response_bytes: 256 * KIB };
/// A page of unreported orders, with all of their bills.
const ORDERS_LIMITS: RequestLimits =
    RequestLimits { time: Duration::from_secs(30), response_bytes: 512 * KIB };
/// The feed of a site: some hundred documents at a first start.
const CHANGES_LIMITS: RequestLimits =
    RequestLimits { time: Duration::from_secs(30), response_bytes: 8 * KIB * KIB };

/// A request to the platform. No `Debug`: its body may hold personal data.
pub struct OutgoingRequest {
    /// HTTP method.
    pub method: HttpMethod,
    /// Path and query of the URL.
    pub path: String,
    /// `Content-Type` of the body.
    pub content_type: &'static str,
    /// The body; wiped after use.
    pub body: Zeroizing<Vec<u8>>,
    /// Bounds of the request.
    pub limits: RequestLimits,
    /// Kind of the request: determines how its response is decoded.
    pub kind: RequestKind,
}

/// Kind of a request: all that is needed to decode its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// Identifies a resident.
    Identify(Ticket),
    /// Verifies the answer code of a phone.
    Evidence(Ticket),
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
    /// Fetches the orders that the kiosk has not reported.
    UnreportedOrders,
}

impl OutgoingRequest {
    /// The request for work of a visit.
    #[must_use]
    pub fn work(ticket: Ticket, work: &PlatformWork) -> Self {
        match work {
            PlatformWork::Identify(body) => {
                Self::post(routes::IDENTIFY, body, WORK_LIMITS, RequestKind::Identify(ticket))
            }
            PlatformWork::ReportEvidence(body) => {
                Self::post(routes::EVIDENCE, body, WORK_LIMITS, RequestKind::Evidence(ticket))
            }
            PlatformWork::CallOperation(body) => {
                Self::post(routes::CALLS, body, WORK_LIMITS, RequestKind::Call(ticket))
            }
            PlatformWork::RequestCardAuthentication(body) => {
                Self::post(routes::CARD_AUTHENTICATIONS, body, WORK_LIMITS, RequestKind::Authenticate(ticket))
            }
        }
    }

    /// The request for a charge.
    #[must_use]
    pub fn charge(charge: &ChargeRequest) -> Self {
        Self::post(routes::CHARGES, charge, MONEY_LIMITS, RequestKind::Charge(charge.order))
    }

    /// The request for the state of an order.
    #[must_use]
    pub fn inquire(order: OrderId) -> Self {
        Self::post(routes::INQUIRIES, &InquiryRequest { order }, MONEY_LIMITS, RequestKind::Inquire(order))
    }

    /// The HTTP request for a request of the uplink.
    #[must_use]
    pub fn uplink(request: UplinkRequest) -> Self {
        match request {
            UplinkRequest::Records(batch) => Self {
                method: routes::RECORDS.method,
                path: routes::RECORDS.path.to_owned(),
                content_type: "application/zstd",
                // Personal data in records is masked; the buffer is wiped nevertheless.
                body: Zeroizing::new(batch),
                limits: BATCH_LIMITS,
                kind: RequestKind::Records,
            },
            UplinkRequest::Changes { since, feed } => {
                let path = routes::changes_target(since, feed);
                Self::get(routes::CHANGES, path, CHANGES_LIMITS, RequestKind::Changes)
            }
        }
    }

    /// The request for the orders that the kiosk has not reported.
    #[must_use]
    pub fn unreported_orders() -> Self {
        let route = routes::UNREPORTED_ORDERS;
        Self::get(route, route.path.to_owned(), ORDERS_LIMITS, RequestKind::UnreportedOrders)
    }

    /// A request without a body. `path`: that of the route, with a query where it has one.
    fn get(route: Route<'_>, path: String, limits: RequestLimits, kind: RequestKind) -> Self {
        let body = Zeroizing::default();
        Self { method: route.method, path, content_type: "application/json", body, limits, kind }
    }

    fn post<B: Serialize>(route: Route<'_>, body: &B, limits: RequestLimits, kind: RequestKind) -> Self {
        let mut json = Zeroizing::new(Vec::with_capacity(BODY_ROOM));
        serde_json::to_writer(&mut *json, body)
            .expect("bodies of the contract have string keys and no floats, so they are always JSON");
        let (method, path) = (route.method, route.path.to_owned());
        Self { method, path, content_type: "application/json", body: json, limits, kind }
    }
}

impl RequestKind {
    /// Decodes a response (status, content type and complete body), or the failure in its place.
    #[must_use]
    pub fn decode_response(
        self,
        timing: ExchangeTiming,
        answer: Result<(ResponseHead<'_>, &[u8]), Failure>,
    ) -> InputEvent {
        let Ok((head, body)) = answer else {
            let failure = answer.err().unwrap_or(Failure::Unreachable);
            return self.failure_event(timing, failure);
        };
        let event = match self {
            Self::Identify(ticket) => {
                Event::WorkAnswered(ticket, response::decode_body(head, body).map(WorkAnswer::Identified))
            }
            Self::Evidence(ticket) => {
                Event::WorkAnswered(ticket, response::decode_body(head, body).map(WorkAnswer::Evidence))
            }
            Self::Authenticate(ticket) => {
                Event::WorkAnswered(ticket, response::decode_body(head, body).map(WorkAnswer::CardAuthority))
            }
            Self::Call(ticket) => {
                Event::WorkAnswered(ticket, response::decode_body(head, body).map(WorkAnswer::CallAnswered))
            }
            Self::Charge(order) | Self::Inquire(order) => {
                Event::PaymentAnswered(order, response::decode_body(head, body))
            }
            Self::Records => {
                return InputEvent::Uplink(UplinkAnswer::Records(
                    timing,
                    uplink_result(response::decode_body(head, body)),
                ));
            }
            Self::Changes => {
                return InputEvent::Uplink(UplinkAnswer::Changes(
                    timing,
                    uplink_result(response::decode_body(head, body)),
                ));
            }
            Self::UnreportedOrders => {
                return InputEvent::Uplink(UplinkAnswer::UnreportedOrders(uplink_result(
                    response::decode_body(head, body),
                )));
            }
        };
        InputEvent::Kiosk(event)
    }

    /// The input that reports a request without a response, or one that was never sent.
    #[must_use]
    pub fn failure_event(self, timing: ExchangeTiming, failure: Failure) -> InputEvent {
        match self {
            Self::Identify(ticket)
            | Self::Evidence(ticket)
            | Self::Authenticate(ticket)
            | Self::Call(ticket) => InputEvent::Kiosk(Event::WorkAnswered(ticket, Err(failure))),
            Self::Charge(order) | Self::Inquire(order) => {
                InputEvent::Kiosk(Event::PaymentAnswered(order, Err(failure)))
            }
            Self::Records => InputEvent::Uplink(UplinkAnswer::Records(timing, uplink_result(Err(failure)))),
            Self::Changes => InputEvent::Uplink(UplinkAnswer::Changes(timing, uplink_result(Err(failure)))),
            Self::UnreportedOrders => {
                InputEvent::Uplink(UplinkAnswer::UnreportedOrders(uplink_result(Err(failure))))
            }
        }
    }
}

/// The uplink treats a refusal or an invalid response like no response: it tries again.
fn uplink_result<T>(answer: Result<T, Failure>) -> Result<T, ExchangeFailed> {
    answer.map_err(|failure| {
        match failure {
            // Expected whenever the link is down.
            Failure::Unreachable => tracing::debug!("uplink: no answer from the platform"),
            Failure::Problem(code) => {
                tracing::warn!(?code, "uplink: request refused by the platform, will retry")
            }
            Failure::InvalidResponse => {
                tracing::warn!("uplink: invalid response from the platform, will retry")
            }
            Failure::DeviceFailed => {}
        }
        ExchangeFailed
    })
}
