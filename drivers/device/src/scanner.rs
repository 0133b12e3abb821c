//! A serial or USB-CDC code scanner.

use std::time::{Duration, Instant};

use code_reader::{CodeSplitter, CodeTracker};
use device::record::{self, Recorder};
use device::wire::{CODE_MAX, DeviceEvent, DeviceFault, DeviceHealth, ScannerConfig};
use serial_link::{FlowControl, Link as _, LinkFault, SerialLink};

use crate::host::{DeviceHost, KioskDisconnected};

/// Longest wait for bytes of the scanner, or until it takes a command, and thereby the longest delay of a request.
const LINE_TIMEOUT: Duration = Duration::from_millis(20);
/// Pause before the serial line is opened again.
const REOPEN_PAUSE: Duration = Duration::from_secs(1);

/// Runs until the kiosk closes the connection.
pub(crate) fn run(host: &DeviceHost, recorder: &Recorder, tty: &str, baud: u32, line: &ScannerConfig) {
    // Kept while the serial line is closed: a code that is still held to the scanner is not reported again.
    let mut hold = CodeTracker::new();
    loop {
        if let Err(KioskDisconnected) = serve(host, recorder, tty, baud, line, &mut hold) {
            return;
        }
        if host.report_health(DeviceHealth::Absent).is_err() || host.refuse_requests(REOPEN_PAUSE).is_err() {
            return;
        }
    }
}

/// Returns `Ok` when the scanner is unplugged.
fn serve(
    host: &DeviceHost,
    recorder: &Recorder,
    tty: &str,
    baud: u32,
    line: &ScannerConfig,
    hold: &mut CodeTracker,
) -> Result<(), KioskDisconnected> {
    let Ok(mut link) = SerialLink::open(tty, baud, FlowControl::None) else { return Ok(()) };
    if link.write_all(&line.start, LINE_TIMEOUT).is_err() {
        return Ok(());
    }
    host.report_health(DeviceHealth::Ready)?;
    let gap = Duration::from_millis(line.gap_ms.into());
    let mut lines = CodeSplitter::new(line.end, CODE_MAX);
    let mut last = Instant::now();
    let mut chunk = zeroize::Zeroizing::new([0; 512]);
    loop {
        while let Some((id, _)) = host.next_request(Duration::ZERO)? {
            host.send_answer(id, Err(DeviceFault::Unsupported))?;
        }
        let codes = match link.read_some(&mut chunk[..], LINE_TIMEOUT) {
            Ok(read) => {
                last = Instant::now();
                let bytes = chunk.get(..read).unwrap_or_default();
                record::scanner::record_bytes(recorder, bytes);
                lines.push_bytes(bytes)
            }
            Err(LinkFault::TimedOut) => {
                if last.elapsed() >= gap {
                    lines.on_pause().into_iter().collect()
                } else {
                    Vec::new()
                }
            }
            Err(LinkFault::Absent | LinkFault::Busy | LinkFault::Gone | LinkFault::Failed(_)) => {
                return Ok(());
            }
        };
        // A scanner on a stand sends a code repeatedly for as long as the code is held in front of it.
        let codes = codes.into_iter().map(|mut code| std::mem::take(&mut *code)).collect();
        for code in hold.new_codes(codes, Instant::now()) {
            host.send_event(DeviceEvent::Code(code.into()))?;
        }
    }
}
