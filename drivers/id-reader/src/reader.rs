//! The driver of one reader: sends commands, waits for answers within time-outs, resynchronises after noise, and reads
//! cards.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serial_link::{Link, LinkFault};
use zeroize::{Zeroize as _, Zeroizing};

use crate::answer::{AnswerMismatch, SamAnswer, SamId, parse_answer};
use crate::card::IdCardReading;
use crate::command::SamCommand;
use crate::frame::{FRAME_MAX, FrameScan, scan_frame};
use crate::status::SamStatus;
use crate::text::{TextFault, parse_text};
use crate::utf16::decode_field;

/// Longest single wait for the link.
const WAIT_MAX: Duration = Duration::from_millis(100);
/// A frame that pauses for this time will not continue: it was noise, or its end is lost. Adapters delay bytes by 16 ms,
/// wireless adapters by about 100 ms.
const FRAME_GAP_MAX: Duration = Duration::from_millis(200);
/// Time-out for sending a command: a working line takes ten bytes at once.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);
/// Time-out for finding a card: the module takes up to a few hundred milliseconds (ASSUMED). The command is repeated
/// continually, and a resident who places a card on a reader that does not respond must be informed within a second.
const FIND_TIMEOUT: Duration = Duration::from_millis(600);
/// Time-out for other answers (ASSUMED).
const ANSWER_TIMEOUT: Duration = Duration::from_millis(1_500);
/// Time-out for reading a card: about a second in the module (ASSUMED), and 2.4 s of transfer at 9,600 bit/s.
const READ_TIMEOUT: Duration = Duration::from_secs(4);
/// Greatest number of sends of a command: it is sent once more after a garbled answer.
const SENDS_MAX: u32 = 2;
/// Greatest number of attempts to read a card: a card that still moves is read at the second or third attempt.
const READINGS_MAX: u32 = 3;
/// Greatest number of bytes that are discarded before a command: a reader that sends more floods the line, and its
/// answer would not be found.
const DRAIN_MAX: usize = 4 * FRAME_MAX;

/// Why a reader cannot be used now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdReaderFault {
    /// Fault of the link. After any fault except [`LinkFault::TimedOut`] the link has to be opened again.
    #[error("ID reader link failed")]
    Link(#[source] LinkFault),
    /// The reader does not respond.
    #[error("ID reader not responding: check its power, its cable and the baud rate in the site file")]
    NotResponding,
    /// The bytes of the reader are no valid answer.
    #[error("ID reader sends garbled answers: check its cable and the baud rate in the site file")]
    Garbled,
    /// The reader sent an answer that does not belong to the command.
    #[error("ID reader sent an unexpected answer")]
    UnexpectedAnswer(#[source] AnswerMismatch),
    /// The reader refuses the command.
    #[error("ID reader refuses the command ({0:?}): have its vendor check the security module")]
    Refused(SamStatus),
}

/// Why the card on the reader cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IdReadRefusal {
    /// The card is no ID card.
    NotAnIdCard,
    /// The card was lifted, is badly placed, or its chip is broken.
    Unreadable,
    /// Card and reader do not accept each other.
    NotAccepted,
    /// The card was read, and its text holds invalid data.
    InvalidData,
}

/// Why a card was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdCardFault {
    /// The card cannot be used.
    #[error("ID card cannot be used ({0:?})")]
    Card(IdReadRefusal),
    /// The reader failed.
    #[error("ID reader failed while reading a card")]
    Reader(#[source] IdReaderFault),
}

impl From<LinkFault> for IdReaderFault {
    fn from(fault: LinkFault) -> Self {
        Self::Link(fault)
    }
}

