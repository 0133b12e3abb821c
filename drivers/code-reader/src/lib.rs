//! Decodes QR codes from camera frames, and splits the bytes of code scanners into codes.
//!
//! [`source::open`] opens a source of frames, [`Decoder::decode`] returns the codes in a frame or a hint why none
//! was read, and [`CodeTracker`] reports a code once for as long as it is held. The input is untrusted, so all of
//! it is memory-safe Rust, bounded in size and time, and a decoder that panics costs one attempt.
//!
//! Deliberately not here: the meaning of a text (the session decides whose code it is and whether it is valid),
//! logging of texts, storage of pictures. The device process is the only caller.
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
