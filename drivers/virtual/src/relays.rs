//! Emulated relay board behind a pty, with two lights and a buzzer: accepts the four-byte commands of an LCUS board,
//! and sends nothing.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::faults::{Bent, Faults, garbage, signal as steps};
use crate::port::{FarSide, Port};

/// Number of relays of the board.
const RELAYS: usize = 8;
const HEAD: u8 = 0xA0;

/// The board, reached by a symbolic link to a pty.
pub struct VirtualRelays {
    board: Arc<Mutex<Board>>,
    _port: Port,
}

/// The states of all relays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Board {
    /// Whether each relay is closed, from the first.
    pub closed: [bool; RELAYS],
    /// How often each relay changed from open to closed since the board was created.
    pub times: [u32; RELAYS],
}

impl VirtualRelays {
    /// Emulates a board on a pty whose symbolic link is created at `link`.
    ///
    /// # Errors
    /// When no pty can be opened, or the path exists and is no symbolic link.
    pub fn plug_in(link: &Path, faults: Faults) -> std::io::Result<Self> {
        let board = Arc::default();
        let firmware = Chip { board: Arc::clone(&board), came: Vec::new(), faults };
        Ok(Self { board, _port: Port::plug_in(link, firmware)? })
    }

    /// The current states of the relays.
    #[must_use]
    pub fn board(&self) -> Board {
        *locked(&self.board)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The board's firmware.
struct Chip {
    board: Arc<Mutex<Board>>,
    came: Vec<u8>,
    faults: Faults,
}

impl FarSide for Chip {
    fn take(&mut self, bytes: &[u8]) -> Vec<Bent> {
        self.came.extend_from_slice(bytes);
        let mut used = 0;
        while let Some([head, relay, on, sum]) = self.came.get(used..used + 4) {
            let valid = *head == HEAD && *sum == head.wrapping_add(*relay).wrapping_add(*on);
            if !valid {
                used += 1;
                continue;
            }
            let mut board = locked(&self.board);
            let Board { closed, times } = &mut *board;
            let at = usize::from(relay.wrapping_sub(1));
            if let (Some(closed), Some(times)) = (closed.get_mut(at), times.get_mut(at)) {
                *times += u32::from(*on == 1 && !*closed);
                *closed = *on == 1;
            }
            used += 4;
        }
        self.came.drain(..used);
        match self.faults.at(&steps::BABBLING) {
            Some(_) => vec![Bent { bytes: garbage(64), ..Bent::default() }],
            None => Vec::new(),
        }
    }

    fn listens(&self) -> bool {
        self.faults.at(&steps::STALLED).is_none()
    }

    fn is_there(&self) -> bool {
        self.faults.at(&steps::UNPLUGGED).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_commands_switch_relays_and_others_are_ignored() {
        let mut chip = Chip { board: Arc::default(), came: Vec::new(), faults: Faults::default() };
        chip.take(&[0x00, 0xA0, 0x01]);
        chip.take(&[0x01, 0xA2, 0xA0, 0x02, 0x01, 0xFF, 0xA0, 0x03, 0x01, 0xA4, 0xA0, 0x09, 0x01, 0xAA]);
        let board = *locked(&chip.board);
        assert_eq!(board.closed[..4], [true, false, true, false]);
        chip.take(&[0xA0, 0x01, 0x01, 0xA2, 0xA0, 0x01, 0x00, 0xA1, 0xA0, 0x01, 0x01, 0xA2]);
        let board = *locked(&chip.board);
        assert_eq!((board.closed[0], board.times[0], board.times[2]), (true, 2, 1));
    }
}
