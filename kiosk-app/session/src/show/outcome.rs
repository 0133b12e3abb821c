//! Content of views that show an outcome, or that work is pending.

use contract::{Form, Money, ProblemCode, ReceiptId, Settlement, VoidReason};
use view::{
    Action, Banner, Body, Foot, Gesture, Icon, Intent, Outcome, Pair, ReceiptCode, Text, TextId, Tone,
    Verdict,
};

use super::{Frame, plain, way_out};
use crate::closing::{Closing, LastWords};
use crate::event::{Health, Trouble};
use crate::kiosk::Kiosk;
use crate::paper::{COPIES_MAX, PaperState};
use crate::receipt::url;
use crate::visit::Visit;

/// Work is pending for a few seconds. The button that ends the visit stays.
pub(super) fn working(visit: &Visit, word: TextId, detail: TextId) -> Frame {
    Frame {
        steps: None,
        title: word.into(),
        lead: None,
        banners: Vec::new(),
        body: Body::Outcome(plain(Verdict::Working, word, detail)),
        actions: Vec::new(),
        footer: vec![way_out(visit)],
    }
}

pub(super) fn action(text: impl Into<Text>, primary: bool, intent: Intent) -> Action {
    Action { text: text.into(), primary, enabled: true, intent }
}

pub(super) fn of_closing(kiosk: &Kiosk, notice: &Closing) -> Frame {
    let frame = |title: TextId, outcome: Outcome, actions, footer| Frame {
        steps: None,
        title: title.into(),
        lead: None,
        banners: Vec::new(),
        body: Body::Outcome(outcome),
        actions,
        footer,
    };
    match &notice.words {
        LastWords::Refused(refusal) => {
            let (word, detail) = refusal.words();
            let actions = if refusal.of_card() && kiosk.devices.card_in {
                Vec::new()
            } else {
                vec![action(TextId::BackToMenu, true, Intent::Go)]
            };
            let footer = vec![Foot::Language, Foot::Help];
            let (title, gesture) = refusal.remedy();
            let outcome = Outcome { gesture, ..plain(Verdict::Sorry, word, detail) };
            frame(title, outcome, actions, footer)
        }
        LastWords::TakeCard => frame(
            TextId::TakeCardTitle,
            Outcome {
                gesture: Some(Gesture::TakeCard),
                ..plain(Verdict::Done, TextId::TakeCard, TextId::TakeCardDetail)
            },
            Vec::new(),
            vec![Foot::Language],
        ),
        LastWords::TakeIdCard => frame(
            TextId::TakeIdCardTitle,
            Outcome {
                gesture: Some(Gesture::TakeIdCard),
                ..plain(Verdict::Done, TextId::TakeIdCard, TextId::TakeIdCardDetail)
            },
            vec![action(TextId::Finish, true, Intent::Go)],
            vec![Foot::Language],
        ),
        LastWords::PinUnclear => {
            let mut last = frame(
                TextId::ClosingPinTitle,
                plain(Verdict::Unclear, TextId::ChangePinUnclear, TextId::ChangePinUnclearDetail),
                vec![action(TextId::Finish, true, Intent::Go)],
                vec![Foot::Language],
            );
            last.banners.extend(take_card(kiosk));
            last
        }
        LastWords::Payment { total, settlement, receipt, .. } => {
            let outcome = payment(kiosk, settlement.as_ref(), *total, *receipt);
            let mut last = frame(
                TextId::ClosingTitle,
                outcome,
                vec![action(TextId::Finish, true, Intent::Go)],
                vec![Foot::Language],
            );
            last.banners.extend(paper_trouble(kiosk, *receipt));
            last.banners.extend(take_card(kiosk));
            last
        }
    }
}

/// Banner that asks to take the card that is still in the slot.
fn take_card(kiosk: &Kiosk) -> Option<Banner> {
    let title = TextId::TakeCardTitle.into();
    let banner = Banner { tone: Tone::Wait, icon: Icon::Card, title, detail: None };
    kiosk.devices.card_in.then_some(banner)
}

