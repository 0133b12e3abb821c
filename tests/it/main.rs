//! Tests of the whole: the house rules, the simulated city, the units, recordings, and the drivers on their
//! real wires.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::wildcard_enum_match_arm)]

mod house;
mod pins;
mod recordings;
mod simulation;
mod units;
mod wires;
