//! Synthetic frames of a phone at a kiosk's window, for a fixed-focus camera of 1280×720 and 65°. The severities
//! are fixed since the first measurement: they are not tuned to the decoder.
#![allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)]

use code_reader::LumaFrame;
use qrcode::{Color, EcLevel, QrCode};

const WIDTH: u32 = 1280;
const HEIGHT: u32 = 720;
/// Half the width of the view at a distance of one centimetre: the tangent of 32.5°.
const HALF_VIEW: f32 = 0.637;
/// Side of the code on the phone, without its quiet zone, in centimetres.
const CODE: f32 = 5.0;
/// Number of frames of a sequence.
pub(crate) const FRAMES: u32 = 10;

/// The impairment of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    Clean,
    Defocus,
    Motion,
    LowLight,
    Glare,
    Moire,
    Tilt,
    DarkMode,
}

impl Condition {
    pub(crate) const ALL: [Self; 8] = [
        Self::Clean,
        Self::Defocus,
        Self::Motion,
        Self::LowLight,
        Self::Glare,
        Self::Moire,
        Self::Tilt,
        Self::DarkMode,
    ];
}

pub(crate) struct SyntheticScene {
    pub(crate) length: usize,
    pub(crate) condition: Condition,
    pub(crate) centimetres: f32,
    pub(crate) seed: u32,
}

/// Deterministic pseudo-random numbers (xorshift).
struct SimRng(u32);

impl SimRng {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    /// Uniform between `low` and `high`.
    fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * (self.next() >> 8) as f32 / 16_777_216.0
    }

    /// Nearly normal with deviation 1: the sum of four uniform numbers.
    fn normal(&mut self) -> f32 {
        (0..4).map(|_| self.between(-1.0, 1.0)).sum::<f32>() * 0.866
    }
}

impl SyntheticScene {
    /// The text of the code: the city's prefix and base45 characters.
    pub(crate) fn text(&self) -> String {
        const LETTERS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
        let mut dice = SimRng(self.seed.wrapping_mul(2_654_435_761) | 1);
        let body = (4..self.length)
            .map(|_| char::from(LETTERS.get(dice.next() as usize % LETTERS.len()).copied().unwrap_or(b'0')));
        // Trailing white space would be trimmed by a decoder.
        format!("YK1:{}", body.collect::<String>()).trim_end().to_owned()
    }

    /// One frame of the sequence. Position and angle differ in each frame, as in a trembling hand.
    pub(crate) fn frame(&self, at: u32) -> LumaFrame {
        let level = if self.length > 100 { EcLevel::L } else { EcLevel::M };
        let code = QrCode::with_error_correction_level(self.text(), level).expect("a text that fits");
        let (side, colors) = (code.width() as f32, code.to_colors());
        let mut dice = SimRng((self.seed * 1009 + at * 97 + self.length as u32 * 7 + 12_345) | 1);
        for _ in 0..8 {
            dice.next();
        }
        let pixels_per_cm = WIDTH as f32 / 2.0 / (HALF_VIEW * self.centimetres);
        let module = CODE * pixels_per_cm / side;
        let is = |condition| self.condition == condition;
        let (sin, cos) = dice.between(-12.0, 12.0).to_radians().sin_cos();
        let tilt = if is(Condition::Tilt) { dice.between(20.0, 35.0) } else { dice.between(0.0, 8.0) };
        let (tilt_sin, tilt_cos) = tilt.to_radians().sin_cos();
        let (left, top) =
            (WIDTH as f32 / 2.0 + dice.between(-60.0, 60.0), HEIGHT as f32 / 2.0 + dice.between(-40.0, 40.0));
        let (dark, light) = match self.condition {
            Condition::LowLight => (14.0, 62.0),
            Condition::DarkMode => (225.0, 32.0),
            Condition::Clean
            | Condition::Defocus
            | Condition::Motion
            | Condition::Glare
            | Condition::Moire
            | Condition::Tilt => (28.0, 224.0),
        };
        let wave = dice.between(2.4, 4.2);
        let glare =
            (left + dice.between(-90.0, 90.0), top + dice.between(-90.0, 90.0), dice.between(50.0, 90.0));
        let point = |x: f32, y: f32| -> f32 {
            let (x, y) = (x - left, y - top);
            // A plane rotated about its horizontal axis, seen from the distance of the window.
            let far = self.centimetres * pixels_per_cm;
            let depth = far / (far * tilt_cos - y * tilt_sin);
            let (x, y) = (x * depth * tilt_cos, y * depth);
            let column = (x * cos + y * sin) / module + side / 2.0;
            let row = (y * cos - x * sin) / module + side / 2.0;
            let edge = -6.0..side + 6.0;
            if !edge.contains(&column) || !edge.contains(&row) {
                return 96.0;
            }
            let inside = 0.0..side;
            if !inside.contains(&column) || !inside.contains(&row) {
                return light;
            }
            match colors.get(row as usize * code.width() + column as usize) {
                Some(Color::Dark) => dark,
                _ => light,
            }
        };
        let mut picture = vec![0.0_f32; (WIDTH * HEIGHT) as usize];
        for (at, pixel) in (0_u32..).zip(&mut picture) {
            let (x, y) = ((at % WIDTH) as f32, (at / WIDTH) as f32);
            *pixel = [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)]
                .iter()
                .map(|(dx, dy)| point(x + dx, y + dy))
                .sum::<f32>()
                / 4.0;
            if is(Condition::Moire) {
                *pixel *= 0.82 + 0.18 * (x * std::f32::consts::TAU / wave).sin() * (y * 0.9 / wave).cos();
            }
            if is(Condition::Glare) {
                let distance = (x - glare.0).hypot(y - glare.1) / glare.2;
                *pixel += 190.0 * (-distance * distance).exp();
            }
        }
        let blur = if is(Condition::Defocus) { dice.between(1.4, 2.6) } else { 0.7 };
        picture = blurred(&picture, blur);
        if is(Condition::Motion) {
            picture = moved(&picture, dice.between(2.0, 9.0) as usize);
        }
        let noise = if is(Condition::LowLight) { 6.0 } else { 2.5 };
        let luma = picture.iter().map(|pixel| (pixel + noise * dice.normal()).clamp(0.0, 255.0) as u8);
        LumaFrame::new(WIDTH, HEIGHT, luma.collect()).expect("a frame of the camera's size")
    }
}

