//! The camera driver behind an emulated video stream.

use device::wire::{CameraSetup, DeviceConfig, Event, FromDevice, Health};
use system_tests::driver::Driver;
use tempfile::TempDir;
use virtual_hardware::camera::{Screen, VirtualCamera};

const CODE: &str = "YK1:J1 8SB00U8ZV1G5YOG3S9000000000000";

struct CameraFixture {
    driver: Driver,
    camera: VirtualCamera,
    _socket: TempDir,
}

impl CameraFixture {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("camera");
        let camera = VirtualCamera::plug_in(&socket).unwrap();
        let driver = Driver::start(DeviceConfig::Camera {
            source: socket.display().to_string(),
            setup: CameraSetup::default(),
        })
        .unwrap();
        driver.wait_for_health(Health::Ready).unwrap();
        Self { driver, camera, _socket: directory }
    }

    fn code(&self) -> Vec<u8> {
        self.driver
            .wait("a code", |message| match message {
                FromDevice::Event(Event::Code(code)) => Some(code.to_vec()),
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
    fixture.camera.show(Screen::code(CODE));
    assert_eq!(fixture.code(), CODE.as_bytes());
    let other = CODE.replace('J', "K");
    fixture.camera.show(Screen::code(&other));
    assert_eq!(fixture.code(), other.as_bytes());
}

#[test]
fn stalled_camera_is_reported_and_recovers() {
    let fixture = CameraFixture::start();
    fixture.camera.stall(true);
    fixture.driver.wait_for_health(Health::Failed).unwrap();
    fixture.camera.stall(false);
    fixture.driver.wait_for_health(Health::Ready).unwrap();
    fixture.camera.show(Screen::code(CODE));
    assert_eq!(fixture.code(), CODE.as_bytes());
}
