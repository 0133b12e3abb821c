//! The steps of a service document.

use serde::{Deserialize, Serialize};

use crate::answer_schema::AnswerSchema;
use crate::bilingual::Bilingual;
use crate::order::PaymentMethod;
use crate::receipt::PrintForm;

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
    /// Calls an operation of the platform.
    Query {
        /// Name of the step.
        id: String,
        /// Name of the operation of the platform, not a URL.
        call: String,
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
    },
    /// Shows each row of an answer.
    Show {
        /// Name of the step.
        id: String,
        /// The query whose answer is shown.
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
        /// The steps whose data is printed: a query that was shown, or a payment.
        with: Vec<String>,
        /// For a query: the fields, in order.
        #[serde(default)]
        show: Vec<String>,
    },
}

impl Step {
    /// The step's name.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Consent { id, .. }
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
