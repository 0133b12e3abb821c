//! Drivers for receipt printers (ESC/POS) and document printers (IPP), with a confirmation of what was printed.
//!
//! [`ReceiptPrinter::print`] takes a whole [`PrintableReceipt`], lays it out for the [`PrinterProfile`] of the model,
//! sends it over a [`Link`] and returns a [`PrintOutcome`]: printed and how that is known, certainly not started,
//! or unknown. The driver never sends a receipt again that may have been printed.
//!
//! [`DocumentPrinter`] does the same for A4 documents.
//!
//! Deliberately not here: a queue or a memory of receipts (the caller's journal has both), reopening a port, and any
//! decision about copies (`copy_mark` comes from the caller). The device process is the only caller.
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
