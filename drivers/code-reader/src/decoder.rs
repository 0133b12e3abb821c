//! Decodes the codes in a frame: a quick pass over every frame, costly passes only where a code seems to be.
//!
//! `rxing` reads nearly all readable codes in about a millisecond. Codes that it misses are tried again in other
//! sizes and with other thresholds, by `rxing` and by `rqrr`, within the time budget of the caller (a single
//! attempt of `rqrr` may exceed the budget by some tens of milliseconds).

use std::time::Instant;

use rxing::common::BitMatrix;

use crate::engines::{self, Detection, FINDERS_MAX, FinderPattern};
use crate::frame::LumaFrame;
use crate::frame_quality::FrameQuality;
use crate::hint::ScanHint;
use crate::module_samples::FrameVotes;
use crate::preprocess;

/// Most codes that are reported for one frame.
pub const CODES_MAX: usize = 4;

/// Frames with more pixels than this are not doubled: that would take longer than the frame interval.
const DOUBLED_PIXELS_MAX: usize = 1_000_000;

/// Pictures with more finder patterns than this are not given to `rqrr`, which copies the whole picture for each
/// triple: 36 patterns took 2.4 s.
const RQRR_FINDERS_MAX: usize = 12;

/// Finder patterns of one code.
const FINDERS_PER_CODE: usize = 3;

/// Smallest width, in pixels, of a finder pattern that justifies costly passes: alone, and with a second one of
/// similar size. Modules of 3 and of 1.7 pixels.
const LONE_FINDER_MIN: u32 = 21;
const PAIRED_FINDER_MIN: u32 = 12;

/// Margin around the finder patterns of a code, in pixels, in addition to that for perspective: half a finder
/// pattern and the quiet zone of large modules.
const QUIET_PIXELS: f32 = 60.0;

/// The result of decoding one frame.
#[derive(Default)]
pub struct DecodeResult {
    /// Texts of the codes, as UTF-8 where the encoding is declared or can be guessed; at most [`CODES_MAX`], without
    /// duplicates. They are personal data: wipe them after use.
    pub codes: Vec<Vec<u8>>,
    /// If no code was read: the likely reason.
    pub hint: Option<ScanHint>,
}

/// Decodes the frames of one camera in sequence.
#[derive(Default)]
pub struct Decoder {
    quality: FrameQuality,
    votes: FrameVotes,
}

/// A resampling filter applied to the picture.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Resampling {
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
type Preprocessing = (Resampling, Threshold, bool);

/// Preprocessings of the costly passes, ordered by codes read per time on real pictures.
const PREPROCESSINGS: [Preprocessing; 7] = [
    (Resampling::Doubled, Threshold::Blocks, false),
    (Resampling::Same, Threshold::LocalMean, false),
    (Resampling::Smoothed, Threshold::Blocks, false),
    (Resampling::Halved, Threshold::Blocks, false),
    (Resampling::Doubled, Threshold::LocalMean, false),
    (Resampling::Doubled, Threshold::Blocks, true),
    (Resampling::Same, Threshold::LocalMean, true),
];

impl Decoder {
    /// Creates a decoder without history.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Decodes a frame. The quick passes always run; costly passes start only before `budget_end`.
    pub fn decode(&mut self, frame: &LumaFrame, budget_end: Instant) -> DecodeResult {
        self.votes.next_frame();
        let mut first = quick_pass(frame, budget_end);
        let mut codes = std::mem::take(&mut first.detection.codes);
        let finders = &first.detection.finders;
        if codes.is_empty() {
            codes = recover_unread(frame, &first, &mut self.votes, budget_end);
        }
        // Grain creates false finder patterns and breaks real ones; halving the picture removes it.
        if codes.is_empty()
            && (1..=FINDERS_MAX).contains(&finders.len())
            && let Some(half) = preprocess::halved(frame)
        {
            let mut second = quick_pass(&half, budget_end);
            codes = std::mem::take(&mut second.detection.codes);
            if codes.is_empty() {
                codes = recover_unread(&half, &second, &mut self.votes, budget_end);
            }
        }
        if codes.is_empty() && finders.len() <= FINDERS_MAX && looks_like_code(finders) {
            let part = crop_around(frame, finders);
            codes = costly_passes(part.as_ref().unwrap_or(frame), budget_end);
        }
        codes.sort();
        codes.dedup();
        codes.truncate(CODES_MAX);
        if codes.is_empty() {
            let hint = self.quality.hint(frame, finders);
            return DecodeResult { codes, hint };
        }
        self.votes.clear();
        self.quality.on_code_read(frame);
        DecodeResult { codes, hint: None }
    }
}

/// The result of one pass over a picture.
#[derive(Default)]
struct PassResult {
    detection: Detection,
    /// The binarised picture.
    matrix: Option<BitMatrix>,
    /// Whether dark and light are swapped in `matrix`.
    inverted: bool,
}

