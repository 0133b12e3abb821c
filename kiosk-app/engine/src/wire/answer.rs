//! What an HTTP answer means for the kiosk: the one place where a status, a type and a body are judged.

use contract::Problem;
use serde::de::DeserializeOwned;
use session::Failure;

/// Status line and type of an answer whose body was read whole.
#[derive(Clone, Copy)]
pub struct Head<'a> {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type` as sent.
    pub content_type: Option<&'a str>,
}

/// Judges an answer. *Unreachable* means that it may or may not have been done; *a problem* means that the
/// platform itself refused; everything else that is not the expected body is *nonsense*.
pub(super) fn read<T: DeserializeOwned>(head: Head<'_>, body: &[u8]) -> Result<T, Failure> {
    match head.status {
        200 => serde_json::from_slice(body).map_err(|_| Failure::Nonsense),
        400..=599 => Err(refusal(head, body)),
        _ => Err(Failure::Nonsense),
    }
}

fn refusal(head: Head<'_>, body: &[u8]) -> Failure {
    let is_problem = head.content_type.is_some_and(|kind| {
        kind.split(';')
            .next()
            .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/problem+json"))
    });
    match serde_json::from_slice::<Problem>(body) {
        // A refusal whose status belies its code comes from something that is not the platform.
        Ok(problem) if is_problem && problem.code.status() == head.status => Failure::Problem(problem.code),
        // A gateway before the platform says so when it cannot reach it, or lost the answer on the way.
        Ok(_) | Err(_) if matches!(head.status, 502..=504) => Failure::Unreachable,
        Ok(_) | Err(_) => Failure::Nonsense,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{ChargeState, ProblemCode};
    use proptest::prelude::*;

    const PROBLEM: Option<&str> = Some("application/problem+json");

    fn judged(status: u16, content_type: Option<&str>, body: &str) -> Result<ChargeState, Failure> {
        read(Head { status, content_type }, body.as_bytes())
    }

    #[test]
    fn the_expected_body_is_the_answer() {
        assert_eq!(judged(200, Some("application/json"), r#"{"state":"pending"}"#), Ok(ChargeState::Pending));
    }

    #[test]
    fn two_hundred_with_anything_else_is_nonsense() {
        for body in [
            "",
            "OK",
            "{",
            "<html>",
            r#"{"state":"paid"}"#,
            r#"{"code":"bill-busy","status":409,"title":"t"}"#,
        ] {
            assert_eq!(judged(200, Some("application/json"), body), Err(Failure::Nonsense), "{body}");
        }
    }

    #[test]
    fn a_refusal_of_the_platform_keeps_its_code() {
        let body = r#"{"code":"bill-busy","status":409,"title":"another order is live"}"#;
        let busy = Err(Failure::Problem(ProblemCode::BillBusy));
        assert_eq!(judged(409, PROBLEM, body), busy);
        assert_eq!(judged(409, Some("Application/Problem+JSON; charset=utf-8"), body), busy);
    }

    #[test]
    fn a_refusal_that_the_platform_cannot_have_made_is_nonsense() {
        let body = r#"{"code":"bill-busy","status":409,"title":"another order is live"}"#;
        assert_eq!(judged(400, PROBLEM, body), Err(Failure::Nonsense), "status belies code");
        assert_eq!(judged(409, Some("text/html"), body), Err(Failure::Nonsense), "another type");
        assert_eq!(judged(409, PROBLEM, r#"{"code":"sold-out"}"#), Err(Failure::Nonsense), "unknown code");
        assert_eq!(judged(404, Some("text/html"), "not found"), Err(Failure::Nonsense));
        assert_eq!(judged(302, None, ""), Err(Failure::Nonsense));
        assert_eq!(judged(204, None, ""), Err(Failure::Nonsense));
    }

    #[test]
    fn a_gateway_without_its_platform_is_unreachable() {
        for status in [502, 503, 504] {
            assert_eq!(judged(status, Some("text/html"), "<h1>Bad gateway"), Err(Failure::Unreachable));
        }
        let body = r#"{"code":"unavailable","status":503,"title":"the acquirer does not answer"}"#;
        assert_eq!(judged(503, PROBLEM, body), Err(Failure::Problem(ProblemCode::Unavailable)));
    }

    proptest! {
        #[test]
        fn no_answer_panics(status: u16, body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read::<ChargeState>(Head { status, content_type: PROBLEM }, &body);
        }
    }
}
