//! A card slot: the card's end of vpcd's wire, behind a real pcscd.
//!
//! vpcd listens, the card connects. A message is a 16-bit big-endian length and so many bytes; a message of
//! one byte controls (00 off, 01 on, 02 reset, 04 asks for the answer to reset), anything else is a
//! command APDU. vpcd asks for the answer to reset again and again to see whether the card is there.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::card::VirtualCard;
use crate::faults::{
    Bent, FLOOD, Faults, Kind, LATE, Step, bend, card as steps, garbage, psam as psam_steps,
};

/// Longest command APDU that is taken.
const APDU_MAX: usize = 4096;
const CONNECT: Duration = Duration::from_secs(2);
/// How long a bouncing card is off its contacts: longer than a round of pcscd's, shorter than a person's patience.
const BOUNCE: Duration = Duration::from_millis(700);
/// Commands that a bouncing card answers before it bounces.
const BOUNCE_AFTER: u32 = 4;
/// Commands after which a card is pulled in the middle of a reading.
const PULL_AFTER: u32 = 5;
/// Longest answer that fits a message.
const ANSWER_MAX: usize = 0xFFFF;

/// One slot of the virtual reader. Cards keep their PIN counters while they are out of it.
pub struct Slot {
    port: u16,
    cards: Arc<Mutex<BTreeMap<String, VirtualCard>>>,
    inside: Option<Inside>,
    faults: Faults,
}

struct Inside {
    /// The wire of the moment; none once the card is taken.
    wire: Arc<Mutex<Option<TcpStream>>>,
    served: JoinHandle<()>,
    /// The card goes after so many commands.
    pull_after: Arc<Mutex<Option<u32>>>,
    answered: Arc<AtomicU32>,
    powered: Arc<AtomicBool>,
}

/// A card in the slot, for the thread that answers for it.
struct Contact {
    cards: Arc<Mutex<BTreeMap<String, VirtualCard>>>,
    name: String,
    pull_after: Arc<Mutex<Option<u32>>>,
    faults: Faults,
    answered: Arc<AtomicU32>,
    powered: Arc<AtomicBool>,
}

/// Why a card answers no more on this wire.
enum Left {
    /// It is out of the slot.
    Gone,
    /// It is off its contacts for a moment.
    Bounced,
}

impl Slot {
    /// The slot behind this port of vpcd on loopback.
    #[must_use]
    pub fn new(port: u16) -> Self {
        Self::with(port, Faults::default())
    }

    /// The same, failing as it is switched.
    #[must_use]
    pub fn with(port: u16, faults: Faults) -> Self {
        Self { port, cards: Arc::default(), inside: None, faults }
    }

    /// Puts a card in; `name` tells the same card from another.
    ///
    /// # Errors
    /// When pcscd with its virtual reader does not run.
    pub fn insert(&mut self, name: &str, card: VirtualCard) -> io::Result<()> {
        self.remove();
        let port = self.port;
        let mut serving = connect(port)?;
        locked(&self.cards).entry(name.to_owned()).or_insert(card).reset();
        let pull_after = Arc::new(Mutex::new(None));
        let answered = Arc::new(AtomicU32::new(0));
        let powered = Arc::new(AtomicBool::new(false));
        let mut contact = Contact {
            cards: Arc::clone(&self.cards),
            name: name.to_owned(),
            pull_after: Arc::clone(&pull_after),
            faults: self.faults.clone(),
            answered: Arc::clone(&answered),
            powered: Arc::clone(&powered),
        };
        let wire = Arc::new(Mutex::new(Some(serving.try_clone()?)));
        let held = Arc::clone(&wire);
        let served = thread::spawn(move || {
            loop {
                // An error means that the card was taken, or that pcscd is gone.
                let left = contact.serve(&mut serving).unwrap_or(Left::Gone);
                serving.shutdown(Shutdown::Both).ok();
                if matches!(left, Left::Gone) {
                    return;
                }
                thread::sleep(BOUNCE);
                let mut held = locked(&held);
                let again =
                    held.is_some().then(|| connect(port).and_then(|wire| Ok((wire.try_clone()?, wire))));
                let Some(Ok((copy, back))) = again else { return };
                (serving, *held) = (back, Some(copy));
                contact.reset();
            }
        });
        self.inside = Some(Inside { wire, served, pull_after, answered, powered });
        Ok(())
    }

    /// The next card of this name is as it was made: with its first PIN and all tries.
    pub fn forget(&mut self, name: &str) {
        self.remove();
        locked(&self.cards).remove(name);
    }

    /// Takes the card out, if one is in. A command that it is at is never answered.
    pub fn remove(&mut self) {
        if let Some(inside) = self.inside.take()
            && let Some(wire) = locked(&inside.wire).take()
        {
            wire.shutdown(Shutdown::Both).ok();
        }
    }

