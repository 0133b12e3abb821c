//! Counts false positives: `noise FIRST COUNT` decodes COUNT frames of noise and texture, starting with number
//! FIRST, and prints how many texts were found, which must be none. The tests include a sample of these frames.

#[path = "../../tests/it/scene.rs"]
#[allow(dead_code, clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]
mod scene;
#[path = "../../tests/it/texture.rs"]
mod texture;

use std::io::Write as _;
use std::time::{Duration, Instant};

use code_reader::Decoder;

/// Large, so that no costly pass is skipped on a busy machine.
const BUDGET: Duration = Duration::from_secs(5);
/// Most frames have the size of a cropped code, some that of a whole picture.
const SMALL: (u32, u32) = (192, 144);
const LARGE: (u32, u32) = (640, 480);
const LARGE_EVERY: u32 = 100;
/// Frames between two lines of progress.
const REPORT_EVERY: u32 = 10_000;

fn main() -> std::io::Result<()> {
    let mut numbers = std::env::args().skip(1).map(|number| number.parse::<u32>().unwrap_or(0));
    let (first, count) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(10_000));
    let mut out = std::io::stdout().lock();
    let mut decoder = Decoder::new();
    let mut texts = 0;
    for shown in 0..count {
        let number = first + shown;
        let (width, height) = if number.is_multiple_of(LARGE_EVERY) { LARGE } else { SMALL };
        let codes = decoder.decode(&texture::frame(number, width, height), Instant::now() + BUDGET).codes;
        for code in &codes {
            writeln!(out, "frame {number}: {:?}", String::from_utf8_lossy(code))?;
        }
        texts += codes.len();
        if (shown + 1).is_multiple_of(REPORT_EVERY) || shown + 1 == count {
            writeln!(out, "{} frames, {texts} texts", shown + 1)?;
            out.flush()?;
        }
    }
    Ok(())
}
