//! The camera driver behind an emulated video stream.

use device::wire::{CameraConfig, DeviceConfig, DeviceEvent, DeviceHealth, FromDevice};
use emulator::camera::{EmulatedCamera, PhoneScreen};
use system_tests::driver_process::DriverProcess;
use tempfile::TempDir;

const CODE: &str = "YK1:J1 8SB00U8ZV1G5YOG3S9000000000000";

struct CameraFixture {
    driver: DriverProcess,
    camera: EmulatedCamera,
    _socket: TempDir,
}

impl CameraFixture {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("camera");
        let camera = EmulatedCamera::open(&socket).unwrap();
        let driver = DriverProcess::start(DeviceConfig::Camera {
            source: socket.display().to_string(),
            setup: CameraConfig::default(),
        })
        .unwrap();
        driver.wait_for_health(DeviceHealth::Ready).unwrap();
        Self { driver, camera, _socket: directory }
    }

    fn code(&self) -> Vec<u8> {
        self.driver
            .wait_for_message("a code", |message| match message {
                FromDevice::Event(DeviceEvent::Code(code)) => Some(code.to_vec()),
                FromDevice::Event(_)
                | FromDevice::Health(_)
                | FromDevice::Answer(..)
                | FromDevice::Pong(_) => None,
            })
            .unwrap()
    }
}

#[test]
fn code_in_front_of_the_camera_is_read() {
    let fixture = CameraFixture::start();
    fixture.camera.show_screen(PhoneScreen::from_text(CODE));
    assert_eq!(fixture.code(), CODE.as_bytes());
    let other = CODE.replace('J', "K");
    fixture.camera.show_screen(PhoneScreen::from_text(&other));
    assert_eq!(fixture.code(), other.as_bytes());
}

#[test]
fn stalled_camera_is_reported_and_recovers() {
    let fixture = CameraFixture::start();
    fixture.camera.set_stalled(true);
    fixture.driver.wait_for_health(DeviceHealth::Failed).unwrap();
    fixture.camera.set_stalled(false);
    fixture.driver.wait_for_health(DeviceHealth::Ready).unwrap();
    fixture.camera.show_screen(PhoneScreen::from_text(CODE));
    assert_eq!(fixture.code(), CODE.as_bytes());
}
