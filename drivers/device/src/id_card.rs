//! A reader of resident identity cards on a serial line.

use std::time::{Duration, Instant};

use device::record::Recorder;
use device::record::id_reader::{Asked, RecordedLink};
use device::wire::{Attention, Event, Fault, Health, IdHolder};
use id_reader::{CardFault, IdCard, IdReader, Link, LinkFault, ReaderFault, Refusal, SerialLink, Validity};

use crate::desk::{Desk, Gone};

/// Interval between two polls for a card.
const LOOK: Duration = Duration::from_millis(200);
/// Pause before the serial line is opened again.
const PAUSE: Duration = Duration::from_secs(1);
/// Number of polls in a row without a card after which the card counts as lifted: a card that stays on the reader and is
/// missed once must not begin a second visit.
const EMPTY_MIN: u32 = 2;

/// Runs until the kiosk closes the connection.
pub(crate) fn run(host: &Desk, recorder: &Recorder, tty: &str, baud: u32) {
    loop {
        let Ok(fault) = serve(host, recorder, tty, baud) else { return };
        let health = if fault == LinkFault::Busy { Health::Failed } else { Health::Absent };
        if host.health(health).is_err() || host.away(PAUSE).is_err() {
            return;
        }
    }
}

/// A link that records a heartbeat with every call: a driver that waits for the line does not hang.
struct Beating<'a> {
    link: RecordedLink<SerialLink>,
    desk: &'a Desk,
}

impl Link for Beating<'_> {
    fn write_some(&mut self, bytes: &[u8], timeout: Duration) -> Result<usize, LinkFault> {
        self.desk.beat();
        self.link.write_some(bytes, timeout)
    }

    fn read_some(&mut self, buffer: &mut [u8], timeout: Duration) -> Result<usize, LinkFault> {
        self.desk.beat();
        self.link.read_some(buffer, timeout)
    }

    fn now(&self) -> Instant {
        self.link.now()
    }
}

/// Returns the link's fault when the serial line has to be opened again.
fn serve(host: &Desk, recorder: &Recorder, tty: &str, baud: u32) -> Result<LinkFault, Gone> {
    let link = match SerialLink::open(tty, baud) {
        Ok(link) => RecordedLink::new(link, recorder.clone()),
        Err(fault) => return Ok(fault),
    };
    let orders = link.orders();
    let mut reader = IdReader::new(Beating { link, desk: host });
    orders.note(Asked::SamId);
    if let Ok(id) = reader.sam_id() {
        tracing::info!(%id, "ID reader: security module (SAM) number");
    }
    // A card that lies on the reader at the start is not read: its holder may have left.
    let (mut card_present, mut empty_polls) = (true, 0);
    loop {
        orders.note(Asked::Find);
        let outcome = match reader.find() {
            Ok(true) if card_present => {
                empty_polls = 0;
                Ok(())
            }
            Ok(true) => {
                (card_present, empty_polls) = (true, 0);
                host.health(Health::Ready)?;
                host.event(Event::IdCardSeen)?;
                orders.note(Asked::Read);
                let (event, outcome) = told(reader.read());
                host.event(event)?;
                outcome
            }
            Ok(false) => {
                empty_polls += 1;
                card_present &= empty_polls < EMPTY_MIN;
                Ok(())
            }
            Err(fault) => Err(fault),
        };
        // The driver has already repeated the command after a garbled answer, and waited for a missing one: the fault is
        // reported at once.
        match outcome {
            Ok(()) => host.health(Health::Ready)?,
            Err(ReaderFault::Link(fault)) if fault != LinkFault::TimedOut => return Ok(fault),
            Err(ReaderFault::Mute | ReaderFault::Link(_)) => {
                host.health(Health::NeedsAttention(Attention::Mute))?;
            }
            Err(ReaderFault::Garbled | ReaderFault::OutOfTurn(_) | ReaderFault::Refused(_)) => {
                host.health(Health::Failed)?;
            }
        }
        while let Some((id, _)) = host.order(LOOK)? {
            host.answer(id, Err(Fault::NotMine))?;
        }
    }
}

/// The event that the kiosk receives about a reading, and whether the reader works. Address, photo and all other data are
/// dropped here.
fn told(reading: Result<id_reader::Reading, CardFault>) -> (Event, Result<(), ReaderFault>) {
    match reading {
        Ok(reading) => (Event::IdCardRead(Box::new(holder(&reading.card))), Ok(())),
        Err(CardFault::Card(refusal)) => (Event::IdCardRefused(refusal), Ok(())),
        Err(CardFault::Reader(fault)) => (Event::IdCardRefused(Refusal::Unreadable), Err(fault)),
    }
}

fn holder(card: &IdCard) -> IdHolder {
    IdHolder {
        number: card.number().to_owned().into(),
        name: card.name().to_owned().into(),
        valid_to: match card.valid_to() {
            Validity::Until(day) => Some(day.compact()),
            Validity::LongTerm => None,
        },
    }
}
