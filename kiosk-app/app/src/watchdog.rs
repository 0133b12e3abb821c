//! The systemd watchdog. It is fed by the engine's thread, and only after the screen's thread has shown
//! that it is alive: a kiosk whose screen hangs is as dead as one whose engine does.

use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// How often the screen is asked when no watchdog sets the pace.
const UNHURRIED: Duration = Duration::from_secs(5);

/// When to ask the screen, and what to tell systemd.
pub(crate) struct Watchdog {
    every: Duration,
    next: Instant,
    ready: bool,
}

impl Watchdog {
    /// Takes the pace from the service manager: three times within its patience.
    pub(crate) fn start(now: Instant) -> Self {
        Self::every(sd_notify::watchdog_enabled().map_or(UNHURRIED, |patience| patience / 3), now)
    }

    const fn every(every: Duration, now: Instant) -> Self {
        Self { every, next: now, ready: false }
    }

    /// Whether the screen is to be asked now.
    pub(crate) fn asks(&mut self, now: Instant) -> bool {
        let due = now >= self.next;
        if due {
            self.next = now + self.every;
        }
        due
    }

    /// When [`Watchdog::asks`] is to be called again.
    pub(crate) const fn next(&self) -> Instant {
        self.next
    }

    /// The screen has answered, and the engine takes it in: both are alive.
    pub(crate) fn alive(&mut self) {
        if !self.ready {
            self.ready = true;
            tell(&[NotifyState::Ready]);
        }
        tell(&[NotifyState::Watchdog]);
    }
}

/// The kiosk ends by request.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_screen_is_asked_at_once_and_then_at_the_pace() {
        let (start, pace) = (Instant::now(), Duration::from_secs(3));
        let mut watchdog = Watchdog::every(pace, start);
        assert!(watchdog.asks(start));
        assert!(!watchdog.asks(start + pace / 2));
        assert!(watchdog.asks(start + pace));
        assert_eq!(watchdog.next(), start + pace * 2);
    }
}
