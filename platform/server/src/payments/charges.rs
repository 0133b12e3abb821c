//! Charges: one order, one charge, one outcome (I1).
//!
//! An order is stored, with its claim on each bill, in the transaction before the acquirer is asked. From then
//! on the order is *live* until its outcome is known. The platform inquires about an unknown outcome (see
//! [`inquiries`](super::inquiries)). Two more kinds of order are stored, as permanently void: a refused order, and an
//! order that the acquirer has fenced before its charge request arrived here. A charge request that was delayed in the
//! network finds them and charges nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use contract::{
    ChargeRequest, Evidence, KioskId, Level, Money, OrderItem, PaymentMethod, Problem, ProblemCode,
    Settlement, VoidReason, sm3,
};
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::acquirer::{AcquirerAnswer, AcquirerCharge, account_of};
use super::bills::{self, BillSource};
use super::inquiries::{apply_outcome, inquiry_target, on_inquiry_reply};
use super::order_ref::OrderRef;
use super::orders::{NewOrder, StoredOrder, charge_state_reply, find_order, insert_order, order_conflict};
use super::unreported_orders;
use crate::config::kiosks::RegisteredKiosk;
use crate::context::RequestContext;
use crate::departments::answers::{OperationAnswer, parse_answer, unavailable_reply};
use crate::departments::calls::{DepartmentAnswer, call_department};
use crate::departments::requests::{Asker, operation_request};
use crate::messages::PlatformResponse;
use crate::peer_calls::{Peer, PeerAnswer, PeerCall, PlatformReply};
use crate::recovery_state::{refuse_while_recovering, was_restored};
use crate::request_error::{RequestError, malformed_request, parse_body};
use crate::store::columns::to_json_column;
use crate::visits::identify::{OpenVisit, open_visit};

/// Most bills of one order.
const ITEMS_MAX: usize = 20;

/// `POST /v1/charges`: asks the department whether the bills of a new order are still open, or answers a repeated request.
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
    refuse_while_recovering(context)?;
    check_total(&request)?;
    match check_chargeable(context, kiosk, &request)? {
        Ok(visit) => {
            let sources = bills::sources_of(context, visit.resident, &request.items)?;
            let charge = Arc::new(AskedCharge { kiosk: kiosk.id, request, body_hash });
            charge.ask_next(context, kiosk, sources)
        }
        Err(problem) => refuse_order(context, &order, kiosk, problem, body_hash),
    }
}

/// A charge request whose bills are being asked for once more.
struct AskedCharge {
    kiosk: KioskId,
    request: ChargeRequest,
    body_hash: [u8; 32],
}

impl AskedCharge {
    /// Asks for the bills of the first source; charges when there is none left.
    fn ask_next(
        self: Arc<Self>,
        context: &mut RequestContext<'_>,
        kiosk: &RegisteredKiosk,
        mut sources: BTreeSet<BillSource>,
    ) -> Result<PlatformReply, RequestError> {
        let Some(source) = sources.pop_first() else { return self.charge(context, kiosk) };
        let Some(operation) = context.config.operations().get(&source.operation) else {
            return Err(ProblemCode::NotOffered
                .into_problem("the operation that listed the bill is gone")
                .into());
        };
        let visit = open_visit(context, kiosk, &self.request.key)?;
        let asker = Asker {
            resident: visit.resident,
            level: visit.level,
            kiosk: Some(kiosk.id),
            service: None,
            consent: None,
        };
        let call = operation_request(context, operation, &asker, &source.input, None)?;
        let call = call_department(context.config, context.now, call, move |context, answer| {
            Arc::clone(&self).on_bills(context, &source, sources.clone(), answer)
        });
        Ok(PlatformReply::CallPeer(call))
    }

    /// Continues with the department's answer. A bill that was paid at the counter since it was listed is not charged. Without an
    /// answer nothing is stored and nothing is charged.
    fn on_bills(
        self: Arc<Self>,
        context: &mut RequestContext<'_>,
        source: &BillSource,
        sources: BTreeSet<BillSource>,
        answer: Option<DepartmentAnswer>,
    ) -> Result<PlatformReply, RequestError> {
        let config = context.config;
        let kiosk = config.kiosks.get(&self.kiosk).ok_or_else(|| malformed_request("no such kiosk"))?;
        // While the department was asked, the charge request may have come again, and an inquiry may have fenced the order.
        if let Some(known) = find_order(context.tx, &OrderRef::from(self.request.order))? {
            return repeated_charge(kiosk, &known, &self.body_hash);
        }
        let Some(operation) = config.operations().get(&source.operation) else {
            return Ok(unavailable_reply());
        };
        let rows = match parse_answer(context, operation, answer)? {
            OperationAnswer::Unavailable => return Ok(unavailable_reply()),
            // It lists nothing for this resident any more.
            OperationAnswer::Refused(_) => Vec::new(),
            OperationAnswer::Rows { rows, .. } => rows,
        };
        if let Ok(visit) = open_visit(context, kiosk, &self.request.key) {
            bills::store_bills(context, operation, source, visit.resident, rows)?;
        }
        self.ask_next(context, kiosk, sources)
    }

