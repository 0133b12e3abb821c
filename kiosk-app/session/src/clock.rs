//! Clock trust: offline codes are judged by the platform's time, as far as the kiosk knows it.
//!
//! While the process runs, the platform's time is extrapolated with the monotonic clock. After a restart without a
//! link, only the kiosk's wall clock and the last recorded offset are available. That time is not trusted when it is
//! behind a time in the journal, nor when the last synchronisation with the platform is too long ago.

use contract::UnixMs;

use crate::event::{Mono, Now};

/// Largest backward correction of the time that is tolerated; used-code records are kept that much longer.
pub(crate) const BACKWARDS_MS: u64 = 60_000;

/// The platform's clock, as far as the kiosk knows it.
#[derive(Default)]
pub(crate) struct Clock {
    /// Last synchronisation since the start: the platform's time, and the monotonic time at that moment.
    heard: Option<(UnixMs, Mono)>,
    /// Last synchronisation before the start: the platform's time, and the offset to add to the kiosk's wall clock in
    /// ms.
    kept: Option<(UnixMs, i64)>,
    /// Latest time of the wall clock before the start: the wall clock must not be earlier.
    floor: UnixMs,
    /// When a synchronisation was last recorded, and its offset in ms.
    recorded: Option<(Mono, i64)>,
}

/// Why the time is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// Never synchronised with the platform, or too long ago.
    Unsynced,
    /// The kiosk's wall clock went back.
    Behind,
}

impl Clock {
    pub(crate) const fn recovered(kept: Option<(UnixMs, i64)>, floor: UnixMs) -> Self {
        Self { heard: None, kept, floor, recorded: None }
    }

    /// Synchronises with the platform's clock. Returns the platform's time when the synchronisation must be recorded:
    /// once an hour, or when the offset changed by more than 2 s.
    pub(crate) fn hear(&mut self, now: Now, offset_ms: i64) -> Option<UnixMs> {
        let platform = UnixMs(now.wall.0.saturating_add_signed(offset_ms));
        self.heard = Some((platform, now.mono));
        let due = self.recorded.is_none_or(|(at, offset)| {
            now.mono.0.saturating_sub(at.0) >= 3_600_000 || offset.abs_diff(offset_ms) > 2_000
        });
        due.then(|| {
            self.recorded = Some((now.mono, offset_ms));
            platform
        })
    }

    /// The platform's time now, if the last synchronisation is at most `limit_ms` ago.
    pub(crate) fn now(&self, now: Now, limit_ms: u64) -> Result<UnixMs, Doubt> {
        if let Some((platform, at)) = self.heard {
            let passed = now.mono.0.saturating_sub(at.0);
            return if passed > limit_ms { Err(Doubt::Unsynced) } else { Ok(platform.plus_ms(passed)) };
        }
        let (platform, offset) = self.kept.ok_or(Doubt::Unsynced)?;
        let time = UnixMs(now.wall.0.saturating_add_signed(offset));
        if now.wall.0.saturating_add(BACKWARDS_MS) < self.floor.0
            || time.0.saturating_add(BACKWARDS_MS) < platform.0
        {
            return Err(Doubt::Behind);
        }
        if time.0.saturating_sub(platform.0) > limit_ms { Err(Doubt::Unsynced) } else { Ok(time) }
    }

    /// The best estimate of the platform's time, for retention times only.
    pub(crate) fn best(&self, now: Now) -> UnixMs {
        self.now(now, u64::MAX).unwrap_or(now.wall)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    fn at(mono: u64, wall: u64) -> Now {
        Now { mono: Mono(mono), wall: UnixMs(wall) }
    }

    #[test]
    fn trusted_now_wall_clock_jump_follows_monotonic_clock() {
        let mut clock = Clock::default();
        assert_eq!(clock.now(at(0, 5_000), HOUR), Err(Doubt::Unsynced));
        clock.hear(at(0, 5_000), 100_000);
        assert_eq!(clock.now(at(1_000, 900_000_000), HOUR), Ok(UnixMs(106_000)), "the wall clock jumped");
        assert_eq!(clock.now(at(HOUR + 1, 0), HOUR), Err(Doubt::Unsynced));
    }

    #[test]
    fn trusted_now_after_restart_rejects_old_or_backward_clock() {
        let clock = Clock::recovered(Some((UnixMs(10 * HOUR), -1_000)), UnixMs(11 * HOUR));
        assert_eq!(clock.now(at(0, 12 * HOUR), 24 * HOUR), Ok(UnixMs(12 * HOUR - 1_000)));
        assert_eq!(clock.now(at(0, 10 * HOUR), 24 * HOUR), Err(Doubt::Behind));
        assert_eq!(clock.now(at(0, 40 * HOUR), 24 * HOUR), Err(Doubt::Unsynced));
        assert_eq!(Clock::recovered(None, UnixMs(0)).now(at(0, HOUR), HOUR), Err(Doubt::Unsynced));
    }

    #[test]
    fn synchronise_is_recorded_hourly_or_on_offset_change() {
        let mut clock = Clock::default();
        assert_eq!(clock.hear(at(0, 1_000), 10), Some(UnixMs(1_010)));
        assert_eq!(clock.hear(at(15_000, 16_000), 900), None);
        assert_eq!(clock.hear(at(30_000, 31_000), 5_000), Some(UnixMs(36_000)));
        assert!(clock.hear(at(30_000 + HOUR, 31_000 + HOUR), 5_000).is_some());
    }
}