/// The state of a payment: paid, not paid, or being checked.
pub(super) fn payment(
    kiosk: &Kiosk,
    settlement: Option<&Settlement>,
    total: Money,
    receipt: ReceiptId,
) -> Outcome {
    let number =
        Pair { label: TextId::OrderNumber.into(), value: Text::Data(receipt.number()), strong: true };
    match settlement {
        None => Outcome {
            amount: None,
            pairs: vec![amount(total), number],
            ..plain(Verdict::Checking, TextId::Checking, TextId::CheckingDetail)
        },
        Some(Settlement::Paid { .. }) => {
            let on_paper =
                matches!(kiosk.paper_of(receipt), Some(PaperState::Printing | PaperState::Printed));
            let detail = match kiosk.paper_of(receipt) {
                Some(PaperState::Printing) => TextId::Printing,
                Some(PaperState::Printed) => TextId::PrintedDetail,
                Some(PaperState::Waiting | PaperState::Unsure) | None => TextId::PaidDetail,
            };
            Outcome {
                amount: Some(total.to_string()),
                pairs: if on_paper { vec![number] } else { Vec::new() },
                code: (!on_paper).then(|| code(kiosk, receipt)),
                gesture: on_paper.then_some(Gesture::TakePaper),
                ..plain(Verdict::Done, TextId::Paid, detail)
            }
        }
        Some(Settlement::Void { reason }) => Outcome {
            amount: None,
            pairs: vec![amount(total)],
            ..plain(Verdict::Sorry, TextId::NotPaid, void_detail(*reason))
        },
    }
}

fn amount(total: Money) -> Pair {
    Pair { label: TextId::Amount.into(), value: Text::Data(total.to_string()), strong: true }
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

pub(super) fn code(kiosk: &Kiosk, receipt: ReceiptId) -> ReceiptCode {
    ReceiptCode { number: receipt.number(), qr: url(&kiosk.setup, receipt) }
}

/// Banner about the print job of a receipt; none while the job is printing or printed.
pub(super) fn paper_trouble(kiosk: &Kiosk, receipt: ReceiptId) -> Option<Banner> {
    let job = kiosk.papers.get(&receipt)?;
    let wait = |title: TextId, detail: TextId| {
        Some(Banner {
            tone: Tone::Wait,
            icon: Icon::TriangleAlert,
            title: title.into(),
            detail: Some(detail.into()),
        })
    };
    let (on_sheet, printer) = match job.on {
        Form::Receipt => (false, kiosk.devices.printer),
        Form::Sheet => (true, kiosk.devices.sheet_printer),
    };
    match (job.state, printer) {
        (PaperState::Unsure, _) if on_sheet => wait(TextId::SheetUnsure, TextId::SheetUnsureDetail),
        (PaperState::Waiting, Health::Trouble(Trouble::PaperOut)) if on_sheet => {
            wait(TextId::SheetPaperOut, TextId::PaperOutDetail)
        }
        (PaperState::Unsure, _) => wait(TextId::PrintUnsure, TextId::PrintUnsureDetail),
        (PaperState::Waiting, Health::Trouble(Trouble::PaperOut)) => {
            wait(TextId::PaperOut, TextId::PaperOutDetail)
        }
        (PaperState::Waiting, Health::Trouble(Trouble::CoverOpen)) => {
            wait(TextId::CoverOpen, TextId::PrintOffDetail)
        }
        (PaperState::Waiting, Health::Trouble(Trouble::Jammed)) => {
            wait(TextId::PaperJam, TextId::PrintOffDetail)
        }
        (PaperState::Waiting, Health::Trouble(Trouble::Gone) | Health::Unknown | Health::Ready) => {
            wait(TextId::PrintOff, TextId::PrintOffDetail)
        }
        (PaperState::Printing | PaperState::Printed, _) => None,
    }
}

/// The printer to which a receipt was sent last.
pub(super) fn on(kiosk: &Kiosk, receipt: ReceiptId) -> Form {
    kiosk.papers.get(&receipt).map_or(Form::Receipt, |job| job.on)
}

/// The actions on a receipt: another copy where allowed, and to finish.
pub(super) fn paper_actions(kiosk: &Kiosk, receipt: ReceiptId) -> Vec<Action> {
    let job = kiosk.papers.get(&receipt);
    let copies = job.map_or(COPIES_MAX, |job| job.copy);
    let could_print = job.is_some_and(|job| kiosk.printer_for(job.form).is_some());
    let again = match kiosk.paper_of(receipt) {
        Some(PaperState::Unsure) if copies < COPIES_MAX => Some(TextId::PrintAgain),
        Some(PaperState::Waiting) if could_print => Some(TextId::TryAgain),
        Some(PaperState::Unsure | PaperState::Waiting | PaperState::Printing | PaperState::Printed)
        | None => None,
    };
    let done = match kiosk.paper_of(receipt) {
        Some(PaperState::Waiting) => TextId::NoPaperNeeded,
        Some(PaperState::Unsure | PaperState::Printing | PaperState::Printed) | None => TextId::Finish,
    };
    let mut actions = vec![action(done, true, Intent::Go)];
    if let Some(again) = again {
        actions.push(action(again, false, Intent::Other));
    }
    actions
}
