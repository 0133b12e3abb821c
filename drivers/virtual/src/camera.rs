//! A camera: an endless YUV4MPEG2 stream on a UNIX socket, for every program that opens it.
//!
//! What is held before it is drawn as a phone's screen in a hall: tilted, a little blurred and noisy, with
//! fixed severities.

use std::io::{self, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use image::GrayImage;

/// Width of a frame in pixels.
pub const WIDTH: u32 = 1280;
/// Height of a frame in pixels.
pub const HEIGHT: u32 = 720;
const FRAMES_PER_SECOND: u32 = 10;

/// What the camera sees, and what is wrong with it.
#[derive(Clone, Default)]
struct Scene {
    code: Option<String>,
    stalled: bool,
}

/// The camera. Frames are made only while somebody looks.
pub struct VirtualCamera {
    scene: Arc<Mutex<Scene>>,
}

impl VirtualCamera {
    /// Plugs a camera in at this socket.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn plug_in(socket: &Path) -> io::Result<Self> {
        if socket.exists() {
            std::fs::remove_file(socket)?;
        }
        let listener = UnixListener::bind(socket)?;
        let scene: Arc<Mutex<Scene>> = Arc::default();
        let shared = Arc::clone(&scene);
        thread::spawn(move || {
            for viewer in listener.incoming().flatten() {
                let scene = Arc::clone(&shared);
                // Ends when the viewer goes.
                thread::spawn(move || stream(viewer, &scene).ok());
            }
        });
        Ok(Self { scene })
    }

    /// Holds a code before the camera, or takes it away.
    pub fn show(&self, text: Option<String>) {
        locked(&self.scene).code = text;
    }

    /// Fault: frames stop coming, the connection stays.
    pub fn stall(&self, stalled: bool) {
        locked(&self.scene).stalled = stalled;
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn stream(mut viewer: UnixStream, scene: &Mutex<Scene>) -> io::Result<()> {
    writeln!(viewer, "YUV4MPEG2 W{WIDTH} H{HEIGHT} F{FRAMES_PER_SECOND}:1 Ip A1:1 Cmono")?;
    let pause = Duration::from_secs(1) / FRAMES_PER_SECOND;
    let (mut drawn, mut frame) = (None, Vec::new());
    let mut number = 0_u32;
    loop {
        let begun = Instant::now();
        let now = locked(scene).clone();
        if !now.stalled {
            number = number.wrapping_add(1);
            // The noise changes with every frame, the picture only with the scene; a few phases suffice.
            let key = (now.code.clone(), number % 4);
            if drawn.as_ref() != Some(&key) {
                frame = draw(now.code.as_deref(), number % 4).into_raw();
                drawn = Some(key);
            }
            viewer.write_all(b"FRAME\n")?;
            viewer.write_all(&frame)?;
        }
        thread::sleep(pause.saturating_sub(begun.elapsed()));
    }
}

/// One frame: a dim hall, and a phone with the code if one is held up.
#[must_use]
pub fn draw(code: Option<&str>, phase: u32) -> GrayImage {
    let code = code.and_then(|text| qrcode::QrCode::new(text).ok());
    let modules = code.as_ref().map(|code| (code.width(), code.to_colors()));
    let mut noise = 0x2545_F491_u32 ^ phase.wrapping_mul(0x9E37_79B9);
    let mut grain = move || {
        noise ^= noise << 13;
        noise ^= noise >> 17;
        noise ^= noise << 5;
        f32::from(u8::try_from(noise & 0x0F).unwrap_or(0)) - 7.5
    };
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    GrayImage::from_fn(WIDTH, HEIGHT, |px, py| {
        let (x, y) = (px as f32, py as f32);
        let hall = 70.0 + 25.0 * (y / HEIGHT as f32);
        let light = modules.as_ref().map_or(hall, |(side, colours)| {
            // Four samples a pixel soften the edges as a lens does.
            [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)]
                .iter()
                .map(|(dx, dy)| phone(x + dx, y + dy, hall, *side, colours))
                .sum::<f32>()
                / 4.0
        });
        image::Luma([(light + grain()).clamp(0.0, 255.0) as u8])
    })
}

/// Light at a point: the phone's screen is 300 pixels wide, turned by 4° and tilted so that its far edge is
/// a tenth shorter.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn phone(x: f32, y: f32, hall: f32, side: usize, colours: &[qrcode::Color]) -> f32 {
    let (cx, cy) = (x - 640.0, y - 360.0);
    let (sin, cos) = 0.07_f32.sin_cos();
    let (u, v) = (cx * cos + cy * sin, cy * cos - cx * sin);
    let u = u / (1.0 + v / 3_000.0);
    if u.abs() > 170.0 || v.abs() > 300.0 {
        return hall;
    }
    if u.abs() > 160.0 || v.abs() > 290.0 {
        return 18.0;
    }
    let module = 270.0 / side as f32;
    let (column, row) = ((u + 135.0) / module, (v + 135.0) / module);
    if column < 0.0 || row < 0.0 {
        return 225.0;
    }
    let (column, row) = (column as usize, row as usize);
    let dark = column < side && row < side && colours.get(row * side + column) == Some(&qrcode::Color::Dark);
    if dark { 30.0 } else { 225.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead as _, BufReader, Read as _};

    fn read(frame: GrayImage) -> Option<String> {
        let mut prepared = rqrr::PreparedImage::prepare(frame);
        prepared.detect_grids().first().and_then(|grid| grid.decode().ok()).map(|(_, text)| text)
    }

    #[test]
    fn a_held_up_code_can_be_read_and_an_empty_hall_shows_none() {
        let text = "YK1:0123456789ABCDEFGHIJKLMNOPQRSTUVW";
        assert_eq!(read(draw(Some(text), 1)).as_deref(), Some(text));
        assert_eq!(read(draw(None, 1)), None);
    }

    #[test]
    fn every_viewer_gets_whole_frames() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("camera");
        let camera = VirtualCamera::plug_in(&socket).unwrap();
        camera.show(Some("hello".into()));
        let mut viewer = BufReader::new(UnixStream::connect(&socket).unwrap());
        let mut line = String::new();
        viewer.read_line(&mut line).unwrap();
        assert!(line.starts_with("YUV4MPEG2 W1280 H720 ") && line.ends_with(" Cmono\n"));
        for _ in 0..2 {
            line.clear();
            viewer.read_line(&mut line).unwrap();
            assert_eq!(line, "FRAME\n");
            let mut frame = vec![0; (WIDTH * HEIGHT) as usize];
            viewer.read_exact(&mut frame).unwrap();
        }
    }
}
