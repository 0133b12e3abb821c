//! The two clocks of the kiosk, read in one place.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use contract::UnixMs;
use session::{Mono, Now};

/// Counts [`Mono`] from its making.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Both clocks now.
    pub(crate) fn now(&self) -> Now {
        let mono = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        Now { mono: Mono(mono), wall: wall() }
    }

    /// The moment that a deadline names.
    pub(crate) fn instant(&self, at: Mono) -> Instant {
        // A deadline beyond what the clock can count is one that never comes.
        let far = self.start + Duration::from_secs(3600 * 24 * 365);
        self.start.checked_add(Duration::from_millis(at.0)).unwrap_or(far)
    }
}

/// Wall time; 1970 when the machine's clock stands before it.
pub(crate) fn wall() -> UnixMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
