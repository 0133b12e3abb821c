//! Heartbeat of a device process: when it is pinged, when it is considered lost, and how long the supervisor
//! waits before a restart. Pure: the time is passed in.

use std::time::{Duration, Instant};

use contract::Backoff;

/// Intervals and timeouts of a supervised process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeartbeatTimeouts {
    /// Interval between two pings.
    pub(crate) ping: Duration,
    /// A process that has answered before is considered hung after this long without an answer to a ping.
    pub(crate) response: Duration,
    /// Timeout of the first answer: a cold start on a slow machine is not a hang.
    pub(crate) startup: Duration,
    /// Pauses before restarts.
    pub(crate) restart: Backoff,
    /// A process that ran this long was stable: its end resets the back-off.
    pub(crate) stable: Duration,
}

impl Default for HeartbeatTimeouts {
    fn default() -> Self {
        Self {
            ping: Duration::from_millis(500),
            response: Duration::from_secs(2),
            startup: Duration::from_secs(10),
            restart: Backoff::new(250, 15_000),
            stable: Duration::from_secs(30),
        }
    }
}

/// Count of failed processes between restarts, without a limit of attempts.
#[derive(Default)]
pub(crate) struct RestartBackoff {
    failures: u32,
}

impl RestartBackoff {
    /// Pause before the next start, after a process that ran for `lived`.
    pub(crate) fn next_pause(&mut self, lived: Duration, timeouts: &HeartbeatTimeouts) -> Duration {
        if lived >= timeouts.stable {
            self.failures = 0;
        }
        let pause = timeouts.restart.pause_ms(self.failures);
        self.failures = self.failures.saturating_add(1);
        Duration::from_millis(pause)
    }
}

/// The heartbeat of one process.
pub(crate) struct Heartbeat {
    started: Instant,
    next_ping: Instant,
    /// Number of the last ping that was sent, from 1.
    last_ping: u64,
    last_pong: Option<Instant>,
}

impl Heartbeat {
    pub(crate) fn new(started: Instant) -> Self {
        Self { started, next_ping: started, last_ping: 0, last_pong: None }
    }

    /// The ping to send now, if one is due.
    pub(crate) fn ping(&mut self, now: Instant, timeouts: &HeartbeatTimeouts) -> Option<u64> {
        if now < self.next_ping {
            return None;
        }
        self.next_ping = now + timeouts.ping;
        self.last_ping += 1;
        Some(self.last_ping)
    }

    /// Records the answer to a ping. An answer to a number that was never sent is ignored.
    pub(crate) fn pong(&mut self, number: u64, now: Instant) {
        if (1..=self.last_ping).contains(&number) {
            self.last_pong = Some(now);
        }
    }

    /// Excludes time in which the supervisor did not read frames from the timeout.
    pub(crate) fn extend(&mut self, waited: Duration) {
        match &mut self.last_pong {
            Some(answered) => *answered += waited,
            None => self.started += waited,
        }
    }

    /// When the process is considered lost unless it answers before.
    pub(crate) fn deadline(&self, timeouts: &HeartbeatTimeouts) -> Instant {
        self.last_pong.map_or(self.started + timeouts.startup, |answered| answered + timeouts.response)
    }

    /// When the next ping is due or the timeout ends, whichever is earlier.
    pub(crate) fn next_wake(&self, timeouts: &HeartbeatTimeouts) -> Instant {
        self.next_ping.min(self.deadline(timeouts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn backoff_after_many_failures_stays_at_maximum() {
        let timeouts = HeartbeatTimeouts::default();
        let mut backoff = RestartBackoff::default();
        let pauses: Vec<u128> = (0..40).map(|_| backoff.next_pause(MS, &timeouts).as_millis()).collect();
        assert_eq!(pauses[..8], [250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000]);
        assert_eq!(pauses[39], 15_000);
    }

    #[test]
    fn backoff_after_stable_process_resets() {
        let timeouts = HeartbeatTimeouts::default();
        let mut backoff = RestartBackoff::default();
        for _ in 0..9 {
            backoff.next_pause(MS, &timeouts);
        }
        assert_eq!(backoff.next_pause(timeouts.stable, &timeouts), 250 * MS);
        assert_eq!(backoff.next_pause(MS, &timeouts), 500 * MS);
    }

    #[test]
    fn deadline_after_pong_is_two_seconds() {
        let (timeouts, born) = (HeartbeatTimeouts::default(), Instant::now());
        let mut heartbeat = Heartbeat::new(born);
        let first = heartbeat.ping(born, &timeouts).unwrap();
        assert_eq!(heartbeat.ping(born + 499 * MS, &timeouts), None);
        heartbeat.pong(first, born + 20 * MS);
        assert_eq!(heartbeat.deadline(&timeouts), born + 2020 * MS);
        let second = heartbeat.ping(born + 500 * MS, &timeouts).unwrap();
        assert_ne!(first, second);
        heartbeat.pong(second, born + 510 * MS);
        assert_eq!(heartbeat.deadline(&timeouts), born + 2510 * MS);
    }

    #[test]
    fn deadline_before_first_pong_is_startup_timeout() {
        let (timeouts, born) = (HeartbeatTimeouts::default(), Instant::now());
        let heartbeat = Heartbeat::new(born);
        assert_eq!(heartbeat.deadline(&timeouts), born + timeouts.startup);
        assert_eq!(heartbeat.next_wake(&timeouts), born);
    }

    #[test]
    fn extend_with_engine_wait_moves_deadline() {
        let (timeouts, born) = (HeartbeatTimeouts::default(), Instant::now());
        let mut heartbeat = Heartbeat::new(born);
        let first = heartbeat.ping(born, &timeouts).unwrap();
        heartbeat.pong(first, born + MS);
        heartbeat.extend(5000 * MS);
        assert_eq!(heartbeat.deadline(&timeouts), born + 7001 * MS);
    }

    #[test]
    fn pong_without_ping_does_not_move_deadline() {
        let (timeouts, born) = (HeartbeatTimeouts::default(), Instant::now());
        let mut heartbeat = Heartbeat::new(born);
        heartbeat.pong(0, born + MS);
        heartbeat.pong(1, born + MS);
        heartbeat.pong(u64::MAX, born + MS);
        assert_eq!(heartbeat.deadline(&timeouts), born + timeouts.startup);
    }
}