    /// Stores a new order and returns the call that charges it.
    fn charge(
        &self,
        context: &mut RequestContext<'_>,
        kiosk: &RegisteredKiosk,
    ) -> Result<PlatformReply, RequestError> {
        let (request, body_hash) = (&self.request, self.body_hash);
        let order = OrderRef::from(request.order);
        match check_chargeable(context, kiosk, request)? {
            Ok(OpenVisit { resident, visit, .. }) => {
                unreported_orders::note_charge(context, kiosk.id, visit, request)?;
                insert_order(context, &order, kiosk.id, &NewOrder::Live { resident, request, body_hash })?;
                Ok(PlatformReply::CallPeer(build_charge_call(&order, kiosk, request, resident)))
            }
            Err(problem) => refuse_order(context, &order, kiosk, problem, body_hash),
        }
    }
}

/// Refuses a new order, which makes it permanently void. In a database that was never restored, an unknown order is proof
/// that no request about it went to the acquirer; in any other it is fenced there first.
fn refuse_order(
    context: &RequestContext<'_>,
    order: &OrderRef,
    kiosk: &RegisteredKiosk,
    problem: Problem,
    body_hash: [u8; 32],
) -> Result<PlatformReply, RequestError> {
    if !was_restored(context.tx)? {
        insert_order(context, order, kiosk.id, &NewOrder::Refused { code: problem.code, body_hash })?;
        return Ok(PlatformResponse::problem(&problem).into());
    }
    let (order, kiosk) = (order.clone(), kiosk.id);
    let target = inquiry_target(&order);
    Ok(PlatformReply::CallPeer(PeerCall::new(Peer::Acquirer, target, Vec::new(), move |context, answer| {
        let is_void = answer
            .and_then(|answer| AcquirerAnswer::parse(&order, answer))
            .is_some_and(|answer| matches!(answer.settlement(), Settlement::Void { .. }));
        if is_void && find_order(context.tx, &order)?.is_none() {
            insert_order(context, &order, kiosk, &NewOrder::Refused { code: problem.code, body_hash })?;
            return Ok(PlatformResponse::problem(&problem).into());
        }
        on_inquiry_reply(context, &order, Some(kiosk), answer)
    })))
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

/// Returns the visit of the order if it may be charged; the inner error is the refusal.
fn check_chargeable(
    context: &RequestContext<'_>,
    kiosk: &RegisteredKiosk,
    request: &ChargeRequest,
) -> Result<Result<OpenVisit, Problem>, RequestError> {
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
    Ok(Ok(visit))
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
    let listed: bool = tx.query_row(
        "SELECT listed FROM bills WHERE resident = ?1 AND key = ?2",
        params![resident, item.key],
        |row| row.get(0),
    )?;
    Ok(match claim {
        Some(true) => Some(ProblemCode::BillSettled.into_problem("the bill is paid")),
        Some(false) => Some(ProblemCode::BillBusy.into_problem("another order for the bill is live")),
        None if !listed => Some(
            ProblemCode::BillSettled
                .into_problem("the department lists the bill no longer: it was paid elsewhere"),
        ),
        None => None,
    })
}

fn build_charge_call(
    order: &OrderRef,
    kiosk: &RegisteredKiosk,
    request: &ChargeRequest,
    resident: i64,
) -> PeerCall {
    let charge = AcquirerCharge {
        order: &order.0,
        total: request.total,
        account: account_of(resident),
        method: request.method,
        bills: request.items.iter().map(|item| item.key.as_str()).collect(),
        amounts: request.items.iter().map(|item| item.amount).collect(),
        terminal: kiosk.id,
    };
    let body = serde_json::to_vec(&charge).expect("a charge has string keys and no floats");
    let order = order.clone();
    PeerCall::new(Peer::Acquirer, "/charges", body, move |context, answer| {
        on_charge_reply(context, &order, answer)
    })
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
