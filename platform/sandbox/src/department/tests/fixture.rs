//! One department `d` from the text of a data file, and a platform that asks it.

use std::collections::BTreeMap;

use rusqlite::Connection;
use serde_json::{Value, json};
use sm2::pke::EncryptingKey;

use crate::department::*;

pub(super) const ZHANG: &str = "500112194803150422";
pub(super) const WANG: &str = "500103197510023312";
/// 2026-11-30 10:00 in China.
pub(super) const MORNING: u64 = 1_796_004_000_000;
pub(super) const MINUTE: u64 = 60_000;
pub(super) const DAY: u64 = 24 * 60 * MINUTE;

pub(super) struct Fixture {
    pub(super) departments: Departments,
    pub(super) now_ms: u64,
    requests: u32,
}

pub(super) fn platform_key() -> DepartmentKey {
    DepartmentKey::from_bytes(&[3; 32]).unwrap()
}

pub(super) fn department_key() -> DepartmentKey {
    DepartmentKey::from_bytes(&[7; 32]).unwrap()
}

pub(super) fn person(id_number: &str) -> Value {
    json!({ "id_number": id_number, "name": if id_number == ZHANG { "张桂英" } else { "王建国" } })
}

/// An id of the contract.
pub(super) fn id(number: u32) -> String {
    format!("{number:032x}")
}

pub(super) fn data(text: &str) -> DepartmentData {
    let text = format!("name = {{ zh = \"部门\", en = \"Department\" }}\n{text}");
    let residents = [("zhang", ZHANG, "张桂英"), ("wang", WANG, "王建国")].map(|(id, id_number, name)| {
        Resident { id: id.into(), id_number: id_number.into(), name: name.into() }
    });
    DepartmentData::parse([("d.toml", text.as_str())], residents.into()).unwrap()
}

pub(super) fn signed(method: &str, target: &str, body: &[u8], time_ms: u64) -> SignedRequest {
    let signature = platform_key().sign(&request_message(method, "d", target, time_ms, body));
    SignedRequest {
        method: method.into(),
        target: target.into(),
        platform: "p".into(),
        time: time_ms.to_string(),
        signature,
        body: body.into(),
    }
}

/// What a kiosk seals to the department.
pub(super) fn seal(input: &Value) -> String {
    let point = base16ct::mixed::decode_vec(department_key().public().to_hex()).unwrap();
    let key = EncryptingKey::new(sm2::PublicKey::from_sec1_bytes(&point).unwrap());
    let der = key.encrypt_der(&mut getrandom::SysRng, input.to_string().as_bytes()).unwrap();
    base16ct::lower::encode_string(&der)
}

impl Fixture {
    pub(super) fn new(text: &str) -> Self {
        Self::open(Connection::open_in_memory().unwrap(), text)
    }

    pub(super) fn open(db: Connection, text: &str) -> Self {
        let keys = BTreeMap::from([("d".to_owned(), department_key())]);
        let platform = PlatformIdentity { id: "p".into(), key: platform_key().public() };
        let departments = Departments::open(db, data(text), keys, platform).unwrap();
        Self { departments, now_ms: MORNING, requests: 0 }
    }

    /// Asks; the answer must be signed by the department, for this request.
    pub(super) fn send(&mut self, method: &str, target: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = signed(method, target, body.as_bytes(), self.now_ms);
        let answer = self.departments.handle("d", &request, self.now_ms).unwrap();
        let message = answer_message(&request.signature, answer.status, answer.time_ms, &answer.body);
        assert!(department_key().public().verifies(&message, &answer.signature), "{target}");
        (answer.status, serde_json::from_slice(&answer.body).unwrap_or_default())
    }

    pub(super) fn query(&mut self, operation: &str, id_number: Option<&str>, input: &Value) -> (u16, Value) {
        self.requests += 1;
        let body = json!({ "request": id(self.requests), "person": id_number.map(person), "input": input });
        self.send("POST", &format!("/query/{operation}"), &body)
    }

    /// One field of each row.
    pub(super) fn column(
        &mut self,
        operation: &str,
        id_number: Option<&str>,
        input: &Value,
        field: &str,
    ) -> Vec<String> {
        let (status, answer) = self.query(operation, id_number, input);
        assert_eq!(status, 200, "{answer}");
        let rows = answer["rows"].as_array().unwrap();
        rows.iter().map(|row| row[field].as_str().unwrap().to_owned()).collect()
    }

    pub(super) fn pay(&mut self, order: u32, bills: &[(&str, i64)]) -> u16 {
        let bills: Vec<_> =
            bills.iter().map(|(key, amount)| json!({ "key": key, "amount": amount })).collect();
        let body = json!({ "order": id(order), "reference": "A01", "paid_ms": self.now_ms, "bills": bills });
        self.send("POST", "/payments", &body).0
    }

    pub(super) fn ticket(
        &mut self,
        ticket: u32,
        operation: &str,
        id_number: &str,
        input: &Value,
    ) -> (u16, Value) {
        let body = json!({ "ticket": id(ticket), "operation": operation, "person": person(id_number), "input": input });
        self.send("POST", "/tickets", &body)
    }

    pub(super) fn submit(
        &mut self,
        submission: u32,
        operation: &str,
        id_number: &str,
        sealed: &str,
    ) -> (u16, Value) {
        let body = json!({
            "submission": id(submission), "operation": operation, "person": person(id_number), "sealed": sealed,
            "claimed": true, "level": "recognised", "service": "s", "version": 1, "kiosk": "K-1", "recorded_ms": 1,
        });
        self.send("POST", "/submissions", &body)
    }

    pub(super) fn state(&mut self, submission: u32) -> (u16, Value) {
        self.send("POST", "/submissions/state", &json!({ "submission": id(submission) }))
    }
}
