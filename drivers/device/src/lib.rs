//! The protocol between the kiosk and a device process, for both sides, and the recording and replay of device wires.
//!
//! `kiosk-device` runs one driver in a process of its own, because PC/SC and camera calls can block without limit in C
//! code, and because cameras decode input that strangers choose. The kiosk starts the process with one end of a UNIX
//! socket pair as its standard input, and kills the process when it hangs.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation))]

pub mod framing;
pub mod record;
pub mod wire;
