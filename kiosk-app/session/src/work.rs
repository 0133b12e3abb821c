//! Work of a visit: requests to the card and to the platform that end with the visit, and their answers.

use contract::{
    CallAnswer, CallRequest, CardAuthAnswer, CardAuthRequest, EvidenceAnswer, EvidenceRequest,
    IdentifyAnswer, IdentifyRequest, ProblemCode,
};
use zeroize::Zeroizing;

use crate::time::MonotonicMs;

/// Number that ties an answer to one piece of work of a visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Work that was started and is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PendingWork {
    pub(crate) ticket: Ticket,
    /// When the kiosk stops waiting for the answer.
    pub(crate) deadline: MonotonicMs,
}

/// Work of a visit, by who does it.
pub enum Work {
    /// The card in the slot, through its device process.
    Card(CardWork),
    /// The platform.
    Platform(PlatformWork),
}

/// Work of the card.
pub enum CardWork {
    /// Continue with the waiting card. Without an answer the card is not authenticated, and is read in part. Only a
    /// failure is answered: the result of the reading comes as a [`CardEvent`](crate::CardEvent).
    Authenticate(Option<CardAuthAnswer>),
    /// Have the card verify the holder's PIN: ASCII digits.
    VerifyPin(Zeroizing<Vec<u8>>),
    /// Have the card change its PIN: ASCII digits, both. Answered like [`Self::VerifyPin`].
    ChangePin {
        /// The current PIN.
        old: Zeroizing<Vec<u8>>,
        /// The new PIN.
        new: Zeroizing<Vec<u8>>,
    },
}

/// Work of the platform.
pub enum PlatformWork {
    /// Identify the resident.
    Identify(IdentifyRequest),
    /// Answer with data.
    CallOperation(CallRequest),
    /// Take evidence: a phone's answer code, or a PIN that the card verified.
    ReportEvidence(EvidenceRequest),
    /// Make the cryptograms that authenticate the waiting card.
    RequestCardAuthentication(CardAuthRequest),
}

/// The result of work that was carried out.
pub enum WorkAnswer {
    /// Answers [`PlatformWork::Identify`].
    Identified(IdentifyAnswer),
    /// Answers [`PlatformWork::CallOperation`].
    CallAnswered(CallAnswer),
    /// Answers [`CardWork::VerifyPin`] and [`CardWork::ChangePin`].
    Pin(PinAnswer),
    /// Answers [`PlatformWork::ReportEvidence`].
    Evidence(EvidenceAnswer),
    /// Answers [`PlatformWork::RequestCardAuthentication`].
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
