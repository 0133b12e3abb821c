//! Emulated code scanner behind a pty: sends a presented code as a line of text.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::faults::{Bent, Device, FLOOD, Faults, Kind, bend, scanner as steps};
use crate::port::{FarSide, Port};

/// Pause within a code, longer than any real scanner makes.
const PAUSE: Duration = Duration::from_millis(400);
/// Interval at which a scanner in continuous mode repeats the code.
const AGAIN: Duration = Duration::from_millis(100);
/// Text of a misread: a code that was not presented.
const MISREAD: &[u8] = b"6901234567892";

/// The scanner, reached by a symbolic link to a pty.
pub struct VirtualScanner {
    held: Arc<Mutex<Option<Vec<u8>>>>,
    _port: Port,
}

impl VirtualScanner {
    /// Emulates a scanner on a pty whose symbolic link is created at `link`.
    ///
    /// # Errors
    /// When no pty can be opened, or the path exists and is no symbolic link.
    pub fn plug_in(link: &Path, faults: Faults) -> std::io::Result<Self> {
        let held = Arc::default();
        let gun = Gun { held: Arc::clone(&held), sent: None, faults };
        Ok(Self { held, _port: Port::plug_in(link, gun)? })
    }

    /// Presents a code to the scanner, or removes it.
    pub fn show(&self, text: Option<&str>) {
        *locked(&self.held) = text.map(|text| text.as_bytes().to_vec());
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The scanner's firmware: sends a presented code once.
struct Gun {
    held: Arc<Mutex<Option<Vec<u8>>>>,
    sent: Option<(Vec<u8>, Instant)>,
    faults: Faults,
}

impl FarSide for Gun {
    fn take(&mut self, _: &[u8]) -> Vec<Bent> {
        let Some(text) = locked(&self.held).clone() else {
            self.sent = None;
            return Vec::new();
        };
        if let Some((sent, at)) = &self.sent
            && *sent == text
            && !(at.elapsed() >= AGAIN && self.faults.at(&steps::REPEATING).is_some())
        {
            return Vec::new();
        }
        self.sent = Some((text.clone(), Instant::now()));
        let mut responses = match self.faults.at(&steps::TEXT) {
            Some(Kind::Delay) => {
                let (head, tail) = text.split_at(text.len() / 2);
                let plain = |bytes: &[u8]| Bent { bytes: bytes.to_vec(), ..Bent::default() };
                vec![plain(head), Bent { wait: PAUSE, ..plain(tail) }]
            }
            kind => vec![bend(kind, text, MISREAD, b"#")],
        };
        // An incomplete code is sent without terminator.
        if !matches!(self.faults.at(&steps::TEXT), Some(Kind::Silence | Kind::Truncation | Kind::Flood)) {
            responses.push(match self.faults.at(&steps::TERMINATOR) {
                Some(Kind::Garbage) => Bent { bytes: vec![0xFF, 0x00, 0xFE], ..Bent::default() },
                Some(Kind::Flood) => Bent { bytes: b"\r\n".repeat(FLOOD / 2), ..Bent::default() },
                kind => bend(kind, b"\r".to_vec(), b"\x03", b""),
            });
        }
        responses
    }

    fn is_there(&self) -> bool {
        self.faults.at(&steps::UNPLUGGED).is_none() && !self.faults.is_away(Device::Scanner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scanner_with_fault(fault: &str) -> Gun {
        let faults = Faults::default();
        faults.switch(fault, true).unwrap();
        Gun { held: Arc::new(Mutex::new(Some(b"YK1:ABCDEF".to_vec()))), sent: None, faults }
    }

    fn bytes(responses: Vec<Bent>) -> Vec<u8> {
        responses.into_iter().flat_map(|bent| bent.bytes).collect()
    }

    #[test]
    fn presented_code_is_sent_once_until_presented_again() {
        let mut scanner = scanner_with_fault("scanner-unplugged");
        assert_eq!(bytes(scanner.take(&[])), b"YK1:ABCDEF\r");
        assert_eq!(bytes(scanner.take(&[])), b"");
        *locked(&scanner.held) = None;
        assert_eq!(bytes(scanner.take(&[])), b"");
        *locked(&scanner.held) = Some(b"YK1:ABCDEF".to_vec());
        assert_eq!(bytes(scanner.take(&[])), b"YK1:ABCDEF\r");
        assert!(!scanner.is_there());
    }

    #[test]
    fn each_fault_changes_line_as_documented() {
        let sent = |fault| bytes(scanner_with_fault(fault).take(&[]));
        assert_eq!(sent("scanner-text-truncation"), b"YK1:A");
        assert_eq!(sent("scanner-text-silence"), b"");
        assert_eq!(sent("scanner-terminator-silence"), b"YK1:ABCDEF");
        assert_eq!(sent("scanner-terminator-wrong-answer"), b"YK1:ABCDEF\x03");
        assert_eq!(sent("scanner-text-wrong-answer"), b"6901234567892\r");
        assert!(sent("scanner-text-flood").len() > FLOOD);
        let mut late = scanner_with_fault("scanner-text-delay");
        assert!(late.take(&[]).iter().any(|bent| bent.wait == PAUSE));
        let mut disconnected = scanner_with_fault("scanner-terminator-disconnection");
        assert!(disconnected.take(&[]).iter().any(|bent| bent.leaves));
        assert!(!disconnected.is_there());
    }
}
