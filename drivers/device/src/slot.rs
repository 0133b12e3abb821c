//! The slot of the card reader: announces cards, reads them, has them authenticated, and executes PIN requests.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use card::{
    AuthAnswer, Begun, CardAuthority as _, Guarded, Happening, OlderCards, PinOutcome, PsamSlot, ReadFault,
    Reader, ReaderFault, Refusal, SocialCard, TransportFault,
};
use device::record::card::CardTape;
use device::record::replay::OPENED;
use device::record::{Reason, Recorder, What};
use device::wire::{AUTHORITY_MS, Answer, Event, Fault, Health, Ticket, Work};

use crate::desk::{Desk, Gone};

/// Longest wait for a card event, and thereby the longest delay of a request.
const LOOK: Duration = Duration::from_millis(80);
/// Pause before pcscd and the reader are opened again.
const PAUSE: Duration = Duration::from_millis(250);
/// A card whose reading broke off and that is still inserted after this time has bad contacts.
const LOST_MAX: Duration = Duration::from_secs(1);

/// Why the reader is not served any longer.
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

/// Configuration of the card reader.
pub(crate) struct Setup {
    /// Beginning of the reader's PC/SC name.
    pub(crate) reader: String,
    /// Beginning of the PC/SC name of the PSAM's reader; `None`: the kiosk is asked to authenticate cards.
    pub(crate) psam: Option<String>,
    pub(crate) older: OlderCards,
}

/// A card whose reading waits for the answer of its authority, and since when.
struct Waiting {
    guarded: Box<Guarded>,
    since: Instant,
}

/// The reader, and what has been reported about the card in it.
struct Slot<'a> {
    desk: &'a Desk,
    recorder: &'a Recorder,
    setup: &'a Setup,
    reader: Reader,
    present: bool,
    /// Dropped when the card is removed.
    waiting: Option<Waiting>,
    /// Time at which a reading broke off, until the reader reports that the card was removed.
    lost: Option<Instant>,
}

/// Runs until the kiosk closes the connection.
pub(crate) fn run(host: &Desk, recorder: &Recorder, setup: &Setup) {
    loop {
        let Err(ended) = serve(host, recorder, setup);
        let health = match ended {
            Ended::Gone => return,
            Ended::Fault(ReaderFault::NoReader) => Health::Absent,
            Ended::Fault(ReaderFault::NoService) => Health::Failed,
        };
        if host.health(health).is_err() || host.away(PAUSE).is_err() {
            return;
        }
    }
}

