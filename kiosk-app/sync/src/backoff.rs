//! Exponential back-off (退避) with full jitter.

/// Pauses after consecutive failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    first_ms: u64,
    max_ms: u64,
    failures: u32,
}

impl Backoff {
    /// A back-off whose bound doubles from `first_ms` to `max_ms` milliseconds.
    #[must_use]
    pub const fn new(first_ms: u64, max_ms: u64) -> Self {
        Self { first_ms, max_ms, failures: 0 }
    }

    /// Counts a failure. Returns the pause in milliseconds, between 0 and the doubled bound (full jitter), so that
    /// kiosks that lost the link at the same time do not reconnect at the same time.
    pub fn on_failure(&mut self, random: u128) -> u64 {
        let bound = self.first_ms.saturating_mul(1 << self.failures.min(20)).min(self.max_ms);
        self.failures = self.failures.saturating_add(1);
        u64::try_from(random % u128::from(bound + 1)).unwrap_or(bound)
    }

    /// Resets the back-off after a success.
    pub const fn on_success(&mut self) {
        self.failures = 0;
    }

    /// Number of consecutive failures.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_double_to_maximum_and_reset_on_success() {
        let mut backoff = Backoff::new(1_000, 300_000);
        // Random values that reach the whole range of every bound.
        let largest =
            |backoff: Backoff| (0..4_000_u128).map(|r| backoff.clone().on_failure(r * 7_919)).max().unwrap();
        let mut bounds = Vec::new();
        for _ in 0..12 {
            bounds.push(largest(backoff));
            backoff.on_failure(0);
        }
        assert!(bounds[0] <= 1_000 && bounds[0] > 900);
        assert!(bounds[1] <= 2_000 && bounds[1] > 1_800);
        assert!(bounds[11] <= 300_000 && bounds[11] > 250_000);
        backoff.on_success();
        assert!(largest(backoff) <= 1_000);
    }
}
