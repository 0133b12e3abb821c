//! The gateway to departments: whose answers count, what is given to a kiosk, and what becomes of a submission.

use std::collections::BTreeMap;

use contract::{
    Bilingual, CallAnswer, DepartmentId, DepartmentKey, Entry, Level, OrderId, ProblemCode, Pseudonym,
    SecretKey, SubmissionId, TicketId, VisitId, routes, sm3,
};
use sandbox::department::Answering;
use server::{PeerAnswer, PeerCall, PeerUnreachable, PlatformReply, PlatformSetup};
use zeroize::Zeroizing;

use crate::fixture::{
    CityFixture, DOCUMENTS, TestKiosk, ZHANG_GUIYING, answer_or_problem, call_request, order_for, setup,
};
use crate::publications::publication;
use crate::records::{KioskLog, send};

/// The answer of the kiosk's request for the balance, when the department's answer is changed like this.
fn with_changed_answer(
    change: impl Fn(&PeerCall, PeerAnswer) -> PeerAnswer,
) -> (CityFixture, Result<CallAnswer, ProblemCode>) {
    let mut city = CityFixture::new();
    let key = city.visit_by_card(TestKiosk::One, ZHANG_GUIYING).key.clone();
    let request = call_request(&key, "medical.balance", "medical.balance", None);
    let request = city.signed_post(TestKiosk::One, routes::CALLS.path, &request);
    let PlatformReply::CallPeer(call) = city.handle(&request) else { panic!("the department must be asked") };
    let answer = city.serve(&call);
    let reply = city.resume(&call, Ok(change(&call, answer)));
    let PlatformReply::Answer(response) = reply else { panic!("it was asked once") };
    (city, answer_or_problem(&response))
}

/// Signs an answer with this key.
fn signed(call: &PeerCall, key: &SecretKey, answer: PeerAnswer) -> PeerAnswer {
    let request = call.headers.as_ref().unwrap().signature.to_string();
    let time = answer.time.clone().unwrap();
    let bytes = contract::answer_bytes_to_sign(&request, answer.status, &time, &answer.body);
    PeerAnswer { signature: Some(key.sign(&bytes).to_string()), ..answer }
}

fn key_of(department: &str) -> SecretKey {
    SecretKey::from_bytes(&sm3(&[department.as_bytes()])).unwrap()
}

#[test]
fn answer_that_its_department_did_not_sign_is_not_used() {
    type Change = fn(&PeerCall, PeerAnswer) -> PeerAnswer;
    let changes: [(&str, Change); 5] = [
        ("no signature", |_, answer| PeerAnswer { signature: None, ..answer }),
        ("another body", |_, answer| {
            let body = String::from_utf8(answer.body).unwrap().replace("128640", "999999").into_bytes();
            PeerAnswer { body, ..answer }
        }),
        ("another status", |_, answer| PeerAnswer { status: 422, ..answer }),
        ("another department", |call, answer| signed(call, &key_of("water"), answer)),
        ("another time", |_, answer| {
            let time = answer.time.unwrap().parse::<u64>().unwrap() + 1;
            PeerAnswer { time: Some(time.to_string()), ..answer }
        }),
    ];
    for (what, change) in changes {
        let (mut city, answer) = with_changed_answer(change);
        assert_eq!(answer.err(), Some(ProblemCode::Unavailable), "{what}");
        assert!(city.page("/admin").1.contains("is not signed with its key"), "{what}");
    }
    let (mut city, answer) = with_changed_answer(|_, answer| answer);
    assert_eq!(answer.unwrap().rows[0]["balance"], "128640");
    assert!(!city.page("/admin").1.contains("is not signed with its key"));
}

#[test]
fn answer_with_a_wrong_time_is_not_used() {
    let (mut city, answer) = with_changed_answer(|call, answer| {
        let time = answer.time.clone().unwrap().parse::<u64>().unwrap() - 300_001;
        signed(call, &key_of("medical"), PeerAnswer { time: Some(time.to_string()), ..answer })
    });
    assert_eq!(answer.err(), Some(ProblemCode::Unavailable));
    assert!(city.page("/admin").1.contains("clock differs by more than five minutes"));
}

#[test]
fn proxy_that_answers_for_a_dead_department_is_no_incident() {
    let (mut city, answer) = with_changed_answer(|_, _| PeerAnswer::unsigned(502, b"<html>".to_vec()));
    assert_eq!(answer.err(), Some(ProblemCode::Unavailable));
    assert!(!city.page("/admin").1.contains("is not signed with its key"));
}

