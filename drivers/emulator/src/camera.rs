//! Emulated camera: an endless YUV4MPEG2 stream on a UNIX socket, for each program that connects.
//!
//! The shown code or page is rendered as a phone's screen in a hall: rotated, tilted, slightly blurred and noisy,
//! each to a fixed degree.

use std::io::{self, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use image::GrayImage;

use crate::faults::{
    EmulatedDevice, FLOOD_BYTES, FaultKind, FaultSwitches, LATE_DELAY, camera as steps, garbage_bytes,
};

/// Width of a frame in pixels.
pub const FRAME_WIDTH: u32 = 1280;
/// Height of a frame in pixels.
pub const FRAME_HEIGHT: u32 = 720;
const FRAMES_PER_SECOND: u32 = 10;
/// Interval at which a waiting stream checks whether its fault was cleared.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// Codes per row, and rows, of the picture full of codes.
const CODES_PER_ROW: u32 = 10;

/// Content of the screen of a phone that is shown to the camera.
pub enum PhoneScreen {
    /// A QR code only.
    Code(qrcode::QrCode),
    /// A screenshot of a whole page.
    Page(GrayImage),
}

impl PhoneScreen {
    /// A QR code of this text; `None` if the text is too long for one.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        qrcode::QrCode::new(text).ok().map(Self::Code)
    }

    /// Half of the screen's height in pixels of a frame; half of its width is [`SCREEN_HALF_WIDTH`].
    fn half_height(&self) -> f32 {
        match self {
            Self::Code(_) => 290.0,
            Self::Page(page) => SCREEN_HALF_WIDTH * to_f32(page.height()) / to_f32(page.width()).max(1.0),
        }
    }

    /// Luminance at a point, whose coordinates are relative to the centre of the screen.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn luminance(&self, u: f32, v: f32) -> f32 {
        let is_dark = match self {
            Self::Code(code) => {
                let module = 270.0 / code.width() as f32;
                let (column, row) = ((u + 135.0) / module, (v + 135.0) / module);
                let inside = |at: f32| at >= 0.0 && (at as usize) < code.width();
                inside(column) && inside(row) && code[(column as usize, row as usize)] == qrcode::Color::Dark
            }
            Self::Page(page) => {
                let scale = to_f32(page.width()) / (2.0 * SCREEN_HALF_WIDTH);
                let (x, y) = ((u + SCREEN_HALF_WIDTH) * scale, (v + self.half_height()) * scale);
                let pixel = page.get_pixel_checked(x as u32, y as u32).map_or(255, |pixel| pixel.0[0]);
                return BLACK_LEVEL + f32::from(pixel) / 255.0 * (WHITE_LEVEL - BLACK_LEVEL);
            }
        };
        if is_dark { BLACK_LEVEL } else { WHITE_LEVEL }
    }
}

/// Half of the phone screen's width, in pixels of a frame.
const SCREEN_HALF_WIDTH: f32 = 160.0;
/// Width of the bezel around the phone's screen, in pixels of a frame.
const BEZEL: f32 = 10.0;
/// Sensor values of black and of white on a phone's screen.
const BLACK_LEVEL: f32 = 30.0;
const WHITE_LEVEL: f32 = 225.0;

#[allow(clippy::cast_precision_loss)]
const fn to_f32(pixels: u32) -> f32 {
    pixels as f32
}

/// What the camera sees, and whether it is stalled.
#[derive(Clone, Default)]
struct CameraScene {
    screen: Option<Arc<PhoneScreen>>,
    /// Incremented with each change of the shown screen.
    revision: u64,
    stalled: bool,
}

/// The camera. Frames are rendered only while a program is connected.
pub struct EmulatedCamera {
    scene: Arc<Mutex<CameraScene>>,
}

impl EmulatedCamera {
    /// Emulates a camera on this UNIX socket, which is created.
    ///
    /// # Errors
    /// When the socket cannot be created.
    pub fn open(socket: &Path) -> io::Result<Self> {
        Self::open_with_faults(socket, FaultSwitches::default())
    }

