//! Emulated code scanner behind a pty: sends a presented code as a line of text.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::faults::{
    EmulatedDevice, FLOOD_BYTES, FaultKind, FaultSwitches, FaultyResponse, apply_fault, scanner as steps,
};
use crate::pty::{LineEmulator, PtyPort};

/// Pause within a code, longer than any real scanner makes.
const MID_CODE_PAUSE: Duration = Duration::from_millis(400);
/// Interval at which a scanner in continuous mode repeats the code.
const REPEAT_INTERVAL: Duration = Duration::from_millis(100);
/// Text of a misread: a code that was not presented.
const MISREAD_TEXT: &[u8] = b"6901234567892";

/// The scanner, reached by a symbolic link to a pty.
pub struct EmulatedScanner {
    presented: Arc<Mutex<Option<Vec<u8>>>>,
    _port: PtyPort,
}

impl EmulatedScanner {
    /// Emulates a scanner on a pty whose symbolic link is created at `link`.
    ///
    /// # Errors
    /// When no pty can be opened, or the path exists and is no symbolic link.
    pub fn open_pty(link: &Path, faults: FaultSwitches) -> std::io::Result<Self> {
        let held = Arc::default();
        let gun = ScannerFirmware { presented: Arc::clone(&held), last_sent: None, faults };
        Ok(Self { presented: held, _port: PtyPort::open(link, gun)? })
    }

    /// Presents a code to the scanner, or removes it.
    pub fn present_code(&self, text: Option<&str>) {
        *locked(&self.presented) = text.map(|text| text.as_bytes().to_vec());
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The scanner's firmware: sends a presented code once.
struct ScannerFirmware {
    presented: Arc<Mutex<Option<Vec<u8>>>>,
    last_sent: Option<(Vec<u8>, Instant)>,
    faults: FaultSwitches,
}

impl LineEmulator for ScannerFirmware {
    fn receive(&mut self, _: &[u8]) -> Vec<FaultyResponse> {
        let Some(text) = locked(&self.presented).clone() else {
            self.last_sent = None;
            return Vec::new();
        };
        if let Some((sent, at)) = &self.last_sent
            && *sent == text
            && !(at.elapsed() >= REPEAT_INTERVAL && self.faults.hit(&steps::REPEATING).is_some())
        {
            return Vec::new();
        }
        self.last_sent = Some((text.clone(), Instant::now()));
        let mut responses = match self.faults.hit(&steps::TEXT) {
            Some(FaultKind::Delay) => {
                let (head, tail) = text.split_at(text.len() / 2);
                let plain =
                    |bytes: &[u8]| FaultyResponse { bytes: bytes.to_vec(), ..FaultyResponse::default() };
                vec![plain(head), FaultyResponse { delay: MID_CODE_PAUSE, ..plain(tail) }]
            }
            kind => vec![apply_fault(kind, text, MISREAD_TEXT, b"#")],
        };
        // An incomplete code is sent without terminator.
        if !matches!(
            self.faults.hit(&steps::TEXT),
            Some(FaultKind::Silence | FaultKind::Truncation | FaultKind::Flood)
        ) {
            responses.push(match self.faults.hit(&steps::TERMINATOR) {
                Some(FaultKind::Garbage) => {
                    FaultyResponse { bytes: vec![0xFF, 0x00, 0xFE], ..FaultyResponse::default() }
                }
                Some(FaultKind::Flood) => {
                    FaultyResponse { bytes: b"\r\n".repeat(FLOOD_BYTES / 2), ..FaultyResponse::default() }
                }
                kind => apply_fault(kind, b"\r".to_vec(), b"\x03", b""),
            });
        }
        responses
    }

    fn is_connected(&self) -> bool {
        self.faults.hit(&steps::UNPLUGGED).is_none() && !self.faults.is_disconnected(EmulatedDevice::Scanner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scanner_with_fault(fault: &str) -> ScannerFirmware {
        let faults = FaultSwitches::default();
        faults.set_active(fault, true).unwrap();
        ScannerFirmware {
            presented: Arc::new(Mutex::new(Some(b"YK1:ABCDEF".to_vec()))),
            last_sent: None,
            faults,
        }
    }

    fn bytes(responses: Vec<FaultyResponse>) -> Vec<u8> {
        responses.into_iter().flat_map(|bent| bent.bytes).collect()
    }

    #[test]
    fn presented_code_is_sent_once_until_presented_again() {
        let mut scanner = scanner_with_fault("scanner-unplugged");
        assert_eq!(bytes(scanner.receive(&[])), b"YK1:ABCDEF\r");
        assert_eq!(bytes(scanner.receive(&[])), b"");
        *locked(&scanner.presented) = None;
        assert_eq!(bytes(scanner.receive(&[])), b"");
        *locked(&scanner.presented) = Some(b"YK1:ABCDEF".to_vec());
        assert_eq!(bytes(scanner.receive(&[])), b"YK1:ABCDEF\r");
        assert!(!scanner.is_connected());
    }

    #[test]
    fn each_fault_changes_line_as_documented() {
        let sent = |fault| bytes(scanner_with_fault(fault).receive(&[]));
        assert_eq!(sent("scanner-text-truncation"), b"YK1:A");
        assert_eq!(sent("scanner-text-silence"), b"");
        assert_eq!(sent("scanner-terminator-silence"), b"YK1:ABCDEF");
        assert_eq!(sent("scanner-terminator-wrong-answer"), b"YK1:ABCDEF\x03");
        assert_eq!(sent("scanner-text-wrong-answer"), b"6901234567892\r");
        assert!(sent("scanner-text-flood").len() > FLOOD_BYTES);
        let mut late = scanner_with_fault("scanner-text-delay");
        assert!(late.receive(&[]).iter().any(|bent| bent.delay == MID_CODE_PAUSE));
        let mut disconnected = scanner_with_fault("scanner-terminator-disconnection");
        assert!(disconnected.receive(&[]).iter().any(|bent| bent.disconnects));
        assert!(!disconnected.is_connected());
    }
}
