//! All departments of the demo city over one database: requests are verified, answered, and the answers signed.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Connection, TransactionBehavior, params};
use serde_json::json;

use super::books;
use super::call::{Call, Outcome};
use super::data::DepartmentData;
use super::payments;
use super::queries;
use super::signatures::{
    DepartmentKey, PlatformIdentity, PublicKey, TIME_TOLERANCE_MS, answer_message, request_message, sm3,
    to_hex,
};
use super::submissions;
use super::tickets::{self, stored_ms};
use super::wire::{Booking, Failure, OpenBill, Person};
use crate::shell::prepare_database;

/// Longest body of a request, in bytes.
const BODY_MAX: usize = 1024 * 1024;
const SCHEMA: &str = include_str!("schema.sql");

/// A request as it was received. No `Debug`: the body names a person.
pub struct SignedRequest {
    /// `POST` in all requests of the contract.
    pub method: String,
    /// Path without the department, for example `/query/water.bills`.
    pub target: String,
    /// `X-Device`: id of the platform.
    pub platform: String,
    /// `X-Time`: milliseconds since 1970, as received.
    pub time: String,
    /// `X-Signature`, as received.
    pub signature: String,
    /// The body.
    pub body: Vec<u8>,
}

/// An answer as it is sent. No `Debug`: the body may have personal data.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedAnswer {
    /// HTTP status.
    pub status: u16,
    /// `X-Time`: milliseconds since 1970.
    pub time_ms: u64,
    /// `X-Signature`: 128 hexadecimal digits.
    pub signature: String,
    /// JSON, or nothing.
    pub body: Vec<u8>,
}

/// A message pair that was kept. Requests that were not verified are not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptMessage {
    /// The department.
    pub department: String,
    /// Method and path of the request.
    pub target: String,
    /// Time of the request, its SM3, its signature.
    pub request: (u64, String, String),
    /// Status of the answer.
    pub status: u16,
    /// Time of the answer, its SM3, its signature.
    pub answer: (u64, String, String),
}

/// Why the departments cannot be opened or cannot answer.
#[derive(Debug, thiserror::Error)]
pub enum DepartmentsError {
    /// The database has another schema or cannot be used. Nothing of the request was changed.
    #[error("the database of the departments cannot be read or written: check its file and disk")]
    Store(#[from] rusqlite::Error),
    /// A data file has no key.
    #[error("the department {0} has no key: add {0}.key to the directory of keys")]
    NoKey(String),
    /// The base URL names no department.
    #[error("there is no department {0}: it needs a data file {0}.toml")]
    NoDepartment(String),
}

/// How a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answering {
    /// By the contract.
    Normal,
    /// The request is executed, and the answer is 200 with rows that no operation declares.
    Nonsense,
}

/// All departments.
pub struct Departments {
    db: Connection,
    data: Arc<DepartmentData>,
    keys: BTreeMap<String, DepartmentKey>,
    platform: PlatformIdentity,
}

impl Departments {
    /// Opens the departments in a database, which may be new, and brings in the rows of the data files. What residents
    /// changed before stays.
    ///
    /// # Errors
    /// [`DepartmentsError::Store`], [`DepartmentsError::NoKey`].
    pub fn open(
        mut db: Connection,
        data: impl Into<Arc<DepartmentData>>,
        keys: BTreeMap<String, DepartmentKey>,
        platform: PlatformIdentity,
    ) -> Result<Self, DepartmentsError> {
        let data = data.into();
        if let Some(id) = data.ids().find(|id| !keys.contains_key(*id)) {
            return Err(DepartmentsError::NoKey(id.to_owned()));
        }
        prepare_database(&db, SCHEMA)?;
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        books::seed(&tx, &data)?;
        tx.commit()?;
        Ok(Self { db, data, keys, platform })
    }

