//! A link over a serial line: RS-232, a USB adapter, USB-CDC, or a pseudo-terminal.

use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use serialport::{ClearBuffer, SerialPort, TTYPort};

use crate::fault::{LinkFault, byte_count};
use crate::link::Link;

/// Most bytes per write. A tty is writable while it holds fewer bytes than this, and then accepts as many at once; a longer
/// write would block beyond its timeout until the device accepts bytes again.
const WRITE_MAX: usize = 256;

/// Start bit, eight data bits, stop bit.
const BITS_PER_BYTE: u32 = 10;

/// How the device tells the kiosk to pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowControl {
    /// Not at all: any byte may be data.
    None,
    /// XON/XOFF: the bytes 11h and 13h from the device are not data.
    XonXoff,
}

/// A tty, opened exclusively; closed on drop. It is never flushed: `tcdrain` blocks for as long as the device accepts no
/// bytes, and only the device's answers show what has arrived.
pub struct SerialLink {
    port: TTYPort,
    baud: u32,
}

impl SerialLink {
    /// Opens a tty with 8 data bits, no parity and 1 stop bit, at `baud` bits per second.
    ///
    /// # Errors
    /// [`LinkFault::Absent`] if the port does not exist, [`LinkFault::Busy`] if another program holds it.
    pub fn open(path: &str, baud: u32, flow: FlowControl) -> Result<Self, LinkFault> {
        let flow = match flow {
            FlowControl::None => serialport::FlowControl::None,
            FlowControl::XonXoff => serialport::FlowControl::Software,
        };
        let builder = serialport::new(path, baud).flow_control(flow);
        let port = TTYPort::open(&builder).map_err(|error| match error.kind() {
            // A tty that is locked by another program has this kind, too.
            serialport::ErrorKind::NoDevice if Path::new(path).exists() => LinkFault::Busy,
            serialport::ErrorKind::NoDevice => LinkFault::Absent,
            serialport::ErrorKind::Io(kind) => LinkFault::while_opening(&kind.into()),
            serialport::ErrorKind::InvalidInput => LinkFault::Failed(io::ErrorKind::InvalidInput),
            serialport::ErrorKind::Unknown => LinkFault::Failed(io::ErrorKind::Other),
        })?;
        Ok(Self { port, baud })
    }

    fn set_timeout(&mut self, timeout: Duration) -> Result<(), LinkFault> {
        self.port.set_timeout(timeout).map_err(|error| LinkFault::in_use(&error.into()))
    }
}

impl Link for SerialLink {
    fn write_some(&mut self, bytes: &[u8], timeout: Duration) -> Result<usize, LinkFault> {
        self.set_timeout(timeout)?;
        byte_count(self.port.write(bytes.get(..WRITE_MAX).unwrap_or(bytes)))
    }

    fn read_some(&mut self, buffer: &mut [u8], timeout: Duration) -> Result<usize, LinkFault> {
        self.set_timeout(timeout)?;
        byte_count(self.port.read(buffer))
    }

    fn discard(&mut self) {
        // If this fails, the next read or write reports the fault.
        self.port.clear(ClearBuffer::Output).ok();
    }

    fn bytes_per_second(&self) -> u32 {
        self.baud / BITS_PER_BYTE
    }
}
