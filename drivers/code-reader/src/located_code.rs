//! A code that an engine located but did not read, and the decoding of its modules once they are known.

use rxing::Point;
use rxing::common::cpp_essentials::DecoderResult;
use rxing::common::{BitMatrix, PerspectiveTransform, Quadrilateral};
use rxing::qrcode::cpp_port::decoder;

/// Smallest and largest side of a QR code, in modules (ISO/IEC 18004, 6.3.1).
const SIDES: std::ops::RangeInclusive<u32> = 21..=177;
/// Largest side, in modules, for which a grid is tried: a kiosk's camera cannot resolve larger codes.
const SIDE_MAX: u32 = 97;

/// A code that was located but not read.
#[derive(Clone, Copy)]
pub(crate) struct UnreadCode {
    /// The outer corners in pixels, assuming a flat code: top left, top right, bottom right, bottom left.
    pub(crate) corners: [Point; 4],
    /// Side of the code, in modules.
    pub(crate) side: u32,
}

impl UnreadCode {
    /// The homography from modules to pixels, assuming a flat code. `None` if `side` is not a valid QR code size or
    /// larger than the camera can resolve.
    pub(crate) fn homography(&self) -> Option<PerspectiveTransform> {
        if !SIDES.contains(&self.side) || self.side > SIDE_MAX {
            return None;
        }
        // At most 97, so the conversion is exact.
        #[expect(clippy::cast_precision_loss)]
        let side = self.side as f32;
        let square = [(0.0, 0.0), (side, 0.0), (side, side), (0.0, side)].map(|(x, y)| Point { x, y });
        let (square, corners) = (Quadrilateral::from(square), Quadrilateral::from(self.corners));
        PerspectiveTransform::quadrilateralToQuadrilateral(square, corners).ok()
    }
}

/// Decodes the modules of a code. An empty text counts as unread: occasionally error correction turns noise into a
/// valid code word, and one in sixteen of these begins with the terminator.
pub(crate) fn decode_modules(modules: &BitMatrix) -> Option<Vec<u8>> {
    let decoded = decoder::Decode(modules).ok().filter(DecoderResult::isValid)?;
    Some(decoded.text().into_bytes()).filter(|text| !text.is_empty())
}
