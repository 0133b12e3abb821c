//! Clock trust: offline codes are judged by the platform's time, as far as the kiosk knows it.
//!
//! While the process runs, the platform's time is extrapolated with the monotonic clock. After a restart without a
//! link, only the kiosk's wall clock and the last recorded offset are available. That time is not trusted when it is
//! behind a time in the journal, nor when the last synchronisation with the platform is too long ago.

use contract::UnixMs;

use crate::durable::ClockRecords;
use crate::time::{MonotonicMs, Now};

/// Largest backward correction of the time that is tolerated; used-code records are kept that much longer.
pub(crate) const BACKWARD_STEP_MS_MAX: u64 = 60_000;

/// The platform's clock, as far as the kiosk knows it.
#[derive(Default)]
pub(crate) struct PlatformClock {
    /// Last synchronisation since the start: the platform's time, and the monotonic time at that moment.
    synchronised: Option<(UnixMs, MonotonicMs)>,
    /// When a synchronisation was last recorded, and its offset in ms.
    last_recorded: Option<(MonotonicMs, i64)>,
}

/// Why the time is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UntrustedClock {
    /// Never synchronised with the platform, or too long ago.
    Unsynchronised,
    /// The kiosk's wall clock went back.
    WentBack,
}

impl PlatformClock {
    /// Synchronises with the platform's clock. Returns the platform's time when the synchronisation must be recorded:
    /// once an hour, or when the offset changed by more than 2 s.
    pub(crate) fn synchronise(&mut self, now: Now, offset_ms: i64) -> Option<UnixMs> {
        let platform = UnixMs(now.wall.0.saturating_add_signed(offset_ms));
        self.synchronised = Some((platform, now.mono));
        let due = self.last_recorded.is_none_or(|(at, offset)| {
            now.mono.0.saturating_sub(at.0) >= 3_600_000 || offset.abs_diff(offset_ms) > 2_000
        });
        due.then(|| {
            self.last_recorded = Some((now.mono, offset_ms));
            platform
        })
    }

    /// The platform's time now, if the last synchronisation is at most `limit_ms` ago.
    pub(crate) fn trusted_now(
        &self,
        records: &ClockRecords,
        now: Now,
        limit_ms: u64,
    ) -> Result<UnixMs, UntrustedClock> {
        if let Some((platform, at)) = self.synchronised {
            let passed = now.mono.0.saturating_sub(at.0);
            return if passed > limit_ms {
                Err(UntrustedClock::Unsynchronised)
            } else {
                Ok(platform.plus_ms(passed))
            };
        }
        // Not synchronised since the start: what the records say is the last that is known.
        let (platform, offset) = records.clock_sync.ok_or(UntrustedClock::Unsynchronised)?;
        let time = UnixMs(now.wall.0.saturating_add_signed(offset));
        if now.wall.0.saturating_add(BACKWARD_STEP_MS_MAX) < records.clock_floor.0
            || time.0.saturating_add(BACKWARD_STEP_MS_MAX) < platform.0
        {
            return Err(UntrustedClock::WentBack);
        }
        if time.0.saturating_sub(platform.0) > limit_ms {
            Err(UntrustedClock::Unsynchronised)
        } else {
            Ok(time)
        }
    }

    /// The best estimate of the platform's time, for retention times only.
    pub(crate) fn estimated_now(&self, records: &ClockRecords, now: Now) -> UnixMs {
        self.trusted_now(records, now, u64::MAX).unwrap_or(now.wall)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    fn records(clock_sync: Option<(UnixMs, i64)>, clock_floor: UnixMs) -> ClockRecords {
        ClockRecords { clock_floor, clock_sync }
    }

    fn at(mono: u64, wall: u64) -> Now {
        Now { mono: MonotonicMs(mono), wall: UnixMs(wall) }
    }

    #[test]
    fn trusted_now_wall_clock_jump_follows_monotonic_clock() {
        let (mut clock, none) = (PlatformClock::default(), ClockRecords::default());
        assert_eq!(clock.trusted_now(&none, at(0, 5_000), HOUR), Err(UntrustedClock::Unsynchronised));
        clock.synchronise(at(0, 5_000), 100_000);
        assert_eq!(
            clock.trusted_now(&none, at(1_000, 900_000_000), HOUR),
            Ok(UnixMs(106_000)),
            "the wall clock jumped"
        );
        assert_eq!(clock.trusted_now(&none, at(HOUR + 1, 0), HOUR), Err(UntrustedClock::Unsynchronised));
    }

    #[test]
    fn trusted_now_after_restart_rejects_old_or_backward_clock() {
        let clock = PlatformClock::default();
        let records = records(Some((UnixMs(10 * HOUR), -1_000)), UnixMs(11 * HOUR));
        assert_eq!(clock.trusted_now(&records, at(0, 12 * HOUR), 24 * HOUR), Ok(UnixMs(12 * HOUR - 1_000)));
        assert_eq!(clock.trusted_now(&records, at(0, 10 * HOUR), 24 * HOUR), Err(UntrustedClock::WentBack));
        assert_eq!(
            clock.trusted_now(&records, at(0, 40 * HOUR), 24 * HOUR),
            Err(UntrustedClock::Unsynchronised)
        );
        assert_eq!(
            clock.trusted_now(&super::tests::records(None, UnixMs(0)), at(0, HOUR), HOUR),
            Err(UntrustedClock::Unsynchronised)
        );
    }

    #[test]
    fn synchronise_is_recorded_hourly_or_on_offset_change() {
        let mut clock = PlatformClock::default();
        assert_eq!(clock.synchronise(at(0, 1_000), 10), Some(UnixMs(1_010)));
        assert_eq!(clock.synchronise(at(15_000, 16_000), 900), None);
        assert_eq!(clock.synchronise(at(30_000, 31_000), 5_000), Some(UnixMs(36_000)));
        assert!(clock.synchronise(at(30_000 + HOUR, 31_000 + HOUR), 5_000).is_some());
    }
}
