//! Bodies of requests to departments.

use std::collections::BTreeMap;

use contract::{
    ConsentId, DepartmentPerson, KioskId, Level, Operation, OperationBody, OperationKind, TICKETS_TARGET,
    TicketId, query_target,
};
use rusqlite::Transaction;

use crate::context::RequestContext;
use crate::departments::calls::DepartmentRequest;
use crate::request_error::RequestError;

/// On whose behalf, and where, a department is asked.
pub(crate) struct Asker<'a> {
    pub(crate) resident: i64,
    pub(crate) level: Level,
    /// `None`: a phone or a relying party asks.
    pub(crate) kiosk: Option<KioskId>,
    /// The service document that calls; `None` when bills are asked for once more at their payment, and where no kiosk asks.
    pub(crate) service: Option<&'a str>,
    pub(crate) consent: Option<ConsentId>,
}

/// The request of an operation; with `ticket` for one that gives tickets.
pub(crate) fn operation_request(
    context: &mut RequestContext<'_>,
    operation: &Operation,
    asker: &Asker<'_>,
    input: &BTreeMap<String, String>,
    ticket: Option<TicketId>,
) -> Result<DepartmentRequest, RequestError> {
    let person = if operation.person { Some(person(context.tx, asker.resident)?) } else { None };
    let is_ticket = operation.kind == OperationKind::Ticket;
    let body = OperationBody {
        // A query under one consent is one request, however often it is repeated: its paper has one number.
        request: (!is_ticket).then(|| match asker.consent {
            Some(consent) => consent.to_string(),
            None => format!("{:032x}", context.entropy.next_u128()),
        }),
        ticket,
        operation: is_ticket.then_some(operation.name.as_str()),
        person,
        input,
        consent: asker.consent,
        level: asker.level,
        service: asker.service,
        kiosk: asker.kiosk,
    };
    let target = if is_ticket { TICKETS_TARGET.to_owned() } else { query_target(&operation.name) };
    Ok(DepartmentRequest {
        department: operation.department.clone(),
        target,
        body: serde_json::to_vec(&body).expect("the body has string keys and no floats"),
        timeout_ms: operation.timeout_ms,
    })
}

/// The person of a resident.
pub(crate) fn person(tx: &Transaction<'_>, resident: i64) -> rusqlite::Result<DepartmentPerson> {
    tx.query_row("SELECT id_number, name FROM residents WHERE resident = ?1", [resident], |row| {
        Ok(DepartmentPerson { id_number: row.get(0)?, name: row.get(1)? })
    })
}
