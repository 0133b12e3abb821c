//! Calls of the licence library (电子证照库), and its answers.

use contract::{AnswerRow, Bilingual, LICENCE_LIST, LicenceKind};

use crate::city_time::city_date;
use crate::context::RequestContext;
use crate::departments::answers::{OperationAnswer, parse_answer};
use crate::departments::calls::{DepartmentAnswer, call_department};
use crate::departments::requests::{Asker, operation_request};
use crate::e_certificates::held::{HeldLicence, ListedLicence};
use crate::incidents::record_incident;
use crate::peer_calls::PlatformReply;
use crate::request_error::RequestError;
use crate::store::columns::to_ms_column;

/// What the library answers.
pub(crate) enum LibraryAnswer<T> {
    Found(Vec<T>),
    /// It refuses this resident, in words for them.
    Refused(Bilingual),
    /// It does not answer, or not what fits the kinds.
    Unavailable,
}

/// Calls an operation of the library. `None` where this city has no such operation.
pub(crate) fn call_library(
    context: &mut RequestContext<'_>,
    operation: &str,
    asker: &Asker<'_>,
    then: impl Fn(&mut RequestContext<'_>, Option<DepartmentAnswer>) -> Result<PlatformReply, RequestError>
    + Send
    + Sync
    + 'static,
) -> Result<Option<PlatformReply>, RequestError> {
    let config = context.config;
    let Some(operation) = config.operations().get(operation) else { return Ok(None) };
    let request = operation_request(context, operation, asker, &Default::default(), None)?;
    Ok(Some(PlatformReply::CallPeer(call_department(config, context.now, request, then))))
}

/// The licences of one kind, from the answer of its operation.
pub(crate) fn read_licences(
    context: &RequestContext<'_>,
    kind: &LicenceKind,
    answer: Option<DepartmentAnswer>,
) -> rusqlite::Result<LibraryAnswer<HeldLicence>> {
    let today = city_date(context.now);
    read_rows(context, &kind.operation(), answer, |row| Some(HeldLicence::from_row(kind, row, &today)))
}

/// The licences in the library's list. Those of a kind that is not registered are left out: nobody knows how to mask them.
pub(crate) fn read_list(
    context: &RequestContext<'_>,
    answer: Option<DepartmentAnswer>,
) -> rusqlite::Result<LibraryAnswer<ListedLicence>> {
    let today = city_date(context.now);
    read_rows(context, LICENCE_LIST, answer, |row| {
        let kind = context.config.operations().licence(row.get("licence")?)?;
        Some(ListedLicence::from_row(kind, &row, &today))
    })
}

/// Reads the rows of an answer. `read` gives `None` for a row to leave out, and `Some(None)` for one that cannot be: then nothing of
/// the answer is used, and it is an incident.
fn read_rows<T>(
    context: &RequestContext<'_>,
    operation: &str,
    answer: Option<DepartmentAnswer>,
    read: impl Fn(AnswerRow) -> Option<Option<T>>,
) -> rusqlite::Result<LibraryAnswer<T>> {
    let Some(declared) = context.config.operations().get(operation) else {
        return Ok(LibraryAnswer::Unavailable);
    };
    let rows = match parse_answer(context, declared, answer)? {
        OperationAnswer::Rows { rows, .. } => rows,
        OperationAnswer::Refused(words) => return Ok(LibraryAnswer::Refused(words)),
        OperationAnswer::Unavailable => return Ok(LibraryAnswer::Unavailable),
    };
    if let Some(found) = rows.into_iter().filter_map(read).collect() {
        return Ok(LibraryAnswer::Found(found));
    }
    let about = format!("licences of operation {operation}");
    let what = "status or period in the library's answer contradict each other or the licence file: nothing of it is used";
    record_incident(context.tx, &about, what, to_ms_column(context.now))?;
    Ok(LibraryAnswer::Unavailable)
}
