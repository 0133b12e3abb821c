//! A serial or USB-CDC code scanner: a code is what comes up to CR, LF, or a pause.

use std::io::Read as _;
use std::time::{Duration, Instant};

use device::wire::{Answer, CODE_MAX, Event, Fault, Health, Work};
use zeroize::Zeroizing;

use crate::desk::{Desk, Gone};

/// A pause this long ends a code that has no terminator.
const GAP: Duration = Duration::from_millis(80);
/// One look at the line; an order waits no longer than this.
const READ: Duration = Duration::from_millis(20);
/// Before the line is opened again.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs until the kiosk is gone.
pub(crate) fn run(desk: &Desk, tty: &str, baud: u32) {
    loop {
        if let Err(Gone) = serve(desk, tty, baud) {
            return;
        }
        if desk.health(Health::Absent).is_err() || desk.away(PAUSE).is_err() {
            return;
        }
    }
}

/// Comes back with `Ok` when the scanner is unplugged.
fn serve(desk: &Desk, tty: &str, baud: u32) -> Result<(), Gone> {
    let Ok(mut port) = serialport::new(tty, baud).timeout(READ).open() else { return Ok(()) };
    desk.health(Health::Ready)?;
    let mut lines = Lines::default();
    let (mut scanning, mut last) = (true, Instant::now());
    let mut chunk = [0; 512];
    loop {
        while let Some((ticket, work)) = desk.order(Duration::ZERO)? {
            let answer = match work {
                Work::Scan(on) => {
                    scanning = on;
                    Ok(Answer::Scanning(on))
                }
                Work::VerifyPin(_) | Work::Print(_) => Err(Fault::NotMine),
            };
            desk.answer(ticket, answer)?;
        }
        let codes = match port.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(read) => {
                last = Instant::now();
                lines.take(chunk.get(..read).unwrap_or_default())
            }
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {
                if last.elapsed() >= GAP {
                    lines.end().into_iter().collect()
                } else {
                    Vec::new()
                }
            }
            Err(_) => return Ok(()),
        };
        for code in codes.into_iter().filter(|_| scanning) {
            desk.event(Event::Code(code))?;
        }
    }
}

/// Cuts the stream into codes.
struct Lines {
    begun: Zeroizing<Vec<u8>>,
    /// The code is longer than any: it is dropped to its end.
    overlong: bool,
}

impl Default for Lines {
    fn default() -> Self {
        Self { begun: Self::room(), overlong: false }
    }
}

impl Lines {
    /// Room for the longest code: growing would leave copies behind in freed memory.
    fn room() -> Zeroizing<Vec<u8>> {
        Zeroizing::new(Vec::with_capacity(CODE_MAX))
    }

    fn take(&mut self, bytes: &[u8]) -> Vec<Zeroizing<Vec<u8>>> {
        let mut codes = Vec::new();
        for byte in bytes {
            if matches!(byte, b'\r' | b'\n') {
                codes.extend(self.end());
            } else if self.begun.len() < CODE_MAX {
                self.begun.push(*byte);
            } else {
                self.overlong = true;
            }
        }
        codes
    }

    fn end(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        let overlong = std::mem::take(&mut self.overlong);
        if self.begun.is_empty() {
            return None;
        }
        let code = std::mem::replace(&mut self.begun, Self::room());
        (!overlong).then_some(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(codes: Vec<Zeroizing<Vec<u8>>>) -> Vec<String> {
        codes.iter().map(|code| String::from_utf8(code.to_vec()).unwrap()).collect()
    }

    #[test]
    fn every_terminator_ends_a_code_once() {
        let mut lines = Lines::default();
        assert_eq!(texts(lines.take(b"A1\rB2\nC3\r\nD")), ["A1", "B2", "C3"]);
        assert_eq!(texts(lines.end().into_iter().collect()), ["D"]);
        assert!(lines.end().is_none());
    }

    #[test]
    fn a_code_may_be_as_long_as_any_and_no_longer() {
        let mut lines = Lines::default();
        assert_eq!(lines.take(&vec![b'x'; CODE_MAX]).len() + usize::from(lines.end().is_some()), 1);
        lines.take(&vec![b'x'; CODE_MAX + 1]);
        assert!(lines.end().is_none());
    }

    #[test]
    fn a_flood_is_dropped_to_its_end_and_the_next_code_comes_through() {
        let mut lines = Lines::default();
        assert!(lines.take(&vec![b'x'; CODE_MAX + 50]).is_empty());
        assert_eq!(texts(lines.take(b"xx\rnext\r")), ["next"]);
    }
}
