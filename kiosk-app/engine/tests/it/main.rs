//! The engine on a disk that fails and beside a platform that keeps count.

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
