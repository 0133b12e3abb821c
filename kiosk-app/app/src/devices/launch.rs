//! Starts a device process, `kiosk-device NAME`, with one end of a socket pair as its standard input.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// Starts processes of one device.
pub(crate) trait Launch: Send {
    /// Starts a new one.
    fn launch(&mut self) -> io::Result<Launched>;
}

/// A started process and the kiosk's end of its socket pair.
pub(crate) struct Launched {
    pub(crate) stream: UnixStream,
    pub(crate) process: Box<dyn Process>,
}

/// A started process, as far as its keeper needs it. Neither call waits: a process can hang in the kernel,
/// where even SIGKILL reaches it only when its driver lets go.
pub(crate) trait Process: Send {
    /// Sends SIGKILL.
    fn kill(&mut self);
    /// Whether it is dead and buried.
    fn is_over(&mut self) -> bool;
}

/// The real launcher.
pub(crate) struct Program {
    /// Path of `kiosk-device`.
    pub(crate) path: PathBuf,
    /// Its argument.
    pub(crate) name: &'static str,
}

impl Launch for Program {
    fn launch(&mut self) -> io::Result<Launched> {
        let (ours, theirs) = UnixStream::pair()?;
        let child = Command::new(&self.path)
            .arg(self.name)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Launched { stream: ours, process: Box::new(child) })
    }
}

impl Process for Child {
    fn kill(&mut self) {
        if let Err(error) = Self::kill(self) {
            // It ended by itself meanwhile; `is_over` will say so.
            tracing::debug!(%error, "a device process could not be killed");
        }
    }

    fn is_over(&mut self) -> bool {
        matches!(self.try_wait(), Ok(Some(_)) | Err(_))
    }
}
