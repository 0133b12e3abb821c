//! Payments: duties that outlive visit and process (I1).
//!
//! An order is recorded before its one charge request is sent. An unknown outcome is inquired until it is known: the
//! platform's inquiry fences the order, so its answer is final. A second charge request for an order is never sent.

use contract::{
    ChargeRequest, ChargeState, Entry, Form, Method, Money, OrderId, OrderItem, ProblemCode, ReceiptId,
    Settlement, VisitId, VoidReason,
};
use view::Lang;

use crate::closing::LastWords;
use crate::draw::derived;
use crate::effect::Effect;
use crate::event::{Failure, Mono};
use crate::kiosk::{Kiosk, Turn};
use crate::open::OpenPayment;
use crate::receipt;
use crate::visit::{StepState, Task};

/// Delay of the first inquiry after a charge without outcome.
const INQUIRY_FIRST_MS: u64 = 1_000;
/// Limit of the delay between inquiries.
const INQUIRY_MAX_MS: u64 = 60_000;

/// An unsettled order (订单).
pub(crate) struct Payment {
    pub(crate) visit: VisitId,
    pub(crate) service: String,
    pub(crate) items: Vec<OrderItem>,
    pub(crate) total: Money,
    pub(crate) method: Method,
    /// The receipt that is issued when the order is paid; its number is known from the start.
    pub(crate) receipt: ReceiptId,
    state: Asking,
}

enum Asking {
    /// The charge request was sent and is unanswered.
    Charge,
    /// An inquiry was sent and is unanswered.
    Inquiry { tries: u32 },
    /// No request is pending; the next inquiry is due at `until`.
    Wait { until: Mono, tries: u32 },
}

impl Payment {
    pub(crate) fn new(
        order: OrderId,
        visit: VisitId,
        service: String,
        items: Vec<OrderItem>,
        total: Money,
        method: Method,
    ) -> Self {
        let receipt = ReceiptId::from_entropy(derived("receipt", order.to_bytes()));
        Self { visit, service, items, total, method, receipt, state: Asking::Charge }
    }

    /// After a restart it is unknown whether the charge request was sent: the order is inquired. The caller sends the
    /// inquiry.
    pub(crate) fn recovered(open: OpenPayment) -> Self {
        let mut payment =
            Self::new(open.order, open.visit, open.service, open.items, open.total, open.method);
        payment.state = Asking::Inquiry { tries: 0 };
        payment
    }

    pub(crate) const fn next_inquiry(&self) -> Option<Mono> {
        match self.state {
            Asking::Wait { until, .. } => Some(until),
            Asking::Charge | Asking::Inquiry { .. } => None,
        }
    }
}

