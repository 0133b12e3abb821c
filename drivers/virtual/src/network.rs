//! Emulated device on a TCP port: one connection at a time, as network printers accept them.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::port::FarSide;

/// Interval at which the emulator is called without input.
const TURN: Duration = Duration::from_millis(20);

/// A TCP server for one emulator, which stops on drop.
pub(crate) struct Listener {
    pub(crate) address: SocketAddr,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    /// Listens on this address; port 0 selects a free one.
    pub(crate) fn listen(address: SocketAddr, mut emulator: impl FarSide) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopped);
        let thread = thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                match listener.accept() {
                    // An error means that the connection was closed, which equals a disconnection.
                    Ok((stream, _)) => drop(converse(stream, &mut emulator, &stop)),
                    Err(_) => thread::sleep(TURN),
                }
            }
        });
        Ok(Self { address, stopped, thread: Some(thread) })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // Joining the thread frees the address. A panic of the emulator was already printed.
        self.thread.take().map(JoinHandle::join);
    }
}

/// Passes bytes between driver and emulator until either side disconnects.
fn converse(mut stream: TcpStream, emulator: &mut impl FarSide, stop: &AtomicBool) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(TURN))?;
    let mut chunk = [0; 4096];
    while !stop.load(Ordering::Relaxed) && emulator.is_there() {
        let read = if emulator.listens() {
            match stream.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => 0,
                read => read?,
            }
        } else {
            thread::sleep(TURN);
            0
        };
        for bent in emulator.take(chunk.get(..read).unwrap_or_default()) {
            thread::sleep(bent.wait);
            stream.write_all(&bent.bytes)?;
            if bent.leaves {
                return Ok(());
            }
        }
    }
    Ok(())
}
