//! The routes of the kiosk API, version 1.
//!
//! | route | body | answer |
//! |---|---|---|
//! | [`IDENTIFY`] | [`IdentifyRequest`](crate::IdentifyRequest) | [`IdentifyAnswer`](crate::IdentifyAnswer) |
//! | [`EVIDENCE`] | [`EvidenceRequest`](crate::EvidenceRequest) | [`EvidenceAnswer`](crate::EvidenceAnswer) |
//! | [`CARD_AUTHENTICATIONS`] | [`CardAuthRequest`](crate::CardAuthRequest) | [`CardAuthAnswer`](crate::CardAuthAnswer) |
//! | [`CALLS`] | [`CallRequest`](crate::CallRequest) | [`CallAnswer`](crate::CallAnswer) |
//! | [`CHARGES`] | [`ChargeRequest`](crate::ChargeRequest) | [`ChargeState`](crate::ChargeState) |
//! | [`INQUIRIES`] | [`InquiryRequest`](crate::InquiryRequest) | [`ChargeState`](crate::ChargeState), never `Pending` with status 200 |
//! | [`RECORDS`] | [`RecordBatch`](crate::RecordBatch), zstd | [`BatchAck`](crate::BatchAck) |
//! | [`CHANGES`] | – | [`ChangesAnswer`](crate::ChangesAnswer) |
//!
//! Every request carries the headers [`DEVICE_HEADER`](crate::DEVICE_HEADER) (the [`KioskId`](crate::KioskId)),
//! [`TIME_HEADER`](crate::TIME_HEADER) and [`SIGNATURE_HEADER`](crate::SIGNATURE_HEADER): the kiosk's SM2 signature over
//! [`request_bytes_to_sign`](crate::request_bytes_to_sign). A refusal is `application/problem+json`, see
//! [`Problem`](crate::Problem). Bodies are sealed in both directions, see [`EnvelopeKey`](crate::EnvelopeKey); the
//! connection is mutual TLS.

/// The HTTP methods that the platform supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpMethod {
    /// GET.
    Get,
    /// POST.
    Post,
}

impl HttpMethod {
    /// The name as HTTP writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// Method and path of a request, without its query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route<'a> {
    /// HTTP method.
    pub method: HttpMethod,
    /// Path of the URL.
    pub path: &'a str,
}

impl Route<'static> {
    const fn get(path: &'static str) -> Self {
        Self { method: HttpMethod::Get, path }
    }

    const fn post(path: &'static str) -> Self {
        Self { method: HttpMethod::Post, path }
    }
}

/// Opens a visit for the holder of a card or code.
pub const IDENTIFY: Route<'static> = Route::post("/v1/identify");
/// Reports more evidence for an open visit.
pub const EVIDENCE: Route<'static> = Route::post("/v1/evidence");
/// Authenticates a card.
pub const CARD_AUTHENTICATIONS: Route<'static> = Route::post("/v1/card-authentications");
/// Runs an operation of a service.
pub const CALLS: Route<'static> = Route::post("/v1/calls");
/// Charges an order.
pub const CHARGES: Route<'static> = Route::post("/v1/charges");
/// Inquires the outcome of an order, and fences it.
pub const INQUIRIES: Route<'static> = Route::post("/v1/inquiries");
/// Fetches the orders whose outcome the kiosk has not recorded.
pub const UNREPORTED_ORDERS: Route<'static> = Route::get("/v1/unreported-orders");
/// Delivers records.
pub const RECORDS: Route<'static> = Route::post("/v1/records");
/// Fetches the feed; [`changes_target`] has the query.
pub const CHANGES: Route<'static> = Route::get("/v1/changes");

/// Path and query of a request for the feed after the cursor `since`, which is a cursor of the feed with this epoch; `None` while
/// the kiosk knows of no epoch.
#[must_use]
pub fn changes_target(since: u64, feed: Option<u64>) -> String {
    let target = format!("{}?since={since}", CHANGES.path);
    match feed {
        Some(feed) => format!("{target}&feed={feed}"),
        None => target,
    }
}

/// Whether a path belongs to the kiosk API: `/v1/` and one segment.
#[must_use]
pub fn is_kiosk_path(path: &str) -> bool {
    path.strip_prefix("/v1/").is_some_and(|name| !name.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Version 1 of the API. If this fails, do not change the test: kiosks in the field send these requests.
    #[test]
    fn routes_of_version_1_are_stable() {
        let routes = [IDENTIFY, EVIDENCE, CARD_AUTHENTICATIONS, CALLS, CHARGES, INQUIRIES, RECORDS, CHANGES];
        let lines = routes.map(|route| format!("{} {}", route.method.name(), route.path));
        assert_eq!(
            lines,
            [
                "POST /v1/identify",
                "POST /v1/evidence",
                "POST /v1/card-authentications",
                "POST /v1/calls",
                "POST /v1/charges",
                "POST /v1/inquiries",
                "POST /v1/records",
                "GET /v1/changes",
            ]
        );
        assert!(routes.iter().all(|route| is_kiosk_path(route.path)));
        assert_eq!(changes_target(7, None), "/v1/changes?since=7");
    }

    #[test]
    fn routes_of_later_versions_are_stable() {
        let Route { method, path } = UNREPORTED_ORDERS;
        assert_eq!((method.name(), path), ("GET", "/v1/unreported-orders"));
        assert!(is_kiosk_path(path));
    }

    #[test]
    fn cursor_is_sent_with_the_epoch_of_its_feed() {
        assert_eq!(changes_target(7, Some(9)), "/v1/changes?since=7&feed=9");
    }

    #[test]
    fn other_paths_are_not_of_the_kiosk_api() {
        for path in ["/v1", "/v1/audit/K-DH-0001", "/base/v1/lose", "/code/v1/verify", "v1/calls"] {
            assert!(!is_kiosk_path(path), "{path}");
        }
    }
}
