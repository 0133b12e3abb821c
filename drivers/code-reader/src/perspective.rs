//! Reads codes on surfaces that are not flat: a crumpled bill, cloth, paper in a plastic sleeve.
//!
//! Both engines map a code by one homography or a few. Where the paper bends, their grid misses the modules, and
//! more modules are misread than error correction can repair. Here the grid is warped: each node is moved to where
//! the cells become uniform. All samples of a cell on its module have one colour; between two modules they are
//! mixed. The finder and timing patterns, whose colours are known (ISO/IEC 18004, 6.3), anchor the grid.

use rxing::Point;
use rxing::common::BitMatrix;

use crate::located_code::{UnreadCode, decode_modules};

/// Patches of the grid along a side, coarse to fine.
const GRID_PATCHES: [usize; 3] = [2, 4, 6];
/// Step by which a node is moved, in modules, coarse to fine.
const STEPS: [f32; 3] = [0.8, 0.4, 0.2];
/// Most passes over all nodes with one step.
const PASSES: usize = 3;
/// Sample points of a cell, in modules from its centre.
const SAMPLES: [(f32, f32); 5] = [(0.0, 0.0), (-0.27, -0.27), (0.27, -0.27), (-0.27, 0.27), (0.27, 0.27)];
/// Weight of a cell of known colour, relative to a cell of unknown colour.
const KNOWN_WEIGHT: i32 = 2;

/// Reads a code that is not flat, by warping the grid until the code is readable.
pub(crate) fn read(matrix: &BitMatrix, unread: &UnreadCode) -> Option<Vec<u8>> {
    let mut net = WarpGrid::new(matrix, unread)?;
    for patches in GRID_PATCHES {
        net.refine(patches);
        for step in STEPS {
            for _ in 0..PASSES {
                if !net.adjust(step) {
                    break;
                }
            }
        }
        if let Some(text) = decode_modules(&net.bits()?) {
            return Some(text);
        }
    }
    None
}

/// A flat grid and the offset of each of its nodes.
struct WarpGrid<'a> {
    matrix: &'a BitMatrix,
    side: u32,
    /// Sample points of each cell on the flat grid, in pixels, row by row.
    flat: Vec<[Point; SAMPLES.len()]>,
    patches: usize,
    /// Offsets of the nodes in pixels, row by row, `patches + 1` in each direction.
    offsets: Vec<(f32, f32)>,
    /// Size of a module in pixels.
    module: f32,
}

impl<'a> WarpGrid<'a> {
    fn new(matrix: &'a BitMatrix, unread: &UnreadCode) -> Option<Self> {
        let side = narrow(unread.side);
        let plane = unread.homography()?;
        let [top_left, _, bottom_right, _] = unread.corners;
        let diagonal = (bottom_right.x - top_left.x).hypot(bottom_right.y - top_left.y);
        let module = diagonal / (side * std::f32::consts::SQRT_2);
        if module < 1.0 {
            return None;
        }
        let cell = |at: u32| {
            let (column, row) = (narrow(at % unread.side), narrow(at / unread.side));
            SAMPLES.map(|(dx, dy)| plane.transform_point(Point { x: column + 0.5 + dx, y: row + 0.5 + dy }))
        };
        let flat = (0..unread.side * unread.side).map(cell).collect();
        Some(Self { matrix, side: unread.side, flat, patches: 1, offsets: vec![(0.0, 0.0); 4], module })
    }

    /// Refines the grid to more nodes without changing its shape.
    fn refine(&mut self, patches: usize) {
        let knots = patches + 1;
        let pulls = (0..knots * knots)
            .map(|at| {
                let spread = |at: usize| narrow_usize(at) / narrow_usize(patches) * narrow(self.side);
                self.offset_at(spread(at % knots), spread(at / knots))
            })
            .collect();
        self.patches = patches;
        self.offsets = pulls;
    }

