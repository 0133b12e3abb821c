//! One PC/SC reader: waits for cards, reads them, checks PINs, and finds its way back after pcscd or the
//! reader went away.
//!
//! Runs in a process of its own, because PC/SC calls have no time-out: `transmit` can block until the card
//! is taken. The kiosk ends the process when it hangs. After pcscd dies every old handle stays dead for
//! ever, so all is dropped and a new context is made.

use std::ffi::CString;
use std::time::Duration;

use pcsc::{Card, Context, Disposition, Error, Protocols, ReaderState, Scope, ShareMode, State};

use crate::Refusal;
use crate::apdu::{CardTransport, RESPONSE_MAX, TransportFault};
use crate::application::{ReadFault, read};
use crate::holder::SocialCard;
use crate::pin::{PinOutcome, verify_pin};

/// A card that answers nothing at all to power gets this many connects.
const CONNECTS_MAX: u32 = 3;
const PAUSE: Duration = Duration::from_millis(100);

/// Why the reader cannot be used now. Ask again after a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReaderFault {
    /// pcscd does not run, or died.
    #[error("the PC/SC service does not answer: is pcscd running?")]
    NoService,
    /// pcscd runs and has no such reader.
    #[error("there is no such reader: check its cable and its name in the site file")]
    NoReader,
}

/// What happened at the reader.
pub enum Happening {
    /// Nothing, within the time.
    Nothing,
    /// A card was put in; [`Reader::read`] it.
    Inserted,
    /// The card was taken.
    Removed,
}

/// One reader.
pub struct Reader {
    context: Context,
    name: CString,
    /// What pcscd said last.
    state: State,
    card: Option<Card>,
}

impl Reader {
    /// Opens the first reader whose name begins so.
    ///
    /// # Errors
    /// When there is no pcscd, or no such reader.
    pub fn open(name_prefix: &str) -> Result<Self, ReaderFault> {
        let context = Context::establish(Scope::System).map_err(fault_of)?;
        let readers = context.list_readers_owned().map_err(fault_of)?;
        let name = readers
            .into_iter()
            .find(|name| name.to_string_lossy().starts_with(name_prefix))
            .ok_or(ReaderFault::NoReader)?;
        Ok(Self { context, name, state: State::UNAWARE, card: None })
    }

    /// Waits for a card to come or go, at most this long.
    ///
    /// # Errors
    /// When the reader or pcscd is gone: drop this and open anew.
    pub fn wait(&mut self, patience: Duration) -> Result<Happening, ReaderFault> {
        let before = self.state;
        let mut states = [ReaderState::new(self.name.as_c_str(), before)];
        match self.context.get_status_change(patience, &mut states) {
            Ok(()) => {}
            Err(Error::Timeout) => return Ok(Happening::Nothing),
            Err(error) => return Err(fault_of(error)),
        }
        let now = states.first().map_or(State::UNAWARE, ReaderState::event_state);
        if now.intersects(State::UNKNOWN | State::UNAVAILABLE | State::IGNORE) {
            return Err(ReaderFault::NoReader);
        }
        self.state = now - State::CHANGED;
        let present = |state: State| state.contains(State::PRESENT);
        match (present(before), present(now)) {
            (false, true) => Ok(Happening::Inserted),
            (true, false) => {
                self.card = None;
                Ok(Happening::Removed)
            }
            (true, true) if !same_count(before, now) => {
                // Another card, between two looks: the next look finds it.
                self.card = None;
                self.state = State::UNAWARE;
                Ok(Happening::Removed)
            }
            (true, true) | (false, false) => Ok(Happening::Nothing),
        }
    }

    /// Reads the card that was put in.
    ///
    /// # Errors
    /// When it cannot be used, or went away.
    pub fn read(&mut self) -> Result<SocialCard, ReadFault> {
        self.connect()?;
        match self.session(read) {
            Some(outcome) => outcome,
            None => Err(TransportFault::CardGone.into()),
        }
    }

    /// Asks the card to check its holder's PIN.
    ///
    /// # Errors
    /// When the card or the reader went away.
    pub fn verify_pin(&mut self, pin: &[u8]) -> Result<PinOutcome, TransportFault> {
        if self.card.is_none() {
            self.connect().map_err(|_| TransportFault::CardGone)?;
        }
        self.session(|card| verify_pin(card, pin)).unwrap_or(Err(TransportFault::CardGone))
    }

    fn connect(&mut self) -> Result<(), ReadFault> {
        self.card = None;
        let mut last = Refusal::Mute;
        for attempt in 0..CONNECTS_MAX {
            match self.context.connect(&self.name, ShareMode::Exclusive, Protocols::ANY) {
                Ok(card) => {
                    self.card = Some(card);
                    return Ok(());
                }
                Err(Error::NoSmartcard | Error::RemovedCard) if attempt > 0 => {
                    return Err(TransportFault::CardGone.into());
                }
                Err(Error::ProtoMismatch | Error::UnresponsiveCard | Error::UnpoweredCard) => {
                    last = Refusal::Mute
                }
                Err(Error::NoService | Error::CommError | Error::ServiceStopped | Error::UnknownReader) => {
                    return Err(TransportFault::ReaderGone.into());
                }
                // Another program holds the card for a moment.
                Err(_) => {}
            }
            std::thread::sleep(PAUSE);
        }
        Err(ReadFault::Refused(last))
    }

    /// Runs a whole exchange inside one PC/SC transaction, so that nobody else speaks in between.
    fn session<T>(&mut self, work: impl FnOnce(&mut dyn CardTransport) -> T) -> Option<T> {
        let card = self.card.as_mut()?;
        let transaction = card.transaction2().map_err(|(_, error)| error).ok()?;
        let outcome = work(&mut Wire(&transaction));
        // The verified PIN must not survive for whoever speaks next: the card is reset at the end of the
        // visit, when it is dropped; within the visit it may stay as it is.
        transaction.end(Disposition::LeaveCard).map_err(|(_, error)| error).ok();
        Some(outcome)
    }
}

struct Wire<'a>(&'a Card);

impl CardTransport for Wire<'_> {
    fn transmit(&mut self, command: &[u8], response: &mut Vec<u8>) -> Result<(), TransportFault> {
        let mut buffer = zeroize::Zeroizing::new([0; RESPONSE_MAX]);
        match self.0.transmit(command, buffer.as_mut_slice()) {
            Ok(answer) => {
                response.extend_from_slice(answer);
                Ok(())
            }
            Err(Error::NoService | Error::CommError | Error::ServiceStopped | Error::ReaderUnavailable) => {
                Err(TransportFault::ReaderGone)
            }
            Err(_) => Err(TransportFault::CardGone),
        }
    }
}

/// The upper half of the event state counts insertions and removals.
fn same_count(before: State, now: State) -> bool {
    before.bits() >> 16 == now.bits() >> 16
}

fn fault_of(error: Error) -> ReaderFault {
    if matches!(error, Error::UnknownReader | Error::NoReadersAvailable | Error::ReaderUnavailable) {
        ReaderFault::NoReader
    } else {
        ReaderFault::NoService
    }
}
