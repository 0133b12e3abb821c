//! A far side on the network: one connection at a time, as printers take them.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::port::FarSide;

/// How often a far side is asked although nothing came.
const TURN: Duration = Duration::from_millis(20);

/// An address where a far side answers. It goes with this.
pub(crate) struct Listener {
    pub(crate) address: SocketAddr,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    /// Listens there; port 0 is any free one.
    pub(crate) fn listen(address: SocketAddr, mut far_side: impl FarSide) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopped);
        let thread = thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                match listener.accept() {
                    // An error means that the connection is gone, which is what hanging up is.
                    Ok((stream, _)) => drop(converse(stream, &mut far_side, &stop)),
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
        // The address is free when this is gone. A far side that panicked has said so.
        self.thread.take().map(JoinHandle::join);
    }
}

/// Until either side is gone.
fn converse(mut stream: TcpStream, far_side: &mut impl FarSide, stop: &AtomicBool) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(TURN))?;
    let mut chunk = [0; 4096];
    while !stop.load(Ordering::Relaxed) && far_side.is_there() {
        let read = if far_side.listens() {
            match stream.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => 0,
                read => read?,
            }
        } else {
            thread::sleep(TURN);
            0
        };
        for bent in far_side.take(chunk.get(..read).unwrap_or_default()) {
            thread::sleep(bent.wait);
            stream.write_all(&bent.bytes)?;
            if bent.leaves {
                return Ok(());
            }
        }
    }
    Ok(())
}
