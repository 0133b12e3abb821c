//! A link to a printer of the USB printer class, through the kernel's `usblp`: `/dev/usb/lp0`, or its stable udev
//! name.
//!
//! One program at a time; no USB library, no detaching of kernel drivers. The port is opened non-blocking and
//! waited for with `poll`: a blocking write would hang for as long as the printer is offline. The kernel's port
//! status (`LPGETSTATUS`) is not used: it needs `unsafe` and says less than `DLE EOT`.

use std::io::ErrorKind;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use serial_link::{Link, LinkFault};

/// Most bytes per write. `usblp` accepts 8 KiB, and accepted bytes cannot be discarded.
const WRITE_MAX: usize = 512;

/// Lowest data rate of a full-speed printer. ASSUMED.
const BYTES_PER_SECOND: u32 = 100_000;

/// Whether the printer has disconnected; bytes that it sent before may still be read.
struct HungUp(bool);

/// The fault that a failed write means. An interrupted write is no timeout: `usblp` leaves its transfer running, and
/// the same bytes would be sent twice.
fn write_fault(error: Errno) -> LinkFault {
    if error == Errno::INTR {
        LinkFault::Failed(ErrorKind::Interrupted)
    } else {
        LinkFault::in_use(&error.into())
    }
}

/// The port of a USB printer, opened exclusively.
pub struct UsbLink {
    port: OwnedFd,
}

impl UsbLink {
    /// Opens a port, for example `/dev/usb/lp0`.
    ///
    /// # Errors
    /// [`LinkFault::Absent`] if no printer is connected, [`LinkFault::Busy`] if another program (often CUPS) holds
    /// the port.
    pub fn open(path: &str) -> Result<Self, LinkFault> {
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let port = rustix::fs::open(path, flags, Mode::empty());
        port.map(|port| Self { port }).map_err(|error| LinkFault::while_opening(&error.into()))
    }

    /// Waits for one of the events `what`; returns whether the printer has disconnected.
    fn wait(&self, what: PollFlags, timeout: Duration) -> Result<HungUp, LinkFault> {
        let mut port = [PollFd::new(&self.port, what)];
        let timeout = Timespec::try_from(timeout).map_err(|_| LinkFault::TimedOut)?;
        match poll(&mut port, Some(&timeout)) {
            Ok(0) | Err(Errno::INTR) => Err(LinkFault::TimedOut),
            Ok(_) => {
                let [port] = &port;
                let seen = port.revents();
                // Bytes that arrived before the disconnect are still read.
                let over = seen.intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL);
                if over && !seen.intersects(PollFlags::IN) { Err(LinkFault::Gone) } else { Ok(HungUp(over)) }
            }
            Err(error) => Err(LinkFault::in_use(&error.into())),
        }
    }
}

impl Link for UsbLink {
    fn write_some(&mut self, bytes: &[u8], timeout: Duration) -> Result<usize, LinkFault> {
        self.wait(PollFlags::OUT, timeout)?;
        match rustix::io::write(&self.port, bytes.get(..WRITE_MAX).unwrap_or(bytes)) {
            Ok(0) => Err(LinkFault::TimedOut),
            Ok(count) => Ok(count),
            Err(error) => Err(write_fault(error)),
        }
    }

    fn read_some(&mut self, buffer: &mut [u8], timeout: Duration) -> Result<usize, LinkFault> {
        let HungUp(gone) = self.wait(PollFlags::IN, timeout)?;
        match rustix::io::read(&self.port, buffer) {
            Ok(0) if gone => Err(LinkFault::Gone),
            // A zero-length packet, not the end of the link.
            Ok(0) => Err(LinkFault::TimedOut),
            Ok(count) => Ok(count),
            Err(error) => Err(LinkFault::in_use(&error.into())),
        }
    }

    fn bytes_per_second(&self) -> u32 {
        BYTES_PER_SECOND
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interrupted_write_is_no_timeout() {
        assert_eq!(write_fault(Errno::INTR), LinkFault::Failed(ErrorKind::Interrupted));
        assert_eq!(write_fault(Errno::AGAIN), LinkFault::TimedOut);
        assert_eq!(write_fault(Errno::IO), LinkFault::Gone);
    }
}