    /// The card is pulled after so many more commands.
    pub fn pull_after(&mut self, commands: u32) {
        if let Some(inside) = &self.inside {
            *locked(&inside.pull_after) = Some(commands);
        }
    }

    /// Commands that the card in the slot was given since it was put in, GET RESPONSE among them.
    #[must_use]
    pub fn commands(&self) -> u32 {
        self.inside.as_ref().map_or(0, |inside| inside.answered.load(Ordering::Relaxed))
    }

    /// Whether the reader has found the card in the slot and given it power.
    #[must_use]
    pub fn has_power(&self) -> bool {
        self.inside.as_ref().is_some_and(|inside| inside.powered.load(Ordering::Relaxed))
    }

    /// Whether a card is in.
    #[must_use]
    pub fn holds_card(&self) -> bool {
        self.inside.as_ref().is_some_and(|inside| !inside.served.is_finished())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.remove();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn connect(port: u16) -> io::Result<TcpStream> {
    let wire = TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, port).into(), CONNECT)?;
    wire.set_nodelay(true)?;
    Ok(wire)
}

impl Contact {
    /// Answers until the card leaves.
    fn serve(&mut self, wire: &mut TcpStream) -> io::Result<Left> {
        loop {
            // Without it each exchange waits 40 ms for a delayed acknowledgement of the rig, not of the card.
            rustix::net::sockopt::set_tcp_quickack(&*wire, true)?;
            let mut length = [0; 2];
            wire.read_exact(&mut length)?;
            let length = usize::from(u16::from_be_bytes(length));
            if length > APDU_MAX {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let mut message = vec![0; length];
            wire.read_exact(&mut message)?;
            match message.as_slice() {
                [control @ 0x00..=0x02] => {
                    self.reset();
                    self.powered.store(*control != 0x00, Ordering::Relaxed);
                }
                [0x04] => {
                    let (atr, step) = match locked(&self.cards).get(&self.name) {
                        Some(card) => (card.atr(), card.reset_step()),
                        None => (Vec::new(), &steps::RESET),
                    };
                    // The same as of a card of another make that speaks T=1 only.
                    let wrong = [0x3B, 0x80, 0x01, 0x81];
                    let bent = bend(self.faults.at(step), atr, &wrong, &[0x3B]);
                    if self.send(wire, bent)? {
                        return Ok(Left::Gone);
                    }
                }
                apdu => {
                    if let Some(left) = self.command(wire, apdu)? {
                        return Ok(left);
                    }
                }
            }
        }
    }

    fn reset(&self) {
        if let Some(card) = locked(&self.cards).get_mut(&self.name) {
            card.reset();
        }
    }

    /// One command of the reader's.
    fn command(&mut self, wire: &mut TcpStream, apdu: &[u8]) -> io::Result<Option<Left>> {
        let answered = self.answered.fetch_add(1, Ordering::Relaxed) + 1;
        let (step, answer, in_hand) = match locked(&self.cards).get_mut(&self.name) {
            Some(card) => (card.step(apdu), card.answer(apdu), card.is_in_hand()),
            None => (None, Vec::new(), true),
        };
        if in_hand {
            if self.is_pulled(answered) {
                return Ok(Some(Left::Gone));
            }
            if answered.is_multiple_of(BOUNCE_AFTER) && self.faults.at(&steps::CONTACTS).is_some() {
                return Ok(Some(Left::Bounced));
            }
            if let Some(kind) = self.faults.at(&steps::FRAME) {
                return Ok(spoil(wire, kind, &answer)?.then_some(Left::Gone));
            }
        }
        let kind = step.and_then(|step| self.faults.at(step));
        let wrong = step.map(wrong_answer).unwrap_or_default();
        Ok(self.send(wire, bend(kind, answer, wrong, &[0x90, 0x00]))?.then_some(Left::Gone))
    }

    fn is_pulled(&self, answered: u32) -> bool {
        let mut pull = locked(&self.pull_after);
        if pull.is_none() && answered > PULL_AFTER && self.faults.at(&steps::PULLED).is_some() {
            return true;
        }
        match *pull {
            Some(0) => true,
            Some(left) => {
                *pull = Some(left - 1);
                false
            }
            None => false,
        }
    }

    /// Sends an answer as one message; says whether the card leaves. Of silence there is no message at all.
    fn send(&self, wire: &mut TcpStream, bent: Bent) -> io::Result<bool> {
        thread::sleep(bent.wait);
        if !bent.bytes.is_empty() {
            let answer = bent.bytes.get(..ANSWER_MAX).unwrap_or(&bent.bytes);
            wire.write_all(&framed(answer))?;
        }
        Ok(bent.leaves)
    }
}

/// A message of vpcd's wire.
fn framed(answer: &[u8]) -> Vec<u8> {
    let mut frame = u16::try_from(answer.len()).unwrap_or(u16::MAX).to_be_bytes().to_vec();
    frame.extend_from_slice(answer);
    frame
}

const NO_SIGNATURE: [u8; 66] = {
    let mut answer = [0x5A; 66];
    (answer[64], answer[65]) = (0x90, 0x00);
    answer
};

/// A well-formed answer that is not the answer to this step.
fn wrong_answer(step: &Step) -> &'static [u8] {
    if std::ptr::eq(step, &steps::SELECT) {
        // Done, and nothing about what was selected.
        &[0x90, 0x00]
    } else if std::ptr::eq(step, &steps::GET_RESPONSE) {
        // An FCI of something else.
        &[0x6F, 0x05, 0x84, 0x03, 0xA0, 0x00, 0x00, 0x90, 0x00]
    } else if std::ptr::eq(step, &steps::READ_ISSUER) || std::ptr::eq(step, &steps::READ_HOLDER) {
        // Another record: the kind of card.
        &[0x02, 0x01, 0x33, 0x90, 0x00]
    } else if std::ptr::eq(step, &steps::CHALLENGE) {
        // Done, and no number.
        &[0x90, 0x00]
    } else if std::ptr::eq(step, &steps::INTERNAL) {
        // A cryptogram that no key of the city's makes, at once instead of after GET RESPONSE.
        &[0xC3, 0x5A, 0xC3, 0x5A, 0xC3, 0x5A, 0xC3, 0x5A, 0x90, 0x00]
    } else if std::ptr::eq(step, &steps::STAFF_NAME) || std::ptr::eq(step, &psam_steps::CRYPT) {
        // Done, and nothing with it.
        &[0x90, 0x00]
    } else if std::ptr::eq(step, &steps::STAFF_PROOF) {
        // A signature of the right length that no key makes, at once instead of after GET RESPONSE.
        &NO_SIGNATURE
    } else if [&steps::VERIFY, &steps::CHANGE_PIN, &steps::EXTERNAL]
        .into_iter()
        .any(|one| std::ptr::eq(one, step))
    {
        // "No information given", where tries left should be.
        &[0x63, 0x00]
    } else {
        // "No current file", to the selection of one.
        &[0x69, 0x86]
    }
}

