//! A serial or USB-CDC code scanner.

use std::io::Read as _;
use std::time::{Duration, Instant};

use code_reader::{Hold, Lines};
use device::record::{self, Recorder};
use device::wire::{Answer, CODE_MAX, Event, Fault, Health, ScannerLine, Work};
use serialport::SerialPort;

use crate::desk::{Desk, Gone};

/// One look at the line; an order waits no longer than this.
const READ: Duration = Duration::from_millis(20);
/// Before the line is opened again.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs until the kiosk is gone.
pub(crate) fn run(desk: &Desk, recorder: &Recorder, tty: &str, baud: u32, line: &ScannerLine) {
    // These outlive the line: a scanner that is plugged in again goes on as it was told.
    let mut scanning = true;
    let mut hold = Hold::new();
    loop {
        if let Err(Gone) = serve(desk, recorder, tty, baud, line, &mut scanning, &mut hold) {
            return;
        }
        if desk.health(Health::Absent).is_err() || desk.away(PAUSE).is_err() {
            return;
        }
    }
}

/// Comes back with `Ok` when the scanner is unplugged.
fn serve(
    desk: &Desk,
    recorder: &Recorder,
    tty: &str,
    baud: u32,
    line: &ScannerLine,
    scanning: &mut bool,
    hold: &mut Hold,
) -> Result<(), Gone> {
    let Ok(mut port) = serialport::new(tty, baud).timeout(READ).open() else { return Ok(()) };
    if trigger(port.as_mut(), line, *scanning).is_err() {
        return Ok(());
    }
    desk.health(Health::Ready)?;
    let gap = Duration::from_millis(line.gap_ms.into());
    let mut lines = Lines::new(line.end, CODE_MAX);
    let mut last = Instant::now();
    let mut chunk = zeroize::Zeroizing::new([0; 512]);
    loop {
        while let Some((ticket, work)) = desk.order(Duration::ZERO)? {
            let answer = if let Work::Scan(on) = work {
                if trigger(port.as_mut(), line, on).is_err() {
                    desk.answer(ticket, Err(Fault::Unavailable))?;
                    return Ok(());
                }
                *scanning = on;
                Ok(Answer::Scanning(on))
            } else {
                Err(Fault::NotMine)
            };
            desk.answer(ticket, answer)?;
        }
        let codes = match port.read(&mut chunk[..]) {
            Ok(0) => return Ok(()),
            Ok(read) => {
                last = Instant::now();
                let bytes = chunk.get(..read).unwrap_or_default();
                record::scanner::heard(recorder, bytes);
                lines.take(bytes)
            }
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {
                if last.elapsed() >= gap {
                    lines.pause().into_iter().collect()
                } else {
                    Vec::new()
                }
            }
            Err(_) => return Ok(()),
        };
        // A scanner that lies on a stand sends a code again and again for as long as it is held there.
        let seen = codes.into_iter().map(|mut code| std::mem::take(&mut *code)).collect();
        for code in hold.fresh(seen, Instant::now()).into_iter().filter(|_| *scanning) {
            desk.event(Event::Code(code.into()))?;
        }
    }
}

/// Tells the scanner to look for codes or to stop, if it is one that wants to be told.
fn trigger(port: &mut dyn SerialPort, line: &ScannerLine, on: bool) -> std::io::Result<()> {
    port.write_all(if on { &line.start } else { &line.stop })
}
