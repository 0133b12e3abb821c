//! Modules of a code as grey samples instead of bits, and sums of these samples over several frames.
//!
//! A threshold over pixels loses what blur and grain leave of a module: a light module between dark ones is darker
//! than paper, but lighter than its neighbours. Here a module is compared with the modules around it, and sharpened
//! to remove the influence of its neighbours. If one frame does not suffice, the samples of the next frames are
//! added: grain and glare differ from frame to frame, the code does not.

use rxing::Point;
use rxing::common::BitMatrix;
use zeroize::Zeroize;

use crate::frame::LumaFrame;
use crate::located_code::{UnreadCode, decode_modules};

/// Sample points of a module, in modules from its centre.
const SAMPLES: [(f32, f32); 5] = [(0.0, 0.0), (-0.2, -0.2), (0.2, -0.2), (-0.2, 0.2), (0.2, 0.2)];
/// Distance, in modules, up to which neighbours are compared with a module.
const REACH: usize = 4;
/// Sharpening factors that are tried: none, then for increasing blur.
const SHARPENING: [f32; 3] = [0.0, 0.35, 0.9];
/// Limit of a sample in standard deviations: otherwise glare would dominate.
const SAMPLE_MAX: f32 = 2.0;
/// Factor on the sum of earlier frames when a frame is added: about four frames count.
const DECAY: f32 = 0.75;
/// Most sums in parallel, one per code size: the measured size of a blurred code varies.
const SUMS_MAX: usize = 2;
/// Consecutive frames without the code after which its sum is wiped.
const MISSED_MAX: u8 = 5;

/// Darkness of each module relative to its neighbours: above 0 is dark. Personal data; wiped on drop.
pub(crate) struct ModuleSamples {
    side: usize,
    samples: Vec<f32>,
}

impl ModuleSamples {
    /// Samples the modules of a code in a frame. `inverted`: the code is light on dark.
    pub(crate) fn sample(frame: &LumaFrame, unread: &UnreadCode, inverted: bool) -> Option<Self> {
        let plane = unread.homography()?;
        let sign = if inverted { 1.0 } else { -1.0 };
        let mut luma = Vec::with_capacity((unread.side * unread.side) as usize);
        for row in 0..unread.side {
            for column in 0..unread.side {
                let sum: f32 = SAMPLES
                    .iter()
                    .map(|(dx, dy)| {
                        let (x, y) = (small(column) + 0.5 + dx, small(row) + 0.5 + dy);
                        between_pixels(frame, plane.transform_point(Point { x, y }))
                    })
                    .sum();
                luma.push(sum * sign);
            }
        }
        let side = unread.side as usize;
        let mut shades = Self { side, samples: luma };
        shades.normalize();
        Some(shades)
    }

    /// Subtracts from each module the mean of its neighbours, and scales to a standard deviation of 1.
    fn normalize(&mut self) {
        let means = self.means();
        for (shade, mean) in self.samples.iter_mut().zip(means) {
            *shade -= mean;
        }
        let squares: f32 = self.samples.iter().map(|shade| shade * shade).sum();
        let deviation = (squares / count(self.samples.len())).sqrt().max(f32::EPSILON);
        for shade in &mut self.samples {
            *shade = (*shade / deviation).clamp(-SAMPLE_MAX, SAMPLE_MAX);
        }
    }

    /// The mean of the modules within [`REACH`] of each module.
    fn means(&self) -> Vec<f32> {
        let along = |values: &[f32], step: usize| -> Vec<f32> {
            (0..values.len())
                .map(|at| {
                    let place = at / step % self.side;
                    let (low, high) = (place.saturating_sub(REACH), (place + REACH + 1).min(self.side));
                    let first = at - (place - low) * step;
                    let sum: f32 = values.iter().skip(first).step_by(step).take(high - low).sum();
                    sum / count(high - low)
                })
                .collect()
        };
        along(&along(&self.samples, 1), self.side)
    }

    /// The text, if the modules can be decoded.
    pub(crate) fn read(&self) -> Option<Vec<u8>> {
        SHARPENING.iter().find_map(|&part| decode_modules(&self.bits(part)?))
    }

