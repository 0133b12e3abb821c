//! The kiosk's side of one device process, for tests of a driver without a kiosk.

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

/// Timeout of every wait; long enough on two busy cores.
const PATIENCE: Duration = Duration::from_secs(30);

/// One device process, which ends when this value is dropped.
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
    /// When it cannot be started or uses another protocol version.
    pub fn start(config: DeviceConfig) -> Result<Self> {
        let (mut wire, theirs) = UnixStream::pair()?;
        let child = Command::new(programs()?.join("kiosk-device"))
            .arg("tried")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .env("RUST_LOG", "warn")
            .spawn()
            .context("cannot start kiosk-device: build it first (`cargo xtask test` does)")?;
        write_version(&mut wire)?;
        read_version(&mut wire)?;
        write_frame(&mut wire, &ToDevice::Open(config))?;
        let (tell, said) = channel();
        let mut reader = wire.try_clone()?;
        thread::spawn(move || {
            // Ends with the process, whose end closes the stream.
            while let Ok(message) = read_frame(&mut reader) {
                if tell.send(message).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, wire, said, tickets: 0 })
    }

    /// Waits for the first message for which `pick` returns a value; earlier messages are dropped.
    ///
    /// # Errors
    /// When none arrives in time; `what` names it in the error.
    pub fn wait<T>(&self, what: &str, mut pick: impl FnMut(FromDevice) -> Option<T>) -> Result<T> {
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let message =
                self.said.recv_timeout(left).with_context(|| format!("timed out waiting for {what}"))?;
            if let Some(found) = pick(message) {
                return Ok(found);
            }
        }
    }

    /// Waits until the driver reports this health.
    ///
    /// # Errors
    /// When it does not within the timeout.
    pub fn wait_for_health(&self, wanted: Health) -> Result<()> {
        self.wait(&format!("{wanted:?}"), |message| {
            matches!(message, FromDevice::Health(health) if health == wanted).then_some(())
        })
    }

    /// Sends a request without waiting for the answer.
    ///
    /// # Errors
    /// When the stream is closed.
    pub fn post(&mut self, work: Work) -> Result<()> {
        self.tickets += 1;
        Ok(write_frame(&mut self.wire, &ToDevice::Do(self.tickets, work))?)
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// When the stream is closed or no answer arrives in time.
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

    /// Closes the stream, as the end of the kiosk does, and waits until the process ends.
    ///
    /// # Errors
    /// When the process does not end in time.
    pub fn leave(&mut self) -> Result<()> {
        self.wire.shutdown(Shutdown::Both)?;
        crate::process::wait_until("the end of the device process", PATIENCE, || {
            Ok(self.child.try_wait()?.map(drop))
        })
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // The process may have ended already; the errors of both calls are then irrelevant.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