/// Spoils the message itself; says whether the card leaves.
fn spoil(wire: &mut TcpStream, kind: Kind, answer: &[u8]) -> io::Result<bool> {
    let frame = framed(answer);
    let half = frame.get(..frame.len() / 2 + 1).unwrap_or(&frame);
    match kind {
        Kind::Truncation => wire.write_all(half)?,
        Kind::Disconnection => {
            wire.write_all(half)?;
            return Ok(true);
        }
        Kind::Garbage => wire.write_all(&garbage(frame.len()))?,
        Kind::Delay => {
            wire.write_all(half)?;
            thread::sleep(LATE);
            wire.write_all(frame.get(half.len()..).unwrap_or_default())?;
        }
        // Its length is one too short: the next answer begins with the last byte of this one.
        Kind::WrongAnswer => {
            let short = u16::try_from(answer.len().saturating_sub(1)).unwrap_or(0);
            wire.write_all(&[&short.to_be_bytes(), answer].concat())?;
        }
        Kind::Flood => {
            wire.write_all(&[&frame, framed(&[0x90, 0x00]).repeat(FLOOD / 4).as_slice()].concat())?
        }
        Kind::Silence | Kind::State => {}
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn the_card_answers_on_vpcds_wire_and_goes_when_it_is_pulled() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut slot = Slot::new(listener.local_addr().unwrap().port());
        slot.insert("bank", VirtualCard::bank()).unwrap();
        let (mut vpcd, _) = listener.accept().unwrap();
        let ask = |vpcd: &mut TcpStream, message: &[u8]| {
            let mut frame = u16::try_from(message.len()).unwrap().to_be_bytes().to_vec();
            frame.extend(message);
            vpcd.write_all(&frame).unwrap();
        };
        let hear = |vpcd: &mut TcpStream| {
            let mut length = [0; 2];
            vpcd.read_exact(&mut length).ok()?;
            let mut body = vec![0; usize::from(u16::from_be_bytes(length))];
            vpcd.read_exact(&mut body).ok()?;
            Some(body)
        };
        ask(&mut vpcd, &[0x01]);
        ask(&mut vpcd, &[0x04]);
        assert_eq!(hear(&mut vpcd).unwrap()[0], 0x3B);
        ask(&mut vpcd, &[0x00, 0xA4, 0x04, 0x00, 0x00]);
        assert_eq!(hear(&mut vpcd).unwrap(), [0x6A, 0x82]);
        slot.pull_after(0);
        ask(&mut vpcd, &[0x00, 0xA4, 0x04, 0x00, 0x00]);
        assert_eq!(hear(&mut vpcd), None);
    }
}
