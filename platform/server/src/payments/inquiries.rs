//! Inquiries: what became of an order. The acquirer decides; its answer to an inquiry fences the order, so it is final (I1).
//!
//! An order is void only by the acquirer's answer, or because the platform refused it before any request about it went to
//! the acquirer. That the platform does not know an order proves nothing: its database may have been restored from a
//! backup. So an unknown order is fenced at the acquirer before *void* is said, and if the acquirer has charged it, the
//! order is entered again as paid.

use contract::{Backoff, InquiryRequest, KioskId, ProblemCode, Settlement, UnixMs};
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::acquirer::AcquirerAnswer;
use super::lost_orders;
use super::order_ref::OrderRef;
use super::orders::{
    NewOrder, StoredOrder, charge_state_reply, find_order, insert_order, order_conflict, settle_order,
    settle_without_posting,
};
use crate::config::kiosks::RegisteredKiosk;
use crate::context::RequestContext;
use crate::incidents::record_incident;
use crate::messages::PlatformResponse;
use crate::peer_calls::{Peer, PeerAnswer, PeerCall, PlatformReply};
use crate::request_error::{RequestError, parse_body};
use crate::store::columns::to_ms_column;

/// Pauses before the inquiries about a charge of unknown outcome.
const INQUIRY_BACKOFF: Backoff = Backoff::new(1_000, 60_000);
/// Refusals (HTTP 4xx) about one order after which it becomes an incident and the platform inquires seldom.
const REFUSALS_MAX: u32 = 8;
/// Longest pause before an inquiry: after that many refusals.
const PAUSE_MAX_MS: u64 = 60 * 60 * 1000;

/// `POST /v1/inquiries`: answers the outcome of an order. It is the acquirer's, also for an order that is not known here.
pub(crate) fn inquire_order(
    context: &RequestContext<'_>,
    kiosk: &RegisteredKiosk,
    body: &[u8],
) -> Result<PlatformReply, RequestError> {
    let request: InquiryRequest = parse_body(body)?;
    let order = OrderRef::from(request.order);
    match find_order(context.tx, &order)? {
        Some(known) if known.device != kiosk.id => Err(order_conflict()),
        Some(StoredOrder { settlement: Some(settlement), .. }) => Ok(charge_state_reply(Some(settlement))),
        Some(StoredOrder { settlement: None, .. }) | None => {
            Ok(PlatformReply::CallPeer(build_inquiry_call(&order, Some(kiosk.id))))
        }
    }
}

/// Path of the acquirer's inquiry about an order.
pub(super) fn inquiry_target(order: &OrderRef) -> String {
    format!("/charges/{}/inquire", order.0)
}

/// The call that fences an order at the acquirer. `kiosk`: the one that inquires; `None`: the platform does.
pub(crate) fn build_inquiry_call(order: &OrderRef, kiosk: Option<KioskId>) -> PeerCall {
    let (target, order) = (inquiry_target(order), order.clone());
    PeerCall::new(Peer::Acquirer, target, Vec::new(), move |context, answer| {
        on_inquiry_reply(context, &order, kiosk, answer)
    })
}

/// Continues with the acquirer's answer to an inquiry; `None`: no answer came. An outcome that is still unknown is
/// answered as *unavailable*.
pub(super) fn on_inquiry_reply(
    context: &RequestContext<'_>,
    order: &OrderRef,
    kiosk: Option<KioskId>,
    result: Option<&PeerAnswer>,
) -> Result<PlatformReply, RequestError> {
    enter_unknown_order(context, order, kiosk, result)?;
    apply_outcome(context, order, result)?;
    Ok(match find_order(context.tx, order)? {
        // Not an error, so that an order that was entered again is committed.
        Some(known) if kiosk.is_some_and(|kiosk| known.device != kiosk) => {
            order_conflict().into_response().into()
        }
        Some(StoredOrder { settlement: Some(settlement), .. }) => charge_state_reply(Some(settlement)),
        // Not a `RequestError`, so that the time of the next inquiry is committed.
        Some(StoredOrder { settlement: None, .. }) | None => {
            PlatformResponse::problem(&ProblemCode::Unavailable.into_problem("the acquirer does not answer"))
                .into()
        }
    })
}

/// Enters an order that is not known here with the outcome that the acquirer reports.
fn enter_unknown_order(
    context: &RequestContext<'_>,
    order: &OrderRef,
    kiosk: Option<KioskId>,
    result: Option<&PeerAnswer>,
) -> Result<(), RequestError> {
    if find_order(context.tx, order)?.is_some() {
        return Ok(());
    }
    let Some(answer) = result.and_then(|result| AcquirerAnswer::parse(order, result)) else { return Ok(()) };
    match answer.settlement() {
        Settlement::Paid { .. } => lost_orders::enter_paid_order(context, &answer, kiosk)?,
        Settlement::Void { reason } => {
            if let Some(kiosk) = kiosk.or_else(|| answer.kiosk()) {
                insert_order(context, order, kiosk, &NewOrder::Void(reason))?;
            }
        }
    }
    Ok(())
}

