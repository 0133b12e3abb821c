//! A camera behind a stream of frames.

use device::wire::{CameraSetup, DeviceConfig, Event, FromDevice, Health};
use system_tests::driver::Driver;
use tempfile::TempDir;
use virtual_hardware::camera::{Screen, VirtualCamera};

const CODE: &str = "YK1:J1 8SB00U8ZV1G5YOG3S9000000000000";

struct Rig {
    driver: Driver,
    camera: VirtualCamera,
    _socket: TempDir,
}

impl Rig {
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
fn a_code_held_to_the_camera_is_read_whole() {
    let rig = Rig::start();
    rig.camera.show(Screen::code(CODE));
    assert_eq!(rig.code(), CODE.as_bytes());
    let other = CODE.replace('J', "K");
    rig.camera.show(Screen::code(&other));
    assert_eq!(rig.code(), other.as_bytes());
}

#[test]
fn a_stalled_camera_shows_and_recovers_by_itself() {
    let rig = Rig::start();
    rig.camera.stall(true);
    rig.driver.wait_for_health(Health::Failed).unwrap();
    rig.camera.stall(false);
    rig.driver.wait_for_health(Health::Ready).unwrap();
    rig.camera.show(Screen::code(CODE));
    assert_eq!(rig.code(), CODE.as_bytes());
}
