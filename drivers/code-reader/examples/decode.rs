//! Decodes pictures from files: `decode IMAGE…` prints one line each, the path, the text, and the CPU time in
//! milliseconds, separated by tabs. A text is escaped (`\n \r \t \\`); `-` means that no code was read.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use code_reader::{Decoder, Frame};
use rustix::time::{ClockId, clock_gettime};

/// What one picture may cost; a camera frame gets less.
const BUDGET: Duration = Duration::from_millis(400);

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for path in std::env::args_os().skip(1) {
        let (text, milliseconds) = decode(Path::new(&path));
        writeln!(out, "{}\t{text}\t{milliseconds:.2}", Path::new(&path).display())?;
    }
    Ok(())
}

/// The text of the first code in a picture, and what looking for it cost.
fn decode(path: &Path) -> (String, f64) {
    let Some(frame) = read(path) else { return ("-".to_owned(), 0.0) };
    let start = cpu_time();
    let look = Decoder::new().look(&frame, Instant::now() + BUDGET);
    let cost = cpu_time().saturating_sub(start);
    let text = look.codes.first().map_or_else(|| "-".to_owned(), |code| escaped(code));
    (text, cost.as_secs_f64() * 1000.0)
}

/// Reads a picture as luma; what is transparent is white.
fn read(path: &Path) -> Option<Frame> {
    let picture = image::ImageReader::open(path).ok()?.with_guessed_format().ok()?.decode().ok()?;
    let luma = picture.to_luma_alpha8();
    let on_white = |pixel: &image::LumaA<u8>| {
        let [luma, alpha] = pixel.0.map(u32::from);
        u8::try_from((luma * alpha + 255 * (255 - alpha)) / 255).unwrap_or(u8::MAX)
    };
    Frame::new(luma.width(), luma.height(), luma.pixels().map(on_white).collect())
}

fn escaped(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t")
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}
