//! Receipts on ESC/POS printers, with evidence of what became of them.
//!
//! [`Printer::print`] takes a whole [`Receipt`], lays it out for the [`Profile`] of the model, sends it over
//! a [`Link`] and answers with an [`Outcome`]: printed and how that is known, certainly not begun, or not
//! known. A receipt that may have been printed is never sent again from here.
//!
//! What it deliberately does not do: it keeps no queue and no memory of receipts (the caller's log does), it
//! reopens no port, it decides nothing about copies (`copy_mark` comes from the caller), and it prints no A4.
//! The device process is its only caller.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation))]

mod answers;
mod barcode;
mod bitmap;
mod charset;
mod compose;
mod layout;
mod lettering;
mod link;
mod outcome;
mod printer;
mod profile;
mod receipt;
mod serial;
mod sheet;
mod tcp;
mod usb;

pub use answers::{Status, parse_answers};
pub use link::{Link, LinkFault};
pub use outcome::{Confirmation, Outcome, Progress, Why};
pub use printer::Printer;
pub use profile::{Charset, Cutter, Evidence, Profile, QrMethod, StatusQuery};
pub use receipt::{
    Align, BARCODE_MAX, BLOCKS_MAX, Block, CELLS_MAX, Cell, FEED_MAX, PICTURE_ROWS_MAX, Picture, QR_MAX,
    Receipt, Size, Style, TEXT_MAX,
};
pub use serial::SerialLink;
pub use sheet::{
    A4, ISSUED_MAX, PAGES_MAX, PdfFault, SHEET_BLOCKS_MAX, Sheet, SheetBlock, SheetCode, SheetFonts,
    SheetPrinter, SheetPrinterFault, SheetStatus, TABLE_CELLS_MAX, TABLE_ROWS_MAX, parse_ipp_answer, pdf,
};
pub use tcp::TcpLink;
pub use usb::UsbLink;
