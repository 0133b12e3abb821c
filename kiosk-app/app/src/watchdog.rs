//! The systemd watchdog. The engine's thread notifies it, and only after a heartbeat of the screen's thread: so a
//! hang of either thread makes systemd restart the kiosk.

use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// Interval between two probes of the screen when no watchdog is configured.
const UNHURRIED: Duration = Duration::from_secs(5);

/// Decides when to probe the screen, and notifies systemd.
pub(crate) struct Watchdog {
    every: Duration,
    next: Instant,
    ready: bool,
}

impl Watchdog {
    /// Takes the interval from the service manager: a third of its watchdog timeout.
    pub(crate) fn start(now: Instant) -> Self {
        Self::every(sd_notify::watchdog_enabled().map_or(UNHURRIED, |timeout| timeout / 3), now)
    }

    const fn every(every: Duration, now: Instant) -> Self {
        Self { every, next: now, ready: false }
    }

    /// Whether a probe of the screen is due; schedules the next one.
    pub(crate) fn asks(&mut self, now: Instant) -> bool {
        let due = now >= self.next;
        if due {
            self.next = now + self.every;
        }
        due
    }

    /// When [`Watchdog::probe_due`] must be called again.
    pub(crate) const fn next(&self) -> Instant {
        self.next
    }

    /// Handles a heartbeat of the screen: it was received by the engine's thread, so both threads are alive.
    pub(crate) fn alive(&mut self) {
        if !self.ready {
            self.ready = true;
            tell(&[NotifyState::Ready]);
        }
        tell(&[NotifyState::Watchdog]);
    }
}

/// Notifies systemd that the kiosk stops by request.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "sd_notify failed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn screen_probe_is_due_at_start_and_each_period() {
        let (start, period) = (Instant::now(), Duration::from_secs(3));
        let mut watchdog = Watchdog::every(period, start);
        assert!(watchdog.asks(start));
        assert!(!watchdog.asks(start + period / 2));
        assert!(watchdog.asks(start + period));
        assert_eq!(watchdog.next(), start + period * 2);
    }
}