/// An empty hall: soft shapes, some edges, and sensor noise.
pub(crate) fn empty_hall(seed: u32) -> LumaFrame {
    let mut dice = SimRng(seed.wrapping_mul(7919) | 1);
    let mut picture = vec![dice.between(70.0, 190.0); (WIDTH * HEIGHT) as usize];
    for _ in 0..40 {
        let (x, y) = (dice.next() % WIDTH, dice.next() % HEIGHT);
        let (width, height) = (20 + dice.next() % 260, 20 + dice.next() % 260);
        let luma = dice.between(20.0, 235.0);
        for row in picture.chunks_exact_mut(WIDTH as usize).skip(y as usize).take(height as usize) {
            row.iter_mut().skip(x as usize).take(width as usize).for_each(|pixel| *pixel = luma);
        }
    }
    let picture = blurred(&picture, 1.2);
    let luma = picture.iter().map(|pixel| (pixel + 2.5 * dice.normal()).clamp(0.0, 255.0) as u8);
    LumaFrame::new(WIDTH, HEIGHT, luma.collect()).expect("a frame of the camera's size")
}

/// Gaussian blur; `deviation` in pixels.
fn blurred(picture: &[f32], deviation: f32) -> Vec<f32> {
    let reach = (deviation * 3.0).ceil() as usize;
    let kernel: Vec<f32> =
        (0..=reach).map(|at| (-(at as f32).powi(2) / (2.0 * deviation * deviation)).exp()).collect();
    let sum = kernel.iter().sum::<f32>() * 2.0 - 1.0;
    let along = |picture: &[f32], stride: usize, length: usize| -> Vec<f32> {
        (0..picture.len())
            .map(|at| {
                let place = at / stride % length;
                let pixel = |offset: isize| {
                    let to = place.saturating_add_signed(offset).min(length - 1);
                    picture.get(at - place * stride + to * stride).copied().unwrap_or(0.0)
                };
                (0_isize..)
                    .zip(&kernel)
                    .map(|(offset, weight)| match offset {
                        0 => pixel(0) * weight,
                        _ => (pixel(offset) + pixel(-offset)) * weight,
                    })
                    .sum::<f32>()
                    / sum
            })
            .collect()
    };
    along(&along(picture, 1, WIDTH as usize), WIDTH as usize, HEIGHT as usize)
}

/// Motion blur to the right over `pixels` pixels.
fn moved(picture: &[f32], pixels: usize) -> Vec<f32> {
    picture
        .chunks_exact(WIDTH as usize)
        .flat_map(|row| {
            (0..row.len()).map(move |x| {
                let from = x.saturating_sub(pixels);
                let part = row.get(from..=x).unwrap_or_default();
                part.iter().sum::<f32>() / part.len().max(1) as f32
            })
        })
        .collect()
}
