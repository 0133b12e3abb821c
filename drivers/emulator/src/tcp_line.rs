//! Emulated device on a TCP port: one connection at a time, as network printers accept them.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::pty::LineEmulator;

/// Interval at which the emulator is called without input.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A TCP server for one emulator, which stops on drop.
pub(crate) struct TcpLine {
    pub(crate) address: SocketAddr,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl TcpLine {
    /// Listens on this address; port 0 selects a free one.
    pub(crate) fn listen(address: SocketAddr, mut emulator: impl LineEmulator) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopped);
        let thread = thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                match listener.accept() {
                    // An error means that the connection was closed, which equals a disconnection.
                    Ok((stream, _)) => drop(serve_connection(stream, &mut emulator, &stop)),
                    Err(_) => thread::sleep(POLL_INTERVAL),
                }
            }
        });
        Ok(Self { address, stopped, thread: Some(thread) })
    }
}

impl Drop for TcpLine {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // Joining the thread frees the address. A panic of the emulator was already printed.
        self.thread.take().map(JoinHandle::join);
    }
}

/// Passes bytes between driver and emulator until either side disconnects.
fn serve_connection(
    mut stream: TcpStream,
    emulator: &mut impl LineEmulator,
    stop: &AtomicBool,
) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(POLL_INTERVAL))?;
    let mut chunk = [0; 4096];
    while !stop.load(Ordering::Relaxed) && emulator.is_connected() {
        let read = if emulator.accepts_input() {
            match stream.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => 0,
                read => read?,
            }
        } else {
            thread::sleep(POLL_INTERVAL);
            0
        };
        for bent in emulator.receive(chunk.get(..read).unwrap_or_default()) {
            thread::sleep(bent.delay);
            stream.write_all(&bent.bytes)?;
            if bent.disconnects {
                return Ok(());
            }
        }
    }
    Ok(())
}
