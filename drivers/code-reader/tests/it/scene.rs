//! Pictures of codes as a camera might see them, drawn from the code's modules.

use code_reader::LumaFrame;
use qrcode::{Color, EcLevel, QrCode};

/// Pose of a code and imaging conditions.
#[derive(Clone, Copy)]
pub(crate) struct CodePose {
    /// Pixels per module.
    pub(crate) module: f32,
    /// Degrees, clockwise.
    pub(crate) turned: f32,
    /// Tilt: relative difference in size of the upper and the lower edge, 0 for none.
    pub(crate) tilt: f32,
    /// Luma of dark and light modules; swapped in dark mode.
    pub(crate) dark: u8,
    pub(crate) light: u8,
    /// Largest deviation of a pixel, up and down.
    pub(crate) noise: u8,
    /// Seed of the noise.
    pub(crate) seed: u32,
}

impl Default for CodePose {
    fn default() -> Self {
        Self { module: 5.0, turned: 0.0, tilt: 0.0, dark: 40, light: 210, noise: 0, seed: 1 }
    }
}

/// A code in the middle of a grey 640×480 scene, sampled like a sensor: each pixel is the mean of nine points.
pub(crate) fn picture(text: &str, held: CodePose) -> LumaFrame {
    const WIDTH: u32 = 640;
    const HEIGHT: u32 = 480;
    const POINTS: [f32; 3] = [0.17, 0.5, 0.83];
    let code = QrCode::with_error_correction_level(text, EcLevel::M).unwrap();
    let modules = code.width() as f32;
    let colors = code.to_colors();
    let (sin, cos) = held.turned.to_radians().sin_cos();
    let mut noise = NoiseRng(held.seed);
    let at = |x: f32, y: f32| -> u8 {
        let (x, y) = (x - WIDTH as f32 / 2.0, y - HEIGHT as f32 / 2.0);
        let narrowing = 1.0 + held.tilt * y / HEIGHT as f32;
        let (x, y) = (x / narrowing, y / narrowing);
        let column = (x * cos + y * sin) / held.module + modules / 2.0;
        let row = (y * cos - x * sin) / held.module + modules / 2.0;
        let quiet = -4.0..modules + 4.0;
        if !quiet.contains(&column) || !quiet.contains(&row) {
            return 120;
        }
        let inside = 0.0..modules;
        if !inside.contains(&column) || !inside.contains(&row) {
            return held.light;
        }
        match colors[row as usize * code.width() + column as usize] {
            Color::Dark => held.dark,
            Color::Light => held.light,
        }
    };
    let mut luma = Vec::with_capacity((WIDTH * HEIGHT) as usize);
    for y in 0..HEIGHT {
        for x in 0..WIDTH {
            let points = POINTS.iter().flat_map(|dy| POINTS.iter().map(move |dx| (dx, dy)));
            let sum: u32 = points.map(|(dx, dy)| u32::from(at(x as f32 + dx, y as f32 + dy))).sum();
            let deviation = i32::from(held.noise) * (noise.next() as i32 % 201 - 100) / 100;
            luma.push((sum as i32 / 9 + deviation).clamp(0, 255) as u8);
        }
    }
    LumaFrame::new(WIDTH, HEIGHT, luma).unwrap()
}

/// Deterministic pseudo-random numbers (Knuth's linear congruential generator).
pub(crate) struct NoiseRng(pub(crate) u32);

impl NoiseRng {
    pub(crate) fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.0 >> 16
    }
}
