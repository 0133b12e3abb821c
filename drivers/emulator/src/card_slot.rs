//! Emulated card slot: the card's side of the vpcd protocol, behind a real pcscd.
//!
//! vpcd listens, the card connects. A message is a 16-bit big-endian length and as many bytes. A message of one byte
//! is a control (00 power off, 01 power on, 02 reset, 04 request of the answer to reset), any other message is a
//! command APDU. vpcd requests the answer to reset periodically to detect whether the card is present.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::card::EmulatedCard;
use crate::faults::{
    FLOOD_BYTES, FaultKind, FaultSwitches, FaultyResponse, LATE_DELAY, ProtocolStep, apply_fault,
    card as steps, garbage_bytes, psam as psam_steps,
};

/// Longest command APDU that is accepted, in bytes.
const APDU_BYTES_MAX: usize = 4096;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Duration of a contact loss: longer than pcscd's polling interval of 400 ms, shorter than a person would wait.
const CONTACT_LOSS: Duration = Duration::from_millis(700);
/// Commands that a card with bad contacts answers before each contact loss.
const CONTACT_LOSS_AFTER_COMMANDS: u32 = 4;
/// Commands after which the fault `card-pulled` removes the card.
const REMOVAL_AFTER_COMMANDS: u32 = 5;
/// Longest response that fits a message, in bytes.
const RESPONSE_BYTES_MAX: usize = 0xFFFF;

/// One slot of vpcd's reader. Removed cards keep their PIN and PIN tries.
pub struct EmulatedCardSlot {
    port: u16,
    cards: Arc<Mutex<BTreeMap<String, EmulatedCard>>>,
    inserted: Option<InsertedCard>,
    faults: FaultSwitches,
}

struct InsertedCard {
    /// The current connection with vpcd; `None` once the card was removed.
    stream: Arc<Mutex<Option<TcpStream>>>,
    server_thread: JoinHandle<()>,
    /// Number of commands after which the card is removed.
    remove_after: Arc<Mutex<Option<u32>>>,
    command_count: Arc<AtomicU32>,
    powered: Arc<AtomicBool>,
}

/// The inserted card, for the thread that answers vpcd.
struct CardConnection {
    cards: Arc<Mutex<BTreeMap<String, EmulatedCard>>>,
    name: String,
    remove_after: Arc<Mutex<Option<u32>>>,
    faults: FaultSwitches,
    command_count: Arc<AtomicU32>,
    powered: Arc<AtomicBool>,
}

/// Why a card stopped answering on a connection.
enum ConnectionEnd {
    /// The card was removed.
    CardRemoved,
    /// The card lost contact for [`CONTACT_LOSS`].
    ContactLost,
}

impl EmulatedCardSlot {
    /// The slot behind this TCP port of vpcd on loopback.
    #[must_use]
    pub fn new(port: u16) -> Self {
        Self::with_faults(port, FaultSwitches::default())
    }

    /// The slot behind this TCP port of vpcd on loopback, with named faults.
    #[must_use]
    pub fn with_faults(port: u16, faults: FaultSwitches) -> Self {
        Self { port, cards: Arc::default(), inserted: None, faults }
    }

    /// Inserts a card; a card that was inserted before under this `name` keeps its state.
    ///
    /// # Errors
    /// When pcscd with vpcd's reader does not run.
    pub fn insert(&mut self, name: &str, card: EmulatedCard) -> io::Result<()> {
        self.remove();
        let port = self.port;
        let mut serving = connect(port)?;
        locked(&self.cards).entry(name.to_owned()).or_insert(card).reset();
        let pull_after = Arc::new(Mutex::new(None));
        let answered = Arc::new(AtomicU32::new(0));
        let powered = Arc::new(AtomicBool::new(false));
        let mut contact = CardConnection {
            cards: Arc::clone(&self.cards),
            name: name.to_owned(),
            remove_after: Arc::clone(&pull_after),
            faults: self.faults.clone(),
            command_count: Arc::clone(&answered),
            powered: Arc::clone(&powered),
        };
        let wire = Arc::new(Mutex::new(Some(serving.try_clone()?)));
        let held = Arc::clone(&wire);
        let served = thread::spawn(move || {
            loop {
                // An error means that the card was removed, or that pcscd has ended.
                let left = contact.serve(&mut serving).unwrap_or(ConnectionEnd::CardRemoved);
                serving.shutdown(Shutdown::Both).ok();
                if matches!(left, ConnectionEnd::CardRemoved) {
                    return;
                }
                thread::sleep(CONTACT_LOSS);
                let mut held = locked(&held);
                let again =
                    held.is_some().then(|| connect(port).and_then(|wire| Ok((wire.try_clone()?, wire))));
                let Some(Ok((copy, back))) = again else { return };
                (serving, *held) = (back, Some(copy));
                contact.reset();
            }
        });
        self.inserted = Some(InsertedCard {
            stream: wire,
            server_thread: served,
            remove_after: pull_after,
            command_count: answered,
            powered,
        });
        Ok(())
    }

