//! Payments: one order, one charge, one outcome (I1).
//!
//! An order is stored, with its claim on each bill, in the transaction before the acquirer is asked. From then
//! on the order is *live* until its outcome is known. The platform inquires about an unknown outcome; the
//! acquirer's inquiry fences the order, so its answer is final. Two more kinds of order are stored, as
//! permanently void: a refused order, and an order that was inquired about before its charge arrived. A charge
//! request that was delayed in the network finds them and charges nothing.

use std::collections::BTreeSet;

use contract::{
    Backoff, ChargeRequest, ChargeState, Evidence, InquiryRequest, KioskId, Level, Money, OrderItem,
    PaymentMethod, Problem, ProblemCode, Settlement, UnixMs, VoidReason, sm3,
};
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use serde::{Deserialize, Serialize};

use super::order_ref::OrderRef;
use super::outbox;
use crate::config::kiosks::RegisteredKiosk;
use crate::context::RequestContext;
use crate::incidents::record_incident;
use crate::messages::PlatformResponse;
use crate::peer_calls::{Peer, PeerAnswer, PeerCall, PlatformReply};
use crate::request_error::{RequestError, malformed_request, parse_body};
use crate::store::columns::{from_json_column, from_ms_column, to_json_column, to_ms_column};
use crate::visits::identify::open_visit;

/// Most bills of one order.
const ITEMS_MAX: usize = 20;
/// Time after which a charge is inquired about if its result was lost, as when the process ended.
const RESULT_OVERDUE_MS: u64 = 30_000;
/// Pauses before the inquiries about a charge of unknown outcome.
const INQUIRY_BACKOFF: Backoff = Backoff::new(1_000, 60_000);

/// Charge request to the acquirer.
#[derive(Serialize)]
struct AcquirerCharge<'a> {
    order: &'a str,
    total: Money,
    account: String,
    method: PaymentMethod,
    bills: Vec<&'a str>,
}

/// The acquirer's answer to a charge or inquiry.
#[derive(Deserialize)]
struct AcquirerAnswer {
    order: String,
    total: i64,
    #[serde(flatten)]
    outcome: AcquirerOutcome,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
enum AcquirerOutcome {
    Paid { reference: String, at: UnixMs },
    Declined,
    Void,
}

/// Row of an order.
struct StoredOrder {
    device: KioskId,
    /// SM3 of the charge request; `None` when an inquiry came first.
    body_hash: Option<[u8; 32]>,
    total_fen: i64,
    /// `None` while the order is live.
    settlement: Option<Settlement>,
}

/// `POST /v1/charges`: stores a new order and returns the call that charges it, or answers a repeated request.
pub(crate) fn charge_order(
    context: &mut RequestContext<'_>,
    kiosk: &RegisteredKiosk,
    body: &[u8],
) -> Result<PlatformReply, RequestError> {
    let request: ChargeRequest = parse_body(body)?;
    let body_hash = sm3(&[to_json_column(&request).as_bytes()]);
    let order = OrderRef::from(request.order);
    if let Some(known) = find_order(context.tx, &order)? {
        return repeated_charge(kiosk, &known, &body_hash);
    }
    check_total(&request)?;
    match check_chargeable(context, kiosk, &request)? {
        Ok(resident) => {
            insert_order(context, &order, kiosk, &NewOrder::Live { resident, request: &request, body_hash })?;
            Ok(PlatformReply::CallPeer(build_charge_call(&order, &request, resident)))
        }
        Err(problem) => {
            insert_order(context, &order, kiosk, &NewOrder::Refused { code: problem.code, body_hash })?;
            Ok(PlatformResponse::problem(&problem).into())
        }
    }
}

/// Answers a charge request for an order that is already stored.
fn repeated_charge(
    kiosk: &RegisteredKiosk,
    known: &StoredOrder,
    body_hash: &[u8; 32],
) -> Result<PlatformReply, RequestError> {
    let other_body = known.body_hash.is_some_and(|hash| hash != *body_hash);
    if known.device != kiosk.id || other_body {
        return Err(order_conflict());
    }
    match &known.settlement {
        Some(Settlement::Void { reason: VoidReason::Refused(code) }) => {
            Err(code.into_problem("the order was refused before").into())
        }
        Some(_) | None => Ok(charge_state_reply(known.settlement.clone())),
    }
}

fn order_conflict() -> RequestError {
    ProblemCode::OrderConflict.into_problem("the order id was used for another order").into()
}

/// Checks that the number of items is allowed, their bills are distinct, and the total is their sum.
fn check_total(request: &ChargeRequest) -> Result<(), RequestError> {
    let keys: BTreeSet<&str> = request.items.iter().map(|item| item.key.as_str()).collect();
    let sum = Money::sum(request.items.iter().map(|item| item.amount));
    let in_bounds = !keys.is_empty() && keys.len() == request.items.len() && keys.len() <= ITEMS_MAX;
    if in_bounds && sum == Some(request.total) && request.total > Money::ZERO {
        Ok(())
    } else {
        Err(malformed_request("an order has 1 to 20 different bills, and its total is their sum"))
    }
}

/// Returns the resident of the order if it may be charged; the inner error is the refusal.
fn check_chargeable(
    context: &RequestContext<'_>,
    kiosk: &RegisteredKiosk,
    request: &ChargeRequest,
) -> Result<Result<i64, Problem>, RequestError> {
    let visit = match open_visit(context, kiosk, &request.key) {
        Ok(visit) => visit,
        Err(RequestError::Problem(problem)) => return Ok(Err(problem)),
        Err(other @ (RequestError::Database(_) | RequestError::Phone(_))) => return Err(other),
    };
    let method_fits = match (request.method, visit.evidence) {
        (
            PaymentMethod::CardAccount,
            Evidence::CardRead
            | Evidence::CardAuthenticated
            | Evidence::CardPin
            | Evidence::AuthenticatedCardPin,
        )
        | (PaymentMethod::ResidentCode, Evidence::TokenConsumed | Evidence::ChallengeAnswered) => true,
        (PaymentMethod::CardAccount | PaymentMethod::ResidentCode, _) => false,
    };
    if !method_fits || visit.level < Level::Recognised {
        return Ok(Err(
            ProblemCode::NotOffered.into_problem("the visit's evidence does not allow this payment method")
        ));
    }
    for item in &request.items {
        if let Some(problem) = bill_refusal(context.tx, visit.resident, item)? {
            return Ok(Err(problem));
        }
    }
    Ok(Ok(visit.resident))
}

/// Returns why a bill cannot be charged; `None` if it can.
fn bill_refusal(tx: &Transaction<'_>, resident: i64, item: &OrderItem) -> rusqlite::Result<Option<Problem>> {
    let is_unchanged: bool = tx.query_row(
        "SELECT EXISTS (SELECT 1 FROM bills
         WHERE key = ?1 AND resident = ?2 AND amount_fen = ?3 AND payee = ?4)",
        params![item.key, resident, item.amount.fen(), item.payee],
        |row| row.get(0),
    )?;
    if !is_unchanged {
        return Ok(Some(
            ProblemCode::BillChanged.into_problem("the bill differs from the one that was listed"),
        ));
    }
    let claim: Option<bool> = tx
        .query_row(
            "SELECT settlement IS NOT NULL FROM order_items JOIN orders USING ([order])
             WHERE bill = ?1 AND claims = 1",
            [&item.key],
            |row| row.get(0),
        )
        .optional()?;
    let listed: bool =
        tx.query_row("SELECT listed FROM bills WHERE key = ?1", [&item.key], |row| row.get(0))?;
    Ok(match claim {
        Some(true) => Some(ProblemCode::BillSettled.into_problem("the bill is paid")),
        Some(false) => Some(ProblemCode::BillBusy.into_problem("another order for the bill is live")),
        None if !listed => Some(ProblemCode::BillChanged.into_problem("the department withdrew the bill")),
        None => None,
    })
}

