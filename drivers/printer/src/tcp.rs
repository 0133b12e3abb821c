//! A printer on the network: a raw stream, as a rule on port 9100.
//!
//! What the system has taken may wait in it until the printer is ready; only the printer's own answers tell what has
//! arrived. Real-time commands overtake nothing here: they come in order with the rest.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use rustix::net::sockopt;

use crate::link::{Link, LinkFault};

/// A printer in the same building accepts within this.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Shortest wait: a socket takes zero for "for ever".
const WAIT_MIN: Duration = Duration::from_millis(1);

/// Most bytes handed to the system at once: no more than this is in doubt when the printer stops.
const WRITE_MAX: usize = 1024;

/// What a print server passes on at least. ASSUMED: 10 Mbit/s printers are older than any in use.
const BYTES_PER_SECOND: u32 = 100_000;

/// A connection to a printer.
pub struct TcpLink {
    /// None once it was reset.
    stream: Option<TcpStream>,
}

impl TcpLink {
    /// Connects to `host:port`.
    ///
    /// # Errors
    /// [`LinkFault::Absent`] if nothing is there, [`LinkFault::Busy`] if it refuses: such printers take one
    /// connection at a time.
    pub fn connect(address: &str) -> Result<Self, LinkFault> {
        let mut fault = LinkFault::Absent;
        for address in address.to_socket_addrs().map_err(|_| LinkFault::Absent)? {
            match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
                Ok(stream) => {
                    // A question of three bytes shall not wait for more; without this it only comes later.
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
        stream.set_write_timeout(Some(timeout.max(WAIT_MIN))).map_err(|error| fault(&error))?;
        moved(stream.write(bytes.get(..WRITE_MAX).unwrap_or(bytes)))
    }

    fn read_some(&mut self, buffer: &mut [u8], timeout: Duration) -> Result<usize, LinkFault> {
        let stream = self.stream.as_mut().ok_or(LinkFault::Gone)?;
        stream.set_read_timeout(Some(timeout.max(WAIT_MIN))).map_err(|error| fault(&error))?;
        moved(stream.read(buffer))
    }

    /// Resets the connection: bytes that wait behind a printer without paper can be taken back in no other way.
    fn discard(&mut self) {
        if let Some(stream) = self.stream.take() {
            // Closing with no time to linger is a reset; where that cannot be set, it is gone already.
            sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).ok();
        }
    }

    fn bytes_per_second(&self) -> u32 {
        BYTES_PER_SECOND
    }
}

/// A connection that moves nothing without an error has ended.
fn moved(result: io::Result<usize>) -> Result<usize, LinkFault> {
    match result {
        Ok(0) => Err(LinkFault::Gone),
        Ok(count) => Ok(count),
        Err(error) => Err(fault(&error)),
    }
}

fn fault(error: &io::Error) -> LinkFault {
    let kind = error.kind();
    if [io::ErrorKind::TimedOut, io::ErrorKind::WouldBlock, io::ErrorKind::Interrupted].contains(&kind) {
        LinkFault::TimedOut
    } else {
        // Whatever else a connection says, it is over.
        LinkFault::Gone
    }
}
