//! What codes a frame shows: quick looks at every frame, costly ones only where a code seems to be.
//!
//! `rxing` reads nearly all codes that can be read in about a millisecond. What it misses is tried again in other sizes
//! and with other thresholds, by it and by `rqrr`, as long as the budget lasts (`BUDGET` is the caller's; a single
//! attempt of `rqrr` may overrun it by some tens of milliseconds).

use std::time::Instant;

use rxing::common::BitMatrix;

use crate::engines;
use crate::frame::Frame;
use crate::hint::Hint;
use crate::picture;
use crate::quality::Quality;

/// Most codes that are reported of one frame.
pub const CODES_MAX: usize = 4;

/// Frames with more pixels than this are not doubled: it would cost more time than a frame has.
const DOUBLED_PIXELS_MAX: usize = 1_000_000;

/// What one frame shows.
#[derive(Default)]
pub struct Look {
    /// The texts of the codes read, as UTF-8 where the code says or lets guess its encoding; at most [`CODES_MAX`],
    /// each once. They are personal data: wipe them after use.
    pub codes: Vec<Vec<u8>>,
    /// If none was read: what seems to be in the way.
    pub hint: Option<Hint>,
}

/// Looks at the frames of one camera, one after the other.
#[derive(Default)]
pub struct Decoder {
    quality: Quality,
}

/// Another size or texture of the picture.
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

#[derive(Clone, Copy, PartialEq, Eq)]
enum Engine {
    Rxing,
    RxingClassic,
    Rqrr,
}

/// The costly attempts, in the order of what they read first for their time on real pictures.
const ATTEMPTS: [(Shape, Threshold, bool, Engine); 15] = [
    (Shape::Doubled, Threshold::Blocks, false, Engine::Rxing),
    (Shape::Doubled, Threshold::Blocks, false, Engine::RxingClassic),
    (Shape::Doubled, Threshold::Blocks, false, Engine::Rqrr),
    (Shape::Same, Threshold::LocalMean, false, Engine::Rxing),
    (Shape::Same, Threshold::LocalMean, false, Engine::RxingClassic),
    (Shape::Same, Threshold::LocalMean, false, Engine::Rqrr),
    (Shape::Smoothed, Threshold::Blocks, false, Engine::Rxing),
    (Shape::Smoothed, Threshold::Blocks, false, Engine::RxingClassic),
    (Shape::Smoothed, Threshold::Blocks, false, Engine::Rqrr),
    (Shape::Halved, Threshold::Blocks, false, Engine::Rxing),
    (Shape::Halved, Threshold::Blocks, false, Engine::RxingClassic),
    (Shape::Doubled, Threshold::LocalMean, false, Engine::Rxing),
    (Shape::Doubled, Threshold::LocalMean, false, Engine::Rqrr),
    (Shape::Doubled, Threshold::Blocks, true, Engine::Rxing),
    (Shape::Same, Threshold::Blocks, true, Engine::Rqrr),
];

impl Decoder {
    /// A decoder that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks at a frame. The quick looks are always taken; costly ones begin only before `budget_end`.
    pub fn look(&mut self, frame: &Frame, budget_end: Instant) -> Look {
        let (mut codes, finder_sizes) = quick_look(frame, budget_end);
        if codes.is_empty() && !finder_sizes.is_empty() {
            codes = costly_looks(frame, budget_end);
        }
        codes.sort();
        codes.dedup();
        codes.truncate(CODES_MAX);
        if codes.is_empty() {
            return Look { codes, hint: self.quality.hint(frame, &finder_sizes) };
        }
        self.quality.read(frame);
        Look { codes, hint: None }
    }
}

/// One threshold, dark on light and light on dark (as phones in dark mode show codes). With the texts come the
/// widths of corner patterns, of whichever side has more.
fn quick_look(frame: &Frame, budget_end: Instant) -> (Vec<Vec<u8>>, Vec<u32>) {
    let Some(matrix) = picture::by_blocks(frame) else { return Default::default() };
    let upright = engines::rxing(&matrix, budget_end);
    if !upright.codes.is_empty() {
        return (upright.codes, upright.finder_sizes);
    }
    let codes = engines::rxing_classic(&matrix);
    if !codes.is_empty() {
        return (codes, upright.finder_sizes);
    }
    let inverse = inverted(matrix);
    let dark_mode = engines::rxing(&inverse, budget_end);
    let mut finder_sizes = upright.finder_sizes;
    if dark_mode.finder_sizes.len() > finder_sizes.len() {
        finder_sizes = dark_mode.finder_sizes;
    }
    if !dark_mode.codes.is_empty() {
        return (dark_mode.codes, finder_sizes);
    }
    (engines::rxing_classic(&inverse), finder_sizes)
}

fn costly_looks(frame: &Frame, budget_end: Instant) -> Vec<Vec<u8>> {
    let mut prepared: Option<((Shape, Threshold, bool), BitMatrix)> = None;
    for (shape, threshold, invert, engine) in ATTEMPTS {
        if Instant::now() >= budget_end {
            break;
        }
        let way = (shape, threshold, invert);
        let matrix = match prepared.take() {
            Some((done, matrix)) if done == way => matrix,
            Some(_) | None => match prepare(frame, way) {
                Some(matrix) => matrix,
                None => continue,
            },
        };
        let codes = match engine {
            Engine::Rxing => engines::rxing(&matrix, budget_end).codes,
            Engine::RxingClassic => engines::rxing_classic(&matrix),
            Engine::Rqrr => engines::rqrr(&matrix),
        };
        if !codes.is_empty() {
            return codes;
        }
        prepared = Some((way, matrix));
    }
    Vec::new()
}

fn prepare(frame: &Frame, (shape, threshold, invert): (Shape, Threshold, bool)) -> Option<BitMatrix> {
    let too_large = frame.luma().len() > DOUBLED_PIXELS_MAX;
    let shaped = match shape {
        Shape::Doubled if too_large => return None,
        Shape::Doubled => Some(picture::doubled(frame)?),
        Shape::Smoothed => Some(picture::smoothed(frame)?),
        Shape::Halved => Some(picture::halved(frame)?),
        Shape::Same => None,
    };
    let shaped = shaped.as_ref().unwrap_or(frame);
    let matrix = match threshold {
        Threshold::Blocks => picture::by_blocks(shaped)?,
        Threshold::LocalMean => picture::by_local_mean(shaped)?,
    };
    Some(if invert { inverted(matrix) } else { matrix })
}

fn inverted(mut matrix: BitMatrix) -> BitMatrix {
    matrix.flip_self();
    matrix
}