    /// Emulates a camera on this UNIX socket, with named faults.
    ///
    /// # Errors
    /// When the socket cannot be created.
    pub fn open_with_faults(socket: &Path, faults: FaultSwitches) -> io::Result<Self> {
        if socket.exists() {
            std::fs::remove_file(socket)?;
        }
        let listener = UnixListener::bind(socket)?;
        let scene: Arc<Mutex<CameraScene>> = Arc::default();
        let shared = Arc::clone(&scene);
        thread::spawn(move || {
            for viewer in listener.incoming().flatten() {
                let shot = CameraStream { scene: Arc::clone(&shared), faults: faults.clone() };
                // Ends when the viewer closes the connection, or a fault disconnects the camera.
                thread::spawn(move || shot.stream(viewer).ok());
            }
        });
        Ok(Self { scene })
    }

    /// Shows a phone to the camera, or removes it.
    pub fn show_screen(&self, screen: Option<PhoneScreen>) {
        let mut scene = locked(&self.scene);
        scene.screen = screen.map(Arc::new);
        scene.revision += 1;
    }

    /// Sets the fault of a stalled stream: no frames, with the connection open.
    pub fn set_stalled(&self, stalled: bool) {
        locked(&self.scene).stalled = stalled;
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The stream of one connected program.
struct CameraStream {
    scene: Arc<Mutex<CameraScene>>,
    faults: FaultSwitches,
}

/// The YUV4MPEG2 header line for pictures of this size in pixels.
fn stream_header(width: u32, height: u32) -> Vec<u8> {
    format!("YUV4MPEG2 W{width} H{height} F{FRAMES_PER_SECOND}:1 Ip A1:1 Cmono\n").into_bytes()
}

impl CameraStream {
    fn stream(&self, mut viewer: UnixStream) -> io::Result<()> {
        if self.faults.is_disconnected(EmulatedDevice::Camera) {
            return Ok(());
        }
        let opening = stream_header(FRAME_WIDTH, FRAME_HEIGHT);
        let flood = vec![b' '; FLOOD_BYTES];
        self.send_line(
            &mut viewer,
            self.faults.hit(&steps::HEADER),
            &opening,
            &stream_header(60_000, 60_000),
            &flood,
        )?;
        let pause = Duration::from_secs(1) / FRAMES_PER_SECOND;
        let (mut drawn, mut frame) = (None, Vec::new());
        let mut number = 0_u32;
        loop {
            let begun = Instant::now();
            let now = locked(&self.scene).clone();
            let stalled = now.stalled || self.faults.hit(&steps::STALLED).is_some();
            let frozen = drawn.is_some() && self.faults.hit(&steps::FROZEN).is_some();
            if !stalled {
                // The noise changes with every frame, in four phases; the picture changes only with the scene.
                number = number.wrapping_add(u32::from(!frozen));
                let key = (now.revision, number % 4);
                if drawn != Some(key) && !frozen {
                    frame = render_frame(now.screen.as_deref(), number % 4).into_raw();
                    drawn = Some(key);
                }
                let kind = self.faults.hit(&steps::FRAME_LINE);
                self.send_line(&mut viewer, kind, b"FRAME\n", b"FRAME Ixyz\nFRAME\n", &flood)?;
                self.send_frame(&mut viewer, self.captured(&frame))?;
            }
            if self.faults.is_active(&steps::FRAME, FaultKind::Flood) {
                continue;
            }
            thread::sleep(pause.saturating_sub(begun.elapsed()));
        }
    }

    /// The frame as captured, with the faults of optics and sensor.
    fn captured<'a>(&self, frame: &'a [u8]) -> std::borrow::Cow<'a, [u8]> {
        if self.faults.hit(&steps::DARK).is_some() {
            vec![3; frame.len()].into()
        } else if self.faults.hit(&steps::GLARE).is_some() {
            vec![255; frame.len()].into()
        } else if self.faults.hit(&steps::MANY_CODES).is_some() {
            render_many_codes().into_raw().into()
        } else {
            frame.into()
        }
    }

