//! What a social security card holds, typed and checked.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// What was read from a card. No `Debug`: all of it is about one person. Wiped on drop.
#[derive(Serialize, Deserialize)]
pub struct SocialCard {
    /// 卡识别码 (EF05, tag 01): 32 hexadecimal digits.
    pub identification: Zeroizing<String>,
    /// 规范版本 (tag 03).
    pub version: SpecVersion,
    /// 算法标识 of the application's FCI.
    pub algorithm: Algorithm,
    /// 卡有效期 (tag 06), `YYYYMMDD`; absent where the issuer left it empty.
    pub valid_to: Option<String>,
    /// 卡号 (tag 07).
    pub number: Zeroizing<String>,
    /// The holder, as far as the card gives them.
    pub holder: Holder,
    /// Whether it proved to be the issuer's own.
    pub proof: Proof,
}

/// What is known of the card itself, whatever it says of its holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Proof {
    /// It has the key that its issuer gave it, and took the authority's cryptogram.
    Authenticated,
    /// Nobody asked it: what it says can be copied.
    None,
}

/// The card's holder.
#[derive(Serialize, Deserialize)]
pub enum Holder {
    /// EF06 was read.
    Read(CardHolder),
    /// The card gives its holder only to an authority (external authentication with a PSAM's or HSM's key).
    NeedsAuthority,
}

/// 持卡人基本信息 (EF06).
#[derive(Serialize, Deserialize)]
pub struct CardHolder {
    /// 社会保障号码 (tag 08): a citizen number.
    pub id_number: Zeroizing<String>,
    /// 姓名 (tag 09), with 姓名扩展 (tag 4E) appended.
    pub name: Zeroizing<String>,
}

/// 规范版本.
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
    /// As the card writes it.
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

/// 算法标识 (FCI, 9F0C, object 86); absent means 01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// 01: DES and 3DES.
    Des,
    /// 02: SSF33.
    Ssf33,
    /// 03: SM4.
    Sm4,
    /// A number that is not known here.
    Other(u8),
}

impl Algorithm {
    /// As the FCI has it.
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
