//! Notices: anonymous messages after a visit, or when no visit could begin.

use contract::{Money, OrderId, ReceiptId, Settlement};
use view::{Gesture, Lang, TextId, Theme};

use crate::event::Mono;

/// An anonymous message after a visit (离场提示), shown until a deadline or the removal of the card. Names nobody.
pub(crate) struct Closing {
    pub(crate) words: LastWords,
    pub(crate) lang: Lang,
    pub(crate) theme: Theme,
    /// None: until the card is removed.
    pub(crate) until: Option<Mono>,
}

/// What a notice says.
pub(crate) enum LastWords {
    /// Why no visit could begin.
    Refused(Refusal),
    /// The resident must take the card.
    TakeCard,
    /// The resident must take the ID card, which is still on the reader.
    TakeIdCard,
    /// State of a payment that outlived its visit. `order` is set while the order is unsettled.
    Payment { order: Option<OrderId>, total: Money, settlement: Option<Settlement>, receipt: ReceiptId },
    /// The card was removed while it changed its PIN: the outcome is unknown.
    PinUnclear,
}

impl Closing {
    pub(crate) const fn ends_with_card(&self) -> bool {
        match self.words {
            LastWords::TakeCard => true,
            LastWords::Refused(refusal) => refusal.of_card(),
            LastWords::TakeIdCard | LastWords::Payment { .. } | LastWords::PinUnclear => false,
        }
    }
}

/// Why no visit could begin, or an open one could not continue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::enum_variant_names)]
pub(crate) enum Refusal {
    CardForeign,
    CardMute,
    CardDamaged,
    CardBlocked,
    CardUnproven,
    CardExpired,
    CardUnknown,
    CardStopped,
    CardMismatch,
    IdCardForeign,
    IdCardUnread,
    IdCardDamaged,
    IdCardExpired,
    IdCardUnknown,
    CodeForeign,
    CodeOtherCity,
    CodeDamaged,
    CodeUsed,
    CodeExpired,
    CodeUnknown,
    CodeRevoked,
    CodeStale,
    CodeEarly,
    CodeNeedsLink,
    ClockDoubt,
    NoLink,
    Nonsense,
    VisitExpired,
    NotPermitted,
}

impl Refusal {
    /// True when the refusal concerns the card in the slot, so that it is shown until that card is removed.
    pub(crate) const fn of_card(self) -> bool {
        match self {
            Self::CardForeign
            | Self::CardMute
            | Self::CardDamaged
            | Self::CardBlocked
            | Self::CardUnproven
            | Self::CardExpired
            | Self::CardUnknown
            | Self::CardStopped
            | Self::CardMismatch => true,
            Self::IdCardForeign
            | Self::IdCardUnread
            | Self::IdCardDamaged
            | Self::IdCardExpired
            | Self::IdCardUnknown
            | Self::CodeForeign
            | Self::CodeOtherCity
            | Self::CodeDamaged
            | Self::CodeUsed
            | Self::CodeExpired
            | Self::CodeUnknown
            | Self::CodeRevoked
            | Self::CodeStale
            | Self::CodeEarly
            | Self::CodeNeedsLink
            | Self::ClockDoubt
            | Self::NoLink
            | Self::Nonsense
            | Self::VisitExpired
            | Self::NotPermitted => false,
        }
    }

