//! Exponential back-off with full jitter.

/// How long to wait after each failure in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    first_ms: u64,
    most_ms: u64,
    failures: u32,
}

impl Backoff {
    /// Doubles from `first_ms` to `most_ms`.
    #[must_use]
    pub const fn new(first_ms: u64, most_ms: u64) -> Self {
        Self { first_ms, most_ms, failures: 0 }
    }

    /// A failure: how long to wait, between nothing and the doubled bound (full jitter), so that kiosks
    /// that lost the link together do not come back together.
    pub fn fail(&mut self, random: u128) -> u64 {
        let bound = self.first_ms.saturating_mul(1 << self.failures.min(20)).min(self.most_ms);
        self.failures = self.failures.saturating_add(1);
        u64::try_from(random % u128::from(bound + 1)).unwrap_or(bound)
    }

    /// A success: the next failure is a first one.
    pub const fn succeed(&mut self) {
        self.failures = 0;
    }

    /// Failures in a row.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_most_and_begin_anew_after_a_success() {
        let mut backoff = Backoff::new(1_000, 300_000);
        // Randomness that reaches the whole of every bound: 300,001 and 1,001 × 2ⁿ do not divide it alike.
        let largest =
            |backoff: Backoff| (0..4_000_u128).map(|r| backoff.clone().fail(r * 7_919)).max().unwrap();
        let mut bounds = Vec::new();
        for _ in 0..12 {
            bounds.push(largest(backoff));
            backoff.fail(0);
        }
        assert!(bounds[0] <= 1_000 && bounds[0] > 900);
        assert!(bounds[1] <= 2_000 && bounds[1] > 1_800);
        assert!(bounds[11] <= 300_000 && bounds[11] > 250_000);
        backoff.succeed();
        assert!(largest(backoff) <= 1_000);
    }
}
