//! The journal of a kiosk: append-only segments of hash-chained, encrypted records. It is the source of truth.
//!
//! [`Journal::append`] is one write and one `fdatasync`; entries for which it returned `Ok` survive any crash and
//! power cut (I1, I2, I7), all of one call or none. The records fold to a [`JournalState`], with which each segment
//! begins: opening reads the newest segment only, and damage to an older one costs evidence, not open work. Opening always
//! begins a new segment, so that a torn tail can never make a nonce repeat. No clock and no randomness of its own:
//! both come with each call. Called by the engine, in its own thread.
//!
//! [`Cache`] stores values that can be rebuilt, such as the feed state. It may be missing, late or damaged; then the feed
//! is fetched again.
//!
//! # Examples
//!
//! `examples/recover_journal.rs` appends records, cuts the file as a power cut does, and shows what recovery reports:
//!
//! ```text
//! cargo run -p journal --example recover_journal
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation))]

mod cache;
mod config;
mod disk;
mod error;
mod journal;
mod reading;
mod recovery;
mod segment;
mod segment_info;
mod state;

pub use cache::{Cache, CacheCondition, CacheError};
pub use config::{EntropyFn, JournalConfig, JournalLimits, RecoveryReport};
pub use disk::{Disk, RealDisk};
pub use error::JournalError;
pub use journal::{Journal, restated};
pub use reading::NextRecords;
pub use state::JournalState;
