//! The driver of one reader: sends commands, waits for answers within time-outs, resynchronises after noise, and reads
//! cards.

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

/// Longest single wait for the link.
const SLICE: Duration = Duration::from_millis(100);
/// A frame that pauses for this time will not continue: it was noise, or its end is lost. Adapters delay bytes by 16 ms,
/// wireless adapters by about 100 ms.
const GAP: Duration = Duration::from_millis(200);
/// Time-out for sending a command: a working line takes ten bytes at once.
const SENDING: Duration = Duration::from_secs(1);
/// Time-out for finding a card: the module takes up to a few hundred milliseconds (ASSUMED). The command is repeated
/// continually, and a resident who places a card on a reader that does not respond must be informed within a second.
const PATIENCE_FINDING: Duration = Duration::from_millis(600);
/// Time-out for other answers (ASSUMED).
const PATIENCE: Duration = Duration::from_millis(1_500);
/// Time-out for reading a card: about a second in the module (ASSUMED), and 2.4 s of transfer at 9,600 bit/s.
const PATIENCE_READING: Duration = Duration::from_secs(4);
/// Greatest number of sends of a command: it is sent once more after a garbled answer.
const SENDS_MAX: u32 = 2;
/// Greatest number of attempts to read a card: a card that still moves is read at the second or third attempt.
const READINGS_MAX: u32 = 3;
/// Greatest number of bytes that are discarded before a command: a reader that sends more floods the line, and its
/// answer would not be found.
const DRAIN_MAX: usize = 4 * FRAME_MAX;

/// Why a reader cannot be used now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReaderFault {
    /// Fault of the link. After any fault except [`LinkFault::TimedOut`] the link has to be opened again.
    #[error("ID reader link failed")]
    Link(#[source] LinkFault),
    /// The reader does not respond.
    #[error("ID reader not responding: check its power, its cable and the baud rate in the site file")]
    Mute,
    /// The bytes of the reader are no valid answer.
    #[error("ID reader sends garbled answers: check its cable and the baud rate in the site file")]
    Garbled,
    /// The reader sent an answer that does not belong to the command.
    #[error("ID reader sent an unexpected answer")]
    OutOfTurn(#[source] ShapeFault),
    /// The reader refuses the command.
    #[error("ID reader refuses the command ({0:?}): have its vendor check the security module")]
    Refused(Status),
}

/// Why the card on the reader cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// The card is no ID card.
    NotAnIdCard,
    /// The card was lifted, is badly placed, or its chip is broken.
    Unreadable,
    /// Card and reader do not accept each other.
    NotAccepted,
    /// The card was read, and its text holds invalid data.
    Garbage,
}

/// Why a card was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CardFault {
    /// The card cannot be used.
    #[error("ID card cannot be used ({0:?})")]
    Card(Refusal),
    /// The reader failed.
    #[error("ID reader failed while reading a card")]
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

/// The driver of one ID card reader (二代身份证阅读器), over its link.
pub struct IdReader<L> {
    link: L,
    /// Received bytes that are not processed yet: at most one frame, wiped with every command.
    buffer: Zeroizing<Vec<u8>>,
}

impl<L: Link> IdReader<L> {
    /// Makes a driver over `link`. Sends nothing yet.
    pub fn new(link: L) -> Self {
        // Capacity for the longest frame from the start: growing the buffer would leave copies in freed memory.
        Self { link, buffer: Zeroizing::new(Vec::with_capacity(FRAME_MAX)) }
    }

    /// Checks that the security module is ready.
    ///
    /// # Errors
    /// When the module is not ready, or does not respond.
    pub fn sam_status(&mut self) -> Result<(), ReaderFault> {
        self.done(Command::SamStatus)
    }

    /// Resets the security module.
    ///
    /// # Errors
    /// When the module does not confirm the reset.
    pub fn reset(&mut self) -> Result<(), ReaderFault> {
        self.done(Command::Reset)
    }

    /// The number of the security module, for the operator's inventory.
    ///
    /// # Errors
    /// When the module refuses or does not respond.
    pub fn sam_id(&mut self) -> Result<SamId, ReaderFault> {
        self.ask(Command::SamId, |answer| match answer {
            Answer::Sam(id) => Ok(id),
            Answer::Bare(status) => Err(ReaderFault::Refused(status)),
            Answer::Card { .. } | Answer::Address(_) => Err(ReaderFault::Garbled),
        })?
    }

    /// Returns whether a card is on the reader that was not read since it was placed there.
    ///
    /// # Errors
    /// When the reader fails or does not respond.
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
    /// When the card cannot be used or the reader fails. The number of attempts is bounded.
    pub fn read(&mut self) -> Result<Reading, CardFault> {
        self.read_by(Command::Read)
    }

