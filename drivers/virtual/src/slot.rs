//! A card slot: the card's end of vpcd's wire, behind a real pcscd.
//!
//! vpcd listens, the card connects. A message is a 16-bit big-endian length and so many bytes; a message of
//! one byte controls (00 off, 01 on, 02 reset, 04 asks for the answer to reset), anything else is a
//! command APDU. vpcd asks for the answer to reset again and again to see whether the card is there.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::card::VirtualCard;

/// Longest command APDU that is taken.
const APDU_MAX: usize = 4096;
const CONNECT: Duration = Duration::from_secs(2);

/// One slot of the virtual reader. Cards keep their PIN counters while they are out of it.
pub struct Slot {
    port: u16,
    cards: Arc<Mutex<BTreeMap<String, VirtualCard>>>,
    inside: Option<Inside>,
}

struct Inside {
    wire: TcpStream,
    served: JoinHandle<()>,
    /// The card goes after so many commands.
    pull_after: Arc<Mutex<Option<u32>>>,
}

impl Slot {
    /// The slot behind this port of vpcd on loopback.
    #[must_use]
    pub fn new(port: u16) -> Self {
        Self { port, cards: Arc::default(), inside: None }
    }

    /// Puts a card in; `name` tells the same card from another.
    ///
    /// # Errors
    /// When pcscd with its virtual reader does not run.
    pub fn insert(&mut self, name: &str, card: VirtualCard) -> io::Result<()> {
        self.remove();
        let wire = TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, self.port).into(), CONNECT)?;
        wire.set_nodelay(true)?;
        let cards = Arc::clone(&self.cards);
        locked(&cards).entry(name.to_owned()).or_insert(card).reset();
        let mut serving = wire.try_clone()?;
        let name = name.to_owned();
        let pull_after = Arc::new(Mutex::new(None));
        let pull = Arc::clone(&pull_after);
        let served = thread::spawn(move || {
            // Ends when the card is taken, or when pcscd does.
            serve(&mut serving, &cards, &name, &pull).ok();
            serving.shutdown(Shutdown::Both).ok();
        });
        self.inside = Some(Inside { wire, served, pull_after });
        Ok(())
    }

    /// Takes the card out, if one is in.
    pub fn remove(&mut self) {
        if let Some(inside) = self.inside.take() {
            inside.wire.shutdown(Shutdown::Both).ok();
            inside.served.join().ok();
        }
    }

    /// Fault: the card is pulled after so many more commands.
    pub fn pull_after(&mut self, commands: u32) {
        if let Some(inside) = &self.inside {
            *locked(&inside.pull_after) = Some(commands);
        }
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

fn serve(
    wire: &mut TcpStream,
    cards: &Mutex<BTreeMap<String, VirtualCard>>,
    name: &str,
    pull: &Mutex<Option<u32>>,
) -> io::Result<()> {
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
        let answer = match message.as_slice() {
            [0x00..=0x02] => {
                if let Some(card) = locked(cards).get_mut(name) {
                    card.reset();
                }
                continue;
            }
            [0x04] => locked(cards).get(name).map(VirtualCard::atr).unwrap_or_default(),
            apdu => {
                let mut pull = locked(pull);
                match *pull {
                    Some(0) => return Ok(()),
                    Some(left) => *pull = Some(left - 1),
                    None => {}
                }
                locked(cards).get_mut(name).map(|card| card.answer(apdu)).unwrap_or_default()
            }
        };
        let length = u16::try_from(answer.len()).map_err(|_| io::ErrorKind::InvalidData)?;
        let mut frame = length.to_be_bytes().to_vec();
        frame.extend(answer);
        wire.write_all(&frame)?;
    }
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
