//! The devices of this kiosk. Each device has its own process and a supervisor.

mod cards;
mod heartbeat;
mod id_cards;
mod mapping;
mod metrics;
mod spawn;
mod supervisor;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::io;
use std::path::Path;

use contract::{CodeReaderSettings, PrintForm, Receipt, ReceiptId, SiteDevices};
use device::wire::{CameraConfig, DeviceConfig, DeviceWork, PrinterLinkConfig, Relays, Signal};
use session::{CardWork, DeviceKind, Event, Failure, PrintResult, Ticket};
use view::{View, ViewId};

use crate::inbox::Inbox;
use crate::message::EngineMessage;
use heartbeat::HeartbeatTimeouts;
use spawn::DeviceProgram;
use supervisor::{DeviceRequest, Supervisor, SupervisorConfig};

/// Events of one device that may wait for the engine. One insertion and removal of a card needs only a few.
const EVENTS_MAX: usize = 16;

/// The supervisors; `None` for a device that the kiosk does not have. Dropping this ends all device processes;
/// the inbox must be dropped before.
pub(crate) struct Devices {
    card_reader: Option<Supervisor>,
    printer: Option<Supervisor>,
    document_printer: Option<Supervisor>,
    signal: Option<Supervisor>,
    /// The view that last changed the signal lamp, and what the lamp shows.
    last_signal: Cell<(Option<ViewId>, Signal)>,
    /// These devices receive no requests; they end with the others.
    _code_reader: Option<Supervisor>,
    _id_reader: Option<Supervisor>,
}

impl Devices {
    /// Starts a supervisor for each device of the site. `program`: path of `kiosk-device`.
    pub(crate) fn start(
        site: &SiteDevices,
        program: &Path,
        inbox: &Inbox<EngineMessage>,
    ) -> io::Result<Self> {
        let start = |device, name, config: Option<DeviceConfig>| {
            let supervisor_config = |config| SupervisorConfig {
                device,
                device_config: config,
                spawner: Box::new(DeviceProgram { path: program.to_owned(), name }),
                timeouts: HeartbeatTimeouts::default(),
                inbox: inbox.sender(EVENTS_MAX),
            };
            config.map(|config| Supervisor::start(supervisor_config(config))).transpose()
        };
        let reader = site.card_reader.as_ref().map(cards::reader_config);
        let id_reader = site
            .id_reader
            .as_ref()
            .map(|path| DeviceConfig::IdReader { tty: path.tty.clone(), baud: path.baud });
        let printer = site.printer.as_ref().map(|path| DeviceConfig::ReceiptPrinter {
            link: printer_link(path.connection.clone()),
            profile: path.profile.clone(),
        });
        let document_printer = site
            .document_printer
            .as_ref()
            .map(|path| DeviceConfig::DocumentPrinter { url: path.url.clone() });
        let (name, code_reader) = match site.code_reader.clone() {
            Some(CodeReaderSettings::Camera { source, exposure }) => {
                let setup = CameraConfig { exposure };
                ("camera", Some(DeviceConfig::Camera { source, setup }))
            }
            Some(CodeReaderSettings::Scanner { tty, baud, line }) => {
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
            signal: start(DeviceKind::Signal, "signal", signal)?,
            last_signal: Cell::new((None, Signal::Dark)),
            card_reader: start(DeviceKind::CardReader, "card", reader)?,
            printer: start(DeviceKind::ReceiptPrinter, "receipt-printer", printer)?,
            document_printer: start(DeviceKind::DocumentPrinter, "sheet-printer", document_printer)?,
            _id_reader: start(DeviceKind::IdReader, "id-reader", id_reader)?,
            _code_reader: start(DeviceKind::CodeReader, name, code_reader)?,
        })
    }

    /// Has the card do its part. Returns the result when it is known at once.
    pub(crate) fn start_card_work(&self, ticket: Ticket, work: CardWork) -> Option<Event> {
        let request = match work {
            CardWork::VerifyPin(digits) => DeviceRequest::Pin(ticket, digits),
            CardWork::ChangePin { old, new } => DeviceRequest::ChangePin(ticket, old, new),
            CardWork::Authenticate(answer) => {
                DeviceRequest::Authenticate(ticket, answer.as_ref().map(cards::auth_answer))
            }
        };
        match &self.card_reader {
            Some(supervisor) => supervisor.request(request),
            None => Some(Event::WorkAnswered(ticket, Err(Failure::DeviceFailed))),
        }
    }

    /// Prints a copy of a receipt. Returns the result when it is known at once.
    pub(crate) fn print(
        &self,
        receipt: ReceiptId,
        on: PrintForm,
        content: &Receipt,
        mark: Option<String>,
    ) -> Option<Event> {
        let (printer, work) = match on {
            PrintForm::Receipt => {
                (&self.printer, DeviceWork::PrintReceipt(mapping::printer_receipt(content, mark)))
            }
            PrintForm::A4Document => {
                (&self.document_printer, DeviceWork::PrintDocument(mapping::printer_document(content, mark)))
            }
        };
        match printer {
            Some(supervisor) => supervisor.request(DeviceRequest::Print(receipt, Box::new(work))),
            None => Some(Event::PrintFinished(receipt, PrintResult::NotStarted)),
        }
    }

    /// Sets a gate's signal lamp to the sign of a view, again for each new verdict.
    pub(crate) fn update_signal(&self, view: &View) {
        let signal = mapping::gate_signal(&view.body);
        let (last_view, last_signal) = self.last_signal.replace((Some(view.id), signal));
        let is_new = last_signal != signal || signal != Signal::Dark && last_view != Some(view.id);
        if is_new && let Some(supervisor) = &self.signal {
            // A lamp that cannot be reached is dark; the screen shows the sign in any case.
            let _ = supervisor.request(DeviceRequest::Signal(signal));
        }
    }
}

fn printer_link(link: contract::PrinterConnection) -> PrinterLinkConfig {
    match link {
        contract::PrinterConnection::Serial { tty, baud } => PrinterLinkConfig::Serial { tty, baud },
        contract::PrinterConnection::Usb { port } => PrinterLinkConfig::Usb { port },
        contract::PrinterConnection::Tcp { address } => PrinterLinkConfig::Tcp { address },
    }
}
