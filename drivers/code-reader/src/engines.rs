//! The two decoders, each over a picture of dark and light: `rxing` (the zxing-cpp port, then the older zxing one)
//! and `rqrr`. Both may panic on hostile pictures, which is contained here.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use rqrr::PreparedImage;
use rxing::common::cpp_essentials::{ConcentricPattern, DecoderResult};
use rxing::common::{BitMatrix, DetectorRXingResult as _};
use rxing::qrcode::cpp_port::{decoder, detector};
use rxing::qrcode::decoder::qrcode_decoder;
use rxing::qrcode::detector::Detector;
use rxing::{DecodeHints, Point};

use crate::crumpled::Unread;
use crate::frame::Frame;
use crate::shades::{Shades, Votes};

/// Most codes of a picture that are found and not read, and worth another look.
const UNREAD_MAX: usize = 2;

/// Most triples of finder patterns that are tried in one picture; a real one has a handful.
const TRIPLES_MAX: usize = 64;

/// More finder patterns than this is a wallpaper, not a code held to a camera: then only the largest are paired,
/// and the engines whose time grows with a power of their number are better not asked.
pub(crate) const FINDERS_MAX: usize = 48;

/// Most rows of pixels with the proportions of a corner, 1:1:3:1:1, in a picture for `rqrr`. Pictures of codes have some
/// hundred; static has ten thousand and took it seconds.
const CANDIDATE_ROWS_MAX: u32 = 1500;

/// What `rxing` sees in a picture.
#[derive(Default)]
pub(crate) struct Sighting {
    /// Texts, in no order.
    pub(crate) codes: Vec<Vec<u8>>,
    /// The corners of codes, or what looks like them.
    pub(crate) finders: Vec<Finder>,
    /// Codes that were found and not read; at most [`UNREAD_MAX`].
    pub(crate) unread: Vec<Unread>,
}

/// A finder pattern: the square of seven modules in three corners of a code.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Finder {
    /// Its middle, in pixels.
    pub(crate) x: f32,
    /// Its middle, in pixels.
    pub(crate) y: f32,
    /// Its width, in pixels.
    pub(crate) size: u32,
}

/// All codes that the zxing-cpp port reads.
pub(crate) fn rxing(matrix: &BitMatrix, budget_end: Instant) -> Sighting {
    contained(|| {
        let mut patterns = detector::FindFinderPatterns(matrix, true, 0);
        let finder = |pattern: &ConcentricPattern| {
            Some(Finder { x: pattern.p.x, y: pattern.p.y, size: u32::try_from(pattern.size).ok()? })
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
            if let Some(text) = text_of(sampled.getBits()) {
                used.extend(corners);
                codes.push(text);
            } else if unread.len() < UNREAD_MAX
                && let Ok([top_left, top_right, bottom_left, bottom_right]) =
                    <[Point; 4]>::try_from(sampled.getPoints())
            {
                let corners = [top_left, top_right, bottom_right, bottom_left];
                unread.push(Unread { corners, side: sampled.getBits().width() });
            }
        }
        Sighting { codes, finders, unread }
    })
}

/// What the modules of a code say. An empty text is none: now and then error correction makes a word of noise, and one in
/// sixteen of these begins with the mark of its end.
pub(crate) fn text_of(modules: &BitMatrix) -> Option<Vec<u8>> {
    let decoded = decoder::Decode(modules).ok().filter(DecoderResult::isValid)?;
    Some(decoded.text().into_bytes()).filter(|text| !text.is_empty())
}

/// The one code that the older zxing port reads: its detector differs and finds some that the other misses.
pub(crate) fn rxing_classic(matrix: &BitMatrix) -> Vec<Vec<u8>> {
    contained(|| {
        let hints = DecodeHints { TryHarder: Some(true), ..DecodeHints::default() };
        let decoded = Detector::new(matrix)
            .detect_with_hints(&hints)
            .and_then(|found| qrcode_decoder::decode_bitmatrix_with_hints(found.getBits(), &hints));
        let text = decoded.map(|decoded| decoded.getText().as_bytes().to_vec()).unwrap_or_default();
        if text.is_empty() { Vec::new() } else { vec![text] }
    })
}

/// The text of a code that was found and not read because it is not flat.
pub(crate) fn crumpled(matrix: &BitMatrix, unread: &Unread) -> Option<Vec<u8>> {
    contained(|| crate::crumpled::read(matrix, unread))
}

/// The text of a code that was found and not read because its modules are not all of one colour; if they do not make
/// one by themselves, they are `votes`.
pub(crate) fn shaded(frame: &Frame, unread: &Unread, inverted: bool, votes: &mut Votes) -> Option<Vec<u8>> {
    contained(|| {
        let shades = Shades::of(frame, unread, inverted)?;
        shades.read().or_else(|| votes.cast(shades))
    })
}

/// All codes that `rqrr` reads. A picture with too many candidates for the corners of codes is not given to it.
pub(crate) fn rqrr(matrix: &BitMatrix) -> Vec<Vec<u8>> {
    if !has_few_candidates(matrix) {
        return Vec::new();
    }
    contained(|| {
        let (width, height) = (matrix.width() as usize, matrix.height() as usize);
        let dark = |x: usize, y: usize| matrix.try_get(narrow(x), narrow(y)) == Some(true);
        let mut prepared = PreparedImage::prepare_from_bitmap(width, height, dark);
        let mut codes = Vec::new();
        for grid in prepared.detect_grids() {
            let mut code = Vec::new();
            // On an error a part may have been written: it counts for nothing.
            if grid.decode_to(&mut code).is_ok() && !code.is_empty() {
                codes.push(code);
            }
        }
        codes
    })
}

/// Whether a picture has at most [`CANDIDATE_ROWS_MAX`] rows of pixels that `rqrr` would look into.
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

/// Dark, light, dark, light, dark as 1:1:3:1:1, as generously as `rqrr` takes it.
fn is_corner_row([a, b, c, d, e]: [u32; 5]) -> bool {
    let module = (a + b + d + e) / 4;
    let error = module * 3 / 4;
    let near = |run: u32, modules: u32| run + error >= modules * module && run <= modules * module + error;
    a > 0 && near(a, 1) && near(b, 1) && near(c, 3) && near(d, 1) && near(e, 1)
}

fn narrow(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

/// Runs a decoder; one that panics has seen nothing. Nothing it holds outlives the call.
fn contained<T: Default>(decode: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_default()
}
