//! Notices: anonymous messages after a visit, or when no visit could begin.

use contract::{Money, OrderId, ReceiptId, Settlement};
use view::{Gesture, Lang, TextId, Theme};

use crate::event::MonotonicMs;

/// An anonymous message after a visit (离场提示), shown until a deadline or the removal of the card. Names nobody.
pub(crate) struct Notice {
    pub(crate) kind: NoticeKind,
    pub(crate) lang: Lang,
    pub(crate) theme: Theme,
    /// None: until the card is removed.
    pub(crate) until: Option<MonotonicMs>,
}

/// What a notice says.
pub(crate) enum NoticeKind {
    /// Why no visit could begin.
    Refused(VisitRefusal),
    /// The resident must take the card.
    TakeCard,
    /// The resident must take the ID card, which is still on the reader.
    TakeIdCard,
    /// State of a payment that outlived its visit. `order` is set while the order is unsettled.
    Payment { order: Option<OrderId>, total: Money, settlement: Option<Settlement>, receipt: ReceiptId },
    /// The card was removed while it changed its PIN: the outcome is unknown.
    PinChangeUnknown,
}

impl Notice {
    pub(crate) const fn ends_on_card_removal(&self) -> bool {
        match self.kind {
            NoticeKind::TakeCard => true,
            NoticeKind::Refused(refusal) => refusal.concerns_card(),
            NoticeKind::TakeIdCard | NoticeKind::Payment { .. } | NoticeKind::PinChangeUnknown => false,
        }
    }
}

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
