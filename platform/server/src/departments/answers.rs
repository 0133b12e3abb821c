//! Answers of departments, checked against the operation.

use contract::{AnswerRow, Bilingual, Operation, OperationRows, ProblemCode};

use crate::context::RequestContext;
use crate::departments::calls::DepartmentAnswer;
use crate::incidents::record_incident;
use crate::messages::PlatformResponse;
use crate::peer_calls::PlatformReply;
use crate::store::columns::to_ms_column;

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

/// Reads the answer to an operation: rows with exactly the declared fields. An answer of another shape is an incident, once for each
/// operation, and nothing of it is used.
pub(crate) fn parse_answer(
    context: &RequestContext<'_>,
    operation: &Operation,
    answer: Option<DepartmentAnswer>,
) -> rusqlite::Result<OperationAnswer> {
    let Some(answer) = answer else { return Ok(OperationAnswer::Unavailable) };
    let parsed = match answer.status {
        200 => OperationRows::parse(operation, &answer.body)
            .map(|OperationRows { rows, next }| OperationAnswer::Rows { rows, next }),
        422 => contract::parse_refusal(&answer.body).map(OperationAnswer::Refused),
        _ => return Ok(OperationAnswer::Unavailable),
    };
    if parsed.is_err() {
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