/// How an order is first stored.
enum NewOrder<'a> {
    /// The order is about to be charged.
    Live { resident: i64, request: &'a ChargeRequest, body_hash: [u8; 32] },
    /// The order was refused and is permanently void.
    Refused { code: ProblemCode, body_hash: [u8; 32] },
    /// An inquiry came before the charge request; the order is permanently void.
    Fenced,
}

/// Stores an order, with its claims on bills if it is live.
fn insert_order(
    context: &RequestContext<'_>,
    order: &OrderRef,
    kiosk: &RegisteredKiosk,
    new_order: &NewOrder<'_>,
) -> rusqlite::Result<()> {
    let void = |reason| Some(to_json_column(&Settlement::Void { reason }));
    let (resident, total, body_hash, settlement) = match new_order {
        NewOrder::Live { resident, request, body_hash } => {
            (Some(resident), request.total, Some(body_hash), None)
        }
        NewOrder::Refused { code, body_hash } => {
            (None, Money::ZERO, Some(body_hash), void(VoidReason::Refused(*code)))
        }
        NewOrder::Fenced => (None, Money::ZERO, None, void(VoidReason::Fenced)),
    };
    let next_ask = settlement.is_none().then(|| to_ms_column(context.now.plus_ms(RESULT_OVERDUE_MS)));
    context.tx.execute(
        "INSERT INTO orders (resident, [order], device, body_hash, total_fen, settlement, created_ms, next_ask_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            resident,
            order.0,
            to_json_column(&kiosk.id),
            body_hash,
            total.fen(),
            settlement,
            to_ms_column(context.now),
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

fn find_order(tx: &Transaction<'_>, order: &OrderRef) -> rusqlite::Result<Option<StoredOrder>> {
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

fn charge_state_reply(settlement: Option<Settlement>) -> PlatformReply {
    let state = settlement.map_or(ChargeState::Pending, |settlement| ChargeState::Settled { settlement });
    PlatformResponse::json(&state).into()
}

fn build_charge_call(order: &OrderRef, request: &ChargeRequest, resident: i64) -> PeerCall {
    let charge = AcquirerCharge {
        order: &order.0,
        total: request.total,
        // The acquirer knows accounts by a reference without personal data.
        account: format!("resident-{resident}"),
        method: request.method,
        bills: request.items.iter().map(|item| item.key.as_str()).collect(),
    };
    let body = serde_json::to_vec(&charge).expect("a charge has string keys and no floats");
    let order = order.clone();
    PeerCall::new(Peer::Acquirer, "/charges", body, move |context, answer| {
        on_charge_reply(context, &order, answer)
    })
}

fn build_inquiry_call(order: &OrderRef) -> PeerCall {
    let (target, order) = (format!("/charges/{}/inquire", order.0), order.clone());
    PeerCall::new(Peer::Acquirer, target, Vec::new(), move |context, answer| {
        on_inquiry_reply(context, &order, answer)
    })
}

/// `POST /v1/inquiries`: answers the outcome of an order. An order that was never seen becomes permanently void.
pub(crate) fn inquire_order(
    context: &mut RequestContext<'_>,
    kiosk: &RegisteredKiosk,
    body: &[u8],
) -> Result<PlatformReply, RequestError> {
    let request: InquiryRequest = parse_body(body)?;
    let order = OrderRef::from(request.order);
    match find_order(context.tx, &order)? {
        None => {
            insert_order(context, &order, kiosk, &NewOrder::Fenced)?;
            Ok(charge_state_reply(Some(Settlement::Void { reason: VoidReason::Fenced })))
        }
        Some(known) if known.device != kiosk.id => Err(order_conflict()),
        Some(StoredOrder { settlement: Some(settlement), .. }) => Ok(charge_state_reply(Some(settlement))),
        Some(StoredOrder { settlement: None, .. }) => Ok(PlatformReply::CallPeer(build_inquiry_call(&order))),
    }
}

/// Continues with the acquirer's answer to a charge; `None`: no answer came.
fn on_charge_reply(
    context: &RequestContext<'_>,
    order: &OrderRef,
    result: Option<&PeerAnswer>,
) -> Result<PlatformReply, RequestError> {
    apply_outcome(context, order, result)?;
    let known = find_order(context.tx, order)?;
    Ok(charge_state_reply(known.and_then(|known| known.settlement)))
}

/// Continues with the acquirer's answer to an inquiry; `None`: no answer came. An outcome that is still unknown is
/// answered as *unavailable*.
fn on_inquiry_reply(
    context: &RequestContext<'_>,
    order: &OrderRef,
    result: Option<&PeerAnswer>,
) -> Result<PlatformReply, RequestError> {
    apply_outcome(context, order, result)?;
    let known = find_order(context.tx, order)?.and_then(|known| known.settlement);
    Ok(match known {
        Some(settlement) => charge_state_reply(Some(settlement)),
        // Not a `RequestError`, so that the time of the next inquiry is committed.
        None => {
            PlatformResponse::problem(&ProblemCode::Unavailable.into_problem("the acquirer does not answer"))
                .into()
        }
    })
}

/// Applies the outcome in the acquirer's answer. The first outcome is final; a contradicting one becomes an incident.
/// Without an outcome the next inquiry is scheduled.
fn apply_outcome(
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
    if result.status != 200 {
        return None;
    }
    let answer: AcquirerAnswer = serde_json::from_slice(&result.body).ok()?;
    if answer.order != order.0 {
        return None;
    }
    match answer.outcome {
        AcquirerOutcome::Paid { reference, at } => {
            (answer.total == known.total_fen).then_some(Settlement::Paid { reference, at })
        }
        AcquirerOutcome::Declined => Some(Settlement::Void { reason: VoidReason::Declined }),
        AcquirerOutcome::Void => Some(Settlement::Void { reason: VoidReason::Fenced }),
    }
}

/// Stores the outcome of an order. A paid order keeps its claims permanently and is posted to the department; a void
/// order releases its bills.
fn settle_order(
    context: &RequestContext<'_>,
    order: &OrderRef,
    outcome: &Settlement,
) -> rusqlite::Result<()> {
    context.tx.execute(
        "UPDATE orders SET settlement = ?1, next_ask_ms = NULL WHERE [order] = ?2 AND settlement IS NULL",
        params![to_json_column(outcome), order.0],
    )?;
    match outcome {
        Settlement::Paid { .. } => outbox::enqueue_posting(context.tx, order, context.now),
        Settlement::Void { .. } => {
            context.tx.execute("UPDATE order_items SET claims = 0 WHERE [order] = ?1", [&order.0])?;
            Ok(())
        }
    }
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
    Ok(orders.iter().map(build_inquiry_call).collect())
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
    /// State of the payment's posting to the department, if it is to be posted.
    pub(crate) posting: Option<String>,
}

/// The newest orders, for the administration page.
pub(crate) fn newest_orders(tx: &Transaction<'_>, most: u32) -> rusqlite::Result<Vec<OrderSummary>> {
    let mut newest = tx.prepare(
        "SELECT orders.[order], device, total_fen, settlement, created_ms, state
         FROM orders LEFT JOIN postings USING ([order]) ORDER BY created_ms DESC, orders.rowid DESC LIMIT ?1",
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
