//! The whole crate: from a stream or a picture to a text.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod decoding;
mod scene;
mod sources;
mod texture;
