//! Exponential back-off (退避).

/// Pauses between attempts: the first one, doubled with each failure, up to the longest one. The caller counts the
/// failures, because some counts are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    first_ms: u64,
    max_ms: u64,
}

impl Backoff {
    /// A back-off from `first_ms` to `max_ms` milliseconds.
    #[must_use]
    pub const fn new(first_ms: u64, max_ms: u64) -> Self {
        Self { first_ms, max_ms }
    }

    /// The pause in milliseconds after an attempt that `failures` failed attempts preceded.
    #[must_use]
    pub fn pause_ms(self, failures: u32) -> u64 {
        self.first_ms.saturating_mul(1 << failures.min(32)).min(self.max_ms)
    }

    /// A random pause from 0 to [`Backoff::pause_ms`] (full jitter), so that kiosks that lost the link at the same
    /// time do not reconnect at the same time.
    #[must_use]
    pub fn full_jitter_ms(self, failures: u32, random: u128) -> u64 {
        random_up_to(self.pause_ms(failures), random)
    }

    /// The first half of [`Backoff::pause_ms`], and at most as much again at random: spreads attempts and still never
    /// repeats one at once.
    #[must_use]
    pub fn half_jitter_ms(self, failures: u32, random: u128) -> u64 {
        let half = self.pause_ms(failures) / 2;
        half + random_up_to(half, random)
    }
}

fn random_up_to(max: u64, random: u128) -> u64 {
    u64::try_from(random % (u128::from(max) + 1)).unwrap_or(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pause_doubles_to_the_maximum_and_stays_there() {
        let backoff = Backoff::new(250, 15_000);
        let pauses: Vec<u64> = (0..8).map(|failures| backoff.pause_ms(failures)).collect();
        assert_eq!(pauses, [250, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]);
        assert_eq!(backoff.pause_ms(u32::MAX), 15_000);
        assert_eq!(Backoff::new(u64::MAX, u64::MAX).pause_ms(40), u64::MAX);
    }

    #[test]
    fn jitter_reaches_both_bounds_and_nothing_beyond() {
        let backoff = Backoff::new(1_000, 60_000);
        let bounds = |pauses: &dyn Fn(u128) -> u64| {
            let all: Vec<u64> = (0..4_000).map(pauses).collect();
            (all.iter().min().copied().unwrap(), all.iter().max().copied().unwrap())
        };
        assert_eq!(bounds(&|random| backoff.full_jitter_ms(1, random)), (0, 2_000));
        assert_eq!(bounds(&|random| backoff.half_jitter_ms(1, random)), (1_000, 2_000));
        let widest = Backoff::new(u64::MAX, u64::MAX);
        assert_eq!(widest.full_jitter_ms(0, u128::from(u64::MAX)), u64::MAX);
        assert!(widest.half_jitter_ms(0, u128::MAX) >= u64::MAX / 2);
    }
}
