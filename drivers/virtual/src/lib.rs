//! Device emulators for the bench, the demo and the tests. 仿真器.
//!
//! Each emulator is the device's side of a real interface: a card behind a real pcscd through vpcd; a printer, a
//! scanner, an ID reader and a relay board behind ptys; a camera as a stream of frames; touches and screenshots on an
//! X display. [`faults`] lists by name how each can fail. The emulators share no code with the drivers, since a
//! shared codec would hide its own bugs.

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
