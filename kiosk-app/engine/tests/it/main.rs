//! The engine with a failing disk and a model of the platform that counts charges.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    missing_docs
)]

mod cache;
mod codes;
mod damage;
mod failures;
mod feed;
mod fixture;
mod platform;
mod reconciliation;
