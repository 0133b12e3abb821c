//! Content about a payment: paid, not paid, or being checked.

use contract::{Money, ProblemCode, ReceiptId, Settlement, VoidReason};
use view::{Gesture, LabelledValue, Outcome, OutcomeKind, Text, TextId};

use crate::components::Status;
use crate::content::{plain_outcome, receipt_code};
use crate::durable::PrintState;

/// The state of a payment: paid, not paid, or being checked.
pub(crate) fn payment_outcome(
    status: Status<'_>,
    settlement: Option<&Settlement>,
    total: Money,
    receipt: ReceiptId,
) -> Outcome {
    let number = LabelledValue {
        label: TextId::OrderNumber.into(),
        value: Text::Data(receipt.number(status.setup().kiosk)),
        emphasized: true,
    };
    match settlement {
        None => Outcome {
            pairs: vec![amount_pair(total), number],
            ..plain_outcome(OutcomeKind::Checking, TextId::Checking, TextId::CheckingDetail)
        },
        Some(Settlement::Paid { .. }) => {
            let state = status.print_state(receipt);
            let on_paper = matches!(state, Some(PrintState::Printing | PrintState::Printed));
            let detail = match state {
                Some(PrintState::Printing) => TextId::Printing,
                Some(PrintState::Printed) => TextId::PrintedDetail,
                Some(PrintState::Waiting | PrintState::Unconfirmed) | None => TextId::PaidDetail,
            };
            Outcome {
                amount: Some(total.to_string()),
                pairs: if on_paper { vec![number] } else { Vec::new() },
                code: (!on_paper).then(|| receipt_code(status, receipt)),
                gesture: on_paper.then_some(Gesture::TakePaper),
                ..plain_outcome(OutcomeKind::Done, TextId::Paid, detail)
            }
        }
        Some(Settlement::Void { reason }) => Outcome {
            pairs: vec![amount_pair(total)],
            ..plain_outcome(OutcomeKind::NotDone, TextId::NotPaid, void_detail(*reason))
        },
    }
}

fn amount_pair(total: Money) -> LabelledValue {
    LabelledValue { label: TextId::Amount.into(), value: Text::Data(total.to_string()), emphasized: true }
}

const fn void_detail(reason: VoidReason) -> TextId {
    match reason {
        VoidReason::Declined => TextId::NotPaidDeclined,
        VoidReason::Fenced => TextId::NotPaidFenced,
        VoidReason::Refused(ProblemCode::BillBusy) => TextId::NotPaidBusy,
        VoidReason::Refused(ProblemCode::BillSettled) => TextId::NotPaidSettled,
        VoidReason::Refused(ProblemCode::BillChanged) => TextId::NotPaidChanged,
        VoidReason::Refused(_) => TextId::NotPaidOther,
    }
}
