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
mod code_splitter;
mod code_tracker;
mod decoder;
mod engines;
mod frame;
mod frame_quality;
mod hint;
mod located_code;
mod luma;
mod module_samples;
mod perspective;
mod preprocess;
pub mod source;
mod stream;
mod y4m;

pub use code_splitter::{CodeSplitter, LineEnd};
pub use code_tracker::CodeTracker;
pub use decoder::{CODES_MAX, DecodeResult, Decoder};
pub use frame::{FrameSource, LumaFrame, SIDE_MAX, SourceError};
pub use hint::ScanHint;
pub use luma::{PixelFormat, unpack};
pub use y4m::{Y4mError, Y4mParser};
