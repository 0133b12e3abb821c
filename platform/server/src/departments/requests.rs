//! Bodies of requests to departments.

use std::collections::BTreeMap;

use contract::{ConsentId, KioskId, Level, Operation, OperationKind, TicketId};
use rusqlite::Transaction;
use serde::Serialize;

use crate::context::RequestContext;
use crate::departments::calls::DepartmentRequest;
use crate::request_error::RequestError;

/// The person that a request is about. No `Debug`: personal data.
#[derive(Serialize)]
pub(crate) struct Person {
    id_number: String,
    name: String,
}

#[derive(Serialize)]
struct OperationBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ticket: Option<TicketId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    person: Option<Person>,
    input: &'a BTreeMap<String, String>,
    consent: Option<ConsentId>,
    level: Level,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kiosk: Option<KioskId>,
}

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
    let target = if is_ticket { "/tickets".to_owned() } else { format!("/query/{}", operation.name) };
    Ok(DepartmentRequest {
        department: operation.department.clone(),
        target,
        body: serde_json::to_vec(&body).expect("the body has string keys and no floats"),
        timeout_ms: operation.timeout_ms,
    })
}

/// The person of a resident.
pub(crate) fn person(tx: &Transaction<'_>, resident: i64) -> rusqlite::Result<Person> {
    tx.query_row("SELECT id_number, name FROM residents WHERE resident = ?1", [resident], |row| {
        Ok(Person { id_number: row.get(0)?, name: row.get(1)? })
    })
}
