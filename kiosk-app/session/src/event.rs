//! Inputs of the kiosk: every event comes in an [`KioskInput`], with time and entropy.

use std::sync::Arc;

use contract::{
    CallAnswer, CardAuthAnswer, CardChallenge, CardEvidence, ChargeState, Confirmation, EvidenceAnswer,
    IdCardEvidence, IdentifyAnswer, OrderId, ProblemCode, ReceiptId, StaffProof, UnixMs,
};
use view::{Intent, ViewId};
use zeroize::Zeroizing;

use crate::code_trust::CodeTrust;
use crate::effect::Ticket;
use crate::setup::Catalogue;

/// Milliseconds of a monotonic clock, from an arbitrary start in this process. Deadlines use this clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MonotonicMs(pub u64);

impl MonotonicMs {
    /// The time `ms` milliseconds later, saturating.
    #[must_use]
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }
}

/// Both clocks at the moment of an input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Monotonic time, for deadlines.
    pub mono: MonotonicMs,
    /// Wall-clock time, for display and records.
    pub wall: UnixMs,
}

/// One event, with the time at which it is handled and entropy for the ids it may need.
pub struct KioskInput {
    /// When the event is handled.
    pub at: Now,
    /// 128 fresh random bits.
    pub entropy: u128,
    /// What happened.
    pub event: Event,
}

/// An event. Each has one handler in the kiosk.
pub enum Event {
    /// [`Kiosk::next_deadline`](crate::Kiosk::next_deadline) has passed.
    Tick,
    /// A touch on a view.
    Touch {
        /// The view that was touched; a touch on an older view than the current one is dropped.
        view: ViewId,
        /// What was touched.
        intent: Intent,
    },
    /// An event at the card slot.
    Card(CardEvent),
    /// An event at the ID card reader.
    IdCard(IdCardEvent),
    /// A code was scanned: its bytes.
    CodeScanned(Zeroizing<Vec<u8>>),
    /// Why the camera does not read a code.
    CodeHint(CodeHint),
    /// The health of a device changed.
    DeviceStateChanged(DeviceKind, DeviceState),
    /// The outcome of work of a visit. An outcome whose ticket matches no pending work is dropped.
    WorkAnswered(Ticket, Result<WorkAnswer, Failure>),
    /// The outcome of a charge or an inquiry, addressed by order: orders outlive tickets, visits and processes.
    PaymentAnswered(OrderId, Result<ChargeState, Failure>),
    /// The outcome of a print job.
    PrintFinished(ReceiptId, PrintResult),
    /// The services in force changed; the caller has verified their signatures.
    CatalogueChanged(Catalogue),
    /// Issuer keys or revocations changed; the caller has verified the city's signatures.
    CodeTrustChanged(Arc<CodeTrust>),
    /// The clock was synchronised with the platform: offset to add to the kiosk's wall clock, in milliseconds.
    ClockSynchronised(i64),
    /// The link to the platform came up (true) or went down (false).
    LinkChanged(bool),
    /// The journal rose above (true) or fell below (false) its high-water mark. Above it, no new order is created: the
    /// remaining room is needed for orders and receipts that are already open.
    JournalNearlyFull(bool),
}

/// An event at the card slot.
pub enum CardEvent {
    /// A card was inserted; reading has begun.
    Inserted,
    /// The card discloses its holder only after external authentication; reading waits for [`Work::AuthenticateCard`].
    ///
    /// [`Work::AuthenticateCard`]: crate::Work::AuthenticateCard
    NeedsAuthentication(CardChallenge),
    /// The social security card was read, completely or in part.
    Read {
        /// Data read from the card.
        evidence: CardEvidence,
        /// Last day of validity (有效期), `YYYYMMDD`, when the card has one.
        valid_to: Option<String>,
    },
    /// The card cannot be used.
    Refused(CardRefusal),
    /// The card is a staff card; its proof is not verified yet.
    Staff(StaffProof),
    /// The card was removed.
    Removed,
}

/// Why a card cannot be used, as far as the resident can act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardRefusal {
    /// Another kind of card.
    Unsupported,
    /// The card does not respond: upside down, blank or broken chip.
    NotResponding,
    /// Records are missing or invalid.
    Damaged,
    /// The issuer's application on the card is permanently locked; only a service desk can help.
    Blocked,
    /// Card authentication failed: the card is not proven to be genuine.
    NotAuthentic,
}

/// An event at the ID card reader.
pub enum IdCardEvent {
    /// A card was placed on the reader; reading has begun, and ends with `Read` or `Refused`.
    Detected,
    /// The ID card was read.
    Read {
        /// Data read from the ID card, to be sent to the platform.
        evidence: IdCardEvidence,
        /// Last day of validity (有效期限), `YYYYMMDD`; absent for an unlimited one (长期).
        valid_to: Option<String>,
    },
    /// The ID card cannot be used.
    Refused(IdCardRefusal),
}

/// Why an ID card cannot be used, as far as the resident can act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdCardRefusal {
    /// Another kind of card.
    Unsupported,
    /// The card was not read: lifted too soon, or not flat.
    NotRead,
    /// The data on the card is invalid.
    Damaged,
}

/// Why the camera cannot read a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the names say all there is
pub enum CodeHint {
    TooFar,
    TooNear,
    TooDark,
    Glare,
    Moving,
}

/// Class of a device. A kiosk has at most one device of each class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum DeviceKind {
    CardReader,
    CodeReader,
    IdReader,
    ReceiptPrinter,
    DocumentPrinter,
    Signal,
}

/// Whether a device can be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceState {
    /// The device works.
    Ready,
    /// The device has a fault and cannot be used.
    Faulty(FaultReason),
    /// No report from the device since the start.
    #[default]
    Unknown,
}

/// Why a device cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultReason {
    /// Out of paper (缺纸).
    PaperOut,
    /// The printer's cover is open.
    CoverOpen,
    /// Paper or cutter is jammed.
    Jammed,
    /// Absent, failed or not responding.
    Unavailable,
}

/// The result of work that was carried out.
pub enum WorkAnswer {
    /// Answers [`Work::Identify`](crate::Work::Identify).
    Identified(IdentifyAnswer),
    /// Answers [`Work::CallOperation`](crate::Work::CallOperation).
    CallAnswered(CallAnswer),
    /// Answers [`Work::VerifyPin`](crate::Work::VerifyPin) and [`Work::ChangePin`](crate::Work::ChangePin).
    Pin(PinAnswer),
    /// Answers [`Work::ReportEvidence`](crate::Work::ReportEvidence).
    Evidence(EvidenceAnswer),
    /// Answers [`Work::RequestCardAuthentication`](crate::Work::RequestCardAuthentication).
    CardAuthority(CardAuthAnswer),
}

/// The card's response to the verification or change of a PIN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PinAnswer {
    /// The PIN is correct; a requested change was made.
    Verified,
    /// The PIN is wrong.
    Wrong {
        /// Remaining tries.
        tries_left: u8,
    },
    /// No tries are left; the PIN is locked.
    Locked,
    /// The card does not support the operation; nothing was changed and no try was used.
    Unsupported,
}

/// Why work or a duty has no outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No answer came: the outcome is unknown.
    Unreachable,
    /// The platform refused, with this problem code.
    Problem(ProblemCode),
    /// An answer came and is invalid.
    InvalidResponse,
    /// The device did not carry out the work.
    DeviceFailed,
}

/// The outcome of a print job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrintResult {
    /// Printed, with this degree of confirmation.
    Printed(Confirmation),
    /// Nothing was printed.
    NotStarted,
    /// Part or all of the print job may have been printed.
    Unconfirmed,
}
