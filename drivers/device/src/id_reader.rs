//! A reader of resident identity cards on a serial line.

use std::time::{Duration, Instant};

use device::record::Recorder;
use device::record::id_reader::{IdReaderRequest, IdReaderTape};
use device::record::link::RecordedLink;
use device::wire::{Attention, DeviceEvent, DeviceFault, DeviceHealth, IdCardHolder};
use id_reader::{IdCard, IdCardFault, IdReadRefusal, IdReader, IdReaderFault, Validity};
use serial_link::{FlowControl, Link, LinkFault, SerialLink};

use crate::host::{DeviceHost, KioskDisconnected};

/// Interval between two polls for a card.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// Pause before the serial line is opened again.
const REOPEN_PAUSE: Duration = Duration::from_secs(1);
/// Number of polls in a row without a card after which the card counts as lifted: a card that stays on the reader and is
/// missed once must not begin a second visit.
const EMPTY_POLLS_MIN: u32 = 2;

/// Runs until the kiosk closes the connection.
pub(crate) fn run(host: &DeviceHost, recorder: &Recorder, tty: &str, baud: u32) {
    loop {
        let Ok(fault) = serve(host, recorder, tty, baud) else { return };
        let health = if fault == LinkFault::Busy { DeviceHealth::Failed } else { DeviceHealth::Absent };
        if host.report_health(health).is_err() || host.refuse_requests(REOPEN_PAUSE).is_err() {
            return;
        }
    }
}

/// A link that records a heartbeat with every call: a driver that waits for the line does not hang.
struct HeartbeatLink<'a> {
    link: RecordedLink<SerialLink, IdReaderTape>,
    host: &'a DeviceHost,
}

impl Link for HeartbeatLink<'_> {
    fn write_some(&mut self, bytes: &[u8], timeout: Duration) -> Result<usize, LinkFault> {
        self.host.heartbeat();
        self.link.write_some(bytes, timeout)
    }

    fn read_some(&mut self, buffer: &mut [u8], timeout: Duration) -> Result<usize, LinkFault> {
        self.host.heartbeat();
        self.link.read_some(buffer, timeout)
    }

    fn discard(&mut self) {
        self.link.discard();
    }

    fn bytes_per_second(&self) -> u32 {
        self.link.bytes_per_second()
    }

    fn now(&self) -> Instant {
        self.link.now()
    }
}

/// Returns the link's fault when the serial line has to be opened again.
fn serve(
    host: &DeviceHost,
    recorder: &Recorder,
    tty: &str,
    baud: u32,
) -> Result<LinkFault, KioskDisconnected> {
    let link = match SerialLink::open(tty, baud, FlowControl::None) {
        Ok(link) => link,
        Err(fault) => return Ok(fault),
    };
    let tape = IdReaderTape::new(recorder.clone());
    let link = RecordedLink::new(link, tape.clone());
    let mut reader = IdReader::new(HeartbeatLink { link, host });
    tape.record_request(IdReaderRequest::SamId);
    if let Ok(id) = reader.sam_id() {
        tracing::info!(%id, "ID reader: security module (SAM) number");
    }
    // A card that lies on the reader at the start is not read: its holder may have left.
    let (mut card_present, mut empty_polls) = (true, 0);
    loop {
        tape.record_request(IdReaderRequest::Find);
        let outcome = match reader.find() {
            Ok(true) if card_present => {
                empty_polls = 0;
                Ok(())
            }
            Ok(true) => {
                (card_present, empty_polls) = (true, 0);
                host.report_health(DeviceHealth::Ready)?;
                host.send_event(DeviceEvent::IdCardDetected)?;
                tape.record_request(IdReaderRequest::Read);
                let (event, outcome) = reading_event(reader.read());
                host.send_event(event)?;
                outcome
            }
            Ok(false) => {
                empty_polls += 1;
                card_present &= empty_polls < EMPTY_POLLS_MIN;
                Ok(())
            }
            Err(fault) => Err(fault),
        };
        // The driver has already repeated the command after a garbled answer, and waited for a missing one: the fault is
        // reported at once.
        match outcome {
            Ok(()) => host.report_health(DeviceHealth::Ready)?,
            Err(IdReaderFault::Link(fault)) if fault != LinkFault::TimedOut => return Ok(fault),
            Err(IdReaderFault::NotResponding | IdReaderFault::Link(_)) => {
                host.report_health(DeviceHealth::NeedsAttention(Attention::NotResponding))?;
            }
            Err(IdReaderFault::Garbled | IdReaderFault::UnexpectedAnswer(_) | IdReaderFault::Refused(_)) => {
                host.report_health(DeviceHealth::Failed)?;
            }
        }
        while let Some((id, _)) = host.next_request(POLL_INTERVAL)? {
            host.send_answer(id, Err(DeviceFault::Unsupported))?;
        }
    }
}

/// The event that the kiosk receives about a reading, and whether the reader works. Address, photo and all other data are
/// dropped here.
fn reading_event(
    reading: Result<id_reader::IdCardReading, IdCardFault>,
) -> (DeviceEvent, Result<(), IdReaderFault>) {
    match reading {
        Ok(reading) => (DeviceEvent::IdCardRead(Box::new(id_card_holder(&reading.card))), Ok(())),
        Err(IdCardFault::Card(refusal)) => (DeviceEvent::IdCardRefused(refusal), Ok(())),
        Err(IdCardFault::Reader(fault)) => {
            (DeviceEvent::IdCardRefused(IdReadRefusal::Unreadable), Err(fault))
        }
    }
}

fn id_card_holder(card: &IdCard) -> IdCardHolder {
    IdCardHolder {
        number: card.number().to_owned().into(),
        name: card.name().to_owned().into(),
        valid_to: match card.valid_to() {
            Validity::Until(day) => Some(day.to_yyyymmdd()),
            Validity::LongTerm => None,
        },
    }
}
