//! The department: open bills, payments, and its faults.

use rusqlite::Connection;
use sandbox::department::{Bill, BillLedger, Booking, router};

use crate::fixture::RunningSandbox;

const PERSON: &str = r#"{"id_number":"person-1"}"#;
const PAYMENT: &str = r#"{"order":"o-1","reference":"SB1","bills":[{"key":"w-1","amount":8640}]}"#;

async fn start() -> RunningSandbox {
    let mut ledger = BillLedger::open(Connection::open_in_memory().unwrap()).unwrap();
    let bill = Bill {
        key: "w-1".into(),
        account: "W-1".into(),
        address: "渝中区".into(),
        period: "2026-10".into(),
        usage: "12 吨".into(),
        amount: 8640,
        payee: String::new(),
    };
    ledger.issue("person-1", &bill).unwrap();
    RunningSandbox::start(router(ledger)).await
}

async fn open_bills(server: &RunningSandbox) -> usize {
    let (_, text) = server.post("/bills", PERSON).await;
    serde_json::from_str::<Vec<Bill>>(&text).unwrap().len()
}

#[tokio::test]
async fn payment_with_lost_answer_is_booked_once_when_repeated() {
    let server = start().await;
    assert_eq!(open_bills(&server).await, 1);

    server.inject_fault(r#"{"fault":"drop-before","count":1}"#).await;
    server.post_without_answer("/payments", PAYMENT).await;
    assert_eq!(open_bills(&server).await, 1);

    server.inject_fault(r#"{"fault":"drop-after","count":1}"#).await;
    server.post_without_answer("/payments", PAYMENT).await;
    assert_eq!(open_bills(&server).await, 0);
    assert_eq!(server.post("/payments", PAYMENT).await, (204, String::new()));

    let other = PAYMENT.replace("o-1", "o-2");
    assert_eq!(server.post("/payments", &other).await.0, 409);
    let listed: Vec<Booking> = server.get("/payments").await;
    assert_eq!(listed, [Booking { key: "w-1".into(), order: "o-1".into(), amount: 8640 }]);
    server.stop().await;
}

#[tokio::test]
async fn invalid_responses_last_until_faults_are_cleared() {
    let server = start().await;
    server.inject_fault(r#"{"fault":"nonsense"}"#).await;
    for _ in 0..2 {
        let (status, text) = server.post("/bills", PERSON).await;
        assert_eq!(status, 200);
        assert!(serde_json::from_str::<Vec<Bill>>(&text).is_err());
    }
    server.clear_faults().await;
    assert_eq!(open_bills(&server).await, 1);
}

#[tokio::test]
async fn decline_is_refused_and_other_faults_stay_in_force() {
    let server = start().await;
    assert_eq!(server.post("/faults", r#"{"fault":"decline"}"#).await.0, 422);
    assert_eq!(server.post("/faults", r#"{"fault":"no-such-fault"}"#).await.0, 422);
    assert_eq!(open_bills(&server).await, 1);
}
