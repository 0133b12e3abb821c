//! One PC/SC reader: waits for cards, reads them in two steps, and verifies and changes PINs.
//!
//! Runs in a process of its own, because PC/SC calls have no time-out: `transmit` can block until the card is removed.
//! The kiosk kills the process when it hangs. After pcscd ends all its handles stay invalid, so the caller drops the
//! reader and opens it again with a new context.

use std::ffi::CString;
use std::time::Duration;

use pcsc::{Card, Context, Disposition, Error, Protocols, ReaderState, Scope, ShareMode, State};
use zeroize::Zeroizing;

use crate::CardReadRefusal;
use crate::apdu::{CardTransport, RESPONSE_MAX, TransportFault};
use crate::application::ReadFault;
use crate::authority::{AuthAnswer, Nonces};
use crate::holder::SocialCard;
use crate::pin::{PinOutcome, change_pin, verify_pin};
use crate::reading::{OldAlgorithmPolicy, PendingCard, ReadStep, begin_reading};
use crate::staff_card::{StaffCardProof, request_staff_proof};

/// Number of attempts to connect to a card that does not answer to reset, or that another program holds.
const CONNECTS_MAX: u32 = 3;
/// Pause between two attempts to connect.
const CONNECT_PAUSE: Duration = Duration::from_millis(100);

/// Why the reader cannot be used now. The caller opens it again after a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CardReaderFault {
    /// pcscd does not run, or ended.
    #[error("PC/SC service not responding: check that pcscd runs")]
    NoService,
    /// pcscd runs and does not know the reader.
    #[error("card reader not found: check its cable and its name in the site file")]
    NoReader,
}

/// Event at a reader.
pub enum ReaderEvent {
    /// No event within the time.
    Nothing,
    /// A card was inserted; [`CardReader::begin_reading`] reads it.
    Inserted,
    /// The card was removed.
    Removed,
}

/// Observes each command and its response as transferred, PINs and records included: an observer that stores them must
/// redact them first.
pub type ApduTap = Box<dyn FnMut(&[u8], Result<&[u8], TransportFault>)>;

/// One reader. Dropping it, or removing the card, resets the card: a verified PIN does not outlast the visit.
pub struct CardReader {
    context: Context,
    name: CString,
    /// Last reader state from pcscd.
    state: State,
    card: Option<Card>,
    apdu_tap: Option<ApduTap>,
}

impl CardReader {
    /// Opens the first reader whose name begins with `name_prefix`.
    ///
    /// # Errors
    /// When pcscd does not run, or does not know the reader.
    pub fn open(name_prefix: &str) -> Result<Self, CardReaderFault> {
        let context = Context::establish(Scope::System).map_err(reader_fault)?;
        let readers = context.list_readers_owned().map_err(reader_fault)?;
        let name = readers
            .into_iter()
            .find(|name| name.to_string_lossy().starts_with(name_prefix))
            .ok_or(CardReaderFault::NoReader)?;
        Ok(Self { context, name, state: State::UNAWARE, card: None, apdu_tap: None })
    }

    /// Sets the observer of all exchanges.
    pub fn set_apdu_tap(&mut self, tap: ApduTap) {
        self.apdu_tap = Some(tap);
    }

    /// Waits for the insertion or removal of a card, at most `patience`.
    ///
    /// # Errors
    /// When the reader was disconnected or pcscd ended: drop this and open the reader again.
    pub fn wait(&mut self, patience: Duration) -> Result<ReaderEvent, CardReaderFault> {
        let before = self.state;
        let mut states = [ReaderState::new(self.name.as_c_str(), before)];
        match self.context.get_status_change(patience, &mut states) {
            Ok(()) => {}
            Err(Error::Timeout) => return Ok(ReaderEvent::Nothing),
            Err(error) => return Err(reader_fault(error)),
        }
        let now = states.first().map_or(State::UNAWARE, ReaderState::event_state);
        if now.intersects(State::UNKNOWN | State::UNAVAILABLE | State::IGNORE) {
            return Err(CardReaderFault::NoReader);
        }
        self.state = now - State::CHANGED;
        let present = |state: State| state.contains(State::PRESENT);
        match (present(before), present(now)) {
            (false, true) => Ok(ReaderEvent::Inserted),
            (true, false) => {
                self.card = None;
                Ok(ReaderEvent::Removed)
            }
            (true, true) if !is_same_event_count(before, now) => {
                // The card was replaced between two polls: the next poll reports the new card.
                self.card = None;
                self.state = State::UNAWARE;
                Ok(ReaderEvent::Removed)
            }
            (true, true) | (false, false) => Ok(ReaderEvent::Nothing),
        }
    }

