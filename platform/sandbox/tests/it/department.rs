//! The departments over HTTP: the contract, as a platform uses it, and their faults.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use reqwest::Method;
use rusqlite::Connection;
use sandbox::department::{
    Booking, DepartmentKey, Departments, OpenBill, PlatformIdentity, PublicKey, answer_message,
    department_keys, read_departments, request_message, router,
};
use serde_json::{Value, json};

use crate::fixture::RunningSandbox;

const ZHANG: &str = "500112194803150422";
const BILL: (&str, i64) = ("w-013-2026-10", 8640);

/// The departments of the demo, and the platform that asks them.
struct City {
    server: RunningSandbox,
    platform: DepartmentKey,
    departments: BTreeMap<String, PublicKey>,
    _keys: tempfile::TempDir,
}

fn id(number: u32) -> String {
    format!("{number:032x}")
}

fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

impl City {
    async fn start() -> Self {
        let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets");
        let data = read_departments(&assets.join("departments"), &assets.join("residents.toml")).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let keys = department_keys(directory.path(), data.ids()).unwrap();
        let platform = DepartmentKey::from_bytes(&[3; 32]).unwrap();
        let identity = PlatformIdentity { id: "platform".into(), key: platform.public() };
        let all = Departments::open(Connection::open_in_memory().unwrap(), data, keys, identity).unwrap();
        let departments = all.ids().map(|id| (id.to_owned(), all.public_key(id).unwrap())).collect();
        Self { server: RunningSandbox::start(router(all)).await, platform, departments, _keys: directory }
    }

    /// Sends a request that covers `signed_target`, and checks the signature of the answer.
    async fn send_signed_for(
        &self,
        signed_target: &str,
        method: Method,
        department: &str,
        target: &str,
        body: &str,
    ) -> reqwest::Result<(u16, Value)> {
        let time_ms = now_ms();
        let message = request_message(method.as_str(), department, signed_target, time_ms, body.as_bytes());
        let signature = self.platform.sign(&message);
        let url = format!("http://{}/{department}{target}", self.server.address);
        let request = reqwest::Client::new()
            .request(method, url)
            .header("x-device", "platform")
            .header("x-time", time_ms)
            .header("x-signature", &signature)
            .body(body.to_owned());
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        let (answered_ms, by_department) = (header("x-time").parse().unwrap(), header("x-signature"));
        let body = answer.bytes().await?;
        assert!(now_ms().abs_diff(answered_ms) < 60_000);
        let message = answer_message(&signature, status, answered_ms, &body);
        assert!(
            self.departments[department].verifies(&message, &by_department),
            "{department}{target} {status}"
        );
        Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
    }

    async fn send(&self, department: &str, target: &str, body: &Value) -> (u16, Value) {
        self.send_signed_for(target, Method::POST, department, target, &body.to_string()).await.unwrap()
    }

    async fn query(&self, department: &str, operation: &str) -> Value {
        let person = json!({ "id_number": ZHANG, "name": "张桂英" });
        let body = json!({ "request": id(1), "person": person, "input": {}, "level": "recognised" });
        let (status, answer) = self.send(department, &format!("/query/{operation}"), &body).await;
        assert_eq!(status, 200, "{answer}");
        answer["rows"].clone()
    }

    fn payment(order: u32) -> Value {
        let bills = json!([{ "key": BILL.0, "amount": BILL.1 }]);
        json!({ "order": id(order), "reference": "A1", "paid_ms": now_ms(), "bills": bills })
    }

    async fn pay(&self, order: u32) -> u16 {
        self.send("water", "/payments", &Self::payment(order)).await.0
    }

    async fn pay_without_answer(&self, order: u32) {
        let body = Self::payment(order).to_string();
        let sent = self.send_signed_for("/payments", Method::POST, "water", "/payments", &body).await;
        assert!(sent.is_err());
    }

    async fn bills(&self) -> usize {
        self.query("water", "water.bills").await.as_array().unwrap().len()
    }

    async fn inject(&self, department: &str, fault: &str) {
        assert_eq!(self.server.post(&format!("/{department}/faults"), fault).await.0, 204);
    }
}

#[tokio::test]
async fn departments_answer_below_their_own_paths() {
    let city = City::start().await;
    assert_eq!(city.bills().await, 3);
    let account = city.query("medical", "medical.balance").await;
    assert_eq!((&account[0]["balance"], &account[0]["status"]), (&json!("128640"), &json!("退休")));
    let proof = city.query("social-insurance", "insurance.proof").await;
    assert_eq!(proof[0]["months"], "312");
    assert!(proof[0]["number"].as_str().unwrap().starts_with("渝社保证-"));
    assert_eq!(proof[0]["issued"].as_str().unwrap().len(), 10);
    // A department answers for its own operations only.
    let body = json!({ "request": id(1) });
    assert_eq!(city.send("medical", "/query/water.bills", &body).await.0, 404);
    assert_eq!(city.server.post("/no-such-department/tickets", "{}").await.0, 404);
    city.server.stop().await;
}

#[tokio::test]
async fn water_bills_are_the_oldest_first_with_their_fields() {
    let city = City::start().await;
    let bills = city.query("water", "water.bills").await;
    let expected = json!({
        "bill": "w-013-2026-08", "payee": "渝水供水有限公司", "address": "渝北区龙溪街道花卉园东路12号",
        "period": "2026-08", "usage": "21 吨", "amount": "10230",
    });
    assert_eq!(bills[0], expected);
}

