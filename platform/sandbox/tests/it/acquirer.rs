//! The acquirer: charges, inquiries, and its faults.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use rusqlite::Connection;
use sandbox::acquirer::{ChargeAnswer, ChargeLedger, LedgerEntry, OrderOutcome, PaidOrders, router};

use crate::fixture::RunningSandbox;

async fn start() -> RunningSandbox {
    let ledger = ChargeLedger::open(Connection::open_in_memory().unwrap()).unwrap();
    RunningSandbox::start(router(ledger)).await
}

fn charge_body(order: u32) -> String {
    format!(r#"{{"order":"{order:032x}","total":8640,"account":"a-1","method":"wallet","bills":["w-1"]}}"#)
}

fn inquiry_path(order: u32) -> String {
    format!("/charges/{order:032x}/inquire")
}

async fn charge(server: &RunningSandbox, order: u32) -> ChargeAnswer {
    let (status, text) = server.post("/charges", &charge_body(order)).await;
    assert_eq!(status, 200);
    serde_json::from_str(&text).unwrap()
}

async fn inquire(server: &RunningSandbox, order: u32) -> OrderOutcome {
    let (_, text) = server.post(&inquiry_path(order), "").await;
    serde_json::from_str::<ChargeAnswer>(&text).unwrap().outcome
}

#[tokio::test]
async fn charge_is_answered_and_listed_and_server_stops() {
    let server = start().await;
    let answer = charge(&server, 1).await;
    assert!(matches!(answer.outcome, OrderOutcome::Paid { .. }), "{answer:?}");
    let listed: Vec<LedgerEntry> = server.get("/charges").await;
    let orders: Vec<_> = listed.iter().map(|entry| (&entry.answer, entry.bills.join(" "))).collect();
    assert_eq!(orders, [(&answer, "w-1".to_owned())]);
    let (status, page) = server.post("/charges/list", r#"{"since":0,"after":0}"#).await;
    let page: PaidOrders = serde_json::from_str(&page).unwrap();
    assert_eq!((status, page), (200, PaidOrders { entries: listed, next: None }));
    server.stop().await;
}

#[tokio::test]
async fn drop_before_charges_nothing_and_drop_after_charges() {
    let server = start().await;
    server.inject_fault(r#"{"fault":"drop-before","count":1}"#).await;
    server.post_without_answer("/charges", &charge_body(1)).await;
    assert_eq!(inquire(&server, 1).await, OrderOutcome::Void);

    server.inject_fault(r#"{"fault":"drop-after","count":1}"#).await;
    server.post_without_answer("/charges", &charge_body(2)).await;
    assert!(matches!(inquire(&server, 2).await, OrderOutcome::Paid { .. }));
}

#[tokio::test]
async fn dropped_connection_sends_no_byte_of_an_answer() {
    let server = start().await;
    server.inject_fault(r#"{"fault":"drop-after","count":1}"#).await;
    let address = server.address;
    let read = tokio::task::spawn_blocking(move || {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let request = format!("POST {} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n", inquiry_path(1));
        stream.write_all(request.as_bytes()).unwrap();
        let mut read = Vec::new();
        let _ = stream.read_to_end(&mut read);
        read
    });
    assert_eq!(read.await.unwrap(), b"");
}

#[tokio::test]
async fn decline_invalid_response_and_clear_have_effect() {
    let server = start().await;
    server.inject_fault(r#"{"fault":"decline","count":1}"#).await;
    assert_eq!(charge(&server, 1).await.outcome, OrderOutcome::Declined);

    server.inject_fault(r#"{"fault":"nonsense"}"#).await;
    let (status, text) = server.post("/charges", &charge_body(2)).await;
    assert_eq!(status, 200);
    assert!(serde_json::from_str::<ChargeAnswer>(&text).is_err());
    server.clear_faults().await;
    assert!(matches!(inquire(&server, 2).await, OrderOutcome::Paid { .. }));
}

#[tokio::test]
async fn delayed_charge_after_an_inquiry_is_void() {
    let server = start().await;
    server.inject_fault(r#"{"fault":"delay","ms":400,"count":1}"#).await;
    let timed_out = tokio::time::timeout(Duration::from_millis(100), charge(&server, 1)).await;
    assert!(timed_out.is_err());
    assert_eq!(inquire(&server, 1).await, OrderOutcome::Void);
    // The delayed charge arrives after the inquiry, which has fenced the order; a repeated charge is void too.
    assert_eq!(charge(&server, 1).await.outcome, OrderOutcome::Void);
}

#[tokio::test]
async fn malformed_body_is_400_and_conflict_is_409() {
    let server = start().await;
    assert_eq!(server.post("/charges", "{").await.0, 400);
    charge(&server, 1).await;
    let other = charge_body(1).replace("8640", "1");
    assert_eq!(server.post("/charges", &other).await.0, 409);
}
