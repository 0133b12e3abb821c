//! The two decoders, each over a picture of dark and light: `rxing` (the zxing-cpp port, then the older zxing one)
//! and `rqrr`. Both may panic on hostile pictures, which is contained here.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use rqrr::PreparedImage;
use rxing::DecodeHints;
use rxing::common::{BitMatrix, DetectorRXingResult as _};
use rxing::qrcode::cpp_port::{decoder, detector};
use rxing::qrcode::decoder::qrcode_decoder;
use rxing::qrcode::detector::Detector;

/// Most triples of finder patterns that are tried in one picture; a real one has a handful.
const TRIPLES_MAX: usize = 64;

/// More finder patterns than this is a wallpaper, not a code held to a camera: then only the largest are paired.
const FINDERS_MAX: usize = 48;

/// What `rxing` sees in a picture.
#[derive(Default)]
pub(crate) struct Sighting {
    /// Texts, in no order.
    pub(crate) codes: Vec<Vec<u8>>,
    /// Width in pixels of each of the patterns in the corners of codes (7 modules).
    pub(crate) finder_sizes: Vec<u32>,
}

/// All codes that the zxing-cpp port reads.
pub(crate) fn rxing(matrix: &BitMatrix, budget_end: Instant) -> Sighting {
    contained(|| {
        let mut finders = detector::FindFinderPatterns(matrix, true, 0);
        let finder_sizes = finders.iter().filter_map(|finder| u32::try_from(finder.size).ok()).collect();
        finders.sort_by_key(|finder| std::cmp::Reverse(finder.size));
        finders.truncate(FINDERS_MAX);
        let mut codes = Vec::new();
        let mut used = Vec::new();
        for triple in detector::GenerateFinderPatternSets(&mut finders).iter().take(TRIPLES_MAX) {
            let corners = [triple.bl, triple.tl, triple.tr];
            if corners.iter().any(|corner| used.contains(corner)) {
                continue;
            }
            if Instant::now() >= budget_end {
                break;
            }
            let Ok(sampled) = detector::SampleQR(matrix, triple) else { continue };
            if let Ok(decoded) = decoder::Decode(sampled.getBits())
                && decoded.isValid()
            {
                used.extend(corners);
                codes.push(decoded.text().into_bytes());
            }
        }
        Sighting { codes, finder_sizes }
    })
}

/// The one code that the older zxing port reads: its detector differs and finds some that the other misses.
pub(crate) fn rxing_classic(matrix: &BitMatrix) -> Vec<Vec<u8>> {
    contained(|| {
        let hints = DecodeHints { TryHarder: Some(true), ..DecodeHints::default() };
        let decoded = Detector::new(matrix)
            .detect_with_hints(&hints)
            .and_then(|found| qrcode_decoder::decode_bitmatrix_with_hints(found.getBits(), &hints));
        decoded.map(|decoded| vec![decoded.getText().as_bytes().to_vec()]).unwrap_or_default()
    })
}

/// All codes that `rqrr` reads.
pub(crate) fn rqrr(matrix: &BitMatrix) -> Vec<Vec<u8>> {
    contained(|| {
        let (width, height) = (matrix.width() as usize, matrix.height() as usize);
        let dark = |x: usize, y: usize| matrix.try_get(narrow(x), narrow(y)) == Some(true);
        let mut prepared = PreparedImage::prepare_from_bitmap(width, height, dark);
        let mut codes = Vec::new();
        for grid in prepared.detect_grids() {
            let mut code = Vec::new();
            // On an error a part may have been written: it counts for nothing.
            if grid.decode_to(&mut code).is_ok() {
                codes.push(code);
            }
        }
        codes
    })
}

fn narrow(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

/// Runs a decoder; one that panics has seen nothing. Nothing it holds outlives the call.
fn contained<T: Default>(decode: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_default()
}
