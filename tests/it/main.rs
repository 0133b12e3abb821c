//! Tests of the whole system: architecture, simulation of a city, systemd units, recordings, and drivers on emulated
//! hardware.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::wildcard_enum_match_arm)]

mod architecture;
mod log_lines;
mod pins;
mod private_words;
mod recordings;
mod services;
mod simulation;
mod units;
mod wires;
