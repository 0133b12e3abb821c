//! Orders that the acquirer has charged and that are not known here: the database was restored from a backup. They are entered
//! again from what the acquirer keeps of them.

use contract::{KioskId, Settlement};
use rusqlite::{OptionalExtension as _, params};

use super::acquirer::AcquirerAnswer;
use super::order_ref::OrderRef;
use super::orders::{CHARGED_TWICE, NewOrder, insert_order};
use super::outbox;
use crate::context::RequestContext;
use crate::incidents::record_incident;
use crate::request_error::RequestError;
use crate::store::columns::to_ms_column;

/// Enters a paid order that is not known here: with its total, its outcome and its claims on bills, and with the posting to
/// the department, which books an order once. What prevents it becomes an incident. `kiosk`: the one that inquires; the
/// acquirer's own note of the kiosk comes first.
pub(super) fn enter_paid_order(
    context: &RequestContext<'_>,
    answer: &AcquirerAnswer,
    kiosk: Option<KioskId>,
) -> Result<(), RequestError> {
    let settlement = answer.settlement();
    let Settlement::Paid { at, .. } = &settlement else { return Ok(()) };
    let order = OrderRef(answer.order.clone());
    let about = format!("order {}", order.0);
    let incident = |what: &str| record_incident(context.tx, &about, what, to_ms_column(context.now));
    let (Some(kiosk), Some(resident)) = (answer.kiosk().or(kiosk), answer.resident()) else {
        incident(
            "the acquirer has charged an order that is not known here, and does not say for whom: reconcile it by hand",
        )?;
        return Ok(());
    };
    let lost = NewOrder::Lost { resident, total_fen: answer.total, settlement: &settlement, at: *at };
    insert_order(context, &order, kiosk, &lost)?;
    let Some(amounts) = bill_amounts(context, answer)? else {
        incident(
            "an order was entered again as paid, but the amounts of its bills are not known: book it by hand",
        )?;
        for bill in &answer.bills {
            claim_bill(context, &order, resident, bill, 0)?;
        }
        return Ok(());
    };
    let mut all_claimed = true;
    for (bill, amount) in answer.bills.iter().zip(amounts) {
        all_claimed &= claim_bill(context, &order, resident, bill, amount)?;
    }
    if all_claimed {
        outbox::enqueue_posting(context.tx, &order, context.now)?;
        tracing::warn!("an order that was not known here was entered again as paid");
    } else {
        incident(CHARGED_TWICE)?;
    }
    Ok(())
}

/// The amounts of the order's bills, in fen; `None` if neither the acquirer nor the stored bills give amounts that add up to
/// the total.
fn bill_amounts(context: &RequestContext<'_>, answer: &AcquirerAnswer) -> rusqlite::Result<Option<Vec<i64>>> {
    let adds_up = |amounts: &Vec<i64>| {
        let sum = amounts.iter().try_fold(0_i64, |sum, amount| sum.checked_add(*amount));
        !amounts.is_empty() && amounts.len() == answer.bills.len() && sum == Some(answer.total)
    };
    if adds_up(&answer.amounts) {
        return Ok(Some(answer.amounts.clone()));
    }
    let mut stored = Vec::new();
    for bill in &answer.bills {
        let amount: Option<i64> = context
            .tx
            .query_row(
                "SELECT amount_fen FROM bills WHERE key = ?1 ORDER BY resident = ?2 DESC LIMIT 1",
                params![bill, answer.resident()],
                |row| row.get(0),
            )
            .optional()?;
        stored.extend(amount);
    }
    Ok(Some(stored).filter(adds_up))
}

/// Stores an item of the order; false if a paid order holds the claim on the bill. An order that is on its way in the backup loses
/// its claim: the acquirer had charged this one since, so the bill was free.
fn claim_bill(
    context: &RequestContext<'_>,
    order: &OrderRef,
    resident: i64,
    bill: &str,
    amount_fen: i64,
) -> rusqlite::Result<bool> {
    context.tx.execute(
        "UPDATE order_items SET claims = 0 WHERE bill = ?1 AND claims = 1
         AND [order] IN (SELECT [order] FROM orders WHERE settlement IS NULL)",
        [bill],
    )?;
    let is_free: bool = context.tx.query_row(
        "SELECT NOT EXISTS (SELECT 1 FROM order_items WHERE bill = ?1 AND claims = 1)",
        [bill],
        |row| row.get(0),
    )?;
    context.tx.execute(
        "INSERT INTO order_items (resident, [order], bill, amount_fen, claims) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO NOTHING",
        params![resident, order.0, bill, amount_fen, is_free],
    )?;
    Ok(is_free)
}
