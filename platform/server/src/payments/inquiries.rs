//! Inquiries: what became of an order. The acquirer decides; its answer to an inquiry fences the order, so it is final (I1).
//!
//! An order is void only by the acquirer's answer, or because the platform refused it before any request about it went to
//! the acquirer. That the platform does not know an order proves nothing: its database may have been restored from a
//! backup. So an unknown order is fenced at the acquirer before *void* is said, and if the acquirer has charged it, the
//! order is entered again as paid.

use contract::{Backoff, InquiryRequest, KioskId, ProblemCode, Settlement, UnixMs};
use rusqlite::{Connection, Transaction, params};

use super::acquirer::AcquirerAnswer;
use super::lost_orders;
use super::order_ref::OrderRef;
use super::orders::{
    NewOrder, StoredOrder, charge_state_reply, find_order, insert_order, order_conflict, settle_order,
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

/// The call that fences an order at the acquirer. `kiosk`: the one that inquires; `None`: the platform does.
pub(super) fn build_inquiry_call(order: &OrderRef, kiosk: Option<KioskId>) -> PeerCall {
    let (target, order) = (format!("/charges/{}/inquire", order.0), order.clone());
    PeerCall::new(Peer::Acquirer, target, Vec::new(), move |context, answer| {
        on_inquiry_reply(context, &order, kiosk, answer)
    })
}

/// Continues with the acquirer's answer to an inquiry; `None`: no answer came. An outcome that is still unknown is
/// answered as *unavailable*.
fn on_inquiry_reply(
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

/// Applies the outcome in the acquirer's answer. The first outcome is final; a contradicting one becomes an incident.
/// Without an outcome the next inquiry is scheduled.
pub(super) fn apply_outcome(
    context: &RequestContext<'_>,
    order: &OrderRef,
    result: Option<&PeerAnswer>,
) -> Result<(), RequestError> {
    let Some(known) = find_order(context.tx, order)? else { return Ok(()) };
    let Some(outcome) = result.and_then(|result| parse_outcome(order, &known, result)) else {
        if known.settlement.is_none() {
            schedule_inquiry(context.tx, order, context.now)?;
        }
        return Ok(());
    };
    match known.settlement {
        None => settle_order(context, order, &outcome)?,
        Some(before) if is_paid(&before) != is_paid(&outcome) => {
            let what = "the acquirer reported two different outcomes of one order; the first one is kept";
            record_incident(context.tx, &format!("order {}", order.0), what, to_ms_column(context.now))?;
        }
        Some(_) => {}
    }
    Ok(())
}

const fn is_paid(settlement: &Settlement) -> bool {
    matches!(settlement, Settlement::Paid { .. })
}

/// Reads the outcome from the acquirer's answer; `None` if the answer is invalid, which leaves the outcome unknown.
fn parse_outcome(order: &OrderRef, known: &StoredOrder, result: &PeerAnswer) -> Option<Settlement> {
    let answer = AcquirerAnswer::parse(order, result)?;
    let settlement = answer.settlement();
    (!is_paid(&settlement) || answer.total == known.total_fen).then_some(settlement)
}

/// Returns at most `most` inquiries that are due in the background, and schedules the next one of each order.
pub(crate) fn due_inquiries(tx: &Transaction<'_>, now: UnixMs, most: u32) -> rusqlite::Result<Vec<PeerCall>> {
    let mut waiting = tx.prepare(
        "SELECT [order] FROM orders WHERE settlement IS NULL AND next_ask_ms <= ?1
         ORDER BY next_ask_ms LIMIT ?2",
    )?;
    let orders = waiting
        .query_map(params![to_ms_column(now), most], |row| row.get(0).map(OrderRef))?
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
    let wait = INQUIRY_BACKOFF.pause_ms(attempts);
    db.execute(
        "UPDATE orders SET asked = asked + 1, next_ask_ms = ?1 WHERE [order] = ?2",
        params![to_ms_column(now.plus_ms(wait)), order.0],
    )?;
    Ok(())
}
