//! The outbox (发件箱) of payments: reports paid bills to the department, one posting per order and department, repeated without limit
//! until the department has booked or refused it.
//!
//! The department books an order once however often it is posted, so a posting without an answer is sent again.

use std::collections::BTreeSet;

use contract::{
    Backoff, DepartmentId, PAYMENT_TIMEOUT_MS, PAYMENTS_TARGET, PaidBill, PaymentBody, Settlement, UnixMs,
};
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::bills::BillRef;
use super::order_ref::OrderRef;
use crate::context::{PlatformConfig, RequestContext};
use crate::departments::calls::{DepartmentAnswer, DepartmentRequest, call_department};
use crate::incidents::record_incident;
use crate::messages::PlatformResponse;
use crate::peer_calls::{PeerCall, PlatformReply};
use crate::request_error::RequestError;
use crate::store::columns::{from_json_column, to_ms_column};

/// Pauses before the repetitions of a posting.
const RETRY_BACKOFF: Backoff = Backoff::new(2_000, RETRY_MAX_MS);
/// Longest pause before a repetition.
const RETRY_MAX_MS: u64 = 5 * 60_000;

/// Adds the postings of a paid order to the outbox, once: one to each department that has a bill in it.
pub(crate) fn enqueue_posting(tx: &Transaction<'_>, order: &OrderRef, now: UnixMs) -> rusqlite::Result<()> {
    let bills = bills_of(tx, order)?;
    let departments: BTreeSet<&DepartmentId> = bills.iter().map(|(bill, _)| &bill.department).collect();
    for department in departments {
        tx.execute(
            "INSERT INTO postings (resident, [order], department, state, next_ms)
             SELECT resident, [order], ?2, 'open', ?3 FROM orders WHERE [order] = ?1
             ON CONFLICT ([order], department) DO NOTHING",
            params![order.0, department.to_string(), to_ms_column(now)],
        )?;
    }
    Ok(())
}

/// The bills of an order with their amounts in fen.
fn bills_of(tx: &Transaction<'_>, order: &OrderRef) -> rusqlite::Result<Vec<(BillRef, i64)>> {
    let mut items =
        tx.prepare("SELECT bill, amount_fen FROM order_items WHERE [order] = ?1 ORDER BY bill")?;
    let items = items
        .query_map([&order.0], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    // A bill without a department is of another version's database; its order stays for an operator.
    Ok(items.into_iter().filter_map(|(bill, amount)| Some((BillRef::parse(&bill)?, amount))).collect())
}

/// Returns at most `most` postings that are due, and schedules the next attempt of each.
pub(crate) fn due_postings(
    tx: &Transaction<'_>,
    config: &PlatformConfig,
    now: UnixMs,
    most: u32,
) -> rusqlite::Result<Vec<PeerCall>> {
    let mut open = tx.prepare(
        "SELECT [order], department, tried FROM postings WHERE state = 'open' AND (next_ms <= ?1 OR next_ms > ?3)
         ORDER BY next_ms LIMIT ?2",
    )?;
    let due = open
        // A time further away than the longest pause was set by a clock that was ahead.
        .query_map(params![to_ms_column(now), most, to_ms_column(now.plus_ms(RETRY_MAX_MS))], |row| {
            Ok((OrderRef(row.get(0)?), row.get::<_, String>(1)?, row.get::<_, u32>(2)?))
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let mut calls = Vec::new();
    for (order, department, tried) in due {
        let wait = RETRY_BACKOFF.pause_ms(tried);
        tx.execute(
            "UPDATE postings SET tried = tried + 1, next_ms = ?1 WHERE [order] = ?2 AND department = ?3",
            params![to_ms_column(now.plus_ms(wait)), order.0, department],
        )?;
        if let Ok(department) = department.parse() {
            calls.extend(build_posting(tx, config, now, order, department)?);
        }
    }
    Ok(calls)
}

/// Builds the call that posts a paid order to a department; `None` if the order is not paid.
fn build_posting(
    tx: &Transaction<'_>,
    config: &PlatformConfig,
    now: UnixMs,
    order: OrderRef,
    department: DepartmentId,
) -> rusqlite::Result<Option<PeerCall>> {
    let settlement: Option<String> = tx
        .query_row("SELECT settlement FROM orders WHERE [order] = ?1", [&order.0], |row| row.get(0))
        .optional()?
        .flatten();
    let Some(Settlement::Paid { reference, at }) =
        settlement.map(|stored| from_json_column(&stored)).transpose()?
    else {
        return Ok(None);
    };
    let bills = bills_of(tx, &order)?
        .into_iter()
        .filter(|(bill, _)| bill.department == department)
        .map(|(bill, amount)| PaidBill { key: bill.key, amount })
        .collect();
    let payment = PaymentBody { order: &order.0, reference: &reference, paid_ms: at.0, bills };
    let request = DepartmentRequest {
        department: department.clone(),
        target: PAYMENTS_TARGET.to_owned(),
        body: serde_json::to_vec(&payment).expect("a payment has string keys and no floats"),
        timeout_ms: PAYMENT_TIMEOUT_MS,
    };
    Ok(Some(call_department(config, now, request, move |context, answer| {
        on_posting_reply(context, &order, &department, answer)
    })))
}

/// Continues with the department's answer to a posting; `None`: no answer came, the posting is repeated.
fn on_posting_reply(
    context: &RequestContext<'_>,
    order: &OrderRef,
    department: &DepartmentId,
    result: Option<DepartmentAnswer>,
) -> Result<PlatformReply, RequestError> {
    match result.map(|result| result.status) {
        Some(204) => set_state(context.tx, order, department, "done")?,
        Some(409) => {
            set_state(context.tx, order, department, "refused")?;
            let what = "order is paid but the department refuses to book it: refund it or book it by hand";
            let about = format!("posting {} to {department}", order.0);
            record_incident(context.tx, &about, what, to_ms_column(context.now))?;
        }
        Some(_) | None => {}
    }
    Ok(PlatformResponse { status: 204, content_type: "application/json", body: Vec::new() }.into())
}

fn set_state(
    tx: &Transaction<'_>,
    order: &OrderRef,
    department: &DepartmentId,
    state: &str,
) -> rusqlite::Result<()> {
    tx.execute(
        "UPDATE postings SET state = ?1 WHERE [order] = ?2 AND department = ?3 AND state = 'open'",
        params![state, order.0, department.to_string()],
    )?;
    Ok(())
}
