//! The outcome of a payment, on a view of its own.

use contract::{Money, ReceiptId, Settlement};
use view::{Intent, TextId};

use crate::content::ViewContent;
use crate::front::visit::step::{StepContext, StepFlow, StepState, StepView};
use crate::front::visit::steps::print::{on_receipt_touch, receipt_content};
use crate::payment_content::payment_outcome;

/// The outcome of an order of this visit is shown.
pub(crate) struct PaymentOutcome {
    pub(crate) settlement: Settlement,
    pub(crate) total: Money,
    pub(crate) receipt: ReceiptId,
}

impl StepState for PaymentOutcome {
    fn on_touch(&mut self, context: &mut StepContext<'_, '_>, intent: Intent) -> StepFlow {
        on_receipt_touch(context, intent, self.receipt)
    }

    fn content(&self, view: StepView<'_>) -> ViewContent {
        let title = match self.settlement {
            Settlement::Paid { .. } => TextId::PaidTitle,
            Settlement::Void { .. } => TextId::NotPaidTitle,
        };
        let outcome = payment_outcome(view.status, Some(&self.settlement), self.total, self.receipt);
        receipt_content(view, self.receipt, title, outcome)
    }
}