    /// Binarises the modules after sharpening by the factor `part` against the four neighbours.
    fn bits(&self, part: f32) -> Option<BitMatrix> {
        let side = u32::try_from(self.side).ok()?;
        let mut bits = BitMatrix::with_single_dimension(side).ok()?;
        for (at, (row, column)) in
            (0..side).flat_map(|row| (0..side).map(move |column| (row, column))).enumerate()
        {
            let shade = |at: usize| self.samples.get(at).copied().unwrap_or(0.0);
            let mut sharp = shade(at);
            if part > 0.0 {
                let last = self.side - 1;
                let (place, line) = (at % self.side, at / self.side);
                let left = if place > 0 { shade(at - 1) } else { -1.0 };
                let right = if place < last { shade(at + 1) } else { -1.0 };
                let above = if line > 0 { shade(at - self.side) } else { -1.0 };
                let below = if line < last { shade(at + self.side) } else { -1.0 };
                sharp += part * (sharp - (left + right + above + below) / 4.0);
            }
            if sharp > 0.0 {
                bits.set(column, row);
            }
        }
        Some(bits)
    }

    fn add(&mut self, other: &Self) {
        for (sum, shade) in self.samples.iter_mut().zip(&other.samples) {
            *sum = *sum * DECAY + shade;
        }
    }
}

impl Drop for ModuleSamples {
    fn drop(&mut self) {
        self.samples.zeroize();
    }
}

/// Sums of the samples of recent frames, for codes that are unreadable in each single frame.
#[derive(Default)]
pub(crate) struct FrameVotes {
    sums: Vec<SampleSum>,
}

struct SampleSum {
    samples: ModuleSamples,
    missed: u8,
}

impl FrameVotes {
    /// Begins a frame: wipes the sums of codes that were not seen for more than [`MISSED_MAX`] frames.
    pub(crate) fn next_frame(&mut self) {
        for sum in &mut self.sums {
            sum.missed += 1;
        }
        self.sums.retain(|sum| sum.missed <= MISSED_MAX);
    }

    /// Adds the samples of a frame. Returns the text, if the sum can be decoded.
    pub(crate) fn add(&mut self, shades: ModuleSamples) -> Option<Vec<u8>> {
        if let Some(sum) = self.sums.iter_mut().find(|sum| sum.samples.side == shades.side) {
            sum.samples.add(&shades);
            sum.missed = 0;
            return sum.samples.read();
        }
        if self.sums.len() == SUMS_MAX {
            self.sums.remove(0);
        }
        self.sums.push(SampleSum { samples: shades, missed: 0 });
        None
    }

    /// Wipes all sums, after a code was read.
    pub(crate) fn clear(&mut self) {
        self.sums.clear();
    }
}

/// The luma at a point between pixels, interpolated; beyond the edge that of the edge.
fn between_pixels(frame: &LumaFrame, at: Point) -> f32 {
    // The centre of the first pixel is at 0.5.
    let (x, y) = (at.x - 0.5, at.y - 0.5);
    let (left, top) = (x.floor(), y.floor());
    let (across, down) = (x - left, y - top);
    let (left, top) = (whole(left), whole(top));
    let pixel = |x: i64, y: i64| -> f32 {
        let x = x.clamp(0, i64::from(frame.width()) - 1);
        let y = y.clamp(0, i64::from(frame.height()) - 1);
        let at = usize::try_from(y * i64::from(frame.width()) + x).unwrap_or(0);
        frame.luma().get(at).copied().map_or(0.0, f32::from)
    };
    let upper = pixel(left, top) * (1.0 - across) + pixel(left + 1, top) * across;
    let lower = pixel(left, top + 1) * (1.0 - across) + pixel(left + 1, top + 1) * across;
    upper * (1.0 - down) + lower * down
}

#[expect(clippy::cast_possible_truncation)] // saturates; NaN becomes 0
const fn whole(place: f32) -> i64 {
    place as i64
}

// Sides are below 200, so the conversion is exact.
#[expect(clippy::cast_precision_loss)]
const fn small(number: u32) -> f32 {
    number as f32
}

