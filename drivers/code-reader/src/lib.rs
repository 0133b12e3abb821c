//! Camera frames to the text of QR codes; the bytes of code scanners to codes.
//!
//! [`source::open`] gives frames, [`Decoder::look`] says what codes a frame shows, or what is in the way,
//! [`Hold`] turns "seen in many frames" into "held up once". Strangers choose what is decoded here, so all of it
//! is memory-safe Rust, bounded in size and time, and a decoder that panics costs one attempt.
//!
//! What it deliberately does not do: it gives a text no meaning (whose code it is and whether it is still
//! valid is the session's business), logs no text, keeps no picture. The device process is its only caller.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation))]

mod blocks;
mod camera;
mod crumpled;
mod decoder;
mod engines;
mod frame;
mod hint;
mod hold;
mod lines;
mod luma;
mod picture;
mod preview;
mod quality;
mod shades;
pub mod source;
mod stream;
mod y4m;

pub use decoder::{CODES_MAX, Decoder, Look};
pub use frame::{Frame, FrameSource, SIDE_MAX, SourceError};
pub use hint::Hint;
pub use hold::Hold;
pub use lines::{LineEnd, Lines};
pub use luma::{Packing, unpack};
pub use preview::{PREVIEW_SIDE_MAX, Preview};
pub use y4m::{Y4mError, Y4mParser};
