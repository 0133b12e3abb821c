//! The kiosk's side of one device process, for those who try a driver without a kiosk.

use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use device::framing::{read_frame, read_version, write_frame, write_version};
use device::wire::{Answer, DeviceConfig, Fault, FromDevice, Health, ToDevice, Work};

use crate::process::programs;

/// Whatever is waited for comes within this time, even on two busy cores.
const PATIENCE: Duration = Duration::from_secs(30);

/// One device process. It ends with this.
pub struct Driver {
    child: Child,
    wire: UnixStream,
    said: Receiver<FromDevice>,
    tickets: u64,
}

impl Driver {
    /// Starts `kiosk-device` for this device.
    ///
    /// # Errors
    /// When it cannot be started or speaks another version.
    pub fn start(config: DeviceConfig) -> Result<Self> {
        let (mut wire, theirs) = UnixStream::pair()?;
        let child = Command::new(programs()?.join("kiosk-device"))
            .arg("tried")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .env("RUST_LOG", "warn")
            .spawn()
            .context("cannot start kiosk-device: build it first, as `cargo xtask test` does")?;
        write_version(&mut wire)?;
        read_version(&mut wire)?;
        write_frame(&mut wire, &ToDevice::Open(config))?;
        let (tell, said) = channel();
        let mut reader = wire.try_clone()?;
        thread::spawn(move || {
            // Ends when the process does.
            while let Ok(message) = read_frame(&mut reader) {
                if tell.send(message).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, wire, said, tickets: 0 })
    }

    /// The first message in which `pick` finds something; those before it are dropped.
    ///
    /// # Errors
    /// When none comes; `what` names it.
    pub fn wait<T>(&self, what: &str, mut pick: impl FnMut(FromDevice) -> Option<T>) -> Result<T> {
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let message = self.said.recv_timeout(left).with_context(|| format!("{what} did not come"))?;
            if let Some(found) = pick(message) {
                return Ok(found);
            }
        }
    }

    /// Waits until the device is in this state.
    ///
    /// # Errors
    /// When it does not get there.
    pub fn wait_for_health(&self, wanted: Health) -> Result<()> {
        self.wait(&format!("{wanted:?}"), |message| {
            matches!(message, FromDevice::Health(health) if health == wanted).then_some(())
        })
    }

    /// Gives it work whose answer nobody waits for.
    ///
    /// # Errors
    /// When the wire is gone.
    pub fn post(&mut self, work: Work) -> Result<()> {
        self.tickets += 1;
        Ok(write_frame(&mut self.wire, &ToDevice::Do(self.tickets, work))?)
    }

    /// Gives it work and waits for the answer.
    ///
    /// # Errors
    /// When the wire is gone or no answer comes.
    pub fn ask(&mut self, work: Work) -> Result<Result<Answer, Fault>> {
        self.tickets += 1;
        let asked = self.tickets;
        write_frame(&mut self.wire, &ToDevice::Do(asked, work))?;
        self.wait("an answer", |message| match message {
            FromDevice::Answer(ticket, answer) if ticket == asked => Some(answer),
            FromDevice::Answer(..) | FromDevice::Health(_) | FromDevice::Event(_) | FromDevice::Pong(_) => {
                None
            }
        })
    }

    /// Closes the wire, as the end of the kiosk does, and waits for the process.
    ///
    /// # Errors
    /// When it goes on running.
    pub fn leave(&mut self) -> Result<()> {
        self.wire.shutdown(Shutdown::Both)?;
        crate::process::wait_until("the end of the device process", PATIENCE, || {
            Ok(self.child.try_wait()?.map(drop))
        })
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // It may have ended already; then neither is needed.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
