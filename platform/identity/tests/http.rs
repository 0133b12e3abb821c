//! Tests of the identity service over HTTP on loopback.
#![allow(clippy::unwrap_used, missing_docs)]

use identity::{RedeemAnswer, Register, shell};
use serde_json::json;

const RESIDENTS: &str = include_str!("../../../assets/residents.toml");

#[tokio::test]
async fn person_is_verified_and_ticket_redeemed_once() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let register = Register::from_toml(RESIDENTS).unwrap();
    let serving = tokio::spawn(shell::serve(listener, register, "http://127.0.0.1:1/", async {
        let _ = stopped.await;
    }));
    let post = async |path: &str, body: serde_json::Value| {
        let request = reqwest::Client::new().post(format!("{base}{path}"));
        let request = request.header("content-type", "application/json").body(body.to_string());
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let person = json!({ "name": "张桂英", "id_number": "500112194803150422" });
    let other = json!({ "name": "张桂芳", "id_number": "500112194803150422" });
    assert_eq!(post("/names", person.clone()).await, (200, r#"{"match":true}"#.to_owned()));
    assert_eq!(post("/names", other.clone()).await, (200, r#"{"match":false}"#.to_owned()));
    assert_eq!(post("/tickets", other).await.0, 403);

    let (status, body) = post("/tickets", person).await;
    assert_eq!(status, 200);
    let ticket: serde_json::Value = serde_json::from_str(&body).unwrap();
    let (status, body) = post("/tickets/redeem", ticket.clone()).await;
    let seen: RedeemAnswer = serde_json::from_str(&body).unwrap();
    assert_eq!((status, seen.name.as_str(), seen.assurance.as_str()), (200, "张桂英", "in-person"));
    assert_eq!(post("/tickets/redeem", ticket).await.0, 410);

    let page = reqwest::get(format!("{base}/check")).await.unwrap().text().await.unwrap();
    assert!(page.contains("returnsTo = \"http://127.0.0.1:1/\""));
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
}
