//! The step kinds of a service, one file each.

mod ask;
mod call;
mod change_pin;
mod choose;
mod consent;
mod pay;
pub(crate) mod payment_outcome;
mod print;
mod query;
mod row_card;
mod scan;
mod show;
mod show_code;
mod submit;
mod ticket;

use contract::{AskedAnswer, IdentificationMethod, PrintForm, Step};
use view::TextId;

use crate::front::visit::step::{Entered, StepContext};
use crate::setup::Equipment;

/// Starts a step.
pub(crate) fn enter(context: &mut StepContext<'_, '_>, step: &Step) -> Entered {
    match step {
        Step::Consent { .. } => consent::enter(),
        Step::Ask { .. } => ask::enter(context),
        Step::Scan { .. } => scan::enter(context),
        Step::Query { .. } => query::enter(context),
        Step::Ticket { .. } => ticket::enter(context),
        Step::Show { .. } => show::enter(),
        Step::ShowCode { .. } => show_code::enter(),
        Step::ChangePin { .. } => change_pin::enter(context),
        Step::Choose { .. } => choose::enter(),
        Step::Pay { .. } => pay::enter(context),
        Step::Submit { .. } => submit::enter(context),
        Step::Print { .. } => print::enter(context),
    }
}

/// The names of a step in the step bar: what the resident does. Steps of the kiosk alone have none.
pub(crate) fn names_in_bar(step: &Step, method: IdentificationMethod, has: &Equipment) -> Vec<TextId> {
    match step {
        Step::Query { .. } | Step::Ticket { .. } => Vec::new(),
        Step::Ask { answer: AskedAnswer::Choice { .. }, .. } => vec![TextId::StepChoose],
        Step::Ask { .. } => vec![TextId::StepAsk],
        Step::Scan { .. } => vec![TextId::StepScan],
        Step::Consent { .. } => vec![TextId::StepConsent],
        Step::Show { .. } => vec![TextId::StepShow],
        Step::ShowCode { .. } => vec![TextId::StepShowCode],
        Step::ChangePin { .. } => vec![TextId::StepPin],
        Step::Choose { .. } => vec![TextId::StepChoose],
        Step::Submit { .. } => vec![TextId::StepSubmit],
        Step::Pay { methods, .. } => pay::names_in_bar(methods, method),
        Step::Print { .. } if !has.receipt_printer && !has.document_printer => Vec::new(),
        Step::Print { form: PrintForm::Receipt, .. } => vec![TextId::StepPrint],
        Step::Print { form: PrintForm::A4Document, .. } => vec![TextId::StepSheet],
    }
}