#[test]
fn rows_of_another_shape_are_not_used_and_an_incident() {
    for body in [
        "[]",
        "{}",
        r#"{"rows":[{"balance":"1"}]}"#,
        r#"{"rows":[{"balance":"-1","as-of":"2026-11-30","status":"","insurance":""}]}"#,
        r#"{"rows":[{"balance":"1","as-of":"30.11.2026","status":"","insurance":""}]}"#,
        r#"{"rows":[{"balance":"1","as-of":"2026-11-30","status":"a\nb","insurance":""}]}"#,
    ] {
        let (mut city, answer) = with_changed_answer(|call, answer| {
            signed(call, &key_of("medical"), PeerAnswer { body: body.into(), ..answer })
        });
        assert_eq!(answer.err(), Some(ProblemCode::Unavailable), "{body}");
        assert!(city.page("/admin").1.contains("has not the declared fields"), "{body}");
    }
}

#[test]
fn refusal_of_a_department_reaches_the_kiosk_in_its_words() {
    let refusal = |text: &str| format!(r#"{{"refused":{{"zh":"{text}","en":"No"}}}}"#);
    let changed = |body: String| {
        with_changed_answer(move |call, answer| {
            signed(call, &key_of("medical"), PeerAnswer { status: 422, body: body.clone().into(), ..answer })
        })
        .1
    };
    let refused = changed(refusal("您的账户已转出")).unwrap();
    assert_eq!(refused.refused, Some(Bilingual { zh: "您的账户已转出".into(), en: "No".into() }));
    assert!(refused.rows.is_empty());
    for bad in [refusal(""), refusal(&"长".repeat(101)), "{}".to_owned()] {
        assert_eq!(changed(bad.clone()).err(), Some(ProblemCode::Unavailable), "{bad}");
    }
}

#[test]
fn fields_that_no_step_declares_stay_at_the_platform() {
    let document = DOCUMENTS[1]
        .replace("insurance = { type = \"text\", zh = \"参保类型\", en = \"Insurance type\" }\n", "");
    let document = document.replace(", \"insurance\"]", "]");
    let setup = PlatformSetup { publication: publication([document]), ..setup() };
    let mut city = CityFixture::with(setup);
    let key = city.visit_by_card(TestKiosk::One, ZHANG_GUIYING).key.clone();
    let rows = city.call(TestKiosk::One, &key, "medical.balance", "medical.balance", None).unwrap();
    assert_eq!(rows[0].keys().collect::<Vec<_>>(), ["as-of", "balance", "status"]);
}

#[test]
fn call_with_other_inputs_than_declared_is_malformed() {
    let mut city = CityFixture::new();
    let key = city.visit_by_card(TestKiosk::One, ZHANG_GUIYING).key.clone();
    for (input, ticket) in [(&[("account", "1")][..], None), (&[], Some(TicketId::from_entropy(1)))] {
        let answer = city.call_with(&key, "water.pay", "water.bills", input, ticket);
        assert_eq!(answer.err(), Some(ProblemCode::Malformed));
    }
}

#[test]
fn nonsense_of_a_department_charges_nothing() {
    let mut city = CityFixture::new();
    let request = city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
    city.departments.answering = Answering::Nonsense;
    assert_eq!(city.charge(TestKiosk::One, &request), Err(ProblemCode::Unavailable));
    assert!(city.orders_charged_for(&request.items[0].key).is_empty());
    city.departments.answering = Answering::Normal;
    city.charge(TestKiosk::One, &request).unwrap();
    assert_eq!(city.orders_charged_for(&request.items[0].key).len(), 1);
}

#[test]
fn bill_is_known_by_its_department_and_key() {
    let mut city = CityFixture::new();
    let key = city.visit_by_card(TestKiosk::One, ZHANG_GUIYING).key.clone();
    let rows = city.bills(TestKiosk::One, &key);
    assert!(rows.iter().all(|row| row["bill"].starts_with("water/")), "{rows:?}");
    let mut other = order_for(OrderId::from_entropy(5), key, &rows[..1]);
    other.items[0].key = other.items[0].key.replace("water/", "gas/");
    assert_eq!(city.charge(TestKiosk::One, &other), Err(ProblemCode::BillChanged));
}

fn submission(id: u128, resident: Pseudonym, phone: &str) -> Entry {
    let name = Bilingual { zh: "社保".into(), en: "Social insurance".into() };
    let id_of: DepartmentId = "social-insurance".parse().unwrap();
    let key = DepartmentKey { id: id_of, name, key: key_of("social-insurance").public() };
    let input = BTreeMap::from([("phone".to_owned(), Zeroizing::new(phone.to_owned()))]);
    let sealed = key.seal(None, &input, &Zeroizing::new([u8::try_from(id).unwrap(); 32]));
    Entry::Submitted {
        submission: SubmissionId::from_entropy(id),
        visit: VisitId::from_entropy(9),
        resident,
        service: "pension.certify".into(),
        version: 1,
        call: "pension.certify".into(),
        sealed: sealed.sealed,
        hash: sealed.hash,
        level: Level::Recognised,
        offline: false,
    }
}

/// A city with a submission in the records of its first kiosk.
fn city_with_submissions(of: impl Fn(Pseudonym) -> Vec<Entry>) -> CityFixture {
    let mut city = CityFixture::new();
    let resident = city.visit_by_card(TestKiosk::One, ZHANG_GUIYING).resident;
    let mut log = KioskLog::new(TestKiosk::One, 1);
    let entries = of(resident);
    entries.iter().for_each(|entry| log.append_entry(entry));
    send(&mut city, TestKiosk::One, &log.batch(0, entries.len())).unwrap();
    city
}

/// The department's call, answered like this.
fn answer_submissions(city: &mut CityFixture, status: u16, body: &str) -> Vec<PeerCall> {
    let calls = city.platform.due_calls(city.now);
    for call in &calls {
        let answer =
            PeerAnswer { time: Some(city.now.0.to_string()), ..PeerAnswer::unsigned(status, body.into()) };
        let answer = signed(call, &key_of("social-insurance"), answer);
        city.resume(call, Ok(answer));
    }
    calls
}

fn targets(calls: &[PeerCall]) -> Vec<&str> {
    calls.iter().map(|call| call.target.as_str()).collect()
}

#[test]
fn submission_is_delivered_until_the_department_has_it() {
    let mut city = city_with_submissions(|resident| vec![submission(1, resident, "13800000000")]);
    for _ in 0..3 {
        let calls = city.platform.due_calls(city.now);
        assert_eq!(targets(&calls), ["/submissions"]);
        let body = String::from_utf8(calls[0].body.clone()).unwrap();
        assert!(body.contains("500112194803150422") && body.contains("\"claimed\":true"));
        assert!(!body.contains("13800000000"), "what was entered is sealed to the department");
        city.resume(&calls[0], Err(PeerUnreachable));
        assert!(city.platform.due_calls(city.now).is_empty());
        city.advance(600_000);
    }
    answer_submissions(&mut city, 200, r#"{"state":"accepted","number":"渝人社受2026-001234"}"#);
    assert!(city.platform.due_calls(city.now).is_empty());

    // Asked about until it is decided, and then no more.
    city.advance(120_000);
    let calls =
        answer_submissions(&mut city, 200, r#"{"state":"done","text":{"zh":"已认证","en":"Confirmed"}}"#);
    assert_eq!(targets(&calls), ["/submissions/state"]);
    city.advance(30 * 86_400_000);
    assert!(city.platform.due_calls(city.now).is_empty());
}

#[test]
fn same_record_delivered_again_is_the_same_submission() {
    let mut city = CityFixture::new();
    let resident = city.visit_by_card(TestKiosk::One, ZHANG_GUIYING).resident;
    let mut log = KioskLog::new(TestKiosk::One, 1);
    log.append_entry(&submission(1, resident, "13800000000"));
    send(&mut city, TestKiosk::One, &log.batch(0, 1)).unwrap();
    let mut restated = KioskLog::new(TestKiosk::One, 2);
    let record = Box::new(submission(1, resident, "13800000000"));
    restated.append_entry(&Entry::Restated { epoch: 1, seq: 1, time: city.now, record });
    send(&mut city, TestKiosk::One, &restated.batch(0, 1)).unwrap();
    assert_eq!(targets(&answer_submissions(&mut city, 200, r#"{"state":"done"}"#)), ["/submissions"]);
    city.advance(86_400_000);
    assert!(city.platform.due_calls(city.now).is_empty());
}

#[test]
fn department_with_another_submission_of_this_id_is_an_incident() {
    let mut city = city_with_submissions(|resident| vec![submission(1, resident, "13800000000")]);
    answer_submissions(&mut city, 409, "{}");
    assert!(city.page("/admin").1.contains("another submission with this id"));
    city.advance(86_400_000);
    assert!(city.platform.due_calls(city.now).is_empty());
}

#[test]
fn answer_without_a_state_is_asked_for_again() {
    for (status, body) in
        [(200, "{}"), (200, r#"{"state":"queued"}"#), (200, r#"{"state":"lost"}"#), (500, ""), (404, "{}")]
    {
        let mut city = city_with_submissions(|resident| vec![submission(1, resident, "13800000000")]);
        answer_submissions(&mut city, status, body);
        city.advance(600_000);
        assert_eq!(targets(&city.platform.due_calls(city.now)), ["/submissions"], "{status} {body}");
        let is_incident = city.page("/admin").1.contains("does not know the submission&#39;s operation");
        assert_eq!(is_incident, status == 404, "{status} {body}");
    }
}

#[test]
fn submission_of_a_forgotten_resident_is_delivered_without_name() {
    let mut city =
        city_with_submissions(|_| vec![submission(1, Pseudonym::from_entropy(404), "13800000000")]);
    assert!(city.page("/admin").1.contains("names a resident whom this database does not know"));
    let calls = answer_submissions(&mut city, 200, r#"{"state":"done"}"#);
    assert_eq!(targets(&calls), ["/submissions"]);
    let body: serde_json::Value = serde_json::from_slice(&calls[0].body).unwrap();
    assert_eq!(body.get("person"), None);
    city.advance(86_400_000);
    assert!(city.platform.due_calls(city.now).is_empty());
}
