//! The trait of all links.

use std::time::{Duration, Instant};

use crate::fault::LinkFault;

/// Longest single wait of [`Link::write_all`], so that a wrapper of the link can distinguish a driver that waits from one
/// that hangs.
const WAIT_MAX: Duration = Duration::from_millis(100);

/// A bidirectional byte link to one device.
pub trait Link {
    /// Writes bytes and returns how many were accepted: 1 to `bytes.len()`, not necessarily all.
    ///
    /// # Errors
    /// [`LinkFault::TimedOut`] if no byte was accepted in time, [`LinkFault::Gone`] if the link ended.
    fn write_some(&mut self, bytes: &[u8], timeout: Duration) -> Result<usize, LinkFault>;

    /// Reads the available bytes: at least one, at most `buffer.len()`; returns their number.
    ///
    /// # Errors
    /// [`LinkFault::TimedOut`] if no byte arrived in time, [`LinkFault::Gone`] if the link ended.
    fn read_some(&mut self, buffer: &mut [u8], timeout: Duration) -> Result<usize, LinkFault>;

    /// Writes all bytes, in pieces.
    ///
    /// # Errors
    /// [`LinkFault::TimedOut`] if the bytes were not accepted within `timeout`; some of them may have been.
    /// [`LinkFault::Gone`] if the link ended.
    fn write_all(&mut self, bytes: &[u8], timeout: Duration) -> Result<(), LinkFault> {
        let until = self.now() + timeout;
        let mut rest = bytes;
        while !rest.is_empty() {
            let left = until.saturating_duration_since(self.now());
            match self.write_some(rest, left.min(WAIT_MAX)) {
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(LinkFault::TimedOut) if self.now() < until => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(())
    }

    /// Discards output that the operating system still buffers for the device, so that the rest of an interrupted receipt
    /// is not printed on the next roll. Best effort; the link may be unusable afterwards.
    fn discard(&mut self) {}

    /// Highest data rate of the link in bytes per second, from which the sending time is estimated.
    fn bytes_per_second(&self) -> u32;

    /// The clock by which a driver measures its timeouts. A scripted link has a simulated clock.
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
