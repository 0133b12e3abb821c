//! Counters of one device since the kiosk started. They hold no personal data.

use std::fmt;

use device::wire::{DeviceAnswer, DeviceEvent, DeviceHealth, FromDevice};
use printer::PrintOutcome;

/// Counted by the supervisor of one device, over all of its processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DeviceMetrics {
    /// Processes that were lost: they ended, hung, or sent a malformed frame.
    pub(crate) restarts: u64,
    /// Times the device became unavailable after it was available: absent, failed, needs attention.
    pub(crate) outages: u64,
    /// Cards that were inserted or placed on the reader.
    pub(crate) cards_presented: u64,
    /// Cards that the driver refused.
    pub(crate) cards_refused: u64,
    /// Codes that were read.
    pub(crate) codes_read: u64,
    /// PIN requests that the card answered.
    pub(crate) pins_checked: u64,
    /// Receipts that were printed according to the printer.
    pub(crate) printed: u64,
    /// Receipts of which nothing was printed.
    pub(crate) not_printed: u64,
    /// Receipts that may or may not have been printed.
    pub(crate) unconfirmed: u64,
    /// Requests that the device process refused: busy, device absent, not its work.
    pub(crate) requests_rejected: u64,
    /// Whether the device was available at its last health report.
    usable: bool,
}

impl DeviceMetrics {
    /// Counts a frame from the device process.
    pub(crate) fn on_frame(&mut self, frame: &FromDevice) {
        let counter = match frame {
            FromDevice::Health(health) => return self.on_health(*health),
            FromDevice::Pong(_) => return,
            FromDevice::Event(DeviceEvent::CardInserted | DeviceEvent::IdCardDetected) => {
                &mut self.cards_presented
            }
            FromDevice::Event(DeviceEvent::CardRefused(_) | DeviceEvent::IdCardRefused(_)) => {
                &mut self.cards_refused
            }
            FromDevice::Event(DeviceEvent::Code(_)) => &mut self.codes_read,
            FromDevice::Event(
                DeviceEvent::CardRead(_)
                | DeviceEvent::StaffCard(_)
                | DeviceEvent::CardNeedsAuthentication(_)
                | DeviceEvent::IdCardRead(_)
                | DeviceEvent::CardRemoved
                | DeviceEvent::CodeHint(_),
            ) => return,
            FromDevice::Answer(_, Ok(DeviceAnswer::Pin(_))) => &mut self.pins_checked,
            FromDevice::Answer(_, Ok(DeviceAnswer::Printed(PrintOutcome::Printed { .. }))) => {
                &mut self.printed
            }
            FromDevice::Answer(_, Ok(DeviceAnswer::Printed(PrintOutcome::NotStarted(_)))) => {
                &mut self.not_printed
            }
            FromDevice::Answer(_, Ok(DeviceAnswer::Printed(PrintOutcome::Unconfirmed(_)))) => {
                &mut self.unconfirmed
            }
            FromDevice::Answer(_, Ok(DeviceAnswer::Authenticated | DeviceAnswer::SignalShown)) => {
                return;
            }
            FromDevice::Answer(_, Err(_)) => &mut self.requests_rejected,
        };
        *counter += 1;
    }

    /// Counts the loss of the process.
    pub(crate) fn on_process_lost(&mut self) {
        self.restarts += 1;
        self.on_health(DeviceHealth::Failed);
    }

    fn on_health(&mut self, health: DeviceHealth) {
        let of_use = matches!(health, DeviceHealth::Ready | DeviceHealth::Busy);
        self.outages += u64::from(self.usable && !of_use);
        self.usable = of_use;
    }
}

/// Writes the counters that are not zero, for a log line.
impl fmt::Display for DeviceMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            ("restarts", self.restarts),
            ("outages", self.outages),
            ("cards", self.cards_presented),
            ("refused", self.cards_refused),
            ("codes", self.codes_read),
            ("pins", self.pins_checked),
            ("printed", self.printed),
            ("not printed", self.not_printed),
            ("unconfirmed", self.unconfirmed),
            ("faults", self.requests_rejected),
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
    use device::wire::{Attention, DeviceFault};

    #[test]
    fn outage_reported_twice_is_counted_once() {
        let mut metrics = DeviceMetrics::default();
        let health = |health| FromDevice::Health(health);
        metrics.on_frame(&health(DeviceHealth::Absent));
        assert_eq!(metrics.outages, 0, "it was never available");
        metrics.on_frame(&health(DeviceHealth::Ready));
        metrics.on_frame(&health(DeviceHealth::NeedsAttention(Attention::PaperOut)));
        metrics.on_frame(&health(DeviceHealth::Failed));
        metrics.on_process_lost();
        assert_eq!((metrics.outages, metrics.restarts), (1, 1));
        metrics.on_frame(&health(DeviceHealth::Busy));
        metrics.on_process_lost();
        assert_eq!((metrics.outages, metrics.restarts), (2, 2));
    }

    #[test]
    fn print_is_counted_by_outcome() {
        let mut metrics = DeviceMetrics::default();
        let printed = PrintOutcome::Printed { confirmation: printer::PrintConfirmation::Barrier };
        for frame in [
            FromDevice::Event(DeviceEvent::CardInserted),
            FromDevice::Answer(1, Ok(DeviceAnswer::Printed(printed))),
            FromDevice::Answer(
                2,
                Ok(DeviceAnswer::Printed(PrintOutcome::Unconfirmed(printer::PrintFailure::Disconnected))),
            ),
            FromDevice::Answer(3, Err(DeviceFault::Busy)),
            FromDevice::Pong(4),
        ] {
            metrics.on_frame(&frame);
        }
        assert_eq!(metrics.to_string(), "cards 1, printed 1, unconfirmed 1, faults 1");
    }
}
