//! Emulated relay board behind a pty, with two lights and a buzzer: accepts the four-byte commands of an LCUS board,
//! and sends nothing.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::faults::{FaultSwitches, FaultyResponse, garbage_bytes, signal as steps};
use crate::pty::{LineEmulator, PtyPort};

/// Number of relays of the board.
const RELAY_COUNT: usize = 8;
const START_BYTE: u8 = 0xA0;

/// The board, reached by a symbolic link to a pty.
pub struct EmulatedRelayBoard {
    states: Arc<Mutex<RelayStates>>,
    _port: PtyPort,
}

/// The states of all relays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RelayStates {
    /// Whether each relay is closed, from the first.
    pub closed: [bool; RELAY_COUNT],
    /// How often each relay changed from open to closed since the board was created.
    pub close_counts: [u32; RELAY_COUNT],
}

impl EmulatedRelayBoard {
    /// Emulates a board on a pty whose symbolic link is created at `link`.
    ///
    /// # Errors
    /// When no pty can be opened, or the path exists and is no symbolic link.
    pub fn open_pty(link: &Path, faults: FaultSwitches) -> std::io::Result<Self> {
        let board = Arc::default();
        let firmware = RelayBoardFirmware { states: Arc::clone(&board), received: Vec::new(), faults };
        Ok(Self { states: board, _port: PtyPort::open(link, firmware)? })
    }

    /// The current states of the relays.
    #[must_use]
    pub fn states(&self) -> RelayStates {
        *locked(&self.states)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The board's firmware.
struct RelayBoardFirmware {
    states: Arc<Mutex<RelayStates>>,
    received: Vec<u8>,
    faults: FaultSwitches,
}

impl LineEmulator for RelayBoardFirmware {
    fn receive(&mut self, bytes: &[u8]) -> Vec<FaultyResponse> {
        self.received.extend_from_slice(bytes);
        let mut used = 0;
        while let Some([head, relay, on, sum]) = self.received.get(used..used + 4) {
            let valid = *head == START_BYTE && *sum == head.wrapping_add(*relay).wrapping_add(*on);
            if !valid {
                used += 1;
                continue;
            }
            let mut board = locked(&self.states);
            let RelayStates { closed, close_counts: times } = &mut *board;
            let at = usize::from(relay.wrapping_sub(1));
            if let (Some(closed), Some(times)) = (closed.get_mut(at), times.get_mut(at)) {
                *times += u32::from(*on == 1 && !*closed);
                *closed = *on == 1;
            }
            used += 4;
        }
        self.received.drain(..used);
        match self.faults.hit(&steps::UNSOLICITED_BYTES) {
            Some(_) => vec![FaultyResponse { bytes: garbage_bytes(64), ..FaultyResponse::default() }],
            None => Vec::new(),
        }
    }

    fn accepts_input(&self) -> bool {
        self.faults.hit(&steps::STALLED).is_none()
    }

    fn is_connected(&self) -> bool {
        self.faults.hit(&steps::UNPLUGGED).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_commands_switch_relays_and_others_are_ignored() {
        let mut chip = RelayBoardFirmware {
            states: Arc::default(),
            received: Vec::new(),
            faults: FaultSwitches::default(),
        };
        chip.receive(&[0x00, 0xA0, 0x01]);
        chip.receive(&[0x01, 0xA2, 0xA0, 0x02, 0x01, 0xFF, 0xA0, 0x03, 0x01, 0xA4, 0xA0, 0x09, 0x01, 0xAA]);
        let board = *locked(&chip.states);
        assert_eq!(board.closed[..4], [true, false, true, false]);
        chip.receive(&[0xA0, 0x01, 0x01, 0xA2, 0xA0, 0x01, 0x00, 0xA1, 0xA0, 0x01, 0x01, 0xA2]);
        let board = *locked(&chip.states);
        assert_eq!((board.closed[0], board.close_counts[0], board.close_counts[2]), (true, 2, 1));
    }
}
