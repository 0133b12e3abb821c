//! The card slot.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use card::{Happening, ReadFault, Reader, ReaderFault, Refusal, TransportFault};
use device::record::card::CardTape;
use device::record::replay::OPENED;
use device::record::{Reason, Recorder, What};
use device::wire::{Answer, Event, Fault, Health, Ticket, Work};

use crate::desk::{Desk, Gone};

/// One look at the reader; an order waits no longer than this.
const LOOK: Duration = Duration::from_millis(80);
/// After pcscd or the reader went away.
const PAUSE: Duration = Duration::from_millis(250);
/// A card that was lost in mid-reading and lies there still after this has bad contacts.
const LOST_MAX: Duration = Duration::from_secs(1);

enum Ended {
    Fault(ReaderFault),
    Gone,
}

impl From<Gone> for Ended {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl From<ReaderFault> for Ended {
    fn from(fault: ReaderFault) -> Self {
        Self::Fault(fault)
    }
}

/// The reader, and what the kiosk was told of the card in it.
struct Slot<'a> {
    desk: &'a Desk,
    recorder: &'a Recorder,
    reader: Reader,
    present: bool,
    /// Since when a reading that broke off waits for the news that the card was taken.
    lost: Option<Instant>,
}

/// Runs until the kiosk is gone.
pub(crate) fn run(desk: &Desk, recorder: &Recorder, name: &str) {
    loop {
        let Err(ended) = serve(desk, recorder, name);
        let health = match ended {
            Ended::Gone => return,
            Ended::Fault(ReaderFault::NoReader) => Health::Absent,
            Ended::Fault(ReaderFault::NoService) => Health::Failed,
        };
        if desk.health(health).is_err() || desk.away(PAUSE).is_err() {
            return;
        }
    }
}

fn serve(desk: &Desk, recorder: &Recorder, name: &str) -> Result<Infallible, Ended> {
    desk.beat();
    let mut reader = Reader::open(name)?;
    if recorder.is_on() {
        let mut tape = CardTape::new(recorder.clone());
        reader.tap(Box::new(move |command, answer| {
            tape.exchanged(
                command,
                answer.map_err(|fault| match fault {
                    TransportFault::CardGone => Reason::Gone,
                    TransportFault::ReaderGone => Reason::Failed,
                }),
            );
        }));
    }
    let mut slot = Slot { desk, recorder, reader, present: false, lost: None };
    desk.health(Health::Ready)?;
    let Err(ended) = slot.watch();
    // Nobody sees any more whether the card is taken; a reader that comes back announces it anew.
    if slot.present {
        desk.event(Event::CardRemoved)?;
    }
    Err(ended)
}

impl Slot<'_> {
    fn watch(&mut self) -> Result<Infallible, Ended> {
        loop {
            match self.reader.wait(LOOK)? {
                Happening::Nothing if self.lost.is_some_and(|since| since.elapsed() >= LOST_MAX) => {
                    self.lost = None;
                    self.desk.event(Event::CardRefused(Refusal::Mute))?;
                }
                Happening::Nothing => {}
                Happening::Inserted => self.read()?,
                Happening::Removed => {
                    (self.present, self.lost) = (false, None);
                    self.desk.event(Event::CardRemoved)?;
                }
            }
            while let Some((ticket, work)) = self.desk.order(Duration::ZERO)? {
                self.work(ticket, work)?;
            }
        }
    }

    fn read(&mut self) -> Result<(), Ended> {
        self.present = true;
        self.recorder.note(What::Note(OPENED.into()));
        self.desk.event(Event::CardInserted)?;
        match self.reader.read(&mut || self.desk.beat()) {
            Ok(card) => self.desk.event(Event::CardRead(Box::new(card)))?,
            Err(ReadFault::Refused(refusal)) => self.desk.event(Event::CardRefused(refusal))?,
            // The next looks say that it was taken.
            Err(ReadFault::Transport(TransportFault::CardGone)) => self.lost = Some(Instant::now()),
            Err(ReadFault::Transport(TransportFault::ReaderGone)) => {
                return Err(ReaderFault::NoService.into());
            }
        }
        Ok(())
    }

    fn work(&mut self, ticket: Ticket, work: Work) -> Result<(), Gone> {
        let answer = match work {
            Work::VerifyPin(_) if !self.present => Err(Fault::NoCard),
            Work::VerifyPin(pin) => {
                self.recorder.note(What::Order(serde_json::json!({ "verify-pin": pin.len() })));
                match self.reader.verify_pin(&pin) {
                    Ok(outcome) => Ok(Answer::Pin(outcome)),
                    Err(TransportFault::CardGone) => Err(Fault::NoCard),
                    Err(TransportFault::ReaderGone) => Err(Fault::Unavailable),
                }
            }
            Work::Print(_) | Work::PrintSheet(_) | Work::Scan(_) => Err(Fault::NotMine),
        };
        self.desk.answer(ticket, answer)
    }
}
