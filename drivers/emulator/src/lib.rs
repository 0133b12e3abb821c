//! Device emulators for the bench, the demo and the tests. 仿真器.
//!
//! Each emulator is the device's side of a real interface: a card behind a real pcscd through vpcd; a printer, a
//! scanner, an ID reader and a relay board behind ptys; a camera as a stream of frames; touches and screenshots on an
//! X display. [`faults`] lists by name how each can fail. The emulators share no code with the drivers, since a
//! shared codec would hide its own bugs.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation))]

pub mod barcode_preview;
pub mod bench;
pub mod camera;
pub mod card;
pub mod card_keys;
pub mod card_slot;
pub mod demo_residents;
pub mod document_printer;
mod escpos;
pub mod faults;
pub mod id_card;
pub mod id_reader;
pub mod printer;
mod psam_chip;
pub mod psam_slot;
mod pty;
pub mod relay_board;
pub mod rig_control;
pub mod roll;
pub mod scanner;
mod tcp_line;
pub mod x_display;