    /// Reads the inserted card as far as possible without authentication. `alive` is called before each command: a slow
    /// card is thereby distinguished from a driver that hangs. `random` must be fresh.
    ///
    /// # Errors
    /// When the card cannot be used, or was removed.
    pub fn begin_reading(
        &mut self,
        older: OldAlgorithmPolicy,
        random: [u8; 24],
        alive: &mut dyn FnMut(),
    ) -> Result<ReadStep, ReadFault> {
        self.connect()?;
        let atr = self.card.as_ref().and_then(|card| card.status2_owned().ok());
        let history = atr.as_ref().map(|status| historical_bytes(status.atr())).unwrap_or_default();
        let work = |card: &mut dyn CardTransport| begin_reading(card, older, history, Nonces::from(random));
        self.in_transaction(alive, work).unwrap_or(Err(TransportFault::CardLost.into()))
    }

    /// Completes the reading with the authority's answer. No command was sent to the card meanwhile, so its challenge is
    /// still valid.
    ///
    /// # Errors
    /// When card authentication fails, or the card cannot be used or was removed.
    pub fn finish_reading(
        &mut self,
        guarded: PendingCard,
        answer: &AuthAnswer,
        alive: &mut dyn FnMut(),
    ) -> Result<SocialCard, ReadFault> {
        let work = |card: &mut dyn CardTransport| guarded.finish(card, answer);
        self.in_transaction(alive, work).unwrap_or(Err(TransportFault::CardLost.into()))
    }

    /// Requests the proof of a staff card from a card without the social security application; `None` if the card is no
    /// staff card. `challenge` must be fresh random bytes.
    ///
    /// # Errors
    /// When the card was removed or the reader disconnected.
    pub fn request_staff_proof(
        &mut self,
        challenge: [u8; 32],
    ) -> Result<Option<StaffCardProof>, TransportFault> {
        self.in_transaction(&mut || {}, |card| request_staff_proof(card, challenge))
            .unwrap_or(Err(TransportFault::CardLost))
    }

    /// Verifies the holder's PIN, see [`crate::verify_pin`].
    ///
    /// # Errors
    /// When the card was removed or the reader disconnected: whether a try was used is then unknown.
    pub fn verify_pin(&mut self, pin: &[u8]) -> Result<PinOutcome, TransportFault> {
        self.with_pin(|card| verify_pin(card, pin))
    }

    /// Changes the holder's PIN, see [`crate::change_pin`].
    ///
    /// # Errors
    /// When the card was removed or the reader disconnected: whether the PIN was changed is then unknown.
    pub fn change_pin(&mut self, old: &[u8], new: &[u8]) -> Result<PinOutcome, TransportFault> {
        self.with_pin(|card| change_pin(card, old, new))
    }

    fn with_pin(
        &mut self,
        work: impl FnOnce(&mut dyn CardTransport) -> Result<PinOutcome, TransportFault>,
    ) -> Result<PinOutcome, TransportFault> {
        if self.card.is_none() {
            match self.connect() {
                Ok(()) => {}
                Err(ReadFault::Transport(fault)) => return Err(fault),
                Err(ReadFault::Refused(_)) => return Ok(PinOutcome::NotPossible),
            }
        }
        self.in_transaction(&mut || {}, work).unwrap_or(Err(TransportFault::CardLost))
    }

    fn connect(&mut self) -> Result<(), ReadFault> {
        self.card = None;
        let mut last = ReadFault::Refused(CardReadRefusal::NotResponding);
        for attempt in 0..CONNECTS_MAX {
            if attempt > 0 {
                std::thread::sleep(CONNECT_PAUSE);
            }
            last = match self.context.connect(&self.name, ShareMode::Exclusive, Protocols::ANY) {
                Ok(card) => {
                    self.card = Some(card);
                    return Ok(());
                }
                Err(Error::NoSmartcard | Error::RemovedCard) => TransportFault::CardLost.into(),
                // Another program holds the card, or held it when the program was killed: pcscd waits for the response
                // of a silent card until that card is removed.
                Err(Error::SharingViolation) => ReadFault::Refused(CardReadRefusal::NotResponding),
                Err(error) if is_lost(error) => return Err(TransportFault::ReaderLost.into()),
                // No answer to reset, or an invalid one.
                Err(_) => ReadFault::Refused(CardReadRefusal::NotResponding),
            };
        }
        Err(last)
    }