#[expect(clippy::cast_precision_loss)]
const fn count(number: usize) -> f32 {
    number as f32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use qrcode::{Color, EcLevel, QrCode, Version};

    use super::*;

    const TEXT: &[u8] = b"YK1:SHADES OF A CODE HELD UP";
    /// Size of a module and of the quiet zone, in pixels.
    const MODULE: usize = 4;
    const QUIET: usize = 16;

    fn code() -> QrCode {
        QrCode::with_version(TEXT, Version::Normal(4), EcLevel::M).unwrap()
    }

    /// The luma of the code, every pixel with a deviation of up to `grain`.
    fn with_grain(light: f32, dark: f32, grain: f32, seed: u32) -> Vec<f32> {
        let (code, mut state) = (code(), seed.wrapping_mul(2_654_435_761) | 1);
        let side = code.width() * MODULE + 2 * QUIET;
        let mut random = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            small(state >> 8) / 8_388_608.0 - 1.0
        };
        let module = |place: usize| {
            place.checked_sub(QUIET).map(|place| place / MODULE).filter(|at| *at < code.width())
        };
        (0..side * side)
            .map(|at| {
                let at = (module(at % side), module(at / side));
                let is_dark = matches!(at, (Some(x), Some(y)) if code[(x, y)] == Color::Dark);
                let luma = if is_dark { dark } else { light };
                luma + grain * random()
            })
            .collect()
    }

    /// Box blur: each pixel is the mean of the pixels up to `reach` around it.
    fn blurred(pixels: &[f32], reach: usize) -> Vec<f32> {
        let side = pixels.len().isqrt();
        let around = |at: usize| at.saturating_sub(reach)..(at + reach + 1).min(side);
        (0..pixels.len())
            .map(|at| {
                let (columns, rows) = (around(at % side), around(at / side));
                let all = rows.len() * columns.len();
                rows.flat_map(|row| columns.clone().map(move |column| pixels[row * side + column]))
                    .sum::<f32>()
                    / count(all)
            })
            .collect()
    }

    #[expect(clippy::cast_sign_loss)]
    fn frame(pixels: &[f32]) -> LumaFrame {
        let side = u32::try_from(pixels.len().isqrt()).unwrap();
        LumaFrame::new(side, side, pixels.iter().map(|pixel| pixel.clamp(0.0, 255.0) as u8).collect())
            .unwrap()
    }

    fn unread() -> UnreadCode {
        let side = u32::try_from(code().width()).unwrap();
        let (near, far) = (count(QUIET), count(QUIET + code().width() * MODULE));
        let corners = [(near, near), (far, near), (far, far), (near, far)].map(|(x, y)| Point { x, y });
        UnreadCode { corners, side }
    }

    #[test]
    fn blurred_code_is_read_by_sharpened_samples() {
        // Several blurs, so that a better decoder does not make this test meaningless.
        let rescued = [(2, 2), (3, 0), (3, 1), (2, 3)].into_iter().any(|(first, second)| {
            let pixels = blurred(&blurred(&with_grain(200.0, 50.0, 0.0, 1), first), second);
            let shades = ModuleSamples::sample(&frame(&pixels), &unread(), false).unwrap();
            decode_modules(&shades.bits(0.0).unwrap()).is_none() && shades.read().as_deref() == Some(TEXT)
        });
        assert!(rescued);
    }

    #[test]
    fn inverted_code_is_read_only_as_inverted() {
        let frame = frame(&with_grain(50.0, 200.0, 0.0, 1));
        assert_eq!(ModuleSamples::sample(&frame, &unread(), true).unwrap().read().as_deref(), Some(TEXT));
        assert_eq!(ModuleSamples::sample(&frame, &unread(), false).unwrap().read(), None);
    }

    fn grainy(seed: u32) -> ModuleSamples {
        ModuleSamples::sample(&frame(&with_grain(142.0, 112.0, 50.0, seed)), &unread(), false).unwrap()
    }

    #[test]
    fn unreadable_frames_are_read_when_summed() {
        let mut votes = FrameVotes::default();
        let read = (1..=10).find_map(|seed| {
            assert_eq!(grainy(seed).read(), None, "frame {seed} is too good to prove anything");
            votes.next_frame();
            votes.add(grainy(seed))
        });
        assert_eq!(read.as_deref(), Some(TEXT));
    }

    #[test]
    fn frame_votes_expire_and_are_cleared_after_a_read() {
        let mut votes = FrameVotes::default();
        votes.add(grainy(1));
        for _ in 0..MISSED_MAX {
            votes.next_frame();
            assert_eq!(votes.sums.len(), 1);
        }
        votes.next_frame();
        assert!(votes.sums.is_empty());

        votes.add(grainy(1));
        votes.clear();
        assert!(votes.sums.is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_picture_gives_no_text_and_no_panic(
            luma in prop::collection::vec(any::<u8>(), 48 * 48),
            corners in prop::array::uniform4((-200.0_f32..300.0, -200.0_f32..300.0)),
            side in 0_u32..200,
            inverted in any::<bool>(),
        ) {
            let frame = LumaFrame::new(48, 48, luma).unwrap();
            let corners = corners.map(|(x, y)| Point { x, y });
            let shades = ModuleSamples::sample(&frame, &UnreadCode { corners, side }, inverted);
            prop_assert_eq!(shades.and_then(|shades| shades.read()), None);
        }
    }
}
