//! The contract: who asked, when, and what is kept of it.

use serde_json::json;

use super::fixture::{DAY, Fixture, MINUTE, MORNING, department_key, id, signed};
use crate::department::*;

const FILE: &str = "[[query]]\noperation = \"q\"\nfields = [\"a\"]\n[[query.row]]\nvalues = { a = \"1\" }";

fn body() -> Vec<u8> {
    json!({ "request": id(1) }).to_string().into_bytes()
}

fn status(all: &mut Fixture, request: &SignedRequest) -> u16 {
    let answer = all.departments.handle("d", request, MORNING).unwrap();
    let message = answer_message(&request.signature, answer.status, answer.time_ms, &answer.body);
    assert!(department_key().public().verifies(&message, &answer.signature));
    answer.status
}

#[test]
fn request_that_is_not_the_platforms_is_refused_and_not_kept() {
    let mut all = Fixture::new(FILE);
    let good = || signed("POST", "/query/q", &body(), MORNING);
    let other = DepartmentKey::from_bytes(&[4; 32]).unwrap();
    let forged = other.sign(&request_message("POST", "d", "/query/q", MORNING, &body()));
    for wrong in [
        SignedRequest { signature: forged, ..good() },
        SignedRequest { signature: String::new(), ..good() },
        SignedRequest { target: "/query/other".into(), ..good() },
        SignedRequest { method: "GET".into(), ..good() },
        SignedRequest { body: json!({ "request": id(2) }).to_string().into_bytes(), ..good() },
        SignedRequest { time: (MORNING + 1).to_string(), ..good() },
        SignedRequest { time: format!("+{MORNING}"), ..good() },
        SignedRequest { platform: "other".into(), ..good() },
    ] {
        assert_eq!(status(&mut all, &wrong), 401);
    }
    assert!(all.departments.messages().unwrap().is_empty());
    assert_eq!(status(&mut all, &good()), 200);
}

#[test]
fn request_more_than_five_minutes_away_is_refused() {
    let mut all = Fixture::new(FILE);
    for (time_ms, expected) in [
        (MORNING - 5 * MINUTE, 200),
        (MORNING + 5 * MINUTE, 200),
        (MORNING - 5 * MINUTE - 1, 401),
        (MORNING + 5 * MINUTE + 1, 401),
        (MORNING - DAY, 401),
        (0, 401),
        (u64::MAX, 401),
    ] {
        assert_eq!(status(&mut all, &signed("POST", "/query/q", &body(), time_ms)), expected, "{time_ms}");
    }
}

#[test]
fn unknown_path_operation_and_malformed_body_have_their_status() {
    let mut all = Fixture::new(FILE);
    for (method, target, body, expected) in [
        ("POST", "/query/none", json!({ "request": id(1) }), 404),
        ("POST", "/query", json!({}), 404),
        ("GET", "/query/q", json!({}), 404),
        ("POST", "/query/q?a=1", json!({ "request": id(1) }), 404),
        ("POST", "/query/q", json!({}), 400),
        ("POST", "/query/q", json!({ "request": "1" }), 400),
        ("POST", "/query/q", json!({ "request": id(1), "input": { "a": 5 } }), 400),
        ("POST", "/tickets", json!({ "ticket": id(1), "operation": "q" }), 404),
        ("POST", "/submissions", json!({ "submission": id(1), "operation": "q" }), 404),
        ("POST", "/payments", json!({ "order": id(1) }), 400),
        ("DELETE", "/payments", json!({}), 404),
    ] {
        assert_eq!(all.send(method, target, &body).0, expected, "{method} {target} {body}");
    }
}

#[test]
fn messages_are_kept_and_can_be_proven() {
    let mut all = Fixture::new(FILE);
    let request = signed("POST", "/query/q", &body(), MORNING - 5);
    let answer = all.departments.handle("d", &request, MORNING).unwrap();
    let kept = all.departments.messages().unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!((kept[0].department.as_str(), kept[0].target.as_str()), ("d", "POST /query/q"));
    let (time_ms, hash, signature) = &kept[0].request;
    let message = format!("POST\nd/query/q\n{time_ms}\n{hash}");
    assert!(super::fixture::platform_key().public().verifies(&message, signature));
    let (time_ms, hash, by_department) = &kept[0].answer;
    let message = format!("ANSWER\n{signature}\n{}\n{time_ms}\n{hash}", kept[0].status);
    assert!(department_key().public().verifies(&message, by_department));
    assert_eq!((*time_ms, by_department), (answer.time_ms, &answer.signature));
}

#[test]
fn refused_request_is_kept_too() {
    let mut all = Fixture::new(FILE);
    assert_eq!(all.send("POST", "/query/none", &json!({ "request": id(1) })).0, 404);
    assert_eq!(all.departments.messages().unwrap()[0].status, 404);
}

#[test]
fn nonsense_is_executed_and_signed() {
    let mut all = Fixture::new(FILE);
    let request = signed("POST", "/query/q", &body(), MORNING);
    let answer = all.departments.handle_as("d", &request, MORNING, Answering::Nonsense).unwrap();
    let message = answer_message(&request.signature, 200, answer.time_ms, &answer.body);
    assert!(department_key().public().verifies(&message, &answer.signature));
    assert_eq!(answer.body, br#"{"rows":[{"no-such-field":"1"}]}"#);
}

#[test]
fn department_without_a_key_or_a_file_is_an_error() {
    let mut all = Fixture::new(FILE);
    let request = signed("POST", "/query/q", &body(), MORNING);
    assert!(matches!(all.departments.handle("e", &request, MORNING), Err(DepartmentsError::NoDepartment(_))));
    let db = rusqlite::Connection::open_in_memory().unwrap();
    let platform = PlatformIdentity { id: "p".into(), key: department_key().public() };
    let opened =
        Departments::open(db, super::fixture::data(FILE), std::collections::BTreeMap::new(), platform);
    assert!(matches!(opened, Err(DepartmentsError::NoKey(id)) if id == "d"));
}
