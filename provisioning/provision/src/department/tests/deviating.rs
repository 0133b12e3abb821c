//! An adapter before the sandbox's departments that deviates from the contract in one thing.

// Each match names the flaws that act at its place.
#![allow(clippy::wildcard_enum_match_arm)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use contract::{SecretKey, answer_bytes_to_sign, department_bytes_to_sign};
use rusqlite::Connection;
use sandbox::department::{
    DepartmentKey, Departments, PlatformIdentity, PublicKey, SignedRequest, read_departments,
};
use serde_json::{Value, json};

use super::super::adapter::now_ms;
use super::{ID_NUMBER, PLATFORM, PLATFORM_KEY, assets, department_key};

/// The one thing in which an adapter deviates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    None,
    AcceptsNoSignature,
    AcceptsWrongSignature,
    AcceptsOldTime,
    AcceptsTimeAhead,
    AcceptsChangedBody,
    AcceptsOtherDepartment,
    AcceptsOtherPath,
    AcceptsOtherSender,
    MalformedIs500,
    UnknownOperationIsEmpty,
    UnknownStateIsAccepted,
    UnsignedAnswers,
    UnsignedErrors,
    SignsForAnotherRequest,
    OldAnswers,
    NamesPersonInHeader,
    NeverAnswersPayments,
    DropsAddress,
    AmountInYuan,
    KeysChange,
    LongRefusal,
    RefusalWithoutEnglish,
    ChargesTwice,
    RepeatedPaymentIs409,
    PaidBillStays,
    BooksUnknownBill,
    BooksPartly,
    TicketEachTime,
    TwoRows,
    TicketConflictIsIgnored,
    CaseEachTime,
    SubmissionConflictIsIgnored,
    StateIsForgotten,
    RefusedIsAcceptedLater,
    OpensAnything,
    ReadsAnyLength,
    UnknownFieldIs400,
    LooksForOperationFirst,
    BelievesSealedPerson,
    NeedsPerson,
    BillTwiceIsBooked,
    TicketsAreNowhere,
}

struct Inner {
    sandbox: Departments,
    department: String,
    flaw: Flaw,
    count: u128,
    /// Orders with their bills, as text.
    orders: BTreeMap<String, String>,
    paid: BTreeSet<String>,
    submissions: BTreeSet<String>,
    first_answers: BTreeMap<String, Vec<u8>>,
    /// Paths of requests that change something.
    changes: Vec<String>,
}

/// A running adapter.
pub(super) struct DeviatingAdapter {
    url: String,
    inner: Arc<Mutex<Inner>>,
}

impl DeviatingAdapter {
    pub(super) async fn start(department: &str, flaw: Flaw) -> Self {
        let data = read_departments(&assets().join("departments"), &assets().join("residents.toml")).unwrap();
        let key = |id: &str| DepartmentKey::from_bytes(&contract::sm3(&[id.as_bytes()])).unwrap();
        let keys: BTreeMap<_, _> = data.ids().map(|id| (id.to_owned(), key(id))).collect();
        let public = SecretKey::from_bytes(&PLATFORM_KEY).unwrap().public().to_string();
        let platform = PlatformIdentity { id: PLATFORM.into(), key: PublicKey::from_hex(&public).unwrap() };
        let sandbox = Departments::open(Connection::open_in_memory().unwrap(), data, keys, platform).unwrap();
        let inner = Arc::new(Mutex::new(Inner {
            sandbox,
            department: department.to_owned(),
            flaw,
            count: 0,
            orders: BTreeMap::new(),
            paid: BTreeSet::new(),
            submissions: BTreeSet::new(),
            first_answers: BTreeMap::new(),
            changes: Vec::new(),
        }));
        let router = Router::new().fallback(exchange).with_state(Arc::clone(&inner));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/base", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, inner }
    }

    pub(super) fn url(&self) -> String {
        self.url.clone()
    }

    /// Paths of the requests that an adapter accepted and that can change something.
    pub(super) fn changes(&self) -> Vec<String> {
        self.inner.lock().unwrap().changes.clone()
    }
}

async fn exchange(
    State(inner): State<Arc<Mutex<Inner>>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let header =
        |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    let request = SignedRequest {
        method: "POST".into(),
        target: uri.path().strip_prefix("/base").unwrap().to_owned(),
        platform: header("x-device"),
        time: header("x-time"),
        signature: header("x-signature"),
        body: body.into(),
    };
    let flaw = inner.lock().unwrap().flaw;
    if flaw == Flaw::NeverAnswersPayments
        && request.target == "/query/water.payments"
        && !is_refused(&request)
    {
        std::future::pending::<()>().await;
    }
    inner.lock().unwrap().answer(request)
}

fn is_refused(request: &SignedRequest) -> bool {
    request.signature.is_empty()
}

fn verifies(request: &SignedRequest, department: &str, target: &str, body: &[u8]) -> bool {
    let signed = department_bytes_to_sign(&department.parse().unwrap(), target, &request.time, body);
    let key = SecretKey::from_bytes(&PLATFORM_KEY).unwrap().public();
    request.signature.parse().is_ok_and(|signature| key.verify(&signed, &signature).is_ok())
}