    fn send_frame(&self, viewer: &mut UnixStream, frame: std::borrow::Cow<'_, [u8]>) -> io::Result<()> {
        let half = frame.get(..frame.len() / 2).unwrap_or_default();
        match self.faults.hit(&steps::FRAME) {
            None | Some(FaultKind::State | FaultKind::Flood) => viewer.write_all(&frame),
            Some(FaultKind::Garbage) => viewer.write_all(&garbage_bytes(frame.len())),
            Some(FaultKind::Truncation) => viewer.write_all(half),
            Some(FaultKind::WrongAnswer) => {
                viewer.write_all(&frame)?;
                viewer.write_all(&stream_header(FRAME_WIDTH / 2, FRAME_HEIGHT / 2))
            }
            Some(FaultKind::Silence) => {
                viewer.write_all(half)?;
                self.wait_until_cleared(&steps::FRAME, FaultKind::Silence);
                viewer.write_all(frame.get(half.len()..).unwrap_or_default())
            }
            Some(FaultKind::Disconnection) => {
                viewer.write_all(half)?;
                Err(io::ErrorKind::ConnectionReset.into())
            }
            Some(FaultKind::Delay) => {
                thread::sleep(LATE_DELAY);
                viewer.write_all(&frame)
            }
        }
    }

    /// Sends a line of the stream, with the fault applied.
    fn send_line(
        &self,
        viewer: &mut UnixStream,
        kind: Option<FaultKind>,
        line: &[u8],
        wrong: &[u8],
        flood: &[u8],
    ) -> io::Result<()> {
        match kind {
            None | Some(FaultKind::State) => viewer.write_all(line),
            Some(FaultKind::Silence) => loop {
                // The viewer usually disconnects before the line is sent.
                if !self.faults.is_active(&steps::HEADER, FaultKind::Silence)
                    && !self.faults.is_active(&steps::FRAME_LINE, FaultKind::Silence)
                {
                    return viewer.write_all(line);
                }
                thread::sleep(POLL_INTERVAL);
            },
            Some(FaultKind::Garbage) => viewer.write_all(&garbage_bytes(line.len())),
            Some(FaultKind::Truncation) => {
                viewer.write_all(line.get(..line.len() / 2).unwrap_or_default())?;
                // The rest of the line is never sent.
                viewer.write_all(b"\n")
            }
            Some(FaultKind::Disconnection) => Err(io::ErrorKind::ConnectionReset.into()),
            Some(FaultKind::Delay) => {
                thread::sleep(LATE_DELAY);
                viewer.write_all(line)
            }
            Some(FaultKind::WrongAnswer) => viewer.write_all(wrong),
            Some(FaultKind::Flood) => {
                viewer.write_all(line.strip_suffix(b"\n").unwrap_or(line))?;
                viewer.write_all(flood)
            }
        }
    }

    /// Waits until the fault is cleared.
    fn wait_until_cleared(&self, step: &crate::faults::ProtocolStep, kind: FaultKind) {
        while self.faults.is_active(step, kind) {
            thread::sleep(POLL_INTERVAL);
        }
    }
}

/// A picture full of QR codes with different texts.
fn render_many_codes() -> GrayImage {
    let mut picture = GrayImage::from_pixel(FRAME_WIDTH, FRAME_HEIGHT, image::Luma([235]));
    for number in 0..CODES_PER_ROW * CODES_PER_ROW {
        let Ok(code) = qrcode::QrCode::new(format!("{number:04}")) else { continue };
        let side = u32::try_from(code.width()).unwrap_or(0);
        let (left, top) = (
            number % CODES_PER_ROW * (FRAME_WIDTH / CODES_PER_ROW) + 10,
            number / CODES_PER_ROW * (FRAME_HEIGHT / CODES_PER_ROW) + 6,
        );
        for (at, colour) in (0..).zip(code.to_colors()) {
            let (x, y): (u32, u32) = (at % side, at / side);
            for pixel in 0..4 {
                let (px, py) = (left + 2 * x + pixel % 2, top + 2 * y + pixel / 2);
                if colour == qrcode::Color::Dark && px < FRAME_WIDTH && py < FRAME_HEIGHT {
                    picture.put_pixel(px, py, image::Luma([20]));
                }
            }
        }
    }
    picture
}

