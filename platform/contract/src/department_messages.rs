//! Requests to departments and their answers: the bodies, the paths, the signed bytes and the limits of the department contract
//! (`docs/departments.md`).
//!
//! The platform sends and reads them, and so does the conformance test that a department runs against its own adapter. Neither
//! `Debug` nor an error shows a value of a body: both have personal data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::answer_schema::AnswerFieldType;
use crate::api::AnswerRow;
use crate::bilingual::Bilingual;
use crate::evidence::Level;
use crate::id::{ConsentId, KioskId, TicketId};
use crate::operation::{DepartmentId, Operation, OperationKind};
use crate::request_signing::request_bytes_to_sign;
use crate::routes::HttpMethod;

/// Largest difference between a department's clock and the platform's, in milliseconds.
pub const DEPARTMENT_CLOCK_DIFFERENCE_MAX_MS: u64 = 5 * 60_000;
/// Time in milliseconds after which a payment counts as not answered.
pub const PAYMENT_TIMEOUT_MS: u32 = 6_000;
/// Most rows of one answer.
const ROWS_MAX: usize = 200;
/// Longest refusal, and longest text about a state, in characters.
const WORDS_MAX: usize = 100;
/// Longest number of a case, in characters.
const CASE_NUMBER_MAX: usize = 64;

/// Path of tickets, relative to the department's base URL.
pub const TICKETS_TARGET: &str = "/tickets";
/// Path of submissions.
pub const SUBMISSIONS_TARGET: &str = "/submissions";
/// Path of the state of submissions.
pub const SUBMISSION_STATE_TARGET: &str = "/submissions/state";
/// Path of payments.
pub const PAYMENTS_TARGET: &str = "/payments";

/// Path of a query.
#[must_use]
pub fn query_target(operation: &str) -> String {
    format!("/query/{operation}")
}

/// The bytes that the platform's signature covers. They name the department, which so cannot pass the request on to another.
#[must_use]
pub fn department_bytes_to_sign(department: &DepartmentId, target: &str, time: &str, body: &[u8]) -> Vec<u8> {
    request_bytes_to_sign(HttpMethod::Post, &format!("{department}{target}"), time, body)
}

/// The person that a request is about.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct DepartmentPerson {
    /// 公民身份号码.
    pub id_number: String,
    /// Name.
    pub name: String,
}

/// Body of a query (with `request`), and of a ticket (with `ticket` and `operation`).
#[derive(Serialize)]
pub struct OperationBody<'a> {
    /// Id of a query: 32 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// Id of a ticket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ticket: Option<TicketId>,
    /// The operation of a ticket; that of a query is in the path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<&'a str>,
    /// The person; `None` where the operation is about nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<DepartmentPerson>,
    /// What the resident entered or chose.
    pub input: &'a BTreeMap<String, String>,
    /// The consent to a personal record.
    pub consent: Option<ConsentId>,
    /// How the resident proved who they are.
    pub level: Level,
    /// The service document that asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<&'a str>,
    /// Where; `None` where no kiosk asks, but a phone or a relying party.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kiosk: Option<KioskId>,
}

/// Body of a submission.
#[derive(Serialize)]
pub struct SubmissionBody<'a> {
    /// Its id.
    pub submission: &'a str,
    /// The operation.
    pub operation: &'a str,
    /// Who submitted it; `None` where the platform was restored from a backup and has forgotten it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<DepartmentPerson>,
    /// What was entered, see [`SealedSubmission`](crate::SealedSubmission).
    pub sealed: &'a str,
    /// SM3 of what was entered.
    pub hash: &'a str,
    /// Only the kiosk says that this resident submitted it.
    pub claimed: bool,
    /// How the resident proved who they are.
    pub level: Level,
    /// The service document.
    pub service: &'a str,
    /// Its version.
    pub version: u32,
    /// Where.
    pub kiosk: KioskId,
    /// When: milliseconds since 1970.
    pub recorded_ms: i64,
}

/// Body of the question for a submission's state.
#[derive(Serialize)]
pub struct SubmissionStateBody<'a> {
    /// Id of the submission.
    pub submission: &'a str,
}

