//! Binarisation with a threshold for each block of 8 × 8 pixels: zxing's hybrid binarizer.
//!
//! It processes every pixel of every frame, which is most of the work of the device process while no code is shown.
//! The implementation of `rxing` takes two to eight times as long for the same bits; a test compares both.

use rxing::common::{BIT_FIELD_BASE_BITS, BitArray, BitFieldBaseType, BitMatrix};

use crate::frame::LumaFrame;

/// Pixels along a side of a block.
const BLOCK: usize = 8;
/// Smallest side of a picture with five blocks in each direction, from which a threshold is computed.
pub(crate) const SIDE_MIN: u32 = 5 * 8;
/// Largest range of luma in a flat block, which is all paper or all ink.
const FLAT_RANGE_MAX: u8 = 24;

/// Binarises a frame: pixels at or below the threshold of their block are dark. `None` below [`SIDE_MIN`].
pub(crate) fn threshold(frame: &LumaFrame) -> Option<BitMatrix> {
    if frame.width().min(frame.height()) < SIDE_MIN {
        return None;
    }
    let (width, height) = (frame.width() as usize, frame.height() as usize);
    let blocks = width.div_ceil(BLOCK);
    let thresholds = means(&black_points(frame.luma(), width, height), blocks, height.div_ceil(BLOCK));
    let mut matrix = BitMatrix::new(frame.width(), frame.height()).ok()?;
    let mut bits = BitArray::with_size(width);
    for ((y, row), row_thresholds) in
        (0..frame.height()).zip(frame.luma().chunks_exact(width)).zip(rows_of(&thresholds, blocks))
    {
        pack(row, row_thresholds, &mut bits);
        matrix.setRow(y, &bits);
    }
    Some(matrix)
}

/// For each row of pixels, the thresholds of its row of blocks.
fn rows_of(thresholds: &[u8], blocks: usize) -> impl Iterator<Item = &[u8]> {
    thresholds.chunks_exact(blocks).flat_map(|row| std::iter::repeat_n(row, BLOCK))
}

/// Packs one row of bits: the least significant bit of a word is its leftmost pixel.
fn pack(row: &[u8], thresholds: &[u8], bits: &mut BitArray) {
    const BLOCKS: usize = BIT_FIELD_BASE_BITS / BLOCK;
    for ((at, pixels), thresholds) in
        (0..).step_by(BIT_FIELD_BASE_BITS).zip(row.chunks(BIT_FIELD_BASE_BITS)).zip(thresholds.chunks(BLOCKS))
    {
        let (whole, rest) = pixels.as_chunks::<BLOCK>();
        let mut bytes = [0; BLOCKS];
        for ((byte, block), &threshold) in bytes.iter_mut().zip(whole).zip(thresholds) {
            *byte = dark(block, threshold);
        }
        if let (Some(byte), Some(&threshold)) = (bytes.get_mut(whole.len()), thresholds.last()) {
            let mut block = [u8::MAX; BLOCK];
            block.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            // Beyond the edge there are no pixels.
            *byte = dark(&block, threshold) & !(u8::MAX << rest.len());
        }
        bits.setBulk(at, BitFieldBaseType::from_le_bytes(bytes));
    }
}

/// One bit for each pixel of a block row, 1 is dark; the leftmost pixel is the least significant bit.
fn dark(block: &[u8; BLOCK], threshold: u8) -> u8 {
    /// Moves the least significant bit of byte `n` to bit `56 + n`.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let ones = u64::from_le_bytes(block.map(|pixel| u8::from(pixel <= threshold)));
    let [.., gathered] = ones.wrapping_mul(GATHER).to_le_bytes();
    gathered
}

/// The black point of each block: its mean luma, or, in a flat block, a value from its neighbours. A block that
/// extends beyond the edge is shifted to the last eight pixels before the edge.
fn black_points(luma: &[u8], width: usize, height: usize) -> Vec<u8> {
    let blocks = width.div_ceil(BLOCK);
    let mut points: Vec<u8> = Vec::with_capacity(blocks * height.div_ceil(BLOCK));
    let mut columns = Columns::with_width(width);
    for top in (0..height).step_by(BLOCK).map(|top| top.min(height - BLOCK)) {
        columns.clear();
        for row in luma.chunks_exact(width).skip(top).take(BLOCK) {
            columns.add(row);
        }
        let above = points.len().checked_sub(blocks);
        let mut left = 0;
        for (x, stats) in columns.blocks().enumerate() {
            let neighbours = above.filter(|_| x > 0).map(|above| {
                let at = |x: usize| points.get(above + x).copied().map_or(0, u32::from);
                (at(x) + 2 * u32::from(left) + at(x - 1)) / 4
            });
            left = stats.black_point(neighbours);
            points.push(left);
        }
    }
    points
}

/// Statistics of eight rows, by column. This layout can be vectorised.
struct Columns {
    sum: Vec<u16>,
    darkest: Vec<u8>,
    lightest: Vec<u8>,
}

