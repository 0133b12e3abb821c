//! The reader's other slot: a PSAM that lies in it for good, or as long as nobody takes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::card::VirtualCard;
use crate::faults::{Device, Faults, psam as steps};
use crate::keys::CityKey;
use crate::slot::Slot;

/// How often it is looked after.
const TURN: Duration = Duration::from_millis(50);

/// The slot. The PSAM goes with this.
pub struct SamSlot(Arc<AtomicBool>);

impl SamSlot {
    /// Keeps a PSAM of this city's in the slot behind this port of vpcd: it is back when pcscd is, and fails as it is
    /// switched.
    #[must_use]
    pub fn keep(port: u16, city: &CityKey, faults: Faults) -> Self {
        let stopped = Arc::new(AtomicBool::new(false));
        let (stop, card) = (Arc::clone(&stopped), VirtualCard::psam(city));
        thread::spawn(move || {
            let mut slot = Slot::with(port, faults.clone());
            let mut hurt = false;
            while !stop.load(Ordering::Relaxed) {
                let gone = faults.at(&steps::GONE).is_some() || faults.is_away(Device::Psam);
                let hurts = faults.hurts(Device::Psam);
                // A reader that waits for an answer waits for ever here; a real one gives up after seconds. Whoever
                // mends a PSAM takes it out and puts it in again.
                let mended = std::mem::replace(&mut hurt, hurts) && !hurts;
                if gone || mended {
                    slot.remove();
                } else if !slot.holds_card() {
                    // Without pcscd there is no slot: the next turn tries again.
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
