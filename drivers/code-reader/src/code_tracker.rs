//! Reports a code once while it is held to the camera, although every frame shows it again.

use std::time::{Duration, Instant};

use zeroize::Zeroizing;

/// A code that was not seen for this long counts as removed; seen again, it is reported again.
const AWAY_AFTER: Duration = Duration::from_millis(1500);

/// Most codes that are tracked; the oldest is dropped first.
const HELD_MAX: usize = 8;

/// Reports each code once for as long as it is held. Stores a text for at most `AWAY_AFTER` (1.5 s) after it was last
/// seen, and wipes it.
#[derive(Default)]
pub struct CodeTracker {
    tracked: Vec<TrackedCode>,
}

struct TrackedCode {
    text: Zeroizing<Vec<u8>>,
    seen: Instant,
}

impl CodeTracker {
    /// Creates a tracker without codes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the codes of one frame and returns the new ones. Call it for frames without a code too: each call
    /// removes expired texts.
    pub fn new_codes(&mut self, codes: Vec<Vec<u8>>, now: Instant) -> Vec<Vec<u8>> {
        self.tracked.retain(|held| now.saturating_duration_since(held.seen) < AWAY_AFTER);
        let mut fresh = Vec::new();
        for code in codes {
            if let Some(held) = self.tracked.iter_mut().find(|held| *held.text == code) {
                held.seen = now;
                continue;
            }
            if self.tracked.len() == HELD_MAX {
                self.tracked.remove(0);
            }
            self.tracked.push(TrackedCode { text: Zeroizing::new(code.clone()), seen: now });
            fresh.push(code);
        }
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Vec<Vec<u8>> {
        vec![text.as_bytes().to_vec()]
    }

    #[test]
    fn held_code_is_reported_once() {
        let mut hold = CodeTracker::new();
        let start = Instant::now();

        assert_eq!(hold.new_codes(code("a"), start), code("a"));
        for frame in 1..100 {
            let now = start + Duration::from_millis(100) * frame;
            assert_eq!(hold.new_codes(code("a"), now), Vec::<Vec<u8>>::new());
        }
    }

    #[test]
    fn short_gap_does_not_make_held_code_new() {
        let mut hold = CodeTracker::new();
        let start = Instant::now();
        hold.new_codes(code("a"), start);

        hold.new_codes(Vec::new(), start + Duration::from_millis(700));

        assert!(hold.new_codes(code("a"), start + Duration::from_millis(1400)).is_empty());
    }

    #[test]
    fn code_absent_for_timeout_is_new_again() {
        let mut hold = CodeTracker::new();
        let start = Instant::now();
        hold.new_codes(code("a"), start);

        assert_eq!(hold.new_codes(code("a"), start + AWAY_AFTER), code("a"));
    }

    #[test]
    fn distinct_codes_in_a_frame_are_reported_once_each() {
        let mut hold = CodeTracker::new();

        let fresh = hold.new_codes([code("a"), code("b"), code("a")].concat(), Instant::now());

        assert_eq!(fresh, [code("a"), code("b")].concat());
    }

    #[test]
    fn tracked_codes_are_bounded_and_expire() {
        let mut hold = CodeTracker::new();
        let start = Instant::now();

        hold.new_codes((0..100u8).map(|n| vec![n]).collect(), start);
        assert_eq!(hold.tracked.len(), HELD_MAX);

        hold.new_codes(Vec::new(), start + AWAY_AFTER);
        assert!(hold.tracked.is_empty());
    }
}