/// Renders one frame: a dim hall, and a phone if one is shown; `phase` selects the noise.
#[must_use]
pub fn render_frame(screen: Option<&PhoneScreen>, phase: u32) -> GrayImage {
    let mut noise = 0x2545_F491_u32 ^ phase.wrapping_mul(0x9E37_79B9);
    let mut grain = move || {
        noise ^= noise << 13;
        noise ^= noise >> 17;
        noise ^= noise << 5;
        f32::from(u8::try_from(noise & 0x0F).unwrap_or(0)) - 7.5
    };
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    GrayImage::from_fn(FRAME_WIDTH, FRAME_HEIGHT, |px, py| {
        let (x, y) = (px as f32, py as f32);
        let hall = 70.0 + 25.0 * (y / FRAME_HEIGHT as f32);
        let light = screen.map_or(hall, |screen| {
            // Four samples per pixel soften the edges as a lens does.
            [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)]
                .iter()
                .map(|(dx, dy)| luminance_at(x + dx, y + dy, hall, screen))
                .sum::<f32>()
                / 4.0
        });
        image::Luma([(light + grain()).clamp(0.0, 255.0) as u8])
    })
}

/// Luminance at a point of the frame: the phone is rotated by 4° and tilted so that one edge is a tenth shorter.
fn luminance_at(x: f32, y: f32, hall: f32, screen: &PhoneScreen) -> f32 {
    let (cx, cy) = (x - 640.0, y - 360.0);
    let (sin, cos) = 0.07_f32.sin_cos();
    let (u, v) = (cx * cos + cy * sin, cy * cos - cx * sin);
    let u = u / (1.0 + v / 3_000.0);
    let half_height = screen.half_height();
    if u.abs() > SCREEN_HALF_WIDTH + BEZEL || v.abs() > half_height + BEZEL {
        hall
    } else if u.abs() > SCREEN_HALF_WIDTH || v.abs() > half_height {
        18.0
    } else {
        screen.luminance(u, v)
    }
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
    fn frame_with_code_decodes_and_empty_frame_does_not() {
        let text = "YK1:0123456789ABCDEFGHIJKLMNOPQRSTUVW";
        assert_eq!(read(render_frame(PhoneScreen::from_text(text).as_ref(), 1)).as_deref(), Some(text));
        assert_eq!(read(render_frame(None, 1)), None);
    }

    #[test]
    fn code_within_a_page_decodes() {
        let code = qrcode::QrCode::new("on a page").unwrap();
        let page = GrayImage::from_fn(780, 1688, |x, y| {
            let inside = |at: u32, from: u32| at.checked_sub(from).map(|at| at as usize / 20);
            let module = inside(x, 180).zip(inside(y, 640)).filter(|(x, y)| *x.max(y) < code.width());
            let is_dark = module.is_some_and(|module| code[module] == qrcode::Color::Dark);
            image::Luma([if is_dark { 0 } else { 255 }])
        });
        assert_eq!(read(render_frame(Some(&PhoneScreen::Page(page)), 2)).as_deref(), Some("on a page"));
    }

    #[test]
    fn stream_sends_header_and_complete_frames() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("camera");
        let camera = EmulatedCamera::open(&socket).unwrap();
        camera.show_screen(PhoneScreen::from_text("hello"));
        let mut viewer = BufReader::new(UnixStream::connect(&socket).unwrap());
        let mut line = String::new();
        viewer.read_line(&mut line).unwrap();
        assert!(line.starts_with("YUV4MPEG2 W1280 H720 ") && line.ends_with(" Cmono\n"));
        for _ in 0..2 {
            line.clear();
            viewer.read_line(&mut line).unwrap();
            assert_eq!(line, "FRAME\n");
            let mut frame = vec![0; (FRAME_WIDTH * FRAME_HEIGHT) as usize];
            viewer.read_exact(&mut frame).unwrap();
        }
    }
}
