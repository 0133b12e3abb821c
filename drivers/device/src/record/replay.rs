//! Replay of a recording to the driver that made it, in lockstep: the driver must send the recorded bytes, and receives
//! the recorded answers. So a problem in the field becomes a test.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ::card::{
    AuthAnswer, AuthRequest, AuthorityFault, CardAuthority, CardTransport, Nonces, ReadFault, SocialCard,
    TransportFault,
};
use ::id_reader::{IdCardFault, IdCardReading, IdReader};
use ::printer::{PrintOutcome, PrintableReceipt, PrinterProfile, PrinterStatus, ReceiptPrinter};
use serial_link::{Link, LinkFault};

use super::id_reader::IdReaderRequest;
use super::link::OPENED_NOTE;
use super::printer::StreamRedactor;
use super::{Hex, RecordedEntry, Recording, TransferFault, WireEvent, card};

/// Data rate of the replayed links in bytes per second: a serial line of 115,200 bit/s.
const BYTES_PER_SECOND: u32 = 11_520;

/// The driver did not do what the recording holds at this position.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("driver diverges from the recording {entries_left} entries before its end: {what}")]
pub struct Diverged {
    /// Number of entries left.
    pub entries_left: usize,
    /// What the driver did, and what the recording holds. Not personal: a recording holds no personal data.
    pub what: String,
}

/// The part of a recording that is not replayed yet, shared by the link and the function that runs the driver.
#[derive(Clone)]
struct Playback {
    entries: Arc<Mutex<PlaybackState>>,
    start: Instant,
}

struct PlaybackState {
    entries: VecDeque<RecordedEntry>,
    at_us: u64,
    diverged: Option<Diverged>,
}

impl Playback {
    fn new(entries: impl IntoIterator<Item = RecordedEntry>) -> Self {
        let rest = PlaybackState { entries: entries.into_iter().collect(), at_us: 0, diverged: None };
        Self { entries: Arc::new(Mutex::new(rest)), start: Instant::now() }
    }

