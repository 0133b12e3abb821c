//! What happens to a kiosk: everything comes in with an [`Input`], time and entropy included.

use std::sync::Arc;

use contract::{
    CallAnswer, CardAuthAnswer, CardChallenge, CardEvidence, ChargeState, Confirmation, EvidenceAnswer,
    IdCardEvidence, Identified, OrderId, ProblemCode, ReceiptId, StaffProof, UnixMs,
};
use view::{Intent, ViewId};
use zeroize::Zeroizing;

use crate::effect::Ticket;
use crate::setup::Catalogue;
use crate::trust::CodeTrust;

/// Milliseconds of a clock that never jumps, from an arbitrary start in this process. Deadlines are in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mono(pub u64);

impl Mono {
    /// This much later.
    #[must_use]
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }
}

/// Both clocks at the moment of an input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// For deadlines.
    pub mono: Mono,
    /// For display and evidence.
    pub wall: UnixMs,
}

/// One event, with the time at which it is handled and entropy for the ids it may need.
pub struct Input {
    /// When.
    pub at: Now,
    /// 128 fresh random bits.
    pub entropy: u128,
    /// What.
    pub event: Event,
}

/// What can happen. Each event has one owner in the kiosk.
pub enum Event {
    /// [`Kiosk::next_deadline`](crate::Kiosk::next_deadline) has passed.
    Tick,
    /// A touch on a view.
    Touch {
        /// The view that it was made on; an older one than the present is dropped.
        on: ViewId,
        /// What was touched.
        intent: Intent,
    },
    /// At the card slot.
    Card(CardEvent),
    /// On the ID reader.
    IdCard(IdCardEvent),
    /// A code was read: its bytes.
    Code(Zeroizing<Vec<u8>>),
    /// What the camera sees while no code is read.
    CodeHint(CodeHint),
    /// A device changed its state.
    Health(Device, Health),
    /// The outcome of work of a visit. One that belongs to no running work is dropped.
    Answer(Ticket, Result<Answer, Failure>),
    /// The outcome of a charge or an inquiry. By order: orders outlive tickets, visits and processes.
    Payment(OrderId, Result<ChargeState, Failure>),
    /// The outcome of a print.
    Paper(ReceiptId, PrintResult),
    /// The services in force changed; their signatures are checked.
    Catalogue(Catalogue),
    /// Whose codes are accepted changed; the city's signatures are checked.
    Codes(Arc<CodeTrust>),
    /// The platform's clock was heard: what is to be added to the kiosk's, in milliseconds.
    ClockHeard(i64),
    /// The link to the platform came or went.
    Link(bool),
    /// The log is nearly full, or has room again. While it is, nothing new is charged: what is already
    /// owed to residents needs the room that is left.
    LogNearlyFull(bool),
}

/// At the card slot.
pub enum CardEvent {
    /// A card was put in; reading has begun.
    Inserted,
    /// The card gives its holder to an authority only; its reading waits for [`Work::Authenticate`].
    ///
    /// [`Work::Authenticate`]: crate::Work::Authenticate
    NeedsAuthority(CardChallenge),
    /// The social security card was read, wholly or in part.
    Read {
        /// What it holds.
        evidence: CardEvidence,
        /// 有效期, `YYYYMMDD`, when the card has one.
        valid_to: Option<String>,
    },
    /// The card cannot be used.
    Refused(CardRefusal),
    /// It is a staff card; its proof is not judged yet.
    Staff(StaffProof),
    /// The card was taken.
    Removed,
}

/// Why a card cannot be used, as far as the resident can act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardRefusal {
    /// Another kind of card.
    Foreign,
    /// No answer: upside down, blank or broken chip.
    Mute,
    /// Records are missing or make no sense.
    Damaged,
    /// Its issuer's application is locked for good; only a counter can help.
    Blocked,
    /// It does not prove to be its issuer's own.
    Unproven,
}

/// On the ID reader.
pub enum IdCardEvent {
    /// A card was laid down; reading has begun, and ends with one of the next two.
    Seen,
    /// It was read.
    Read {
        /// What the platform is asked about.
        evidence: IdCardEvidence,
        /// 有效期限, its last day, `YYYYMMDD`; absent when it is 长期.
        valid_to: Option<String>,
    },
    /// It cannot be used.
    Refused(IdCardRefusal),
}

/// Why an ID card cannot be used, as far as the resident can act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdCardRefusal {
    /// Another kind of card.
    Foreign,
    /// It was not read: lifted too soon, or not flat.
    Unread,
    /// What it says makes no sense.
    Damaged,
}

/// What stops the camera from reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the names say all there is
pub enum CodeHint {
    TooFar,
    TooNear,
    TooDark,
    Glare,
    Moving,
}

/// A class of device that a kiosk has one of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Device {
    CardReader,
    CodeReader,
    IdReader,
    Printer,
    SheetPrinter,
    Signal,
}

/// Whether a device can be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// It works.
    Ready,
    /// It does not.
    Trouble(Trouble),
    /// Not heard of since the start.
    #[default]
    Unknown,
}

/// Why a device cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// 缺纸.
    PaperOut,
    /// The printer's cover is open.
    CoverOpen,
    /// Paper or cutter is jammed.
    Jammed,
    /// Absent, failed or mute.
    Gone,
}

/// The outcome of work.
pub enum Answer {
    /// Of [`Work::Identify`](crate::Work::Identify).
    Identified(Identified),
    /// Of [`Work::Call`](crate::Work::Call).
    Called(CallAnswer),
    /// Of [`Work::VerifyPin`](crate::Work::VerifyPin) and [`Work::ChangePin`](crate::Work::ChangePin).
    Pin(PinAnswer),
    /// Of [`Work::Prove`](crate::Work::Prove).
    Evidence(EvidenceAnswer),
    /// Of [`Work::AskAuthority`](crate::Work::AskAuthority).
    CardAuthority(CardAuthAnswer),
}

/// What the card said to a PIN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PinAnswer {
    /// It is the holder's, and where it was to be changed it is.
    Verified,
    /// It is not.
    Wrong {
        /// Tries left.
        tries_left: u8,
    },
    /// No tries left.
    Locked,
    /// It cannot do that; nothing was changed and no try was used.
    NotPossible,
}

/// Why work or a duty has no outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No answer came: it may or may not have been done.
    Unreachable,
    /// The platform refused.
    Problem(ProblemCode),
    /// An answer came and makes no sense.
    Nonsense,
    /// The device did not do it.
    Device,
}

/// The outcome of a print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrintResult {
    /// Printed, as sure as said.
    Printed(Confirmation),
    /// Nothing reached the paper.
    NotStarted,
    /// Some or all of it may have been printed.
    Unconfirmed,
}
