//! What the kiosk's clock is worth: offline codes are judged by the platform's time, as far as it was heard.
//!
//! In a life of the process the platform's clock goes on by the clock that never jumps. After a restart
//! without a link there is only the kiosk's own clock and what had to be added to it. It is not believed when it is
//! behind what the log has seen, nor when the platform was not heard for too long.

use contract::UnixMs;

use crate::event::{Mono, Now};

/// Time may be corrected backwards by this much; whatever must not come again is remembered that much longer.
pub(crate) const BACKWARDS_MS: u64 = 60_000;

/// The platform's clock, as far as it was heard.
#[derive(Default)]
pub(crate) struct Clock {
    /// In this life: the platform's time and when that was.
    heard: Option<(UnixMs, Mono)>,
    /// In an earlier one: the platform's time then, and what had to be added to the kiosk's.
    kept: Option<(UnixMs, i64)>,
    /// The kiosk's own clock was never before this, in an earlier life.
    floor: UnixMs,
    /// When hearing it was last recorded, and the offset then.
    recorded: Option<(Mono, i64)>,
}

/// Why the time is not known well enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// The platform was never heard, or not for too long.
    Unsynced,
    /// The kiosk's clock has gone back.
    Behind,
}

impl Clock {
    pub(crate) const fn recovered(kept: Option<(UnixMs, i64)>, floor: UnixMs) -> Self {
        Self { heard: None, kept, floor, recorded: None }
    }

    /// The platform's clock was heard; whether that is worth a record.
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

    /// The platform's time now, if it was heard within `limit_ms`.
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

    /// The best that is known, for what is only kept by it.
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
    fn time_goes_on_by_the_clock_that_never_jumps() {
        let mut clock = Clock::default();
        assert_eq!(clock.now(at(0, 5_000), HOUR), Err(Doubt::Unsynced));
        clock.hear(at(0, 5_000), 100_000);
        assert_eq!(clock.now(at(1_000, 900_000_000), HOUR), Ok(UnixMs(106_000)), "the wall clock jumped");
        assert_eq!(clock.now(at(HOUR + 1, 0), HOUR), Err(Doubt::Unsynced));
    }

    #[test]
    fn after_a_restart_the_kiosks_own_clock_counts_unless_it_went_back_or_is_too_long_alone() {
        let clock = Clock::recovered(Some((UnixMs(10 * HOUR), -1_000)), UnixMs(11 * HOUR));
        assert_eq!(clock.now(at(0, 12 * HOUR), 24 * HOUR), Ok(UnixMs(12 * HOUR - 1_000)));
        assert_eq!(clock.now(at(0, 10 * HOUR), 24 * HOUR), Err(Doubt::Behind));
        assert_eq!(clock.now(at(0, 40 * HOUR), 24 * HOUR), Err(Doubt::Unsynced));
        assert_eq!(Clock::recovered(None, UnixMs(0)).now(at(0, HOUR), HOUR), Err(Doubt::Unsynced));
    }

    #[test]
    fn hearing_is_recorded_once_an_hour_or_when_the_clock_moved() {
        let mut clock = Clock::default();
        assert_eq!(clock.hear(at(0, 1_000), 10), Some(UnixMs(1_010)));
        assert_eq!(clock.hear(at(15_000, 16_000), 900), None);
        assert_eq!(clock.hear(at(30_000, 31_000), 5_000), Some(UnixMs(36_000)));
        assert!(clock.hear(at(30_000 + HOUR, 31_000 + HOUR), 5_000).is_some());
    }
}
