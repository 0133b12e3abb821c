//! Decodes the codes in a frame: a quick pass over every frame, costly passes only where a code seems to be.
//!
//! `rxing` reads nearly all readable codes in about a millisecond. Codes that it misses are tried again in other
//! sizes and with other thresholds, by `rxing` and by `rqrr`, within the time budget of the caller (a single
//! attempt of `rqrr` may exceed the budget by some tens of milliseconds).

use std::time::Instant;

use rxing::common::BitMatrix;

use crate::engines::{self, FINDERS_MAX, Finder, Sighting};
use crate::frame::Frame;
use crate::hint::Hint;
use crate::picture;
use crate::quality::Quality;
use crate::shades::Votes;

/// Most codes that are reported for one frame.
pub const CODES_MAX: usize = 4;

/// Frames with more pixels than this are not doubled: that would take longer than the frame interval.
const DOUBLED_PIXELS_MAX: usize = 1_000_000;

/// Pictures with more finder patterns than this are not given to `rqrr`, which copies the whole picture for each
/// triple: 36 patterns took 2.4 s.
const RQRR_FINDERS_MAX: usize = 12;

/// Finder patterns of one code.
const CORNERS: usize = 3;

/// Smallest width, in pixels, of a finder pattern that justifies costly passes: alone, and with a second one of
/// similar size. Modules of 3 and of 1.7 pixels.
const ALONE_MIN: u32 = 21;
const PAIR_MIN: u32 = 12;

/// Margin around the finder patterns of a code, in pixels, in addition to that for perspective: half a finder
/// pattern and the quiet zone of large modules.
const QUIET_PIXELS: f32 = 60.0;

/// The result of decoding one frame.
#[derive(Default)]
pub struct Look {
    /// Texts of the codes, as UTF-8 where the encoding is declared or can be guessed; at most [`CODES_MAX`], without
    /// duplicates. They are personal data: wipe them after use.
    pub codes: Vec<Vec<u8>>,
    /// If no code was read: the likely reason.
    pub hint: Option<Hint>,
    /// Whether something like a code is in this frame or was in one of the last frames.
    pub near: bool,
}

/// Decodes the frames of one camera in sequence.
#[derive(Default)]
pub struct Decoder {
    quality: Quality,
    votes: Votes,
}

/// A resampling filter applied to the picture.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Doubled,
    Smoothed,
    Halved,
    Same,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Threshold {
    Blocks,
    LocalMean,
}

/// One preprocessing of a picture: resampling, threshold, and whether dark and light are swapped.
type Way = (Shape, Threshold, bool);

/// Preprocessings of the costly passes, ordered by codes read per time on real pictures.
const WAYS: [Way; 7] = [
    (Shape::Doubled, Threshold::Blocks, false),
    (Shape::Same, Threshold::LocalMean, false),
    (Shape::Smoothed, Threshold::Blocks, false),
    (Shape::Halved, Threshold::Blocks, false),
    (Shape::Doubled, Threshold::LocalMean, false),
    (Shape::Doubled, Threshold::Blocks, true),
    (Shape::Same, Threshold::LocalMean, true),
];

impl Decoder {
    /// Creates a decoder without history.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Decodes a frame. The quick passes always run; costly passes start only before `budget_end`.
    pub fn look(&mut self, frame: &Frame, budget_end: Instant) -> Look {
        self.votes.next_frame();
        let mut first = quick_look(frame, budget_end);
        let mut codes = std::mem::take(&mut first.sighting.codes);
        let finders = &first.sighting.finders;
        if codes.is_empty() {
            codes = mended(frame, &first, &mut self.votes, budget_end);
        }
        // Grain creates false finder patterns and breaks real ones; halving the picture removes it.
        if codes.is_empty()
            && (1..=FINDERS_MAX).contains(&finders.len())
            && let Some(half) = picture::halved(frame)
        {
            let mut second = quick_look(&half, budget_end);
            codes = std::mem::take(&mut second.sighting.codes);
            if codes.is_empty() {
                codes = mended(&half, &second, &mut self.votes, budget_end);
            }
        }
        if codes.is_empty() && finders.len() <= FINDERS_MAX && looks_like_code(finders) {
            let part = around(frame, finders);
            codes = costly_looks(part.as_ref().unwrap_or(frame), budget_end);
        }
        codes.sort();
        codes.dedup();
        codes.truncate(CODES_MAX);
        if codes.is_empty() {
            let hint = self.quality.hint(frame, finders);
            return Look { codes, hint, near: self.quality.code_was_near() };
        }
        self.votes.wipe();
        self.quality.read(frame);
        Look { codes, hint: None, near: true }
    }
}