    fn with_state<T>(&self, act: impl FnOnce(&mut PlaybackState) -> T) -> T {
        act(&mut self.entries.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes the next entry that is not a note, if `fits` accepts it; otherwise notes a divergence.
    /// `did`: what the driver did, for the error text.
    fn expect<T>(&self, did: &str, mut fits: impl FnMut(&WireEvent) -> Option<T>) -> Option<T> {
        self.with_state(|rest| {
            while matches!(rest.entries.front(), Some(RecordedEntry { what: WireEvent::Note(_), .. })) {
                rest.entries.pop_front();
            }
            let entry = rest.entries.front()?;
            if let Some(found) = fits(&entry.what) {
                rest.at_us = entry.at_us;
                rest.entries.pop_front();
                return Some(found);
            }
            let what = format!("driver {did}, recorded is {}", describe(&entry.what));
            let left = rest.entries.len();
            rest.diverged.get_or_insert(Diverged { entries_left: left, what });
            None
        })
    }

    fn next_request(&self) -> Option<serde_json::Value> {
        self.with_state(|rest| match rest.entries.front() {
            Some(RecordedEntry { what: WireEvent::Request(order), .. }) => {
                let order = order.clone();
                rest.entries.pop_front();
                Some(order)
            }
            _ => None,
        })
    }

    /// The next recorded input or its fault; `None` after a divergence.
    fn next_input(&self) -> Option<Result<Vec<u8>, TransferFault>> {
        self.expect("waits for input", |what| match what {
            WireEvent::In(Hex(bytes)) => Some(Ok(bytes.clone())),
            WireEvent::InFailed(reason) => Some(Err(*reason)),
            WireEvent::Out(_) | WireEvent::OutFailed(_) | WireEvent::Request(_) | WireEvent::Note(_) => None,
        })
    }

    /// The time of the last replayed entry.
    fn now(&self) -> Instant {
        self.start + Duration::from_micros(self.with_state(|rest| rest.at_us))
    }

    fn is_over(&self) -> bool {
        self.with_state(|rest| rest.diverged.is_some() || rest.entries.is_empty())
    }

    fn result(&self) -> Result<(), Diverged> {
        self.with_state(|rest| rest.diverged.clone().map_or(Ok(()), Err))
    }
}

fn describe(what: &WireEvent) -> String {
    match what {
        WireEvent::Out(Hex(bytes)) => format!("output of {} bytes", bytes.len()),
        WireEvent::In(Hex(bytes)) => format!("input of {} bytes", bytes.len()),
        WireEvent::OutFailed(reason) => format!("failed output: {reason:?}"),
        WireEvent::InFailed(reason) => format!("failed input: {reason:?}"),
        WireEvent::Request(_) => "a request".into(),
        WireEvent::Note(note) => note.clone(),
    }
}

/// Moves as many received bytes into the buffer as fit; returns their number.
fn copy_out(received: &mut VecDeque<u8>, buffer: &mut [u8]) -> usize {
    let count = buffer.len().min(received.len());
    buffer.iter_mut().zip(received.drain(..count)).for_each(|(place, byte)| *place = byte);
    count
}

/// A printer's link that replays a recording.
struct ReplayPrinterLink {
    tape: Playback,
    stream: StreamRedactor,
    received: VecDeque<u8>,
    ids: ProcessIds,
}

impl Link for ReplayPrinterLink {
    fn write_some(&mut self, bytes: &[u8], _: Duration) -> Result<usize, LinkFault> {
        let (stream, ids) = (&mut self.stream, &mut self.ids);
        let outcome = self.tape.expect("sends other bytes", |what| match what {
            WireEvent::Out(Hex(sent)) => {
                let own = bytes.get(..sent.len())?;
                let mut after = stream.clone();
                if !ids.matches(&after.redact(own), sent) {
                    return None;
                }
                *stream = after;
                Some(Ok(sent.len()))
            }
            WireEvent::OutFailed(reason) => Some(Err((*reason).into())),
            WireEvent::In(_) | WireEvent::InFailed(_) | WireEvent::Request(_) | WireEvent::Note(_) => None,
        });
        outcome.unwrap_or(Err(LinkFault::Gone))
    }

    fn read_some(&mut self, buffer: &mut [u8], _: Duration) -> Result<usize, LinkFault> {
        if self.received.is_empty() {
            let bytes = self.tape.next_input().unwrap_or(Err(TransferFault::Disconnected))?;
            self.received.extend(bytes.into_iter().map(|byte| self.ids.translate(byte)));
        }
        Ok(copy_out(&mut self.received, buffer))
    }

    fn bytes_per_second(&self) -> u32 {
        BYTES_PER_SECOND
    }

    fn now(&self) -> Instant {
        self.tape.now()
    }
}

/// Process ids of `GS ( H`: the recorded ones and those of the replaying process, which differ.
#[derive(Default)]
struct ProcessIds {
    recorded: Vec<u8>,
    own: Vec<u8>,
    /// The last bytes received.
    tail: VecDeque<u8>,
}

impl ProcessIds {
    /// `GS ( H`, its length, `fn` 48, `m` 48.
    const BEFORE: [u8; 7] = [0x1D, b'(', b'H', 6, 0, 48, 48];

    /// Whether the bytes are equal except for a process id; remembers both ids.
    fn matches(&mut self, own: &[u8], recorded: &[u8]) -> bool {
        if own == recorded {
            return true;
        }
        let at = recorded.windows(Self::BEFORE.len()).position(|window| window == Self::BEFORE);
        let Some(id) = at.map(|at| at + Self::BEFORE.len()..at + Self::BEFORE.len() + 4) else {
            return false;
        };
        let (Some(theirs), Some(ours)) = (recorded.get(id.clone()), own.get(id.clone())) else {
            return false;
        };
        (self.recorded, self.own) = (theirs.to_vec(), ours.to_vec());
        own.len() == recorded.len()
            && own.get(..id.start) == recorded.get(..id.start)
            && own.get(id.end..) == recorded.get(id.end..)
    }

    /// Translates a received byte: a byte of a recorded process id becomes that of the replaying process.
    fn translate(&mut self, byte: u8) -> u8 {
        let within =
            self.tail.iter().rev().take(5).position(|before| *before == 0x22).filter(|place| *place < 4);
        let echoed = within.filter(|place| self.tail.iter().rev().nth(place + 1) == Some(&0x37));
        self.tail.push_back(byte);
        if self.tail.len() > 8 {
            self.tail.pop_front();
        }
        match echoed.and_then(|place| Some((self.recorded.get(place)?, self.own.get(place)?))) {
            Some((recorded, own)) if *recorded == byte => *own,
            Some(_) | None => byte,
        }
    }
}

/// Replays a printer's recording to the driver; returns the outcome of each receipt, in order.
///
/// # Errors
/// When the driver diverges from the recording.
pub fn replay_receipts(
    recording: &Recording,
    profile: &PrinterProfile,
) -> Result<Vec<PrintOutcome>, Diverged> {
    let mut outcomes = Vec::new();
    for session in split_sessions(recording) {
        let tape = Playback::new(session.iter().cloned());
        let link = ReplayPrinterLink {
            tape: tape.clone(),
            stream: StreamRedactor::default(),
            received: VecDeque::new(),
            ids: ProcessIds::default(),
        };
        let mut printer = ReceiptPrinter::open(Box::new(link), profile.clone());
        while !tape.is_over() {
            match tape.next_request().map(serde_json::from_value::<PrintableReceipt>) {
                Some(Ok(receipt)) => outcomes.push(printer.print(&receipt, &mut |_| {})),
                // Between receipts the device process asks for the printer's status.
                Some(Err(_)) | None => {
                    let _: Result<PrinterStatus, LinkFault> = printer.status();
                }
            }
        }
        tape.result()?;
    }
    Ok(outcomes)
}

/// An ID reader's link that replays a recording.
struct ReplayIdLink {
    tape: Playback,
    received: VecDeque<u8>,
}

impl Link for ReplayIdLink {
    fn write_some(&mut self, bytes: &[u8], _: Duration) -> Result<usize, LinkFault> {
        let outcome = self.tape.expect("sends another command", |what| match what {
            WireEvent::Out(Hex(sent)) => bytes.starts_with(sent).then_some(Ok(sent.len())),
            WireEvent::OutFailed(reason) => Some(Err((*reason).into())),
            WireEvent::In(_) | WireEvent::InFailed(_) | WireEvent::Request(_) | WireEvent::Note(_) => None,
        });
        outcome.unwrap_or(Err(LinkFault::Gone))
    }

    fn read_some(&mut self, buffer: &mut [u8], _: Duration) -> Result<usize, LinkFault> {
        if self.received.is_empty() {
            self.received.extend(self.tape.next_input().unwrap_or(Err(TransferFault::Disconnected))?);
        }
        Ok(copy_out(&mut self.received, buffer))
    }

    fn bytes_per_second(&self) -> u32 {
        BYTES_PER_SECOND
    }

    fn now(&self) -> Instant {
        self.tape.now()
    }
}

/// Replays an ID reader's recording to the driver; returns the result for each card, in order.
///
/// # Errors
/// When the driver diverges from the recording.
pub fn replay_id_cards(recording: &Recording) -> Result<Vec<Result<IdCardReading, IdCardFault>>, Diverged> {
    let mut readings = Vec::new();
    for session in split_sessions(recording) {
        let tape = Playback::new(session.iter().cloned());
        let mut reader = IdReader::new(ReplayIdLink { tape: tape.clone(), received: VecDeque::new() });
        while let Some(asked) =
            tape.next_request().and_then(|order| serde_json::from_value::<IdReaderRequest>(order).ok())
        {
            match asked {
                IdReaderRequest::SamId => drop(reader.sam_id()),
                IdReaderRequest::Find => drop(reader.find()),
                IdReaderRequest::Read => readings.push(reader.read()),
            }
        }
        tape.result()?;
    }
    Ok(readings)
}

/// A card that replays a recording.
struct ReplayCard(Playback);

impl CardTransport for ReplayCard {
    fn transmit(&mut self, command: &[u8], response: &mut Vec<u8>) -> Result<(), TransportFault> {
        let sent = self.0.expect("sends another command", |what| match what {
            WireEvent::Out(Hex(sent)) => (*sent == card::redact_command(command)).then_some(()),
            WireEvent::In(_)
            | WireEvent::InFailed(_)
            | WireEvent::OutFailed(_)
            | WireEvent::Request(_)
            | WireEvent::Note(_) => None,
        });
        sent.ok_or(TransportFault::CardLost)?;
        let received =
            self.0.next_input().unwrap_or(Err(TransferFault::Disconnected)).map_err(|reason| match reason {
                TransferFault::Failed => TransportFault::ReaderLost,
                TransferFault::TimedOut | TransferFault::Disconnected => TransportFault::CardLost,
            });
        response.extend(received?);
        Ok(())
    }
}

/// The authority of a recorded reading. The cryptograms are not in the recording; the next recorded command shows whether
/// the card's answer was accepted.
struct ReplayAuthority {
    asked: bool,
    agreed: bool,
}

impl ReplayAuthority {
    fn from_session(session: &[RecordedEntry]) -> Self {
        let sent = |ins: u8| {
            session.iter().any(|entry| match &entry.what {
                WireEvent::Out(Hex(bytes)) => bytes.get(1) == Some(&ins),
                WireEvent::In(_)
                | WireEvent::InFailed(_)
                | WireEvent::OutFailed(_)
                | WireEvent::Request(_)
                | WireEvent::Note(_) => false,
            })
        };
        Self { asked: sent(card::INTERNAL_AUTHENTICATE), agreed: sent(card::EXTERNAL_AUTHENTICATE) }
    }
}

impl CardAuthority for ReplayAuthority {
    fn authenticate(&mut self, _: &AuthRequest) -> Result<AuthAnswer, AuthorityFault> {
        if !self.asked {
            return Err(AuthorityFault::NotConfigured);
        }
        // The recorded answer is all zeros.
        let internal = if self.agreed { [0; 8] } else { [0xFF; 8] };
        Ok(AuthAnswer { internal: internal.into(), external: [0; 16].into() })
    }
}

/// Replays the readings of a card reader's recording to the driver; returns the result for each card, in order.
///
/// # Errors
/// When the driver diverges from the recording.
pub fn replay_cards(recording: &Recording) -> Result<Vec<Result<SocialCard, ReadFault>>, Diverged> {
    split_sessions(recording)
        .into_iter()
        .map(|session| {
            // Requests after a reading are PIN commands; they are not replayed.
            let reading = session.iter().take_while(|entry| !matches!(entry.what, WireEvent::Request(_)));
            let tape = Playback::new(reading.cloned());
            let mut authority = ReplayAuthority::from_session(session);
            let card =
                ::card::read_card(&mut ReplayCard(tape.clone()), &mut authority, Nonces::from([0; 24]));
            tape.result().map(|()| card)
        })
        .collect()
}

/// Splits a recording into sessions, each from one opening of the link or insertion of a card to the next.
fn split_sessions(recording: &Recording) -> Vec<&[RecordedEntry]> {
    let opens = |entry: &RecordedEntry| entry.what == WireEvent::Note(OPENED_NOTE.into());
    let mut sessions: Vec<&[RecordedEntry]> = recording.entries.split(opens).collect();
    // The part before the first opening is no session: no byte was sent in it.
    if !sessions.is_empty() {
        sessions.remove(0);
    }
    sessions.retain(|session| !session.is_empty());
    sessions
}
