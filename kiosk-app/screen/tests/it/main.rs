//! Golden pictures and contrast of the screen.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod golden;
mod samples;
mod theme;
