//! The reader's second slot with a PSAM that stays inserted unless a fault removes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::card::EmulatedCard;
use crate::card_keys::CityCardKeys;
use crate::card_slot::EmulatedCardSlot;
use crate::faults::{EmulatedDevice, FaultSwitches, psam as steps};

/// Interval at which the thread checks the slot.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The slot; the PSAM is removed when this value is dropped.
pub struct EmulatedPsamSlot(Arc<AtomicBool>);

impl EmulatedPsamSlot {
    /// Starts a thread that keeps a PSAM with this city's keys in the slot behind vpcd's TCP port. The PSAM is
    /// inserted again after a restart of pcscd, and applies the named faults.
    #[must_use]
    pub fn start(port: u16, city: &CityCardKeys, faults: FaultSwitches) -> Self {
        let stopped = Arc::new(AtomicBool::new(false));
        let (stop, card) = (Arc::clone(&stopped), EmulatedCard::new_psam(city));
        thread::spawn(move || {
            let mut slot = EmulatedCardSlot::with_faults(port, faults.clone());
            let mut had_failed = false;
            while !stop.load(Ordering::Relaxed) {
                let gone = faults.hit(&steps::PSAM_REMOVED).is_some()
                    || faults.is_disconnected(EmulatedDevice::Psam);
                let has_failed = faults.has_failed(EmulatedDevice::Psam);
                // vpcd waits for an answer without a timeout, where a real reader gives up after seconds. Therefore the
                // PSAM is removed and inserted again once its faults were cleared.
                let cleared = std::mem::replace(&mut had_failed, has_failed) && !has_failed;
                if gone || cleared {
                    slot.remove();
                } else if !slot.has_card() {
                    // Fails while pcscd does not run; the next iteration tries again.
                    slot.insert("psam", card.clone()).ok();
                }
                thread::sleep(POLL_INTERVAL);
            }
        });
        Self(stopped)
    }
}

impl Drop for EmulatedPsamSlot {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
