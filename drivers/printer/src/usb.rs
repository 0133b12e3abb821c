//! A printer of USB's printer class, through the kernel's `usblp`: `/dev/usb/lp0`, or udev's stable name for it.
//!
//! One program at a time; no library, no detaching of drivers. Opened without blocking and waited for with `poll`: a
//! blocking write would hang for as long as the printer is off line. The port status that the kernel offers besides
//! (`LPGETSTATUS`) needs `unsafe` and says less than `DLE EOT`: it is not used.

use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::link::{Link, LinkFault};

/// Most bytes handed over at once. `usblp` takes 8 KiB; what it has taken cannot be taken back.
const WRITE_MAX: usize = 512;

/// What a full-speed printer takes at least. ASSUMED.
const BYTES_PER_SECOND: u32 = 100_000;

/// Whether the printer is gone, bytes that it left apart.
struct IsGone(bool);

/// A printer's port, held alone.
pub struct UsbLink {
    port: OwnedFd,
}

impl UsbLink {
    /// Opens a port.
    ///
    /// # Errors
    /// [`LinkFault::Absent`] if there is no printer, [`LinkFault::Busy`] if another program (often CUPS) holds it.
    pub fn open(path: &str) -> Result<Self, LinkFault> {
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(port) => Ok(Self { port }),
            Err(Errno::BUSY) => Err(LinkFault::Busy),
            Err(Errno::NOENT | Errno::NODEV | Errno::NXIO) => Err(LinkFault::Absent),
            Err(error) => Err(LinkFault::Failed(std::io::Error::from(error).kind())),
        }
    }

    /// Waits until the port is ready for this, whatever `poll` calls it; says whether the printer is gone.
    fn wait(&self, what: PollFlags, timeout: Duration) -> Result<IsGone, LinkFault> {
        let mut port = [PollFd::new(&self.port, what)];
        let timeout = Timespec::try_from(timeout).map_err(|_| LinkFault::TimedOut)?;
        match poll(&mut port, Some(&timeout)) {
            Ok(0) | Err(Errno::INTR) => Err(LinkFault::TimedOut),
            Ok(_) => {
                let [port] = &port;
                let seen = port.revents();
                // Bytes that came before the plug was pulled are still read.
                let over = seen.intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL);
                if over && !seen.intersects(PollFlags::IN) { Err(LinkFault::Gone) } else { Ok(IsGone(over)) }
            }
            Err(error) => Err(fault(error)),
        }
    }
}

impl Link for UsbLink {
    fn write_some(&mut self, bytes: &[u8], timeout: Duration) -> Result<usize, LinkFault> {
        self.wait(PollFlags::OUT, timeout)?;
        match rustix::io::write(&self.port, bytes.get(..WRITE_MAX).unwrap_or(bytes)) {
            Ok(0) => Err(LinkFault::TimedOut),
            Ok(count) => Ok(count),
            Err(error) => Err(fault(error)),
        }
    }

    fn read_some(&mut self, buffer: &mut [u8], timeout: Duration) -> Result<usize, LinkFault> {
        let IsGone(gone) = self.wait(PollFlags::IN, timeout)?;
        match rustix::io::read(&self.port, buffer) {
            Ok(0) if gone => Err(LinkFault::Gone),
            // An empty packet, not an end.
            Ok(0) => Err(LinkFault::TimedOut),
            Ok(count) => Ok(count),
            Err(error) => Err(fault(error)),
        }
    }

    fn bytes_per_second(&self) -> u32 {
        BYTES_PER_SECOND
    }
}

fn fault(error: Errno) -> LinkFault {
    match error {
        Errno::AGAIN | Errno::INTR => LinkFault::TimedOut,
        Errno::NODEV | Errno::NXIO | Errno::IO | Errno::PIPE | Errno::SHUTDOWN => LinkFault::Gone,
        other => LinkFault::Failed(std::io::Error::from(other).kind()),
    }
}
