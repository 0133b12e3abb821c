//! Payments: duties that outlive visit and process (I1).
//!
//! An order is recorded before its one charge request is sent. An unknown outcome is inquired until it is known: the
//! platform's inquiry fences the order, so its answer is final. A second charge request for an order is never sent.

use contract::{
    Backoff, ChargeRequest, ChargeState, Entry, Money, OrderId, OrderItem, PaymentMethod, PrintForm,
    ProblemCode, ReceiptId, Settlement, VoidReason, derived_id,
};
use view::Lang;

use crate::effect::Effect;
use crate::event::{Failure, MonotonicMs};
use crate::kiosk::{Kiosk, TransitionBuilder};
use crate::notice::NoticeKind;
use crate::receipt;
use crate::visit::{StepState, Task};

/// Pauses before the inquiries after a charge without outcome.
const INQUIRY_BACKOFF: Backoff = Backoff::new(1_000, 60_000);

/// What is going on with an unsettled order.
#[derive(Clone, Copy)]
pub(crate) enum PaymentPhase {
    /// The charge request was sent and is unanswered.
    ChargeSent,
    /// An inquiry was sent and is unanswered.
    InquirySent { tries: u32 },
    /// No request is pending; the next inquiry is due at `until`.
    Waiting { until: MonotonicMs, tries: u32 },
}

impl PaymentPhase {
    /// After a restart it is unknown whether the charge request was sent: the order is inquired.
    pub(crate) const RECOVERED: Self = Self::InquirySent { tries: 0 };

    pub(crate) const fn next_inquiry_at(&self) -> Option<MonotonicMs> {
        match self {
            Self::Waiting { until, .. } => Some(*until),
            Self::ChargeSent | Self::InquirySent { .. } => None,
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

impl Kiosk {
    /// Creates an order: records it, then requests its one charge.
    pub(crate) fn create_order(
        &mut self,
        builder: &mut TransitionBuilder,
        method: PaymentMethod,
        items: Vec<OrderItem>,
        total: Money,
    ) {
        let Some(visit) = &mut self.visit else { return };
        let (Some(person), Task::Service(running)) = (&visit.resident, &mut visit.task) else { return };
        // A resident unknown to the platform cannot pay (I5): the tile is disabled in that case.
        let Some(key) = person.visit_key.clone() else { return };
        let order = OrderId::from_entropy(builder.entropy.next_u128());
        let service = running.doc.id.clone();
        builder.record(
            &mut self.durable,
            Entry::OrderCreated {
                order,
                visit: visit.id,
                resident: person.pseudonym,
                service: service.clone(),
                items: items.clone(),
                total,
                method,
            },
        );
        builder.transition.effect(Effect::Charge(ChargeRequest {
            order,
            key,
            items: items.clone(),
            total,
            method,
        }));
        self.payments.insert(order, PaymentPhase::ChargeSent);
        let slow_at = builder.now.mono.plus_ms(self.setup.time_limits.charge_slow_ms);
        running.state = StepState::Paying { order, slow_at, slow: false };
    }

    /// Handles the answer to a charge or an inquiry.
    pub(crate) fn on_payment(
        &mut self,
        builder: &mut TransitionBuilder,
        order: OrderId,
        outcome: Result<ChargeState, Failure>,
    ) {
        let Some(phase) = self.payments.get_mut(&order) else { return };
        let tries = match *phase {
            PaymentPhase::ChargeSent => 0,
            PaymentPhase::InquirySent { tries } => tries.saturating_add(1),
            // No request is pending: the answer is a repetition and does not count as an attempt.
            PaymentPhase::Waiting { tries, .. } => tries,
        };
        let charged = matches!(phase, PaymentPhase::ChargeSent);
        match outcome {
            Ok(ChargeState::Settled { settlement }) => self.settle_order(builder, order, settlement),
            Err(Failure::Problem(code)) if charged && is_final_refusal(code) => {
                self.settle_order(builder, order, Settlement::Void { reason: VoidReason::Refused(code) });
            }
            Ok(ChargeState::Pending) | Err(_) => {
                // With jitter: kiosks that lost the link at the same time do not inquire at the same time.
                let pause = INQUIRY_BACKOFF.half_jitter_ms(tries, builder.entropy.next_u128());
                let until = builder.now.mono.plus_ms(pause);
                *phase = PaymentPhase::Waiting { until, tries };
                self.show_order_checking(order);
            }
        }
    }

    /// Sends the inquiries that are due.
    pub(crate) fn send_due_inquiries(&mut self, builder: &mut TransitionBuilder) {
        for (order, phase) in &mut self.payments {
            if let PaymentPhase::Waiting { until, tries } = *phase
                && until <= builder.now.mono
            {
                *phase = PaymentPhase::InquirySent { tries };
                builder.transition.effect(Effect::Inquire(*order));
            }
        }
    }

    /// Shows the payment as being checked: an answer came and the outcome is still open.
    fn show_order_checking(&mut self, of: OrderId) {
        if let Some(visit) = &mut self.visit
            && let Task::Service(running) = &mut visit.task
            && let StepState::Paying { order, slow, .. } = &mut running.state
            && *order == of
        {
            *slow = true;
        }
    }

    /// Settles the order: records the outcome, issues the receipt of a paid order, shows the outcome.
    fn settle_order(&mut self, builder: &mut TransitionBuilder, order: OrderId, settlement: Settlement) {
        let Some(payment) = self.durable.orders.get(&order).cloned() else { return };
        self.payments.remove(&order);
        let receipt = receipt_of(order);
        builder.record(&mut self.durable, Entry::OrderSettled { order, settlement: settlement.clone() });
        let watched = self.watcher_language(order);
        if let Settlement::Paid { reference, at } = &settlement {
            let lang = watched.unwrap_or(Lang::Zh);
            let title = receipt::payment_title(self, &payment.service, lang);
            let content = receipt::payment_receipt(self, &payment, receipt, title, reference, *at, lang);
            self.issue_print_job(
                builder,
                receipt,
                payment.visit,
                Some(order),
                (PrintForm::Receipt, content),
                watched.is_some(),
            );
        }
        let total = payment.total;
        if let Some(visit) = &mut self.visit
            && let Task::Service(running) = &mut visit.task
            && matches!(running.state, StepState::Paying { order: of, .. } if of == order)
        {
            running.step_index += 1;
            running.state = StepState::Settled { settlement, total, receipt };
            visit.idle_until = None;
            return;
        }
        if let Some(notice) = &mut self.notice
            && let NoticeKind::Payment { order: of, settlement: known, .. } = &mut notice.kind
            && *of == Some(order)
        {
            *known = Some(settlement);
            notice.until = Some(builder.now.mono.plus_ms(self.setup.time_limits.outcome_notice_ms));
        }
    }

    /// The language of the visit or notice that shows this order's outcome; none when neither does.
    fn watcher_language(&self, order: OrderId) -> Option<Lang> {
        let visit = self.visit.as_ref().filter(|visit| {
            visit.running_service().is_some_and(
                |running| matches!(running.state, StepState::Paying { order: of, .. } if of == order),
            )
        });
        let notice = self.notice.as_ref().filter(
            |notice| matches!(notice.kind, NoticeKind::Payment { order: Some(of), .. } if of == order),
        );
        visit.map(|visit| visit.lang).or_else(|| notice.map(|notice| notice.lang))
    }
}
