//! Reconciliation of orders: which of this kiosk's orders the platform has no outcome of, although it has all records.

use contract::{Backoff, Head, UnixMs, UnreportedOrder, UnreportedOrdersAnswer, VISIT_KEY_TTL_MS};

use crate::exchange::{ExchangeFailed, ExchangeState, FailureCount};

/// Pause between two requests while orders can still appear.
const AGAIN_MS: u64 = 180_000;
/// Pause after an answer that says nothing, because the kiosk has recorded something since it asked.
const OUTDATED_MS: u64 = 5_000;
/// Pause after an answer that is not all: the rest follows when these orders are settled and reported.
const MORE_MS: u64 = 15_000;
const FAILED_BACKOFF: Backoff = Backoff::new(5_000, 300_000);

/// Reconciliation (对账) of one kiosk's orders with the platform's, after records may have been lost, and with them orders.
///
/// The platform has an order until it has the records of its outcome. So it must have all of the log when it is asked, and the
/// kiosk must record nothing until it answers: what it lists then is what the log lacks. A charge request may still be on its
/// way when the log is opened; it is refused when its visit key has expired. So the platform is asked until then.
pub struct Reconciliation {
    exchange: ExchangeState,
    failures: FailureCount,
    /// The head of the chain when the request in flight was sent.
    asked_at: Option<Head>,
    /// The platform's time at its first answer since the log may have lost records.
    since: Option<UnixMs>,
}

impl Default for Reconciliation {
    fn default() -> Self {
        Self {
            exchange: ExchangeState::Idle(0),
            failures: FailureCount::default(),
            asked_at: None,
            since: None,
        }
    }
}

/// What the platform's answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconciled {
    /// Orders whose outcome the log lacks. The kiosk knows some of them: they are not settled.
    pub orders: Vec<UnreportedOrder>,
    /// No further order can appear that was created before the last restart.
    pub is_complete: bool,
}

impl Reconciliation {
    /// The log may have lost records until now: a charge request of before may still be on its way.
    pub const fn restart(&mut self) {
        self.since = None;
    }

    /// Whether to ask the platform now, which has all records up to this newest head.
    pub fn poll(&mut self, now: u64, head: Head) -> bool {
        let is_due = matches!(self.exchange, ExchangeState::Idle(at) if at <= now);
        if is_due {
            self.exchange = ExchangeState::InFlight;
            self.asked_at = Some(head);
        }
        is_due
    }

    /// When [`Reconciliation::poll`] must be called at the latest; `None` while a request is in flight.
    #[must_use]
    pub const fn next_deadline(&self) -> Option<u64> {
        match self.exchange {
            ExchangeState::Idle(at) => Some(at),
            ExchangeState::InFlight => None,
        }
    }

    /// Handles the answer. `head` is the newest head of the journal; `None` while it is closed.
    pub fn on_answer(
        &mut self,
        now: u64,
        random: u128,
        head: Option<Head>,
        answer: Result<UnreportedOrdersAnswer, ExchangeFailed>,
    ) -> Option<Reconciled> {
        let Ok(UnreportedOrdersAnswer { orders, more, now: platform }) = answer else {
            let pause = self.failures.next_pause(FAILED_BACKOFF, random);
            self.exchange = ExchangeState::Idle(now.saturating_add(pause));
            return None;
        };
        self.failures.reset();
        if head.is_none() || head != self.asked_at {
            self.exchange = ExchangeState::Idle(now.saturating_add(OUTDATED_MS));
            return None;
        }
        let since = *self.since.get_or_insert(platform);
        let is_complete = !more && platform.0.saturating_sub(since.0) > VISIT_KEY_TTL_MS;
        self.exchange = ExchangeState::Idle(now.saturating_add(if more { MORE_MS } else { AGAIN_MS }));
        Some(Reconciled { orders, is_complete })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{Chain, Money, OrderId, PaymentMethod, VisitId};

    fn head(epoch: u64, seq: u64) -> Head {
        Head { seq, ..Chain::genesis("K-1".parse().unwrap(), epoch).head() }
    }

    fn answer(orders: usize, more: bool, now: u64) -> Result<UnreportedOrdersAnswer, ExchangeFailed> {
        let order = UnreportedOrder {
            order: OrderId::from_entropy(1),
            visit: VisitId::from_entropy(2),
            items: Vec::new(),
            total: Money::from_fen(5).unwrap(),
            method: PaymentMethod::CardAccount,
        };
        Ok(UnreportedOrdersAnswer { orders: vec![order; orders], more, now: UnixMs(now) })
    }

    #[test]
    fn reconciliation_ends_when_no_visit_key_of_before_is_valid() {
        let (mut asking, at) = (Reconciliation::default(), head(7, 3));
        let mut ends = Vec::new();
        for minutes in (0..30).step_by(3) {
            let now = minutes * 60_000;
            assert!(asking.poll(now, at), "after {minutes} minutes");
            let reconciled = asking.on_answer(now, 0, Some(at), answer(0, false, 1_000 + now)).unwrap();
            ends.push(reconciled.is_complete);
        }
        let first = ends.iter().position(|end| *end).unwrap();
        assert_eq!(first, 6, "later than the lifetime of a key, which ends after five pauses");
        // Records may have been lost again.
        asking.restart();
        let next = head(8, 1);
        assert!(asking.poll(30 * 60_000, next));
        let reconciled = asking.on_answer(30 * 60_000, 0, Some(next), answer(0, false, 1_801_000)).unwrap();
        assert!(!reconciled.is_complete);
    }

    #[test]
    fn answer_counts_only_if_nothing_was_recorded_since_the_request() {
        let mut asking = Reconciliation::default();
        for changed in [None, Some(head(7, 4)), Some(head(8, 3))] {
            let now = asking.next_deadline().unwrap();
            assert!(asking.poll(now, head(7, 3)));
            assert!(!asking.poll(now, head(7, 3)), "one request at a time");
            assert_eq!(asking.on_answer(now, 0, changed, answer(1, false, 1_000)), None, "{changed:?}");
            assert_eq!(asking.next_deadline(), Some(now + OUTDATED_MS));
        }
        let now = asking.next_deadline().unwrap();
        assert!(asking.poll(now, head(7, 4)));
        let reconciled = asking.on_answer(now, 0, Some(head(7, 4)), answer(1, false, 1_000)).unwrap();
        assert_eq!(reconciled.orders.len(), 1);
    }

    #[test]
    fn list_that_is_not_complete_is_asked_for_again_soon() {
        let (mut asking, at) = (Reconciliation::default(), head(7, 3));
        assert!(asking.poll(0, at));
        asking.on_answer(0, 0, Some(at), answer(0, false, 1_000));
        let now = 10 * VISIT_KEY_TTL_MS;
        assert!(asking.poll(now, at));
        let reconciled = asking.on_answer(now, 0, Some(at), answer(2, true, now)).unwrap();
        assert!(!reconciled.is_complete, "the rest is not known");
        assert_eq!(asking.next_deadline(), Some(now + MORE_MS));
    }

    #[test]
    fn failures_back_off() {
        let (mut asking, random) = (Reconciliation::default(), 4_321_987);
        for failures in 0..9 {
            let now = asking.next_deadline().unwrap();
            assert!(asking.poll(now, head(7, 3)));
            assert_eq!(asking.on_answer(now, random, Some(head(7, 3)), Err(ExchangeFailed)), None);
            let pause = FAILED_BACKOFF.full_jitter_ms(failures, random);
            assert_eq!(asking.next_deadline(), Some(now + pause));
        }
    }
}
