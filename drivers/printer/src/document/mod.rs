//! A4 documents: their content, their rendering as PDF, and the IPP printer that prints them.
//!
//! Seals are never drawn: a document that needs one is not printed here.

mod attributes;
mod exchange;
mod fault;
mod ipp;
mod pages;
mod pdf;
mod status;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use attributes::parse_ipp_response;
pub use fault::PdfFault;
pub use ipp::{DocumentPrinter, DocumentPrinterFault};
pub use pdf::{DocumentFonts, render_pdf};
pub use status::DocumentPrinterStatus;

/// Most blocks of one A4 document.
pub const DOCUMENT_BLOCKS_MAX: usize = 400;

/// Most rows of one table.
pub const TABLE_ROWS_MAX: usize = 400;
/// Most cells of one table row.
pub const TABLE_CELLS_MAX: usize = 8;

/// Most pages of one A4 document: longer ones would keep other residents waiting.
pub const PAGES_MAX: usize = 10;

/// One A4 document (A4 文书), rendered by this crate. The caller masks personal data.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct A4Document {
    /// The heading.
    pub title: String,
    /// From top to bottom; at most [`DOCUMENT_BLOCKS_MAX`].
    pub blocks: Vec<DocumentBlock>,
    /// The verification code, at the foot of the last page.
    pub code: Option<DocumentCode>,
    /// Labels and values beside the code: time and place of printing, kiosk, document number.
    pub foot: Vec<(String, String)>,
    /// Copy mark in the top right corner of each page of every copy but the first, for example `补打 第2次`.
    pub copy_mark: Option<String>,
}

/// One part of an A4 document. Texts that do not fit are wrapped and continue on the next page; nothing is truncated.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DocumentBlock {
    /// A label and its value in a ruled row. Consecutive rows form one table.
    Row {
        /// For example `参保单位`.
        label: String,
        /// For example `重庆市某某公司`.
        value: String,
    },
    /// A paragraph.
    Text(String),
    /// A table; its header is repeated on each page.
    Table {
        /// Column titles. Columns are equally wide.
        head: Vec<String>,
        /// Rows with as many cells as `head`; missing cells stay empty.
        rows: Vec<Vec<String>>,
    },
    /// Empty space of one line.
    Space,
}

/// A verification code (验真码): a QR code by which third parties check a document.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentCode {
    /// Content of the QR code; at most [`crate::QR_MAX`] bytes.
    pub content: String,
    /// Text below the code.
    pub caption: String,
}

/// Shows the number of blocks only: a document contains personal data.
impl fmt::Debug for A4Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sheet")
            .field("blocks", &self.blocks.len())
            .field("copy", &self.copy_mark.is_some())
            .finish_non_exhaustive()
    }
}
