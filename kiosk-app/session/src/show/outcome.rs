//! Content of views that show an outcome, or that work is pending.

use contract::{Money, PrintForm, ProblemCode, ReceiptId, Settlement, VoidReason};
use view::{
    Action, Banner, Body, FooterButton, Gesture, Icon, Intent, LabelledValue, Outcome, OutcomeKind,
    ReceiptCode, Text, TextId, Tone,
};

use super::{ViewContent, exit_button, plain_outcome};
use crate::event::{DeviceState, FaultReason};
use crate::kiosk::Kiosk;
use crate::notice::{Notice, NoticeKind};
use crate::print_job::{COPIES_MAX, PrintState};
use crate::receipt::receipt_url;
use crate::visit::Visit;

/// Work is pending for a few seconds. The button that ends the visit stays.
pub(super) fn working_content(visit: &Visit, word: TextId, detail: TextId) -> ViewContent {
    ViewContent {
        steps: None,
        title: word.into(),
        lead: None,
        banners: Vec::new(),
        body: Body::Outcome(plain_outcome(OutcomeKind::Working, word, detail)),
        actions: Vec::new(),
        footer: vec![exit_button(visit)],
    }
}

pub(super) fn action(text: impl Into<Text>, primary: bool, intent: Intent) -> Action {
    Action { text: text.into(), primary, enabled: true, intent }
}

pub(super) fn notice_content(kiosk: &Kiosk, notice: &Notice) -> ViewContent {
    let frame = |title: TextId, outcome: Outcome, actions, footer| ViewContent {
        steps: None,
        title: title.into(),
        lead: None,
        banners: Vec::new(),
        body: Body::Outcome(outcome),
        actions,
        footer,
    };
    match &notice.kind {
        NoticeKind::Refused(refusal) => {
            let (word, detail) = refusal.texts();
            let actions = if refusal.concerns_card() && kiosk.devices.card_inserted {
                Vec::new()
            } else {
                vec![action(TextId::BackToMenu, true, Intent::Primary)]
            };
            let footer = vec![FooterButton::Language, FooterButton::Help];
            let (title, gesture) = refusal.title_and_gesture();
            let outcome = Outcome { gesture, ..plain_outcome(OutcomeKind::NotDone, word, detail) };
            frame(title, outcome, actions, footer)
        }
        NoticeKind::TakeCard => frame(
            TextId::TakeCardTitle,
            Outcome {
                gesture: Some(Gesture::TakeCard),
                ..plain_outcome(OutcomeKind::Done, TextId::TakeCard, TextId::TakeCardDetail)
            },
            Vec::new(),
            vec![FooterButton::Language],
        ),
        NoticeKind::TakeIdCard => frame(
            TextId::TakeIdCardTitle,
            Outcome {
                gesture: Some(Gesture::TakeIdCard),
                ..plain_outcome(OutcomeKind::Done, TextId::TakeIdCard, TextId::TakeIdCardDetail)
            },
            vec![action(TextId::Finish, true, Intent::Primary)],
            vec![FooterButton::Language],
        ),
        NoticeKind::PinChangeUnknown => {
            let mut last = frame(
                TextId::ClosingPinTitle,
                plain_outcome(OutcomeKind::Unknown, TextId::ChangePinUnclear, TextId::ChangePinUnclearDetail),
                vec![action(TextId::Finish, true, Intent::Primary)],
                vec![FooterButton::Language],
            );
            last.banners.extend(take_card_banner(kiosk));
            last
        }
        NoticeKind::Payment { total, settlement, receipt, .. } => {
            let outcome = payment_outcome(kiosk, settlement.as_ref(), *total, *receipt);
            let mut last = frame(
                TextId::ClosingTitle,
                outcome,
                vec![action(TextId::Finish, true, Intent::Primary)],
                vec![FooterButton::Language],
            );
            last.banners.extend(print_fault_banner(kiosk, *receipt));
            last.banners.extend(take_card_banner(kiosk));
            last
        }
    }
}

/// Banner that asks to take the card that is still in the slot.
fn take_card_banner(kiosk: &Kiosk) -> Option<Banner> {
    let title = TextId::TakeCardTitle.into();
    let banner = Banner { tone: Tone::Wait, icon: Icon::Card, title, detail: None };
    kiosk.devices.card_inserted.then_some(banner)
}

