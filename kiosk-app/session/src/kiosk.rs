//! The root of the state machine: its state, the dispatch of events, its deadlines, its view.

use std::sync::Arc;

use contract::{CloseReason, Entry, OrderId, Settlement, UnixMs};
use view::{Header, Lang, LinkStatus, Text, View, ViewId};

use crate::clock::PlatformClock;
use crate::components::{Components, Status};
use crate::devices::Devices;
use crate::durable::{Durable, UnsettledOrder};
use crate::event::{DeviceKind, DeviceState, Event, KioskInput};
use crate::front::{Front, FrontDue, FrontPlace};
use crate::payments::{PaymentNews, Payments, receipt_of};
use crate::printing::{NewReceipt, Printing};
use crate::receipt_content::{payment_receipt, payment_title};
use crate::setup::{Catalogue, KioskSetup};
use crate::time::{MonotonicMs, Now};
use crate::transition::{Transition, Turn};
use crate::view_identity::means_the_same;
use crate::wording::{in_language, local_time};

const MINUTE_MS: u64 = 60_000;

/// The state machine of one kiosk (自助终端).
pub struct Kiosk {
    /// What the records fold to. Changed by recording only.
    durable: Durable,
    components: Components,
    /// What ends with the visit, and what stands before the screen without one.
    front: Front,
    now: Now,
    last_ticket: u64,
    view: View,
    /// Where the view stands.
    place: FrontPlace,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    /// Nothing but a new view: the clock, or the countdown.
    View,
    /// The inquiry of an order.
    Inquiry(OrderId),
    Front(FrontDue),
}

impl Kiosk {
    /// Recovers the kiosk from the durable state of its journal. Every unsettled order is inquired, never charged again; a
    /// copy whose printing had started becomes *unconfirmed*; a receipt that was not started is abandoned as a print
    /// job and can be fetched by its number.
    pub fn recover(
        setup: Arc<KioskSetup>,
        catalogue: Catalogue,
        mut durable: Durable,
        at: Now,
    ) -> (Self, Transition) {
        let mut last_ticket = 0;
        let mut turn = Turn::new(at, 0, &mut durable, &mut last_ticket);
        if let Some(visit) = turn.durable().open_visit() {
            turn.record(Entry::VisitClosed { visit, reason: CloseReason::Interrupted });
        }
        let components = Components {
            setup,
            catalogue,
            code_trust: Arc::default(),
            clock: PlatformClock::default(),
            devices: Devices::default(),
            online: false,
            printing: Printing::recover(&mut turn),
            payments: Payments::recover(&mut turn),
        };
        let transition = turn.into_transition();
        let front = Front::new(&components);
        let status = Status { components: &components, durable: &durable, now: at };
        let view = view_of(&front, status);
        let place = front.place();
        (Self { durable, components, front, now: at, last_ticket, view, place }, transition)
    }

    /// Handles one event. Commit the transition before anything else is done with the kiosk; when the commit
    /// fails, drop the kiosk and recover a new one from the journal.
    pub fn handle(&mut self, input: KioskInput) -> Transition {
        self.now = input.at;
        let mut turn = Turn::new(input.at, input.entropy, &mut self.durable, &mut self.last_ticket);
        let (turn_, front, components) = (&mut turn, &mut self.front, &mut self.components);
        match input.event {
            Event::Tick => {
                for due in due_now(front, components, turn_.now) {
                    match due {
                        Due::View => {}
                        Due::Inquiry(order) => components.payments.on_inquiry_due(turn_, order),
                        Due::Front(due) => front.on_due(components, turn_, due),
                    }
                }
            }
            Event::Touch { view: on, intent } => {
                if on == self.view.id {
                    front.on_touch(components, turn_, intent);
                }
            }
            Event::Card(event) => front.on_card(components, turn_, event),
            Event::IdCard(event) => front.on_id_card(components, turn_, event),
            Event::CodeScanned(code) => front.on_code(components, turn_, &code),
            Event::CodeHint(hint) => front.on_code_hint(components, turn_.now, hint),
            Event::DeviceStateChanged(device, state) => {
                let before = components.devices.set(device, state);
                front.on_device_state(components, turn_, device, state);
                let is_printer = matches!(device, DeviceKind::ReceiptPrinter | DeviceKind::DocumentPrinter);
                if is_printer && state == DeviceState::Ready && before != DeviceState::Ready {
                    let (printing, printers) = components.printing(front.shown_in().0);
                    printing.start_next(turn_, printers);
                }
            }
            Event::WorkAnswered(ticket, answer) => front.on_answer(components, turn_, ticket, answer),
            Event::PaymentAnswered(order, answer) => {
                match components.payments.on_answer(turn_, order, answer) {
                    PaymentNews::Settled { payment, settlement } => {
                        on_settled(front, components, turn_, (order, &payment), &settlement);
                    }
                    PaymentNews::StillUnknown => front.on_outcome_unknown(order),
                    PaymentNews::Nothing => {}
                }
            }
            Event::OrdersReconciled { orders, is_complete } => {
                components.payments.on_reconciled(turn_, orders, is_complete);
            }
            Event::PrintFinished(receipt, result) => {
                let (printing, printers) = components.printing(front.shown_in().0);
                printing.on_result(turn_, printers, receipt, result);
            }
            Event::CatalogueChanged(catalogue) => components.on_catalogue(turn_, catalogue),
            Event::CodeTrustChanged(trust) => components.code_trust = trust,
            Event::ClockSynchronised(offset_ms) => components.on_clock_synchronised(turn_, offset_ms),
            Event::LinkChanged(online) => components.online = online,
            Event::JournalNearlyFull(full) => components.payments.on_journal_nearly_full(turn_, full),
        }
        front.update_idle_timer(components, turn_.now);
        let transition = turn.into_transition();
        self.render();
        transition
    }

