//! The far side of every wire, for the bench, the demo and the tests.
//!
//! A card to a real pcscd through vpcd, a printer and a scanner behind ptys, a camera as a stream of frames, a pair
//! of hands on an X display; and what can go wrong with each, by name ([`faults`]). Nothing here is shared with the drivers: a shared codec would hide its own bugs.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation))]

pub mod bars;
pub mod bench;
pub mod camera;
pub mod card;
pub mod display;
mod escpos;
pub mod faults;
pub mod id_card;
pub mod id_reader;
pub mod keys;
mod network;
pub mod paper;
mod port;
pub mod printer;
mod psam;
pub mod relays;
pub mod residents;
pub mod sam_slot;
pub mod scanner;
pub mod sheet_printer;
pub mod slot;
