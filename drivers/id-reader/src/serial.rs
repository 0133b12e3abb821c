//! The link to a reader over a serial line: RS-232, a USB adapter, or a pseudo-terminal.

use std::io::{self, Read, Write};
use std::time::Duration;

use serialport::{FlowControl, SerialPort, TTYPort};

use crate::link::{Link, LinkFault};

/// Greatest number of bytes in one write: a longer write would block past its time-out until the reader accepts bytes
/// again. Commands have ten bytes.
const WRITE_MAX: usize = 256;

/// A tty, opened exclusively. It is never flushed: `tcdrain` blocks for as long as the other side accepts no bytes.
pub struct SerialLink {
    port: TTYPort,
}

impl SerialLink {
    /// Opens a tty with 8 data bits, no parity, 1 stop bit and no flow control: any byte may be data.
    ///
    /// # Errors
    /// [`LinkFault::Absent`] if the port does not exist, [`LinkFault::Busy`] if another program holds it.
    pub fn open(path: &str, baud: u32) -> Result<Self, LinkFault> {
        let builder = serialport::new(path, baud).flow_control(FlowControl::None);
        let port = TTYPort::open(&builder).map_err(|error| match error.kind() {
            serialport::ErrorKind::NoDevice if std::path::Path::new(path).exists() => LinkFault::Busy,
            serialport::ErrorKind::NoDevice => LinkFault::Absent,
            serialport::ErrorKind::Io(io::ErrorKind::NotFound) => LinkFault::Absent,
            serialport::ErrorKind::Io(io::ErrorKind::ResourceBusy) => LinkFault::Busy,
            serialport::ErrorKind::Io(kind) => LinkFault::Failed(kind),
            serialport::ErrorKind::InvalidInput => LinkFault::Failed(io::ErrorKind::InvalidInput),
            serialport::ErrorKind::Unknown => LinkFault::Failed(io::ErrorKind::Other),
        })?;
        Ok(Self { port })
    }

    fn set_timeout(&mut self, timeout: Duration) -> Result<(), LinkFault> {
        self.port.set_timeout(timeout).map_err(|error| link_fault(&io::Error::from(error)))
    }
}

impl Link for SerialLink {
    fn write_some(&mut self, bytes: &[u8], timeout: Duration) -> Result<usize, LinkFault> {
        self.set_timeout(timeout)?;
        let chunk = bytes.get(..WRITE_MAX).unwrap_or(bytes);
        byte_count(self.port.write(chunk))
    }

    fn read_some(&mut self, buffer: &mut [u8], timeout: Duration) -> Result<usize, LinkFault> {
        self.set_timeout(timeout)?;
        byte_count(self.port.read(buffer))
    }
}

/// Maps the result of a read or write: zero bytes without an error means that the tty has hung up.
fn byte_count(result: io::Result<usize>) -> Result<usize, LinkFault> {
    match result {
        Ok(0) => Err(LinkFault::Gone),
        Ok(count) => Ok(count),
        Err(error) => Err(link_fault(&error)),
    }
}

fn link_fault(error: &io::Error) -> LinkFault {
    /// `EIO`, the error of a tty whose other side is closed; it has no `ErrorKind` of its own.
    const EIO: i32 = 5;
    let kind = error.kind();
    // An interrupted call transferred no byte; the caller tries again until its own time-out.
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