/// One pass with the block threshold, normal and inverted (phones in dark mode show inverted codes). Returns the
/// result of the polarity with more finder patterns.
fn quick_pass(frame: &LumaFrame, budget_end: Instant) -> PassResult {
    let Some(matrix) = preprocess::by_blocks(frame) else { return PassResult::default() };
    let upright = detect_codes(&matrix, budget_end);
    if !upright.codes.is_empty() || upright.finders.len() > FINDERS_MAX {
        return PassResult { detection: upright, matrix: None, inverted: false };
    }
    let turned = inverted(matrix.clone());
    let inverse = detect_codes(&turned, budget_end);
    if !inverse.codes.is_empty() || inverse.finders.len() > upright.finders.len() {
        PassResult { detection: inverse, matrix: Some(turned), inverted: true }
    } else {
        PassResult { detection: upright, matrix: Some(matrix), inverted: false }
    }
}

/// Tries again to read codes that were located but not read: by the samples of their modules, also summed over
/// earlier frames, then by a warped grid for codes that are not flat.
fn recover_unread(
    frame: &LumaFrame,
    pass: &PassResult,
    votes: &mut FrameVotes,
    budget_end: Instant,
) -> Vec<Vec<u8>> {
    let Some(matrix) = &pass.matrix else { return Vec::new() };
    let mut codes = Vec::new();
    for unread in &pass.detection.unread {
        codes.extend(engines::read_samples(frame, unread, pass.inverted, votes));
    }
    for unread in &pass.detection.unread {
        if codes.is_empty() && Instant::now() < budget_end {
            codes.extend(engines::read_warped(matrix, unread));
        }
    }
    codes
}

fn detect_codes(matrix: &BitMatrix, budget_end: Instant) -> Detection {
    let mut sighting = engines::rxing(matrix, budget_end);
    if sighting.codes.is_empty() && (FINDERS_PER_CODE..=FINDERS_MAX).contains(&sighting.finders.len()) {
        sighting.codes = engines::rxing_classic(matrix);
    }
    sighting
}

/// Whether these finder patterns could belong to one code: two of similar size at a plausible distance, or a single
/// one that is too large to be accidental. Grain and foliage give dozens of small ones; costly passes over them
/// would occupy a core.
fn looks_like_code(finders: &[FinderPattern]) -> bool {
    finders.iter().enumerate().any(|(at, one)| {
        one.size >= LONE_FINDER_MIN || finders.iter().skip(at + 1).any(|other| could_share_code(one, other))
    })
}

fn could_share_code(one: &FinderPattern, other: &FinderPattern) -> bool {
    let (small, large) = (one.size.min(other.size), one.size.max(other.size));
    if small < PAIRED_FINDER_MIN || large * 2 > small * 3 {
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
fn crop_around(frame: &LumaFrame, finders: &[FinderPattern]) -> Option<LumaFrame> {
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
    preprocess::cropped(frame, columns, rows)
}

/// The pixel of a coordinate, clamped to `0..=side`.
fn pixel(place: f32, side: u32) -> u32 {
    // Sides are at most 4096, so no digits are lost; NaN becomes 0.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let whole = place.max(0.0) as u32;
    whole.min(side)
}

fn costly_passes(frame: &LumaFrame, budget_end: Instant) -> Vec<Vec<u8>> {
    for preprocessing in PREPROCESSINGS {
        if Instant::now() >= budget_end {
            break;
        }
        let Some((shaped, matrix)) = prepare(frame, preprocessing) else { continue };
        let sighting = detect_codes(&matrix, budget_end);
        if !sighting.codes.is_empty() {
            return sighting.codes;
        }
        let finders = sighting.finders.len();
        let (_, _, inverted) = preprocessing;
        let pass = PassResult { detection: sighting, matrix: Some(matrix), inverted };
        // Only the quick pass adds to the frame votes: a second pass would count the same grain again.
        let codes =
            recover_unread(shaped.as_ref().unwrap_or(frame), &pass, &mut FrameVotes::default(), budget_end);
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
fn prepare(
    frame: &LumaFrame,
    (shape, threshold, invert): Preprocessing,
) -> Option<(Option<LumaFrame>, BitMatrix)> {
    let too_large = frame.luma().len() > DOUBLED_PIXELS_MAX;
    let shaped = match shape {
        Resampling::Doubled if too_large => return None,
        Resampling::Doubled => Some(preprocess::doubled(frame)?),
        Resampling::Smoothed => Some(preprocess::smoothed(frame)?),
        Resampling::Halved => Some(preprocess::halved(frame)?),
        Resampling::Same => None,
    };
    let picture = shaped.as_ref().unwrap_or(frame);
    let matrix = match threshold {
        Threshold::Blocks => preprocess::by_blocks(picture)?,
        Threshold::LocalMean => preprocess::by_local_mean(picture)?,
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

    fn finder(x: f32, y: f32, size: u32) -> FinderPattern {
        FinderPattern { x, y, size }
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
