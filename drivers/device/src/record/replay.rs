//! A recording fed back to the driver that made it, in lockstep: what the driver sends must be what it sent then, and
//! it hears what it heard then. So a problem in the field becomes a test.

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

/// Note with which a printer's line and a card's visit begin.
pub const OPENED: &str = "opened";

/// Where the driver did something else than in the recording.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{left} entries before the end of the recording the driver does something else: {what}")]
pub struct Diverged {
    /// Entries that were left.
    pub left: usize,
    /// What it did, and what it did then. Nothing personal: a recording holds none.
    pub what: String,
}

/// What is left of a recording, shared by the line and whoever drives.
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

    /// The next thing that happened, if it satisfies; a divergence otherwise.
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
            let what = format!("it {did} where there was {}", said(&entry.what));
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

    /// What was heard next, or why nothing was; none where something else was done.
    fn hear(&self) -> Option<Result<Vec<u8>, Reason>> {
        self.next("listens", |what| match what {
            What::In(Hex(bytes)) => Some(Ok(bytes.clone())),
            What::InFailed(reason) => Some(Err(*reason)),
            What::Out(_) | What::OutFailed(_) | What::Order(_) | What::Note(_) => None,
        })
    }

    /// The time of what happened last.
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
        What::Out(Hex(bytes)) => format!("the sending of {} bytes", bytes.len()),
        What::In(Hex(bytes)) => format!("the hearing of {} bytes", bytes.len()),
        What::OutFailed(reason) => format!("a sending that failed: {reason:?}"),
        What::InFailed(reason) => format!("a hearing that failed: {reason:?}"),
        What::Order(_) => "an order".into(),
        What::Note(note) => note.clone(),
    }
}

/// Hands over as many of the bytes as there is room for.
fn hand_over(heard: &mut VecDeque<u8>, buffer: &mut [u8]) -> usize {
    let count = buffer.len().min(heard.len());
    buffer.iter_mut().zip(heard.drain(..count)).for_each(|(place, byte)| *place = byte);
    count
}

/// A printer's line out of a recording.
struct ReplayLink {
    tape: Tape,
    stream: Stream,
    heard: VecDeque<u8>,
    ids: ProcessIds,
}

impl Link for ReplayLink {
    fn write_some(&mut self, bytes: &[u8], _: Duration) -> Result<usize, LinkFault> {
        let (stream, ids) = (&mut self.stream, &mut self.ids);
        let outcome = self.tape.next("sends", |what| match what {
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

/// A printer's process ids are those of its process: the replaying one has others.
#[derive(Default)]
struct ProcessIds {
    recorded: Vec<u8>,
    own: Vec<u8>,
    /// The last bytes heard.
    tail: VecDeque<u8>,
}

impl ProcessIds {
    /// `GS ( H`, its length, `fn` 48, `m` 48.
    const BEFORE: [u8; 7] = [0x1D, b'(', b'H', 6, 0, 48, 48];

    /// Whether these are the same but for a process id; learns it.
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

    /// A byte that was heard, with the id of this process for that of the recorded one.
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

/// Feeds a printer's recording to the driver; gives the outcome of each receipt, in order.
///
/// # Errors
/// Where the driver does something else than it did then.
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
                // Between receipts the device process asks how it is.
                Some(Err(_)) | None => {
                    let _: Result<Status, LinkFault> = printer.status();
                }
            }
        }
        tape.verdict()?;
    }
    Ok(outcomes)
}

/// An ID reader's line out of a recording.
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

/// Feeds an ID reader's recording to the driver; gives what came of each card, in order.
///
/// # Errors
/// Where the driver does something else than it did then.
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

/// A card out of a recording.
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

/// The authority of a recorded reading. What it and the card said to one another is not in the recording; whether they
/// agreed shows in what was sent next.
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

/// Feeds the readings of a card reader's recording to the driver; gives what came of each card, in order.
///
/// # Errors
/// Where the driver does something else than it did then.
pub fn read_cards(recording: &Recording) -> Result<Vec<Result<SocialCard, ReadFault>>, Diverged> {
    sessions(recording)
        .into_iter()
        .map(|session| {
            // What follows a reading is work of the visit: the PIN.
            let reading = session.iter().take_while(|entry| !matches!(entry.what, What::Order(_)));
            let tape = Tape::new(reading.cloned());
            let mut authority = ReplayAuthority::of(session);
            let card = ::card::read(&mut ReplayCard(tape.clone()), &mut authority, Nonces::from([0; 24]));
            tape.verdict().map(|()| card)
        })
        .collect()
}

/// The parts of a recording, each from one opening to the next.
fn sessions(recording: &Recording) -> Vec<&[Entry]> {
    let opens = |entry: &Entry| entry.what == What::Note(OPENED.into());
    let mut sessions: Vec<&[Entry]> = recording.entries.split(opens).collect();
    // Before the first opening nothing was sent.
    if !sessions.is_empty() {
        sessions.remove(0);
    }
    sessions.retain(|session| !session.is_empty());
    sessions
}
