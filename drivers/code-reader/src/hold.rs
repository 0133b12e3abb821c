//! "Held up once", from codes that are seen again in every frame.

use std::time::{Duration, Instant};

use zeroize::Zeroizing;

/// A code that was not seen for this long has been taken away; seen again, it is held up anew.
const AWAY_AFTER: Duration = Duration::from_millis(1500);

/// Most codes that are remembered as being held; the oldest is forgotten first.
const HELD_MAX: usize = 8;

/// Reports each code once for as long as it is held. Remembers texts for [`AWAY_AFTER`] at most after they were
/// last asked about, and wipes them.
#[derive(Default)]
pub struct Hold {
    held: Vec<Held>,
}

struct Held {
    text: Zeroizing<Vec<u8>>,
    seen: Instant,
}

impl Hold {
    /// Nothing is held.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what one frame shows; returns what is newly held up. To be called for frames without a code, too: it is
    /// what makes texts forgotten.
    pub fn fresh(&mut self, codes: Vec<Vec<u8>>, now: Instant) -> Vec<Vec<u8>> {
        self.held.retain(|held| now.saturating_duration_since(held.seen) < AWAY_AFTER);
        let mut fresh = Vec::new();
        for code in codes {
            if let Some(held) = self.held.iter_mut().find(|held| *held.text == code) {
                held.seen = now;
                continue;
            }
            if self.held.len() == HELD_MAX {
                self.held.remove(0);
            }
            self.held.push(Held { text: Zeroizing::new(code.clone()), seen: now });
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
        let mut hold = Hold::new();
        let start = Instant::now();

        assert_eq!(hold.fresh(code("a"), start), code("a"));
        for frame in 1..100 {
            let now = start + Duration::from_millis(100) * frame;
            assert_eq!(hold.fresh(code("a"), now), Vec::<Vec<u8>>::new());
        }
    }

    #[test]
    fn short_gap_does_not_make_held_code_new() {
        let mut hold = Hold::new();
        let start = Instant::now();
        hold.fresh(code("a"), start);

        hold.fresh(Vec::new(), start + Duration::from_millis(700));

        assert!(hold.fresh(code("a"), start + Duration::from_millis(1400)).is_empty());
    }

    #[test]
    fn code_absent_for_timeout_is_new_again() {
        let mut hold = Hold::new();
        let start = Instant::now();
        hold.fresh(code("a"), start);

        assert_eq!(hold.fresh(code("a"), start + AWAY_AFTER), code("a"));
    }

    #[test]
    fn distinct_codes_in_a_frame_are_reported_once_each() {
        let mut hold = Hold::new();

        let fresh = hold.fresh([code("a"), code("b"), code("a")].concat(), Instant::now());

        assert_eq!(fresh, [code("a"), code("b")].concat());
    }

    #[test]
    fn tracked_codes_are_bounded_and_expire() {
        let mut hold = Hold::new();
        let start = Instant::now();

        hold.fresh((0..100u8).map(|n| vec![n]).collect(), start);
        assert_eq!(hold.held.len(), HELD_MAX);

        hold.fresh(Vec::new(), start + AWAY_AFTER);
        assert!(hold.held.is_empty());
    }
}