impl Columns {
    fn with_width(width: usize) -> Self {
        Self { sum: vec![0; width], darkest: vec![u8::MAX; width], lightest: vec![0; width] }
    }

    fn clear(&mut self) {
        self.sum.fill(0);
        self.darkest.fill(u8::MAX);
        self.lightest.fill(0);
    }

    fn add(&mut self, row: &[u8]) {
        for (sum, &pixel) in self.sum.iter_mut().zip(row) {
            *sum += u16::from(pixel);
        }
        for (darkest, &pixel) in self.darkest.iter_mut().zip(row) {
            *darkest = (*darkest).min(pixel);
        }
        for (lightest, &pixel) in self.lightest.iter_mut().zip(row) {
            *lightest = (*lightest).max(pixel);
        }
    }

    /// The blocks from left to right. A block that extends beyond the edge is shifted to the last eight columns.
    fn blocks(&self) -> impl Iterator<Item = BlockStats> {
        let all = |from: usize| {
            let columns = from..from + BLOCK;
            Some(BlockStats {
                sum: self.sum.get(columns.clone())?.iter().copied().map(u32::from).sum(),
                darkest: self.darkest.get(columns.clone())?.iter().copied().min()?,
                lightest: self.lightest.get(columns)?.iter().copied().max()?,
            })
        };
        let last = self.sum.len().saturating_sub(BLOCK);
        (0..self.sum.len()).step_by(BLOCK).filter_map(move |from| all(from.min(last)))
    }
}

/// Luma statistics of one block.
struct BlockStats {
    sum: u32,
    darkest: u8,
    lightest: u8,
}

impl BlockStats {
    /// The black point of the block. A flat block counts as paper, unless the black point of its neighbours shows
    /// ink.
    fn black_point(&self, neighbours: Option<u32>) -> u8 {
        if self.lightest.saturating_sub(self.darkest) > FLAT_RANGE_MAX {
            return narrow(self.sum / 64);
        }
        match neighbours {
            Some(point) if u32::from(self.darkest) < point => narrow(point),
            Some(_) | None => self.darkest / 2,
        }
    }
}

/// The mean black point of the 5 × 5 blocks around each block; at the edges, of the nearest 5 × 5 blocks.
fn means(points: &[u8], blocks: usize, rows: usize) -> Vec<u8> {
    let mut means = Vec::with_capacity(points.len());
    for y in 0..rows {
        let top = y.clamp(2, rows - 3) - 2;
        let mut columns = vec![0_u32; blocks];
        for row in points.chunks_exact(blocks).skip(top).take(5) {
            for (column, &point) in columns.iter_mut().zip(row) {
                *column += u32::from(point);
            }
        }
        for x in 0..blocks {
            let left = x.clamp(2, blocks - 3) - 2;
            let sum: u32 = columns.iter().skip(left).take(5).sum();
            means.push(narrow(sum / 25));
        }
    }
    means
}

/// Converts a mean of bytes to a byte.
fn narrow(mean: u32) -> u8 {
    u8::try_from(mean).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rxing::common::HybridBinarizer;
    use rxing::{Binarizer as _, Luma8Source};

    use super::*;

    /// Only for sides that are multiples of 8: in partial blocks `rxing` thresholds some pixels twice, and a pixel
    /// is dark if either result is.
    fn rxings(frame: &LumaFrame) -> BitMatrix {
        let source = Luma8Source::new_with_slice(frame.luma(), frame.width(), frame.height()).unwrap();
        HybridBinarizer::new(source).get_black_matrix().unwrap().clone()
    }

    proptest! {
        #[test]
        fn threshold_bits_match_rxing(
            (width, height) in (5_u32..20, 5_u32..20),
            (base, spread) in (0_u32..200, 1_u32..120),
            seed in any::<u32>(),
        ) {
            let (width, height) = (width * 8, height * 8);
            let mut state = seed | 1;
            let luma = (0..width * height)
                .map(|_| {
                    state ^= state << 13;
                    state ^= state >> 17;
                    state ^= state << 5;
                    u8::try_from((base + state % spread).min(255)).unwrap()
                })
                .collect();
            let frame = LumaFrame::new(width, height, luma).unwrap();
            prop_assert!(threshold(&frame).unwrap() == rxings(&frame));
        }

        #[test]
        fn partial_edge_blocks_are_thresholded_like_the_rest(width in 40_u32..90, height in 40_u32..90) {
            let luma = (0..width * height).map(|at| if (at % width / 4 + at / width / 4) % 2 == 0 { 30 } else { 220 }).collect();
            let frame = LumaFrame::new(width, height, luma).unwrap();
            let matrix = threshold(&frame).unwrap();
            for y in 0..height {
                for x in 0..width {
                    prop_assert_eq!(matrix.get(x, y), (x / 4 + y / 4) % 2 == 0, "{},{}", x, y);
                }
            }
        }
    }
}