#[tokio::test]
async fn request_signed_for_another_path_or_not_at_all_is_401() {
    let city = City::start().await;
    let body = json!({ "request": id(1) }).to_string();
    for signed_target in ["/water/query/water.bills", "/query/water.payments", "/query/water.bills?a", ""] {
        let sent =
            city.send_signed_for(signed_target, Method::POST, "water", "/query/water.bills", &body).await;
        assert_eq!(sent.unwrap().0, 401, "{signed_target}");
    }
    assert_eq!(city.server.post("/water/query/water.bills", &body).await.0, 401);
    assert_eq!(city.server.post("/water/payments", &City::payment(1).to_string()).await.0, 401);
    let booked: Vec<Booking> = city.server.get("/payments").await;
    assert!(booked.is_empty());
}

#[tokio::test]
async fn payment_with_lost_answer_is_booked_once_when_repeated() {
    let city = City::start().await;
    city.inject("water", r#"{"fault":"drop-before","count":1}"#).await;
    city.pay_without_answer(1).await;
    assert_eq!(city.bills().await, 3);

    city.inject("water", r#"{"fault":"drop-after","count":1}"#).await;
    city.pay_without_answer(1).await;
    assert_eq!(city.bills().await, 2);
    assert_eq!(city.pay(1).await, 204);
    assert_eq!(city.pay(2).await, 409);

    let booking = Booking { department: "water".into(), key: BILL.0.into(), order: id(1), amount: BILL.1 };
    for path in ["/payments", "/water/payments"] {
        let booked: Vec<Booking> = city.server.get(path).await;
        assert_eq!(booked.as_slice(), std::slice::from_ref(&booking), "{path}");
    }
    assert!(city.server.get::<Vec<Booking>>("/medical/payments").await.is_empty());
    let history = city.query("water", "water.payments").await;
    assert_eq!((&history[0]["period"], &history[0]["amount"]), (&json!("2026-10"), &json!("8640")));
}

#[tokio::test]
async fn auditor_lists_the_open_bills_of_a_resident() {
    let city = City::start().await;
    let open: Vec<OpenBill> = city.server.get("/bills/zhang-guiying").await;
    assert_eq!(open.iter().filter(|bill| bill.department == "water").count(), 3);
    assert!(city.server.get::<Vec<OpenBill>>("/bills/nobody").await.is_empty());
}

#[tokio::test]
async fn fault_is_of_one_department_until_cleared() {
    let city = City::start().await;
    city.inject("water", r#"{"fault":"nonsense"}"#).await;
    for _ in 0..2 {
        let rows = city.query("water", "water.bills").await;
        assert_eq!(rows, json!([{ "no-such-field": "1" }]));
        assert_eq!(city.query("medical", "medical.balance").await[0]["balance"], "128640");
    }
    assert_eq!(city.server.try_send(Method::DELETE, "/water/faults", "").await.unwrap().0, 204);
    assert_eq!(city.bills().await, 3);
    assert_eq!(city.server.post("/water/faults", r#"{"fault":"decline"}"#).await.0, 422);
}

#[tokio::test]
async fn delayed_department_does_not_delay_the_others() {
    let city = City::start().await;
    city.inject("water", r#"{"fault":"delay","ms":600000,"count":1}"#).await;
    let slow = tokio::time::timeout(std::time::Duration::from_millis(200), city.bills()).await;
    assert!(slow.is_err());
    assert_eq!(city.query("medical", "medical.balance").await[0]["balance"], "128640");
}

#[tokio::test]
async fn state_of_an_unknown_submission_is_not_found() {
    let city = City::start().await;
    let sent = city.send("water", "/submissions/state", &json!({ "submission": id(1) })).await;
    assert_eq!(sent.0, 404);
}

#[tokio::test]
async fn request_to_one_department_is_not_accepted_by_another() {
    let city = City::start().await;
    let body = json!({ "request": id(1), "person": null }).to_string();
    let time_ms = now_ms();
    let message = request_message("POST", "water", "/query/medical.balance", time_ms, body.as_bytes());
    let sent = reqwest::Client::new()
        .post(format!("http://{}/medical/query/medical.balance", city.server.address))
        .header("x-device", "platform")
        .header("x-time", time_ms)
        .header("x-signature", city.platform.sign(&message))
        .body(body);
    assert_eq!(sent.send().await.unwrap().status().as_u16(), 401);
}

#[test]
fn keys_are_made_once_and_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let first = department_keys(directory.path(), ["water"]).unwrap()["water"].public().to_hex();
    let again = department_keys(directory.path(), ["water", "medical"]).unwrap();
    assert_eq!(again["water"].public().to_hex(), first);
    assert_ne!(again["medical"].public().to_hex(), first);
    assert_eq!(std::fs::read_to_string(directory.path().join("water.pub")).unwrap(), first);
    let mode = std::fs::metadata(directory.path().join("water.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    std::fs::write(directory.path().join("water.key"), "secret").unwrap();
    let error = format!("{:#}", department_keys(directory.path(), ["water"]).err().unwrap());
    assert!(error.contains("water.key is not a key") && !error.contains("secret:"), "{error}");
}
