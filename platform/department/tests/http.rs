//! Tests of the department over HTTP on loopback, with its faults.

#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;

use department::{Bill, BillLedger, Booking, shell};
use reqwest::Method;
use tokio::sync::oneshot;

struct RunningServer {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: tokio::task::JoinHandle<std::io::Result<()>>,
}

async fn start() -> RunningServer {
    let mut books = BillLedger::open(rusqlite::Connection::open_in_memory().unwrap()).unwrap();
    let bill = Bill {
        key: "w-1".into(),
        account: "W-1".into(),
        address: "渝中区".into(),
        period: "2026-10".into(),
        usage: "12 吨".into(),
        amount: 8640,
        payee: String::new(),
    };
    books.issue("person-1", &bill).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(shell::serve(listener, books, async move {
        let _ = stopped.await;
    }));
    RunningServer { address, stop, serving }
}

impl RunningServer {
    async fn send(&self, method: Method, path: &str, body: &str) -> reqwest::Result<(u16, String)> {
        let url = format!("http://{}{path}", self.address);
        let request = reqwest::Client::new().request(method, url).header("content-type", "application/json");
        let response = request.body(body.to_owned()).send().await?;
        Ok((response.status().as_u16(), response.text().await?))
    }

    async fn open(&self) -> usize {
        let (_, text) = self.send(Method::POST, "/bills", r#"{"id_number":"person-1"}"#).await.unwrap();
        serde_json::from_str::<Vec<Bill>>(&text).unwrap().len()
    }
}

const PAYMENT: &str = r#"{"order":"o-1","reference":"SB1","bills":[{"key":"w-1","amount":8640}]}"#;

#[tokio::test]
async fn payment_with_lost_answer_is_booked_once_when_repeated() {
    let server = start().await;
    assert_eq!(server.open().await, 1);

    server.send(Method::POST, "/faults", r#"{"fault":"drop-before","count":1}"#).await.unwrap();
    assert!(server.send(Method::POST, "/payments", PAYMENT).await.is_err());
    assert_eq!(server.open().await, 1);

    server.send(Method::POST, "/faults", r#"{"fault":"drop-after","count":1}"#).await.unwrap();
    assert!(server.send(Method::POST, "/payments", PAYMENT).await.is_err());
    assert_eq!(server.open().await, 0);
    assert_eq!(server.send(Method::POST, "/payments", PAYMENT).await.unwrap().0, 204);

    let other = PAYMENT.replace("o-1", "o-2");
    assert_eq!(server.send(Method::POST, "/payments", &other).await.unwrap().0, 409);
    let (_, listed) = server.send(Method::GET, "/payments", "").await.unwrap();
    let listed: Vec<Booking> = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed, [Booking { key: "w-1".into(), order: "o-1".into(), amount: 8640 }]);

    server.stop.send(()).unwrap();
    server.serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn invalid_responses_last_until_faults_are_cleared() {
    let server = start().await;
    server.send(Method::POST, "/faults", r#"{"fault":"nonsense"}"#).await.unwrap();
    for _ in 0..2 {
        let (status, text) =
            server.send(Method::POST, "/bills", r#"{"id_number":"person-1"}"#).await.unwrap();
        assert_eq!(status, 200);
        assert!(serde_json::from_str::<Vec<Bill>>(&text).is_err());
    }
    server.send(Method::DELETE, "/faults", "").await.unwrap();
    assert_eq!(server.open().await, 1);
}