    /// Discards the state of the card with this name: inserted again, it has its issued PIN and all PIN tries.
    pub fn discard_card_state(&mut self, name: &str) {
        self.remove();
        locked(&self.cards).remove(name);
    }

    /// Removes the card, if one is inserted. A command in progress is not answered.
    pub fn remove(&mut self) {
        if let Some(inside) = self.inserted.take()
            && let Some(wire) = locked(&inside.stream).take()
        {
            wire.shutdown(Shutdown::Both).ok();
        }
    }

    /// Removes the card after this number of further commands.
    pub fn remove_after(&mut self, commands: u32) {
        if let Some(inside) = &self.inserted {
            *locked(&inside.remove_after) = Some(commands);
        }
    }

    /// Number of commands that the card received since it was inserted, including GET RESPONSE.
    #[must_use]
    pub fn command_count(&self) -> u32 {
        self.inserted.as_ref().map_or(0, |inside| inside.command_count.load(Ordering::Relaxed))
    }

    /// Whether the reader has powered the card on.
    #[must_use]
    pub fn is_powered(&self) -> bool {
        self.inserted.as_ref().is_some_and(|inside| inside.powered.load(Ordering::Relaxed))
    }

    /// Whether a card is inserted.
    #[must_use]
    pub fn has_card(&self) -> bool {
        self.inserted.as_ref().is_some_and(|inside| !inside.server_thread.is_finished())
    }
}

impl Drop for EmulatedCardSlot {
    fn drop(&mut self) {
        self.remove();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn connect(port: u16) -> io::Result<TcpStream> {
    let wire = TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, port).into(), CONNECT_TIMEOUT)?;
    wire.set_nodelay(true)?;
    Ok(wire)
}

