//! What the journal of a kiosk folds to: the session's durable state, and what the engine must know of the journal itself.

use contract::{Entry, UnixMs};
use journal::JournalState;
use serde::{Deserialize, Serialize};
use session::Durable;

/// The state of a kiosk's journal. The crates of session and journal do not know each other. Its serialisation is on the kiosks'
/// disks: a field that is added needs a default.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct KioskState {
    /// The session's part.
    #[serde(flatten)]
    pub durable: Durable,
    /// The platform has confirmed that the log lacks no order, and no record was lost since.
    #[serde(default)]
    pub orders_reconciled: bool,
}

impl JournalState for KioskState {
    fn apply(&mut self, entry: &Entry, time: UnixMs) {
        self.durable.apply(entry, time);
        if *entry == Entry::OrdersReconciled {
            self.orders_reconciled = true;
        }
        // A new epoch begins with damage, or with a platform that has other records: what was between is lost. An end that was cut
        // may have been an unfinished write, or a record that rotted.
        if let Entry::JournalOpened { previous, damaged_segments, torn_bytes, .. } = entry
            && (previous.is_some() || *damaged_segments > 0 || *torn_bytes > 0)
        {
            self.orders_reconciled = false;
        }
    }
}
