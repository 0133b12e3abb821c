//! The byte link (链路) between a driver and its device, and this link over a serial line (串口).
//!
//! [`Link`] is at the level of bytes, so that a complete driver runs unchanged over a serial line, a pseudo-terminal, or a
//! script in a test. [`SerialLink`] is the one implementation over a tty; links of other kinds live in their drivers and
//! map the errors of the operating system by [`LinkFault::while_opening`] and [`LinkFault::in_use`].
//!
//! Deliberately not here: the protocol of any device, a thread, and opening a link again after a fault; the device process
//! does that.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing))]

mod fault;
mod link;
mod serial;

pub use fault::{LinkFault, byte_count};
pub use link::Link;
pub use serial::{FlowControl, SerialLink};