impl Inner {
    /// Whether the flaw accepts this request although the contract refuses it.
    fn accepts(&self, request: &SignedRequest) -> bool {
        let (id, target, body) = (self.department.as_str(), request.target.as_str(), &request.body[..]);
        let time: i64 = request.time.parse().unwrap_or_default();
        let ahead = time - i64::try_from(now_ms()).unwrap();
        let platform = SecretKey::from_bytes(&PLATFORM_KEY).unwrap();
        match self.flaw {
            Flaw::AcceptsNoSignature => request.signature.is_empty(),
            Flaw::AcceptsWrongSignature => request.signature == platform.sign(b"something else").to_string(),
            Flaw::AcceptsOldTime => ahead < -300_000 && verifies(request, id, target, body),
            Flaw::AcceptsTimeAhead => ahead > 300_000 && verifies(request, id, target, body),
            Flaw::AcceptsChangedBody => {
                body.split_last().is_some_and(|(_, rest)| verifies(request, id, target, rest))
            }
            Flaw::AcceptsOtherDepartment => verifies(request, "other-department", target, body),
            Flaw::AcceptsOtherPath => verifies(request, id, "/other-path", body),
            Flaw::AcceptsOtherSender => request.platform != PLATFORM,
            Flaw::LooksForOperationFirst => target == "/query/no-such.operation",
            _ => false,
        }
    }

    /// The sandbox's answer to a request that is signed now.
    fn serve(&mut self, target: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let time = now_ms().to_string();
        let signed = department_bytes_to_sign(&self.department.parse().unwrap(), target, &time, body);
        let signature = SecretKey::from_bytes(&PLATFORM_KEY).unwrap().sign(&signed).to_string();
        let (target, body) = (target.to_owned(), body.to_vec());
        let request =
            SignedRequest { method: "POST".into(), target, platform: PLATFORM.into(), time, signature, body };
        let answer = self.sandbox.handle(&self.department, &request, now_ms()).unwrap();
        (answer.status, answer.body)
    }

    fn answer(&mut self, request: SignedRequest) -> Response {
        self.count += 1;
        let (target, body) = (request.target.clone(), request.body.clone());
        let signature = request.signature.clone();
        let (status, body) = if self.accepts(&request) {
            self.serve(&target, &body)
        } else {
            let answer = self.sandbox.handle(&self.department, &request, now_ms()).unwrap();
            if answer.status == 401 {
                (401, answer.body)
            } else {
                if !target.starts_with("/query/") && target != "/submissions/state" {
                    self.changes.push(target.clone());
                }
                self.deviate(&target, &body, answer.status, answer.body)
            }
        };
        self.respond(&signature, status, body)
    }

