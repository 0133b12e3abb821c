//! The screen as it is drawn and touched.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod golden;
mod samples;
mod theme;
