//! The devices of this kiosk. Each device has its own process and a supervisor.

mod cards;
mod counters;
mod id_cards;
mod keeper;
mod launch;
mod mapping;
mod pulse;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::io;
use std::path::Path;

use contract::{CardAuthAnswer, CodeReaderPath, Form, Receipt, ReceiptId, SiteDevices};
use device::wire::{CameraSetup, DeviceConfig, PrinterLink, Relays, Signal, Work};
use session::{Device, Event, Failure, PrintResult, Ticket};
use view::{View, ViewId};
use zeroize::Zeroizing;

use crate::inbox::Inbox;
use crate::message::Message;
use keeper::{Keeper, Keeping, Order};
use launch::Program;
use pulse::Intervals;

/// Events of one device that may wait for the engine. One insertion and removal of a card needs only a few.
const QUOTA: usize = 16;

/// The supervisors; `None` for a device that the kiosk does not have. Dropping this ends all device processes;
/// the inbox must be dropped before.
pub(crate) struct Devices {
    card_reader: Option<Keeper>,
    printer: Option<Keeper>,
    sheet_printer: Option<Keeper>,
    signal: Option<Keeper>,
    /// The view that last changed the signal lamp, and what the lamp shows.
    shown: Cell<(Option<ViewId>, Signal)>,
    /// These devices receive no requests; they end with the others.
    _code_reader: Option<Keeper>,
    _id_reader: Option<Keeper>,
}

impl Devices {
    /// Starts a supervisor for each device of the site. `program`: path of `kiosk-device`.
    pub(crate) fn start(site: &SiteDevices, program: &Path, inbox: &Inbox<Message>) -> io::Result<Self> {
        let start = |device, name, config: Option<DeviceConfig>| {
            let supervisor_config = |config| Keeping {
                device,
                config,
                launch: Box::new(Program { path: program.to_owned(), name }),
                intervals: Intervals::default(),
                port: inbox.port(QUOTA),
            };
            config.map(|config| Keeper::start(supervisor_config(config))).transpose()
        };
        let reader = site.card_reader.as_ref().map(cards::config);
        let id_reader = site
            .id_reader
            .as_ref()
            .map(|path| DeviceConfig::IdReader { tty: path.tty.clone(), baud: path.baud });
        let printer = site.printer.as_ref().map(|path| DeviceConfig::ReceiptPrinter {
            link: printer_link(path.link.clone()),
            profile: path.profile.clone(),
        });
        let document_printer =
            site.sheet_printer.as_ref().map(|path| DeviceConfig::SheetPrinter { url: path.url.clone() });
        let (name, code_reader) = match site.code_reader.clone() {
            Some(CodeReaderPath::Camera { source, exposure }) => {
                let setup = CameraSetup { exposure, ..CameraSetup::default() };
                ("camera", Some(DeviceConfig::Camera { source, setup }))
            }
            Some(CodeReaderPath::Scanner { tty, baud, line }) => {
                ("scanner", Some(DeviceConfig::Scanner { tty, baud, line: mapping::scanner_line(line) }))
            }
            None => ("", None),
        };
        let signal = site.signal.as_ref().map(|path| DeviceConfig::Signal {
            tty: path.tty.clone(),
            baud: path.baud,
            relays: Relays { go: path.go, stop: path.stop, buzzer: path.buzzer },
        });
        Ok(Self {
            signal: start(Device::Signal, "signal", signal)?,
            shown: Cell::new((None, Signal::Dark)),
            card_reader: start(Device::CardReader, "card", reader)?,
            printer: start(Device::Printer, "receipt-printer", printer)?,
            sheet_printer: start(Device::SheetPrinter, "sheet-printer", document_printer)?,
            _id_reader: start(Device::IdReader, "id-reader", id_reader)?,
            _code_reader: start(Device::CodeReader, name, code_reader)?,
        })
    }

    /// Asks the card to verify a PIN. Returns the result when it is known at once.
    pub(crate) fn verify_pin(&self, ticket: Ticket, digits: Zeroizing<Vec<u8>>) -> Option<Event> {
        self.ask_card(ticket, Order::Pin(ticket, digits))
    }

    /// Asks the card to change its PIN. Returns the result when it is known at once.
    pub(crate) fn change_pin(
        &self,
        ticket: Ticket,
        old: Zeroizing<Vec<u8>>,
        new: Zeroizing<Vec<u8>>,
    ) -> Option<Event> {
        self.ask_card(ticket, Order::ChangePin(ticket, old, new))
    }

    /// Continues with the card that waits for its authentication. Returns the result when it is known at once.
    pub(crate) fn authenticate(&self, ticket: Ticket, answer: Option<&CardAuthAnswer>) -> Option<Event> {
        self.ask_card(ticket, Order::Authenticate(ticket, answer.map(cards::auth_answer)))
    }

    fn ask_card(&self, ticket: Ticket, request: Order) -> Option<Event> {
        match &self.card_reader {
            Some(supervisor) => supervisor.order(request),
            None => Some(Event::Answer(ticket, Err(Failure::Device))),
        }
    }

    /// Prints a copy of a receipt. Returns the result when it is known at once.
    pub(crate) fn print(
        &self,
        receipt: ReceiptId,
        on: Form,
        content: &Receipt,
        mark: Option<String>,
    ) -> Option<Event> {
        let (printer, work) = match on {
            Form::Receipt => (&self.printer, Work::Print(mapping::receipt(content, mark))),
            Form::Sheet => (&self.sheet_printer, Work::PrintSheet(mapping::sheet(content, mark))),
        };
        match printer {
            Some(supervisor) => supervisor.order(Order::Print(receipt, Box::new(work))),
            None => Some(Event::Paper(receipt, PrintResult::NotStarted)),
        }
    }

    /// Sets a gate's signal lamp to the sign of a view, again for each new verdict.
    pub(crate) fn show(&self, view: &View) {
        let signal = mapping::signal(&view.body);
        let (last_view, last_signal) = self.shown.replace((Some(view.id), signal));
        let is_new = last_signal != signal || signal != Signal::Dark && last_view != Some(view.id);
        if is_new && let Some(supervisor) = &self.signal {
            // A lamp that cannot be reached is dark; the screen shows the sign in any case.
            let _ = supervisor.order(Order::Signal(signal));
        }
    }

    /// Cancels work whose answer is no longer wanted.
    pub(crate) fn cancel(&self, ticket: Ticket) {
        if let Some(supervisor) = &self.card_reader {
            // A cancellation has no answer.
            let _ = supervisor.order(Order::Cancel(ticket));
        }
    }
}

fn printer_link(link: contract::PrinterLink) -> PrinterLink {
    match link {
        contract::PrinterLink::Serial { tty, baud } => PrinterLink::Serial { tty, baud },
        contract::PrinterLink::Usb { port } => PrinterLink::Usb { port },
        contract::PrinterLink::Tcp { address } => PrinterLink::Tcp { address },
    }
}
