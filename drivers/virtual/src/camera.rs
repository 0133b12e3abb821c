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

use crate::faults::{Device, FLOOD, Faults, Kind, LATE, camera as steps, garbage};

/// Width of a frame in pixels.
pub const WIDTH: u32 = 1280;
/// Height of a frame in pixels.
pub const HEIGHT: u32 = 720;
const FRAMES_PER_SECOND: u32 = 10;
/// Interval at which a waiting stream checks whether its fault was cleared.
const TURN: Duration = Duration::from_millis(20);
/// Codes per row, and rows, of the picture full of codes.
const MANY: u32 = 10;

/// Content of the screen of a phone that is shown to the camera.
pub enum Screen {
    /// A QR code only.
    Code(qrcode::QrCode),
    /// A screenshot of a whole page.
    Page(GrayImage),
}

impl Screen {
    /// A QR code of this text; `None` if the text is too long for one.
    #[must_use]
    pub fn code(text: &str) -> Option<Self> {
        qrcode::QrCode::new(text).ok().map(Self::Code)
    }

    /// Half of the screen's height in pixels of a frame; half of its width is [`SCREEN_HALF_WIDTH`].
    fn half_height(&self) -> f32 {
        match self {
            Self::Code(_) => 290.0,
            Self::Page(page) => HALF_WIDTH * to_f32(page.height()) / to_f32(page.width()).max(1.0),
        }
    }

    /// Luminance at a point, whose coordinates are relative to the centre of the screen.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn light(&self, u: f32, v: f32) -> f32 {
        let is_dark = match self {
            Self::Code(code) => {
                let module = 270.0 / code.width() as f32;
                let (column, row) = ((u + 135.0) / module, (v + 135.0) / module);
                let inside = |at: f32| at >= 0.0 && (at as usize) < code.width();
                inside(column) && inside(row) && code[(column as usize, row as usize)] == qrcode::Color::Dark
            }
            Self::Page(page) => {
                let scale = to_f32(page.width()) / (2.0 * HALF_WIDTH);
                let (x, y) = ((u + HALF_WIDTH) * scale, (v + self.half_height()) * scale);
                let pixel = page.get_pixel_checked(x as u32, y as u32).map_or(255, |pixel| pixel.0[0]);
                return DARK + f32::from(pixel) / 255.0 * (LIT - DARK);
            }
        };
        if is_dark { DARK } else { LIT }
    }
}

/// Half of the phone screen's width, in pixels of a frame.
const HALF_WIDTH: f32 = 160.0;
/// Width of the bezel around the phone's screen, in pixels of a frame.
const BEZEL: f32 = 10.0;
/// Sensor values of black and of white on a phone's screen.
const DARK: f32 = 30.0;
const LIT: f32 = 225.0;

#[allow(clippy::cast_precision_loss)]
const fn to_f32(pixels: u32) -> f32 {
    pixels as f32
}

/// What the camera sees, and whether it is stalled.
#[derive(Clone, Default)]
struct Scene {
    screen: Option<Arc<Screen>>,
    /// Incremented with each change of the shown screen.
    number: u64,
    stalled: bool,
}

/// The camera. Frames are rendered only while a program is connected.
pub struct VirtualCamera {
    scene: Arc<Mutex<Scene>>,
}

impl VirtualCamera {
    /// Emulates a camera on this UNIX socket, which is created.
    ///
    /// # Errors
    /// When the socket cannot be created.
    pub fn plug_in(socket: &Path) -> io::Result<Self> {
        Self::with(socket, Faults::default())
    }

    /// Emulates a camera on this UNIX socket, with named faults.
    ///
    /// # Errors
    /// When the socket cannot be created.
    pub fn with(socket: &Path, faults: Faults) -> io::Result<Self> {
        if socket.exists() {
            std::fs::remove_file(socket)?;
        }
        let listener = UnixListener::bind(socket)?;
        let scene: Arc<Mutex<Scene>> = Arc::default();
        let shared = Arc::clone(&scene);
        thread::spawn(move || {
            for viewer in listener.incoming().flatten() {
                let shot = Shot { scene: Arc::clone(&shared), faults: faults.clone() };
                // Ends when the viewer closes the connection, or a fault disconnects the camera.
                thread::spawn(move || shot.stream(viewer).ok());
            }
        });
        Ok(Self { scene })
    }