impl From<TextFault> for IdReadRefusal {
    fn from(fault: TextFault) -> Self {
        match fault {
            TextFault::Kind(_) => Self::NotAnIdCard,
            TextFault::Length(_) | TextFault::Field(_) => Self::InvalidData,
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
    pub fn sam_status(&mut self) -> Result<(), IdReaderFault> {
        self.run_command(SamCommand::SamStatus)
    }

    /// Resets the security module.
    ///
    /// # Errors
    /// When the module does not confirm the reset.
    pub fn reset(&mut self) -> Result<(), IdReaderFault> {
        self.run_command(SamCommand::Reset)
    }

    /// The number of the security module, for the operator's inventory.
    ///
    /// # Errors
    /// When the module refuses or does not respond.
    pub fn sam_id(&mut self) -> Result<SamId, IdReaderFault> {
        self.request(SamCommand::SamId, |answer| match answer {
            SamAnswer::SamId(id) => Ok(id),
            SamAnswer::StatusOnly(status) => Err(IdReaderFault::Refused(status)),
            SamAnswer::Card { .. } | SamAnswer::Address(_) => Err(IdReaderFault::Garbled),
        })?
    }

    /// Returns whether a card is on the reader that was not read since it was placed there.
    ///
    /// # Errors
    /// When the reader fails or does not respond.
    pub fn find(&mut self) -> Result<bool, IdReaderFault> {
        let status = self.request_status(SamCommand::Find)?;
        if status == SamStatus::CardFound || status == SamStatus::NoCard {
            Ok(status == SamStatus::CardFound)
        } else {
            Err(IdReaderFault::Refused(status))
        }
    }

    /// Reads the card that was found.
    ///
    /// # Errors
    /// When the card cannot be used or the reader fails. The number of attempts is bounded.
    pub fn read(&mut self) -> Result<IdCardReading, IdCardFault> {
        let mut last = IdReadRefusal::Unreadable;
        for readings in 0..READINGS_MAX {
            // After a failed reading the card has to be found again.
            if readings > 0 && !self.find().map_err(IdCardFault::Reader)? {
                break;
            }
            match self.select_and_read().map_err(IdCardFault::Reader)? {
                Ok(reading) => return Ok(reading),
                Err(ReadAttempt::Final(refusal)) => return Err(IdCardFault::Card(refusal)),
                Err(ReadAttempt::Retry(refusal)) => last = refusal,
            }
        }
        Err(IdCardFault::Card(last))
    }

    /// Reads the address that was added to the card after it was issued (追加住址); `None` if there is none.
    ///
    /// # Errors
    /// When the card cannot be used or the reader fails.
    pub fn new_address(&mut self) -> Result<Option<Zeroizing<String>>, IdCardFault> {
        let address = self.request(SamCommand::NewAddress, |answer| match answer {
            SamAnswer::Address(bytes) => {
                decode_field(bytes).map(Some).ok_or(ReadAttempt::Final(IdReadRefusal::InvalidData))
            }
            SamAnswer::StatusOnly(SamStatus::NoData) => Ok(None),
            SamAnswer::StatusOnly(_) | SamAnswer::SamId(_) | SamAnswer::Card { .. } => {
                Err(classify_failure(&answer))
            }
        });
        address.map_err(IdCardFault::Reader)?.map_err(|attempt| IdCardFault::Card(attempt.refusal()))
    }

    fn select_and_read(&mut self) -> Result<Result<IdCardReading, ReadAttempt>, IdReaderFault> {
        let failed = self.request(SamCommand::Select, |answer| {
            (answer != SamAnswer::StatusOnly(SamStatus::Done)).then(|| classify_failure(&answer))
        })?;
        if let Some(attempt) = failed {
            return Ok(Err(attempt));
        }
        self.request(SamCommand::Read, |answer| match answer {
            SamAnswer::Card { text, photo } => match parse_text(text) {
                Ok(card) => Ok(IdCardReading { card, photo: photo.to_vec().into() }),
                Err(fault) => Err(ReadAttempt::Final(fault.into())),
            },
            SamAnswer::StatusOnly(_) | SamAnswer::SamId(_) | SamAnswer::Address(_) => {
                Err(classify_failure(&answer))
            }
        })
    }

    fn run_command(&mut self, command: SamCommand) -> Result<(), IdReaderFault> {
        let status = self.request_status(command)?;
        if status == SamStatus::Done { Ok(()) } else { Err(IdReaderFault::Refused(status)) }
    }

    fn request_status(&mut self, command: SamCommand) -> Result<SamStatus, IdReaderFault> {
        self.request(command, |answer| match answer {
            SamAnswer::StatusOnly(status) => status,
            SamAnswer::SamId(_) | SamAnswer::Card { .. } | SamAnswer::Address(_) => SamStatus::Done,
        })
    }

    /// Sends a command and returns what `extract` takes from its answer.
    fn request<T>(
        &mut self,
        command: SamCommand,
        extract: impl FnOnce(SamAnswer<'_>) -> T,
    ) -> Result<T, IdReaderFault> {
        let mut sends = 1;
        let used = loop {
            match self.exchange(command) {
                Err(IdReaderFault::Garbled) if sends < SENDS_MAX => sends += 1,
                outcome => break outcome,
            }
        };
        let extracted = used.and_then(|used| {
            let FrameScan::Frame { body, .. } = scan_frame(self.buffer.get(..used).unwrap_or_default())
            else {
                return Err(IdReaderFault::Garbled);
            };
            parse_answer(command, body).map(extract).map_err(IdReaderFault::UnexpectedAnswer)
        });
        self.wipe();
        extracted
    }

    /// Sends a command and waits until the buffer begins with a complete frame; returns its length.
    fn exchange(&mut self, command: SamCommand) -> Result<usize, IdReaderFault> {
        self.drain()?;
        self.send(&command.frame())?;
        let timeout = match command {
            SamCommand::Find => FIND_TIMEOUT,
            SamCommand::Read => READ_TIMEOUT,
            SamCommand::Reset
            | SamCommand::SamStatus
            | SamCommand::SamId
            | SamCommand::Select
            | SamCommand::NewAddress => ANSWER_TIMEOUT,
        };
        let until = self.link.now() + timeout;
        let (mut last_byte, mut received) = (self.link.now(), false);
        loop {
            if let Some(used) = self.find_frame() {
                return Ok(used);
            }
            let left = until.saturating_duration_since(self.link.now());
            if left.is_zero() {
                return Err(if received { IdReaderFault::Garbled } else { IdReaderFault::NotResponding });
            }
            match self.receive(left.min(WAIT_MAX)) {
                Ok(()) => (last_byte, received) = (self.link.now(), true),
                Err(LinkFault::TimedOut)
                    if self.link.now().saturating_duration_since(last_byte) >= FRAME_GAP_MAX =>
                {
                    self.discard_stalled_frame();
                    // The received bytes were a garbled answer. The command to find a card can be repeated at no cost.
                    if command == SamCommand::Find && received && self.buffer.is_empty() {
                        return Err(IdReaderFault::Garbled);
                    }
                }
                Err(LinkFault::TimedOut) => {}
                Err(fault) => return Err(fault.into()),
            }
        }
    }

    /// Drops bytes that cannot belong to a frame; returns the length of the frame at the front once it is complete.
    fn find_frame(&mut self) -> Option<usize> {
        loop {
            let (skip, garbled) = match scan_frame(&self.buffer) {
                FrameScan::Frame { used, .. } => return Some(used),
                FrameScan::Incomplete { skip } => (skip, false),
                FrameScan::Garbled { skip } => (skip, true),
            };
            self.drop_front(skip);
            if !garbled {
                return None;
            }
        }
    }

    /// Drops the beginning of a frame that does not continue: it was noise, and a valid frame may follow in the buffer.
    fn discard_stalled_frame(&mut self) {
        while self.find_frame().is_none() && !self.buffer.is_empty() {
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

    fn send(&mut self, bytes: &[u8]) -> Result<(), IdReaderFault> {
        match self.link.write_all(bytes, SEND_TIMEOUT) {
            Err(LinkFault::TimedOut) => Err(IdReaderFault::NotResponding),
            sent => Ok(sent?),
        }
    }

    /// Discards bytes that arrived before the command, so that they are not taken for its answer.
    fn drain(&mut self) -> Result<(), IdReaderFault> {
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
enum ReadAttempt {
    /// The next attempt may succeed.
    Retry(IdReadRefusal),
    /// The next attempt would fail too.
    Final(IdReadRefusal),
}

impl ReadAttempt {
    const fn refusal(self) -> IdReadRefusal {
        match self {
            Self::Retry(refusal) | Self::Final(refusal) => refusal,
        }
    }
}

/// Maps an answer without the expected data to the failure of the attempt.
fn classify_failure(answer: &SamAnswer<'_>) -> ReadAttempt {
    match answer {
        SamAnswer::StatusOnly(SamStatus::CardKindUnknown) => ReadAttempt::Final(IdReadRefusal::NotAnIdCard),
        SamAnswer::StatusOnly(
            SamStatus::ReaderRejected | SamStatus::CardRejected | SamStatus::VerificationFailed,
        ) => ReadAttempt::Retry(IdReadRefusal::NotAccepted),
        SamAnswer::StatusOnly(_) | SamAnswer::SamId(_) | SamAnswer::Card { .. } | SamAnswer::Address(_) => {
            ReadAttempt::Retry(IdReadRefusal::Unreadable)
        }
    }
}
