//! Exchanges with the platform: a request and its answer.

use contract::{Backoff, UnixMs};

/// Wall times of one exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExchangeTiming {
    /// The kiosk's wall time when it sent the request.
    pub sent: UnixMs,
    /// The kiosk's wall time when it received the answer.
    pub received: UnixMs,
}

/// An exchange without a usable answer: no answer, a refusal, or an invalid response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExchangeFailed;

/// State of the exchanges of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExchangeState {
    /// No request is in flight; the next one is due at this monotonic time in milliseconds.
    Idle(u64),
    /// A request is in flight.
    InFlight,
}

/// Number of consecutive failed exchanges of one kind.
#[derive(Default)]
pub(crate) struct FailureCount(pub(crate) u32);

impl FailureCount {
    /// Counts a failure and returns the pause before the next exchange, in milliseconds.
    pub(crate) fn next_pause(&mut self, backoff: Backoff, random: u128) -> u64 {
        let pause = backoff.full_jitter_ms(self.0, random);
        self.0 = self.0.saturating_add(1);
        pause
    }

    pub(crate) const fn reset(&mut self) {
        self.0 = 0;
    }
}
