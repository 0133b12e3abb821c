//! One reader: asks, waits within bounds, finds its way back after noise, and reads cards.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

use crate::answer::{Answer, SamId, ShapeFault, parse_answer};
use crate::card::Reading;
use crate::command::Command;
use crate::frame::{FRAME_MAX, Scan, scan};
use crate::link::{Link, LinkFault};
use crate::status::Status;
use crate::text::{TextFault, parse_text};
use crate::utf16::field;

/// One wait for the line.
const SLICE: Duration = Duration::from_millis(100);
/// A frame that stops for so long will not go on: it was noise, or its end is lost. Adapters hold bytes back for
/// 16 ms, wireless ones for some 100.
const GAP: Duration = Duration::from_millis(200);
/// Ten bytes are taken at once by any line that works.
const SENDING: Duration = Duration::from_secs(1);
/// How long it may look for a card: up to a few hundred milliseconds (ASSUMED). It is asked again and again, and a
/// resident who lays a card on a dead reader must hear of it within a second.
const PATIENCE_FINDING: Duration = Duration::from_millis(600);
/// How long another answer may take (ASSUMED).
const PATIENCE: Duration = Duration::from_millis(1_500);
/// The same for a whole card: about a second in the module (ASSUMED), and 2.4 s at 9,600 bit/s.
const PATIENCE_READING: Duration = Duration::from_secs(4);
/// A command is sent once more when its answer came garbled.
const SENDS_MAX: u32 = 2;
/// A card that is still being laid down is read at the second or third attempt.
const READINGS_MAX: u32 = 3;
/// What is thrown away before a command, at most: more is a flood, and the answer will not be found in it.
const DRAIN_MAX: usize = 4 * FRAME_MAX;

/// Why a reader cannot be used now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReaderFault {
    /// The line is at fault. Anything but [`LinkFault::TimedOut`] means: open it anew.
    #[error("the ID reader cannot be reached")]
    Link(#[source] LinkFault),
    /// It does not answer.
    #[error("the ID reader does not answer: check its power, its cable and the configured speed")]
    Mute,
    /// What comes from it is no answer.
    #[error("the ID reader's answers are garbled: check its cable and the configured speed")]
    Garbled,
    /// It answers as one that does something else.
    #[error("the ID reader answers out of turn")]
    OutOfTurn(#[source] ShapeFault),
    /// It refuses to work.
    #[error("the ID reader refuses to work ({0:?}): its security module must be checked by its vendor")]
    Refused(Status),
}

/// Why the card on the reader cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// Another kind of card.
    NotAnIdCard,
    /// It was lifted, lies badly, or its chip is broken.
    Unreadable,
    /// Card and reader do not accept each other.
    NotAccepted,
    /// It was read, and what it says makes no sense.
    Garbage,
}

/// Why there is no reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CardFault {
    /// It is the card.
    #[error("the card cannot be used ({0:?})")]
    Card(Refusal),
    /// It is the reader.
    #[error("the reader failed while it read a card")]
    Reader(#[source] ReaderFault),
}

impl From<LinkFault> for ReaderFault {
    fn from(fault: LinkFault) -> Self {
        Self::Link(fault)
    }
}

impl From<TextFault> for Refusal {
    fn from(fault: TextFault) -> Self {
        match fault {
            TextFault::Kind(_) => Self::NotAnIdCard,
            TextFault::Length(_) | TextFault::Field(_) => Self::Garbage,
        }
    }
}

/// One reader on its line.
pub struct IdReader<L> {
    link: L,
    /// What came and is not used up: at most one frame, wiped with every command.
    buffer: Zeroizing<Vec<u8>>,
}

impl<L: Link> IdReader<L> {
    /// Takes a line. Nothing is sent yet.
    pub fn new(link: L) -> Self {
        // Room for the longest frame from the start: growing would leave copies behind in freed memory.
        Self { link, buffer: Zeroizing::new(Vec::with_capacity(FRAME_MAX)) }
    }

    /// Whether the security module is ready.
    ///
    /// # Errors
    /// When it is not, or does not answer.
    pub fn sam_status(&mut self) -> Result<(), ReaderFault> {
        self.done(Command::SamStatus)
    }

    /// Resets the security module.
    ///
    /// # Errors
    /// When it does not come back.
    pub fn reset(&mut self) -> Result<(), ReaderFault> {
        self.done(Command::Reset)
    }

    /// The number of the security module, for the operator's inventory.
    ///
    /// # Errors
    /// When it does not give one.
    pub fn sam_id(&mut self) -> Result<SamId, ReaderFault> {
        self.ask(Command::SamId, |answer| match answer {
            Answer::Sam(id) => Ok(id),
            Answer::Bare(status) => Err(ReaderFault::Refused(status)),
            Answer::Card { .. } | Answer::Address(_) => Err(ReaderFault::Garbled),
        })?
    }

