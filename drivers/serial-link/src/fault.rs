//! Faults of links, and the one mapping of the operating system's errors to them.

use std::io;

use rustix::io::Errno;

/// Why a link cannot be opened or used. The texts name no device: the caller adds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkFault {
    /// The port does not exist.
    #[error("the port does not exist: check the cable and the path in the site file")]
    Absent,
    /// Another program holds the port.
    #[error("the port is held by another program: stop that program")]
    Busy,
    /// The link ended while in use: the cable was unplugged, or the adapter was reset.
    #[error("the link ended: check the cable, then open the port again")]
    Gone,
    /// No byte was transferred in time.
    #[error("the link timed out: check that the device is switched on")]
    TimedOut,
    /// The operating system reported another error.
    #[error("the port failed ({0}): open it again")]
    Failed(io::ErrorKind),
}

impl LinkFault {
    /// The fault that an error means when a port is opened.
    #[must_use]
    pub fn while_opening(error: &io::Error) -> Self {
        let kind = error.kind();
        if kind == io::ErrorKind::NotFound || is_one_of(error, &[Errno::NODEV, Errno::NXIO]) {
            Self::Absent
        } else if kind == io::ErrorKind::ResourceBusy {
            Self::Busy
        } else {
            Self::Failed(kind)
        }
    }

    /// The fault that an error means when an open link is read or written.
    #[must_use]
    pub fn in_use(error: &io::Error) -> Self {
        let kind = error.kind();
        if NOT_IN_TIME.contains(&kind) {
            Self::TimedOut
        } else if ENDED.contains(&kind) || is_one_of(error, &ENDED_WITHOUT_KIND) {
            Self::Gone
        } else {
            Self::Failed(kind)
        }
    }
}

/// Errors of a call that transferred no byte; the caller tries again until its own timeout.
const NOT_IN_TIME: [io::ErrorKind; 3] =
    [io::ErrorKind::TimedOut, io::ErrorKind::WouldBlock, io::ErrorKind::Interrupted];
/// Errors of a link that has ended.
const ENDED: [io::ErrorKind; 9] = [
    io::ErrorKind::BrokenPipe,
    io::ErrorKind::NotFound,
    io::ErrorKind::UnexpectedEof,
    io::ErrorKind::ConnectionReset,
    io::ErrorKind::ConnectionAborted,
    io::ErrorKind::NotConnected,
    io::ErrorKind::HostUnreachable,
    io::ErrorKind::NetworkUnreachable,
    io::ErrorKind::NetworkDown,
];
/// The same, without an `ErrorKind`: a tty returns `EIO` after its other end was closed, a USB port `ENODEV`.
const ENDED_WITHOUT_KIND: [Errno; 4] = [Errno::IO, Errno::NODEV, Errno::NXIO, Errno::SHUTDOWN];

fn is_one_of(error: &io::Error, errors: &[Errno]) -> bool {
    Errno::from_io_error(error).is_some_and(|errno| errors.contains(&errno))
}

/// Maps the result of a read or write on a tty or a connection: zero bytes without an error mean that it has ended.
///
/// # Errors
/// The fault that the error means, or [`LinkFault::Gone`] instead of zero bytes.
pub fn byte_count(result: io::Result<usize>) -> Result<usize, LinkFault> {
    match result {
        Ok(0) => Err(LinkFault::Gone),
        Ok(count) => Ok(count),
        Err(error) => Err(LinkFault::in_use(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_while_opening_distinguish_absent_and_busy() {
        for (errno, fault) in [
            (Errno::NOENT, LinkFault::Absent),
            (Errno::NODEV, LinkFault::Absent),
            (Errno::NXIO, LinkFault::Absent),
            (Errno::BUSY, LinkFault::Busy),
            (Errno::ACCESS, LinkFault::Failed(io::ErrorKind::PermissionDenied)),
        ] {
            assert_eq!(LinkFault::while_opening(&errno.into()), fault, "{errno}");
        }
    }

    #[test]
    fn errors_in_use_distinguish_time_outs_and_ended_links() {
        for (errno, fault) in [
            (Errno::AGAIN, LinkFault::TimedOut),
            (Errno::INTR, LinkFault::TimedOut),
            (Errno::IO, LinkFault::Gone),
            (Errno::NODEV, LinkFault::Gone),
            (Errno::NXIO, LinkFault::Gone),
            (Errno::PIPE, LinkFault::Gone),
            (Errno::SHUTDOWN, LinkFault::Gone),
            (Errno::CONNRESET, LinkFault::Gone),
            (Errno::HOSTUNREACH, LinkFault::Gone),
            (Errno::NOMEM, LinkFault::Failed(io::ErrorKind::OutOfMemory)),
        ] {
            assert_eq!(LinkFault::in_use(&errno.into()), fault, "{errno}");
        }
        assert_eq!(byte_count(Ok(0)), Err(LinkFault::Gone));
    }
}
