//! Decodes an HTTP response: the only place that interprets status, content type and body.

use contract::Problem;
use serde::de::DeserializeOwned;
use session::Failure;

/// Status and content type of a response whose body was read completely.
#[derive(Clone, Copy)]
pub struct ResponseHead<'a> {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type` as sent.
    pub content_type: Option<&'a str>,
}

/// Decodes a response body. *Unreachable* means an unknown outcome; *problem* means that the platform itself
/// refused; everything else that is not the expected body is an invalid response.
pub(super) fn decode_body<T: DeserializeOwned>(head: ResponseHead<'_>, body: &[u8]) -> Result<T, Failure> {
    match head.status {
        200 => serde_json::from_slice(body).map_err(|_| Failure::InvalidResponse),
        400..=599 => Err(decode_problem(head, body)),
        _ => Err(Failure::InvalidResponse),
    }
}

fn decode_problem(head: ResponseHead<'_>, body: &[u8]) -> Failure {
    let is_problem = head.content_type.is_some_and(|kind| {
        kind.split(';')
            .next()
            .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/problem+json"))
    });
    match serde_json::from_slice::<Problem>(body) {
        // A problem whose status contradicts its code comes from another system than the platform.
        Ok(problem) if is_problem && problem.code.status() == head.status => Failure::Problem(problem.code),
        // A gateway in front of the platform answers so when it cannot reach the platform or lost its answer.
        Ok(_) | Err(_) if matches!(head.status, 502..=504) => Failure::Unreachable,
        Ok(_) | Err(_) => Failure::InvalidResponse,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{ChargeState, ProblemCode};
    use proptest::prelude::*;

    const PROBLEM: Option<&str> = Some("application/problem+json");

    fn decode(status: u16, content_type: Option<&str>, body: &str) -> Result<ChargeState, Failure> {
        decode_body(ResponseHead { status, content_type }, body.as_bytes())
    }

    #[test]
    fn read_expected_body_is_decoded() {
        assert_eq!(decode(200, Some("application/json"), r#"{"state":"pending"}"#), Ok(ChargeState::Pending));
    }

    #[test]
    fn read_200_with_other_body_is_invalid_response() {
        for body in [
            "",
            "OK",
            "{",
            "<html>",
            r#"{"state":"paid"}"#,
            r#"{"code":"bill-busy","status":409,"title":"t"}"#,
        ] {
            assert_eq!(decode(200, Some("application/json"), body), Err(Failure::InvalidResponse), "{body}");
        }
    }

    #[test]
    fn read_problem_keeps_its_code() {
        let body = r#"{"code":"bill-busy","status":409,"title":"another order is live"}"#;
        let busy = Err(Failure::Problem(ProblemCode::BillBusy));
        assert_eq!(decode(409, PROBLEM, body), busy);
        assert_eq!(decode(409, Some("Application/Problem+JSON; charset=utf-8"), body), busy);
    }

    #[test]
    fn read_inconsistent_problem_is_invalid_response() {
        let body = r#"{"code":"bill-busy","status":409,"title":"another order is live"}"#;
        assert_eq!(decode(400, PROBLEM, body), Err(Failure::InvalidResponse), "status contradicts code");
        assert_eq!(
            decode(409, Some("text/html"), body),
            Err(Failure::InvalidResponse),
            "another content type"
        );
        assert_eq!(
            decode(409, PROBLEM, r#"{"code":"sold-out"}"#),
            Err(Failure::InvalidResponse),
            "unknown code"
        );
        assert_eq!(decode(404, Some("text/html"), "not found"), Err(Failure::InvalidResponse));
        assert_eq!(decode(302, None, ""), Err(Failure::InvalidResponse));
        assert_eq!(decode(204, None, ""), Err(Failure::InvalidResponse));
    }

    #[test]
    fn read_gateway_error_is_unreachable() {
        for status in [502, 503, 504] {
            assert_eq!(decode(status, Some("text/html"), "<h1>Bad gateway"), Err(Failure::Unreachable));
        }
        let body = r#"{"code":"unavailable","status":503,"title":"the acquirer does not answer"}"#;
        assert_eq!(decode(503, PROBLEM, body), Err(Failure::Problem(ProblemCode::Unavailable)));
    }

    proptest! {
        #[test]
        fn read_any_response_does_not_panic(status: u16, body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode_body::<ChargeState>(ResponseHead { status, content_type: PROBLEM }, &body);
        }
    }
}