    /// The offset in pixels at a position in modules, interpolated between the four surrounding nodes.
    fn offset_at(&self, x: f32, y: f32) -> (f32, f32) {
        let patches = narrow_usize(self.patches);
        let split = |place: f32| {
            let place = (place / narrow(self.side) * patches).clamp(0.0, patches);
            let low = place.floor().min(patches - 1.0);
            (whole(low), place - low)
        };
        let ((column, across), (row, down)) = (split(x), split(y));
        let knot = |column: usize, row: usize| {
            self.offsets.get(row * (self.patches + 1) + column).copied().unwrap_or_default()
        };
        let mix = |(ax, ay): (f32, f32), (bx, by): (f32, f32), part: f32| {
            (ax + (bx - ax) * part, ay + (by - ay) * part)
        };
        let top = mix(knot(column, row), knot(column + 1, row), across);
        let bottom = mix(knot(column, row + 1), knot(column + 1, row + 1), across);
        mix(top, bottom, down)
    }

    /// 5 where all samples of a cell are dark, −5 where all are light.
    fn darkness(&self, column: u32, row: u32) -> i32 {
        let (right, down) = self.offset_at(narrow(column) + 0.5, narrow(row) + 0.5);
        let Some(samples) = self.flat.get((row * self.side + column) as usize) else { return 0 };
        samples
            .iter()
            .map(|at| match self.matrix.try_get(pixel(at.x + right), pixel(at.y + down)) {
                Some(true) => 1,
                Some(false) => -1,
                None => 0,
            })
            .sum()
    }

    /// Uniformity of the cells in the patches around a node; higher is better.
    fn uniformity(&self, knot: usize) -> i32 {
        let knots = self.patches + 1;
        let reach = |at: usize| {
            let patch = narrow(self.side) / narrow_usize(self.patches);
            let low = (narrow_usize(at) - 1.0) * patch;
            let high = (narrow_usize(at) + 1.0) * patch;
            pixel(low.max(0.0))..pixel(high.ceil()).min(self.side)
        };
        let mut sum = 0;
        for row in reach(knot / knots) {
            for column in reach(knot % knots) {
                let darkness = self.darkness(column, row);
                sum += match known_color(column, row, self.side) {
                    Some(true) => KNOWN_WEIGHT * darkness,
                    Some(false) => -KNOWN_WEIGHT * darkness,
                    None => darkness.abs(),
                };
            }
        }
        sum
    }

    /// Moves each node by one step in the direction that improves uniformity. Returns whether any node moved.
    fn adjust(&mut self, step: f32) -> bool {
        let step = step * self.module;
        let mut moved = false;
        for knot in 0..self.offsets.len() {
            let Some(&(x, y)) = self.offsets.get(knot) else { continue };
            let (mut best, mut at) = (self.uniformity(knot), (x, y));
            for (dx, dy) in [(step, 0.0), (-step, 0.0), (0.0, step), (0.0, -step)] {
                self.set_offset(knot, (x + dx, y + dy));
                let sum = self.uniformity(knot);
                if sum > best {
                    (best, at) = (sum, (x + dx, y + dy));
                }
            }
            self.set_offset(knot, at);
            moved |= at != (x, y);
        }
        moved
    }

    fn set_offset(&mut self, knot: usize, pull: (f32, f32)) {
        if let Some(place) = self.offsets.get_mut(knot) {
            *place = pull;
        }
    }

    /// The modules as sampled by the current grid.
    fn bits(&self) -> Option<BitMatrix> {
        let mut bits = BitMatrix::with_single_dimension(self.side).ok()?;
        for row in 0..self.side {
            for column in 0..self.side {
                if self.darkness(column, row) > 0 {
                    bits.set(column, row);
                }
            }
        }
        Some(bits)
    }
}

/// The colour of a module that is the same in every code of this side: `Some(true)` dark, `Some(false)` light,
/// `None` if it depends on the content. Covers the finder patterns with their separators and the timing patterns.
fn known_color(column: u32, row: u32, side: u32) -> Option<bool> {
    let far = side.saturating_sub(8);
    let corner = match (column < 8, row < 8, column >= far, row >= far) {
        (true, true, ..) => Some((column, row)),
        (_, true, true, _) => Some((column - far, row)),
        (true, _, _, true) => Some((column, row - far)),
        _ => None,
    };
    if let Some((x, y)) = corner {
        // The separator is on the inner side: after the pattern at the near edge, before it at the far edge.
        let x = if column >= far { x.checked_sub(1) } else { Some(x) };
        let y = if row >= far { y.checked_sub(1) } else { Some(y) };
        let (Some(x), Some(y)) = (x, y) else { return Some(false) };
        let ring = x.abs_diff(3).max(y.abs_diff(3));
        return Some(ring != 2 && ring < 4);
    }
    match (column, row) {
        (6, along) | (along, 6) => Some(along % 2 == 0),
        _ => None,
    }
}

