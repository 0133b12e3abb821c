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

pub use answers::Status;
pub use link::{Link, LinkFault};
pub use outcome::{Confirmation, Outcome, Progress, Why};
pub use printer::Printer;
pub use profile::{Charset, Cutter, Evidence, Profile, QrMethod, StatusQuery};
pub use receipt::{BLOCKS_MAX, Block, FEED_MAX, QR_MAX, Receipt, TEXT_MAX};
pub use serial::SerialLink;