/// True for refusals of a charge after which the platform holds no live order: nothing was or will be charged.
const fn refuses(code: ProblemCode) -> bool {
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
    pub(crate) fn intend(&mut self, builder: &mut Turn, method: Method, items: Vec<OrderItem>, total: Money) {
        let Some(visit) = &mut self.visit else { return };
        let (Some(person), Task::Service(running)) = (&visit.person, &mut visit.task) else { return };
        // A resident unknown to the platform cannot pay (I5): the tile is disabled in that case.
        let Some(key) = person.key.clone() else { return };
        let order = OrderId::from_entropy(builder.draw.next());
        let service = running.doc.id.clone();
        builder.out.record(Entry::PaymentIntended {
            order,
            visit: visit.id,
            resident: person.resident,
            service: service.clone(),
            items: items.clone(),
            total,
            method,
        });
        builder.out.effect(Effect::Charge(ChargeRequest { order, key, items: items.clone(), total, method }));
        self.payments.insert(order, Payment::new(order, visit.id, service, items, total, method));
        let slow_at = builder.now.mono.plus_ms(self.setup.times.charge_ms);
        running.state = StepState::Paying { order, slow_at, slow: false };
    }

    /// Handles the answer to a charge or an inquiry.
    pub(crate) fn on_payment(
        &mut self,
        builder: &mut Turn,
        order: OrderId,
        outcome: Result<ChargeState, Failure>,
    ) {
        let Some(payment) = self.payments.get_mut(&order) else { return };
        let tries = match payment.state {
            Asking::Charge => 0,
            Asking::Inquiry { tries } => tries.saturating_add(1),
            // No request is pending: the answer is a repetition and does not count as an attempt.
            Asking::Wait { tries, .. } => tries,
        };
        let charged = matches!(payment.state, Asking::Charge);
        match outcome {
            Ok(ChargeState::Settled { settlement }) => self.settle(builder, order, settlement),
            Err(Failure::Problem(code)) if charged && refuses(code) => {
                self.settle(builder, order, Settlement::Void { reason: VoidReason::Refused(code) });
            }
            Ok(ChargeState::Pending) | Err(_) => {
                let full = INQUIRY_FIRST_MS.saturating_mul(1 << tries.min(16)).min(INQUIRY_MAX_MS);
                // Half fixed, half random: kiosks that lost the link at the same time do not inquire at the same time.
                let jitter = u64::try_from(builder.draw.next() % u128::from(full / 2 + 1)).unwrap_or(0);
                let until = builder.now.mono.plus_ms(full / 2 + jitter);
                payment.state = Asking::Wait { until, tries };
                self.show_checking(order);
            }
        }
    }

    /// Sends the inquiries that are due.
    pub(crate) fn inquire_due(&mut self, builder: &mut Turn) {
        for (order, payment) in &mut self.payments {
            if let Asking::Wait { until, tries } = payment.state
                && until <= builder.now.mono
            {
                payment.state = Asking::Inquiry { tries };
                builder.out.effect(Effect::Inquire(*order));
            }
        }
    }

    /// Shows the payment as being checked: an answer came and the outcome is still open.
    fn show_checking(&mut self, of: OrderId) {
        if let Some(visit) = &mut self.visit
            && let Task::Service(running) = &mut visit.task
            && let StepState::Paying { order, slow, .. } = &mut running.state
            && *order == of
        {
            *slow = true;
        }
    }

    /// Settles the order: records the outcome, issues the receipt of a paid order, shows the outcome.
    fn settle(&mut self, builder: &mut Turn, order: OrderId, settlement: Settlement) {
        let Some(payment) = self.payments.remove(&order) else { return };
        builder.out.record(Entry::PaymentSettled { order, settlement: settlement.clone() });
        let watched = self.watched(order);
        if let Settlement::Paid { reference, at } = &settlement {
            let lang = watched.unwrap_or(Lang::Zh);
            let title = receipt::payment_title(self, &payment.service, lang);
            let content = receipt::of_payment(self, &payment, title, reference, *at, lang);
            self.promise(
                builder,
                payment.receipt,
                payment.visit,
                Some(order),
                (Form::Receipt, content),
                watched.is_some(),
            );
        }
        let (total, receipt) = (payment.total, payment.receipt);
        if let Some(visit) = &mut self.visit
            && let Task::Service(running) = &mut visit.task
            && matches!(running.state, StepState::Paying { order: of, .. } if of == order)
        {
            running.at += 1;
            running.state = StepState::Settled { settlement, total, receipt };
            visit.idle_until = None;
            return;
        }
        if let Some(notice) = &mut self.closing
            && let LastWords::Payment { order: of, settlement: known, .. } = &mut notice.words
            && *of == Some(order)
        {
            *known = Some(settlement);
            notice.until = Some(builder.now.mono.plus_ms(self.setup.times.closing_ms));
        }
    }

    /// The language of the visit or notice that shows this order's outcome; none when neither does.
    fn watched(&self, order: OrderId) -> Option<Lang> {
        let visit = self.visit.as_ref().filter(|visit| {
            visit.running().is_some_and(
                |running| matches!(running.state, StepState::Paying { order: of, .. } if of == order),
            )
        });
        let notice = self.closing.as_ref().filter(
            |notice| matches!(notice.words, LastWords::Payment { order: Some(of), .. } if of == order),
        );
        visit.map(|visit| visit.lang).or_else(|| notice.map(|notice| notice.lang))
    }
}