/// The result of one pass over a picture.
#[derive(Default)]
struct Seen {
    sighting: Sighting,
    /// The binarised picture.
    matrix: Option<BitMatrix>,
    /// Whether dark and light are swapped in `matrix`.
    inverted: bool,
}

/// One pass with the block threshold, normal and inverted (phones in dark mode show inverted codes). Returns the
/// result of the polarity with more finder patterns.
fn quick_look(frame: &Frame, budget_end: Instant) -> Seen {
    let Some(matrix) = picture::by_blocks(frame) else { return Seen::default() };
    let upright = quick_reading(&matrix, budget_end);
    if !upright.codes.is_empty() || upright.finders.len() > FINDERS_MAX {
        return Seen { sighting: upright, matrix: None, inverted: false };
    }
    let turned = inverted(matrix.clone());
    let inverse = quick_reading(&turned, budget_end);
    if !inverse.codes.is_empty() || inverse.finders.len() > upright.finders.len() {
        Seen { sighting: inverse, matrix: Some(turned), inverted: true }
    } else {
        Seen { sighting: upright, matrix: Some(matrix), inverted: false }
    }
}

/// Tries again to read codes that were located but not read: by the samples of their modules, also summed over
/// earlier frames, then by a warped grid for codes that are not flat.
fn mended(frame: &Frame, pass: &Seen, votes: &mut Votes, budget_end: Instant) -> Vec<Vec<u8>> {
    let Some(matrix) = &pass.matrix else { return Vec::new() };
    let mut codes = Vec::new();
    for unread in &pass.sighting.unread {
        codes.extend(engines::shaded(frame, unread, pass.inverted, votes));
    }
    for unread in &pass.sighting.unread {
        if codes.is_empty() && Instant::now() < budget_end {
            codes.extend(engines::crumpled(matrix, unread));
        }
    }
    codes
}

fn quick_reading(matrix: &BitMatrix, budget_end: Instant) -> Sighting {
    let mut sighting = engines::rxing(matrix, budget_end);
    if sighting.codes.is_empty() && (CORNERS..=FINDERS_MAX).contains(&sighting.finders.len()) {
        sighting.codes = engines::rxing_classic(matrix);
    }
    sighting
}

/// Whether these finder patterns could belong to one code: two of similar size at a plausible distance, or a single
/// one that is too large to be accidental. Grain and foliage give dozens of small ones; costly passes over them
/// would occupy a core.
fn looks_like_code(finders: &[Finder]) -> bool {
    finders.iter().enumerate().any(|(at, one)| {
        one.size >= ALONE_MIN || finders.iter().skip(at + 1).any(|other| could_share_code(one, other))
    })
}

fn could_share_code(one: &Finder, other: &Finder) -> bool {
    let (small, large) = (one.size.min(other.size), one.size.max(other.size));
    if small < PAIR_MIN || large * 2 > small * 3 {
        return false;
    }
    let distance = (one.x - other.x).hypot(one.y - other.y);
    let sizes = |count: u32| f32::from(u16::try_from(count * (small + large) / 2).unwrap_or(u16::MAX));
    // The distance of two centres is 14 modules in the smallest code and 170 in the largest, √2 times as many along
    // the diagonal; a finder pattern has 7 modules. Perspective may halve the distance.
    distance >= sizes(1) && distance <= sizes(35)
}

