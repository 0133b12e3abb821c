//! A serial or USB-CDC code scanner.

use std::time::{Duration, Instant};

use code_reader::{CodeSplitter, CodeTracker};
use device::record::{self, Recorder};
use device::wire::{
    CODE_MAX, DeviceAnswer, DeviceEvent, DeviceFault, DeviceHealth, DeviceWork, ScannerConfig,
};
use serial_link::{FlowControl, Link as _, LinkFault, SerialLink};

use crate::host::{DeviceHost, KioskDisconnected};

/// Longest wait for bytes of the scanner, or until it takes a command, and thereby the longest delay of a request.
const LINE_TIMEOUT: Duration = Duration::from_millis(20);
/// Pause before the serial line is opened again.
const REOPEN_PAUSE: Duration = Duration::from_secs(1);

/// Runs until the kiosk closes the connection.
pub(crate) fn run(host: &DeviceHost, recorder: &Recorder, tty: &str, baud: u32, line: &ScannerConfig) {
    // Kept while the serial line is closed: a scanner that is plugged in again continues in its last state.
    let mut scanning = true;
    let mut hold = CodeTracker::new();
    loop {
        if let Err(KioskDisconnected) = serve(host, recorder, tty, baud, line, &mut scanning, &mut hold) {
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
    scanning: &mut bool,
    hold: &mut CodeTracker,
) -> Result<(), KioskDisconnected> {
    let Ok(mut link) = SerialLink::open(tty, baud, FlowControl::None) else { return Ok(()) };
    if set_trigger(&mut link, line, *scanning).is_err() {
        return Ok(());
    }
    host.report_health(DeviceHealth::Ready)?;
    let gap = Duration::from_millis(line.gap_ms.into());
    let mut lines = CodeSplitter::new(line.end, CODE_MAX);
    let mut last = Instant::now();
    let mut chunk = zeroize::Zeroizing::new([0; 512]);
    loop {
        while let Some((id, work)) = host.next_request(Duration::ZERO)? {
            let answer = if let DeviceWork::SetScanning(on) = work {
                if set_trigger(&mut link, line, on).is_err() {
                    host.send_answer(id, Err(DeviceFault::Unavailable))?;
                    return Ok(());
                }
                *scanning = on;
                Ok(DeviceAnswer::Scanning(on))
            } else {
                Err(DeviceFault::Unsupported)
            };
            host.send_answer(id, answer)?;
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
        for code in hold.new_codes(codes, Instant::now()).into_iter().filter(|_| *scanning) {
            host.send_event(DeviceEvent::Code(code.into()))?;
        }
    }
}

/// Sends the scanner its start or stop command, if one is configured.
fn set_trigger(link: &mut SerialLink, line: &ScannerConfig, on: bool) -> Result<(), LinkFault> {
    link.write_all(if on { &line.start } else { &line.stop }, LINE_TIMEOUT)
}
