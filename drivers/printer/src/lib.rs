//! Drivers for receipt printers (ESC/POS) and document printers (IPP), with a confirmation of what was printed.
//!
//! [`ReceiptPrinter::print`] takes a whole [`PrintableReceipt`], lays it out for the [`PrinterProfile`] of the model,
//! sends it over a [`serial_link::Link`] and returns a [`PrintOutcome`]: printed and how that is known, certainly not started,
//! or unknown. The driver never sends a receipt again that may have been printed.
//!
//! [`DocumentPrinter`] does the same for A4 documents.
//!
//! Deliberately not here: a queue or a memory of receipts (the caller's journal has both), reopening a port, and any
//! decision about copies (`copy_mark` comes from the caller). The device process is the only caller.
//!
//! # Examples
//!
//! `examples/print_receipt.rs` prints a receipt to a printer in memory, or to one at a serial line, and shows the bytes
//! and the outcome:
//!
//! ```text
//! cargo run -p printer --example print_receipt
//! cargo run -p printer --example print_receipt -- --tty PATH
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation))]

mod answers;
mod barcode;
mod bitmap;
mod charset;
mod compose;
mod document;
mod glyph_rasterizer;
mod layout;
mod print_outcome;
mod printer;
mod profile;
mod receipt;
mod tcp;
mod usb;

pub use answers::{PrinterStatus, parse_answers};
pub use document::{
    A4Document, DOCUMENT_BLOCKS_MAX, DocumentBlock, DocumentCode, DocumentFonts, DocumentPrinter,
    DocumentPrinterFault, DocumentPrinterStatus, PAGES_MAX, PdfFault, TABLE_CELLS_MAX, TABLE_ROWS_MAX,
    parse_ipp_response, render_pdf,
};
pub use print_outcome::{PrintConfirmation, PrintFailure, PrintOutcome, PrintProgress};
pub use printer::ReceiptPrinter;
pub use profile::{Charset, ConfirmationMethod, Cutter, PrinterProfile, QrMethod, StatusQuery};
pub use receipt::{
    BARCODE_MAX, FEED_MAX, PICTURE_ROWS_MAX, Picture, PrintableReceipt, QR_MAX, RECEIPT_BLOCKS_MAX,
    RECEIPT_CELLS_MAX, ReceiptBlock, ReceiptCell, TEXT_MAX, TextAlign, TextSize, TextStyle,
};
pub use tcp::TcpLink;
pub use usb::UsbLink;
