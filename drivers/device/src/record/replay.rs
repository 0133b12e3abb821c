//! Replay of a recording to the driver that made it, in lockstep: the driver must send the recorded bytes, and receives
//! the recorded answers. So a problem in the field becomes a test.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ::card::{
    AuthAnswer, AuthRequest, AuthorityFault, CardAuthority, CardTransport, Nonces, ReadFault, SocialCard,
    TransportFault,
};
use ::id_reader::{CardFault, IdReader, LinkFault as IdLinkFault, Reading};
use ::printer::{Link, LinkFault, Outcome, Printer, Profile, Receipt, Status};

use super::id_reader::Asked;
use super::printer::Stream;
use super::{Entry, Hex, Reason, Recording, What, card};

/// Note that marks the opening of a link, and the insertion of a card.
pub const OPENED: &str = "opened";

/// The driver did not do what the recording holds at this position.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("driver diverges from the recording {left} entries before its end: {what}")]
pub struct Diverged {
    /// Number of entries left.
    pub left: usize,
    /// What the driver did, and what the recording holds. Not personal: a recording holds no personal data.
    pub what: String,
}

/// The part of a recording that is not replayed yet, shared by the link and the function that runs the driver.
#[derive(Clone)]
struct Tape {
    entries: Arc<Mutex<Rest>>,
    start: Instant,
}

struct Rest {
    entries: VecDeque<Entry>,
    at_us: u64,
    diverged: Option<Diverged>,
}

