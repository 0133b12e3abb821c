//! Tests of the acquirer over HTTP on loopback, with each of its faults.

#![allow(clippy::unwrap_used)]

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;

use acquirer::{ChargeAnswer, ChargeLedger, LedgerEntry, OrderOutcome, shell};
use tokio::sync::oneshot;

struct RunningServer {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: tokio::task::JoinHandle<std::io::Result<()>>,
}

async fn start() -> RunningServer {
    let ledger = ChargeLedger::open(rusqlite::Connection::open_in_memory().unwrap()).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(shell::serve(listener, ledger, async move {
        let _ = stopped.await;
    }));
    RunningServer { address, stop, serving }
}

impl RunningServer {
    async fn send(
        &self,
        method: reqwest::Method,
        path: &str,
        body: String,
    ) -> reqwest::Result<(u16, String)> {
        let url = format!("http://{}{path}", self.address);
        let request = reqwest::Client::new().request(method, url).header("content-type", "application/json");
        let response = request.body(body).send().await?;
        Ok((response.status().as_u16(), response.text().await?))
    }

    async fn charge(&self, order: u32) -> reqwest::Result<(u16, String)> {
        let body = format!(
            r#"{{"order":"{order:032x}","total":8640,"account":"a-1","method":"wallet","bills":["w-1"]}}"#
        );
        self.send(reqwest::Method::POST, "/charges", body).await
    }

    async fn inquire(&self, order: u32) -> ChargeAnswer {
        let path = format!("/charges/{order:032x}/inquire");
        let (_, text) = self.send(reqwest::Method::POST, &path, String::new()).await.unwrap();
        serde_json::from_str(&text).unwrap()
    }

    async fn fault(&self, order: &str) {
        let (status, _) = self.send(reqwest::Method::POST, "/faults", order.to_owned()).await.unwrap();
        assert_eq!(status, 204);
    }
}

#[tokio::test]
async fn charge_is_answered_and_listed_and_server_stops() {
    let server = start().await;
    let (status, text) = server.charge(1).await.unwrap();
    let answer: ChargeAnswer = serde_json::from_str(&text).unwrap();
    assert_eq!(status, 200);
    assert!(matches!(answer.outcome, OrderOutcome::Paid { .. }), "{text}");
    let (_, listed) = server.send(reqwest::Method::GET, "/charges", String::new()).await.unwrap();
    let listed: Vec<LedgerEntry> = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed, [LedgerEntry { answer, bills: vec!["w-1".into()] }]);

    server.stop.send(()).unwrap();
    server.serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn drop_before_charges_nothing_and_drop_after_charges() {
    let server = start().await;
    server.fault(r#"{"fault":"drop-before","count":1}"#).await;
    assert!(server.charge(1).await.is_err());
    assert_eq!(server.inquire(1).await.outcome, OrderOutcome::Void);

    server.fault(r#"{"fault":"drop-after","count":1}"#).await;
    assert!(server.charge(2).await.is_err());
    assert!(matches!(server.inquire(2).await.outcome, OrderOutcome::Paid { .. }));
}

#[tokio::test]
async fn dropped_connection_sends_no_byte_of_an_answer() {
    let server = start().await;
    server.fault(r#"{"fault":"drop-after","count":1}"#).await;
    let address = server.address;
    let read = tokio::task::spawn_blocking(move || {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let request =
            format!("POST /charges/{:032x}/inquire HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n", 1);
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
    server.fault(r#"{"fault":"decline","count":1}"#).await;
    let (_, text) = server.charge(1).await.unwrap();
    assert_eq!(serde_json::from_str::<ChargeAnswer>(&text).unwrap().outcome, OrderOutcome::Declined);

    server.fault(r#"{"fault":"nonsense"}"#).await;
    let (status, text) = server.charge(2).await.unwrap();
    assert_eq!(status, 200);
    assert!(serde_json::from_str::<ChargeAnswer>(&text).is_err());
    server.send(reqwest::Method::DELETE, "/faults", String::new()).await.unwrap();
    assert!(matches!(server.inquire(2).await.outcome, OrderOutcome::Paid { .. }));
}

#[tokio::test]
async fn delayed_charge_after_an_inquiry_is_void() {
    let server = start().await;
    server.fault(r#"{"fault":"delay","ms":400,"count":1}"#).await;
    let timed_out = tokio::time::timeout(std::time::Duration::from_millis(100), server.charge(1)).await;
    assert!(timed_out.is_err());
    assert_eq!(server.inquire(1).await.outcome, OrderOutcome::Void);
    // The delayed charge arrives after the inquiry, which has fenced the order; a repeated charge is void too.
    let (_, text) = server.charge(1).await.unwrap();
    assert_eq!(serde_json::from_str::<ChargeAnswer>(&text).unwrap().outcome, OrderOutcome::Void);
}

#[tokio::test]
async fn malformed_body_is_400_and_conflict_is_409() {
    let server = start().await;
    assert_eq!(server.send(reqwest::Method::POST, "/charges", "{".into()).await.unwrap().0, 400);
    server.charge(1).await.unwrap();
    let other = format!(r#"{{"order":"{:032x}","total":1,"account":"a-1","method":"wallet","bills":[]}}"#, 1);
    assert_eq!(server.send(reqwest::Method::POST, "/charges", other).await.unwrap().0, 409);
}
