//! Bodies of requests and answers of the department contract (`docs/departments.md`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::data::Words;

/// What a resident entered, by field.
pub(crate) type Input = BTreeMap<String, String>;

/// A person. No `Debug`: the fields are personal data.
#[derive(Clone, Deserialize)]
pub(crate) struct Person {
    pub(crate) id_number: String,
    pub(crate) name: String,
}

/// Body of `POST /query/{operation}`.
#[derive(Deserialize)]
pub(crate) struct QueryRequest {
    pub(crate) request: String,
    pub(crate) person: Option<Person>,
    #[serde(default)]
    pub(crate) input: Input,
}

/// Body of `POST /tickets`.
#[derive(Deserialize)]
pub(crate) struct TicketRequest {
    pub(crate) ticket: String,
    pub(crate) operation: String,
    pub(crate) person: Option<Person>,
    #[serde(default)]
    pub(crate) input: Input,
}

/// Body of `POST /submissions`.
#[derive(Deserialize)]
pub(crate) struct SubmissionRequest {
    pub(crate) submission: String,
    pub(crate) operation: String,
    pub(crate) person: Option<Person>,
    pub(crate) sealed: Option<String>,
    pub(crate) hash: Option<String>,
}

/// Body of `POST /submissions/state`.
#[derive(Deserialize)]
pub(crate) struct StateRequest {
    pub(crate) submission: String,
}

/// Body of `POST /payments`.
#[derive(Deserialize)]
pub(crate) struct PaymentRequest {
    pub(crate) order: String,
    pub(crate) reference: String,
    pub(crate) paid_ms: u64,
    pub(crate) bills: Vec<PaidBill>,
}

/// A bill in a payment.
#[derive(Deserialize)]
pub(crate) struct PaidBill {
    pub(crate) key: String,
    pub(crate) amount: i64,
}

/// A booked payment, for an auditor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Booking {
    /// The department.
    pub department: String,
    /// The bill.
    pub key: String,
    /// The order that paid it.
    pub order: String,
    /// The amount in fen.
    pub amount: i64,
}

/// An open bill, for an auditor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenBill {
    /// The department.
    pub department: String,
    /// The query that lists it.
    pub operation: String,
    /// The bill.
    pub key: String,
    /// The amount in fen.
    pub amount: i64,
}

/// Rows of an answer.
#[derive(Serialize)]
pub(crate) struct Rows {
    pub(crate) rows: Vec<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

/// State of a submission.
#[derive(Serialize)]
pub(crate) struct SubmissionAnswer {
    pub(crate) state: super::data::State,
    pub(crate) number: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<Words>,
}

/// The department refuses this resident this request.
#[derive(Serialize)]
pub(crate) struct RefusedAnswer<'a> {
    pub(crate) refused: &'a Words,
}

/// Why a request is neither answered nor refused in words.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Not the body that the contract describes.
    #[error("{0}")]
    Malformed(&'static str),
    /// No such path, operation or submission.
    #[error("{0}")]
    Unknown(&'static str),
    /// It contradicts what came before. Nothing was changed.
    #[error("{0}")]
    Conflict(&'static str),
    /// The database failed. Nothing was changed.
    #[error("the database of the departments cannot be read or written: check its file and disk")]
    Store(#[from] rusqlite::Error),
}

/// An id of the contract: 32 hexadecimal digits.
pub(crate) fn check_id(id: &str) -> Result<(), Failure> {
    if id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(())
    } else {
        Err(Failure::Malformed("an id has 32 hexadecimal digits"))
    }
}
