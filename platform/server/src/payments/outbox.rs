//! The outbox (发件箱) of payments: reports paid bills to the department, one posting per order, repeated without limit
//! until the department has booked or refused it.
//!
//! The department books an order once however often it is posted, so a posting without an answer is sent again.

use contract::{Backoff, Settlement, UnixMs};
use rusqlite::{OptionalExtension as _, Transaction, params};
use serde::Serialize;

use super::order_ref::OrderRef;
use crate::context::RequestContext;
use crate::incidents::record_incident;
use crate::messages::PlatformResponse;
use crate::peer_calls::{Peer, PeerAnswer, PeerCall, PlatformReply};
use crate::request_error::RequestError;
use crate::store::columns::{from_json_column, to_ms_column};

/// Pauses before the repetitions of a posting.
const RETRY_BACKOFF: Backoff = Backoff::new(2_000, RETRY_MAX_MS);
/// Longest pause before a repetition.
const RETRY_MAX_MS: u64 = 5 * 60_000;

#[derive(Serialize)]
struct PaymentPosting<'a> {
    order: &'a str,
    reference: String,
    bills: Vec<PostedBill>,
}

#[derive(Serialize)]
struct PostedBill {
    key: String,
    amount: i64,
}

/// Adds the posting of a paid order to the outbox, once.
pub(crate) fn enqueue_posting(tx: &Transaction<'_>, order: &OrderRef, now: UnixMs) -> rusqlite::Result<()> {
    tx.execute(
        "INSERT INTO postings (resident, [order], state, next_ms)
         SELECT resident, [order], 'open', ?2 FROM orders WHERE [order] = ?1
         ON CONFLICT ([order]) DO NOTHING",
        params![order.0, to_ms_column(now)],
    )?;
    Ok(())
}

/// Returns at most `most` postings that are due, and schedules the next attempt of each.
pub(crate) fn due_postings(tx: &Transaction<'_>, now: UnixMs, most: u32) -> rusqlite::Result<Vec<PeerCall>> {
    let mut open = tx.prepare(
        "SELECT [order], tried FROM postings WHERE state = 'open' AND (next_ms <= ?1 OR next_ms > ?3)
         ORDER BY next_ms LIMIT ?2",
    )?;
    let orders = open
        // A time further away than the longest pause was set by a clock that was ahead.
        .query_map(params![to_ms_column(now), most, to_ms_column(now.plus_ms(RETRY_MAX_MS))], |row| {
            Ok((OrderRef(row.get(0)?), row.get::<_, u32>(1)?))
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let mut calls = Vec::new();
    for (order, tried) in orders {
        let wait = RETRY_BACKOFF.pause_ms(tried);
        tx.execute(
            "UPDATE postings SET tried = tried + 1, next_ms = ?1 WHERE [order] = ?2",
            params![to_ms_column(now.plus_ms(wait)), order.0],
        )?;
        calls.extend(build_posting(tx, order)?);
    }
    Ok(calls)
}

/// Builds the call that posts a paid order to the department; `None` if the order is not paid.
fn build_posting(tx: &Transaction<'_>, order: OrderRef) -> rusqlite::Result<Option<PeerCall>> {
    let settlement: Option<String> = tx
        .query_row("SELECT settlement FROM orders WHERE [order] = ?1", [&order.0], |row| row.get(0))
        .optional()?
        .flatten();
    let Some(Settlement::Paid { reference, .. }) =
        settlement.map(|stored| from_json_column(&stored)).transpose()?
    else {
        return Ok(None);
    };
    let mut items =
        tx.prepare("SELECT bill, amount_fen FROM order_items WHERE [order] = ?1 ORDER BY bill")?;
    let bills = items
        .query_map([&order.0], |row| Ok(PostedBill { key: row.get(0)?, amount: row.get(1)? }))?
        .collect::<rusqlite::Result<_>>()?;
    let payment = PaymentPosting { order: &order.0, reference, bills };
    let body = serde_json::to_vec(&payment).expect("a payment has string keys and no floats");
    Ok(Some(PeerCall::new(Peer::Department, "/payments", body, move |context, answer| {
        on_posting_reply(context, &order, answer)
    })))
}

/// Continues with the department's answer to a posting; `None`: no answer came, the posting is repeated.
fn on_posting_reply(
    context: &RequestContext<'_>,
    order: &OrderRef,
    result: Option<&PeerAnswer>,
) -> Result<PlatformReply, RequestError> {
    match result.map(|result| result.status) {
        Some(204) => set_state(context.tx, order, "done")?,
        Some(409) => {
            set_state(context.tx, order, "refused")?;
            let what = "order is paid but the department refuses to book it: refund it or book it by hand";
            record_incident(context.tx, &format!("posting {}", order.0), what, to_ms_column(context.now))?;
        }
        Some(_) | None => {}
    }
    Ok(PlatformResponse { status: 204, content_type: "application/json", body: Vec::new() }.into())
}

fn set_state(tx: &Transaction<'_>, order: &OrderRef, state: &str) -> rusqlite::Result<()> {
    tx.execute(
        "UPDATE postings SET state = ?1 WHERE [order] = ?2 AND state = 'open'",
        params![state, order.0],
    )?;
    Ok(())
}
