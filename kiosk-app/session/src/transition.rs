//! Outputs of the kiosk: records and effects, and the order in which they must be carried out (records first).

use contract::{ChargeRequest, EntropySource, Entry, OrderId, PrintForm, Receipt, ReceiptId};

use crate::durable::Durable;
use crate::time::{MonotonicMs, Now};
use crate::work::{PendingWork, Ticket, Work};

/// Label of the values that are expanded from the entropy of an input.
const ENTROPY_LABEL: &str = "draw";

/// Action to execute once the records of its transition are durable.
pub enum Effect {
    /// Starts work of the visit. The work ends with the visit; a late answer matches no ticket and is dropped.
    StartWork {
        /// Ticket that the answer carries.
        ticket: Ticket,
        /// When the kiosk stops waiting for the answer.
        deadline: MonotonicMs,
        /// The work to do.
        work: Work,
    },
    /// Cancels the work with this ticket; its answer is no longer needed.
    CancelWork(Ticket),
    /// Duty: charge this order, once. The outcome comes back as
    /// [`Event::PaymentAnswered`](crate::Event::PaymentAnswered).
    Charge(ChargeRequest),
    /// Duty: inquire the outcome of this order, and fence it.
    Inquire(OrderId),
    /// Duty: print this receipt or A4 document. The outcome comes back as
    /// [`Event::PrintFinished`](crate::Event::PrintFinished).
    Print {
        /// The receipt.
        receipt: ReceiptId,
        /// Which printer to use.
        printer: PrintForm,
        /// Content to print.
        content: Receipt,
        /// Copy mark (补打 第N次), for every copy but the first.
        copy_mark: Option<String>,
    },
}

/// Result of one input. The effects are accessible only by committing the records first (I1, I2).
#[must_use = "a transition that is not committed loses records"]
#[derive(Default)]
pub struct Transition {
    records: Vec<Entry>,
    effects: Vec<Effect>,
}

impl Transition {
    /// Makes the records durable with `append` and only then returns the effects. `append`
    /// is not called when there is nothing to record.
    ///
    /// # Errors
    /// The error of `append`; the effects are then dropped. The kiosk that made the transition must be
    /// dropped too and recovered from the journal.
    pub fn commit<E>(self, append: impl FnOnce(&[Entry]) -> Result<(), E>) -> Result<Vec<Effect>, E> {
        if !self.records.is_empty() {
            append(&self.records)?;
        }
        Ok(self.effects)
    }
}

/// One turn of the state machine: an input's time and entropy, and the transition that it makes. The durable state can be changed
/// only here, by recording.
pub(crate) struct Turn<'a> {
    pub(crate) now: Now,
    entropy: EntropySource,
    durable: &'a mut Durable,
    last_ticket: &'a mut u64,
    transition: Transition,
}

impl<'a> Turn<'a> {
    pub(crate) fn new(now: Now, entropy: u128, durable: &'a mut Durable, last_ticket: &'a mut u64) -> Self {
        let entropy = EntropySource::new(ENTROPY_LABEL, entropy);
        Self { now, entropy, durable, last_ticket, transition: Transition::default() }
    }

    /// What the records fold to, with those of this turn.
    pub(crate) const fn durable(&self) -> &Durable {
        self.durable
    }

    /// Records an entry, and applies it to the durable state as recovery will: nothing is recorded without that.
    pub(crate) fn record(&mut self, entry: Entry) {
        self.durable.apply(&entry, self.now.wall);
        self.transition.records.push(entry);
    }

    pub(crate) fn effect(&mut self, effect: Effect) {
        self.transition.effects.push(effect);
    }

    /// Starts work of the visit. The ticket ties the answer to it.
    pub(crate) fn start_work(&mut self, work: Work, answer_ms: u64) -> PendingWork {
        *self.last_ticket += 1;
        let ticket = Ticket(*self.last_ticket);
        let deadline = self.now.mono.plus_ms(answer_ms);
        self.effect(Effect::StartWork { ticket, deadline, work });
        PendingWork { ticket, deadline }
    }

    pub(crate) const fn entropy(&mut self) -> &mut EntropySource {
        &mut self.entropy
    }

    pub(crate) fn next_u128(&mut self) -> u128 {
        self.entropy.next_u128()
    }

    pub(crate) fn into_transition(self) -> Transition {
        self.transition
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{CloseReason, VisitId};

    #[test]
    fn commit_failed_append_returns_no_effects() {
        let (mut durable, mut tickets) = (Durable::default(), 0);
        let mut turn = Turn::new(Now::default(), 0, &mut durable, &mut tickets);
        turn.record(Entry::VisitClosed { visit: VisitId::from_entropy(1), reason: CloseReason::Exit });
        turn.effect(Effect::Inquire(OrderId::from_entropy(1)));
        assert!(turn.into_transition().commit(|_| Err("disk full")).is_err());
    }

    #[test]
    fn commit_without_records_does_not_append() {
        let (mut durable, mut tickets) = (Durable::default(), 0);
        let mut turn = Turn::new(Now::default(), 0, &mut durable, &mut tickets);
        turn.effect(Effect::Inquire(OrderId::from_entropy(1)));
        let effects =
            turn.into_transition().commit(|_| -> Result<(), ()> { panic!("appended nothing") }).unwrap();
        assert_eq!(effects.len(), 1);
    }
}
