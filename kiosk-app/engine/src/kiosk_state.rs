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

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{Chain, CloseReason, VisitId};

    #[test]
    fn snapshot_of_before_reconciliation_is_read() {
        let mut durable = Durable::default();
        durable.apply(
            &Entry::VisitClosed { visit: VisitId::from_entropy(1), reason: CloseReason::Exit },
            UnixMs(7),
        );
        let earlier = serde_json::to_string(&durable).unwrap();
        let read: KioskState = serde_json::from_str(&earlier).unwrap();
        assert_eq!((read.durable, read.orders_reconciled), (durable, false));
    }

    #[test]
    fn orders_are_reconciled_until_records_may_be_lost() {
        let head = Chain::genesis("K-1".parse().unwrap(), 5).head();
        let opened = |previous, torn_bytes, damaged_segments| Entry::JournalOpened {
            software: String::new(),
            configuration: String::new(),
            previous,
            torn_bytes,
            damaged_segments,
        };
        for (entry, is_reconciled) in [
            (opened(None, 0, 0), true),
            (opened(Some(head), 0, 0), false),
            (opened(None, 1, 0), false),
            (opened(None, 0, 1), false),
        ] {
            let mut state = KioskState::default();
            state.apply(&Entry::OrdersReconciled, UnixMs(1));
            state.apply(&entry, UnixMs(2));
            assert_eq!(state.orders_reconciled, is_reconciled, "{entry:?}");
            let snapshot = serde_json::to_string(&state).unwrap();
            let read: KioskState = serde_json::from_str(&snapshot).unwrap();
            assert_eq!(read.orders_reconciled, is_reconciled);
        }
    }
}
