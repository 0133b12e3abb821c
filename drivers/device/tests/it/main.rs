//! Tests of the program `kiosk-device` over its protocol: started as the kiosk starts it, with pseudo-terminals as ttys.
//! Cards over a real pcscd are covered by the tests of the whole system.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod camera;
mod device_process;
mod lines;
mod process;
