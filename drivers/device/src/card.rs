//! The slot of the card reader: announces cards, reads them, has them authenticated, and executes PIN requests.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use card::{
    AuthAnswer, CardAuthority as _, CardReadRefusal, CardReader, CardReaderFault, OldAlgorithmPolicy,
    PendingCard, PinOutcome, PsamSlot, ReadFault, ReadStep, ReaderEvent, SocialCard, TransportFault,
};
use device::record::card::CardRecorder;
use device::record::link::OPENED_NOTE;
use device::record::{Recorder, TransferFault, WireEvent};
use device::wire::{
    AUTHORITY_TIMEOUT_MS, DeviceAnswer, DeviceEvent, DeviceFault, DeviceHealth, DeviceWork, RequestId,
};

use crate::host::{DeviceHost, KioskDisconnected};

/// Longest wait for a card event, and thereby the longest delay of a request.
const POLL_TIMEOUT: Duration = Duration::from_millis(80);
/// Pause before pcscd and the reader are opened again.
const REOPEN_PAUSE: Duration = Duration::from_millis(250);
/// A card whose reading broke off and that is still inserted after this time has bad contacts.
const LOST_CARD_MAX: Duration = Duration::from_secs(1);

/// Why the reader is not served any longer.
enum ExitReason {
    ReaderFault(CardReaderFault),
    KioskDisconnected,
}

impl From<KioskDisconnected> for ExitReason {
    fn from(_: KioskDisconnected) -> Self {
        Self::KioskDisconnected
    }
}

impl From<CardReaderFault> for ExitReason {
    fn from(fault: CardReaderFault) -> Self {
        Self::ReaderFault(fault)
    }
}

/// Configuration of the card reader.
pub(crate) struct CardReaderConfig {
    /// Beginning of the reader's PC/SC name.
    pub(crate) reader: String,
    /// Beginning of the PC/SC name of the PSAM's reader; `None`: the kiosk is asked to authenticate cards.
    pub(crate) psam: Option<String>,
    pub(crate) older: OldAlgorithmPolicy,
}

/// A card whose reading waits for the answer of its authority, and since when.
struct PendingAuthentication {
    card: Box<PendingCard>,
    since: Instant,
}

/// The reader, and what has been reported about the card in it.
struct CardSlot<'a> {
    host: &'a DeviceHost,
    recorder: &'a Recorder,
    setup: &'a CardReaderConfig,
    reader: CardReader,
    card_present: bool,
    /// Dropped when the card is removed.
    pending: Option<PendingAuthentication>,
    /// Time at which a reading broke off, until the reader reports that the card was removed.
    lost_since: Option<Instant>,
}

/// Runs until the kiosk closes the connection.
pub(crate) fn run(host: &DeviceHost, recorder: &Recorder, setup: &CardReaderConfig) {
    loop {
        let Err(ended) = serve(host, recorder, setup);
        let health = match ended {
            ExitReason::KioskDisconnected => return,
            ExitReason::ReaderFault(CardReaderFault::NoReader) => DeviceHealth::Absent,
            ExitReason::ReaderFault(CardReaderFault::NoService) => DeviceHealth::Failed,
        };
        if host.report_health(health).is_err() || host.refuse_requests(REOPEN_PAUSE).is_err() {
            return;
        }
    }
}

fn serve(host: &DeviceHost, recorder: &Recorder, setup: &CardReaderConfig) -> Result<Infallible, ExitReason> {
    host.heartbeat();
    let mut reader = CardReader::open(&setup.reader)?;
    if recorder.is_on() {
        let mut tape = CardRecorder::new(recorder.clone());
        reader.set_apdu_tap(Box::new(move |command, answer| {
            tape.record_exchange(
                command,
                answer.map_err(|fault| match fault {
                    TransportFault::CardLost => TransferFault::Disconnected,
                    TransportFault::ReaderLost => TransferFault::Failed,
                }),
            );
        }));
    }
    let mut slot =
        CardSlot { host, recorder, setup, reader, card_present: false, pending: None, lost_since: None };
    host.report_health(DeviceHealth::Ready)?;
    let Err(ended) = slot.watch();
    // The removal of the card can no longer be observed. When the reader is available again, it reports an inserted
    // card again.
    if slot.card_present {
        host.send_event(DeviceEvent::CardRemoved)?;
    }
    Err(ended)
}

