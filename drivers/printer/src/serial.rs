//! A printer on a serial line: RS-232, a USB adapter, USB-CDC, or a pseudo-terminal.

use std::io::{self, Read, Write};
use std::time::Duration;

use serialport::{ClearBuffer, FlowControl, SerialPort, TTYPort};

use crate::link::{Link, LinkFault};

/// Most bytes handed to the kernel at once. A tty is writable while fewer than this many wait in it, and then takes
/// as many at once; a longer write would block past its time-out until the printer takes bytes again.
const WRITE_MAX: usize = 256;

/// Start bit, eight data bits, stop bit.
const BITS_PER_BYTE: u32 = 10;

/// A tty, held exclusively. Never flushed: `tcdrain` blocks for as long as the printer holds the line; the
/// printer's own answers tell what has arrived.
pub struct SerialLink {
    port: TTYPort,
    baud: u32,
}

impl SerialLink {
    /// Opens a tty with 8 data bits, no parity, 1 stop bit and XON/XOFF, which harms no printer that does not
    /// use it: status bytes are never 11h or 13h.
    ///
    /// # Errors
    /// [`LinkFault::Absent`] if there is no such port, [`LinkFault::Busy`] if another program holds it.
    pub fn open(path: &str, baud: u32) -> Result<Self, LinkFault> {
        let builder = serialport::new(path, baud).flow_control(FlowControl::Software);
        let port = TTYPort::open(&builder).map_err(|error| match error.kind() {
            serialport::ErrorKind::NoDevice if std::path::Path::new(path).exists() => LinkFault::Busy,
            serialport::ErrorKind::NoDevice => LinkFault::Absent,
            serialport::ErrorKind::Io(io::ErrorKind::NotFound) => LinkFault::Absent,
            serialport::ErrorKind::Io(io::ErrorKind::ResourceBusy) => LinkFault::Busy,
            serialport::ErrorKind::Io(kind) => LinkFault::Failed(kind),
            serialport::ErrorKind::InvalidInput => LinkFault::Failed(io::ErrorKind::InvalidInput),
            serialport::ErrorKind::Unknown => LinkFault::Failed(io::ErrorKind::Other),
        })?;
        Ok(Self { port, baud })
    }

    fn set_timeout(&mut self, timeout: Duration) -> Result<(), LinkFault> {
        self.port.set_timeout(timeout).map_err(|error| fault(&io::Error::from(error)))
    }
}

impl Link for SerialLink {
    fn write_some(&mut self, bytes: &[u8], timeout: Duration) -> Result<usize, LinkFault> {
        self.set_timeout(timeout)?;
        let chunk = bytes.get(..WRITE_MAX).unwrap_or(bytes);
        taken(self.port.write(chunk))
    }

    fn read_some(&mut self, buffer: &mut [u8], timeout: Duration) -> Result<usize, LinkFault> {
        self.set_timeout(timeout)?;
        taken(self.port.read(buffer))
    }

    fn discard(&mut self) {
        // A line that cannot be cleared is about to be found gone.
        self.port.clear(ClearBuffer::Output).ok();
    }

    fn bytes_per_second(&self) -> u32 {
        self.baud / BITS_PER_BYTE
    }
}

/// A tty that moves nothing without an error has hung up.
fn taken(result: io::Result<usize>) -> Result<usize, LinkFault> {
    match result {
        Ok(0) => Err(LinkFault::Gone),
        Ok(count) => Ok(count),
        Err(error) => Err(fault(&error)),
    }
}

fn fault(error: &io::Error) -> LinkFault {
    /// `EIO`, which a tty answers with once its other side is gone; it has no kind of its own.
    const EIO: i32 = 5;
    let kind = error.kind();
    // An interrupted call moved nothing; the caller tries again until its own time is up.
    let out_of_time = [io::ErrorKind::TimedOut, io::ErrorKind::WouldBlock, io::ErrorKind::Interrupted];
    let hung_up = [io::ErrorKind::BrokenPipe, io::ErrorKind::NotFound, io::ErrorKind::UnexpectedEof];
    if out_of_time.contains(&kind) {
        LinkFault::TimedOut
    } else if hung_up.contains(&kind) || error.raw_os_error() == Some(EIO) {
        LinkFault::Gone
    } else {
        LinkFault::Failed(kind)
    }
}