    /// The title, and the gesture that shows what to do.
    pub(crate) const fn remedy(self) -> (TextId, Option<Gesture>) {
        match self {
            Self::CardMute => (TextId::SorryTitle, Some(Gesture::InsertCard)),
            Self::CardForeign
            | Self::CardDamaged
            | Self::CardBlocked
            | Self::CardUnproven
            | Self::CardExpired
            | Self::CardUnknown
            | Self::CardStopped
            | Self::CardMismatch => (TextId::TakeCardTitle, Some(Gesture::TakeCard)),
            Self::CodeForeign
            | Self::CodeOtherCity
            | Self::CodeDamaged
            | Self::CodeUsed
            | Self::CodeExpired
            | Self::CodeUnknown
            | Self::CodeRevoked
            | Self::CodeStale
            | Self::CodeEarly => (TextId::SorryCodeTitle, Some(Gesture::ShowCode)),
            Self::IdCardForeign | Self::IdCardUnread => (TextId::SorryIdCardTitle, Some(Gesture::LayIdCard)),
            Self::IdCardDamaged | Self::IdCardExpired | Self::IdCardUnknown => {
                (TextId::TakeIdCardTitle, Some(Gesture::TakeIdCard))
            }
            Self::NoLink
            | Self::Nonsense
            | Self::VisitExpired
            | Self::NotPermitted
            | Self::CodeNeedsLink
            | Self::ClockDoubt => (TextId::SorryTitle, None),
        }
    }

    /// The texts: the reason, and what to do now.
    pub(crate) const fn words(self) -> (TextId, TextId) {
        match self {
            Self::CardForeign => (TextId::CardForeign, TextId::CardForeignDetail),
            Self::CardMute => (TextId::CardMute, TextId::CardMuteDetail),
            Self::CardDamaged => (TextId::CardDamaged, TextId::CardDamagedDetail),
            Self::CardBlocked => (TextId::CardBlocked, TextId::CardBlockedDetail),
            Self::CardUnproven => (TextId::CardUnproven, TextId::CardUnprovenDetail),
            Self::CardExpired => (TextId::CardExpired, TextId::CardExpiredDetail),
            Self::CardUnknown => (TextId::CardUnknown, TextId::CardUnknownDetail),
            Self::CardStopped => (TextId::CardStopped, TextId::CardStoppedDetail),
            Self::CardMismatch => (TextId::CardMismatch, TextId::CardMismatchDetail),
            Self::IdCardForeign => (TextId::IdCardForeign, TextId::IdCardForeignDetail),
            Self::IdCardUnread => (TextId::IdCardUnread, TextId::IdCardUnreadDetail),
            Self::IdCardDamaged => (TextId::IdCardDamaged, TextId::IdCardDamagedDetail),
            Self::IdCardExpired => (TextId::IdCardExpired, TextId::IdCardExpiredDetail),
            Self::IdCardUnknown => (TextId::IdCardUnknown, TextId::IdCardUnknownDetail),
            Self::CodeForeign => (TextId::CodeForeign, TextId::CodeForeignDetail),
            Self::CodeOtherCity => (TextId::CodeOtherCity, TextId::CodeOtherCityDetail),
            Self::CodeDamaged => (TextId::CodeDamaged, TextId::CodeDamagedDetail),
            Self::CodeUsed => (TextId::CodeUsed, TextId::CodeUsedDetail),
            Self::CodeExpired => (TextId::CodeExpired, TextId::CodeExpiredDetail),
            Self::CodeUnknown => (TextId::CodeUnknown, TextId::CodeUnknownDetail),
            Self::CodeRevoked => (TextId::CodeRevoked, TextId::CodeRevokedDetail),
            Self::CodeStale => (TextId::CodeStale, TextId::CodeStaleDetail),
            Self::CodeEarly => (TextId::CodeEarly, TextId::CodeEarlyDetail),
            Self::CodeNeedsLink => (TextId::CodeNeedsLink, TextId::CodeNeedsLinkDetail),
            Self::ClockDoubt => (TextId::ClockDoubt, TextId::ClockDoubtDetail),
            Self::NoLink => (TextId::NoLink, TextId::NoLinkDetail),
            Self::Nonsense => (TextId::Nonsense, TextId::NonsenseDetail),
            Self::VisitExpired => (TextId::VisitExpired, TextId::VisitExpiredDetail),
            Self::NotPermitted => (TextId::NotPermitted, TextId::NotPermittedDetail),
        }
    }
}