    /// Reads the card that was found, with its fingerprints.
    ///
    /// # Errors
    /// When the card cannot be used or the reader fails. The number of attempts is bounded.
    pub fn read_with_fingerprints(&mut self) -> Result<Reading, CardFault> {
        self.read_by(Command::ReadWithFingerprints)
    }

    /// Reads the address that was added to the card after it was issued (追加住址); `None` if there is none.
    ///
    /// # Errors
    /// When the card cannot be used or the reader fails.
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
            // After a failed reading the card has to be found again.
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

    /// Sends a command and returns what `extract` takes from its answer.
    fn ask<T>(&mut self, command: Command, extract: impl FnOnce(Answer<'_>) -> T) -> Result<T, ReaderFault> {
        let mut sends = 1;
        let used = loop {
            match self.exchange(command) {
                Err(ReaderFault::Garbled) if sends < SENDS_MAX => sends += 1,
                outcome => break outcome,
            }
        };
        let extracted = used.and_then(|used| {
            let Scan::Frame { body, .. } = scan(self.buffer.get(..used).unwrap_or_default()) else {
                return Err(ReaderFault::Garbled);
            };
            parse_answer(command, body).map(extract).map_err(ReaderFault::OutOfTurn)
        });
        self.wipe();
        extracted
    }

    /// Sends a command and waits until the buffer begins with a complete frame; returns its length.
    fn exchange(&mut self, command: Command) -> Result<usize, ReaderFault> {
        self.drain()?;
        self.send(&command.frame())?;
        let timeout = match command {
            Command::Find => PATIENCE_FINDING,
            Command::Read | Command::ReadWithFingerprints => PATIENCE_READING,
            Command::Reset | Command::SamStatus | Command::SamId | Command::Select | Command::NewAddress => {
                PATIENCE
            }
        };
        let until = self.link.now() + timeout;
        let (mut last_byte, mut received) = (self.link.now(), false);
        loop {
            if let Some(used) = self.frame() {
                return Ok(used);
            }
            let left = until.saturating_duration_since(self.link.now());
            if left.is_zero() {
                return Err(if received { ReaderFault::Garbled } else { ReaderFault::Mute });
            }
            match self.receive(left.min(SLICE)) {
                Ok(()) => (last_byte, received) = (self.link.now(), true),
                Err(LinkFault::TimedOut) if self.link.now().saturating_duration_since(last_byte) >= GAP => {
                    self.give_up_what_stands_still();
                    // The received bytes were a garbled answer. The command to find a card can be repeated at no cost.
                    if command == Command::Find && received && self.buffer.is_empty() {
                        return Err(ReaderFault::Garbled);
                    }
                }
                Err(LinkFault::TimedOut) => {}
                Err(fault) => return Err(fault.into()),
            }
        }
    }

    /// Drops bytes that cannot belong to a frame; returns the length of the frame at the front once it is complete.
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

    /// Drops the beginning of a frame that does not continue: it was noise, and a valid frame may follow in the buffer.
    fn give_up_what_stands_still(&mut self) {
        while self.frame().is_none() && !self.buffer.is_empty() {
            self.drop_front(1);
        }
    }

    /// Receives available bytes into the buffer, up to the length of one frame.
    fn receive(&mut self, timeout: Duration) -> Result<(), LinkFault> {
        let held = self.buffer.len();
        // An incomplete frame always fits: the buffer is never full here.
        self.buffer.resize(FRAME_MAX, 0);
        let read = match self.buffer.get_mut(held..) {
            Some(free) if !free.is_empty() => self.link.read_some(free, timeout),
            Some(_) | None => Ok(0),
        };
        let received = read.unwrap_or(0).min(FRAME_MAX.saturating_sub(held));
        self.buffer.truncate(held + received);
        read.map(drop)
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), ReaderFault> {
        let until = self.link.now() + SENDING;
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.link.write_some(rest, SLICE) {
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(LinkFault::TimedOut) if self.link.now() < until => {}
                Err(LinkFault::TimedOut) => return Err(ReaderFault::Mute),
                Err(fault) => return Err(fault.into()),
            }
        }
        Ok(())
    }

    /// Discards bytes that arrived before the command, so that they are not taken for its answer.
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

/// Why one attempt to read a card failed.
enum Attempt {
    /// The next attempt may succeed.
    Again(Refusal),
    /// The next attempt would fail too.
    Final(Refusal),
}

impl Attempt {
    const fn refusal(self) -> Refusal {
        match self {
            Self::Again(refusal) | Self::Final(refusal) => refusal,
        }
    }
}

/// Maps an answer without the expected data to the failure of the attempt.
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