    fn render(&mut self) {
        let status = Status { components: &self.components, durable: &self.durable, now: self.now };
        let (mut view, place) = (view_of(&self.front, status), self.front.place());
        view.id = self.view.id;
        if place != self.place || !means_the_same(&view, &self.view) {
            view.id = ViewId(view.id.0.saturating_add(1));
        }
        (self.view, self.place) = (view, place);
    }

    /// What the records fold to. Recovery from it yields a kiosk that has everything that must outlive the process.
    #[must_use]
    pub const fn durable(&self) -> &Durable {
        &self.durable
    }

    /// The current view. Show it after the commit, so that nothing is shown that is not durable.
    #[must_use]
    pub const fn view(&self) -> &View {
        &self.view
    }

    /// When the kiosk needs an [`Event::Tick`] at the latest. Call again after every [`Kiosk::handle`].
    #[must_use]
    pub fn next_deadline(&self) -> Option<MonotonicMs> {
        deadlines(&self.front, &self.components, self.now).map(|(at, _)| at).min()
    }
}

/// Everything that is due at some time: the one table of deadlines.
fn deadlines(front: &Front, components: &Components, now: Now) -> impl Iterator<Item = (MonotonicMs, Due)> {
    let clock = now.mono.plus_ms(MINUTE_MS - now.wall.0 % MINUTE_MS);
    let countdown = front.idle_ms_left(now).map(|left| {
        let shown = components.setup.time_limits.countdown_ms;
        // The countdown begins, or its next second.
        let pause = if left > shown { left - shown } else { (left.max(1) - 1) % 1000 + 1 };
        now.mono.plus_ms(pause)
    });
    let views = std::iter::once(clock).chain(countdown).map(|at| (at, Due::View));
    let inquiries = components.payments.deadlines().map(|(at, order)| (at, Due::Inquiry(order)));
    let of_front = front.deadlines().into_iter().map(|(at, due)| (at, Due::Front(due)));
    views.chain(inquiries).chain(of_front)
}

fn due_now(front: &Front, components: &Components, now: Now) -> Vec<Due> {
    deadlines(front, components, now).filter(|(at, _)| *at <= now.mono).map(|(_, due)| due).collect()
}

/// The outcome of an order is recorded: its receipt is issued if it is paid, and the resident who waits for it reads it.
fn on_settled(
    front: &mut Front,
    components: &mut Components,
    turn: &mut Turn<'_>,
    (order, payment): (OrderId, &UnsettledOrder),
    settlement: &Settlement,
) {
    // An order that was recovered in its own visit was settled there before: its outcome was shown, its receipt is on its way.
    let payer = front.language_of_payer(order).filter(|_| !payment.is_recovered());
    if let Settlement::Paid { reference, at } = settlement {
        let (receipt, lang) = (receipt_of(order), payer.unwrap_or_default());
        let setup = Arc::clone(&components.setup);
        let title = payment_title(&setup, &components.catalogue, payment.service.as_deref(), lang);
        let content = payment_receipt(&setup, payment, receipt, title, reference, *at, lang);
        let (visit, form) = (payment.visit, contract::PrintForm::Receipt);
        let new = NewReceipt { receipt, visit, order: Some(order), form, content };
        let (printing, printers) = components.printing(lang);
        // Never too long: the order's record is shorter than a record may be, see `Payments::create`.
        let _ = printing.issue(turn, printers, new, payer.is_some());
    }
    if !payment.is_recovered() {
        front.on_settled(components, turn.now, order, settlement);
    }
}

fn view_of(front: &Front, status: Status<'_>) -> View {
    let (lang, theme) = front.shown_in();
    let content = front.content(status);
    let countdown =
        front.idle_ms_left(status.now).filter(|left| *left <= status.setup().time_limits.countdown_ms);
    View {
        id: ViewId(0),
        lang,
        theme,
        header: Header {
            resident: front.masked_resident(),
            ..header(status.setup(), lang, status.now.wall, status.components.online)
        },
        steps: content.steps,
        title: content.title,
        lead: content.lead,
        banners: content.banners,
        body: content.body,
        actions: content.actions,
        footer: content.footer,
        // Whole seconds, rounded up.
        seconds_left: countdown.map(|left| u16::try_from(left.div_ceil(1000)).unwrap_or(u16::MAX)),
    }
}

/// The top line, without a resident.
pub(crate) fn header(setup: &KioskSetup, lang: Lang, wall: UnixMs, online: bool) -> Header {
    Header {
        hall: Text::Data(in_language(&setup.hall, lang).to_owned()),
        clock: local_time(wall, setup.utc_offset_minutes).strftime("%H:%M").to_string(),
        link: if online { LinkStatus::Online } else { LinkStatus::Offline },
        resident: None,
    }
}
