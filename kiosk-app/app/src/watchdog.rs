//! The systemd watchdog. The engine's thread notifies it, and only after a heartbeat of the screen's thread: so a
//! hang of either thread makes systemd restart the kiosk.

use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// Interval between two probes of the screen when no watchdog is configured.
const DEFAULT_PERIOD: Duration = Duration::from_secs(5);

/// Decides when to probe the screen, and notifies systemd.
pub(crate) struct Watchdog {
    period: Duration,
    next_probe: Instant,
    ready: bool,
}

impl Watchdog {
    /// Takes the interval from the service manager: a third of its watchdog timeout.
    pub(crate) fn start(now: Instant) -> Self {
        Self::with_period(sd_notify::watchdog_enabled().map_or(DEFAULT_PERIOD, |timeout| timeout / 3), now)
    }

    const fn with_period(period: Duration, now: Instant) -> Self {
        Self { period, next_probe: now, ready: false }
    }

    /// Whether a probe of the screen is due; schedules the next one.
    pub(crate) fn probe_due(&mut self, now: Instant) -> bool {
        let due = now >= self.next_probe;
        if due {
            self.next_probe = now + self.period;
        }
        due
    }

    /// When [`Watchdog::probe_due`] must be called again.
    pub(crate) const fn next_probe(&self) -> Instant {
        self.next_probe
    }

    /// Handles a heartbeat of the screen: it was received by the engine's thread, so both threads are alive.
    pub(crate) fn screen_alive(&mut self) {
        if !self.ready {
            self.ready = true;
            notify_systemd(&[NotifyState::Ready]);
        }
        notify_systemd(&[NotifyState::Watchdog]);
    }
}

/// Notifies systemd that the kiosk stops by request.
pub(crate) fn notify_stopping() {
    notify_systemd(&[NotifyState::Stopping]);
}

fn notify_systemd(state: &[NotifyState<'_>]) {
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
        let mut watchdog = Watchdog::with_period(period, start);
        assert!(watchdog.probe_due(start));
        assert!(!watchdog.probe_due(start + period / 2));
        assert!(watchdog.probe_due(start + period));
        assert_eq!(watchdog.next_probe(), start + period * 2);
    }
}
