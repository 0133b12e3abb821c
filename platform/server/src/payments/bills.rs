//! Bills (账单) of a resident: fetched from the department, and stored so that a charge can be checked against them.

use contract::{AnswerRow, CallAnswer, Money, ProblemCode};
use rusqlite::params;
use serde::{Deserialize, Serialize};

use crate::context::RequestContext;
use crate::messages::PlatformResponse;
use crate::peer_calls::{Peer, PeerAnswer, PeerCall, PlatformReply};
use crate::request_error::RequestError;

/// Most bills accepted in one answer of a department.
const BILLS_MAX: usize = 200;

#[derive(Serialize)]
struct BillQuery {
    id_number: String,
}

/// A bill in the department's answer.
#[derive(Deserialize)]
pub(super) struct DepartmentBill {
    key: String,
    address: String,
    period: String,
    usage: String,
    amount: Money,
    payee: String,
}

/// Starts listing the resident's bills: asks the department.
pub(crate) fn request_bills(
    context: &RequestContext<'_>,
    resident: i64,
) -> Result<PlatformReply, RequestError> {
    let call = build_bills_call(context, resident, move |context, answer| {
        on_bills_reply(context, resident, answer)
    })?;
    Ok(PlatformReply::CallPeer(call))
}

/// The call that asks the department for the resident's bills.
pub(super) fn build_bills_call(
    context: &RequestContext<'_>,
    resident: i64,
    then: impl Fn(&mut RequestContext<'_>, Option<&PeerAnswer>) -> Result<PlatformReply, RequestError>
    + Send
    + Sync
    + 'static,
) -> Result<PeerCall, RequestError> {
    let id_number =
        context.tx.query_row("SELECT id_number FROM residents WHERE resident = ?1", [resident], |found| {
            found.get(0)
        })?;
    let body = serde_json::to_vec(&BillQuery { id_number }).expect("a text is always JSON");
    Ok(PeerCall::new(Peer::Department, "/bills", body, then))
}

/// Reads the department's answer to a bills request; `result` is `None` when no answer came.
pub(super) fn parse_bills(result: Option<&PeerAnswer>) -> Result<Vec<DepartmentBill>, RequestError> {
    result
        .filter(|result| result.status == 200)
        .and_then(|result| serde_json::from_slice::<Vec<DepartmentBill>>(&result.body).ok())
        .filter(|bills| bills.len() <= BILLS_MAX)
        .ok_or_else(|| ProblemCode::Unavailable.into_problem("the department does not answer").into())
}

/// Continues with the department's answer to a bills request.
fn on_bills_reply(
    context: &RequestContext<'_>,
    resident: i64,
    result: Option<&PeerAnswer>,
) -> Result<PlatformReply, RequestError> {
    let bills = parse_bills(result)?;
    store_bills(context, resident, &bills)?;
    let mut rows = Vec::new();
    for bill in bills {
        if !is_bill_paid(context, &bill.key)? {
            rows.push(AnswerRow::from([
                ("bill".to_owned(), bill.key),
                ("payee".to_owned(), bill.payee),
                ("address".to_owned(), bill.address),
                ("period".to_owned(), bill.period),
                ("usage".to_owned(), bill.usage),
                ("amount".to_owned(), bill.amount.fen().to_string()),
            ]));
        }
    }
    Ok(PlatformResponse::json(&CallAnswer { rows, next: None }).into())
}

/// Stores the bills that were listed, so that a charge can be checked against them. A bill that the department no
/// longer lists was paid or withdrawn elsewhere and cannot be charged.
pub(super) fn store_bills(
    context: &RequestContext<'_>,
    resident: i64,
    bills: &[DepartmentBill],
) -> Result<(), RequestError> {
    context.tx.execute("UPDATE bills SET listed = 0 WHERE resident = ?1", [resident])?;
    for bill in bills {
        context.tx.execute(
            "INSERT INTO bills (resident, key, payee, amount_fen, listed) VALUES (?1, ?2, ?3, ?4, 1)
             ON CONFLICT (key) DO UPDATE SET resident = ?1, payee = ?3, amount_fen = ?4, listed = 1",
            params![resident, bill.key, bill.payee, bill.amount.fen()],
        )?;
    }
    Ok(())
}

/// Whether the bill was paid through the platform; the department may not have booked the payment yet.
fn is_bill_paid(context: &RequestContext<'_>, bill: &str) -> rusqlite::Result<bool> {
    context.tx.query_row(
        "SELECT EXISTS (SELECT 1 FROM order_items JOIN orders USING ([order])
         WHERE bill = ?1 AND claims = 1 AND settlement IS NOT NULL)",
        [bill],
        |found| found.get(0),
    )
}
