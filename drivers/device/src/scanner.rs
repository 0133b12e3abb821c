//! A serial or USB-CDC code scanner.

use std::io::Read as _;
use std::time::{Duration, Instant};

use code_reader::{Hold, Lines};
use device::record::{self, Recorder};
use device::wire::{Answer, CODE_MAX, Event, Fault, Health, ScannerLine, Work};
use serialport::SerialPort;

use crate::desk::{Desk, Gone};

/// Longest wait for bytes of the scanner, and thereby the longest delay of a request.
const READ: Duration = Duration::from_millis(20);
/// Pause before the serial line is opened again.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs until the kiosk closes the connection.
pub(crate) fn run(host: &Desk, recorder: &Recorder, tty: &str, baud: u32, line: &ScannerLine) {
    // Kept while the serial line is closed: a scanner that is plugged in again continues in its last state.
    let mut scanning = true;
    let mut hold = Hold::new();
    loop {
        if let Err(Gone) = serve(host, recorder, tty, baud, line, &mut scanning, &mut hold) {
            return;
        }
        if host.health(Health::Absent).is_err() || host.away(PAUSE).is_err() {
            return;
        }
    }
}

/// Returns `Ok` when the scanner is unplugged.
fn serve(
    host: &Desk,
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
    host.health(Health::Ready)?;
    let gap = Duration::from_millis(line.gap_ms.into());
    let mut lines = Lines::new(line.end, CODE_MAX);
    let mut last = Instant::now();
    let mut chunk = zeroize::Zeroizing::new([0; 512]);
    loop {
        while let Some((id, work)) = host.order(Duration::ZERO)? {
            let answer = if let Work::Scan(on) = work {
                if trigger(port.as_mut(), line, on).is_err() {
                    host.answer(id, Err(Fault::Unavailable))?;
                    return Ok(());
                }
                *scanning = on;
                Ok(Answer::Scanning(on))
            } else {
                Err(Fault::NotMine)
            };
            host.answer(id, answer)?;
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
        // A scanner on a stand sends a code repeatedly for as long as the code is held in front of it.
        let codes = codes.into_iter().map(|mut code| std::mem::take(&mut *code)).collect();
        for code in hold.fresh(codes, Instant::now()).into_iter().filter(|_| *scanning) {
            host.event(Event::Code(code.into()))?;
        }
    }
}

/// Sends the scanner its start or stop command, if one is configured.
fn trigger(port: &mut dyn SerialPort, line: &ScannerLine, on: bool) -> std::io::Result<()> {
    port.write_all(if on { &line.start } else { &line.stop })
}