    /// Shows a phone to the camera, or removes it.
    pub fn show(&self, screen: Option<Screen>) {
        let mut scene = locked(&self.scene);
        scene.screen = screen.map(Arc::new);
        scene.number += 1;
    }

    /// Sets the fault of a stalled stream: no frames, with the connection open.
    pub fn stall(&self, stalled: bool) {
        locked(&self.scene).stalled = stalled;
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The stream of one connected program.
struct Shot {
    scene: Arc<Mutex<Scene>>,
    faults: Faults,
}

/// The YUV4MPEG2 header line for pictures of this size in pixels.
fn header(width: u32, height: u32) -> Vec<u8> {
    format!("YUV4MPEG2 W{width} H{height} F{FRAMES_PER_SECOND}:1 Ip A1:1 Cmono\n").into_bytes()
}

impl Shot {
    fn stream(&self, mut viewer: UnixStream) -> io::Result<()> {
        if self.faults.is_away(Device::Camera) {
            return Ok(());
        }
        let opening = header(WIDTH, HEIGHT);
        let flood = vec![b' '; FLOOD];
        self.send(&mut viewer, self.faults.at(&steps::HEADER), &opening, &header(60_000, 60_000), &flood)?;
        let pause = Duration::from_secs(1) / FRAMES_PER_SECOND;
        let (mut drawn, mut frame) = (None, Vec::new());
        let mut number = 0_u32;
        loop {
            let begun = Instant::now();
            let now = locked(&self.scene).clone();
            let stalled = now.stalled || self.faults.at(&steps::STALLED).is_some();
            let frozen = drawn.is_some() && self.faults.at(&steps::FROZEN).is_some();
            if !stalled {
                // The noise changes with every frame, in four phases; the picture changes only with the scene.
                number = number.wrapping_add(u32::from(!frozen));
                let key = (now.number, number % 4);
                if drawn != Some(key) && !frozen {
                    frame = draw(now.screen.as_deref(), number % 4).into_raw();
                    drawn = Some(key);
                }
                let kind = self.faults.at(&steps::FRAME_LINE);
                self.send(&mut viewer, kind, b"FRAME\n", b"FRAME Ixyz\nFRAME\n", &flood)?;
                self.frame(&mut viewer, self.seen(&frame))?;
            }
            if self.faults.is_on(&steps::FRAME, Kind::Flood) {
                continue;
            }
            thread::sleep(pause.saturating_sub(begun.elapsed()));
        }
    }

    /// The frame as captured, with the faults of optics and sensor.
    fn seen<'a>(&self, frame: &'a [u8]) -> std::borrow::Cow<'a, [u8]> {
        if self.faults.at(&steps::DARK).is_some() {
            vec![3; frame.len()].into()
        } else if self.faults.at(&steps::GLARE).is_some() {
            vec![255; frame.len()].into()
        } else if self.faults.at(&steps::MANY_CODES).is_some() {
            many_codes().into_raw().into()
        } else {
            frame.into()
        }
    }

    fn frame(&self, viewer: &mut UnixStream, frame: std::borrow::Cow<'_, [u8]>) -> io::Result<()> {
        let half = frame.get(..frame.len() / 2).unwrap_or_default();
        match self.faults.at(&steps::FRAME) {
            None | Some(Kind::State | Kind::Flood) => viewer.write_all(&frame),
            Some(Kind::Garbage) => viewer.write_all(&garbage(frame.len())),
            Some(Kind::Truncation) => viewer.write_all(half),
            Some(Kind::WrongAnswer) => {
                viewer.write_all(&frame)?;
                viewer.write_all(&header(WIDTH / 2, HEIGHT / 2))
            }
            Some(Kind::Silence) => {
                viewer.write_all(half)?;
                self.hold(&steps::FRAME, Kind::Silence);
                viewer.write_all(frame.get(half.len()..).unwrap_or_default())
            }
            Some(Kind::Disconnection) => {
                viewer.write_all(half)?;
                Err(io::ErrorKind::ConnectionReset.into())
            }
            Some(Kind::Delay) => {
                thread::sleep(LATE);
                viewer.write_all(&frame)
            }
        }
    }

