//! Why no visit could begin, or an open one could not continue, and what a resident reads about it.

use contract::ProblemCode;
use view::{Gesture, TextId};

use crate::event::{CardRefusal, IdCardRefusal};
use crate::work::Failure;

/// Why no visit could begin, or an open one could not continue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::enum_variant_names)]
pub(crate) enum VisitRefusal {
    CardUnsupported,
    CardNotResponding,
    CardDamaged,
    CardBlocked,
    CardNotAuthentic,
    CardExpired,
    CardUnknown,
    CardStopped,
    CardMismatch,
    IdCardUnsupported,
    IdCardNotRead,
    IdCardDamaged,
    IdCardExpired,
    IdCardUnknown,
    CodeNotRecognised,
    CodeOtherCity,
    CodeDamaged,
    CodeUsed,
    CodeExpired,
    CodeUnknown,
    CodeRevoked,
    CodeStale,
    CodeEarly,
    CodeNeedsLink,
    ClockUntrusted,
    NoLink,
    InvalidResponse,
    VisitExpired,
    NotPermitted,
}

impl VisitRefusal {
    /// True when the refusal concerns the card in the slot, so that it is shown until that card is removed.
    pub(crate) const fn concerns_card(self) -> bool {
        match self {
            Self::CardUnsupported
            | Self::CardNotResponding
            | Self::CardDamaged
            | Self::CardBlocked
            | Self::CardNotAuthentic
            | Self::CardExpired
            | Self::CardUnknown
            | Self::CardStopped
            | Self::CardMismatch => true,
            Self::IdCardUnsupported
            | Self::IdCardNotRead
            | Self::IdCardDamaged
            | Self::IdCardExpired
            | Self::IdCardUnknown
            | Self::CodeNotRecognised
            | Self::CodeOtherCity
            | Self::CodeDamaged
            | Self::CodeUsed
            | Self::CodeExpired
            | Self::CodeUnknown
            | Self::CodeRevoked
            | Self::CodeStale
            | Self::CodeEarly
            | Self::CodeNeedsLink
            | Self::ClockUntrusted
            | Self::NoLink
            | Self::InvalidResponse
            | Self::VisitExpired
            | Self::NotPermitted => false,
        }
    }

    /// The title, and the gesture that shows what to do.
    pub(crate) const fn title_and_gesture(self) -> (TextId, Option<Gesture>) {
        match self {
            Self::CardNotResponding => (TextId::SorryTitle, Some(Gesture::InsertCard)),
            Self::CardUnsupported
            | Self::CardDamaged
            | Self::CardBlocked
            | Self::CardNotAuthentic
            | Self::CardExpired
            | Self::CardUnknown
            | Self::CardStopped
            | Self::CardMismatch => (TextId::TakeCardTitle, Some(Gesture::TakeCard)),
            Self::CodeNotRecognised
            | Self::CodeOtherCity
            | Self::CodeDamaged
            | Self::CodeUsed
            | Self::CodeExpired
            | Self::CodeUnknown
            | Self::CodeRevoked
            | Self::CodeStale
            | Self::CodeEarly => (TextId::SorryCodeTitle, Some(Gesture::ShowCode)),
            Self::IdCardUnsupported | Self::IdCardNotRead => {
                (TextId::SorryIdCardTitle, Some(Gesture::PlaceIdCard))
            }
            Self::IdCardDamaged | Self::IdCardExpired | Self::IdCardUnknown => {
                (TextId::TakeIdCardTitle, Some(Gesture::TakeIdCard))
            }
            Self::NoLink
            | Self::InvalidResponse
            | Self::VisitExpired
            | Self::NotPermitted
            | Self::CodeNeedsLink
            | Self::ClockUntrusted => (TextId::SorryTitle, None),
        }
    }

    /// The texts: the reason, and what to do now.
    pub(crate) const fn texts(self) -> (TextId, TextId) {
        match self {
            Self::CardUnsupported => (TextId::CardForeign, TextId::CardForeignDetail),
            Self::CardNotResponding => (TextId::CardMute, TextId::CardMuteDetail),
            Self::CardDamaged => (TextId::CardDamaged, TextId::CardDamagedDetail),
            Self::CardBlocked => (TextId::CardBlocked, TextId::CardBlockedDetail),
            Self::CardNotAuthentic => (TextId::CardUnproven, TextId::CardUnprovenDetail),
            Self::CardExpired => (TextId::CardExpired, TextId::CardExpiredDetail),
            Self::CardUnknown => (TextId::CardUnknown, TextId::CardUnknownDetail),
            Self::CardStopped => (TextId::CardStopped, TextId::CardStoppedDetail),
            Self::CardMismatch => (TextId::CardMismatch, TextId::CardMismatchDetail),
            Self::IdCardUnsupported => (TextId::IdCardForeign, TextId::IdCardForeignDetail),
            Self::IdCardNotRead => (TextId::IdCardUnread, TextId::IdCardUnreadDetail),
            Self::IdCardDamaged => (TextId::IdCardDamaged, TextId::IdCardDamagedDetail),
            Self::IdCardExpired => (TextId::IdCardExpired, TextId::IdCardExpiredDetail),
            Self::IdCardUnknown => (TextId::IdCardUnknown, TextId::IdCardUnknownDetail),
            Self::CodeNotRecognised => (TextId::CodeForeign, TextId::CodeForeignDetail),
            Self::CodeOtherCity => (TextId::CodeOtherCity, TextId::CodeOtherCityDetail),
            Self::CodeDamaged => (TextId::CodeDamaged, TextId::CodeDamagedDetail),
            Self::CodeUsed => (TextId::CodeUsed, TextId::CodeUsedDetail),
            Self::CodeExpired => (TextId::CodeExpired, TextId::CodeExpiredDetail),
            Self::CodeUnknown => (TextId::CodeUnknown, TextId::CodeUnknownDetail),
            Self::CodeRevoked => (TextId::CodeRevoked, TextId::CodeRevokedDetail),
            Self::CodeStale => (TextId::CodeStale, TextId::CodeStaleDetail),
            Self::CodeEarly => (TextId::CodeEarly, TextId::CodeEarlyDetail),
            Self::CodeNeedsLink => (TextId::CodeNeedsLink, TextId::CodeNeedsLinkDetail),
            Self::ClockUntrusted => (TextId::ClockDoubt, TextId::ClockDoubtDetail),
            Self::NoLink => (TextId::NoLink, TextId::NoLinkDetail),
            Self::InvalidResponse => (TextId::Nonsense, TextId::NonsenseDetail),
            Self::VisitExpired => (TextId::VisitExpired, TextId::VisitExpiredDetail),
            Self::NotPermitted => (TextId::NotPermitted, TextId::NotPermittedDetail),
        }
    }
}

