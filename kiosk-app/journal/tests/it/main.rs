//! Tests of the journal on disks with and without faults.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::cast_possible_truncation)]

mod damage;
mod delivery;
mod journal;
mod recovery;
mod state;
