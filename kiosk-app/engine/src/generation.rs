//! Tags tickets with the generation of the kiosk, so that late answers to an earlier kiosk are dropped.
//!
//! A kiosk counts its tickets from 1. After a failed commit there is a new kiosk, and an answer to work of
//! the earlier one may still arrive: without a tag, another resident's data could be taken for the
//! answer to this resident's request (I3).

use session::{Effect, Event, Ticket};

/// Low bits of a ticket that the kiosk counts itself; the generation is in the bits above.
const COUNT_BITS: u32 = 40;

/// Generation (代) of the kiosk in this process: increases with each recovery.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Generation(u64);

impl Generation {
    /// The generation after this one.
    pub(crate) const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }

    const fn tag_ticket(self, ticket: Ticket) -> Ticket {
        Ticket(self.0 << COUNT_BITS | ticket.0)
    }

    /// Tags the ticket of an effect with this generation.
    pub(crate) fn tag_effect(self, effect: Effect) -> Effect {
        match effect {
            Effect::StartWork { ticket, deadline, work } => {
                Effect::StartWork { ticket: self.tag_ticket(ticket), deadline, work }
            }
            Effect::CancelWork(ticket) => Effect::CancelWork(self.tag_ticket(ticket)),
            Effect::Charge(_) | Effect::Inquire(_) | Effect::Print { .. } => effect,
        }
    }

    /// Removes the tag from an event; `None` when the event answers an earlier generation.
    pub(crate) fn accept_event(self, event: Event) -> Option<Event> {
        match event {
            Event::WorkAnswered(ticket, answer) => {
                let own = Ticket(ticket.0 & ((1 << COUNT_BITS) - 1));
                (self.tag_ticket(own) == ticket).then_some(Event::WorkAnswered(own, answer))
            }
            Event::Tick
            | Event::Touch { .. }
            | Event::Card(_)
            | Event::CodeScanned(_)
            | Event::IdCard(_)
            | Event::CodeHint(_)
            | Event::DeviceStateChanged(..)
            | Event::PaymentAnswered(..)
            | Event::OrdersReconciled { .. }
            | Event::PrintFinished(..)
            | Event::CatalogueChanged(_)
            | Event::CodeTrustChanged(_)
            | Event::ClockSynchronised(_)
            | Event::LinkChanged(_)
            | Event::JournalNearlyFull(_) => Some(event),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use session::Failure;

    fn answer(ticket: Ticket) -> Event {
        Event::WorkAnswered(ticket, Err(Failure::Unreachable))
    }

    #[test]
    fn answer_reaches_only_its_own_generation() {
        let (first, second) = (Generation::default(), Generation::default().next());
        let Effect::CancelWork(outward) = first.tag_effect(Effect::CancelWork(Ticket(7))) else {
            unreachable!()
        };
        assert!(matches!(first.accept_event(answer(outward)), Some(Event::WorkAnswered(Ticket(7), _))));
        assert!(second.accept_event(answer(outward)).is_none());
        let Effect::CancelWork(outward) = second.tag_effect(Effect::CancelWork(Ticket(7))) else {
            unreachable!()
        };
        assert!(first.accept_event(answer(outward)).is_none());
    }
}