    /// Whether a card lies on the reader that was not read since it was laid there.
    ///
    /// # Errors
    /// When the reader does not say.
    pub fn find(&mut self) -> Result<bool, ReaderFault> {
        let status = self.status(Command::Find)?;
        if status == Status::CardFound || status == Status::NoCard {
            Ok(status == Status::CardFound)
        } else {
            Err(ReaderFault::Refused(status))
        }
    }

    /// Reads the card that was found.
    ///
    /// # Errors
    /// When the card or the reader is at fault. A card is tried again within a bounded time.
    pub fn read(&mut self) -> Result<Reading, CardFault> {
        self.read_by(Command::Read)
    }

    /// The same with its fingerprints.
    ///
    /// # Errors
    /// As above.
    pub fn read_with_fingerprints(&mut self) -> Result<Reading, CardFault> {
        self.read_by(Command::ReadWithFingerprints)
    }

    /// 追加住址 of the card that was read: the address it was given after it was issued.
    ///
    /// # Errors
    /// When the card or the reader is at fault.
    pub fn new_address(&mut self) -> Result<Option<Zeroizing<String>>, CardFault> {
        let address = self.ask(Command::NewAddress, |answer| match answer {
            Answer::Address(bytes) => field(bytes).map(Some).ok_or(Attempt::Final(Refusal::Garbage)),
            Answer::Bare(Status::NothingThere) => Ok(None),
            Answer::Bare(_) | Answer::Sam(_) | Answer::Card { .. } => Err(attempt(&answer)),
        });
        address.map_err(CardFault::Reader)?.map_err(|attempt| CardFault::Card(attempt.refusal()))
    }

    fn read_by(&mut self, command: Command) -> Result<Reading, CardFault> {
        let mut last = Refusal::Unreadable;
        for readings in 0..READINGS_MAX {
            // A failed reading loses the card: it has to be found again.
            if readings > 0 && !self.find().map_err(CardFault::Reader)? {
                break;
            }
            match self.select_and_read(command).map_err(CardFault::Reader)? {
                Ok(reading) => return Ok(reading),
                Err(Attempt::Final(refusal)) => return Err(CardFault::Card(refusal)),
                Err(Attempt::Again(refusal)) => last = refusal,
            }
        }
        Err(CardFault::Card(last))
    }

    fn select_and_read(&mut self, command: Command) -> Result<Result<Reading, Attempt>, ReaderFault> {
        let failed = self.ask(Command::Select, |answer| {
            (answer != Answer::Bare(Status::Done)).then(|| attempt(&answer))
        })?;
        if let Some(attempt) = failed {
            return Ok(Err(attempt));
        }
        self.ask(command, |answer| match answer {
            Answer::Card { text, photo, fingerprints } => match parse_text(text) {
                Ok(card) => Ok(Reading {
                    card,
                    photo: photo.to_vec().into(),
                    fingerprints: fingerprints.to_vec().into(),
                }),
                Err(fault) => Err(Attempt::Final(fault.into())),
            },
            Answer::Bare(_) | Answer::Sam(_) | Answer::Address(_) => Err(attempt(&answer)),
        })
    }

    fn done(&mut self, command: Command) -> Result<(), ReaderFault> {
        let status = self.status(command)?;
        if status == Status::Done { Ok(()) } else { Err(ReaderFault::Refused(status)) }
    }

    fn status(&mut self, command: Command) -> Result<Status, ReaderFault> {
        self.ask(command, |answer| match answer {
            Answer::Bare(status) => status,
            Answer::Sam(_) | Answer::Card { .. } | Answer::Address(_) => Status::Done,
        })
    }

