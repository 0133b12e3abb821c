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
use device::wire::{DeviceAnswer, DeviceConfig, DeviceFault, DeviceHealth, DeviceWork, FromDevice, ToDevice};

use crate::process::programs_directory;

/// Timeout of every wait; long enough on two busy cores.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

/// One device process, which ends when this value is dropped.
pub struct DriverProcess {
    child: Child,
    stream: UnixStream,
    messages: Receiver<FromDevice>,
    requests_sent: u64,
}

impl DriverProcess {
    /// Starts `kiosk-device` for this device.
    ///
    /// # Errors
    /// When it cannot be started or uses another protocol version.
    pub fn start(config: DeviceConfig) -> Result<Self> {
        let (mut wire, theirs) = UnixStream::pair()?;
        let child = Command::new(programs_directory()?.join("kiosk-device"))
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
        Ok(Self { child, stream: wire, messages: said, requests_sent: 0 })
    }

    /// Waits for the first message for which `pick` returns a value; earlier messages are dropped.
    ///
    /// # Errors
    /// When none arrives in time; `what` names it in the error.
    pub fn wait_for_message<T>(
        &self,
        what: &str,
        mut pick: impl FnMut(FromDevice) -> Option<T>,
    ) -> Result<T> {
        let until = Instant::now() + RESPONSE_TIMEOUT;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let message =
                self.messages.recv_timeout(left).with_context(|| format!("timed out waiting for {what}"))?;
            if let Some(found) = pick(message) {
                return Ok(found);
            }
        }
    }

    /// Waits until the driver reports this health.
    ///
    /// # Errors
    /// When it does not within the timeout.
    pub fn wait_for_health(&self, wanted: DeviceHealth) -> Result<()> {
        self.wait_for_message(&format!("{wanted:?}"), |message| {
            matches!(message, FromDevice::Health(health) if health == wanted).then_some(())
        })
    }

    /// Sends a request without waiting for the answer.
    ///
    /// # Errors
    /// When the stream is closed.
    pub fn send_request(&mut self, work: DeviceWork) -> Result<()> {
        self.requests_sent += 1;
        Ok(write_frame(&mut self.stream, &ToDevice::Request(self.requests_sent, work))?)
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// When the stream is closed or no answer arrives in time.
    pub fn request(&mut self, work: DeviceWork) -> Result<Result<DeviceAnswer, DeviceFault>> {
        self.requests_sent += 1;
        let asked = self.requests_sent;
        write_frame(&mut self.stream, &ToDevice::Request(asked, work))?;
        self.wait_for_message("an answer", |message| match message {
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
    pub fn disconnect(&mut self) -> Result<()> {
        self.stream.shutdown(Shutdown::Both)?;
        crate::process::wait_until("the end of the device process", RESPONSE_TIMEOUT, || {
            Ok(self.child.try_wait()?.map(drop))
        })
    }
}

impl Drop for DriverProcess {
    fn drop(&mut self) {
        // The process may have ended already; the errors of both calls are then irrelevant.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