impl CardConnection {
    /// Answers vpcd until the card is removed or loses contact.
    fn serve(&mut self, wire: &mut TcpStream) -> io::Result<ConnectionEnd> {
        loop {
            // Without TCP_QUICKACK each exchange takes 40 ms longer, due to delayed acknowledgements of the emulation.
            rustix::net::sockopt::set_tcp_quickack(&*wire, true)?;
            let mut length = [0; 2];
            wire.read_exact(&mut length)?;
            let length = usize::from(u16::from_be_bytes(length));
            if length > APDU_BYTES_MAX {
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
                    // Answer to reset of a card that supports T=1 only.
                    let wrong = [0x3B, 0x80, 0x01, 0x81];
                    let bent = apply_fault(self.faults.hit(step), atr, &wrong, &[0x3B]);
                    if self.send_response(wire, bent)? {
                        return Ok(ConnectionEnd::CardRemoved);
                    }
                }
                apdu => {
                    if let Some(left) = self.handle_command(wire, apdu)? {
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

    /// Answers one command APDU, with faults applied.
    fn handle_command(&mut self, wire: &mut TcpStream, apdu: &[u8]) -> io::Result<Option<ConnectionEnd>> {
        let answered = self.command_count.fetch_add(1, Ordering::Relaxed) + 1;
        let (step, answer, in_hand) = match locked(&self.cards).get_mut(&self.name) {
            Some(card) => (card.protocol_step(apdu), card.respond(apdu), card.is_held_by_resident()),
            None => (None, Vec::new(), true),
        };
        if in_hand {
            if self.is_removed_at(answered) {
                return Ok(Some(ConnectionEnd::CardRemoved));
            }
            if answered.is_multiple_of(CONTACT_LOSS_AFTER_COMMANDS)
                && self.faults.hit(&steps::CONTACT_BOUNCE).is_some()
            {
                return Ok(Some(ConnectionEnd::ContactLost));
            }
            if let Some(kind) = self.faults.hit(&steps::READER_FRAME) {
                return Ok(send_faulty_frame(wire, kind, &answer)?.then_some(ConnectionEnd::CardRemoved));
            }
        }
        let kind = step.and_then(|step| self.faults.hit(step));
        let wrong = step.map(wrong_response).unwrap_or_default();
        Ok(self
            .send_response(wire, apply_fault(kind, answer, wrong, &[0x90, 0x00]))?
            .then_some(ConnectionEnd::CardRemoved))
    }

    fn is_removed_at(&self, answered: u32) -> bool {
        let mut pull = locked(&self.remove_after);
        if pull.is_none()
            && answered > REMOVAL_AFTER_COMMANDS
            && self.faults.hit(&steps::CARD_PULLED).is_some()
        {
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

    /// Sends a response as one message, or none if it is empty; returns whether the card is removed.
    fn send_response(&self, wire: &mut TcpStream, bent: FaultyResponse) -> io::Result<bool> {
        thread::sleep(bent.delay);
        if !bent.bytes.is_empty() {
            let answer = bent.bytes.get(..RESPONSE_BYTES_MAX).unwrap_or(&bent.bytes);
            wire.write_all(&vpcd_frame(answer))?;
        }
        Ok(bent.disconnects)
    }
}

/// A message of the vpcd protocol: 16-bit big-endian length, then the bytes.
fn vpcd_frame(answer: &[u8]) -> Vec<u8> {
    let mut frame = u16::try_from(answer.len()).unwrap_or(u16::MAX).to_be_bytes().to_vec();
    frame.extend_from_slice(answer);
    frame
}

const INVALID_SIGNATURE_RESPONSE: [u8; 66] = {
    let mut answer = [0x5A; 66];
    (answer[64], answer[65]) = (0x90, 0x00);
    answer
};

/// A well-formed response that is wrong for this step.
fn wrong_response(step: &ProtocolStep) -> &'static [u8] {
    if std::ptr::eq(step, &steps::SELECT) {
        // Success without an FCI.
        &[0x90, 0x00]
    } else if std::ptr::eq(step, &steps::GET_RESPONSE) {
        // FCI of another application.
        &[0x6F, 0x05, 0x84, 0x03, 0xA0, 0x00, 0x00, 0x90, 0x00]
    } else if std::ptr::eq(step, &steps::READ_ISSUER) || std::ptr::eq(step, &steps::READ_HOLDER) {
        // Another record: the card type (tag 02).
        &[0x02, 0x01, 0x33, 0x90, 0x00]
    } else if std::ptr::eq(step, &steps::CHALLENGE) {
        // Success without a random number.
        &[0x90, 0x00]
    } else if std::ptr::eq(step, &steps::INTERNAL) {
        // A cryptogram of no key of the city, sent directly instead of after GET RESPONSE.
        &[0xC3, 0x5A, 0xC3, 0x5A, 0xC3, 0x5A, 0xC3, 0x5A, 0x90, 0x00]
    } else if std::ptr::eq(step, &steps::STAFF_NAME) || std::ptr::eq(step, &psam_steps::CRYPT) {
        // Success without data.
        &[0x90, 0x00]
    } else if std::ptr::eq(step, &steps::STAFF_PROOF) {
        // An invalid signature of the right length, sent directly instead of after GET RESPONSE.
        &INVALID_SIGNATURE_RESPONSE
    } else if [&steps::VERIFY, &steps::CHANGE_PIN, &steps::EXTERNAL]
        .into_iter()
        .any(|one| std::ptr::eq(one, step))
    {
        // 6300, "no information given", instead of the number of tries left.
        &[0x63, 0x00]
    } else {
        // 6986, "no current EF", in response to SELECT.
        &[0x69, 0x86]
    }
}

/// Sends a message with a fault in its framing; returns whether the card is removed.
fn send_faulty_frame(wire: &mut TcpStream, kind: FaultKind, answer: &[u8]) -> io::Result<bool> {
    let frame = vpcd_frame(answer);
    let half = frame.get(..frame.len() / 2 + 1).unwrap_or(&frame);
    match kind {
        FaultKind::Truncation => wire.write_all(half)?,
        FaultKind::Disconnection => {
            wire.write_all(half)?;
            return Ok(true);
        }
        FaultKind::Garbage => wire.write_all(&garbage_bytes(frame.len()))?,
        FaultKind::Delay => {
            wire.write_all(half)?;
            thread::sleep(LATE_DELAY);
            wire.write_all(frame.get(half.len()..).unwrap_or_default())?;
        }
        // The length is one too small: the next message begins with the last byte of this one.
        FaultKind::WrongAnswer => {
            let short = u16::try_from(answer.len().saturating_sub(1)).unwrap_or(0);
            wire.write_all(&[&short.to_be_bytes(), answer].concat())?;
        }
        FaultKind::Flood => {
            wire.write_all(&[&frame, vpcd_frame(&[0x90, 0x00]).repeat(FLOOD_BYTES / 4).as_slice()].concat())?
        }
        FaultKind::Silence | FaultKind::State => {}
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn card_answers_vpcd_until_removed() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut slot = EmulatedCardSlot::new(listener.local_addr().unwrap().port());
        slot.insert("bank", EmulatedCard::new_bank_card()).unwrap();
        let (mut vpcd, _) = listener.accept().unwrap();
        let send = |vpcd: &mut TcpStream, message: &[u8]| {
            let mut frame = u16::try_from(message.len()).unwrap().to_be_bytes().to_vec();
            frame.extend(message);
            vpcd.write_all(&frame).unwrap();
        };
        let receive = |vpcd: &mut TcpStream| {
            let mut length = [0; 2];
            vpcd.read_exact(&mut length).ok()?;
            let mut body = vec![0; usize::from(u16::from_be_bytes(length))];
            vpcd.read_exact(&mut body).ok()?;
            Some(body)
        };
        send(&mut vpcd, &[0x01]);
        send(&mut vpcd, &[0x04]);
        assert_eq!(receive(&mut vpcd).unwrap()[0], 0x3B);
        send(&mut vpcd, &[0x00, 0xA4, 0x04, 0x00, 0x00]);
        assert_eq!(receive(&mut vpcd).unwrap(), [0x6A, 0x82]);
        slot.remove_after(0);
        send(&mut vpcd, &[0x00, 0xA4, 0x04, 0x00, 0x00]);
        assert_eq!(receive(&mut vpcd), None);
    }
}
