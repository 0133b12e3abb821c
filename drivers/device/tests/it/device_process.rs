//! A running `kiosk-device` process, from the kiosk's side.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use device::framing::{WireError, read_frame, read_version, write_frame, write_version};
use device::wire::{
    DeviceAnswer, DeviceConfig, DeviceEvent, DeviceFault, DeviceHealth, DeviceWork, FromDevice, RequestId,
    ToDevice,
};

/// Longer than any step of a test takes on a busy machine.
const LONG: Duration = Duration::from_secs(60);

/// The process; killed on drop.
pub(crate) struct DeviceProcess {
    child: Child,
    pub(crate) wire: UnixStream,
}

impl DeviceProcess {
    /// Starts the program, which then waits for the version.
    pub(crate) fn start(environment: &[(&str, &OsStr)]) -> Self {
        let (wire, theirs) = UnixStream::pair().unwrap();
        wire.set_read_timeout(Some(LONG)).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_kiosk-device"))
            .arg("under-test")
            .envs(environment.iter().copied())
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .spawn()
            .unwrap();
        Self { child, wire }
    }

    /// Starts the program and sends its configuration.
    pub(crate) fn open(config: DeviceConfig, environment: &[(&str, &OsStr)]) -> Self {
        let mut device = Self::start(environment);
        write_version(&mut device.wire).unwrap();
        read_version(&mut device.wire).unwrap();
        device.send(&ToDevice::Open(config));
        device
    }

    pub(crate) fn send(&mut self, message: &ToDevice) {
        write_frame(&mut self.wire, message).unwrap();
    }

    pub(crate) fn receive(&mut self) -> Result<FromDevice, WireError> {
        read_frame(&mut self.wire)
    }

    /// Sends a request and waits for its answer; other messages are dropped.
    pub(crate) fn request(&mut self, id: RequestId, work: DeviceWork) -> Result<DeviceAnswer, DeviceFault> {
        self.send(&ToDevice::Request(id, work));
        self.wait_for_answer(id)
    }

    /// Waits for the answer to a request; other messages are dropped.
    pub(crate) fn wait_for_answer(&mut self, id: RequestId) -> Result<DeviceAnswer, DeviceFault> {
        loop {
            if let FromDevice::Answer(answered, answer) = self.receive().unwrap() {
                assert_eq!(answered, id);
                return answer;
            }
        }
    }

    /// Waits for the next change of health; other messages are dropped.
    pub(crate) fn next_health(&mut self) -> DeviceHealth {
        loop {
            if let FromDevice::Health(health) = self.receive().unwrap() {
                return health;
            }
        }
    }

    /// Waits for the next event.
    pub(crate) fn next_event(&mut self) -> DeviceEvent {
        loop {
            if let FromDevice::Event(event) = self.receive().unwrap() {
                return event;
            }
        }
    }

    /// Waits for the next code.
    pub(crate) fn next_code(&mut self) -> Vec<u8> {
        loop {
            if let FromDevice::Event(DeviceEvent::Code(code)) = self.receive().unwrap() {
                return code.to_vec();
            }
        }
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Closes the socket and waits for the end of the process.
    pub(crate) fn close(mut self) -> ExitStatus {
        self.wire.shutdown(std::net::Shutdown::Both).unwrap();
        self.child.wait().unwrap()
    }

    /// Waits for the end of the process.
    pub(crate) fn wait_for_end(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for DeviceProcess {
    fn drop(&mut self) {
        // An error means that the process has already ended.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
