//! The byte channel between this driver and a printer. The trait is at byte level, so that the whole driver runs
//! unchanged over a serial line, a pseudo-terminal, or a scripted printer in a test.

use std::io;
use std::time::{Duration, Instant};

/// A bidirectional byte channel to one printer.
pub trait Link {
    /// Writes bytes and returns how many were accepted: 1 to `bytes.len()`.
    ///
    /// # Errors
    /// [`LinkFault::TimedOut`] if no byte was accepted in time, [`LinkFault::Gone`] if the link ended.
    fn write_some(&mut self, bytes: &[u8], timeout: Duration) -> Result<usize, LinkFault>;

    /// Reads the available bytes: at least one, at most `buffer.len()`.
    ///
    /// # Errors
    /// [`LinkFault::TimedOut`] if no byte arrived in time, [`LinkFault::Gone`] if the link ended.
    fn read_some(&mut self, buffer: &mut [u8], timeout: Duration) -> Result<usize, LinkFault>;

    /// Discards output that the operating system still buffers for the printer, so that the rest of an interrupted
    /// receipt is not printed on the next roll. Best effort; the link may be unusable afterwards.
    fn discard(&mut self) {}

    /// Highest data rate of the link in bytes per second, from which the sending time is estimated.
    fn bytes_per_second(&self) -> u32;

    /// The clock by which the driver measures its timeouts. A scripted link has its own clock.
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

/// Why a link cannot be opened or used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkFault {
    /// The port does not exist.
    #[error("the printer's port does not exist: check the cable and the configured path")]
    Absent,
    /// Another program holds the port.
    #[error("the printer's port is held by another program: stop that program")]
    Busy,
    /// The link ended while in use: the cable was unplugged, or the adapter was reset.
    #[error("the printer's link ended: check the cable, then open the port again")]
    Gone,
    /// No byte was transferred in time.
    #[error("the printer's link timed out")]
    TimedOut,
    /// The operating system reported another error.
    #[error("the printer's port failed ({0}): open it again")]
    Failed(io::ErrorKind),
}
