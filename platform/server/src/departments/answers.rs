//! Answers of departments, checked against the operation.

use contract::{AnswerRow, Bilingual, Operation, OperationKind, ProblemCode};
use serde::Deserialize;

use crate::context::RequestContext;
use crate::departments::calls::DepartmentAnswer;
use crate::incidents::record_incident;
use crate::messages::PlatformResponse;
use crate::peer_calls::PlatformReply;
use crate::store::columns::to_ms_column;

/// Most rows of one answer.
const ROWS_MAX: usize = 200;
/// Longest refusal in characters.
const REFUSAL_MAX: usize = 100;

/// What a department answers to an operation.
pub(crate) enum OperationAnswer {
    Rows {
        rows: Vec<AnswerRow>,
        next: Option<String>,
    },
    /// It refuses this resident, in words for them.
    Refused(Bilingual),
    /// It does not answer, or not in the declared shape.
    Unavailable,
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

/// Reads the answer to an operation: rows with exactly the declared fields. An answer of another shape is an incident, once for each
/// operation, and nothing of it is used.
pub(crate) fn parse_answer(
    context: &RequestContext<'_>,
    operation: &Operation,
    answer: Option<DepartmentAnswer>,
) -> rusqlite::Result<OperationAnswer> {
    let Some(answer) = answer else { return Ok(OperationAnswer::Unavailable) };
    let parsed = match answer.status {
        200 => serde_json::from_slice(&answer.body).ok().and_then(|body| checked_rows(operation, body)),
        422 => serde_json::from_slice(&answer.body).ok().and_then(checked_refusal),
        _ => return Ok(OperationAnswer::Unavailable),
    };
    if parsed.is_none() {
        let about = format!("operation {}", operation.name);
        let what =
            "the department's answer has not the declared fields, types or length: nothing of it is used";
        record_incident(context.tx, &about, what, to_ms_column(context.now))?;
    }
    Ok(parsed.unwrap_or(OperationAnswer::Unavailable))
}

/// The reply to the kiosk when a department does not answer. It is no error: what was recorded of the call stays.
pub(crate) fn unavailable_reply() -> PlatformReply {
    PlatformResponse::problem(&ProblemCode::Unavailable.into_problem("the department does not answer")).into()
}

fn checked_rows(operation: &Operation, body: RowsBody) -> Option<OperationAnswer> {
    let most = if operation.kind == OperationKind::Ticket { 1 } else { ROWS_MAX };
    if body.rows.len() > most {
        return None;
    }
    let rows = body.rows.into_iter().map(|row| checked_row(operation, row)).collect::<Option<_>>()?;
    Some(OperationAnswer::Rows { rows, next: body.next })
}

/// The declared fields of a row; `None` when one is missing or not of its type.
fn checked_row(operation: &Operation, mut row: AnswerRow) -> Option<AnswerRow> {
    let fields = operation.answer.iter();
    fields
        .map(|(name, kind)| {
            let value = row.remove(name)?;
            kind.accepts(&value).then(|| (name.clone(), value))
        })
        .collect()
}

fn checked_refusal(body: RefusedBody) -> Option<OperationAnswer> {
    let is_sentence = |text: &str| {
        let length = text.chars().count();
        (1..=REFUSAL_MAX).contains(&length) && !text.chars().any(char::is_control)
    };
    let RefusedBody { refused } = body;
    (is_sentence(&refused.zh) && is_sentence(&refused.en)).then_some(OperationAnswer::Refused(refused))
}
