//! The department over real HTTP on loopback, with its faults.

#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;

use department::{Bill, Booking, Books, shell};
use reqwest::Method;
use tokio::sync::oneshot;

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: tokio::task::JoinHandle<std::io::Result<()>>,
}

async fn start() -> Running {
    let mut books = Books::open(rusqlite::Connection::open_in_memory().unwrap()).unwrap();
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
    Running { address, stop, serving }
}

impl Running {
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
async fn a_payment_whose_answer_was_lost_is_booked_once_when_it_is_sent_again() {
    let running = start().await;
    assert_eq!(running.open().await, 1);

    running.send(Method::POST, "/faults", r#"{"fault":"drop-before","count":1}"#).await.unwrap();
    assert!(running.send(Method::POST, "/payments", PAYMENT).await.is_err());
    assert_eq!(running.open().await, 1);

    running.send(Method::POST, "/faults", r#"{"fault":"drop-after","count":1}"#).await.unwrap();
    assert!(running.send(Method::POST, "/payments", PAYMENT).await.is_err());
    assert_eq!(running.open().await, 0);
    assert_eq!(running.send(Method::POST, "/payments", PAYMENT).await.unwrap().0, 204);

    let other = PAYMENT.replace("o-1", "o-2");
    assert_eq!(running.send(Method::POST, "/payments", &other).await.unwrap().0, 409);
    let (_, listed) = running.send(Method::GET, "/payments", "").await.unwrap();
    let listed: Vec<Booking> = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed, [Booking { key: "w-1".into(), order: "o-1".into(), amount: 8640 }]);

    running.stop.send(()).unwrap();
    running.serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn nonsense_comes_until_it_is_cleared() {
    let running = start().await;
    running.send(Method::POST, "/faults", r#"{"fault":"nonsense"}"#).await.unwrap();
    for _ in 0..2 {
        let (status, text) =
            running.send(Method::POST, "/bills", r#"{"id_number":"person-1"}"#).await.unwrap();
        assert_eq!(status, 200);
        assert!(serde_json::from_str::<Vec<Bill>>(&text).is_err());
    }
    running.send(Method::DELETE, "/faults", "").await.unwrap();
    assert_eq!(running.open().await, 1);
}
