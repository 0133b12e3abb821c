//! The identity service: names, tickets, and its page.

use sandbox::identity::{RedeemAnswer, Register, router};
use serde_json::json;

use crate::fixture::RunningSandbox;

const RESIDENTS: &str = include_str!("../../../../assets/residents.toml");

async fn start() -> RunningSandbox {
    let register = Register::from_toml(RESIDENTS).unwrap();
    RunningSandbox::start(router(register, "http://127.0.0.1:1/")).await
}

#[tokio::test]
async fn person_is_verified_and_ticket_redeemed_once() {
    let server = start().await;
    let person = json!({ "name": "张桂英", "id_number": "500112194803150422" }).to_string();
    let other = json!({ "name": "张桂芳", "id_number": "500112194803150422" }).to_string();
    assert_eq!(server.post("/names", &person).await, (200, r#"{"match":true}"#.to_owned()));
    assert_eq!(server.post("/names", &other).await, (200, r#"{"match":false}"#.to_owned()));
    assert_eq!(server.post("/tickets", &other).await.0, 403);

    let (status, ticket) = server.post("/tickets", &person).await;
    assert_eq!(status, 200);
    let (status, body) = server.post("/tickets/redeem", &ticket).await;
    let seen: RedeemAnswer = serde_json::from_str(&body).unwrap();
    assert_eq!((status, seen.name.as_str(), seen.assurance.as_str()), (200, "张桂英", "in-person"));
    assert_eq!(server.post("/tickets/redeem", &ticket).await.0, 410);

    let credential = json!({ "credential": seen.credential }).to_string();
    assert_eq!(server.post("/credentials", &credential).await, (200, r#"{"standing":"valid"}"#.to_owned()));
    assert_eq!(server.post("/credentials/end", &person).await.0, 204);
    assert_eq!(server.post("/credentials", &credential).await, (200, r#"{"standing":"ended"}"#.to_owned()));

    let page = reqwest::get(format!("http://{}/check", server.address)).await.unwrap().text().await.unwrap();
    assert!(page.contains("returnsTo = \"http://127.0.0.1:1/\""));
    server.stop().await;
}

#[tokio::test]
async fn identity_service_takes_no_faults() {
    let server = start().await;
    assert_eq!(server.post("/faults", r#"{"fault":"drop-before"}"#).await.0, 404);
    server.stop().await;
}
