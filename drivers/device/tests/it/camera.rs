//! A camera that is a stream of pictures on a socket.

use std::io::Write as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;
use std::time::Duration;

use device::wire::{
    CameraConfig, DeviceAnswer, DeviceConfig, DeviceFault, DeviceHealth, DeviceWork, ToDevice,
};
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
fn camera_sends_previews_while_a_code_is_held() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("camera");
    let listener = UnixListener::bind(&socket).unwrap();
    let source = socket.to_str().unwrap().into();
    let setup = CameraConfig { preview: true, ..CameraConfig::default() };
    let mut device = DeviceProcess::open(DeviceConfig::Camera { source, setup }, &[]);
    let mut camera = plugged_in(&listener);

    camera.write_all(&frame(None)).unwrap();
    camera.write_all(&frame(Some("one"))).unwrap();
    let shown = device.next_preview().unwrap();
    assert_eq!((shown.width, shown.luma.len()), (160, 160 * 160));
    // The first module is dark: the frame without a code before it was not sent as a preview.
    assert!(shown.luma[(MARGIN / 2 + 1) * 160 + MARGIN / 2 + 1] < 60);

    // When the camera is unplugged, then the preview ends.
    drop(camera);
    while device.next_preview().is_some() {}
}

#[test]
fn camera_scanning_off_survives_replugging() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("camera");
    let listener = UnixListener::bind(&socket).unwrap();
    let source = socket.to_str().unwrap().into();
    let mut device =
        DeviceProcess::open(DeviceConfig::Camera { source, setup: CameraConfig::default() }, &[]);
    // Drawn in advance: drawing between the frames would take so long that the camera counts as stalled.
    let (blank, unseen, seen) = (frame(None), frame(Some("unseen")), frame(Some("seen")));
    let mut camera = plugged_in(&listener);
    camera.write_all(&blank).unwrap();
    assert_eq!(device.next_health(), DeviceHealth::Ready);
    assert_eq!(set_scanning(&mut device, &mut camera, 1, false, &blank), Ok(DeviceAnswer::Scanning(false)));

    drop(camera);
    let mut camera = plugged_in(&listener);
    camera.write_all(&unseen).unwrap();
    assert_eq!(device.next_health(), DeviceHealth::Absent);
    assert_eq!(device.next_health(), DeviceHealth::Ready);
    assert_eq!(set_scanning(&mut device, &mut camera, 2, true, &blank), Ok(DeviceAnswer::Scanning(true)));
    camera.write_all(&seen).unwrap();
    assert_eq!(device.next_code(), b"seen");
}

/// Switches scanning on or off. The driver handles requests between frames, so some frames are sent.
fn set_scanning(
    device: &mut DeviceProcess,
    camera: &mut UnixStream,
    id: u64,
    on: bool,
    frame: &[u8],
) -> Result<DeviceAnswer, DeviceFault> {
    device.send(&ToDevice::Request(id, DeviceWork::SetScanning(on)));
    for _ in 0..3 {
        thread::sleep(Duration::from_millis(100));
        camera.write_all(frame).unwrap();
    }
    device.wait_for_answer(id)
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
