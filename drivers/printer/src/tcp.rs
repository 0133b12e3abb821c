//! A link over TCP: a raw stream, usually on port 9100.
//!
//! Accepted bytes may wait in the operating system until the printer is ready; only the printer's answers show what
//! has arrived. Real-time commands do not overtake other data on TCP: they arrive in order.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use rustix::net::sockopt;
use serial_link::{Link, LinkFault, byte_count};

/// Timeout of a connection to a printer in the same building.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Shortest timeout: a socket treats zero as no timeout.
const TIMEOUT_MIN: Duration = Duration::from_millis(1);

/// Most bytes per write, to limit the data whose fate is unknown when the printer stops.
const WRITE_MAX: usize = 1024;

/// Lowest data rate of a print server. ASSUMED: 10 Mbit/s printers are older than any in use.
const BYTES_PER_SECOND: u32 = 100_000;

/// A connection to a printer.
pub struct TcpLink {
    /// `None` after the connection was reset.
    stream: Option<TcpStream>,
}

impl TcpLink {
    /// Connects to `host:port`.
    ///
    /// # Errors
    /// [`LinkFault::Absent`] if no host answers, [`LinkFault::Busy`] if the connection is refused: such printers
    /// accept one connection at a time.
    pub fn connect(address: &str) -> Result<Self, LinkFault> {
        let mut fault = LinkFault::Absent;
        for address in address.to_socket_addrs().map_err(|_| LinkFault::Absent)? {
            match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
                Ok(stream) => {
                    // A status query of three bytes must not wait for more data. If this fails, it is only delayed.
                    stream.set_nodelay(true).ok();
                    return Ok(Self { stream: Some(stream) });
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fault = LinkFault::Busy,
                Err(_) => {}
            }
        }
        Err(fault)
    }
}

impl Link for TcpLink {
    fn write_some(&mut self, bytes: &[u8], timeout: Duration) -> Result<usize, LinkFault> {
        let stream = self.stream.as_mut().ok_or(LinkFault::Gone)?;
        stream
            .set_write_timeout(Some(timeout.max(TIMEOUT_MIN)))
            .map_err(|error| LinkFault::in_use(&error))?;
        byte_count(stream.write(bytes.get(..WRITE_MAX).unwrap_or(bytes)))
    }

    fn read_some(&mut self, buffer: &mut [u8], timeout: Duration) -> Result<usize, LinkFault> {
        let stream = self.stream.as_mut().ok_or(LinkFault::Gone)?;
        stream.set_read_timeout(Some(timeout.max(TIMEOUT_MIN))).map_err(|error| LinkFault::in_use(&error))?;
        byte_count(stream.read(buffer))
    }

    /// Resets the connection: the only way to discard bytes that wait for a printer without paper.
    fn discard(&mut self) {
        if let Some(stream) = self.stream.take() {
            // Closing with a linger time of zero resets the connection. If setting it fails, the connection has
            // ended.
            sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).ok();
        }
    }

    fn bytes_per_second(&self) -> u32 {
        BYTES_PER_SECOND
    }
}
