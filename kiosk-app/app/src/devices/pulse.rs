//! Heartbeat of a device process: when it is pinged, when it is considered lost, and how long the supervisor
//! waits before a restart. Pure: the time is passed in.

use std::time::{Duration, Instant};

/// Intervals and timeouts of a supervised process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Intervals {
    /// Interval between two pings.
    pub(crate) ping: Duration,
    /// A process that has answered before is considered hung after this long without an answer to a ping.
    pub(crate) mute: Duration,
    /// Timeout of the first answer: a cold start on a slow machine is not a hang.
    pub(crate) birth: Duration,
    /// Pause before the first restart.
    pub(crate) restart_first: Duration,
    /// Longest pause before a restart.
    pub(crate) restart_max: Duration,
    /// A process that ran this long was stable: its end resets the back-off.
    pub(crate) well: Duration,
}

impl Default for Intervals {
    fn default() -> Self {
        Self {
            ping: Duration::from_millis(500),
            mute: Duration::from_secs(2),
            birth: Duration::from_secs(10),
            restart_first: Duration::from_millis(250),
            restart_max: Duration::from_secs(15),
            well: Duration::from_secs(30),
        }
    }
}

/// Exponential back-off between restarts, without a limit of attempts.
#[derive(Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Pause before the next start, after a process that ran for `lived`.
    pub(crate) fn pause(&mut self, lived: Duration, timeouts: &Intervals) -> Duration {
        if lived >= timeouts.well {
            self.failures = 0;
        }
        let pause = timeouts.restart_first.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        pause.min(timeouts.restart_max)
    }
}

/// The heartbeat of one process.
pub(crate) struct Pulse {
    born: Instant,
    next_ping: Instant,
    /// Number of the last ping that was sent, from 1.
    sent: u64,
    answered: Option<Instant>,
}

impl Pulse {
    pub(crate) fn new(born: Instant) -> Self {
        Self { born, next_ping: born, sent: 0, answered: None }
    }

    /// The ping to send now, if one is due.
    pub(crate) fn ping(&mut self, now: Instant, timeouts: &Intervals) -> Option<u64> {
        if now < self.next_ping {
            return None;
        }
        self.next_ping = now + timeouts.ping;
        self.sent += 1;
        Some(self.sent)
    }

    /// Records the answer to a ping. An answer to a number that was never sent is ignored.
    pub(crate) fn pong(&mut self, number: u64, now: Instant) {
        if (1..=self.sent).contains(&number) {
            self.answered = Some(now);
        }
    }

    /// Excludes time in which the supervisor did not read frames from the timeout.
    pub(crate) fn excuse(&mut self, waited: Duration) {
        match &mut self.answered {
            Some(answered) => *answered += waited,
            None => self.born += waited,
        }
    }

    /// When the process is considered lost unless it answers before.
    pub(crate) fn gives_up(&self, timeouts: &Intervals) -> Instant {
        self.answered.map_or(self.born + timeouts.birth, |answered| answered + timeouts.mute)
    }

    /// When the next ping is due or the timeout ends, whichever is earlier.
    pub(crate) fn wake(&self, timeouts: &Intervals) -> Instant {
        self.next_ping.min(self.gives_up(timeouts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn backoff_after_many_failures_stays_at_maximum() {
        let timeouts = Intervals::default();
        let mut backoff = Backoff::default();
        let pauses: Vec<u128> = (0..40).map(|_| backoff.pause(MS, &timeouts).as_millis()).collect();
        assert_eq!(pauses[..8], [250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000]);
        assert_eq!(pauses[39], 15_000);
    }

    #[test]
    fn backoff_after_stable_process_resets() {
        let timeouts = Intervals::default();
        let mut backoff = Backoff::default();
        for _ in 0..9 {
            backoff.pause(MS, &timeouts);
        }
        assert_eq!(backoff.pause(timeouts.well, &timeouts), timeouts.restart_first);
        assert_eq!(backoff.pause(MS, &timeouts), timeouts.restart_first * 2);
    }

    #[test]
    fn deadline_after_pong_is_two_seconds() {
        let (timeouts, born) = (Intervals::default(), Instant::now());
        let mut heartbeat = Pulse::new(born);
        let first = heartbeat.ping(born, &timeouts).unwrap();
        assert_eq!(heartbeat.ping(born + 499 * MS, &timeouts), None);
        heartbeat.pong(first, born + 20 * MS);
        assert_eq!(heartbeat.gives_up(&timeouts), born + 2020 * MS);
        let second = heartbeat.ping(born + 500 * MS, &timeouts).unwrap();
        assert_ne!(first, second);
        heartbeat.pong(second, born + 510 * MS);
        assert_eq!(heartbeat.gives_up(&timeouts), born + 2510 * MS);
    }

    #[test]
    fn deadline_before_first_pong_is_startup_timeout() {
        let (timeouts, born) = (Intervals::default(), Instant::now());
        let heartbeat = Pulse::new(born);
        assert_eq!(heartbeat.gives_up(&timeouts), born + timeouts.birth);
        assert_eq!(heartbeat.wake(&timeouts), born);
    }

    #[test]
    fn extend_with_engine_wait_moves_deadline() {
        let (timeouts, born) = (Intervals::default(), Instant::now());
        let mut heartbeat = Pulse::new(born);
        let first = heartbeat.ping(born, &timeouts).unwrap();
        heartbeat.pong(first, born + MS);
        heartbeat.excuse(5000 * MS);
        assert_eq!(heartbeat.gives_up(&timeouts), born + 7001 * MS);
    }

    #[test]
    fn pong_without_ping_does_not_move_deadline() {
        let (timeouts, born) = (Intervals::default(), Instant::now());
        let mut heartbeat = Pulse::new(born);
        heartbeat.pong(0, born + MS);
        heartbeat.pong(1, born + MS);
        heartbeat.pong(u64::MAX, born + MS);
        assert_eq!(heartbeat.gives_up(&timeouts), born + timeouts.birth);
    }
}
