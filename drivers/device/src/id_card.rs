//! A reader of resident identity cards on a serial line.

use std::time::{Duration, Instant};

use device::record::Recorder;
use device::record::id_reader::{Asked, RecordedLink};
use device::wire::{Attention, Event, Fault, Health, IdHolder};
use id_reader::{CardFault, IdCard, IdReader, Link, LinkFault, ReaderFault, Refusal, SerialLink, Validity};

use crate::desk::{Desk, Gone};

/// Between two looks for a card.
const LOOK: Duration = Duration::from_millis(200);
/// Before the line is opened again.
const PAUSE: Duration = Duration::from_secs(1);
/// Looks in a row that find no card before it counts as lifted: a card that is missed once and lies there
/// still must not begin a second visit.
const EMPTY_MIN: u32 = 2;

/// Runs until the kiosk is gone.
pub(crate) fn run(desk: &Desk, recorder: &Recorder, tty: &str, baud: u32) {
    loop {
        let Ok(fault) = serve(desk, recorder, tty, baud) else { return };
        let health = if fault == LinkFault::Busy { Health::Failed } else { Health::Absent };
        if desk.health(health).is_err() || desk.away(PAUSE).is_err() {
            return;
        }
    }
}

/// The line; whoever waits on it is alive.
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

/// Comes back with what is wrong with the line when it has to be opened again.
fn serve(desk: &Desk, recorder: &Recorder, tty: &str, baud: u32) -> Result<LinkFault, Gone> {
    let link = match SerialLink::open(tty, baud) {
        Ok(link) => RecordedLink::new(link, recorder.clone()),
        Err(fault) => return Ok(fault),
    };
    let orders = link.orders();
    let mut reader = IdReader::new(Beating { link, desk });
    orders.note(Asked::SamId);
    if let Ok(id) = reader.sam_id() {
        tracing::info!(%id, "security module of the ID reader");
    }
    // A card that lies there at the start has been read by nobody, and its holder may be gone.
    let (mut lies, mut empty) = (true, 0);
    loop {
        orders.note(Asked::Find);
        let outcome = match reader.find() {
            Ok(true) if lies => {
                empty = 0;
                Ok(())
            }
            Ok(true) => {
                (lies, empty) = (true, 0);
                desk.health(Health::Ready)?;
                desk.event(Event::IdCardSeen)?;
                orders.note(Asked::Read);
                let (event, outcome) = told(reader.read());
                desk.event(event)?;
                outcome
            }
            Ok(false) => {
                empty += 1;
                lies &= empty < EMPTY_MIN;
                Ok(())
            }
            Err(fault) => Err(fault),
        };
        // A garbled answer was asked for twice, and silence was waited out: whoever stands there is told at once.
        match outcome {
            Ok(()) => desk.health(Health::Ready)?,
            Err(ReaderFault::Link(fault)) if fault != LinkFault::TimedOut => return Ok(fault),
            Err(ReaderFault::Mute | ReaderFault::Link(_)) => {
                desk.health(Health::NeedsAttention(Attention::Mute))?;
            }
            Err(ReaderFault::Garbled | ReaderFault::OutOfTurn(_) | ReaderFault::Refused(_)) => {
                desk.health(Health::Failed)?;
            }
        }
        while let Some((ticket, _)) = desk.order(LOOK)? {
            desk.answer(ticket, Err(Fault::NotMine))?;
        }
    }
}

/// What the kiosk hears of a reading, and what that says about the reader. The address, the photo and all
/// else end here.
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
