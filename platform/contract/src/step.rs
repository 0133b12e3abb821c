//! The steps of a service document.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::answer_schema::AnswerSchema;
use crate::ask::AskedAnswer;
use crate::bilingual::Bilingual;
use crate::operation::DepartmentId;
use crate::order::PaymentMethod;
use crate::receipt::PrintForm;
use crate::scan::ScannedCode;

/// One step of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "do", deny_unknown_fields)]
pub enum Step {
    /// Asks the resident for consent. Declining ends the service.
    Consent {
        /// Name of the step.
        id: String,
        /// The purpose of the data.
        purpose: Bilingual,
        /// The data items.
        items: Vec<Bilingual>,
        /// The recipient of the data.
        recipient: Bilingual,
        /// How long the consent is valid, in days; 0 for this visit only.
        days: u16,
    },
    /// Asks the resident one question.
    Ask {
        /// Name of the step.
        id: String,
        /// Title of the view: an instruction or a question.
        title: Bilingual,
        /// Where the resident finds the answer, or what it is for.
        #[serde(default)]
        lead: Option<Bilingual>,
        /// The form of the answer.
        answer: AskedAnswer,
    },
    /// 扫描单据码: asks the resident to scan the code on a paper. What is scanned is an input, as the answer to a question.
    Scan {
        /// Name of the step.
        id: String,
        /// Title of the view: an instruction.
        title: Bilingual,
        /// Where the resident finds the code.
        #[serde(default)]
        lead: Option<Bilingual>,
        /// The form of the code, without the prefix.
        code: ScannedCode,
        /// What every code of this kind begins with. It is no part of the input: the number below the code does not have it either.
        #[serde(default)]
        prefix: Option<String>,
        /// The resident may type the number that is printed below the code. Only for a code of digits.
        #[serde(default)]
        typed: bool,
    },
    /// Calls an operation of the platform.
    Query {
        /// Name of the step.
        id: String,
        /// Name of the operation of the platform, not a URL.
        call: String,
        /// What the operation needs: the name of each input, and the earlier step that has it. That is an `ask` or `scan` step, or a
        /// `choose` step whose one row gives its field of type `key`.
        #[serde(default)]
        with: BTreeMap<String, String>,
        /// The consent step that the query is based on.
        #[serde(default)]
        consent: Option<String>,
        /// The answer is a personal record: the query needs a consent.
        #[serde(default)]
        personal: bool,
        /// The fields that each row has.
        answer: AnswerSchema,
        /// The answer may have more than one row.
        #[serde(default)]
        many: bool,
        /// Text for an answer without rows; the service then ends.
        none: Bilingual,
        /// Services that the answer may name as the one to go on with.
        #[serde(default)]
        next: Vec<String>,
    },
    /// 取号: has something done at once and only once: a number in a queue, an appointment, an act of the platform. Repeating the
    /// request gives the same answer.
    Ticket {
        /// Name of the step.
        id: String,
        /// Name of the operation of the platform, not a URL.
        call: String,
        /// As for a query.
        #[serde(default)]
        with: BTreeMap<String, String>,
        /// The fields of the ticket.
        answer: AnswerSchema,
        /// Text for an answer without a ticket; the service then ends.
        none: Bilingual,
    },
    /// 提交: hands in what was entered, after the resident has checked it. Its record is the message: it reaches the department
    /// exactly once, with a link or later.
    Submit {
        /// Name of the step.
        id: String,
        /// Name of the operation of the platform, not a URL.
        call: String,
        /// The department that decides; the inputs are sealed to its key.
        department: DepartmentId,
        /// Title of the view: an instruction.
        title: Bilingual,
        /// As for a query.
        #[serde(default)]
        with: BTreeMap<String, String>,
        /// What happens next, and when.
        done: Bilingual,
    },
    /// Shows each row of an answer.
    Show {
        /// Name of the step.
        id: String,
        /// The query or ticket that is shown.
        from: String,
        /// Title of the view.
        title: Bilingual,
        /// The fields, in order.
        show: Vec<String>,
    },
    /// Shows a code for the resident's phone to scan.
    ShowCode {
        /// Name of the step.
        id: String,
        /// The query whose answer has the code: one row.
        from: String,
        /// The field of type `key` that is shown as a QR code.
        field: String,
        /// Title of the view: an instruction.
        title: Bilingual,
        /// The purpose of the code.
        lead: Bilingual,
        /// The actions of the resident, in order.
        steps: Vec<Bilingual>,
    },
    /// 修改密码: changes the PIN of the card in the slot. Not available in a visit without a card.
    ChangePin {
        /// Name of the step.
        id: String,
    },
    /// Lets the resident choose rows.
    Choose {
        /// Name of the step.
        id: String,
        /// The query to choose from.
        from: String,
        /// Title of the view: an instruction.
        title: Bilingual,
        /// The fields, in order.
        show: Vec<String>,
        /// Maximum number of rows that may be chosen.
        max: u8,
    },
    /// Charges the chosen rows.
    Pay {
        /// Name of the step.
        id: String,
        /// The choose step whose rows are charged.
        items: String,
        /// The payment methods, in the order offered.
        methods: Vec<PaymentMethod>,
    },
    /// Prints a receipt or an A4 document.
    Print {
        /// Name of the step.
        id: String,
        /// Heading of the printout.
        title: Bilingual,
        /// The form of the printout.
        #[serde(default, skip_serializing_if = "PrintForm::is_receipt")]
        form: PrintForm,
        /// The steps whose data is printed: a query, a ticket, a payment or a submission.
        with: Vec<String>,
        /// For a query or ticket: the fields, in order.
        #[serde(default)]
        show: Vec<String>,
    },
}

impl Step {
    /// The operation that the step calls, if it calls one.
    #[must_use]
    pub fn call(&self) -> Option<&str> {
        match self {
            Self::Query { call, .. } | Self::Ticket { call, .. } | Self::Submit { call, .. } => Some(call),
            Self::Consent { .. }
            | Self::Ask { .. }
            | Self::Scan { .. }
            | Self::Show { .. }
            | Self::ShowCode { .. }
            | Self::ChangePin { .. }
            | Self::Choose { .. }
            | Self::Pay { .. }
            | Self::Print { .. } => None,
        }
    }

    /// The step's name.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Consent { id, .. }
            | Self::Ask { id, .. }
            | Self::Scan { id, .. }
            | Self::Ticket { id, .. }
            | Self::Submit { id, .. }
            | Self::Query { id, .. }
            | Self::Show { id, .. }
            | Self::ShowCode { id, .. }
            | Self::ChangePin { id }
            | Self::Choose { id, .. }
            | Self::Pay { id, .. }
            | Self::Print { id, .. } => id,
        }
    }
}
