//! Camera frames to QR text.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation))]

mod frame;
mod hint;

pub use frame::{Frame, FrameSource, SIDE_MAX, SourceError};
pub use hint::Hint;
