//! A camera that is a stream of pictures on a socket.

use std::io::Write as _;
use std::os::unix::net::{UnixListener, UnixStream};

use device::wire::{CameraConfig, DeviceConfig, DeviceHealth};
use qrcode::{Color, QrCode};

use crate::device_process::DeviceProcess;

const SIDE: usize = 320;
/// Side of a module of the code, and margin around the code, in pixels.
const MODULE: usize = 8;
const MARGIN: usize = 40;

/// A frame with a light background, and a code on it if `text` is given.
fn frame(text: Option<&str>) -> Vec<u8> {
    let mut luma = vec![220; SIDE * SIDE];
    if let Some(text) = text {
        let code = QrCode::new(text).unwrap();
        let dark = |x: usize, y: usize| {
            let inside = x >= MARGIN && y >= MARGIN;
            let (column, row) = (x.saturating_sub(MARGIN) / MODULE, y.saturating_sub(MARGIN) / MODULE);
            inside && column < code.width() && row < code.width() && code[(column, row)] == Color::Dark
        };
        for (at, pixel) in luma.iter_mut().enumerate() {
            if dark(at % SIDE, at / SIDE) {
                *pixel = 30;
            }
        }
    }
    [b"FRAME\n", luma.as_slice()].concat()
}

fn plugged_in(listener: &UnixListener) -> UnixStream {
    let (mut camera, _) = listener.accept().unwrap();
    writeln!(camera, "YUV4MPEG2 W{SIDE} H{SIDE} F10:1 Ip A1:1 Cmono").unwrap();
    camera
}

#[test]
fn camera_reports_a_held_code_once() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("camera");
    let listener = UnixListener::bind(&socket).unwrap();
    let source = socket.to_str().unwrap().into();
    let mut device =
        DeviceProcess::open(DeviceConfig::Camera { source, setup: CameraConfig::default() }, &[]);
    let mut camera = plugged_in(&listener);

    camera.write_all(&frame(Some("one"))).unwrap();
    assert_eq!(device.next_code(), b"one");
    for _ in 0..3 {
        camera.write_all(&frame(Some("one"))).unwrap();
    }
    camera.write_all(&frame(Some("two"))).unwrap();
    assert_eq!(device.next_code(), b"two");
}

#[test]
fn camera_without_frames_failed_and_unplugged_absent() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("camera");
    let listener = UnixListener::bind(&socket).unwrap();
    let source = socket.to_str().unwrap().into();
    let mut device =
        DeviceProcess::open(DeviceConfig::Camera { source, setup: CameraConfig::default() }, &[]);
    let mut camera = plugged_in(&listener);

    camera.write_all(&frame(None)).unwrap();
    assert_eq!(device.next_health(), DeviceHealth::Ready);
    // When no more pictures come, then the camera is opened again until they do.
    assert_eq!(device.next_health(), DeviceHealth::Failed);
    let mut camera = plugged_in(&listener);
    camera.write_all(&frame(None)).unwrap();
    assert_eq!(device.next_health(), DeviceHealth::Ready);

    drop((camera, listener));
    assert_eq!(device.next_health(), DeviceHealth::Absent);
}
