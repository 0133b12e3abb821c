//! The signed codes: what is issued is accepted, and nothing else is.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod answer;
mod bench;
mod mutations;
mod offline;
mod paper;
mod peers;
mod security;
mod vectors;