    /// Sends a command and takes what is needed out of its answer.
    fn ask<T>(&mut self, command: Command, take: impl FnOnce(Answer<'_>) -> T) -> Result<T, ReaderFault> {
        let mut sends = 1;
        let used = loop {
            match self.exchange(command) {
                Err(ReaderFault::Garbled) if sends < SENDS_MAX => sends += 1,
                outcome => break outcome,
            }
        };
        let taken = used.and_then(|used| {
            let Scan::Frame { body, .. } = scan(self.buffer.get(..used).unwrap_or_default()) else {
                return Err(ReaderFault::Garbled);
            };
            parse_answer(command, body).map(take).map_err(ReaderFault::OutOfTurn)
        });
        self.wipe();
        taken
    }

    /// Sends a command and waits until a frame stands at the front of the buffer; its length.
    fn exchange(&mut self, command: Command) -> Result<usize, ReaderFault> {
        self.drain()?;
        self.send(&command.frame())?;
        let patience = match command {
            Command::Find => PATIENCE_FINDING,
            Command::Read | Command::ReadWithFingerprints => PATIENCE_READING,
            Command::Reset | Command::SamStatus | Command::SamId | Command::Select | Command::NewAddress => {
                PATIENCE
            }
        };
        let until = self.link.now() + patience;
        let (mut moved, mut heard) = (self.link.now(), false);
        loop {
            if let Some(used) = self.frame() {
                return Ok(used);
            }
            let left = until.saturating_duration_since(self.link.now());
            if left.is_zero() {
                return Err(if heard { ReaderFault::Garbled } else { ReaderFault::Mute });
            }
            match self.receive(left.min(SLICE)) {
                Ok(()) => (moved, heard) = (self.link.now(), true),
                Err(LinkFault::TimedOut) if self.link.now().saturating_duration_since(moved) >= GAP => {
                    self.give_up_what_stands_still();
                    // To look for a card is asked anew at no cost: what came was the answer, spoilt.
                    if command == Command::Find && heard && self.buffer.is_empty() {
                        return Err(ReaderFault::Garbled);
                    }
                }
                Err(LinkFault::TimedOut) => {}
                Err(fault) => return Err(fault.into()),
            }
        }
    }

    /// Drops what cannot belong to a frame; the length of the frame at the front, once it is whole.
    fn frame(&mut self) -> Option<usize> {
        loop {
            let (skip, garbled) = match scan(&self.buffer) {
                Scan::Frame { used, .. } => return Some(used),
                Scan::Incomplete { skip } => (skip, false),
                Scan::Garbled { skip } => (skip, true),
            };
            self.drop_front(skip);
            if !garbled {
                return None;
            }
        }
    }

    /// A frame that began and does not go on was none, and may hide the true one.
    fn give_up_what_stands_still(&mut self) {
        while self.frame().is_none() && !self.buffer.is_empty() {
            self.drop_front(1);
        }
    }

    /// Takes in what is there, no more than one frame's worth.
    fn receive(&mut self, timeout: Duration) -> Result<(), LinkFault> {
        let held = self.buffer.len();
        // A frame that was begun always fits: the buffer is never full here.
        self.buffer.resize(FRAME_MAX, 0);
        let read = match self.buffer.get_mut(held..) {
            Some(room) if !room.is_empty() => self.link.read_some(room, timeout),
            Some(_) | None => Ok(0),
        };
        let came = read.unwrap_or(0).min(FRAME_MAX.saturating_sub(held));
        self.buffer.truncate(held + came);
        read.map(drop)
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), ReaderFault> {
        let until = self.link.now() + SENDING;
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.link.write_some(rest, SLICE) {
                Ok(taken) => rest = rest.get(taken..).unwrap_or_default(),
                Err(LinkFault::TimedOut) if self.link.now() < until => {}
                Err(LinkFault::TimedOut) => return Err(ReaderFault::Mute),
                Err(fault) => return Err(fault.into()),
            }
        }
        Ok(())
    }

    /// Throws away what was not asked for, so that it is not taken for an answer.
    fn drain(&mut self) -> Result<(), ReaderFault> {
        let mut drained = 0;
        while drained < DRAIN_MAX {
            self.wipe();
            match self.receive(Duration::ZERO) {
                Ok(()) => drained += self.buffer.len().max(1),
                Err(LinkFault::TimedOut) => break,
                Err(fault) => return Err(fault.into()),
            }
        }
        self.wipe();
        Ok(())
    }

    fn drop_front(&mut self, count: usize) {
        let count = count.min(self.buffer.len());
        self.buffer.drain(..count);
    }

    fn wipe(&mut self) {
        self.buffer.zeroize();
    }
}

/// What one attempt at a card came to.
enum Attempt {
    /// The next may go better.
    Again(Refusal),
    /// The next will not.
    Final(Refusal),
}

impl Attempt {
    const fn refusal(self) -> Refusal {
        match self {
            Self::Again(refusal) | Self::Final(refusal) => refusal,
        }
    }
}

/// What an answer other than the wanted one means for the card.
fn attempt(answer: &Answer<'_>) -> Attempt {
    match answer {
        Answer::Bare(Status::CardKindUnknown) => Attempt::Final(Refusal::NotAnIdCard),
        Answer::Bare(Status::ReaderRejected | Status::CardRejected | Status::InformationWrong) => {
            Attempt::Again(Refusal::NotAccepted)
        }
        Answer::Bare(_) | Answer::Sam(_) | Answer::Card { .. } | Answer::Address(_) => {
            Attempt::Again(Refusal::Unreadable)
        }
    }
}