impl CardSlot<'_> {
    fn watch(&mut self) -> Result<Infallible, ExitReason> {
        loop {
            match self.reader.wait(POLL_TIMEOUT)? {
                ReaderEvent::Nothing
                    if self.lost_since.is_some_and(|since| since.elapsed() >= LOST_CARD_MAX) =>
                {
                    self.lost_since = None;
                    self.host.send_event(DeviceEvent::CardRefused(CardReadRefusal::NotResponding))?;
                }
                ReaderEvent::Nothing => {}
                ReaderEvent::Inserted => self.read_card()?,
                ReaderEvent::Removed => {
                    (self.card_present, self.lost_since, self.pending) = (false, None, None);
                    self.host.send_event(DeviceEvent::CardRemoved)?;
                }
            }
            while let Some((id, work)) = self.host.next_request(Duration::ZERO)? {
                self.handle_request(id, work)?;
            }
            let late = Duration::from_millis(AUTHORITY_TIMEOUT_MS);
            if self.pending.as_ref().is_some_and(|waiting| waiting.since.elapsed() >= late) {
                self.resume_read(None)?;
            }
        }
    }

    fn read_card(&mut self) -> Result<(), ExitReason> {
        self.card_present = true;
        self.recorder.record(WireEvent::Note(OPENED_NOTE.into()));
        self.host.send_event(DeviceEvent::CardInserted)?;
        let mut random = [0; 24];
        getrandom::fill(&mut random).expect("the kernel's random generator is seeded once the system is up");
        match self.reader.begin_reading(self.setup.older, random, &mut || self.host.heartbeat()) {
            Ok(ReadStep::Complete(card)) => self.report(Ok(*card)),
            Ok(ReadStep::NeedsAuthentication(guarded)) => self.authenticate(guarded),
            Err(ReadFault::Refused(CardReadRefusal::NotSocialSecurity)) => self.try_staff_card(),
            Err(fault) => self.report(Err(fault)),
        }
    }

    /// Tries a card without the social security application as a staff card; refuses the card if it is none.
    fn try_staff_card(&mut self) -> Result<(), ExitReason> {
        let mut challenge = [0; 32];
        getrandom::fill(&mut challenge)
            .expect("the kernel's random generator is seeded once the system is up");
        match self.reader.request_staff_proof(challenge) {
            Ok(Some(proof)) => Ok(self.host.send_event(DeviceEvent::StaffCard(Box::new(proof)))?),
            Ok(None) => self.report(Err(ReadFault::Refused(CardReadRefusal::NotSocialSecurity))),
            Err(fault) => self.report(Err(fault.into())),
        }
    }

    /// Has the card authenticated by the PSAM; by the kiosk if there is no PSAM or the PSAM fails.
    fn authenticate(&mut self, guarded: Box<PendingCard>) -> Result<(), ExitReason> {
        if let Some(name) = &self.setup.psam {
            match PsamSlot::new(name, &mut || self.host.heartbeat()).authenticate(guarded.request()) {
                Ok(answer) => {
                    let read = self.reader.finish_reading(*guarded, &answer, &mut || self.host.heartbeat());
                    return self.report(read);
                }
                Err(fault) => {
                    tracing::warn!(%fault, "PSAM failed: card authentication requested from the kiosk")
                }
            }
        }
        self.host.send_event(DeviceEvent::CardNeedsAuthentication(Box::new(guarded.request().clone())))?;
        self.pending = Some(PendingAuthentication { card: guarded, since: Instant::now() });
        Ok(())
    }

    /// Completes the reading of the card that waits for authentication. Returns whether there was one.
    fn resume_read(&mut self, answer: Option<AuthAnswer>) -> Result<bool, ExitReason> {
        let Some(PendingAuthentication { card: guarded, .. }) = self.pending.take() else { return Ok(false) };
        let read = match answer {
            Some(answer) => self.reader.finish_reading(*guarded, &answer, &mut || self.host.heartbeat()),
            None => Ok(guarded.into_partial()),
        };
        self.report(read)?;
        Ok(true)
    }

    /// Reports the result of a reading to the kiosk.
    fn report(&mut self, read: Result<SocialCard, ReadFault>) -> Result<(), ExitReason> {
        match read {
            Ok(card) => self.host.send_event(DeviceEvent::CardRead(Box::new(card)))?,
            Err(ReadFault::Refused(refusal)) => self.host.send_event(DeviceEvent::CardRefused(refusal))?,
            // The next polls report that the card was removed, or that it is still inserted.
            Err(ReadFault::Transport(TransportFault::CardLost)) => self.lost_since = Some(Instant::now()),
            Err(ReadFault::Transport(TransportFault::ReaderLost)) => {
                return Err(CardReaderFault::NoService.into());
            }
        }
        Ok(())
    }

    fn handle_request(&mut self, id: RequestId, work: DeviceWork) -> Result<(), ExitReason> {
        let answer = match work {
            DeviceWork::Authenticate(answer) => {
                if self.resume_read(answer)? {
                    Ok(DeviceAnswer::Authenticated)
                } else {
                    Err(DeviceFault::NoCard)
                }
            }
            DeviceWork::VerifyPin(_) | DeviceWork::ChangePin { .. } if !self.card_present => {
                Err(DeviceFault::NoCard)
            }
            DeviceWork::VerifyPin(pin) => {
                self.recorder.record(WireEvent::Request(serde_json::json!({ "verify-pin": pin.len() })));
                pin_answer(self.reader.verify_pin(&pin))
            }
            DeviceWork::ChangePin { old, new } => {
                let lengths = serde_json::json!({ "change-pin": [old.len(), new.len()] });
                self.recorder.record(WireEvent::Request(lengths));
                pin_answer(self.reader.change_pin(&old, &new))
            }
            DeviceWork::PrintReceipt(_) | DeviceWork::PrintDocument(_) | DeviceWork::ShowSignal(_) => {
                Err(DeviceFault::Unsupported)
            }
        };
        Ok(self.host.send_answer(id, answer)?)
    }
}

/// The card's response to a PIN command, as an answer to the kiosk.
fn pin_answer(outcome: Result<PinOutcome, TransportFault>) -> Result<DeviceAnswer, DeviceFault> {
    match outcome {
        Ok(outcome) => Ok(DeviceAnswer::Pin(outcome)),
        Err(TransportFault::CardLost) => Err(DeviceFault::NoCard),
        Err(TransportFault::ReaderLost) => Err(DeviceFault::Unavailable),
    }
}
