//! Tests of the journal on a faulty disk.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod checkpoint;
mod journal;
