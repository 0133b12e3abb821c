//! The data of a social security card, typed and validated.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Data read from a social security card (社会保障卡). No `Debug`: all of it is personal. Wiped on drop.
#[derive(Serialize, Deserialize)]
pub struct SocialCard {
    /// Card identification (卡识别码; EF05, tag 01): 32 hexadecimal digits.
    pub identification: Zeroizing<String>,
    /// Version of the specification (规范版本; tag 03).
    pub version: SpecVersion,
    /// Algorithm (算法标识) in the application's FCI.
    pub algorithm: Algorithm,
    /// End of validity (卡有效期; tag 06), `YYYYMMDD`; `None` where the issuer left it empty.
    pub valid_to: Option<String>,
    /// Card number (卡号; tag 07).
    pub number: Zeroizing<String>,
    /// The holder's data, as far as the card allows them to be read.
    pub holder: HolderData,
    /// Whether the card was authenticated as genuine.
    pub proof: CardProof,
}

/// Result of card authentication (卡认证).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CardProof {
    /// The card has the key of its issuer, and accepted the authority's cryptogram.
    Authenticated,
    /// The card was not authenticated: its data can be those of a copy.
    NotAuthenticated,
}

/// The holder's data, or why they were not read.
#[derive(Serialize, Deserialize)]
pub enum HolderData {
    /// EF06 was read.
    Read(CardHolder),
    /// The card requires external authentication, with a key of a PSAM or HSM, before EF06 can be read.
    NeedsAuthentication,
}

/// Basic data of the holder (持卡人基本信息), EF06.
#[derive(Serialize, Deserialize)]
pub struct CardHolder {
    /// Social security number (社会保障号码; tag 08): a citizen number.
    pub id_number: Zeroizing<String>,
    /// Name (姓名; tag 09), with the name extension (姓名扩展; tag 4E) appended.
    pub name: Zeroizing<String>,
}

/// Version of the specification (规范版本).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SpecVersion {
    /// First generation, `1.00`.
    V1,
    /// Second generation, `2.00`.
    V2,
    /// Third generation, `3.00`.
    V3,
}

impl SpecVersion {
    /// The text on the card.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "1.00",
            Self::V2 => "2.00",
            Self::V3 => "3.00",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "1.00" => Some(Self::V1),
            "2.00" => Some(Self::V2),
            "3.00" => Some(Self::V3),
            _ => None,
        }
    }
}

/// Algorithm of the application (算法标识; FCI, 9F0C, object 86); absent means 01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// 01: DES and 3DES.
    Des,
    /// 02: SSF33.
    Ssf33,
    /// 03: SM4.
    Sm4,
    /// An unknown algorithm number.
    Other(u8),
}

impl Algorithm {
    /// The number in the FCI.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Des => 1,
            Self::Ssf33 => 2,
            Self::Sm4 => 3,
            Self::Other(number) => number,
        }
    }
}

impl From<u8> for Algorithm {
    fn from(number: u8) -> Self {
        match number {
            1 => Self::Des,
            2 => Self::Ssf33,
            3 => Self::Sm4,
            other => Self::Other(other),
        }
    }
}
