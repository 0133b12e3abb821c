//! A code scanner behind a pty: a code held before it comes as a line of text.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::faults::{Bent, Device, FLOOD, Faults, Kind, bend, scanner as steps};
use crate::port::{FarSide, Port};

/// A pause that no scanner makes within a code.
const PAUSE: Duration = Duration::from_millis(400);
/// How often a scanner in continuous mode sends what it sees.
const AGAIN: Duration = Duration::from_millis(100);
/// Text of a code that nobody holds there.
const MISREAD: &[u8] = b"6901234567892";

/// The scanner. Its port is a symbolic link to the pty.
pub struct VirtualScanner {
    held: Arc<Mutex<Option<Vec<u8>>>>,
    _port: Port,
}

impl VirtualScanner {
    /// Plugs a scanner in at this path.
    ///
    /// # Errors
    /// When no pty can be had, or the path is taken by something else than a link.
    pub fn plug_in(link: &Path, faults: Faults) -> std::io::Result<Self> {
        let held = Arc::default();
        let gun = Gun { held: Arc::clone(&held), sent: None, faults };
        Ok(Self { held, _port: Port::plug_in(link, gun)? })
    }

    /// Holds a code before it, or takes it away.
    pub fn show(&self, text: Option<&str>) {
        *locked(&self.held) = text.map(|text| text.as_bytes().to_vec());
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The device's program: sends what is held once.
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
        let mut said = match self.faults.at(&steps::TEXT) {
            Some(Kind::Delay) => {
                let (head, tail) = text.split_at(text.len() / 2);
                let plain = |bytes: &[u8]| Bent { bytes: bytes.to_vec(), ..Bent::default() };
                vec![plain(head), Bent { wait: PAUSE, ..plain(tail) }]
            }
            kind => vec![bend(kind, text, MISREAD, b"#")],
        };
        // What is not sent to its end has none.
        if !matches!(self.faults.at(&steps::TEXT), Some(Kind::Silence | Kind::Truncation | Kind::Flood)) {
            said.push(match self.faults.at(&steps::TERMINATOR) {
                Some(Kind::Garbage) => Bent { bytes: vec![0xFF, 0x00, 0xFE], ..Bent::default() },
                Some(Kind::Flood) => Bent { bytes: b"\r\n".repeat(FLOOD / 2), ..Bent::default() },
                kind => bend(kind, b"\r".to_vec(), b"\x03", b""),
            });
        }
        said
    }

    fn is_there(&self) -> bool {
        self.faults.at(&steps::UNPLUGGED).is_none() && !self.faults.is_away(Device::Scanner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gun(fault: &str) -> Gun {
        let faults = Faults::default();
        faults.switch(fault, true).unwrap();
        Gun { held: Arc::new(Mutex::new(Some(b"YK1:ABCDEF".to_vec()))), sent: None, faults }
    }

    fn bytes(said: Vec<Bent>) -> Vec<u8> {
        said.into_iter().flat_map(|bent| bent.bytes).collect()
    }

    #[test]
    fn a_held_code_comes_once_and_again_when_it_was_taken_away() {
        let mut gun = gun("scanner-unplugged");
        assert_eq!(bytes(gun.take(&[])), b"YK1:ABCDEF\r");
        assert_eq!(bytes(gun.take(&[])), b"");
        *locked(&gun.held) = None;
        assert_eq!(bytes(gun.take(&[])), b"");
        *locked(&gun.held) = Some(b"YK1:ABCDEF".to_vec());
        assert_eq!(bytes(gun.take(&[])), b"YK1:ABCDEF\r");
        assert!(!gun.is_there());
    }

    #[test]
    fn each_fault_spoils_the_line_in_its_own_way() {
        let spoilt = |fault| bytes(gun(fault).take(&[]));
        assert_eq!(spoilt("scanner-text-truncation"), b"YK1:A");
        assert_eq!(spoilt("scanner-text-silence"), b"");
        assert_eq!(spoilt("scanner-terminator-silence"), b"YK1:ABCDEF");
        assert_eq!(spoilt("scanner-terminator-wrong-answer"), b"YK1:ABCDEF\x03");
        assert_eq!(spoilt("scanner-text-wrong-answer"), b"6901234567892\r");
        assert!(spoilt("scanner-text-flood").len() > FLOOD);
        let mut late = gun("scanner-text-delay");
        assert!(late.take(&[]).iter().any(|bent| bent.wait == PAUSE));
        let mut left = gun("scanner-terminator-disconnection");
        assert!(left.take(&[]).iter().any(|bent| bent.leaves));
        assert!(!left.is_there());
    }
}
