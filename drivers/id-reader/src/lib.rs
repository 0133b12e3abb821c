//! Driver for readers of China's resident identity card (二代身份证阅读器): the SDT protocol of the security
//! module (SAM_V) inside every such reader, over a serial line.
//!
//! [`IdReader`] asks one reader over any [`Link`]; [`scan`], [`parse_answer`] and [`parse_text`] are the codec,
//! pure functions on slices. The README lists every command with its source. All four cards that such a
//! reader reads are understood: the resident's, the residence permit for Hong Kong, Macau and Taiwan, and the
//! foreigner's permanent residence card of 2017 and of 2023.
//!
//! What it deliberately does not do: the card's photo is handed on as the blob that it is, since only a
//! licensed library decodes it; nothing that a card holds is stored, logged or shown by `Debug`; it knows
//! nothing of visits. The device process is its only caller.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation))]

mod answer;
mod card;
mod command;
mod date;
mod frame;
mod link;
mod number;
mod reader;
mod serial;
mod status;
mod text;
mod utf16;

pub use answer::{Answer, SamId, ShapeFault, parse_answer};
pub use card::{IdCard, Reading};
pub use command::Command;
pub use date::{Date, Validity};
pub use frame::{FRAME_MAX, Scan, scan};
pub use link::{Link, LinkFault};
pub use number::{is_citizen_number, is_foreigner_number, is_permit_holder_number};
pub use reader::{CardFault, IdReader, ReaderFault, Refusal};
pub use serial::SerialLink;
pub use status::Status;
pub use text::{Foreigner2017, Foreigner2023, Permit, Resident, Sex, TEXT_LEN, TextFault, parse_text};
