//! Signed codes: issued codes are accepted, all others are refused.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod answer;
mod fixture;
mod mutations;
mod offline;
mod paper;
mod peers;
mod security;
mod vectors;
