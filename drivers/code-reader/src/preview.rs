//! A small picture of the camera's view, for the resident who holds a code to the camera.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::frame::LumaFrame;

/// Longest side of a preview, in pixels: enough for aiming, too small to identify a person.
pub const PREVIEW_SIDE_MAX: u16 = 160;

/// The picture as the camera sees it, not mirrored (a screen mirrors it if needed). Wiped on drop.
#[derive(Serialize, Deserialize)]
pub struct Preview {
    /// Width in pixels.
    pub width: u16,
    /// Luma, row by row, one byte per pixel; 0 is black.
    pub luma: Zeroizing<Vec<u8>>,
}

impl Preview {
    /// Creates a preview of a frame. Each pixel is the mean of a square of the frame.
    #[must_use]
    pub fn from_frame(frame: &LumaFrame) -> Self {
        let longest = frame.width().max(frame.height());
        let square = longest.div_ceil(PREVIEW_SIDE_MAX.into()) as usize;
        let width = frame.width() as usize / square;
        let mut luma = Zeroizing::new(Vec::with_capacity(width * (frame.height() as usize / square)));
        let rows: Vec<&[u8]> = frame.luma().chunks_exact(frame.width() as usize).collect();
        for rows in rows.chunks_exact(square) {
            for left in (0..width).map(|column| column * square) {
                let pixels = rows.iter().filter_map(|row| row.get(left..left + square)).flatten();
                let sum: usize = pixels.map(|&pixel| usize::from(pixel)).sum();
                luma.push(u8::try_from(sum / (square * square)).unwrap_or(u8::MAX));
            }
        }
        Self { width: u16::try_from(width).unwrap_or(0), luma }
    }

    /// Whether the size is valid. To be checked on data from another process.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let (width, side_max) = (usize::from(self.width), usize::from(PREVIEW_SIDE_MAX));
        let height = self.luma.len().checked_div(width).unwrap_or(0);
        (1..=side_max).contains(&width)
            && (1..=side_max).contains(&height)
            && width * height == self.luma.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn preview_pixels_are_means_of_squares() {
        let luma = (0..1280 * 720_u32).map(|at| if at % 16 < 8 { 40 } else { 60 }).collect();
        let preview = Preview::from_frame(&LumaFrame::new(1280, 720, luma).unwrap());

        assert_eq!((preview.width, preview.luma.len()), (160, 160 * 90));
        assert_eq!(preview.luma[..4], [40, 60, 40, 60]);
    }

    #[test]
    fn preview_with_wrong_size_is_invalid() {
        for (width, bytes, sound) in
            [(2, 4, true), (0, 0, false), (3, 4, false), (161, 161, false), (1, 161, false), (4, 0, false)]
        {
            let preview = Preview { width, luma: Zeroizing::new(vec![9; bytes]) };
            assert_eq!(preview.is_valid(), sound, "{width} {bytes}");
        }
    }

    proptest! {
        #[test]
        fn preview_is_valid_unless_frame_is_too_narrow(width in 1u32..700, height in 1u32..700) {
            let frame = LumaFrame::new(width, height, vec![7; (width * height) as usize]).unwrap();
            let preview = Preview::from_frame(&frame);
            let narrow = width.min(height) < width.max(height).div_ceil(PREVIEW_SIDE_MAX.into());
            prop_assert_eq!(preview.is_valid(), !narrow);
            prop_assert!(preview.luma.iter().all(|&pixel| pixel == 7));
        }
    }
}
