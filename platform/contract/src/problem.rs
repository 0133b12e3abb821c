//! Problem codes (bodies as in RFC 9457): the reasons for which the platform refuses a request, one per reaction of
//! the kiosk.

use serde::{Deserialize, Serialize};

/// Why a request was refused. The codes are stable; each has a text of its own on the kiosk's screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProblemCode {
    /// Another order for this bill is open in the city (I1).
    BillBusy,
    /// The bill is already paid.
    BillSettled,
    /// The bill does not exist, belongs to another resident, or has another amount.
    BillChanged,
    /// The order id was used for something else.
    OrderConflict,
    /// The code was already used.
    CodeUsed,
    /// The code is too old.
    CodeExpired,
    /// The code was not issued by this platform.
    CodeUnknown,
    /// The code was reported lost.
    CodeRevoked,
    /// The answer is not from this resident's phone, or answers another challenge.
    ChallengeFailed,
    /// The card is not in the card-holder base.
    CardUnknown,
    /// The card was reported lost or was replaced.
    CardStopped,
    /// The data on the card contradicts the card-holder base.
    CardMismatch,
    /// No resident has the ID card's number and name.
    ResidentUnknown,
    /// The visit's key is unknown or too old: the resident must identify again.
    VisitExpired,
    /// The operation needs a consent that was not given.
    ConsentMissing,
    /// The operation does not exist or is not offered to this kiosk.
    NotOffered,
    /// The evidence does not reach the level that the operation needs.
    LevelTooLow,
    /// The kiosk's signature or name is not accepted.
    DeviceUnknown,
    /// The request is malformed.
    Malformed,
    /// A system behind the platform does not respond. Nothing was done, or the outcome is unknown: send the request
    /// again.
    Unavailable,
}

/// The body of every refusal (`application/problem+json`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{title} ({code:?})")]
pub struct Problem {
    /// The stable code.
    pub code: ProblemCode,
    /// HTTP status.
    pub status: u16,
    /// One sentence for an engineer; never shown to a resident, contains no personal data.
    pub title: String,
}

impl ProblemCode {
    /// The HTTP status that goes with the code.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::BillBusy | Self::BillSettled | Self::BillChanged | Self::OrderConflict | Self::CodeUsed => {
                409
            }
            Self::CodeExpired => 410,
            Self::CodeUnknown | Self::CardUnknown | Self::ResidentUnknown | Self::NotOffered => 404,
            Self::CardStopped
            | Self::CardMismatch
            | Self::ConsentMissing
            | Self::LevelTooLow
            | Self::CodeRevoked
            | Self::ChallengeFailed => 403,
            Self::VisitExpired | Self::DeviceUnknown => 401,
            Self::Malformed => 400,
            Self::Unavailable => 503,
        }
    }

    /// A problem with this code and title.
    #[must_use]
    pub fn into_problem(self, title: impl Into<String>) -> Problem {
        Problem { code: self, status: self.status(), title: title.into() }
    }
}
