//! Receipts that were issued and that somebody may still get on paper (I6).

use std::collections::BTreeMap;

use contract::{Entry, PrintForm, Receipt, ReceiptId, VisitId};
use serde::{Deserialize, Serialize};

/// The open receipts, by id: until printing ends or is abandoned, and while the visit lasts whose resident may ask for another
/// copy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct OpenReceipts(BTreeMap<ReceiptId, OpenReceipt>);

/// A receipt or A4 document on its way to paper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OpenReceipt {
    /// The visit that it belongs to.
    pub(crate) visit: VisitId,
    /// Its content.
    pub(crate) content: Receipt,
    /// The form that the content is designed for.
    pub(crate) form: PrintForm,
    /// The printer of the copy last started; none before the first.
    pub(crate) printer: Option<PrintForm>,
    /// Number of the copy last started, 0 before the first.
    pub(crate) copy: u32,
    /// How far the copy is.
    pub(crate) state: PrintState,
}

/// State of a receipt on its way to paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PrintState {
    /// The next copy has not been started.
    Waiting,
    /// A copy is being printed.
    Printing,
    /// The last copy was printed.
    Printed,
    /// Unknown outcome: the last copy may have been printed, in part or completely.
    Unconfirmed,
}

impl OpenReceipts {
    /// Applies one entry; `open_visit` is the visit that is open after it.
    pub(super) fn apply(&mut self, entry: &Entry, open_visit: Option<VisitId>) {
        if let Entry::ReceiptIssued { receipt, visit, content, form, .. } = entry {
            let (visit, content, form, state) = (*visit, content.clone(), *form, PrintState::Waiting);
            // A receipt that is issued again, because its record was lost, is on its way already.
            self.0.entry(*receipt).or_insert(OpenReceipt {
                visit,
                content,
                form,
                printer: None,
                copy: 0,
                state,
            });
        } else if let Entry::PrintStarted { receipt, copy, printer } = entry {
            self.change(receipt, *copy, PrintState::Printing);
            if let Some(open) = self.0.get_mut(receipt) {
                open.printer = Some(printer.unwrap_or(open.form));
            }
        } else if let Entry::PrintNotStarted { receipt, copy } = entry {
            // The copy does not exist, so its number is used again.
            self.change(receipt, copy.saturating_sub(1), PrintState::Waiting);
        } else if let Entry::Printed { receipt, copy, .. } = entry {
            self.change(receipt, *copy, PrintState::Printed);
        } else if let Entry::PrintUnconfirmed { receipt, copy } = entry {
            self.change(receipt, *copy, PrintState::Unconfirmed);
        } else if let Entry::PrintAbandoned { receipt } = entry {
            self.0.remove(receipt);
        }
        // Nobody can ask for another copy any more. A copy that may exist is never printed again automatically.
        self.0.retain(|_, open| {
            open_visit == Some(open.visit) || matches!(open.state, PrintState::Waiting | PrintState::Printing)
        });
    }

    fn change(&mut self, receipt: &ReceiptId, copy: u32, state: PrintState) {
        if let Some(open) = self.0.get_mut(receipt) {
            (open.copy, open.state) = (copy, state);
        }
    }

    pub(crate) fn get(&self, receipt: ReceiptId) -> Option<&OpenReceipt> {
        self.0.get(&receipt)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (ReceiptId, &OpenReceipt)> {
        self.0.iter().map(|(receipt, open)| (*receipt, open))
    }
}
