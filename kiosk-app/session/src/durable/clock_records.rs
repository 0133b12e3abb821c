//! What the records say about time.

use contract::{Entry, UnixMs};
use serde::{Deserialize, Serialize};

/// What the records say about time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClockRecords {
    /// The latest time of any record: the present cannot be earlier.
    pub(crate) clock_floor: UnixMs,
    /// The last clock synchronisation: the platform's time, and the offset in milliseconds to add to the kiosk's.
    pub(crate) clock_sync: Option<(UnixMs, i64)>,
}

impl ClockRecords {
    pub(super) fn apply(&mut self, entry: &Entry, time: UnixMs) {
        // What concerns the journal itself is recorded beside the kiosk, which does not see it.
        if !matches!(entry, Entry::JournalOpened { .. } | Entry::Restated { .. }) {
            self.clock_floor = self.clock_floor.max(time);
        }
        if let Entry::ClockSynchronised { platform, offset_ms } = entry {
            self.clock_sync = Some((*platform, *offset_ms));
        }
    }

    /// The platform's time, if the kiosk has synchronised with it, else the kiosk's time.
    pub(super) fn platform_time(&self, time: UnixMs) -> UnixMs {
        let offset = self.clock_sync.map_or(0, |(_, offset)| offset);
        UnixMs(time.0.saturating_add_signed(offset))
    }
}
