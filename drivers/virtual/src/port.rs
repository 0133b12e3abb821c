//! A serial port whose far side is here: a pty behind a symbolic link, to be unplugged and plugged in again.

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

use crate::faults::Bent;

/// How often a far side is asked although nothing came.
const TURN: Duration = Duration::from_millis(20);
/// A line whose other end takes nothing for so long loses what is sent, as a real one does at once.
const OVERRUN: Duration = Duration::from_millis(100);

/// What hangs at the far end of a port.
pub(crate) trait FarSide: Send + 'static {
    /// Bytes came, or a moment passed without any. What goes back, in order.
    fn take(&mut self, bytes: &[u8]) -> Vec<Bent>;

    /// Whether it takes bytes now. What it does not take waits on the line, and then in the writer.
    fn listens(&self) -> bool {
        true
    }

    /// Whether it is plugged in.
    fn is_there(&self) -> bool {
        true
    }
}

/// A port. It goes with this.
pub(crate) struct Port {
    link: PathBuf,
    stopped: Arc<AtomicBool>,
}

impl Port {
    /// Makes the port at this path, which may be a link that is left over.
    pub(crate) fn plug_in(link: &Path, mut far_side: impl FarSide) -> io::Result<Self> {
        let mut line = Line::open(link)?;
        let stopped = Arc::new(AtomicBool::new(false));
        let (path, stop) = (link.to_owned(), Arc::clone(&stopped));
        thread::spawn(move || {
            loop {
                // An error means that the line is gone, which is what leaving is.
                line.converse(&mut far_side, &stop).ok();
                drop(line);
                std::fs::remove_file(&path).ok();
                while !stop.load(Ordering::Relaxed) && !far_side.is_there() {
                    thread::sleep(TURN);
                }
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(opened) = Line::open(&path) else { return };
                line = opened;
            }
        });
        Ok(Self { link: link.to_owned(), stopped })
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // A link that is left behind points nowhere, which is what an unplugged device looks like.
        std::fs::remove_file(&self.link).ok();
    }
}

/// One life of a port.
struct Line {
    master: File,
    /// Keeps the pty open while no driver has it open.
    _port: OwnedFd,
}

impl Line {
    fn open(link: &Path) -> io::Result<Self> {
        // No process that is started from here may hold the line open.
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
        Ok(Self { master: File::from(master), _port: port })
    }

    /// Until either side is gone.
    fn converse(&mut self, far_side: &mut impl FarSide, stop: &AtomicBool) -> io::Result<()> {
        let mut chunk = [0; 4096];
        while !stop.load(Ordering::Relaxed) && far_side.is_there() {
            let read = if far_side.listens() && self.is_ready(PollFlags::IN, TURN)? {
                match self.master.read(&mut chunk) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                    read => read?,
                }
            } else if far_side.listens() {
                0
            } else {
                thread::sleep(TURN);
                0
            };
            for bent in far_side.take(chunk.get(..read).unwrap_or_default()) {
                thread::sleep(bent.wait);
                self.say(&bent.bytes)?;
                if bent.leaves {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn say(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.master.write(bytes) {
                Ok(taken) => bytes = bytes.get(taken..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !self.is_ready(PollFlags::OUT, OVERRUN)? {
                        return Ok(());
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn is_ready(&self, wanted: PollFlags, patience: Duration) -> io::Result<bool> {
        let timeout = Timespec::try_from(patience).map_err(io::Error::other)?;
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

    /// Says everything back, and leaves when it hears an `x`.
    struct Parrot(Arc<Mutex<bool>>);

    impl FarSide for Parrot {
        fn take(&mut self, bytes: &[u8]) -> Vec<Bent> {
            let leaves = bytes.contains(&b'x');
            if leaves {
                *self.0.lock().unwrap() = false;
            }
            vec![Bent { bytes: bytes.to_vec(), leaves, ..Bent::default() }]
        }

        fn is_there(&self) -> bool {
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
    fn a_port_that_left_is_gone_and_comes_back_at_the_same_place() {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("port");
        let there = Arc::new(Mutex::new(true));
        let _port = Port::plug_in(&link, Parrot(Arc::clone(&there))).unwrap();
        let mut near = File::options().read(true).write(true).open(&link).unwrap();
        near.write_all(b"hi").unwrap();
        let mut heard = [0; 2];
        near.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"hi");
        near.write_all(b"x").unwrap();
        within(|| (!link.exists()).then_some(()));
        within(|| (&near).write_all(b"hi").is_err().then_some(()));
        *there.lock().unwrap() = true;
        within(|| File::options().read(true).write(true).open(&link).ok());
    }
}
