//! The data that a reader returns for one card.

use zeroize::Zeroizing;

use crate::date::Validity;
use crate::text::{CitizenIdCard, Foreigner2017, Foreigner2023, ResidencePermit};

/// The text of one card, parsed. No `Debug` and no `Serialize`: all of it is personal. Wiped on drop.
#[derive(PartialEq, Eq)]
pub enum IdCard {
    /// Resident identity card (居民身份证).
    Resident(CitizenIdCard),
    /// Residence permit for residents of Hong Kong, Macau and Taiwan (港澳台居民居住证).
    Permit(ResidencePermit),
    /// Foreigner's permanent residence card (外国人永久居留身份证), issued from 2017.
    Foreigner2017(Foreigner2017),
    /// Foreigner's permanent residence card, issued from December 2023.
    Foreigner2023(Foreigner2023),
}

impl IdCard {
    /// The holder's number.
    #[must_use]
    pub fn number(&self) -> &str {
        match self {
            Self::Resident(card) => &card.number,
            Self::Permit(card) => &card.number,
            Self::Foreigner2017(card) => &card.number,
            Self::Foreigner2023(card) => &card.number,
        }
    }

    /// The holder's name: the Chinese name if the card has one, else the English name.
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

    /// The end of the card's validity.
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

/// The result of reading one card completely. Wiped on drop.
pub struct IdCardReading {
    /// The text, validated.
    pub card: IdCard,
    /// The photo (照片) as stored on the card (WLT, 1,024 bytes), undecoded.
    pub photo: Zeroizing<Vec<u8>>,
    /// The fingerprints (指纹) as stored on the card: 0, 512 or 1,024 bytes; empty unless requested.
    pub fingerprints: Zeroizing<Vec<u8>>,
}
