//! Tests of the whole: the house rules, the units, and the drivers on their real wires.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod house;
mod units;
mod wires;
