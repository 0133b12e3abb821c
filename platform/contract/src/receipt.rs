//! The content of a receipt, independent of the layout on a printer or screen.

use serde::{Deserialize, Serialize};

/// 凭条: the content of a receipt. Everything personal in it is already masked (I3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The heading, for example 缴费凭条.
    pub title: String,
    /// The lines, top to bottom.
    pub lines: Vec<ReceiptLine>,
    /// The number by which a resident fetches the receipt, see [`ReceiptId::number`](crate::ReceiptId::number).
    pub number: String,
    /// Text of the QR code at the bottom, if any.
    pub code: Option<String>,
}

/// One line of a receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReceiptLine {
    /// A label and its value.
    Pair(String, String),
    /// A line of text.
    Text(String),
    /// The amount, in large type.
    Amount(String),
    /// A rule across the paper.
    Rule,
}

/// The form of a printout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PrintForm {
    /// A receipt on the roll of the receipt printer.
    #[default]
    Receipt,
    /// An A4 document, for papers that are handed in elsewhere; printed on the roll where no A4 printer works.
    #[serde(rename = "sheet")]
    A4Document,
}

impl PrintForm {
    /// Takes a reference because serde calls it with one.
    #[expect(clippy::trivially_copy_pass_by_ref)]
    pub(crate) fn is_receipt(&self) -> bool {
        *self == Self::Receipt
    }
}
