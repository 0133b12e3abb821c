//! The two clocks of the kiosk, read in one place.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use contract::UnixMs;
use session::{MonotonicMs, Now};

/// Measures [`MonotonicMs`] from its creation.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Reads both clocks.
    pub(crate) fn now(&self) -> Now {
        let mono = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        Now { mono: MonotonicMs(mono), wall: wall_time() }
    }

    /// The instant of a deadline.
    pub(crate) fn instant(&self, at: MonotonicMs) -> Instant {
        // A deadline beyond the range of `Instant` is replaced by one in a year.
        let far = self.start + Duration::from_secs(3600 * 24 * 365);
        self.start.checked_add(Duration::from_millis(at.0)).unwrap_or(far)
    }
}

/// Wall time; the Unix epoch when the machine's clock is before it.
pub(crate) fn wall_time() -> UnixMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
