//! The two clocks of an input.

use contract::UnixMs;

/// Milliseconds of a monotonic clock, from an arbitrary start in this process. Deadlines use this clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MonotonicMs(pub u64);

impl MonotonicMs {
    /// The time `ms` milliseconds later, saturating.
    #[must_use]
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }
}

/// Both clocks at the moment of an input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Monotonic time, for deadlines.
    pub mono: MonotonicMs,
    /// Wall-clock time, for display and records.
    pub wall: UnixMs,
}
