//! The log of a kiosk: append-only segments, hash-chained, sealed. The log is the truth.
//!
//! [`Journal::append`] is one write and one `fdatasync`; what it returns `Ok` for survives any end of the
//! process and of the power (I1, I2, I7). Opening folds the records into [`OpenWork`] and always begins a
//! new segment, so that a torn tail can never make a nonce repeat. No clock and no randomness of its own:
//! both come with each call. Called by the engine, in its own thread.
//!
//! Beside it, [`Cache`] keeps what can be made again: the fold of the log as a [`Checkpoint`], and what the
//! platform gave. It may be missing, late or broken; then the log and the platform are asked.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation))]

mod cache;
mod checkpoint;
mod disk;
pub mod faulty;
mod fold;
mod journal;
mod reading;
mod segment;

pub use cache::{Cache, CacheError, Found};
pub use checkpoint::Checkpoint;
pub use disk::{Disk, RealDisk};
pub use fold::{OpenPaper, OpenPayment, OpenWork};
pub use journal::{Entropy, Identity, Journal, JournalError, Opening};
