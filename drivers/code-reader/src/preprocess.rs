//! Preprocessing of a picture for a decoder: cropping, resampling, smoothing, binarisation.

use std::ops::Range;

use rxing::common::{BitMatrix, HybridBinarizer};
use rxing::{Binarizer, Luma8Source};

use crate::blocks;
use crate::frame::LumaFrame;

/// Smallest side that is binarised, in pixels. Below five blocks of 8 pixels zxing uses one threshold for the whole
/// picture.
const SIDE_MIN: u32 = 16;

/// The window of the local mean extends the longer side divided by this from the pixel, in each direction.
const MEAN_WINDOW_DIVISOR: usize = 16;

/// A pixel is dark if it is below this percentage of the mean around it.
const MEAN_DARK_PERCENT: u64 = 94;

/// Crops a picture. `None` if the part is empty or not within the picture.
pub(crate) fn cropped(frame: &LumaFrame, columns: Range<u32>, rows: Range<u32>) -> Option<LumaFrame> {
    let (width, height) = (columns.end.checked_sub(columns.start)?, rows.end.checked_sub(rows.start)?);
    let within = columns.start as usize..columns.end as usize;
    let all_rows = frame.luma().chunks_exact(frame.width() as usize);
    let mut luma = Vec::new();
    for row in all_rows.skip(rows.start as usize).take(height as usize) {
        luma.extend_from_slice(row.get(within.clone())?);
    }
    LumaFrame::new(width, height, luma)
}

/// Doubles the size, bilinear: modules of two or three pixels become wide enough for the detector to measure.
/// `None` if the result is larger than a frame may be.
pub(crate) fn doubled(frame: &LumaFrame) -> Option<LumaFrame> {
    let (width, height) = (frame.width() as usize, frame.height() as usize);
    let mut luma = Vec::with_capacity(width * height * 4);
    let (mut upper, mut lower) = (Vec::new(), Vec::new());
    let rows: Vec<&[u8]> = frame.luma().chunks_exact(width).collect();
    for (y, row) in rows.iter().enumerate() {
        let next = rows.get(y + 1).unwrap_or(row);
        upper.clear();
        double_row(row, &mut upper);
        lower.clear();
        double_row(next, &mut lower);
        luma.extend_from_slice(&upper);
        luma.extend(upper.iter().zip(&lower).map(|(&a, &b)| a.midpoint(b)));
    }
    LumaFrame::new(frame.width() * 2, frame.height() * 2, luma)
}

fn double_row(row: &[u8], doubled: &mut Vec<u8>) {
    for (x, &here) in row.iter().enumerate() {
        let next = row.get(x + 1).copied().unwrap_or(here);
        doubled.extend([here, here.midpoint(next)]);
    }
}

/// Halves the size: each pixel is the mean of four. Reduces noise, moiré and decoding time. `None` if nothing is
/// left.
pub(crate) fn halved(frame: &LumaFrame) -> Option<LumaFrame> {
    let width = frame.width() as usize;
    let (half_width, half_height) = (frame.width() / 2, frame.height() / 2);
    let mut luma = Vec::with_capacity(half_width as usize * half_height as usize);
    for rows in frame.luma().chunks_exact(width * 2) {
        let (upper, lower) = rows.split_at(width);
        luma.extend(upper.chunks_exact(2).zip(lower.chunks_exact(2)).map(|(a, b)| mean(a.iter().chain(b))));
    }
    LumaFrame::new(half_width, half_height, luma)
}

/// Smooths with a 3 × 3 mean, against noise and moiré.
pub(crate) fn smoothed(frame: &LumaFrame) -> Option<LumaFrame> {
    let width = frame.width() as usize;
    let rows: Vec<&[u8]> = frame.luma().chunks_exact(width).collect();
    let mut luma = Vec::with_capacity(frame.luma().len());
    for (y, row) in rows.iter().enumerate() {
        let above = rows.get(y.wrapping_sub(1)).unwrap_or(row);
        let below = rows.get(y + 1).unwrap_or(row);
        for x in 0..width {
            let columns = x.saturating_sub(1)..(x + 2).min(width);
            let nine = [above, row, below].into_iter().filter_map(|row| row.get(columns.clone())).flatten();
            luma.push(mean(nine));
        }
    }
    LumaFrame::new(frame.width(), frame.height(), luma)
}

fn mean<'a>(samples: impl Iterator<Item = &'a u8>) -> u8 {
    let (sum, count) =
        samples.fold((0u32, 0u32), |(sum, count), &sample| (sum + u32::from(sample), count + 1));
    u8::try_from(sum / count.max(1)).unwrap_or(u8::MAX)
}

/// Binarises by a threshold for each block of 8 × 8 pixels, computed from the blocks around it (zxing's hybrid
/// binarizer): suits most pictures. A picture with fewer than five blocks along a side gets one threshold.
pub(crate) fn by_blocks(frame: &LumaFrame) -> Option<BitMatrix> {
    if frame.width().min(frame.height()) < SIDE_MIN {
        return None;
    }
    if let Some(matrix) = blocks::threshold(frame) {
        return Some(matrix);
    }
    let source = Luma8Source::new_with_slice(frame.luma(), frame.width(), frame.height()).ok()?;
    HybridBinarizer::new(source).get_black_matrix().ok().cloned()
}

