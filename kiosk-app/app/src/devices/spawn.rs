//! Starts a device process, `kiosk-device NAME`, with one end of a socket pair as its standard input.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// Spawns the processes of one device.
pub(crate) trait SpawnDevice: Send {
    /// Spawns a new process.
    fn spawn(&mut self) -> io::Result<SpawnedDevice>;
}

/// A started process and the kiosk's end of its socket pair.
pub(crate) struct SpawnedDevice {
    pub(crate) stream: UnixStream,
    pub(crate) process: Box<dyn DeviceProcess>,
}

/// A spawned process, as its supervisor sees it. Neither call blocks: a process can hang in an uninterruptible
/// system call, where SIGKILL takes effect only when the kernel's driver returns.
pub(crate) trait DeviceProcess: Send {
    /// Sends SIGKILL.
    fn kill(&mut self);
    /// Reaps the process if it has ended; whether it is reaped.
    fn try_reap(&mut self) -> bool;
}

/// Spawns the `kiosk-device` program.
pub(crate) struct DeviceProgram {
    /// Path of `kiosk-device`.
    pub(crate) path: PathBuf,
    /// Name of the device: the program's argument.
    pub(crate) name: &'static str,
}

impl SpawnDevice for DeviceProgram {
    fn spawn(&mut self) -> io::Result<SpawnedDevice> {
        let (ours, theirs) = UnixStream::pair()?;
        let child = Command::new(&self.path)
            .arg(self.name)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .spawn()?;
        Ok(SpawnedDevice { stream: ours, process: Box::new(child) })
    }
}

impl DeviceProcess for Child {
    fn kill(&mut self) {
        if let Err(error) = Self::kill(self) {
            // The process has ended meanwhile; `try_reap` reports it.
            tracing::debug!(%error, "cannot kill device process");
        }
    }

    fn try_reap(&mut self) -> bool {
        matches!(self.try_wait(), Ok(Some(_)) | Err(_))
    }
}
