//! What a kiosk wants done, and the order that makes it safe: records first.

use contract::{
    CallRequest, CardAuthAnswer, CardAuthRequest, ChargeRequest, Entry, EvidenceRequest, Form,
    IdentifyRequest, OrderId, Receipt, ReceiptId,
};
use zeroize::Zeroizing;

use crate::event::Mono;

/// Names one piece of work of a visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What is to be done once the records of its transition are durable.
pub enum Effect {
    /// Work of the visit. It dies with the visit; a late answer matches nothing.
    Do {
        /// Names it in the answer.
        ticket: Ticket,
        /// The kiosk stops waiting then.
        deadline: Mono,
        /// What to do.
        work: Work,
    },
    /// The work is no longer wanted.
    Cancel(Ticket),
    /// Duty: charge this order, once. The outcome comes back as [`Event::Payment`](crate::Event::Payment).
    Charge(ChargeRequest),
    /// Duty: find out how this order stands and fence it.
    Inquire(OrderId),
    /// Duty: print this receipt. The outcome comes back as [`Event::Paper`](crate::Event::Paper).
    Print {
        /// The receipt.
        receipt: ReceiptId,
        /// On which of the printers.
        on: Form,
        /// What it says.
        content: Receipt,
        /// 补打 第N次, for every copy but the first.
        mark: Option<String>,
    },
}

/// Work of a visit.
pub enum Work {
    /// Ask the platform who this is.
    Identify(IdentifyRequest),
    /// Ask the platform for data.
    Call(CallRequest),
    /// Tell the platform what the phone answered.
    Prove(EvidenceRequest),
    /// Ask the platform what the card that waits has to answer, and what opens it.
    AskAuthority(CardAuthRequest),
    /// Go on with the card that waits; without an answer nobody vouches for it, and it is read in part. Only a failure
    /// is answered: what comes of it is a [`CardEvent`](crate::CardEvent).
    Authenticate(Option<CardAuthAnswer>),
    /// Let the card check the holder's PIN: ASCII digits.
    VerifyPin(Zeroizing<Vec<u8>>),
    /// Let the card take another PIN: ASCII digits, both. Answered as [`Self::VerifyPin`] is.
    ChangePin {
        /// The present one.
        old: Zeroizing<Vec<u8>>,
        /// The one from now on.
        new: Zeroizing<Vec<u8>>,
    },
}

/// What follows from one input. The effects cannot be had without committing the records first (I1, I2).
#[must_use = "a transition that is not committed loses records"]
#[derive(Default)]
pub struct Transition {
    records: Vec<Entry>,
    effects: Vec<Effect>,
}

impl Transition {
    /// Makes the records durable by `append` and then, and only then, hands out the effects. `append`
    /// is not called when there is nothing to record.
    ///
    /// # Errors
    /// What `append` returns; the effects are then dropped. The kiosk that made the transition must be
    /// dropped too and recovered from the log.
    pub fn commit<E>(self, append: impl FnOnce(&[Entry]) -> Result<(), E>) -> Result<Vec<Effect>, E> {
        if !self.records.is_empty() {
            append(&self.records)?;
        }
        Ok(self.effects)
    }

    pub(crate) fn record(&mut self, entry: Entry) {
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
    fn a_failed_commit_hands_out_no_effect() {
        let mut transition = Transition::default();
        transition.record(Entry::VisitClosed { visit: VisitId::from_entropy(1), reason: CloseReason::Exit });
        transition.effect(Effect::Inquire(OrderId::from_entropy(1)));
        assert!(transition.commit(|_| Err("disk full")).is_err());
    }

    #[test]
    fn nothing_is_appended_when_there_is_nothing_to_record() {
        let mut transition = Transition::default();
        transition.effect(Effect::Inquire(OrderId::from_entropy(1)));
        let effects = transition.commit(|_| -> Result<(), ()> { panic!("appended nothing") }).unwrap();
        assert_eq!(effects.len(), 1);
    }
}
