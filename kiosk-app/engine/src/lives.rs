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
pub(crate) struct Life(u64);

impl Life {
    /// The generation after this one.
    pub(crate) const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }

    const fn mark(self, ticket: Ticket) -> Ticket {
        Ticket(self.0 << COUNT_BITS | ticket.0)
    }

    /// Tags the ticket of an effect with this generation.
    pub(crate) fn outward(self, effect: Effect) -> Effect {
        match effect {
            Effect::Do { ticket, deadline, work } => Effect::Do { ticket: self.mark(ticket), deadline, work },
            Effect::Cancel(ticket) => Effect::Cancel(self.mark(ticket)),
            Effect::Charge(_) | Effect::Inquire(_) | Effect::Print { .. } => effect,
        }
    }

    /// Removes the tag from an event; `None` when the event answers an earlier generation.
    pub(crate) fn inward(self, event: Event) -> Option<Event> {
        match event {
            Event::Answer(ticket, answer) => {
                let own = Ticket(ticket.0 & ((1 << COUNT_BITS) - 1));
                (self.mark(own) == ticket).then_some(Event::Answer(own, answer))
            }
            Event::Tick
            | Event::Touch { .. }
            | Event::Card(_)
            | Event::Code(_)
            | Event::IdCard(_)
            | Event::CodeHint(_)
            | Event::Health(..)
            | Event::Payment(..)
            | Event::Paper(..)
            | Event::Catalogue(_)
            | Event::Codes(_)
            | Event::ClockHeard(_)
            | Event::Link(_)
            | Event::LogNearlyFull(_) => Some(event),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use session::Failure;

    fn answer(ticket: Ticket) -> Event {
        Event::Answer(ticket, Err(Failure::Unreachable))
    }

    #[test]
    fn answer_reaches_only_its_own_generation() {
        let (first, second) = (Life::default(), Life::default().next());
        let Effect::Cancel(outward) = first.outward(Effect::Cancel(Ticket(7))) else { unreachable!() };
        assert!(matches!(first.inward(answer(outward)), Some(Event::Answer(Ticket(7), _))));
        assert!(second.inward(answer(outward)).is_none());
        let Effect::Cancel(outward) = second.outward(Effect::Cancel(Ticket(7))) else { unreachable!() };
        assert!(first.inward(answer(outward)).is_none());
    }
}