// Sides and node numbers are below 200, so the conversion is exact.
#[expect(clippy::cast_precision_loss)]
const fn narrow(number: u32) -> f32 {
    number as f32
}

#[expect(clippy::cast_precision_loss)]
const fn narrow_usize(number: usize) -> f32 {
    number as f32
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates; NaN becomes 0
const fn pixel(place: f32) -> u32 {
    place as u32
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates; NaN becomes 0, as in `pixel`
const fn whole(place: f32) -> usize {
    place as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use qrcode::{Color, EcLevel, QrCode, Version};

    use super::*;

    const TEXT: &[u8] = b"YK1:CRUMPLED PAPER IN A VILLAGE HALL";
    /// Size of a module and of the quiet zone, in pixels.
    const MODULE: f32 = 5.0;
    const QUIET: f32 = 20.0;

    /// A code on paper with waves in both directions; `height` in modules.
    fn on_waves(code: &QrCode, height: f32) -> (BitMatrix, UnreadCode) {
        let side = u32::try_from(code.width()).unwrap();
        let length = narrow(side) * MODULE;
        let pixels = pixel(length + 2.0 * QUIET);
        let mut matrix = BitMatrix::new(pixels, pixels).unwrap();
        let colors = code.to_colors();
        for y in 0..pixels {
            for x in 0..pixels {
                let (u, v) = (narrow(x) + 0.5 - QUIET, narrow(y) + 0.5 - QUIET);
                // No displacement at the edges, where the finder patterns define the flat grid.
                let wave = |along: f32| (along / length * std::f32::consts::TAU).sin() * height * MODULE;
                let hill = |along: f32| (along / length * std::f32::consts::PI).sin();
                let (u, v) = ((u + wave(v) * hill(u)) / MODULE, (v + wave(u) * hill(v)) / MODULE);
                let inside = |place: f32| (0.0..narrow(side)).contains(&place);
                let dark =
                    inside(u) && inside(v) && colors[whole(v) * code.width() + whole(u)] == Color::Dark;
                if dark {
                    matrix.set(x, y);
                }
            }
        }
        let (near, far) = (QUIET, QUIET + length);
        let corners = [(near, near), (far, near), (far, far), (near, far)].map(|(x, y)| Point { x, y });
        (matrix, UnreadCode { corners, side })
    }

    #[test]
    fn wavy_code_is_read_by_warp_grid_only() {
        let code = QrCode::with_version(TEXT, Version::Normal(4), EcLevel::M).unwrap();
        let (matrix, unread) = on_waves(&code, 0.8);
        let flat = WarpGrid::new(&matrix, &unread).unwrap().bits().unwrap();
        assert!(decode_modules(&flat).is_none(), "the waves are too low to prove anything");
        assert_eq!(read(&matrix, &unread).as_deref(), Some(TEXT));
    }

    #[test]
    fn known_module_colors_match_real_codes() {
        for version in 1..=12 {
            for level in [EcLevel::L, EcLevel::H] {
                let Ok(code) = QrCode::with_version(b"7", Version::Normal(version), level) else { continue };
                let side = u32::try_from(code.width()).unwrap();
                let colors = code.to_colors();
                let mut counted = 0;
                for (at, color) in (0..).zip(&colors) {
                    if let Some(dark) = known_color(at % side, at / side, side) {
                        assert_eq!(dark, *color == Color::Dark, "version {version} at {at}");
                        counted += 1;
                    }
                }
                assert_eq!(counted, 3 * 64 + 2 * (side - 16));
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_picture_gives_no_text_and_no_panic(
            pixels in prop::collection::vec(any::<bool>(), 64 * 64),
            corners in prop::array::uniform4((-200.0_f32..300.0, -200.0_f32..300.0)),
            side in 0_u32..200,
        ) {
            let mut matrix = BitMatrix::new(64, 64).unwrap();
            for (at, _) in (0..).zip(pixels).filter(|(_, dark)| *dark) {
                matrix.set(at % 64, at / 64);
            }
            let corners = corners.map(|(x, y)| Point { x, y });
            prop_assert_eq!(read(&matrix, &UnreadCode { corners, side }), None);
        }
    }
}