    /// Runs several exchanges inside one PC/SC transaction, so that no other program can send commands between them.
    fn in_transaction<T>(
        &mut self,
        alive: &mut dyn FnMut(),
        work: impl FnOnce(&mut dyn CardTransport) -> T,
    ) -> Option<T> {
        let tap = &mut self.apdu_tap;
        let transaction = self.card.as_mut()?.transaction2().map_err(|(_, error)| error).ok()?;
        let outcome = work(&mut TransactionTransport { card: &transaction, alive, tap });
        // A verified PIN must not remain valid after the visit: the card is reset at the end of the visit, when it is
        // dropped; within the visit its state is kept.
        transaction.end(Disposition::LeaveCard).map_err(|(_, error)| error).ok();
        Some(outcome)
    }
}

/// A card's wire inside a transaction.
pub(crate) struct TransactionTransport<'a> {
    pub(crate) card: &'a Card,
    pub(crate) alive: &'a mut dyn FnMut(),
    pub(crate) tap: &'a mut Option<ApduTap>,
}

impl CardTransport for TransactionTransport<'_> {
    fn transmit(&mut self, command: &[u8], response: &mut Vec<u8>) -> Result<(), TransportFault> {
        (self.alive)();
        let mut buffer = Zeroizing::new([0; RESPONSE_MAX]);
        let answer = self.card.transmit(command, buffer.as_mut_slice()).map_err(|error| {
            if is_lost(error) { TransportFault::ReaderLost } else { TransportFault::CardLost }
        });
        if let Some(tap) = self.tap {
            tap(command, answer);
        }
        response.extend_from_slice(answer?);
        Ok(())
    }
}

/// Whether no card was inserted or removed between the states: the upper half of the event state counts these events.
fn is_same_event_count(before: State, now: State) -> bool {
    before.bits() >> 16 == now.bits() >> 16
}

/// Historical bytes (历史字节) of an answer to reset (ISO/IEC 7816-3): they follow the interface bytes, each group of which
/// announces the next; their number is the low half of T0.
fn historical_bytes(atr: &[u8]) -> &[u8] {
    let Some(t0) = atr.get(1).copied() else { return &[] };
    let (mut announced, mut at) = (t0 >> 4, 2);
    while announced != 0 {
        at += usize::try_from(announced.count_ones()).unwrap_or(4);
        // TD is the last byte of its group and announces the next group.
        announced = if announced & 0x8 == 0 { 0 } else { atr.get(at - 1).map_or(0, |td| td >> 4) };
        if at > atr.len() {
            return &[];
        }
    }
    let end = at + usize::from(t0 & 0x0F);
    atr.get(at..end).unwrap_or_default()
}

/// Whether the context, the service or the reader of a handle is permanently invalid.
pub(crate) fn is_lost(error: Error) -> bool {
    matches!(
        error,
        Error::NoService
            | Error::CommError
            | Error::ServiceStopped
            | Error::InvalidHandle
            | Error::UnknownReader
            | Error::ReaderUnavailable
    )
}

fn reader_fault(error: Error) -> CardReaderFault {
    if matches!(error, Error::UnknownReader | Error::NoReadersAvailable | Error::ReaderUnavailable) {
        CardReaderFault::NoReader
    } else {
        CardReaderFault::NoService
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn historical_bytes_follow_the_interface_bytes() {
        // T=0 as in the social security card: TA1 absent, TB1 and TC1 present, 13 historical bytes.
        let social = b"\x3B\x6D\x00\x00\x00\x81\x54\x43\x80\x86\x45\x00\x00\x58\x01\xAB\xCD";
        assert_eq!(historical_bytes(social), &social[4..]);
        // TD1 announces TD2, no other interface bytes; two historical bytes and TCK.
        assert_eq!(historical_bytes(&[0x3B, 0x82, 0x80, 0x01, 0x0A, 0x0B, 0x82]), [0x0A, 0x0B]);
        for cut in 0..social.len() {
            assert_eq!(historical_bytes(&social[..cut]), &[] as &[u8], "cut at {cut}");
        }
        assert_eq!(historical_bytes(&[0x3B, 0xF0, 0xFF, 0xFF, 0xFF, 0xFF]), &[] as &[u8]);
    }
}
