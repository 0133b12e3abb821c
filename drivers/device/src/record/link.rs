//! A link whose bytes are recorded.

use std::time::{Duration, Instant};

use serial_link::{Link, LinkFault};

use super::{Recorder, TransferFault, WireEvent};

/// Note that marks the opening of a link, and the insertion of a card.
pub const OPENED_NOTE: &str = "opened";

/// Redacts the bytes on a link of one class of device, and records them.
pub trait LinkTape {
    /// Records the bytes that the link accepted, or why it accepted none.
    fn record_sent(&mut self, sent: Result<&[u8], TransferFault>);

    /// Records the bytes that were received at the time `at`, or why there were none.
    fn record_received(&mut self, at: Instant, received: Result<&[u8], TransferFault>);
}

/// A link whose bytes are recorded.
pub struct RecordedLink<L, T> {
    link: L,
    tape: T,
}

impl<L: Link, T: LinkTape> RecordedLink<L, T> {
    /// Records the bytes of `link` with `tape`.
    pub fn new(link: L, tape: T) -> Self {
        Self { link, tape }
    }
}

impl<L: Link, T: LinkTape> Link for RecordedLink<L, T> {
    fn write_some(&mut self, bytes: &[u8], timeout: Duration) -> Result<usize, LinkFault> {
        let written = self.link.write_some(bytes, timeout);
        let sent = written.map(|count| bytes.get(..count).unwrap_or(bytes));
        self.tape.record_sent(sent.map_err(TransferFault::from));
        written
    }

    fn read_some(&mut self, buffer: &mut [u8], timeout: Duration) -> Result<usize, LinkFault> {
        let read = self.link.read_some(buffer, timeout);
        let received = read.map(|count| buffer.get(..count).unwrap_or_default());
        self.tape.record_received(self.link.now(), received.map_err(TransferFault::from));
        read
    }

    fn discard(&mut self) {
        self.link.discard();
    }

    fn bytes_per_second(&self) -> u32 {
        self.link.bytes_per_second()
    }

    fn now(&self) -> Instant {
        self.link.now()
    }
}

impl Recorder {
    /// Records that a link was opened.
    pub(super) fn record_opened(&self) {
        self.record(WireEvent::Note(OPENED_NOTE.into()));
    }
}

impl From<LinkFault> for TransferFault {
    fn from(fault: LinkFault) -> Self {
        match fault {
            LinkFault::TimedOut => Self::TimedOut,
            LinkFault::Gone | LinkFault::Absent => Self::Disconnected,
            LinkFault::Busy | LinkFault::Failed(_) => Self::Failed,
        }
    }
}

impl From<TransferFault> for LinkFault {
    fn from(fault: TransferFault) -> Self {
        match fault {
            TransferFault::TimedOut => Self::TimedOut,
            TransferFault::Disconnected => Self::Gone,
            TransferFault::Failed => Self::Failed(std::io::ErrorKind::Other),
        }
    }
}