    /// Sends a line of the stream, with the fault applied.
    fn send(
        &self,
        viewer: &mut UnixStream,
        kind: Option<Kind>,
        line: &[u8],
        wrong: &[u8],
        flood: &[u8],
    ) -> io::Result<()> {
        match kind {
            None | Some(Kind::State) => viewer.write_all(line),
            Some(Kind::Silence) => loop {
                // The viewer usually disconnects before the line is sent.
                if !self.faults.is_on(&steps::HEADER, Kind::Silence)
                    && !self.faults.is_on(&steps::FRAME_LINE, Kind::Silence)
                {
                    return viewer.write_all(line);
                }
                thread::sleep(TURN);
            },
            Some(Kind::Garbage) => viewer.write_all(&garbage(line.len())),
            Some(Kind::Truncation) => {
                viewer.write_all(line.get(..line.len() / 2).unwrap_or_default())?;
                // The rest of the line is never sent.
                viewer.write_all(b"\n")
            }
            Some(Kind::Disconnection) => Err(io::ErrorKind::ConnectionReset.into()),
            Some(Kind::Delay) => {
                thread::sleep(LATE);
                viewer.write_all(line)
            }
            Some(Kind::WrongAnswer) => viewer.write_all(wrong),
            Some(Kind::Flood) => {
                viewer.write_all(line.strip_suffix(b"\n").unwrap_or(line))?;
                viewer.write_all(flood)
            }
        }
    }

    /// Waits until the fault is cleared.
    fn hold(&self, step: &crate::faults::Step, kind: Kind) {
        while self.faults.is_on(step, kind) {
            thread::sleep(TURN);
        }
    }
}

/// A picture full of QR codes with different texts.
fn many_codes() -> GrayImage {
    let mut picture = GrayImage::from_pixel(WIDTH, HEIGHT, image::Luma([235]));
    for number in 0..MANY * MANY {
        let Ok(code) = qrcode::QrCode::new(format!("{number:04}")) else { continue };
        let side = u32::try_from(code.width()).unwrap_or(0);
        let (left, top) = (number % MANY * (WIDTH / MANY) + 10, number / MANY * (HEIGHT / MANY) + 6);
        for (at, colour) in (0..).zip(code.to_colors()) {
            let (x, y): (u32, u32) = (at % side, at / side);
            for pixel in 0..4 {
                let (px, py) = (left + 2 * x + pixel % 2, top + 2 * y + pixel / 2);
                if colour == qrcode::Color::Dark && px < WIDTH && py < HEIGHT {
                    picture.put_pixel(px, py, image::Luma([20]));
                }
            }
        }
    }
    picture
}

/// Renders one frame: a dim hall, and a phone if one is shown; `phase` selects the noise.
#[must_use]
pub fn draw(screen: Option<&Screen>, phase: u32) -> GrayImage {
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
        let light = screen.map_or(hall, |screen| {
            // Four samples per pixel soften the edges as a lens does.
            [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)]
                .iter()
                .map(|(dx, dy)| phone(x + dx, y + dy, hall, screen))
                .sum::<f32>()
                / 4.0
        });
        image::Luma([(light + grain()).clamp(0.0, 255.0) as u8])
    })
}

/// Luminance at a point of the frame: the phone is rotated by 4° and tilted so that one edge is a tenth shorter.
fn phone(x: f32, y: f32, hall: f32, screen: &Screen) -> f32 {
    let (cx, cy) = (x - 640.0, y - 360.0);
    let (sin, cos) = 0.07_f32.sin_cos();
    let (u, v) = (cx * cos + cy * sin, cy * cos - cx * sin);
    let u = u / (1.0 + v / 3_000.0);
    let half_height = screen.half_height();
    if u.abs() > HALF_WIDTH + BEZEL || v.abs() > half_height + BEZEL {
        hall
    } else if u.abs() > HALF_WIDTH || v.abs() > half_height {
        18.0
    } else {
        screen.light(u, v)
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
        assert_eq!(read(draw(Screen::code(text).as_ref(), 1)).as_deref(), Some(text));
        assert_eq!(read(draw(None, 1)), None);
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
        assert_eq!(read(draw(Some(&Screen::Page(page)), 2)).as_deref(), Some("on a page"));
    }

    #[test]
    fn stream_sends_header_and_complete_frames() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("camera");
        let camera = VirtualCamera::plug_in(&socket).unwrap();
        camera.show(Screen::code("hello"));
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
