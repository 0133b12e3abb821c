//! The program itself on its wire: started as the kiosk starts it, with ttys that are pseudo-terminals.
//! Cards over a real pcscd are tried in the tests of the whole system.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod camera;
mod device_process;
mod lines;
mod process;
