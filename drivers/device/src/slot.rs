//! The card slot.

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

/// How cards are read here.
pub(crate) struct Setup {
    /// The reader's name.
    pub(crate) reader: String,
    /// The PSAM's; none: the kiosk is asked.
    pub(crate) psam: Option<String>,
    pub(crate) older: OlderCards,
}

/// A card that waits for its authority.
struct Waiting {
    guarded: Box<Guarded>,
    since: Instant,
}

/// The reader, and what the kiosk was told of the card in it.
struct Slot<'a> {
    desk: &'a Desk,
    recorder: &'a Recorder,
    setup: &'a Setup,
    reader: Reader,
    present: bool,
    /// It goes with the card.
    waiting: Option<Waiting>,
    /// Since when a reading that broke off waits for the news that the card was taken.
    lost: Option<Instant>,
}

/// Runs until the kiosk is gone.
pub(crate) fn run(desk: &Desk, recorder: &Recorder, setup: &Setup) {
    loop {
        let Err(ended) = serve(desk, recorder, setup);
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

fn serve(desk: &Desk, recorder: &Recorder, setup: &Setup) -> Result<Infallible, Ended> {
    desk.beat();
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
    let mut slot = Slot { desk, recorder, setup, reader, present: false, waiting: None, lost: None };
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
                    (self.present, self.lost, self.waiting) = (false, None, None);
                    self.desk.event(Event::CardRemoved)?;
                }
            }
            while let Some((ticket, work)) = self.desk.order(Duration::ZERO)? {
                self.work(ticket, work)?;
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

    /// A card without the residents' application may be a staff card; if not, it is another card.
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

    /// The PSAM is asked, or else the kiosk; a PSAM that fails leaves it to the kiosk too.
    fn vouch(&mut self, guarded: Box<Guarded>) -> Result<(), Ended> {
        if let Some(name) = &self.setup.psam {
            match PsamSlot::new(name, &mut || self.desk.beat()).authenticate(guarded.request()) {
                Ok(answer) => {
                    let read = self.reader.finish(*guarded, &answer, &mut || self.desk.beat());
                    return self.came_to(read);
                }
                Err(fault) => tracing::warn!(%fault, "the kiosk is asked instead of the PSAM"),
            }
        }
        self.desk.event(Event::CardNeedsAuthority(Box::new(guarded.request().clone())))?;
        self.waiting = Some(Waiting { guarded, since: Instant::now() });
        Ok(())
    }

    /// Ends the reading of the card that waits, if one does; says whether one did.
    fn go_on(&mut self, answer: Option<AuthAnswer>) -> Result<bool, Ended> {
        let Some(Waiting { guarded, .. }) = self.waiting.take() else { return Ok(false) };
        let read = match answer {
            Some(answer) => self.reader.finish(*guarded, &answer, &mut || self.desk.beat()),
            None => Ok(guarded.without()),
        };
        self.came_to(read)?;
        Ok(true)
    }

    /// Tells what came of a reading.
    fn came_to(&mut self, read: Result<SocialCard, ReadFault>) -> Result<(), Ended> {
        match read {
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

    fn work(&mut self, ticket: Ticket, work: Work) -> Result<(), Ended> {
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
        Ok(self.desk.answer(ticket, answer)?)
    }
}

/// What the card said to a PIN, for the kiosk.
fn answer(said: Result<PinOutcome, TransportFault>) -> Result<Answer, Fault> {
    match said {
        Ok(outcome) => Ok(Answer::Pin(outcome)),
        Err(TransportFault::CardGone) => Err(Fault::NoCard),
        Err(TransportFault::ReaderGone) => Err(Fault::Unavailable),
    }
}
