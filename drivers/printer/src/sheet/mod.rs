//! A4: what a sheet says, the PDF that is made of it here, and the IPP printer that takes it.
//!
//! A seal is never drawn here: what needs one comes as the issuer's own file, which goes to the printer unchanged.

mod ipp;
mod pages;
mod pdf;
mod state;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use ipp::{SheetPrinter, SheetPrinterFault, parse_ipp_answer};
pub use pdf::{PdfFault, SheetFonts, pdf};
pub use state::SheetStatus;

/// Most blocks of one sheet.
pub const SHEET_BLOCKS_MAX: usize = 400;

/// Most rows of one table, and cells of one row.
pub const TABLE_ROWS_MAX: usize = 400;
/// See [`TABLE_ROWS_MAX`].
pub const TABLE_CELLS_MAX: usize = 8;

/// Most pages that are printed of one sheet: more is a book, and the queue waits.
pub const PAGES_MAX: usize = 10;

/// Largest file of an issuer in bytes.
pub const ISSUED_MAX: usize = 6 * 1024 * 1024;

/// What is to be printed on A4 paper.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum A4 {
    /// A sheet that is set here.
    Composed(Sheet),
    /// The PDF of the house that issued it, signed or sealed: its bytes are printed as they are; at most
    /// [`ISSUED_MAX`].
    Issued(Vec<u8>),
}

/// One document (打印件), set here. Texts are masked by the caller.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sheet {
    /// The heading.
    pub title: String,
    /// From head to foot.
    pub blocks: Vec<SheetBlock>,
    /// The code by which others check this sheet, at the foot of the last page.
    pub code: Option<SheetCode>,
    /// Labels and values beside the code: when and where it was printed, by which terminal, its number.
    pub foot: Vec<(String, String)>,
    /// Across each page, pale: 仅供参考 on what has no force of its own.
    pub watermark: Option<String>,
    /// In the top corner of each page of every copy but the first, for example `补打 第2次`.
    pub copy_mark: Option<String>,
}

/// One part of a sheet. Texts that do not fit are wrapped, and pages turned; nothing is cut.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SheetBlock {
    /// A label and its value, ruled. Rows that follow each other are one table.
    Row {
        /// For example `参保单位`.
        label: String,
        /// For example `重庆市某某公司`.
        value: String,
    },
    /// A paragraph.
    Text(String),
    /// A table; its head is repeated on each page.
    Table {
        /// What the columns are called; they are equally wide.
        head: Vec<String>,
        /// As many cells each; missing ones stay empty.
        rows: Vec<Vec<String>>,
    },
    /// Some empty space.
    Space,
}

/// The verification code (验真码).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SheetCode {
    /// What the QR code says; at most [`crate::QR_MAX`] bytes.
    pub content: String,
    /// What stands below it.
    pub caption: String,
}

/// Shows the shape only: a sheet carries personal data.
impl fmt::Debug for Sheet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sheet")
            .field("blocks", &self.blocks.len())
            .field("copy", &self.copy_mark.is_some())
            .finish_non_exhaustive()
    }
}

/// Shows the size only.
impl fmt::Debug for A4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Composed(sheet) => sheet.fmt(f),
            Self::Issued(bytes) => write!(f, "Issued({} bytes)", bytes.len()),
        }
    }
}