fn serve(host: &Desk, recorder: &Recorder, setup: &Setup) -> Result<Infallible, Ended> {
    host.beat();
    let mut reader = Reader::open(&setup.reader)?;
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
    let mut slot = Slot { desk: host, recorder, setup, reader, present: false, waiting: None, lost: None };
    host.health(Health::Ready)?;
    let Err(ended) = slot.watch();
    // The removal of the card can no longer be observed. When the reader is available again, it reports an inserted
    // card again.
    if slot.present {
        host.event(Event::CardRemoved)?;
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
                    (self.present, self.lost, self.waiting) = (false, None, None);
                    self.desk.event(Event::CardRemoved)?;
                }
            }
            while let Some((id, work)) = self.desk.order(Duration::ZERO)? {
                self.work(id, work)?;
            }
            let late = Duration::from_millis(AUTHORITY_MS);
            if self.waiting.as_ref().is_some_and(|waiting| waiting.since.elapsed() >= late) {
                self.go_on(None)?;
            }
        }
    }

    fn read(&mut self) -> Result<(), Ended> {
        self.present = true;
        self.recorder.note(What::Note(OPENED.into()));
        self.desk.event(Event::CardInserted)?;
        let mut random = [0; 24];
        getrandom::fill(&mut random).expect("the kernel's random generator is seeded once the system is up");
        match self.reader.begin(self.setup.older, random, &mut || self.desk.beat()) {
            Ok(Begun::Done(card)) => self.came_to(Ok(*card)),
            Ok(Begun::Asks(guarded)) => self.vouch(guarded),
            Err(ReadFault::Refused(Refusal::NotSocialSecurity)) => self.staff(),
            Err(fault) => self.came_to(Err(fault)),
        }
    }

    /// Tries a card without the social security application as a staff card; refuses the card if it is none.
    fn staff(&mut self) -> Result<(), Ended> {
        let mut challenge = [0; 32];
        getrandom::fill(&mut challenge)
            .expect("the kernel's random generator is seeded once the system is up");
        match self.reader.staff(challenge) {
            Ok(Some(proof)) => Ok(self.desk.event(Event::StaffCard(Box::new(proof)))?),
            Ok(None) => self.came_to(Err(ReadFault::Refused(Refusal::NotSocialSecurity))),
            Err(fault) => self.came_to(Err(fault.into())),
        }
    }

    /// Has the card authenticated by the PSAM; by the kiosk if there is no PSAM or the PSAM fails.
    fn vouch(&mut self, guarded: Box<Guarded>) -> Result<(), Ended> {
        if let Some(name) = &self.setup.psam {
            match PsamSlot::new(name, &mut || self.desk.beat()).authenticate(guarded.request()) {
                Ok(answer) => {
                    let read = self.reader.finish(*guarded, &answer, &mut || self.desk.beat());
                    return self.came_to(read);
                }
                Err(fault) => {
                    tracing::warn!(%fault, "PSAM failed: card authentication requested from the kiosk")
                }
            }
        }
        self.desk.event(Event::CardNeedsAuthority(Box::new(guarded.request().clone())))?;
        self.waiting = Some(Waiting { guarded, since: Instant::now() });
        Ok(())
    }

    /// Completes the reading of the card that waits for authentication. Returns whether there was one.
    fn go_on(&mut self, answer: Option<AuthAnswer>) -> Result<bool, Ended> {
        let Some(Waiting { guarded, .. }) = self.waiting.take() else { return Ok(false) };
        let read = match answer {
            Some(answer) => self.reader.finish(*guarded, &answer, &mut || self.desk.beat()),
            None => Ok(guarded.without()),
        };
        self.came_to(read)?;
        Ok(true)
    }

    /// Reports the result of a reading to the kiosk.
    fn came_to(&mut self, read: Result<SocialCard, ReadFault>) -> Result<(), Ended> {
        match read {
            Ok(card) => self.desk.event(Event::CardRead(Box::new(card)))?,
            Err(ReadFault::Refused(refusal)) => self.desk.event(Event::CardRefused(refusal))?,
            // The next polls report that the card was removed, or that it is still inserted.
            Err(ReadFault::Transport(TransportFault::CardGone)) => self.lost = Some(Instant::now()),
            Err(ReadFault::Transport(TransportFault::ReaderGone)) => {
                return Err(ReaderFault::NoService.into());
            }
        }
        Ok(())
    }

    fn work(&mut self, id: Ticket, work: Work) -> Result<(), Ended> {
        let answer = match work {
            Work::Authenticate(answer) => {
                if self.go_on(answer)? {
                    Ok(Answer::Authenticated)
                } else {
                    Err(Fault::NoCard)
                }
            }
            Work::VerifyPin(_) | Work::ChangePin { .. } if !self.present => Err(Fault::NoCard),
            Work::VerifyPin(pin) => {
                self.recorder.note(What::Order(serde_json::json!({ "verify-pin": pin.len() })));
                answer(self.reader.verify_pin(&pin))
            }
            Work::ChangePin { old, new } => {
                let lengths = serde_json::json!({ "change-pin": [old.len(), new.len()] });
                self.recorder.note(What::Order(lengths));
                answer(self.reader.change_pin(&old, &new))
            }
            Work::Print(_) | Work::PrintSheet(_) | Work::Scan(_) | Work::Signal(_) => Err(Fault::NotMine),
        };
        Ok(self.desk.answer(id, answer)?)
    }
}

/// The card's response to a PIN command, as an answer to the kiosk.
fn answer(outcome: Result<PinOutcome, TransportFault>) -> Result<Answer, Fault> {
    match outcome {
        Ok(outcome) => Ok(Answer::Pin(outcome)),
        Err(TransportFault::CardGone) => Err(Fault::NoCard),
        Err(TransportFault::ReaderGone) => Err(Fault::Unavailable),
    }
}