/// Applies the acquirer's answer to a known order. Without a valid answer the next inquiry is scheduled.
pub(super) fn apply_outcome(
    context: &RequestContext<'_>,
    order: &OrderRef,
    result: Option<&PeerAnswer>,
) -> Result<(), RequestError> {
    let Some(known) = find_order(context.tx, order)? else { return Ok(()) };
    if let Some(answer) = result.and_then(|result| AcquirerAnswer::parse(order, result)) {
        return apply_answer(context, order, &known, &answer);
    }
    if known.settlement.is_none() {
        if result.is_some_and(|result| (400..500).contains(&result.status)) {
            count_refusal(context, order)?;
        }
        schedule_inquiry(context.tx, order, context.now)?;
    }
    Ok(())
}

/// Applies an entry of the acquirer's list of paid orders.
pub(crate) fn apply_listed_order(
    context: &RequestContext<'_>,
    entry: &AcquirerAnswer,
) -> Result<(), RequestError> {
    let order = OrderRef(entry.order.clone());
    match find_order(context.tx, &order)? {
        Some(known) => apply_answer(context, &order, &known, entry),
        None => lost_orders::enter_paid_order(context, entry, None),
    }
}

/// Applies the acquirer's outcome. The first outcome is final; a contradicting one becomes an incident.
fn apply_answer(
    context: &RequestContext<'_>,
    order: &OrderRef,
    known: &StoredOrder,
    answer: &AcquirerAnswer,
) -> Result<(), RequestError> {
    let outcome = answer.settlement();
    let other_total = is_paid(&outcome) && answer.total != known.total_fen;
    let incident = |what: &str| {
        record_incident(context.tx, &format!("order {}", order.0), what, to_ms_column(context.now))
    };
    match &known.settlement {
        None if other_total => {
            settle_without_posting(context.tx, order, &outcome)?;
            incident(
                "the acquirer has charged another amount than the order's total: the order is final as paid and is not \
                 reported to the department; correct it with both",
            )?;
        }
        None => settle_order(context, order, &outcome)?,
        Some(before) if is_paid(before) != is_paid(&outcome) => {
            incident("the acquirer reported two different outcomes of one order; the first one is kept")?;
        }
        Some(_) if other_total => {
            incident("the acquirer reported another amount than the total of a paid order")?;
        }
        Some(_) => {}
    }
    Ok(())
}

const fn is_paid(settlement: &Settlement) -> bool {
    matches!(settlement, Settlement::Paid { .. })
}

/// Counts a refusal by the acquirer (HTTP 4xx) of a request about an order without outcome.
fn count_refusal(context: &RequestContext<'_>, order: &OrderRef) -> rusqlite::Result<()> {
    context.tx.execute(
        "INSERT INTO order_refusals ([order], count) VALUES (?1, 1)
         ON CONFLICT ([order]) DO UPDATE SET count = count + 1",
        [&order.0],
    )?;
    if refusals(context.tx, order)? == REFUSALS_MAX {
        let what = "the acquirer refuses every request about this order, so its outcome is unknown: ask the acquirer";
        record_incident(context.tx, &format!("order {}", order.0), what, to_ms_column(context.now))?;
    }
    Ok(())
}

fn refusals(db: &Connection, order: &OrderRef) -> rusqlite::Result<u32> {
    let count =
        db.query_row("SELECT count FROM order_refusals WHERE [order] = ?1", [&order.0], |row| row.get(0));
    count.optional().map(|count| count.unwrap_or(0))
}

/// Returns at most `most` inquiries that are due in the background, and schedules the next one of each order.
pub(crate) fn due_inquiries(tx: &Transaction<'_>, now: UnixMs, most: u32) -> rusqlite::Result<Vec<PeerCall>> {
    let mut waiting = tx.prepare(
        "SELECT [order] FROM orders WHERE settlement IS NULL AND (next_ask_ms <= ?1 OR next_ask_ms > ?3)
         ORDER BY next_ask_ms LIMIT ?2",
    )?;
    let orders = waiting
        // A time further away than the longest pause was set by a clock that was ahead.
        .query_map(params![to_ms_column(now), most, to_ms_column(now.plus_ms(PAUSE_MAX_MS))], |row| {
            row.get(0).map(OrderRef)
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    // Scheduled before the result is known: if no result comes back, the inquiry is repeated.
    for order in &orders {
        schedule_inquiry(tx, order, now)?;
    }
    Ok(orders.iter().map(|order| build_inquiry_call(order, None)).collect())
}

/// Schedules the next inquiry, with a pause twice as long as the one before.
fn schedule_inquiry(db: &Connection, order: &OrderRef, now: UnixMs) -> rusqlite::Result<()> {
    let attempts: u32 =
        db.query_row("SELECT asked FROM orders WHERE [order] = ?1", [&order.0], |row| row.get(0))?;
    let given_up = refusals(db, order)? >= REFUSALS_MAX;
    let wait = if given_up { PAUSE_MAX_MS } else { INQUIRY_BACKOFF.pause_ms(attempts) };
    db.execute(
        "UPDATE orders SET asked = asked + 1, next_ask_ms = ?1 WHERE [order] = ?2",
        params![to_ms_column(now.plus_ms(wait)), order.0],
    )?;
    Ok(())
}
