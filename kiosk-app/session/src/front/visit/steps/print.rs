//! Step kind `print`: data that was shown, on paper. The receipt of a payment is issued when its order is settled, not here.

use contract::{AnswerField, Bilingual, PrintForm, Receipt, ReceiptId, ReceiptLine, Step};
use view::{Body, FooterButton, Gesture, Intent, Outcome, OutcomeKind, TextId};

use crate::components::Status;
use crate::content::{
    ViewContent, exit_button, failure_content, plain_outcome, print_actions, print_fault_banner, printer_of,
    receipt_code,
};
use crate::durable::PrintState;
use crate::front::visit::data::{Progress, StepResult};
use crate::front::visit::step::{Entered, StepContext, StepFlow, StepState, StepView, close_by};
use crate::mask;
use crate::printing::NewReceipt;
use crate::receipt_content::{RECEIPT_TEXTS, finish_receipt, pair};
use crate::rows;
use crate::wording::{in_language, label_of};

/// A receipt without payment.
enum Print {
    /// The receipt is on its way to paper.
    Issued(ReceiptId),
    /// The content is too long for a receipt: nothing was issued.
    TooLong,
}

pub(super) fn enter(context: &mut StepContext<'_, '_>) -> Entered {
    let receipt = ReceiptId::from_entropy(context.turn.next_u128());
    let Some((form, content)) = printout(context, receipt) else {
        return Entered::Flow(StepFlow::Menu { declined: false });
    };
    let (printing, printers) = context.components.printing(context.data.lang);
    let new = NewReceipt { receipt, visit: context.data.id, order: None, form, content };
    let is_issued = printing.issue(context.turn, printers, new, true);
    Entered::state(if is_issued { Print::Issued(receipt) } else { Print::TooLong })
}

impl StepState for Print {
    fn on_touch(&mut self, context: &mut StepContext<'_, '_>, intent: Intent) -> StepFlow {
        match self {
            Self::Issued(receipt) => on_receipt_touch(context, intent, *receipt),
            Self::TooLong => close_by(intent),
        }
    }

    fn content(&self, view: StepView<'_>) -> ViewContent {
        let status = view.status;
        let Self::Issued(receipt) = *self else {
            let (word, detail) = (TextId::PrintTooLong, TextId::PrintTooLongDetail);
            return failure_content(view.data.identification_method, word, detail, None);
        };
        let state = status.print_state(receipt);
        let on_sheet = printer_of(status, receipt) == PrintForm::A4Document;
        let (kind, word, detail) = match state {
            Some(PrintState::Printing) if on_sheet => {
                (OutcomeKind::Working, TextId::SheetPrinting, TextId::SheetPrintingDetail)
            }
            Some(PrintState::Printed) if on_sheet => {
                (OutcomeKind::Done, TextId::SheetPrinted, TextId::SheetPrintedDetail)
            }
            Some(PrintState::Printing) => (OutcomeKind::Working, TextId::Printing, TextId::PrintingDetail),
            Some(PrintState::Printed) => (OutcomeKind::Done, TextId::Printed, TextId::PrintedDetail),
            Some(PrintState::Waiting | PrintState::Unconfirmed) | None => {
                (OutcomeKind::Done, TextId::ReceiptByPhone, TextId::ReceiptByPhoneDetail)
            }
        };
        let by_phone = !matches!(state, Some(PrintState::Printing | PrintState::Printed));
        let gesture = if on_sheet { Gesture::TakeSheet } else { Gesture::TakePaper };
        let outcome = Outcome {
            code: by_phone.then(|| receipt_code(status, receipt)),
            gesture: (!by_phone).then_some(gesture),
            ..plain_outcome(kind, word, detail)
        };
        let title = if by_phone { TextId::ReceiptByPhone } else { word };
        receipt_content(view, receipt, title, outcome)
    }
}

/// Handles a touch on a view about a receipt.
pub(super) fn on_receipt_touch(
    context: &mut StepContext<'_, '_>,
    intent: Intent,
    receipt: ReceiptId,
) -> StepFlow {
    if matches!(intent, Intent::Primary | Intent::Home) {
        return StepFlow::Menu { declined: false };
    }
    if intent == Intent::Secondary {
        let (printing, printers) = context.components.printing(context.data.lang);
        printing.print_again(context.turn, printers, receipt);
    }
    StepFlow::Stay
}

/// A view about a receipt on its way to paper.
pub(super) fn receipt_content(
    view: StepView<'_>,
    receipt: ReceiptId,
    title: TextId,
    outcome: Outcome,
) -> ViewContent {
    let status: Status<'_> = view.status;
    let exit = exit_button(view.data.identification_method);
    ViewContent {
        banners: print_fault_banner(status, receipt).into_iter().collect(),
        actions: print_actions(status, receipt),
        footer: vec![FooterButton::Home, FooterButton::Help, exit],
        ..ViewContent::new(title, Body::Outcome(outcome))
    }
}

/// What happens next with a submission.
fn submitted_words<'a>(progress: &'a Progress, step: &str) -> Option<&'a Bilingual> {
    progress.doc.steps.iter().find_map(|other| {
        if let Step::Submit { id, done, .. } = other { (id == step).then_some(done) } else { None }
    })
}

/// The printout of data that the service fetched, and its form.
fn printout(context: &StepContext<'_, '_>, receipt: ReceiptId) -> Option<(PrintForm, Receipt)> {
    let (setup, progress, lang) = (&context.components.setup, &context.progress, context.data.lang);
    let person = context.data.resident.as_ref()?;
    let Step::Print { title, form, with, show, .. } = progress.current_step()? else { return None };
    let words = match form {
        PrintForm::Receipt => RECEIPT_TEXTS,
        PrintForm::A4Document => (TextId::SheetNumber, TextId::SheetFoot),
    };
    let mut lines = vec![
        pair(setup, lang, TextId::ReceiptName, mask::name(&person.name)),
        pair(setup, lang, TextId::ReceiptIdNumber, mask::id_number(&person.id_number)),
        ReceiptLine::Rule,
    ];
    for step in with {
        if let Some(StepResult::Submitted(submission)) = progress.results.get(step) {
            let number = submission.number(setup.kiosk);
            lines.push(pair(setup, lang, TextId::SubmissionNumber, number));
            let matter = in_language(&progress.doc.title, lang).to_owned();
            lines.push(pair(setup, lang, TextId::SubmissionMatter, matter));
            if let Some(done) = submitted_words(progress, step) {
                lines.push(ReceiptLine::Text(in_language(done, lang).to_owned()));
            }
        }
        let declared = progress.doc.answer_schema(step);
        for row in progress.rows_of_step(step) {
            for field in show {
                if let (Some(AnswerField::Labelled(label)), Some(value)) =
                    (declared.and_then(|fields| fields.get(field)), row.get(field))
                {
                    lines.push(ReceiptLine::Pair(
                        label_of(label, lang).to_owned(),
                        rows::display_value(label.kind, value, lang),
                    ));
                }
            }
        }
    }
    let title = in_language(title, lang).to_owned();
    Some((*form, finish_receipt(setup, title, lines, (receipt, words), context.turn.now.wall, lang)))
}