/// The part of a frame that contains a code with these finder patterns; `None` for a single one. Two patterns:
/// their box extended by 1.5 times its longer side, since the code may lie in any direction. Three or more: their
/// box with a margin for the fourth corner and for perspective.
fn around(frame: &Frame, finders: &[Finder]) -> Option<Frame> {
    let reach = match finders.len() {
        0 | 1 => return None,
        2 => 1.5,
        _ => 0.5,
    };
    let span = |places: &mut dyn Iterator<Item = f32>| {
        places
            .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), place| (low.min(place), high.max(place)))
    };
    let (left, right) = span(&mut finders.iter().map(|finder| finder.x));
    let (top, bottom) = span(&mut finders.iter().map(|finder| finder.y));
    let room = (right - left).max(bottom - top) * reach + QUIET_PIXELS;
    let columns = pixel(left - room, frame.width())..pixel(right + room, frame.width());
    let rows = pixel(top - room, frame.height())..pixel(bottom + room, frame.height());
    picture::cropped(frame, columns, rows)
}

/// The pixel of a coordinate, clamped to `0..=side`.
fn pixel(place: f32, side: u32) -> u32 {
    // Sides are at most 4096, so no digits are lost; NaN becomes 0.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let whole = place.max(0.0) as u32;
    whole.min(side)
}

fn costly_looks(frame: &Frame, budget_end: Instant) -> Vec<Vec<u8>> {
    for preprocessing in WAYS {
        if Instant::now() >= budget_end {
            break;
        }
        let Some((shaped, matrix)) = prepare(frame, preprocessing) else { continue };
        let sighting = quick_reading(&matrix, budget_end);
        if !sighting.codes.is_empty() {
            return sighting.codes;
        }
        let finders = sighting.finders.len();
        let (_, _, inverted) = preprocessing;
        let pass = Seen { sighting, matrix: Some(matrix), inverted };
        // Only the quick pass adds to the frame votes: a second pass would count the same grain again.
        let codes = mended(shaped.as_ref().unwrap_or(frame), &pass, &mut Votes::default(), budget_end);
        if !codes.is_empty() {
            return codes;
        }
        let Some(matrix) = pass.matrix else { continue };
        if finders > RQRR_FINDERS_MAX || Instant::now() >= budget_end {
            continue;
        }
        let codes = engines::rqrr(&matrix);
        if !codes.is_empty() {
            return codes;
        }
    }
    Vec::new()
}

/// Applies a preprocessing. Returns the resampled picture, if it differs from the frame, and the binarised one.
fn prepare(frame: &Frame, (shape, threshold, invert): Way) -> Option<(Option<Frame>, BitMatrix)> {
    let too_large = frame.luma().len() > DOUBLED_PIXELS_MAX;
    let shaped = match shape {
        Shape::Doubled if too_large => return None,
        Shape::Doubled => Some(picture::doubled(frame)?),
        Shape::Smoothed => Some(picture::smoothed(frame)?),
        Shape::Halved => Some(picture::halved(frame)?),
        Shape::Same => None,
    };
    let picture = shaped.as_ref().unwrap_or(frame);
    let matrix = match threshold {
        Threshold::Blocks => picture::by_blocks(picture)?,
        Threshold::LocalMean => picture::by_local_mean(picture)?,
    };
    let matrix = if invert { inverted(matrix) } else { matrix };
    Some((shaped, matrix))
}

fn inverted(mut matrix: BitMatrix) -> BitMatrix {
    matrix.flip_self();
    matrix
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finder(x: f32, y: f32, size: u32) -> Finder {
        Finder { x, y, size }
    }

    #[test]
    fn finder_pattern_pairs_pass_and_grain_does_not() {
        let code = [finder(100.0, 100.0, 21), finder(240.0, 104.0, 19)];
        let lone = [finder(300.0, 300.0, 40)];
        assert!(looks_like_code(&code));
        assert!(looks_like_code(&lone));

        let grain = [finder(1249.0, 51.0, 9), finder(1164.0, 498.0, 10), finder(191.0, 545.0, 14)];
        let unlike = [finder(100.0, 100.0, 12), finder(200.0, 100.0, 20)];
        let touching = [finder(100.0, 100.0, 14), finder(110.0, 100.0, 14)];
        let far = [finder(0.0, 0.0, 12), finder(600.0, 0.0, 12)];
        for not_a_code in [grain.as_slice(), &unlike, &touching, &far, &[]] {
            assert!(!looks_like_code(not_a_code));
        }
    }
}
