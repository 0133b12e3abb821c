//! Calls of the recovery: the acquirer's list of paid orders, and inquiries about orders in kiosks' logs.

use contract::UnixMs;
use rusqlite::{Transaction, params};
use serde::{Deserialize, Serialize};

use crate::context::{PlatformConfig, RequestContext};
use crate::messages::PlatformResponse;
use crate::payments::acquirer::AcquirerAnswer;
use crate::payments::inquiries;
use crate::payments::order_ref::OrderRef;
use crate::peer_calls::{Peer, PeerAnswer, PeerCall, PlatformReply};
use crate::recovery_state::{self, LIST_AFTER, LIST_NEXT_MS, LISTED_MS};
use crate::request_error::RequestError;
use crate::store::columns::{from_json_column, to_ms_column};

/// Pause between two calls about one subject, in milliseconds.
const RETRY_MS: u64 = 5_000;

#[derive(Serialize)]
struct PaidOrdersRequest {
    /// Milliseconds since 1970.
    since: UnixMs,
    after: i64,
}

/// One page of the acquirer's list.
#[derive(Deserialize)]
struct PaidOrders {
    entries: Vec<AcquirerAnswer>,
    #[serde(default)]
    next: Option<i64>,
}

/// Returns the calls that the recovery needs now, and ends it when it is done.
pub(crate) fn due_recovery_calls(
    tx: &Transaction<'_>,
    config: &PlatformConfig,
    now: UnixMs,
    most: u32,
) -> rusqlite::Result<Vec<PeerCall>> {
    if recovery_state::begin(tx, now)?.is_none() {
        return Ok(Vec::new());
    }
    recovery_state::end_if_done(tx, config)?;
    let mut calls = Vec::new();
    let list_due = recovery_state::read(tx, LIST_NEXT_MS)?.is_none_or(|next| is_due(next, now));
    if recovery_state::read(tx, LISTED_MS)?.is_none() && list_due {
        recovery_state::write(tx, LIST_NEXT_MS, to_ms_column(now.plus_ms(RETRY_MS)))?;
        calls.push(list_call(tx)?);
    }
    let mut open = tx.prepare(
        "SELECT [order], device FROM recovery_orders WHERE next_ms <= ?1 OR next_ms > ?3 LIMIT ?2",
    )?;
    let orders = open
        .query_map(params![to_ms_column(now), most, to_ms_column(now.plus_ms(RETRY_MS))], |row| {
            Ok((OrderRef(row.get(0)?), from_json_column(&row.get::<_, String>(1)?)?))
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    for (order, kiosk) in orders {
        tx.execute(
            "UPDATE recovery_orders SET next_ms = ?2 WHERE [order] = ?1",
            params![order.0, to_ms_column(now.plus_ms(RETRY_MS))],
        )?;
        calls.push(inquiries::build_inquiry_call(&order, Some(kiosk)));
    }
    Ok(calls)
}

/// Whether a call is due. A time further away than the pause was set by a clock that was ahead.
fn is_due(next_ms: i64, now: UnixMs) -> bool {
    next_ms <= to_ms_column(now) || next_ms > to_ms_column(now.plus_ms(RETRY_MS))
}

fn list_call(tx: &Transaction<'_>) -> rusqlite::Result<PeerCall> {
    let after = recovery_state::read(tx, LIST_AFTER)?.unwrap_or(0);
    let request = PaidOrdersRequest { since: recovery_state::list_since(tx)?, after };
    let body = serde_json::to_vec(&request).expect("numbers are always JSON");
    Ok(PeerCall::new(Peer::Acquirer, "/charges/list", body, move |context, answer| {
        on_list_reply(context, after, answer)
    }))
}

/// Continues with a page of the list; without a valid one it is requested again.
fn on_list_reply(
    context: &RequestContext<'_>,
    after: i64,
    answer: Option<&PeerAnswer>,
) -> Result<PlatformReply, RequestError> {
    let done = || PlatformResponse { status: 204, content_type: "application/json", body: Vec::new() };
    let page: Option<PaidOrders> = answer
        .filter(|answer| answer.status == 200)
        .and_then(|answer| serde_json::from_slice(&answer.body).ok());
    // An answer that comes twice, or after another page, changes nothing.
    let is_expected = recovery_state::read(context.tx, LIST_AFTER)?.unwrap_or(0) == after;
    let Some(page) = page.filter(|_| is_expected) else { return Ok(done().into()) };
    for entry in &page.entries {
        inquiries::apply_listed_order(context, entry)?;
    }
    match page.next {
        // A page that does not lead on would be read again without end.
        Some(next) if next > after => {
            recovery_state::write(context.tx, LIST_AFTER, next)?;
            Ok(PlatformReply::CallPeer(list_call(context.tx)?))
        }
        Some(_) => Ok(done().into()),
        None => {
            recovery_state::write(context.tx, LISTED_MS, to_ms_column(context.now))?;
            Ok(done().into())
        }
    }
}
