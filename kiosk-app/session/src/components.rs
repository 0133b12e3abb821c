//! The components that outlive a visit.

use std::sync::Arc;

use contract::{CodeRules, Entry, PrintForm, ReceiptId, UnixMs};
use jiff::civil::DateTime;
use view::Lang;

use crate::clock::PlatformClock;
use crate::code_trust::CodeTrust;
use crate::devices::Devices;
use crate::durable::{Durable, PrintState};
use crate::payments::Payments;
use crate::printing::{Printers, Printing};
use crate::refusal::VisitRefusal;
use crate::setup::{Catalogue, KioskSetup};
use crate::time::Now;
use crate::transition::Turn;
use crate::wording::local_time;
use crate::work::{CardWork, PendingWork, PlatformWork, Work};

/// The components that outlive a visit. Each keeps its own state private.
pub(crate) struct Components {
    pub(crate) setup: Arc<KioskSetup>,
    pub(crate) catalogue: Catalogue,
    /// Issuer keys and revocations, by which codes and cards are judged without the platform.
    pub(crate) code_trust: Arc<CodeTrust>,
    pub(crate) clock: PlatformClock,
    pub(crate) devices: Devices,
    pub(crate) online: bool,
    pub(crate) payments: Payments,
    pub(crate) printing: Printing,
}

/// A reading view of all components and of the durable state, at one time.
#[derive(Clone, Copy)]
pub(crate) struct Status<'a> {
    pub(crate) components: &'a Components,
    pub(crate) durable: &'a Durable,
    pub(crate) now: Now,
}

impl Components {
    pub(crate) const fn status<'a>(&'a self, turn: &'a Turn<'_>) -> Status<'a> {
        Status { components: self, durable: turn.durable(), now: turn.now }
    }

    /// What printing depends on, for a copy whose mark is in this language.
    pub(crate) fn printing(&mut self, lang: Lang) -> (&mut Printing, Printers<'_>) {
        (&mut self.printing, Printers { setup: &self.setup, devices: &self.devices, lang })
    }

    pub(crate) fn start_card_work(&self, turn: &mut Turn<'_>, work: CardWork) -> PendingWork {
        turn.start_work(Work::Card(work), self.setup.time_limits.answer_ms)
    }

    pub(crate) fn start_platform_work(&self, turn: &mut Turn<'_>, work: PlatformWork) -> PendingWork {
        turn.start_work(Work::Platform(work), self.setup.time_limits.answer_ms)
    }

    /// Services in force changed.
    pub(crate) fn on_catalogue(&mut self, turn: &mut Turn<'_>, catalogue: Catalogue) {
        turn.record(Entry::ServicesChanged {
            cursor: catalogue.cursor,
            services: catalogue.services.values().map(|doc| (doc.id.clone(), doc.version)).collect(),
        });
        self.catalogue = catalogue;
    }

    /// Synchronises the clock. The synchronisation is recorded only where codes are judged by the clock.
    pub(crate) fn on_clock_synchronised(&mut self, turn: &mut Turn<'_>, offset_ms: i64) {
        let to_record = self.clock.synchronise(turn.now, offset_ms);
        if let Some(platform) = to_record
            && self.setup.code_rules.is_some()
        {
            turn.record(Entry::ClockSynchronised { platform, offset_ms });
        }
    }
}

impl<'a> Status<'a> {
    pub(crate) fn setup(&self) -> &'a KioskSetup {
        &self.components.setup
    }

    /// The platform's time as far as it is known, or else the kiosk's own.
    pub(crate) fn estimated_time(&self) -> UnixMs {
        self.components.clock.estimated_now(self.durable.clock(), self.now)
    }

    /// The best known time in the time zone of the site.
    pub(crate) fn local_time(&self) -> DateTime {
        local_time(self.estimated_time(), self.setup().utc_offset_minutes)
    }

    /// The rules and the trusted time by which codes and cards are judged, or why the kiosk cannot judge any.
    pub(crate) fn rules_and_time(&self) -> Result<(&'a CodeRules, UnixMs), VisitRefusal> {
        let rules = self.setup().code_rules.as_ref().ok_or(VisitRefusal::CodeNeedsLink)?;
        let limit = u64::from(rules.unsynced_hours) * 3_600_000;
        let now = self.components.clock.trusted_now(self.durable.clock(), self.now, limit);
        Ok((rules, now.map_err(|_| VisitRefusal::ClockUntrusted)?))
    }

    /// State of a receipt on its way to paper; none when it is not on its way.
    pub(crate) fn print_state(&self, receipt: ReceiptId) -> Option<PrintState> {
        self.components.printing.state(self.durable, receipt)
    }

    /// The printer that would print this form now.
    pub(crate) fn printer_for(&self, form: PrintForm) -> Option<PrintForm> {
        self.components.devices.printer_for(form, &self.setup().equipment)
    }
}
