//! Outputs of the kiosk: records and effects, and the order in which they must be carried out (records first).

use contract::{
    CallRequest, CardAuthAnswer, CardAuthRequest, ChargeRequest, Entry, EvidenceRequest, IdentifyRequest,
    OrderId, PrintForm, Receipt, ReceiptId, UnixMs,
};
use zeroize::Zeroizing;

use crate::durable::Durable;
use crate::event::MonotonicMs;

/// Number that ties an answer to one piece of work of a visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

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

/// Work of a visit.
pub enum Work {
    /// Ask the platform to identify the resident.
    Identify(IdentifyRequest),
    /// Ask the platform for data.
    CallOperation(CallRequest),
    /// Report evidence to the platform: a phone's answer code, or a PIN that the card verified.
    ReportEvidence(EvidenceRequest),
    /// Request from the platform the cryptograms that authenticate the waiting card.
    RequestCardAuthentication(CardAuthRequest),
    /// Continue with the waiting card. Without an answer the card is not authenticated, and is read in part. Only a
    /// failure is answered: the result of the reading comes as a [`CardEvent`](crate::CardEvent).
    AuthenticateCard(Option<CardAuthAnswer>),
    /// Have the card verify the holder's PIN: ASCII digits.
    VerifyPin(Zeroizing<Vec<u8>>),
    /// Have the card change its PIN: ASCII digits, both. Answered like [`Self::VerifyPin`].
    ChangePin {
        /// The current PIN.
        old: Zeroizing<Vec<u8>>,
        /// The new PIN.
        new: Zeroizing<Vec<u8>>,
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

    /// Records an entry, and applies it to the durable state as recovery will: nothing is recorded without that.
    pub(crate) fn record(&mut self, durable: &mut Durable, entry: Entry, at: UnixMs) {
        durable.apply(&entry, at);
        self.records.push(entry);
    }

    pub(crate) fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{CloseReason, VisitId};

    #[test]
    fn commit_failed_append_returns_no_effects() {
        let mut transition = Transition::default();
        let closed = Entry::VisitClosed { visit: VisitId::from_entropy(1), reason: CloseReason::Exit };
        transition.record(&mut Durable::default(), closed, UnixMs(0));
        transition.effect(Effect::Inquire(OrderId::from_entropy(1)));
        assert!(transition.commit(|_| Err("disk full")).is_err());
    }

    #[test]
    fn commit_without_records_does_not_append() {
        let mut transition = Transition::default();
        transition.effect(Effect::Inquire(OrderId::from_entropy(1)));
        let effects = transition.commit(|_| -> Result<(), ()> { panic!("appended nothing") }).unwrap();
        assert_eq!(effects.len(), 1);
    }
}
