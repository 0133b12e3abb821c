//! Emulated serial line: a pty behind a symbolic link, which can be disconnected and connected again.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

use crate::faults::FaultyResponse;

/// Interval at which the emulator is called without input.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// Time after which output is lost if the driver does not read; a real serial line loses it at once.
const OVERRUN_TIMEOUT: Duration = Duration::from_millis(100);

/// An emulated device at the other end of a serial line or a TCP connection.
pub(crate) trait LineEmulator: Send + 'static {
    /// Handles received bytes, or none after [`POLL_INTERVAL`] without input; returns the responses in order.
    fn receive(&mut self, bytes: &[u8]) -> Vec<FaultyResponse>;

    /// Whether the device accepts input now. Otherwise bytes wait in the pty's buffer, and then in the writer.
    fn accepts_input(&self) -> bool {
        true
    }

    /// Whether the device is connected.
    fn is_connected(&self) -> bool {
        true
    }
}

/// A pty with its symbolic link, which is removed on drop.
pub(crate) struct PtyPort {
    link: PathBuf,
    stop: Arc<AtomicBool>,
}

impl PtyPort {
    /// Opens a pty and creates its symbolic link at this path; an old link there is replaced.
    pub(crate) fn open(link: &Path, mut emulator: impl LineEmulator) -> io::Result<Self> {
        let mut line = OpenPty::open(link)?;
        let stopped = Arc::new(AtomicBool::new(false));
        let (path, stop) = (link.to_owned(), Arc::clone(&stopped));
        thread::spawn(move || {
            loop {
                // An error means that the pty was closed, which equals a disconnection.
                line.serve(&mut emulator, &stop).ok();
                drop(line);
                std::fs::remove_file(&path).ok();
                while !stop.load(Ordering::Relaxed) && !emulator.is_connected() {
                    thread::sleep(POLL_INTERVAL);
                }
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(opened) = OpenPty::open(&path) else { return };
                line = opened;
            }
        });
        Ok(Self { link: link.to_owned(), stop: stopped })
    }
}

impl Drop for PtyPort {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // If the link cannot be removed it points nowhere, which looks like a disconnected device.
        std::fs::remove_file(&self.link).ok();
    }
}

/// An open pty, from connection to disconnection.
struct OpenPty {
    master: File,
    /// Keeps the pty open while no driver has it open.
    _user_side: OwnedFd,
}

impl OpenPty {
    fn open(link: &Path) -> io::Result<Self> {
        // CLOEXEC: no child process may keep the pty open.
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        fcntl_setfl(&master, OFlags::RDWR | OFlags::NONBLOCK)?;
        let name = ptsname(&master, Vec::new())?;
        let port = rustix::fs::open(
            &name,
            OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC,
            rustix::fs::Mode::empty(),
        )?;
        let mut settings = tcgetattr(&port)?;
        settings.make_raw();
        tcsetattr(&port, OptionalActions::Now, &settings)?;
        if std::fs::symlink_metadata(link).is_ok_and(|old| old.is_symlink()) {
            std::fs::remove_file(link)?;
        }
        std::os::unix::fs::symlink(std::ffi::OsStr::new(&*name.to_string_lossy()), link)?;
        Ok(Self { master: File::from(master), _user_side: port })
    }

    /// Passes bytes between driver and emulator until either side disconnects.
    fn serve(&mut self, emulator: &mut impl LineEmulator, stop: &AtomicBool) -> io::Result<()> {
        let mut chunk = [0; 4096];
        while !stop.load(Ordering::Relaxed) && emulator.is_connected() {
            let read = if emulator.accepts_input() && self.is_ready(PollFlags::IN, POLL_INTERVAL)? {
                match self.master.read(&mut chunk) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                    read => read?,
                }
            } else if emulator.accepts_input() {
                0
            } else {
                thread::sleep(POLL_INTERVAL);
                0
            };
            for bent in emulator.receive(chunk.get(..read).unwrap_or_default()) {
                thread::sleep(bent.delay);
                self.send(&bent.bytes)?;
                if bent.disconnects {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn send(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.master.write(bytes) {
                Ok(taken) => bytes = bytes.get(taken..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !self.is_ready(PollFlags::OUT, OVERRUN_TIMEOUT)? {
                        return Ok(());
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn is_ready(&self, wanted: PollFlags, timeout: Duration) -> io::Result<bool> {
        let timeout = Timespec::try_from(timeout).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(&self.master, wanted)], Some(&timeout)) {
            Ok(ready) => Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::time::Instant;

    /// Echoes all bytes, and disconnects at an `x`.
    struct EchoEmulator(Arc<Mutex<bool>>);

    impl LineEmulator for EchoEmulator {
        fn receive(&mut self, bytes: &[u8]) -> Vec<FaultyResponse> {
            let leaves = bytes.contains(&b'x');
            if leaves {
                *self.0.lock().unwrap() = false;
            }
            vec![FaultyResponse { bytes: bytes.to_vec(), disconnects: leaves, ..FaultyResponse::default() }]
        }

        fn is_connected(&self) -> bool {
            *self.0.lock().unwrap()
        }
    }

    fn within<T>(what: impl Fn() -> Option<T>) -> T {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(found) = what() {
                return found;
            }
            assert!(Instant::now() < until, "not within 20 s");
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn pty_link_disappears_on_disconnect_and_returns_at_same_path() {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("port");
        let there = Arc::new(Mutex::new(true));
        let _port = PtyPort::open(&link, EchoEmulator(Arc::clone(&there))).unwrap();
        let mut near = File::options().read(true).write(true).open(&link).unwrap();
        near.write_all(b"hi").unwrap();
        let mut echoed = [0; 2];
        near.read_exact(&mut echoed).unwrap();
        assert_eq!(&echoed, b"hi");
        near.write_all(b"x").unwrap();
        within(|| (!link.exists()).then_some(()));
        within(|| (&near).write_all(b"hi").is_err().then_some(()));
        *there.lock().unwrap() = true;
        within(|| File::options().read(true).write(true).open(&link).ok());
    }
}
