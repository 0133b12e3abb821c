//! The two decoding engines, which work on binarised pictures: `rxing` (the zxing-cpp port, then the older zxing
//! port) and `rqrr`. Both may panic on hostile pictures; the panics are caught.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use rqrr::PreparedImage;
use rxing::common::cpp_essentials::ConcentricPattern;
use rxing::common::{BitMatrix, DetectorRXingResult as _};
use rxing::qrcode::cpp_port::detector;
use rxing::qrcode::decoder::qrcode_decoder;
use rxing::qrcode::detector::Detector;
use rxing::{DecodeHints, Point};

use crate::frame::LumaFrame;
use crate::located_code::{UnreadCode, decode_modules};
use crate::module_samples::{FrameVotes, ModuleSamples};
use crate::perspective;

/// Most located but unread codes of a picture that are tried again.
const UNREAD_MAX: usize = 2;

/// Most triples of finder patterns that are tried in one picture; real pictures have a handful.
const TRIPLES_MAX: usize = 64;

/// More finder patterns than this are a texture, not a code held to a camera. Then only the largest are combined, and
/// engines whose time grows with a power of their number are skipped.
pub(crate) const FINDERS_MAX: usize = 48;

/// Most pixel rows with the proportions of a finder pattern, 1:1:3:1:1, in a picture for `rqrr`. Pictures of codes
/// have some hundred; noise has ten thousand and took seconds.
const CANDIDATE_ROWS_MAX: u32 = 1500;

/// What `rxing` detects in a picture.
#[derive(Default)]
pub(crate) struct Detection {
    /// Texts of decoded codes, unordered.
    pub(crate) codes: Vec<Vec<u8>>,
    /// Finder patterns, including false ones.
    pub(crate) finders: Vec<FinderPattern>,
    /// Codes that were located but not read; at most [`UNREAD_MAX`].
    pub(crate) unread: Vec<UnreadCode>,
}

/// A finder pattern: the square of 7 × 7 modules in three corners of a code.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct FinderPattern {
    /// Horizontal position of its centre, in pixels.
    pub(crate) x: f32,
    /// Vertical position of its centre, in pixels.
    pub(crate) y: f32,
    /// Width in pixels.
    pub(crate) size: u32,
}

/// Detects and decodes all codes with the zxing-cpp port.
pub(crate) fn rxing(matrix: &BitMatrix, budget_end: Instant) -> Detection {
    catch_panic(|| {
        let mut patterns = detector::FindFinderPatterns(matrix, true, 0);
        let finder = |pattern: &ConcentricPattern| {
            Some(FinderPattern { x: pattern.p.x, y: pattern.p.y, size: u32::try_from(pattern.size).ok()? })
        };
        let finders = patterns.iter().filter_map(finder).collect();
        patterns.sort_by_key(|pattern| std::cmp::Reverse(pattern.size));
        patterns.truncate(FINDERS_MAX);
        let mut codes = Vec::new();
        let mut used = Vec::new();
        let mut unread = Vec::new();
        for triple in detector::GenerateFinderPatternSets(&mut patterns).iter().take(TRIPLES_MAX) {
            let corners = [triple.bl, triple.tl, triple.tr];
            if corners.iter().any(|corner| used.contains(corner)) {
                continue;
            }
            if Instant::now() >= budget_end {
                break;
            }
            let Ok(sampled) = detector::SampleQR(matrix, triple) else { continue };
            if let Some(text) = decode_modules(sampled.getBits()) {
                used.extend(corners);
                codes.push(text);
            } else if unread.len() < UNREAD_MAX
                && let Ok([top_left, top_right, bottom_left, bottom_right]) =
                    <[Point; 4]>::try_from(sampled.getPoints())
            {
                let corners = [top_left, top_right, bottom_right, bottom_left];
                unread.push(UnreadCode { corners, side: sampled.getBits().width() });
            }
        }
        Detection { codes, finders, unread }
    })
}

/// Decodes one code with the older zxing port: its detector differs and finds some codes that the newer port misses.
pub(crate) fn rxing_classic(matrix: &BitMatrix) -> Vec<Vec<u8>> {
    catch_panic(|| {
        let hints = DecodeHints { TryHarder: Some(true), ..DecodeHints::default() };
        let decoded = Detector::new(matrix)
            .detect_with_hints(&hints)
            .and_then(|found| qrcode_decoder::decode_bitmatrix_with_hints(found.getBits(), &hints));
        let text = decoded.map(|decoded| decoded.getText().as_bytes().to_vec()).unwrap_or_default();
        if text.is_empty() { Vec::new() } else { vec![text] }
    })
}

/// Reads a located code that is not flat, with a warped grid.
pub(crate) fn read_warped(matrix: &BitMatrix, unread: &UnreadCode) -> Option<Vec<u8>> {
    catch_panic(|| perspective::read(matrix, unread))
}

/// Reads a located code by samples of its modules. If the samples of this frame do not suffice, they are added to
/// `votes`.
pub(crate) fn read_samples(
    frame: &LumaFrame,
    unread: &UnreadCode,
    inverted: bool,
    votes: &mut FrameVotes,
) -> Option<Vec<u8>> {
    catch_panic(|| {
        let shades = ModuleSamples::sample(frame, unread, inverted)?;
        shades.read().or_else(|| votes.add(shades))
    })
}

/// Decodes all codes with `rqrr`. Pictures with too many candidates for finder patterns are skipped.
pub(crate) fn rqrr(matrix: &BitMatrix) -> Vec<Vec<u8>> {
    if !has_few_candidates(matrix) {
        return Vec::new();
    }
    catch_panic(|| {
        let (width, height) = (matrix.width() as usize, matrix.height() as usize);
        let dark = |x: usize, y: usize| matrix.try_get(narrow(x), narrow(y)) == Some(true);
        let mut prepared = PreparedImage::prepare_from_bitmap(width, height, dark);
        let mut codes = Vec::new();
        for grid in prepared.detect_grids() {
            let mut code = Vec::new();
            // On an error a part may have been written; it is discarded.
            if grid.decode_to(&mut code).is_ok() && !code.is_empty() {
                codes.push(code);
            }
        }
        codes
    })
}

/// Whether a picture has at most [`CANDIDATE_ROWS_MAX`] pixel rows that `rqrr` would examine.
fn has_few_candidates(matrix: &BitMatrix) -> bool {
    let mut candidates = 0;
    for y in 0..matrix.height() {
        let mut runs = [0; 5];
        let mut run = 0;
        let mut last = matrix.get(0, y);
        for x in 0..matrix.width() {
            let dark = matrix.get(x, y);
            if dark != last {
                runs.rotate_left(1);
                runs[4] = run;
                run = 0;
                last = dark;
                candidates += u32::from(!dark && is_corner_row(runs));
            }
            run += 1;
        }
        if candidates > CANDIDATE_ROWS_MAX {
            return false;
        }
    }
    true
}

/// Whether five runs, dark first, have the proportions 1:1:3:1:1, with the tolerance of `rqrr`.
fn is_corner_row([a, b, c, d, e]: [u32; 5]) -> bool {
    let module = (a + b + d + e) / 4;
    let error = module * 3 / 4;
    let near = |run: u32, modules: u32| run + error >= modules * module && run <= modules * module + error;
    a > 0 && near(a, 1) && near(b, 1) && near(c, 3) && near(d, 1) && near(e, 1)
}

fn narrow(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

/// Runs a decoder and returns the default value if it panics. No state of the decoder outlives the call.
fn catch_panic<T: Default>(decode: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_default()
}
