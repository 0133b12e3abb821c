//! Payments: duties that outlive visit and process (I1).
//!
//! An order is recorded before its one charge request is sent. An unknown outcome is inquired until it is known: the
//! platform's inquiry fences the order, so its answer is final. A second charge request for an order is never sent.

use std::collections::BTreeMap;

use contract::{
    Backoff, ChargeRequest, ChargeState, Entry, Money, OrderId, OrderItem, PaymentMethod, ProblemCode,
    Pseudonym, RECORD_BYTES_MAX, ReceiptId, Settlement, UnreportedOrder, VisitId, VisitKey, VoidReason,
    derived_id,
};

use crate::durable::UnsettledOrder;
use crate::time::MonotonicMs;
use crate::transition::{Effect, Turn};
use crate::work::Failure;

/// Pauses before the inquiries after a charge without outcome.
const INQUIRY_BACKOFF: Backoff = Backoff::new(1_000, 60_000);

/// Longest record of an order in bytes: its receipt names the same bills, and must fit into a record too.
const ORDER_BYTES_MAX: usize = RECORD_BYTES_MAX / 4 * 3;

/// What is going on with each of the unsettled orders. The orders themselves are in the durable state.
#[derive(Default)]
pub(crate) struct Payments {
    phases: BTreeMap<OrderId, PaymentPhase>,
    suspended: bool,
}

/// What is going on with an unsettled order.
#[derive(Clone, Copy)]
enum PaymentPhase {
    /// The charge request was sent and is unanswered.
    ChargeSent,
    /// An inquiry was sent and is unanswered.
    InquirySent { tries: u32 },
    /// No request is pending; the next inquiry is due at `until`.
    Waiting { until: MonotonicMs, tries: u32 },
}

/// An order to be created.
pub(crate) struct NewOrder {
    pub(crate) visit: VisitId,
    pub(crate) resident: Pseudonym,
    pub(crate) key: VisitKey,
    pub(crate) service: String,
    pub(crate) items: Vec<OrderItem>,
    pub(crate) total: Money,
    pub(crate) method: PaymentMethod,
}

/// What the answer to a charge or an inquiry means.
pub(crate) enum PaymentNews {
    /// The outcome is known and recorded.
    Settled { payment: UnsettledOrder, settlement: Settlement },
    /// An answer came, and the outcome is still unknown.
    StillUnknown,
    /// The order is not unsettled: the answer is a repetition.
    Nothing,
}

impl Payments {
    /// Inquires every unsettled order: whether its charge request was sent is unknown after a restart.
    pub(crate) fn recover(turn: &mut Turn<'_>) -> Self {
        let mut payments = Self::default();
        for order in turn.durable().unsettled_orders() {
            turn.effect(Effect::Inquire(order));
            payments.phases.insert(order, PaymentPhase::InquirySent { tries: 0 });
        }
        payments
    }

    /// Above the journal's high-water mark no order is created.
    pub(crate) const fn are_suspended(&self) -> bool {
        self.suspended
    }

    pub(crate) fn on_journal_nearly_full(&mut self, turn: &mut Turn<'_>, full: bool) {
        if full && !self.suspended {
            // Staff must come even if nobody touches *help*.
            turn.record(Entry::HelpRequested { visit: None });
        }
        self.suspended = full;
    }

    /// Creates an order: records it, then requests its one charge. None when its bills are too many for one order.
    pub(crate) fn create(&mut self, turn: &mut Turn<'_>, new: NewOrder) -> Option<OrderId> {
        let NewOrder { visit, resident, key, service, items, total, method } = new;
        let order = OrderId::from_entropy(turn.next_u128());
        let charge = ChargeRequest { order, key, items: items.clone(), total, method };
        let entry = Entry::OrderCreated { order, visit, resident, service, items, total, method };
        if entry.encode().len() > ORDER_BYTES_MAX {
            return None;
        }
        turn.record(entry);
        turn.effect(Effect::Charge(charge));
        self.phases.insert(order, PaymentPhase::ChargeSent);
        Some(order)
    }

