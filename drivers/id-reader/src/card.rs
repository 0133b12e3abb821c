//! What a reader gives of one card.

use zeroize::Zeroizing;

use crate::date::Validity;
use crate::text::{Foreigner2017, Foreigner2023, Permit, Resident};

/// What one card says. No `Debug` and no `Serialize`: all of it is about one person. Wiped on drop.
#[derive(PartialEq, Eq)]
pub enum IdCard {
    /// 居民身份证.
    Resident(Resident),
    /// 港澳台居民居住证.
    Permit(Permit),
    /// 外国人永久居留身份证, issued from 2017.
    Foreigner2017(Foreigner2017),
    /// 外国人永久居留身份证, issued from December 2023.
    Foreigner2023(Foreigner2023),
}

impl IdCard {
    /// The number by which its holder is known.
    #[must_use]
    pub fn number(&self) -> &str {
        match self {
            Self::Resident(card) => &card.number,
            Self::Permit(card) => &card.number,
            Self::Foreigner2017(card) => &card.number,
            Self::Foreigner2023(card) => &card.number,
        }
    }

    /// The holder's name: the Chinese one where the card has one.
    #[must_use]
    pub fn name(&self) -> &str {
        let (chinese, english) = match self {
            Self::Resident(card) => return &card.name,
            Self::Permit(card) => return &card.name,
            Self::Foreigner2017(card) => (&card.chinese_name, &card.english_name),
            Self::Foreigner2023(card) => (&card.chinese_name, &card.english_name),
        };
        if chinese.is_empty() { english } else { chinese }
    }

    /// How long the card is valid.
    #[must_use]
    pub const fn valid_to(&self) -> &Validity {
        match self {
            Self::Resident(card) => &card.valid_to,
            Self::Permit(card) => &card.valid_to,
            Self::Foreigner2017(card) => &card.valid_to,
            Self::Foreigner2023(card) => &card.valid_to,
        }
    }
}

/// One whole reading. Wiped on drop.
pub struct Reading {
    /// The text, checked.
    pub card: IdCard,
    /// 照片 as the card holds it (WLT, 1,024 bytes), undecoded.
    pub photo: Zeroizing<Vec<u8>>,
    /// 指纹 as the card holds them: 0, 512 or 1,024 bytes; empty unless they were asked for.
    pub fingerprints: Zeroizing<Vec<u8>>,
}