/// The state of a payment: paid, not paid, or being checked.
pub(super) fn payment_outcome(
    kiosk: &Kiosk,
    settlement: Option<&Settlement>,
    total: Money,
    receipt: ReceiptId,
) -> Outcome {
    let number = LabelledValue {
        label: TextId::OrderNumber.into(),
        value: Text::Data(receipt.number()),
        emphasized: true,
    };
    match settlement {
        None => Outcome {
            amount: None,
            pairs: vec![amount_pair(total), number],
            ..plain_outcome(OutcomeKind::Checking, TextId::Checking, TextId::CheckingDetail)
        },
        Some(Settlement::Paid { .. }) => {
            let on_paper =
                matches!(kiosk.print_state(receipt), Some(PrintState::Printing | PrintState::Printed));
            let detail = match kiosk.print_state(receipt) {
                Some(PrintState::Printing) => TextId::Printing,
                Some(PrintState::Printed) => TextId::PrintedDetail,
                Some(PrintState::Waiting | PrintState::Unconfirmed) | None => TextId::PaidDetail,
            };
            Outcome {
                amount: Some(total.to_string()),
                pairs: if on_paper { vec![number] } else { Vec::new() },
                code: (!on_paper).then(|| receipt_code(kiosk, receipt)),
                gesture: on_paper.then_some(Gesture::TakePaper),
                ..plain_outcome(OutcomeKind::Done, TextId::Paid, detail)
            }
        }
        Some(Settlement::Void { reason }) => Outcome {
            amount: None,
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

pub(super) fn receipt_code(kiosk: &Kiosk, receipt: ReceiptId) -> ReceiptCode {
    ReceiptCode { number: receipt.number(), qr: receipt_url(&kiosk.setup, receipt) }
}

/// Banner about the print job of a receipt; none while the job is printing or printed.
pub(super) fn print_fault_banner(kiosk: &Kiosk, receipt: ReceiptId) -> Option<Banner> {
    let job = kiosk.print_jobs.get(&receipt)?;
    let wait = |title: TextId, detail: TextId| {
        Some(Banner {
            tone: Tone::Wait,
            icon: Icon::TriangleAlert,
            title: title.into(),
            detail: Some(detail.into()),
        })
    };
    let (on_sheet, printer) = match job.printer {
        PrintForm::Receipt => (false, kiosk.devices.receipt_printer),
        PrintForm::A4Document => (true, kiosk.devices.document_printer),
    };
    match (job.state, printer) {
        (PrintState::Unconfirmed, _) if on_sheet => wait(TextId::SheetUnsure, TextId::SheetUnsureDetail),
        (PrintState::Waiting, DeviceState::Faulty(FaultReason::PaperOut)) if on_sheet => {
            wait(TextId::SheetPaperOut, TextId::PaperOutDetail)
        }
        (PrintState::Unconfirmed, _) => wait(TextId::PrintUnsure, TextId::PrintUnsureDetail),
        (PrintState::Waiting, DeviceState::Faulty(FaultReason::PaperOut)) => {
            wait(TextId::PaperOut, TextId::PaperOutDetail)
        }
        (PrintState::Waiting, DeviceState::Faulty(FaultReason::CoverOpen)) => {
            wait(TextId::CoverOpen, TextId::PrintOffDetail)
        }
        (PrintState::Waiting, DeviceState::Faulty(FaultReason::Jammed)) => {
            wait(TextId::PaperJam, TextId::PrintOffDetail)
        }
        (
            PrintState::Waiting,
            DeviceState::Faulty(FaultReason::Unavailable) | DeviceState::Unknown | DeviceState::Ready,
        ) => wait(TextId::PrintOff, TextId::PrintOffDetail),
        (PrintState::Printing | PrintState::Printed, _) => None,
    }
}

/// The printer to which a receipt was sent last.
pub(super) fn printer_of(kiosk: &Kiosk, receipt: ReceiptId) -> PrintForm {
    kiosk.print_jobs.get(&receipt).map_or(PrintForm::Receipt, |job| job.printer)
}

/// The actions on a receipt: another copy where allowed, and to finish.
pub(super) fn print_actions(kiosk: &Kiosk, receipt: ReceiptId) -> Vec<Action> {
    let job = kiosk.print_jobs.get(&receipt);
    let copies = job.map_or(COPIES_MAX, |job| job.copy);
    let could_print = job.is_some_and(|job| kiosk.printer_for(job.form).is_some());
    let again = match kiosk.print_state(receipt) {
        Some(PrintState::Unconfirmed) if copies < COPIES_MAX => Some(TextId::PrintAgain),
        Some(PrintState::Waiting) if could_print => Some(TextId::TryAgain),
        Some(PrintState::Unconfirmed | PrintState::Waiting | PrintState::Printing | PrintState::Printed)
        | None => None,
    };
    let done = match kiosk.print_state(receipt) {
        Some(PrintState::Waiting) => TextId::NoPaperNeeded,
        Some(PrintState::Unconfirmed | PrintState::Printing | PrintState::Printed) | None => TextId::Finish,
    };
    let mut actions = vec![action(done, true, Intent::Primary)];
    if let Some(again) = again {
        actions.push(action(again, false, Intent::Secondary));
    }
    actions
}
