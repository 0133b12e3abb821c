//! Inputs of the kiosk: every event comes in an [`KioskInput`], with time and entropy.

use std::sync::Arc;

use contract::{
    CardChallenge, CardEvidence, ChargeState, Confirmation, IdCardEvidence, OrderId, ReceiptId, StaffProof,
    UnreportedOrder,
};
use view::{Intent, ViewId};
use zeroize::Zeroizing;

use crate::code_trust::CodeTrust;
use crate::setup::Catalogue;
use crate::time::Now;
use crate::work::{Failure, Ticket, WorkAnswer};

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
    /// The platform's list of orders that this kiosk has not reported; the journal has recorded nothing since it was asked for.
    OrdersReconciled {
        /// The orders: those that the kiosk does not know are recovered.
        orders: Vec<UnreportedOrder>,
        /// No further order can appear that was created before the journal was opened.
        is_complete: bool,
    },
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
    /// The card discloses its holder only after external authentication; reading waits for [`CardWork::Authenticate`].
    ///
    /// [`CardWork::Authenticate`]: crate::CardWork::Authenticate
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
    /// A card is still in the slot from before the kiosk recovered: it is not read again, and must be taken.
    LeftInSlot,
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