impl Tape {
    fn new(entries: impl IntoIterator<Item = Entry>) -> Self {
        let rest = Rest { entries: entries.into_iter().collect(), at_us: 0, diverged: None };
        Self { entries: Arc::new(Mutex::new(rest)), start: Instant::now() }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Rest) -> T) -> T {
        act(&mut self.entries.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes the next entry that is not a note, if `fits` accepts it; otherwise notes a divergence.
    /// `did`: what the driver did, for the error text.
    fn next<T>(&self, did: &str, mut fits: impl FnMut(&What) -> Option<T>) -> Option<T> {
        self.with(|rest| {
            while matches!(rest.entries.front(), Some(Entry { what: What::Note(_), .. })) {
                rest.entries.pop_front();
            }
            let entry = rest.entries.front()?;
            if let Some(found) = fits(&entry.what) {
                rest.at_us = entry.at_us;
                rest.entries.pop_front();
                return Some(found);
            }
            let what = format!("driver {did}, recorded is {}", said(&entry.what));
            let left = rest.entries.len();
            rest.diverged.get_or_insert(Diverged { left, what });
            None
        })
    }

    fn order(&self) -> Option<serde_json::Value> {
        self.with(|rest| match rest.entries.front() {
            Some(Entry { what: What::Order(order), .. }) => {
                let order = order.clone();
                rest.entries.pop_front();
                Some(order)
            }
            _ => None,
        })
    }

    /// The next recorded input or its fault; `None` after a divergence.
    fn hear(&self) -> Option<Result<Vec<u8>, Reason>> {
        self.next("waits for input", |what| match what {
            What::In(Hex(bytes)) => Some(Ok(bytes.clone())),
            What::InFailed(reason) => Some(Err(*reason)),
            What::Out(_) | What::OutFailed(_) | What::Order(_) | What::Note(_) => None,
        })
    }

    /// The time of the last replayed entry.
    fn now(&self) -> Instant {
        self.start + Duration::from_micros(self.with(|rest| rest.at_us))
    }

    fn is_over(&self) -> bool {
        self.with(|rest| rest.diverged.is_some() || rest.entries.is_empty())
    }

    fn verdict(&self) -> Result<(), Diverged> {
        self.with(|rest| rest.diverged.clone().map_or(Ok(()), Err))
    }
}

fn said(what: &What) -> String {
    match what {
        What::Out(Hex(bytes)) => format!("output of {} bytes", bytes.len()),
        What::In(Hex(bytes)) => format!("input of {} bytes", bytes.len()),
        What::OutFailed(reason) => format!("failed output: {reason:?}"),
        What::InFailed(reason) => format!("failed input: {reason:?}"),
        What::Order(_) => "a request".into(),
        What::Note(note) => note.clone(),
    }
}

/// Moves as many received bytes into the buffer as fit; returns their number.
fn hand_over(received: &mut VecDeque<u8>, buffer: &mut [u8]) -> usize {
    let count = buffer.len().min(received.len());
    buffer.iter_mut().zip(received.drain(..count)).for_each(|(place, byte)| *place = byte);
    count
}

/// A printer's link that replays a recording.
struct ReplayLink {
    tape: Tape,
    stream: Stream,
    heard: VecDeque<u8>,
    ids: ProcessIds,
}

impl Link for ReplayLink {
    fn write_some(&mut self, bytes: &[u8], _: Duration) -> Result<usize, LinkFault> {
        let (stream, ids) = (&mut self.stream, &mut self.ids);
        let outcome = self.tape.next("sends other bytes", |what| match what {
            What::Out(Hex(sent)) => {
                let own = bytes.get(..sent.len())?;
                let mut after = stream.clone();
                if !ids.same(&after.pass(own), sent) {
                    return None;
                }
                *stream = after;
                Some(Ok(sent.len()))
            }
            What::OutFailed(reason) => Some(Err(fault(*reason))),
            What::In(_) | What::InFailed(_) | What::Order(_) | What::Note(_) => None,
        });
        outcome.unwrap_or(Err(LinkFault::Gone))
    }

    fn read_some(&mut self, buffer: &mut [u8], _: Duration) -> Result<usize, LinkFault> {
        if self.heard.is_empty() {
            let bytes = self.tape.hear().unwrap_or(Err(Reason::Gone)).map_err(fault)?;
            self.heard.extend(bytes.into_iter().map(|byte| self.ids.own(byte)));
        }
        Ok(hand_over(&mut self.heard, buffer))
    }

    fn bytes_per_second(&self) -> u32 {
        11_520
    }

    fn now(&self) -> Instant {
        self.tape.now()
    }
}

fn fault(reason: Reason) -> LinkFault {
    match reason {
        Reason::TimedOut => LinkFault::TimedOut,
        Reason::Gone => LinkFault::Gone,
        Reason::Failed => LinkFault::Failed(std::io::ErrorKind::Other),
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
    fn same(&mut self, own: &[u8], recorded: &[u8]) -> bool {
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
    fn own(&mut self, byte: u8) -> u8 {
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
pub fn print(recording: &Recording, profile: &Profile) -> Result<Vec<Outcome>, Diverged> {
    let mut outcomes = Vec::new();
    for session in sessions(recording) {
        let tape = Tape::new(session.iter().cloned());
        let link = ReplayLink {
            tape: tape.clone(),
            stream: Stream::default(),
            heard: VecDeque::new(),
            ids: ProcessIds::default(),
        };
        let mut printer = Printer::open(Box::new(link), profile.clone());
        while !tape.is_over() {
            match tape.order().map(serde_json::from_value::<Receipt>) {
                Some(Ok(receipt)) => outcomes.push(printer.print(&receipt, &mut |_| {})),
                // Between receipts the device process asks for the printer's status.
                Some(Err(_)) | None => {
                    let _: Result<Status, LinkFault> = printer.status();
                }
            }
        }
        tape.verdict()?;
    }
    Ok(outcomes)
}

/// An ID reader's link that replays a recording.
struct ReplayIdLink {
    tape: Tape,
    heard: VecDeque<u8>,
}

impl ::id_reader::Link for ReplayIdLink {
    fn write_some(&mut self, bytes: &[u8], _: Duration) -> Result<usize, IdLinkFault> {
        let outcome = self.tape.next("sends another command", |what| match what {
            What::Out(Hex(sent)) => bytes.starts_with(sent).then_some(Ok(sent.len())),
            What::OutFailed(reason) => Some(Err(id_fault(*reason))),
            What::In(_) | What::InFailed(_) | What::Order(_) | What::Note(_) => None,
        });
        outcome.unwrap_or(Err(IdLinkFault::Gone))
    }

    fn read_some(&mut self, buffer: &mut [u8], _: Duration) -> Result<usize, IdLinkFault> {
        if self.heard.is_empty() {
            self.heard.extend(self.tape.hear().unwrap_or(Err(Reason::Gone)).map_err(id_fault)?);
        }
        Ok(hand_over(&mut self.heard, buffer))
    }

    fn now(&self) -> Instant {
        self.tape.now()
    }
}

fn id_fault(reason: Reason) -> IdLinkFault {
    match reason {
        Reason::TimedOut => IdLinkFault::TimedOut,
        Reason::Gone => IdLinkFault::Gone,
        Reason::Failed => IdLinkFault::Failed(std::io::ErrorKind::Other),
    }
}

/// Replays an ID reader's recording to the driver; returns the result for each card, in order.
///
/// # Errors
/// When the driver diverges from the recording.
pub fn read_id_cards(recording: &Recording) -> Result<Vec<Result<Reading, CardFault>>, Diverged> {
    let mut readings = Vec::new();
    for session in sessions(recording) {
        let tape = Tape::new(session.iter().cloned());
        let mut reader = IdReader::new(ReplayIdLink { tape: tape.clone(), heard: VecDeque::new() });
        while let Some(asked) = tape.order().and_then(|order| serde_json::from_value::<Asked>(order).ok()) {
            match asked {
                Asked::SamId => drop(reader.sam_id()),
                Asked::Find => drop(reader.find()),
                Asked::Read => readings.push(reader.read()),
            }
        }
        tape.verdict()?;
    }
    Ok(readings)
}

/// A card that replays a recording.
struct ReplayCard(Tape);

impl CardTransport for ReplayCard {
    fn transmit(&mut self, command: &[u8], response: &mut Vec<u8>) -> Result<(), TransportFault> {
        let sent = self.0.next("sends another command", |what| match what {
            What::Out(Hex(sent)) => (*sent == card::command(command)).then_some(()),
            What::In(_) | What::InFailed(_) | What::OutFailed(_) | What::Order(_) | What::Note(_) => None,
        });
        sent.ok_or(TransportFault::CardGone)?;
        let heard = self.0.hear().unwrap_or(Err(Reason::Gone)).map_err(|reason| match reason {
            Reason::Failed => TransportFault::ReaderGone,
            Reason::TimedOut | Reason::Gone => TransportFault::CardGone,
        });
        response.extend(heard?);
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
    fn of(session: &[Entry]) -> Self {
        let sent = |ins: u8| {
            session.iter().any(|entry| match &entry.what {
                What::Out(Hex(bytes)) => bytes.get(1) == Some(&ins),
                What::In(_) | What::InFailed(_) | What::OutFailed(_) | What::Order(_) | What::Note(_) => {
                    false
                }
            })
        };
        Self { asked: sent(card::INTERNAL_AUTHENTICATE), agreed: sent(card::EXTERNAL_AUTHENTICATE) }
    }
}

impl CardAuthority for ReplayAuthority {
    fn authenticate(&mut self, _: &AuthRequest) -> Result<AuthAnswer, AuthorityFault> {
        if !self.asked {
            return Err(AuthorityFault::None);
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
pub fn read_cards(recording: &Recording) -> Result<Vec<Result<SocialCard, ReadFault>>, Diverged> {
    sessions(recording)
        .into_iter()
        .map(|session| {
            // Requests after a reading are PIN commands; they are not replayed.
            let reading = session.iter().take_while(|entry| !matches!(entry.what, What::Order(_)));
            let tape = Tape::new(reading.cloned());
            let mut authority = ReplayAuthority::of(session);
            let card = ::card::read(&mut ReplayCard(tape.clone()), &mut authority, Nonces::from([0; 24]));
            tape.verdict().map(|()| card)
        })
        .collect()
}

/// Splits a recording into sessions, each from one opening of the link or insertion of a card to the next.
fn sessions(recording: &Recording) -> Vec<&[Entry]> {
    let opens = |entry: &Entry| entry.what == What::Note(OPENED.into());
    let mut sessions: Vec<&[Entry]> = recording.entries.split(opens).collect();
    // The part before the first opening is no session: no byte was sent in it.
    if !sessions.is_empty() {
        sessions.remove(0);
    }
    sessions.retain(|session| !session.is_empty());
    sessions
}
