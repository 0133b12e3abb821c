//! The bytes between this driver and a printer: a trait at the level of the wire, so that the whole driver
//! runs unchanged over a serial port, a pseudo-terminal, or a script in a test.

use std::io;
use std::time::{Duration, Instant};

/// A two-way byte line to one printer.
pub trait Link {
    /// Hands over bytes and returns how many were taken: 1 to `bytes.len()`, and not necessarily all.
    ///
    /// # Errors
    /// [`LinkFault::TimedOut`] if none was taken in time, [`LinkFault::Gone`] if the line ended.
    fn write_some(&mut self, bytes: &[u8], timeout: Duration) -> Result<usize, LinkFault>;

    /// Reads what is there, at least one byte, at most `buffer.len()`.
    ///
    /// # Errors
    /// [`LinkFault::TimedOut`] if nothing came in time, [`LinkFault::Gone`] if the line ended.
    fn read_some(&mut self, buffer: &mut [u8], timeout: Duration) -> Result<usize, LinkFault>;

    /// Throws away what the system still holds for the printer: the rest of a receipt that was broken off shall not
    /// come out on the next roll. Best effort; the line may be gone afterwards.
    fn discard(&mut self) {}

    /// What the line carries at most, to know how long sending may take.
    fn bytes_per_second(&self) -> u32;

    /// The time by which the driver measures its waits. A scripted line brings its own.
    fn now(&self) -> Instant {
        Instant::now()
    }
}

impl<L: Link + ?Sized> Link for Box<L> {
    fn write_some(&mut self, bytes: &[u8], timeout: Duration) -> Result<usize, LinkFault> {
        (**self).write_some(bytes, timeout)
    }

    fn read_some(&mut self, buffer: &mut [u8], timeout: Duration) -> Result<usize, LinkFault> {
        (**self).read_some(buffer, timeout)
    }

    fn discard(&mut self) {
        (**self).discard();
    }

    fn bytes_per_second(&self) -> u32 {
        (**self).bytes_per_second()
    }

    fn now(&self) -> Instant {
        (**self).now()
    }
}

/// What can be wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkFault {
    /// There is no such port.
    #[error("the printer's port does not exist: check the cable and the configured path")]
    Absent,
    /// Another program holds the port.
    #[error("the printer's port is held by another program: stop that program")]
    Busy,
    /// The line ended while in use: unplugged, or its adapter reset.
    #[error("the printer's line ended: check the cable, then open the port again")]
    Gone,
    /// Nothing moved in time.
    #[error("the printer's line did not move in time")]
    TimedOut,
    /// The system refused for another reason.
    #[error("the printer's port failed ({0}): open it again")]
    Failed(io::ErrorKind),
}
