//! Driver for readers of China's resident identity card: the SDT protocol of the security module (SAM_V) inside every
//! such reader, over a serial line.
//!
//! [`IdReader`] drives one reader over any [`serial_link::Link`]; [`scan_frame`], [`parse_answer`] and [`parse_text`] are the codec,
//! pure functions on slices. The README lists every command with its source. All four kinds of card that such a reader
//! reads are supported: the resident identity card, the residence permit for residents of Hong Kong, Macau and Taiwan, and
//! the foreigner's permanent residence card of 2017 and of 2023.
//!
//! The crate deliberately does not decode the photo, which only a licensed library can do; does not store, log or show by
//! `Debug` any data of a card; and knows nothing of visits. The device process is its only caller.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation))]

mod answer;
mod card;
mod command;
mod date;
mod frame;
mod number;
mod reader;
mod status;
mod text;
mod utf16;

pub use answer::{AnswerMismatch, SamAnswer, SamId, parse_answer};
pub use card::{CitizenIdCard, Foreigner2017, Foreigner2023, IdCard, IdCardReading, ResidencePermit, Sex};
pub use command::SamCommand;
pub use date::{Date, Validity};
pub use frame::{FRAME_MAX, FrameScan, scan_frame};
pub use number::{is_citizen_number, is_foreigner_number, is_permit_holder_number};
pub use reader::{IdCardFault, IdReadRefusal, IdReader, IdReaderFault};
pub use status::SamStatus;
pub use text::{TEXT_LEN, TextFault, parse_text};
