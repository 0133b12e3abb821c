//! The rows of orders: how they are stored, settled and listed.

use contract::{ChargeRequest, ChargeState, KioskId, ProblemCode, Settlement, UnixMs, VoidReason};
use rusqlite::{OptionalExtension as _, Transaction, params};
use serde::Serialize;

use super::order_ref::OrderRef;
use super::outbox;
use crate::context::RequestContext;
use crate::incidents::record_incident;
use crate::messages::PlatformResponse;
use crate::peer_calls::PlatformReply;
use crate::request_error::RequestError;
use crate::store::columns::{from_json_column, from_ms_column, to_json_column, to_ms_column};

/// Time after which a charge is inquired about if its result was lost, as when the process ended.
const RESULT_OVERDUE_MS: u64 = 30_000;

/// The incident about two paid orders for one bill.
pub(super) const CHARGED_TWICE: &str = "the acquirer has charged two orders for one bill: refund one of them";

/// Row of an order.
pub(super) struct StoredOrder {
    pub(super) device: KioskId,
    /// SM3 of the charge request; `None` when an inquiry came first.
    pub(super) body_hash: Option<[u8; 32]>,
    pub(super) total_fen: i64,
    /// `None` while the order is live.
    pub(super) settlement: Option<Settlement>,
}

/// How an order is first stored.
pub(super) enum NewOrder<'a> {
    /// The order is about to be charged.
    Live { resident: i64, request: &'a ChargeRequest, body_hash: [u8; 32] },
    /// The order was refused and is permanently void.
    Refused { code: ProblemCode, body_hash: [u8; 32] },
    /// The acquirer reported it as not charged before the charge request came here; the order is permanently void.
    Void(VoidReason),
    /// The acquirer has charged it at this time, and it is not known here. The caller stores its claims on bills.
    Lost { resident: i64, total_fen: i64, settlement: &'a Settlement, at: UnixMs },
}

/// Stores an order, with its claims on bills if it is live.
pub(super) fn insert_order(
    context: &RequestContext<'_>,
    order: &OrderRef,
    device: KioskId,
    new_order: &NewOrder<'_>,
) -> rusqlite::Result<()> {
    let void = |reason| Some(to_json_column(&Settlement::Void { reason }));
    let (resident, total_fen, body_hash, settlement) = match new_order {
        NewOrder::Live { resident, request, body_hash } => {
            (Some(resident), request.total.fen(), Some(body_hash), None)
        }
        NewOrder::Refused { code, body_hash } => (None, 0, Some(body_hash), void(VoidReason::Refused(*code))),
        NewOrder::Void(reason) => (None, 0, None, void(*reason)),
        NewOrder::Lost { resident, total_fen, settlement, .. } => {
            (Some(resident), *total_fen, None, Some(to_json_column(settlement)))
        }
    };
    let created = if let NewOrder::Lost { at, .. } = new_order { *at } else { context.now };
    let next_ask = settlement.is_none().then(|| to_ms_column(context.now.plus_ms(RESULT_OVERDUE_MS)));
    context.tx.execute(
        "INSERT INTO orders (resident, [order], device, body_hash, total_fen, settlement, created_ms, next_ask_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            resident,
            order.0,
            to_json_column(&device),
            body_hash,
            total_fen,
            settlement,
            to_ms_column(created),
            next_ask
        ],
    )?;
    let NewOrder::Live { resident, request, .. } = new_order else { return Ok(()) };
    for item in &request.items {
        context.tx.execute(
            "INSERT INTO order_items (resident, [order], bill, amount_fen, claims) VALUES (?1, ?2, ?3, ?4, 1)",
            params![resident, order.0, item.key, item.amount.fen()],
        )?;
    }
    Ok(())
}