/// Binarises by the mean around each pixel, for small codes in uneven light.
pub(crate) fn by_local_mean(frame: &LumaFrame) -> Option<BitMatrix> {
    let (width, height) = (frame.width() as usize, frame.height() as usize);
    let window = (width.max(height) / MEAN_WINDOW_DIVISOR).max(8);
    let sums = IntegralImage::from_frame(frame);
    let mut matrix = BitMatrix::new(frame.width(), frame.height()).ok()?;
    let mut pixels = frame.luma().iter();
    for (y, row) in (0..frame.height()).zip(0..height) {
        let (top, bottom) = (row.saturating_sub(window), (row + window + 1).min(height));
        for (x, column) in (0..frame.width()).zip(0..width) {
            let (left, right) = (column.saturating_sub(window), (column + window + 1).min(width));
            let sum = u64::from(sums.rect_sum(left, top, right, bottom));
            let count = ((right - left) * (bottom - top)) as u64;
            let pixel = pixels.next().copied().unwrap_or(u8::MAX);
            if u64::from(pixel) * count * 100 < sum * MEAN_DARK_PERCENT {
                matrix.set(x, y);
            }
        }
    }
    Some(matrix)
}

/// Integral image: sums over all rectangles that begin in the upper left corner. A frame has at most 4096 × 4096
/// pixels of at most 255, so a sum is just below 2³².
struct IntegralImage {
    stride: usize,
    sums: Vec<u32>,
}

impl IntegralImage {
    fn from_frame(frame: &LumaFrame) -> Self {
        let width = frame.width() as usize;
        let stride = width + 1;
        let mut sums = vec![0; stride];
        sums.reserve(stride * frame.height() as usize);
        for row in frame.luma().chunks_exact(width) {
            let above = sums.len() - stride;
            let mut along = 0u32;
            sums.push(0);
            for (x, &pixel) in row.iter().enumerate() {
                along += u32::from(pixel);
                let over = sums.get(above + x + 1).copied().unwrap_or(0);
                sums.push(over + along);
            }
        }
        Self { stride, sums }
    }

    /// The sum over columns `left..right` and rows `top..bottom`.
    fn rect_sum(&self, left: usize, top: usize, right: usize, bottom: usize) -> u32 {
        let at = |x: usize, y: usize| self.sums.get(y * self.stride + x).copied().unwrap_or(0);
        // In this order no intermediate result is negative.
        (at(right, bottom) - at(left, bottom)) - (at(right, top) - at(left, top))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(width: u32, height: u32, luma: &[u8]) -> LumaFrame {
        LumaFrame::new(width, height, luma.to_vec()).unwrap()
    }

    #[test]
    fn crop_gives_requested_part_or_none() {
        let whole = frame(3, 3, &[1, 2, 3, 4, 5, 6, 7, 8, 9]);

        assert_eq!(cropped(&whole, 1..3, 0..2).unwrap().luma(), [2, 3, 5, 6]);
        assert_eq!(cropped(&whole, 2..4, 0..2), None);
        assert_eq!(cropped(&whole, 0..1, 2..4), None);
        assert_eq!(cropped(&whole, 1..1, 0..3), None);
    }

    #[test]
    fn doubled_interpolates_between_pixels() {
        let doubled = doubled(&frame(2, 2, &[0, 100, 100, 200])).unwrap();

        assert_eq!((doubled.width(), doubled.height()), (4, 4));
        assert_eq!(doubled.luma()[..4], [0, 50, 100, 100]);
        assert_eq!(doubled.luma()[4..8], [50, 100, 150, 150]);
    }

    #[test]
    fn halved_averages_four_pixels_and_drops_odd_edge() {
        let halved = halved(&frame(3, 3, &[0, 4, 9, 4, 8, 9, 9, 9, 9])).unwrap();

        assert_eq!((halved.width(), halved.height()), (1, 1));
        assert_eq!(halved.luma(), [4]);
    }

    #[test]
    fn smoothed_averages_nine_pixels() {
        let mut luma = [0; 25];
        luma[12] = 90;

        assert_eq!(smoothed(&frame(5, 5, &luma)).unwrap().luma()[12], 10);
    }

    #[test]
    fn local_mean_separates_strokes_in_uneven_light() {
        // Brightness falls from left to right, to below the ink on the left.
        let luma: Vec<u8> = (0..64 * 64u32)
            .map(|index| {
                let (x, y) = (index % 64, index / 64);
                let paper = 250 - x * 3;
                u8::try_from(if (y / 4) % 2 == 0 { paper } else { paper / 3 }).unwrap()
            })
            .collect();

        let matrix = by_local_mean(&frame(64, 64, &luma)).unwrap();

        let wrong = (0..64 * 64)
            .filter(|index| matrix.get(index % 64, index / 64) != ((index / 64 / 4) % 2 == 1))
            .count();
        assert_eq!(wrong, 0);
    }

    proptest! {
        #[test]
        fn any_size_is_preprocessed_without_panic(width in 1u32..70, height in 1u32..70, seed in any::<u8>()) {
            let luma: Vec<u8> = (0..width * height).map(|n| (n as u8).wrapping_mul(seed)).collect();
            let frame = LumaFrame::new(width, height, luma).unwrap();

            for picture in [doubled(&frame), halved(&frame), smoothed(&frame)].into_iter().flatten() {
                by_blocks(&picture);
                by_local_mean(&picture);
            }
        }

        #[test]
        fn integral_image_matches_direct_sum(width in 1usize..9, height in 1usize..9, luma in proptest::collection::vec(any::<u8>(), 64)) {
            let frame = frame(width as u32, height as u32, &luma[..width * height]);
            let sums = IntegralImage::from_frame(&frame);
            let (left, top) = (width / 2, height / 3);

            let expected: u32 = (top..height).flat_map(|y| (left..width).map(move |x| (x, y))).map(|(x, y)| u32::from(luma[y * width + x])).sum();
            prop_assert_eq!(sums.rect_sum(left, top, width, height), expected);
        }
    }
}
