//! Determines why a code cannot be read: from the luma of a frame, the difference from the previous one, and the
//! finder patterns that the decoder found. Thresholds were chosen on pictures of phones and paper, not measured on
//! a kiosk.

use crate::engines::FinderPattern;
use crate::frame::LumaFrame;
use crate::hint::ScanHint;

/// Columns and rows of the sampling grid: enough for brightness and motion, and cheap.
const COLUMNS: u32 = 64;
const ROWS: u32 = 36;

/// A frame is too dark if at least 19 of 20 pixels are below this luma.
const DARK_BELOW: u8 = 50;

/// A pixel above this luma is overexposed.
const OVEREXPOSED_ABOVE: u8 = 250;

/// Glare if more than one in this many pixels is overexposed.
const GLARE_SHARE: usize = 8;

/// Mean luma difference from the previous frame above which the frame shows motion.
const MOTION_ABOVE: u32 = 14;

/// If nothing was read and finder patterns (7 modules) are narrower than this, in pixels, the code is too far (2.5
/// pixels per module).
const FINDER_MIN: u32 = 17;

/// A finder pattern wider than the shorter side divided by this belongs to a code that does not fit the picture.
const FINDER_SHARE: u32 = 4;

/// Number of frames after one with finder patterns in which motion is attributed to the code: blur hides the
/// patterns.
const REMEMBERED_FRAMES: u8 = 8;

/// Evaluates the frames of one camera in sequence.
#[derive(Default)]
pub(crate) struct FrameQuality {
    last: Vec<u8>,
    code_was_near: u8,
}

impl FrameQuality {
    /// The likely reason why no code could be read from a frame.
    pub(crate) fn hint(&mut self, frame: &LumaFrame, finders: &[FinderPattern]) -> Option<ScanHint> {
        let pixels = sampled(frame);
        let moved = difference(&self.last, &pixels).is_some_and(|mean| mean > MOTION_ABOVE);
        let code_like = finders.len() >= 2;
        self.code_was_near = if code_like { REMEMBERED_FRAMES } else { self.code_was_near.saturating_sub(1) };
        let bright = pixels.iter().filter(|&&pixel| pixel >= DARK_BELOW).count();
        let burnt = pixels.iter().filter(|&&pixel| pixel > OVEREXPOSED_ABOVE).count();
        let largest = finders.iter().map(|finder| finder.size).max().unwrap_or(0);
        let hint = if bright * 20 < pixels.len() {
            Some(ScanHint::Dark)
        } else if largest > frame.width().min(frame.height()) / FINDER_SHARE {
            Some(ScanHint::TooNear)
        } else if moved && self.code_was_near > 0 {
            Some(ScanHint::Moving)
        } else if finders.len() >= 3 && largest < FINDER_MIN {
            Some(ScanHint::TooFar)
        } else if self.code_was_near > 0 && burnt * GLARE_SHARE > pixels.len() {
            Some(ScanHint::Glare)
        } else {
            None
        };
        self.last = pixels;
        hint
    }

    /// Records a frame with a readable code, as the reference for motion.
    pub(crate) fn on_code_read(&mut self, frame: &LumaFrame) {
        self.last = sampled(frame);
        self.code_was_near = REMEMBERED_FRAMES;
    }
}

fn sampled(frame: &LumaFrame) -> Vec<u8> {
    let at = |x: u32, y: u32| frame.luma().get(y as usize * frame.width() as usize + x as usize).copied();
    let column = |n: u32| n * frame.width() / COLUMNS;
    let row = |n: u32| n * frame.height() / ROWS;
    (0..ROWS).flat_map(|y| (0..COLUMNS).filter_map(move |x| at(column(x), row(y)))).collect()
}

/// Mean difference of two sampled frames, or `None` for the first one.
fn difference(before: &[u8], after: &[u8]) -> Option<u32> {
    let sum: u32 = before.iter().zip(after).map(|(&a, &b)| u32::from(a.abs_diff(b))).sum();
    sum.checked_div(u32::try_from(before.len()).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finders(sizes: &[u32]) -> Vec<FinderPattern> {
        sizes.iter().map(|&size| FinderPattern { x: 0.0, y: 0.0, size }).collect()
    }

    fn uniform(luma: u8) -> LumaFrame {
        LumaFrame::new(640, 360, vec![luma; 640 * 360]).unwrap()
    }

    /// Vertical stripes of 40 pixels, shifted by `shift` pixels.
    fn stripes(shift: u32, light: u8) -> LumaFrame {
        let luma = (0..640 * 360u32)
            .map(|n| if ((n % 640 + shift) / 40).is_multiple_of(2) { 30 } else { light })
            .collect();
        LumaFrame::new(640, 360, luma).unwrap()
    }

    #[test]
    fn dark_frame_gives_hint_dark() {
        assert_eq!(FrameQuality::default().hint(&uniform(20), &[]), Some(ScanHint::Dark));
    }

    #[test]
    fn empty_scene_gives_no_hint() {
        let mut quality = FrameQuality::default();

        assert_eq!(quality.hint(&uniform(120), &[]), None);
        assert_eq!(quality.hint(&stripes(0, 255), &[]), None, "nobody holds a code there");
    }

    #[test]
    fn motion_without_a_code_gives_no_hint() {
        let mut quality = FrameQuality::default();
        quality.hint(&stripes(0, 200), &[]);
        assert_eq!(quality.hint(&stripes(40, 200), &[]), None, "somebody walks by");

        quality.hint(&stripes(40, 200), &finders(&[30, 30, 30]));
        assert_eq!(quality.hint(&stripes(0, 200), &[]), Some(ScanHint::Moving));
    }

    #[test]
    fn overexposed_still_code_gives_hint_glare() {
        let mut quality = FrameQuality::default();
        quality.hint(&stripes(0, 255), &finders(&[30, 30]));

        assert_eq!(quality.hint(&stripes(0, 255), &finders(&[30, 30])), Some(ScanHint::Glare));
    }

    #[test]
    fn finder_pattern_size_gives_distance_hint() {
        let mut quality = FrameQuality::default();

        assert_eq!(quality.hint(&uniform(120), &finders(&[10, 10, 11])), Some(ScanHint::TooFar));
        assert_eq!(quality.hint(&uniform(120), &finders(&[100, 98])), Some(ScanHint::TooNear));
        assert_eq!(quality.hint(&uniform(120), &finders(&[30, 31, 30])), None);
    }

    #[test]
    fn tiny_frames_do_not_panic() {
        for (width, height) in [(1, 1), (3, 40), (200, 1)] {
            let frame = LumaFrame::new(width, height, vec![9; (width * height) as usize]).unwrap();
            FrameQuality::default().hint(&frame, &[]);
        }
    }
}