/// The refusal that corresponds to a failure, for a visit that cannot continue.
pub(crate) const fn refusal_for_failure(failure: Failure) -> VisitRefusal {
    match failure {
        Failure::Unreachable | Failure::DeviceFailed => VisitRefusal::NoLink,
        Failure::InvalidResponse => VisitRefusal::InvalidResponse,
        Failure::Problem(code) => match code {
            ProblemCode::CodeUsed => VisitRefusal::CodeUsed,
            ProblemCode::CodeExpired => VisitRefusal::CodeExpired,
            ProblemCode::CodeUnknown => VisitRefusal::CodeUnknown,
            ProblemCode::CodeRevoked => VisitRefusal::CodeRevoked,
            ProblemCode::CardUnknown => VisitRefusal::CardUnknown,
            ProblemCode::CardStopped => VisitRefusal::CardStopped,
            ProblemCode::CardMismatch => VisitRefusal::CardMismatch,
            ProblemCode::ResidentUnknown => VisitRefusal::IdCardUnknown,
            ProblemCode::VisitExpired => VisitRefusal::VisitExpired,
            ProblemCode::Unavailable => VisitRefusal::NoLink,
            ProblemCode::NotOffered
            | ProblemCode::LevelTooLow
            | ProblemCode::ChallengeFailed
            | ProblemCode::ConsentMissing
            | ProblemCode::DeviceUnknown
            | ProblemCode::BillBusy
            | ProblemCode::BillSettled
            | ProblemCode::BillChanged
            | ProblemCode::OrderConflict
            | ProblemCode::Malformed => VisitRefusal::NotPermitted,
        },
    }
}

pub(crate) const fn refusal_for_card(refusal: CardRefusal) -> VisitRefusal {
    match refusal {
        CardRefusal::Unsupported => VisitRefusal::CardUnsupported,
        CardRefusal::NotResponding => VisitRefusal::CardNotResponding,
        CardRefusal::Damaged => VisitRefusal::CardDamaged,
        CardRefusal::Blocked => VisitRefusal::CardBlocked,
        CardRefusal::NotAuthentic => VisitRefusal::CardNotAuthentic,
    }
}

/// The refusal that corresponds to an ID card that cannot be used.
pub(crate) const fn refusal_for_id_card(refusal: IdCardRefusal) -> VisitRefusal {
    match refusal {
        IdCardRefusal::Unsupported => VisitRefusal::IdCardUnsupported,
        IdCardRefusal::NotRead => VisitRefusal::IdCardNotRead,
        IdCardRefusal::Damaged => VisitRefusal::IdCardDamaged,
    }
}

/// The refusal that corresponds to a code that is not accepted.
pub(crate) const fn refusal_for_code(refusal: resident_code::CodeRefusal) -> VisitRefusal {
    match refusal {
        resident_code::CodeRefusal::NotACode => VisitRefusal::CodeNotRecognised,
        resident_code::CodeRefusal::OtherCity => VisitRefusal::CodeOtherCity,
        resident_code::CodeRefusal::Version(_)
        | resident_code::CodeRefusal::Encoding
        | resident_code::CodeRefusal::Mode(_)
        | resident_code::CodeRefusal::Length { .. }
        | resident_code::CodeRefusal::Check => VisitRefusal::CodeDamaged,
        resident_code::CodeRefusal::Early => VisitRefusal::CodeEarly,
        resident_code::CodeRefusal::Stale => VisitRefusal::CodeStale,
        resident_code::CodeRefusal::Expired => VisitRefusal::CodeExpired,
        resident_code::CodeRefusal::Key(_)
        | resident_code::CodeRefusal::Lifetime(_)
        | resident_code::CodeRefusal::IssuerSignature
        | resident_code::CodeRefusal::SessionKey
        | resident_code::CodeRefusal::SessionSignature => VisitRefusal::CodeUnknown,
    }
}
