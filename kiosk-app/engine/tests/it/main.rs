//! The engine with a failing disk and a model of the platform that counts charges.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    missing_docs
)]

mod bench;
mod codes;
mod failures;
mod feed;
mod memory;
mod platform;
