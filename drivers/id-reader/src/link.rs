//! The byte link between this driver and a reader: a trait at the level of bytes, so that the complete driver runs
//! unchanged over a serial line, a pseudo-terminal, or a script in a test.

use std::io;
use std::time::{Duration, Instant};

/// A two-way byte link (链路) to one reader. The driver passes time-outs of at most 200 ms, so that a wrapper of the link
/// can distinguish a driver that waits from one that hangs.
pub trait Link {
    /// Writes bytes and returns how many were written: 1 to `bytes.len()`, not necessarily all.
    ///
    /// # Errors
    /// [`LinkFault::TimedOut`] if no byte was written in time, [`LinkFault::Gone`] if the device was disconnected.
    fn write_some(&mut self, bytes: &[u8], timeout: Duration) -> Result<usize, LinkFault>;

    /// Reads the available bytes, at least one, at most `buffer.len()`; returns their number.
    ///
    /// # Errors
    /// [`LinkFault::TimedOut`] if no byte arrived in time, [`LinkFault::Gone`] if the device was disconnected.
    fn read_some(&mut self, buffer: &mut [u8], timeout: Duration) -> Result<usize, LinkFault>;

    /// The clock with which the driver measures its time-outs. A scripted link has a simulated clock.
    fn now(&self) -> Instant {
        Instant::now()
    }
}

/// Fault of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkFault {
    /// The serial port does not exist.
    #[error("ID reader: serial port does not exist: check the cable and the path in the site file")]
    Absent,
    /// Another program holds the serial port.
    #[error("ID reader: serial port held by another program: stop that program")]
    Busy,
    /// The device was disconnected while in use: unplugged, or its adapter was reset.
    #[error("ID reader: serial port disconnected: check the cable, then open the port again")]
    Gone,
    /// No byte was transferred in time.
    #[error("ID reader: serial port timed out")]
    TimedOut,
    /// Any other error of the operating system.
    #[error("ID reader: serial port failed ({0}): open the port again")]
    Failed(io::ErrorKind),
}
