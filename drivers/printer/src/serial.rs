//! A link over a serial line: RS-232, a USB adapter, USB-CDC, or a pseudo-terminal.

use std::io::{self, Read, Write};
use std::time::Duration;

use serialport::{ClearBuffer, FlowControl, SerialPort, TTYPort};

use crate::link::{Link, LinkFault};

/// Most bytes per write. A tty is writable while it holds fewer bytes than this, and then accepts as many at once;
/// a longer write would block beyond its timeout until the printer accepts bytes again.
const WRITE_MAX: usize = 256;

/// Start bit, eight data bits, stop bit.
const BITS_PER_BYTE: u32 = 10;

/// A tty, opened exclusively. Never flushed: `tcdrain` blocks for as long as the printer stops the line, and the
/// printer's answers show what has arrived.
pub struct SerialLink {
    port: TTYPort,
    baud: u32,
}

impl SerialLink {
    /// Opens a tty with 8 data bits, no parity, 1 stop bit and XON/XOFF. XON/XOFF is harmless for printers that do
    /// not use it: status bytes are never 11h or 13h.
    ///
    /// # Errors
    /// [`LinkFault::Absent`] if the port does not exist, [`LinkFault::Busy`] if another program holds it.
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
        // If this fails, the next read or write reports the fault.
        self.port.clear(ClearBuffer::Output).ok();
    }

    fn bytes_per_second(&self) -> u32 {
        self.baud / BITS_PER_BYTE
    }
}

/// A tty that transfers zero bytes without an error has hung up.
fn taken(result: io::Result<usize>) -> Result<usize, LinkFault> {
    match result {
        Ok(0) => Err(LinkFault::Gone),
        Ok(count) => Ok(count),
        Err(error) => Err(fault(&error)),
    }
}

fn fault(error: &io::Error) -> LinkFault {
    /// `EIO`: a tty returns it after its other end was closed. `io::ErrorKind` has no variant for it.
    const EIO: i32 = 5;
    let kind = error.kind();
    // An interrupted call transferred nothing; the caller retries until its deadline.
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