    /// Handles the answer to a charge or an inquiry: records the outcome, or waits for the next inquiry.
    pub(crate) fn on_answer(
        &mut self,
        turn: &mut Turn<'_>,
        order: OrderId,
        answer: Result<ChargeState, Failure>,
    ) -> PaymentNews {
        let Some(phase) = self.phases.get_mut(&order) else { return PaymentNews::Nothing };
        let tries = match *phase {
            PaymentPhase::ChargeSent => 0,
            PaymentPhase::InquirySent { tries } => tries.saturating_add(1),
            // No request is pending: the answer is a repetition and does not count as an attempt.
            PaymentPhase::Waiting { tries, .. } => tries,
        };
        let charged = matches!(phase, PaymentPhase::ChargeSent);
        let settlement = match answer {
            Ok(ChargeState::Settled { settlement }) => settlement,
            Err(Failure::Problem(code)) if charged && is_final_refusal(code) => {
                Settlement::Void { reason: VoidReason::Refused(code) }
            }
            Ok(ChargeState::Pending) | Err(_) => {
                // With jitter: kiosks that lost the link at the same time do not inquire at the same time.
                let pause = INQUIRY_BACKOFF.half_jitter_ms(tries, turn.next_u128());
                *phase = PaymentPhase::Waiting { until: turn.now.mono.plus_ms(pause), tries };
                return PaymentNews::StillUnknown;
            }
        };
        self.phases.remove(&order);
        let Some(payment) = turn.durable().orders().get(order).cloned() else { return PaymentNews::Nothing };
        turn.record(Entry::OrderSettled { order, settlement: settlement.clone() });
        PaymentNews::Settled { payment, settlement }
    }

    /// Handles the platform's list of orders that this kiosk has not reported. An order that the kiosk does not know was lost with
    /// its records: it is recorded, and inquired like any unsettled order.
    pub(crate) fn on_reconciled(
        &mut self,
        turn: &mut Turn<'_>,
        orders: Vec<UnreportedOrder>,
        is_complete: bool,
    ) {
        for UnreportedOrder { order, visit, items, total, method } in orders {
            if turn.durable().orders().get(order).is_some() {
                continue;
            }
            let entry = Entry::OrderRecovered { order, visit, items, total, method };
            // A longer one is not of this kiosk.
            if entry.encode().len() <= ORDER_BYTES_MAX {
                turn.record(entry);
                turn.effect(Effect::Inquire(order));
                self.phases.insert(order, PaymentPhase::InquirySent { tries: 0 });
            }
        }
        if is_complete {
            turn.record(Entry::OrdersReconciled);
        }
    }

    /// When the next inquiry of each order is due.
    pub(crate) fn deadlines(&self) -> impl Iterator<Item = (MonotonicMs, OrderId)> {
        self.phases.iter().filter_map(|(order, phase)| match phase {
            PaymentPhase::Waiting { until, .. } => Some((*until, *order)),
            PaymentPhase::ChargeSent | PaymentPhase::InquirySent { .. } => None,
        })
    }

    /// Sends an inquiry that is due.
    pub(crate) fn on_inquiry_due(&mut self, turn: &mut Turn<'_>, order: OrderId) {
        if let Some(phase) = self.phases.get_mut(&order)
            && let PaymentPhase::Waiting { tries, .. } = *phase
        {
            *phase = PaymentPhase::InquirySent { tries };
            turn.effect(Effect::Inquire(order));
        }
    }
}

/// The receipt that is issued when the order is paid; its number is known from the start.
pub(crate) fn receipt_of(order: OrderId) -> ReceiptId {
    ReceiptId::from_entropy(derived_id("receipt", order.to_bytes()))
}

/// True for refusals of a charge after which the platform holds no live order: nothing was or will be charged.
const fn is_final_refusal(code: ProblemCode) -> bool {
    match code {
        ProblemCode::BillBusy
        | ProblemCode::BillSettled
        | ProblemCode::BillChanged
        | ProblemCode::CardStopped
        | ProblemCode::VisitExpired
        | ProblemCode::NotOffered
        | ProblemCode::LevelTooLow => true,
        ProblemCode::OrderConflict
        | ProblemCode::CodeUsed
        | ProblemCode::CodeExpired
        | ProblemCode::CodeUnknown
        | ProblemCode::CodeRevoked
        | ProblemCode::ChallengeFailed
        | ProblemCode::CardUnknown
        | ProblemCode::CardMismatch
        | ProblemCode::ResidentUnknown
        | ProblemCode::ConsentMissing
        | ProblemCode::DeviceUnknown
        | ProblemCode::Malformed
        | ProblemCode::Unavailable => false,
    }
}