    /// The answer with the flaw.
    fn deviate(&mut self, target: &str, sent: &[u8], status: u16, body: Vec<u8>) -> (u16, Vec<u8>) {
        let json: Value = serde_json::from_slice(sent).unwrap_or_default();
        let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        let is_query = target.starts_with("/query/");
        let replaced =
            |from: &str, to: &str| String::from_utf8(body.clone()).unwrap().replace(from, to).into_bytes();
        match self.flaw {
            Flaw::MalformedIs500 if status == 400 && json.is_null() => (500, body),
            Flaw::UnknownOperationIsEmpty if is_query && status == 404 => (200, br#"{"rows":[]}"#.to_vec()),
            Flaw::UnknownStateIsAccepted if target == "/submissions/state" && status == 404 => {
                (200, br#"{"state":"accepted"}"#.to_vec())
            }
            Flaw::DropsAddress if target == "/query/water.payments" && status == 200 => {
                (status, replaced("\"address\"", "\"adress\""))
            }
            Flaw::AmountInYuan if target == "/query/water.payments" && status == 200 => {
                (status, replaced("\"7680\"", "\"76.80\""))
            }
            Flaw::KeysChange if is_query => {
                let key = format!("\"bill\":\"{}-", self.count);
                (status, replaced("\"bill\":\"", &key))
            }
            Flaw::LongRefusal if status == 422 => {
                (status, json!({ "refused": { "zh": "长".repeat(101), "en": "No" } }).to_string().into())
            }
            Flaw::RefusalWithoutEnglish if status == 422 => (status, br#"{"refused":{"zh":"no"}}"#.to_vec()),
            Flaw::PaidBillStays if is_query => {
                let first = self.first_answers.entry(format!("{target} {}", json["input"])).or_insert(body);
                (status, first.clone())
            }
            Flaw::ChargesTwice | Flaw::RepeatedPaymentIs409 | Flaw::BooksUnknownBill | Flaw::BooksPartly
                if target == "/payments" =>
            {
                self.deviate_payment(&json, status, body)
            }
            Flaw::TicketEachTime if target == "/tickets" && status != 422 => {
                let mut other = json.clone();
                other["ticket"] = format!("{:032x}", self.count).into();
                let before = self.submissions.insert(text("ticket"));
                if before { (status, body) } else { self.serve(target, other.to_string().as_bytes()) }
            }
            Flaw::TwoRows if target == "/tickets" && status == 200 => {
                let mut both: Value = serde_json::from_slice(&body).unwrap();
                let row = both["rows"][0].clone();
                both["rows"].as_array_mut().unwrap().push(row);
                (status, both.to_string().into())
            }
            Flaw::TicketConflictIsIgnored if target == "/tickets" && status == 409 => {
                (200, br#"{"rows":[]}"#.to_vec())
            }
            Flaw::CaseEachTime if target == "/submissions" && status == 200 => {
                if self.submissions.insert(text("submission")) {
                    (status, body)
                } else {
                    (status, replaced("\"number\":\"", "\"number\":\"2-"))
                }
            }
            Flaw::SubmissionConflictIsIgnored if target == "/submissions" && status == 409 => {
                (200, br#"{"state":"accepted"}"#.to_vec())
            }
            Flaw::StateIsForgotten if target == "/submissions/state" => (404, body),
            Flaw::RefusedIsAcceptedLater if target == "/submissions" && status == 422 => {
                if self.submissions.insert(text("submission")) {
                    (status, body)
                } else {
                    (200, br#"{"state":"accepted","number":"1"}"#.to_vec())
                }
            }
            Flaw::OpensAnything if target == "/submissions" && status == 400 => {
                (200, br#"{"state":"accepted"}"#.to_vec())
            }
            Flaw::ReadsAnyLength if sent.len() > 1024 * 1024 => self.serve(target, sent.trim_ascii_end()),
            Flaw::UnknownFieldIs400 if json.get("added-later").is_some() => (400, Vec::new()),
            // The submission after that with the wrong hash is the one with two persons.
            Flaw::BelievesSealedPerson if target == "/submissions" && status == 400 => {
                let is_third = self.submissions.len() == 2;
                self.submissions.insert(text("submission"));
                if is_third { (200, br#"{"state":"accepted"}"#.to_vec()) } else { (status, body) }
            }
            Flaw::NeedsPerson if target == "/submissions" && json.get("person").is_none() => {
                (400, Vec::new())
            }
            Flaw::BillTwiceIsBooked if target == "/payments" => {
                let bills = json["bills"].as_array().unwrap();
                if bills.len() == 2 && bills[0] == bills[1] { (204, Vec::new()) } else { (status, body) }
            }
            Flaw::TicketsAreNowhere if target == "/tickets" && status == 404 => (405, body),
            _ => (status, body),
        }
    }

    fn deviate_payment(&mut self, json: &Value, status: u16, body: Vec<u8>) -> (u16, Vec<u8>) {
        let order = json["order"].as_str().unwrap_or_default().to_owned();
        let bills = json["bills"].to_string();
        let keys: Vec<String> = json["bills"]
            .as_array()
            .unwrap()
            .iter()
            .map(|bill| format!("{} {}", bill["key"].as_str().unwrap(), bill["amount"]))
            .collect();
        let is_repeated = self.orders.get(&order) == Some(&bills);
        let is_new = !self.orders.contains_key(&order);
        let is_paid = keys.iter().all(|key| self.paid.contains(key));
        if status == 204 {
            self.orders.insert(order, bills);
            self.paid.extend(keys.iter().cloned());
        }
        match self.flaw {
            Flaw::ChargesTwice if is_new && is_paid && status == 409 => (204, Vec::new()),
            Flaw::RepeatedPaymentIs409 if is_repeated => (409, Vec::new()),
            Flaw::BooksUnknownBill if keys.len() == 1 && keys[0].starts_with("no-such-bill") => {
                (204, Vec::new())
            }
            Flaw::BooksPartly if keys.len() == 2 => {
                let mut first = json.clone();
                first["bills"].as_array_mut().unwrap().truncate(1);
                self.serve("/payments", first.to_string().as_bytes());
                (status, body)
            }
            _ => (status, body),
        }
    }

    fn respond(&self, request_signature: &str, status: u16, body: Vec<u8>) -> Response {
        let time = if self.flaw == Flaw::OldAnswers { now_ms() - 301_000 } else { now_ms() }.to_string();
        let covered = if self.flaw == Flaw::SignsForAnotherRequest { "00" } else { request_signature };
        let signature =
            department_key(&self.department).sign(&answer_bytes_to_sign(covered, status, &time, &body));
        let mut response = Response::builder().status(status).header("x-time", time);
        let is_unsigned =
            self.flaw == Flaw::UnsignedAnswers || self.flaw == Flaw::UnsignedErrors && status >= 400;
        if !is_unsigned {
            response = response.header("x-signature", signature.to_string());
        }
        if self.flaw == Flaw::NamesPersonInHeader && status == 200 {
            response = response.header("location", format!("/person/{ID_NUMBER}"));
        }
        response.body(Body::from(body)).unwrap()
    }
}
