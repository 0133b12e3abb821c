//! Acts (操作): what a resident has the platform do at a kiosk, as withdrawing a consent. An act is done once, however often its
//! request is repeated.
//!
//! The kiosk names an act by the id of its step's ticket, which it draws once. The first request with this id acts and its answer is
//! stored in the same transaction; a repeated request, as after a lost answer, gets the stored answer and changes nothing.

use contract::{
    Bilingual, CallAnswer, CallRequest, Entry, KioskId, OperationKind, PlatformOperation, TicketId, UnixMs,
};
use rusqlite::{OptionalExtension as _, Transaction, params};

use crate::config::kiosks::RegisteredKiosk;
use crate::context::RequestContext;
use crate::incidents::record_incident;
use crate::request_error::{RequestError, malformed_request};
use crate::store::columns::{from_json_column, to_json_column, to_ms_column};
use crate::visits::identify::OpenVisit;

/// Does an act, or repeats its answer. An answer without rows is a refusal: nothing was done, and nothing is stored.
pub(crate) fn act_once(
    context: &mut RequestContext<'_>,
    kiosk: &RegisteredKiosk,
    visit: &OpenVisit,
    request: &CallRequest,
    ticket: TicketId,
    act: impl FnOnce(&mut RequestContext<'_>) -> Result<CallAnswer, RequestError>,
) -> Result<CallAnswer, RequestError> {
    let asked =
        (visit.resident, kiosk.id.to_string(), request.operation.clone(), to_json_column(&request.input));
    let earlier: Option<((i64, String, String, String), String)> = context
        .tx
        .query_row(
            "SELECT resident, device, operation, input, answer FROM acts WHERE ticket = ?1",
            [ticket.to_string()],
            |row| Ok(((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?), row.get(4)?)),
        )
        .optional()?;
    match earlier {
        Some((earlier, answer)) if earlier == asked => return Ok(from_json_column(&answer)?),
        Some(_) => return Err(malformed_request("the ticket was used with another request; draw a new one")),
        None => {}
    }
    let answer = act(context)?;
    if !answer.rows.is_empty() {
        let (resident, device, operation, input) = asked;
        context.tx.execute(
            "INSERT INTO acts (resident, ticket, device, visit, operation, input, at_ms, answer)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                resident,
                ticket.to_string(),
                device,
                visit.visit.to_string(),
                operation,
                input,
                to_ms_column(context.now),
                to_json_column(&answer)
            ],
        )?;
    }
    Ok(answer)
}

/// The answer that nothing was done, in words for the resident.
pub(crate) fn refused_act(zh: impl Into<String>, en: impl Into<String>) -> CallAnswer {
    let words = Bilingual { zh: zh.into(), en: en.into() };
    CallAnswer { rows: Vec::new(), next: None, refused: Some(words) }
}

/// Compares a kiosk's record that an act was done with the acts of this database. An act that the resident was shown as done, and that
/// this database does not have, was undone by a restore: the operator must know it.
pub(crate) fn compare_with_record(
    tx: &Transaction<'_>,
    device: KioskId,
    entry: &Entry,
    now: UnixMs,
) -> rusqlite::Result<()> {
    let Entry::TicketTaken { visit, call, ticket, .. } = entry else { return Ok(()) };
    let is_act = PlatformOperation::from_name(call)
        .is_some_and(|operation| operation.declaration().kind == OperationKind::Ticket);
    if !is_act {
        return Ok(());
    }
    let is_known: bool = tx.query_row(
        "SELECT EXISTS (SELECT 1 FROM acts WHERE ticket = ?1 AND device = ?2 AND operation = ?3)",
        params![ticket.to_string(), device.to_string(), call],
        |row| row.get(0),
    )?;
    if !is_known {
        let what = format!(
            "{device} showed a resident in visit {visit} that `{call}` was done, and this database does not have it, as after a \
             restore: it is not in effect"
        );
        record_incident(tx, &format!("act {ticket}"), &what, to_ms_column(now))?;
    }
    Ok(())
}
