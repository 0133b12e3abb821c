//! Pictures without a code: noise, weaves, print, and random modules between finder patterns.

use code_reader::LumaFrame;

use crate::scene::NoiseRng;

/// Kinds of texture.
pub(crate) const KINDS: u32 = 8;

/// A frame of noise and texture; a different one for each number.
pub(crate) fn frame(number: u32, width: u32, height: u32) -> LumaFrame {
    let mut noise = NoiseRng(number.wrapping_mul(2_654_435_761));
    noise.next();
    let (kind, size) = (number % KINDS, noise.next() % 8 + 1);
    let (dark, light) = (noise.next() % 100, noise.next() % 100 + 140);
    let slant = noise.next() % 5;
    let seed = noise.next();
    let random = |x: u32, y: u32| hash(x.wrapping_mul(31_337) ^ y.wrapping_mul(6_971) ^ seed << 8);
    let (left, top) = (noise.next() % 40, noise.next() % 30);
    let module = (noise.next() % 4 + 2, 21 + noise.next() % 3 * 4);
    let is_dark = |x: u32, y: u32| match kind {
        // Noise, with grains from pixel to module size.
        0 | 1 => random(x / size, y / size).is_multiple_of(2),
        // Grains: sparse and dense.
        2 => random(x / size, y / size) % 10 < slant * 2,
        // A weave, and slanted stripes, with flaws.
        3 => (x / size + y / size).is_multiple_of(2) ^ random(x / size, y / size).is_multiple_of(40),
        4 => ((x + y * slant) / size).is_multiple_of(3) ^ random(x / 9, y / 9).is_multiple_of(30),
        // Lines of print.
        5 => !(y / (size + 2)).is_multiple_of(3) && random(x / size, y / (size + 2)) % 5 < 2,
        // Finder and timing patterns of a code with random modules between them.
        6 | 7 => modules_without_meaning(x, y, (left, top), module, random),
        _ => false,
    };
    let luma = (0..width * height)
        .map(|at| {
            let shade = if is_dark(at % width, at / width) { dark } else { light };
            u8::try_from((shade + noise.next() % 16).min(255)).unwrap_or(u8::MAX)
        })
        .collect();
    LumaFrame::new(width, height, luma).expect("a frame of this size")
}

fn modules_without_meaning(
    x: u32,
    y: u32,
    (left, top): (u32, u32),
    (pixels, side): (u32, u32),
    random: impl Fn(u32, u32) -> u32,
) -> bool {
    let (Some(x), Some(y)) = (x.checked_sub(left), y.checked_sub(top)) else { return false };
    let (column, row) = (x / pixels, y / pixels);
    if column >= side || row >= side {
        return false;
    }
    let near = |place: u32| if place < 8 { Some(place) } else { None };
    let far = |place: u32| place.checked_sub(side - 8).map(|place| 7 - place);
    let corner = match (near(column), near(row), far(column), far(row)) {
        (Some(column), Some(row), ..) | (_, Some(row), Some(column), _) | (Some(column), _, _, Some(row)) => {
            Some((column, row))
        }
        _ => None,
    };
    match corner {
        Some((column, row)) => {
            let ring = column.abs_diff(3).max(row.abs_diff(3));
            ring != 2 && ring < 4
        }
        None if column == 6 || row == 6 => (column + row).is_multiple_of(2),
        None => random(column, row).is_multiple_of(2),
    }
}

/// Pseudo-random bits from `bits`.
fn hash(mut bits: u32) -> u32 {
    for _ in 0..2 {
        bits = (bits ^ bits >> 16).wrapping_mul(0x45D9_F3B3);
    }
    bits ^ bits >> 16
}
