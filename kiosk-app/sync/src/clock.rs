//! The platform's clock, estimated from its answers (Cristian's method).

use std::collections::VecDeque;

use contract::UnixMs;

/// Number of exchanges whose samples are kept.
const SAMPLES_MAX: usize = 8;

/// Offset between the kiosk's wall clock and the platform's.
#[derive(Clone, Debug, Default)]
pub struct ClockEstimate {
    /// Samples: round trip and offset in milliseconds, newest last.
    samples: VecDeque<(u64, i64)>,
}

impl ClockEstimate {
    /// Adds a sample from an answer that carried the platform's time. Ignored when the kiosk's own clock went
    /// backwards during the exchange.
    pub fn observe(&mut self, sent: UnixMs, received: UnixMs, platform: UnixMs) {
        let Some(round_trip) = received.0.checked_sub(sent.0) else { return };
        let middle = sent.0.saturating_add(round_trip / 2);
        let offset = i128::from(platform.0) - i128::from(middle);
        let Ok(offset) = i64::try_from(offset) else { return };
        if self.samples.len() == SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back((round_trip, offset));
    }

    /// Milliseconds to add to the kiosk's clock, from the sample with the shortest round trip.
    #[must_use]
    pub fn offset_ms(&self) -> Option<i64> {
        self.samples.iter().min_by_key(|(round_trip, _)| *round_trip).map(|(_, offset)| *offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offset_comes_from_shortest_round_trip() {
        let mut clock = ClockEstimate::default();
        clock.observe(UnixMs(1_000), UnixMs(5_000), UnixMs(9_999));
        clock.observe(UnixMs(10_000), UnixMs(10_020), UnixMs(13_010));
        assert_eq!(clock.offset_ms(), Some(3_000));
        clock.observe(UnixMs(20_000), UnixMs(19_000), UnixMs(0));
        assert_eq!(clock.offset_ms(), Some(3_000), "a clock that jumped gives no sample");
        clock.observe(UnixMs(21_000), UnixMs(22_000), UnixMs(0));
        assert_eq!(clock.offset_ms(), Some(3_000), "a slower answer does not replace a faster one");
        for at in 0..8 {
            clock.observe(UnixMs(30_000 + at), UnixMs(30_100 + at), UnixMs(30_050 + at));
        }
        assert_eq!(clock.offset_ms(), Some(0), "old samples are dropped");
    }
}
