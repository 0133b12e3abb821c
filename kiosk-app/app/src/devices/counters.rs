//! Counters of one device since the kiosk started. They hold no personal data.

use std::fmt;

use device::wire::{Answer, Event, FromDevice, Health};
use printer::Outcome;

/// Counted by the supervisor of one device, over all of its processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Processes that were lost: they ended, hung, or sent a malformed frame.
    pub(crate) restarts: u64,
    /// Times the device became unavailable after it was available: absent, failed, needs attention.
    pub(crate) troubles: u64,
    /// Cards that were inserted or placed on the reader.
    pub(crate) cards: u64,
    /// Cards that the driver refused.
    pub(crate) refused: u64,
    /// Codes that were read.
    pub(crate) codes: u64,
    /// PIN requests that the card answered.
    pub(crate) pins: u64,
    /// Receipts that were printed according to the printer.
    pub(crate) printed: u64,
    /// Receipts of which nothing was printed.
    pub(crate) not_printed: u64,
    /// Receipts that may or may not have been printed.
    pub(crate) unconfirmed: u64,
    /// Requests that the device process refused: busy, device absent, not its work.
    pub(crate) faults: u64,
    /// Whether the device was available at its last health report.
    of_use: bool,
}

impl Counters {
    /// Counts a frame from the device process.
    pub(crate) fn heard(&mut self, frame: &FromDevice) {
        let counter = match frame {
            FromDevice::Health(health) => return self.health(*health),
            FromDevice::Pong(_) => return,
            FromDevice::Event(Event::CardInserted | Event::IdCardSeen) => &mut self.cards,
            FromDevice::Event(Event::CardRefused(_) | Event::IdCardRefused(_)) => &mut self.refused,
            FromDevice::Event(Event::Code(_)) => &mut self.codes,
            FromDevice::Event(
                Event::CardRead(_)
                | Event::StaffCard(_)
                | Event::CardNeedsAuthority(_)
                | Event::IdCardRead(_)
                | Event::CardRemoved
                | Event::CodeHint(_)
                | Event::Preview(_),
            ) => return,
            FromDevice::Answer(_, Ok(Answer::Pin(_))) => &mut self.pins,
            FromDevice::Answer(_, Ok(Answer::Printed(Outcome::Printed { .. }))) => &mut self.printed,
            FromDevice::Answer(_, Ok(Answer::Printed(Outcome::NotStarted(_)))) => &mut self.not_printed,
            FromDevice::Answer(_, Ok(Answer::Printed(Outcome::Unconfirmed(_)))) => &mut self.unconfirmed,
            FromDevice::Answer(_, Ok(Answer::Scanning(_) | Answer::Authenticated | Answer::Signalled)) => {
                return;
            }
            FromDevice::Answer(_, Err(_)) => &mut self.faults,
        };
        *counter += 1;
    }

    /// Counts the loss of the process.
    pub(crate) fn lost(&mut self) {
        self.restarts += 1;
        self.health(Health::Failed);
    }

    fn health(&mut self, health: Health) {
        let of_use = matches!(health, Health::Ready | Health::Busy);
        self.troubles += u64::from(self.of_use && !of_use);
        self.of_use = of_use;
    }
}

/// Writes the counters that are not zero, for a log line.
impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            ("restarts", self.restarts),
            ("outages", self.troubles),
            ("cards", self.cards),
            ("refused", self.refused),
            ("codes", self.codes),
            ("pins", self.pins),
            ("printed", self.printed),
            ("not printed", self.not_printed),
            ("unconfirmed", self.unconfirmed),
            ("faults", self.faults),
        ];
        let mut first = true;
        for (name, count) in all.into_iter().filter(|(_, count)| *count > 0) {
            write!(f, "{}{name} {count}", if first { "" } else { ", " })?;
            first = false;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use device::wire::{Attention, Fault};

    #[test]
    fn outage_reported_twice_is_counted_once() {
        let mut metrics = Counters::default();
        let health = |health| FromDevice::Health(health);
        metrics.heard(&health(Health::Absent));
        assert_eq!(metrics.troubles, 0, "it was never available");
        metrics.heard(&health(Health::Ready));
        metrics.heard(&health(Health::NeedsAttention(Attention::PaperOut)));
        metrics.heard(&health(Health::Failed));
        metrics.lost();
        assert_eq!((metrics.troubles, metrics.restarts), (1, 1));
        metrics.heard(&health(Health::Busy));
        metrics.lost();
        assert_eq!((metrics.troubles, metrics.restarts), (2, 2));
    }

    #[test]
    fn print_is_counted_by_outcome() {
        let mut metrics = Counters::default();
        let printed = Outcome::Printed { confirmation: printer::Confirmation::Fence };
        for frame in [
            FromDevice::Event(Event::CardInserted),
            FromDevice::Answer(1, Ok(Answer::Printed(printed))),
            FromDevice::Answer(2, Ok(Answer::Printed(Outcome::Unconfirmed(printer::Why::Gone)))),
            FromDevice::Answer(3, Err(Fault::Busy)),
            FromDevice::Pong(4),
        ] {
            metrics.heard(&frame);
        }
        assert_eq!(metrics.to_string(), "cards 1, printed 1, unconfirmed 1, faults 1");
    }
}