/// Body of a payment. It does not say who paid.
#[derive(Serialize)]
pub struct PaymentBody<'a> {
    /// Id of the order.
    pub order: &'a str,
    /// The acquirer's number of the charge.
    pub reference: &'a str,
    /// When it was paid: milliseconds since 1970.
    pub paid_ms: u64,
    /// The bills.
    pub bills: Vec<PaidBill>,
}

/// A bill in a payment.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct PaidBill {
    /// The department's key of it.
    pub key: String,
    /// Fen.
    pub amount: i64,
}

/// Rows of a good answer: with exactly the declared fields.
#[derive(Clone, PartialEq, Eq)]
pub struct OperationRows {
    /// The rows.
    pub rows: Vec<AnswerRow>,
    /// The service that the kiosk goes on with.
    pub next: Option<String>,
}

/// A submission's state, as the department says it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct SubmissionStateAnswer {
    /// `accepted`, `working`, `done`, `returned` or `refused`.
    pub state: String,
    /// The department's number of the case.
    #[serde(default)]
    pub number: Option<String>,
    /// More about the state.
    #[serde(default)]
    pub text: Option<Bilingual>,
}

/// What is wrong with the body of an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerFault {
    /// The body is not JSON of this shape.
    #[error("the body is not the JSON {0}")]
    Shape(&'static str),
    /// More rows than are read.
    #[error("there are {0} rows, at most {1} are read")]
    Rows(usize, usize),
    /// A declared field is missing.
    #[error("row {0} has no field `{1}`")]
    Missing(usize, String),
    /// A value is not of the declared type.
    #[error("row {0}: the value of `{1}` is not {form}", form = .2.form())]
    Type(usize, String, AnswerFieldType),
    /// A text is empty, too long, or has a control character.
    #[error("`{0}` is empty, has a control character, or more than {1} characters")]
    Words(&'static str, usize),
    /// There is no such state.
    #[error("`state` is none of accepted, working, done, returned, refused")]
    State,
}

#[derive(Deserialize)]
struct RowsBody {
    rows: Vec<AnswerRow>,
    #[serde(default)]
    next: Option<String>,
}

#[derive(Deserialize)]
struct RefusedBody {
    refused: Bilingual,
}

impl OperationRows {
    /// Reads the body of a 200 of this operation. Fields that are not declared are dropped.
    ///
    /// # Errors
    /// [`AnswerFault`]: then nothing of the answer is used.
    pub fn parse(operation: &Operation, body: &[u8]) -> Result<Self, AnswerFault> {
        let body: RowsBody = serde_json::from_slice(body)
            .map_err(|_| AnswerFault::Shape(r#"{"rows":[{"FIELD":"TEXT"}]}, where each value is a text"#))?;
        let most = if operation.kind == OperationKind::Ticket { 1 } else { ROWS_MAX };
        if body.rows.len() > most {
            return Err(AnswerFault::Rows(body.rows.len(), most));
        }
        let rows =
            body.rows.into_iter().zip(1..).map(|(row, number)| declared_fields(operation, row, number));
        Ok(Self { rows: rows.collect::<Result<_, _>>()?, next: body.next })
    }
}

/// The declared fields of a row.
fn declared_fields(
    operation: &Operation,
    mut row: AnswerRow,
    number: usize,
) -> Result<AnswerRow, AnswerFault> {
    let field = |(name, kind): (&String, &AnswerFieldType)| {
        let value = row.remove(name).ok_or_else(|| AnswerFault::Missing(number, name.clone()))?;
        if kind.accepts(&value) {
            Ok((name.clone(), value))
        } else {
            Err(AnswerFault::Type(number, name.clone(), *kind))
        }
    };
    operation.answer.iter().map(field).collect()
}

/// Reads the body of a 422: the department refuses this resident, in words for them.
///
/// # Errors
/// [`AnswerFault`]: then the department counts as not answering.
pub fn parse_refusal(body: &[u8]) -> Result<Bilingual, AnswerFault> {
    let body: RefusedBody = serde_json::from_slice(body)
        .map_err(|_| AnswerFault::Shape(r#"{"refused":{"zh":"TEXT","en":"TEXT"}}"#))?;
    let words = body.refused;
    if is_sentence(&words.zh) && is_sentence(&words.en) {
        Ok(words)
    } else {
        Err(AnswerFault::Words("refused", WORDS_MAX))
    }
}

impl SubmissionStateAnswer {
    /// Reads the body of a 200. A number or text that cannot be shown is left out by [`Self::shown`].
    ///
    /// # Errors
    /// [`AnswerFault`]: then the answer says nothing.
    pub fn parse(body: &[u8]) -> Result<Self, AnswerFault> {
        let answer: Self =
            serde_json::from_slice(body).map_err(|_| AnswerFault::Shape(r#"{"state":"…","number":"…"}"#))?;
        match answer.state.as_str() {
            "accepted" | "working" | "done" | "returned" | "refused" => Ok(answer),
            _ => Err(AnswerFault::State),
        }
    }

    /// Checks what is shown to residents.
    ///
    /// # Errors
    /// [`AnswerFault::Words`].
    pub fn check_words(&self) -> Result<(), AnswerFault> {
        if !self.number.as_ref().is_none_or(|number| is_short(number, CASE_NUMBER_MAX)) {
            return Err(AnswerFault::Words("number", CASE_NUMBER_MAX));
        }
        if !self.text.as_ref().is_none_or(are_short) {
            return Err(AnswerFault::Words("text", WORDS_MAX));
        }
        Ok(())
    }

    /// The same without a number or text that cannot be shown.
    #[must_use]
    pub fn shown(self) -> Self {
        Self {
            state: self.state,
            number: self.number.filter(|number| is_short(number, CASE_NUMBER_MAX)),
            text: self.text.filter(are_short),
        }
    }
}

fn is_short(text: &str, most: usize) -> bool {
    text.chars().count() <= most && !text.chars().any(char::is_control)
}

fn are_short(words: &Bilingual) -> bool {
    is_short(&words.zh, WORDS_MAX) && is_short(&words.en, WORDS_MAX)
}

fn is_sentence(text: &str) -> bool {
    !text.is_empty() && is_short(text, WORDS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::Operations;

    const FILE: &str = "[[department]]\nid = \"water\"\nname = { zh = \"水\", en = \"Water\" }\n
        [[operation]]\nname = \"water.number\"\ndepartment = \"water\"\nkind = \"ticket\"\nanswer = { number = \"text\", on = \"date\" }\n";

    #[test]
    fn fault_of_rows_names_row_and_field_but_no_value() {
        let operations = Operations::parse(FILE).unwrap();
        let operation = operations.get("water.number").unwrap();
        let fault = |body: &str| OperationRows::parse(operation, body.as_bytes()).err();
        let good = r#"{"number":"A001","on":"2026-11-30","further":"1"}"#;
        let read = OperationRows::parse(operation, format!(r#"{{"rows":[{good}]}}"#).as_bytes());
        assert_eq!(read.ok().unwrap().rows[0].keys().collect::<Vec<_>>(), ["number", "on"]);
        assert!(matches!(fault("[]"), Some(AnswerFault::Shape(_))));
        assert!(matches!(fault(r#"{"rows":[{"number":1}]}"#), Some(AnswerFault::Shape(_))));
        assert_eq!(fault(&format!(r#"{{"rows":[{good},{good}]}}"#)), Some(AnswerFault::Rows(2, 1)));
        assert_eq!(fault(r#"{"rows":[{"number":"A"}]}"#), Some(AnswerFault::Missing(1, "on".into())));
        let fault = fault(r#"{"rows":[{"number":"A","on":"500112194803150422"}]}"#).unwrap();
        assert_eq!(fault, AnswerFault::Type(1, "on".into(), AnswerFieldType::Date));
        assert!(!fault.to_string().contains("5001"), "{fault}");
    }

    #[test]
    fn refusal_has_both_languages_within_their_length() {
        let body = |zh: &str, en: &str| format!(r#"{{"refused":{{"zh":"{zh}","en":"{en}"}}}}"#);
        assert!(parse_refusal(body(&"长".repeat(100), "No").as_bytes()).is_ok());
        for bad in [body("", "No"), body("不", ""), body(&"长".repeat(101), "No"), body("a\\nb", "No")] {
            assert!(matches!(parse_refusal(bad.as_bytes()), Err(AnswerFault::Words(..))), "{bad}");
        }
        assert!(matches!(parse_refusal(b"{}"), Err(AnswerFault::Shape(_))));
    }
}
