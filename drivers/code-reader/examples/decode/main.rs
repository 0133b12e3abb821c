//! Decodes pictures from files: `decode IMAGE…` prints one line each, the path, the text, and the CPU time in
//! milliseconds, separated by tabs. A text is escaped (`\n \r \t \\`); `-` means that no code was read.

mod picture;

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use code_reader::Decoder;
use rustix::time::{ClockId, clock_gettime};

/// Time budget of one picture, sufficient on a busy machine too; a camera frame gets less.
const BUDGET: Duration = Duration::from_secs(2);

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for path in std::env::args_os().skip(1) {
        let (text, milliseconds) = decode(Path::new(&path));
        writeln!(out, "{}\t{text}\t{milliseconds:.2}", Path::new(&path).display())?;
    }
    Ok(())
}

/// The text of the first code in a picture, and the CPU time in milliseconds.
fn decode(path: &Path) -> (String, f64) {
    let Some(frame) = picture::read(path) else { return ("-".to_owned(), 0.0) };
    let start = cpu_time();
    let look = Decoder::new().decode(&frame, Instant::now() + BUDGET);
    let cost = cpu_time().saturating_sub(start);
    let text = look.codes.first().map_or_else(|| "-".to_owned(), |code| picture::escaped(code));
    (text, cost.as_secs_f64() * 1000.0)
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}
