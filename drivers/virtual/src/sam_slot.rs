//! The reader's second slot with a PSAM that stays inserted unless a fault removes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::card::VirtualCard;
use crate::faults::{Device, Faults, psam as steps};
use crate::keys::CityKey;
use crate::slot::Slot;

/// Interval at which the thread checks the slot.
const TURN: Duration = Duration::from_millis(50);

/// The slot; the PSAM is removed when this value is dropped.
pub struct SamSlot(Arc<AtomicBool>);

impl SamSlot {
    /// Starts a thread that keeps a PSAM with this city's keys in the slot behind vpcd's TCP port. The PSAM is
    /// inserted again after a restart of pcscd, and applies the named faults.
    #[must_use]
    pub fn keep(port: u16, city: &CityKey, faults: Faults) -> Self {
        let stopped = Arc::new(AtomicBool::new(false));
        let (stop, card) = (Arc::clone(&stopped), VirtualCard::psam(city));
        thread::spawn(move || {
            let mut slot = Slot::with(port, faults.clone());
            let mut had_failed = false;
            while !stop.load(Ordering::Relaxed) {
                let gone = faults.at(&steps::GONE).is_some() || faults.is_away(Device::Psam);
                let has_failed = faults.hurts(Device::Psam);
                // vpcd waits for an answer without a timeout, where a real reader gives up after seconds. Therefore the
                // PSAM is removed and inserted again once its faults were cleared.
                let cleared = std::mem::replace(&mut had_failed, has_failed) && !has_failed;
                if gone || cleared {
                    slot.remove();
                } else if !slot.holds_card() {
                    // Fails while pcscd does not run; the next iteration tries again.
                    slot.insert("psam", card.clone()).ok();
                }
                thread::sleep(TURN);
            }
        });
        Self(stopped)
    }
}

impl Drop for SamSlot {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