pub(super) fn find_order(tx: &Transaction<'_>, order: &OrderRef) -> rusqlite::Result<Option<StoredOrder>> {
    tx.query_row(
        "SELECT device, body_hash, total_fen, settlement FROM orders WHERE [order] = ?1",
        [&order.0],
        |row| {
            Ok(StoredOrder {
                device: from_json_column(&row.get::<_, String>(0)?)?,
                body_hash: row.get(1)?,
                total_fen: row.get(2)?,
                settlement: row
                    .get::<_, Option<String>>(3)?
                    .map(|stored| from_json_column(&stored))
                    .transpose()?,
            })
        },
    )
    .optional()
}

/// Stores an outcome that contradicts the order: it is final, the bills stay claimed, and nothing is posted.
pub(super) fn settle_without_posting(
    tx: &Transaction<'_>,
    order: &OrderRef,
    outcome: &Settlement,
) -> rusqlite::Result<()> {
    tx.execute(
        "UPDATE orders SET settlement = ?1, next_ask_ms = NULL WHERE [order] = ?2 AND settlement IS NULL",
        params![to_json_column(outcome), order.0],
    )?;
    Ok(())
}

/// Stores the outcome of an order. A paid order keeps its claims permanently and is posted to the department, unless another paid
/// order has taken one of its claims; a void order releases its bills.
pub(super) fn settle_order(
    context: &RequestContext<'_>,
    order: &OrderRef,
    outcome: &Settlement,
) -> rusqlite::Result<()> {
    settle_without_posting(context.tx, order, outcome)?;
    match outcome {
        Settlement::Paid { .. } => {
            let is_displaced: bool = context.tx.query_row(
                "SELECT EXISTS (SELECT 1 FROM order_items WHERE [order] = ?1 AND claims = 0)",
                [&order.0],
                |row| row.get(0),
            )?;
            if is_displaced {
                let (about, now) = (format!("order {}", order.0), to_ms_column(context.now));
                return record_incident(context.tx, &about, CHARGED_TWICE, now);
            }
            outbox::enqueue_posting(context.tx, order, context.now)
        }
        Settlement::Void { .. } => {
            context.tx.execute("UPDATE order_items SET claims = 0 WHERE [order] = ?1", [&order.0])?;
            Ok(())
        }
    }
}

pub(super) fn charge_state_reply(settlement: Option<Settlement>) -> PlatformReply {
    let state = settlement.map_or(ChargeState::Pending, |settlement| ChargeState::Settled { settlement });
    PlatformResponse::json(&state).into()
}

pub(super) fn order_conflict() -> RequestError {
    ProblemCode::OrderConflict.into_problem("the order id was used for another order").into()
}

/// An order on the administration page.
#[derive(Serialize)]
pub(crate) struct OrderSummary {
    pub(crate) order: String,
    pub(crate) device: KioskId,
    /// Amount in fen.
    pub(crate) total_fen: i64,
    /// The outcome; `None` while it is not known.
    pub(crate) settlement: Option<Settlement>,
    /// When the platform received the order.
    #[serde(rename = "created_ms")]
    pub(crate) created: UnixMs,
    /// State of the payment's postings to departments, if it is to be posted: `refused` or `open` if one of them is.
    pub(crate) posting: Option<String>,
}

/// The newest orders, for the administration page.
pub(crate) fn newest_orders(tx: &Transaction<'_>, most: u32) -> rusqlite::Result<Vec<OrderSummary>> {
    let mut newest = tx.prepare(
        // Of several postings, the one that an operator must look at: refused, then open.
        "SELECT orders.[order], device, total_fen, settlement, created_ms,
             (SELECT state FROM postings WHERE postings.[order] = orders.[order]
              ORDER BY state = 'done', state = 'open' LIMIT 1)
         FROM orders ORDER BY created_ms DESC, orders.rowid DESC LIMIT ?1",
    )?;
    let lines = newest.query_map([most], |row| {
        Ok(OrderSummary {
            order: row.get(0)?,
            device: from_json_column(&row.get::<_, String>(1)?)?,
            total_fen: row.get(2)?,
            settlement: row
                .get::<_, Option<String>>(3)?
                .map(|stored| from_json_column(&stored))
                .transpose()?,
            created: from_ms_column(row.get(4)?),
            posting: row.get(5)?,
        })
    })?;
    lines.collect()
}