    /// Ids of the departments.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.data.ids()
    }

    /// The public key of a department: its answers are verified with it, and submissions are sealed to it.
    #[must_use]
    pub fn public_key(&self, department: &str) -> Option<PublicKey> {
        self.keys.get(department).map(DepartmentKey::public)
    }

    /// Answers a request. All that it changes is on disk before this returns.
    ///
    /// # Errors
    /// [`DepartmentsError::Store`]: nothing was changed. [`DepartmentsError::NoDepartment`].
    pub fn handle(
        &mut self,
        department: &str,
        request: &SignedRequest,
        now_ms: u64,
    ) -> Result<SignedAnswer, DepartmentsError> {
        self.handle_as(department, request, now_ms, Answering::Normal)
    }

    /// The same, by the contract or with an injected fault.
    ///
    /// # Errors
    /// As [`Departments::handle`].
    pub fn handle_as(
        &mut self,
        department: &str,
        request: &SignedRequest,
        now_ms: u64,
        answering: Answering,
    ) -> Result<SignedAnswer, DepartmentsError> {
        let Some(((department, file), key)) =
            self.data.departments.get_key_value(department).zip(self.keys.get(department))
        else {
            return Err(DepartmentsError::NoDepartment(department.to_owned()));
        };
        if !self.platform.sent(department, request, now_ms) {
            let problem = problem(401, "the request is not signed by the platform, or its time is not now");
            return Ok(sign(key, request, problem, now_ms));
        }
        if request.body.len() > BODY_MAX {
            return Ok(sign(key, request, problem(400, "the body has more than 1 MiB"), now_ms));
        }
        let mut tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let work = tx.savepoint()?;
        let residents = &self.data.residents;
        let call = Call { db: &work, department, file, residents, key, now_ms };
        let outcome = match route(&call, request) {
            Ok(outcome) => {
                work.commit()?;
                outcome
            }
            Err(Failure::Store(error)) => return Err(error.into()),
            Err(failure) => {
                drop(work);
                problem(status(&failure), &failure.to_string())
            }
        };
        let outcome = match answering {
            Answering::Normal => outcome,
            Answering::Nonsense => {
                Outcome { status: 200, body: json!({ "rows": [{ "no-such-field": "1" }] }).to_string() }
            }
        };
        let answer = sign(key, request, outcome, now_ms);
        keep(&tx, department, request, &answer)?;
        tx.commit()?;
        Ok(answer)
    }

    /// All booked payments, by department and key.
    ///
    /// # Errors
    /// [`DepartmentsError::Store`].
    pub fn bookings(&self) -> Result<Vec<Booking>, DepartmentsError> {
        Ok(payments::bookings(&self.db)?)
    }

    /// All open bills of a resident of the demo, by the short name of the data files. Bills that depend on what the resident
    /// enters, and those that are nobody's in particular, are left out.
    ///
    /// # Errors
    /// [`DepartmentsError::Store`].
    pub fn open_bills(&mut self, resident: &str, now_ms: u64) -> Result<Vec<OpenBill>, DepartmentsError> {
        let mut open = Vec::new();
        let Some(resident) = self.data.residents.get(resident) else { return Ok(open) };
        let person = Person { id_number: resident.id_number.clone(), name: resident.name.clone() };
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for ((department, file), key) in
            self.data.departments.iter().filter_map(|one| Some((one, self.keys.get(one.0)?)))
        {
            let call = Call { db: &tx, department, file, residents: &self.data.residents, key, now_ms };
            match queries::open_bills(&call, &person) {
                Ok(bills) => open.extend(bills),
                Err(Failure::Store(error)) => return Err(error.into()),
                Err(Failure::Malformed(_) | Failure::Unknown(_) | Failure::Conflict(_)) => {}
            }
        }
        tx.commit()?;
        Ok(open)
    }

    /// Ids of all submissions, those that were refused among them.
    ///
    /// # Errors
    /// [`DepartmentsError::Store`].
    pub fn submissions(&self) -> Result<Vec<String>, DepartmentsError> {
        self.ids_in("SELECT submission FROM submissions ORDER BY submission")
    }

    /// Ids of all tickets.
    ///
    /// # Errors
    /// [`DepartmentsError::Store`].
    pub fn tickets(&self) -> Result<Vec<String>, DepartmentsError> {
        self.ids_in("SELECT ticket FROM tickets ORDER BY ticket")
    }

    fn ids_in(&self, query: &str) -> Result<Vec<String>, DepartmentsError> {
        let mut found = self.db.prepare(query)?;
        let ids = found.query_map([], |row| row.get(0))?;
        Ok(ids.collect::<rusqlite::Result<_>>()?)
    }

    /// All message pairs that were kept, in the order of their answers.
    ///
    /// # Errors
    /// [`DepartmentsError::Store`].
    pub fn messages(&self) -> Result<Vec<KeptMessage>, DepartmentsError> {
        let mut kept = self.db.prepare("SELECT * FROM messages ORDER BY number")?;
        let rows = kept.query_map([], |row| {
            let ms =
                |name| Ok::<_, rusqlite::Error>(u64::try_from(row.get::<_, i64>(name)?).unwrap_or_default());
            let (method, target): (String, String) = (row.get("method")?, row.get("target")?);
            Ok(KeptMessage {
                department: row.get("department")?,
                target: format!("{method} {target}"),
                request: (ms("request_ms")?, row.get("request_hash")?, row.get("request_signature")?),
                status: row.get("status")?,
                answer: (ms("answer_ms")?, row.get("answer_hash")?, row.get("answer_signature")?),
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

impl PlatformIdentity {
    /// Whether the platform signed this request to this department, not more than five minutes from now.
    fn sent(&self, department: &str, request: &SignedRequest, now_ms: u64) -> bool {
        let Ok(time_ms) = request.time.parse::<u64>() else { return false };
        request.platform == self.id
            && request.time == time_ms.to_string()
            && time_ms.abs_diff(now_ms) <= TIME_TOLERANCE_MS
            && self.key.verifies(
                &request_message(&request.method, department, &request.target, time_ms, &request.body),
                &request.signature,
            )
    }
}

fn route(call: &Call<'_>, request: &SignedRequest) -> Result<Outcome, Failure> {
    let body = &request.body;
    let parts: Vec<&str> = request.target.split('/').collect();
    match (request.method.as_str(), &parts[..]) {
        ("POST", ["", "query", operation]) => queries::query(call, operation, body),
        ("POST", ["", "tickets"]) => tickets::ticket(call, body),
        ("POST", ["", "submissions"]) => submissions::submission(call, body),
        ("POST", ["", "submissions", "state"]) => submissions::state(call, body),
        ("POST", ["", "payments"]) => payments::payment(call, body),
        _ => Err(Failure::Unknown("the department contract has no such request")),
    }
}

const fn status(failure: &Failure) -> u16 {
    match failure {
        Failure::Malformed(_) => 400,
        Failure::Unknown(_) => 404,
        Failure::Conflict(_) => 409,
        Failure::Store(_) => 500,
    }
}

fn problem(status: u16, text: &str) -> Outcome {
    Outcome { status, body: json!({ "problem": text }).to_string() }
}

fn sign(key: &DepartmentKey, request: &SignedRequest, outcome: Outcome, now_ms: u64) -> SignedAnswer {
    let body = outcome.body.into_bytes();
    let signature = key.sign(&answer_message(&request.signature, outcome.status, now_ms, &body));
    SignedAnswer { status: outcome.status, time_ms: now_ms, signature, body }
}

fn keep(
    db: &Connection,
    department: &str,
    request: &SignedRequest,
    answer: &SignedAnswer,
) -> rusqlite::Result<()> {
    let time_ms: u64 = request.time.parse().unwrap_or_default();
    db.execute(
        "INSERT INTO messages
             (department, method, target, request_ms, request_hash, request_signature, status, answer_ms,
              answer_hash, answer_signature)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            department,
            request.method,
            request.target,
            stored_ms(time_ms),
            to_hex(&sm3(&[&request.body])),
            request.signature,
            answer.status,
            stored_ms(answer.time_ms),
            to_hex(&sm3(&[&answer.body])),
            answer.signature
        ],
    )?;
    Ok(())
}
