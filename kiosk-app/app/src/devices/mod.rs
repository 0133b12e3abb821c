//! The devices of this kiosk, each a process of its own with a keeper.

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

/// Events of one device that may wait for the engine. A card goes in and out in a few of them.
const QUOTA: usize = 16;

/// The keepers; a device that the kiosk does not have has none. Dropping it ends all device processes; the
/// inbox must be gone by then.
pub(crate) struct Devices {
    card_reader: Option<Keeper>,
    printer: Option<Keeper>,
    sheet_printer: Option<Keeper>,
    signal: Option<Keeper>,
    /// The view that the light went with last.
    shown: Cell<(Option<ViewId>, Signal)>,
    /// Nothing is ever asked of these; they end with the others.
    _code_reader: Option<Keeper>,
    _id_reader: Option<Keeper>,
}

impl Devices {
    /// Starts a keeper for each device of the site. `program`: path of `kiosk-device`.
    pub(crate) fn start(site: &SiteDevices, program: &Path, inbox: &Inbox<Message>) -> io::Result<Self> {
        let keep = |device, name, config: Option<DeviceConfig>| {
            let keeping = |config| Keeping {
                device,
                config,
                launch: Box::new(Program { path: program.to_owned(), name }),
                intervals: Intervals::default(),
                port: inbox.port(QUOTA),
            };
            config.map(|config| Keeper::start(keeping(config))).transpose()
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
        let sheet_printer =
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
            signal: keep(Device::Signal, "signal", signal)?,
            shown: Cell::new((None, Signal::Dark)),
            card_reader: keep(Device::CardReader, "card", reader)?,
            printer: keep(Device::Printer, "receipt-printer", printer)?,
            sheet_printer: keep(Device::SheetPrinter, "sheet-printer", sheet_printer)?,
            _id_reader: keep(Device::IdReader, "id-reader", id_reader)?,
            _code_reader: keep(Device::CodeReader, name, code_reader)?,
        })
    }

    /// Lets the card check a PIN. The event is what came of it, when that is known at once.
    pub(crate) fn verify_pin(&self, ticket: Ticket, digits: Zeroizing<Vec<u8>>) -> Option<Event> {
        self.ask_card(ticket, Order::Pin(ticket, digits))
    }

    /// Lets the card take another PIN. The event is what came of it, when that is known at once.
    pub(crate) fn change_pin(
        &self,
        ticket: Ticket,
        old: Zeroizing<Vec<u8>>,
        new: Zeroizing<Vec<u8>>,
    ) -> Option<Event> {
        self.ask_card(ticket, Order::ChangePin(ticket, old, new))
    }

    /// Goes on with the card that waits for its authority. The event is what came of it, when that is known at once.
    pub(crate) fn authenticate(&self, ticket: Ticket, answer: Option<&CardAuthAnswer>) -> Option<Event> {
        self.ask_card(ticket, Order::Authenticate(ticket, answer.map(cards::auth_answer)))
    }

    fn ask_card(&self, ticket: Ticket, order: Order) -> Option<Event> {
        match &self.card_reader {
            Some(keeper) => keeper.order(order),
            None => Some(Event::Answer(ticket, Err(Failure::Device))),
        }
    }

    /// Prints a copy of a receipt. The event is what came of it, when that is known at once.
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
            Some(keeper) => keeper.order(Order::Print(receipt, Box::new(work))),
            None => Some(Event::Paper(receipt, PrintResult::NotStarted)),
        }
    }

    /// A view is on the screen: a gate's light goes with its sign, anew for each verdict.
    pub(crate) fn show(&self, view: &View) {
        let signal = mapping::signal(&view.body);
        let (before, showed) = self.shown.replace((Some(view.id), signal));
        let is_new = showed != signal || signal != Signal::Dark && before != Some(view.id);
        if is_new && let Some(keeper) = &self.signal {
            // One that cannot be told is down, and dark; the sign is on the screen all the same.
            let _ = keeper.order(Order::Signal(signal));
        }
    }

    /// The work is no longer wanted.
    pub(crate) fn cancel(&self, ticket: Ticket) {
        if let Some(keeper) = &self.card_reader {
            // There is nothing to hear of a cancellation.
            let _ = keeper.order(Order::Cancel(ticket));
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
