//! How well the identity of a visit is proven, and by what.

use serde::{Deserialize, Serialize};

/// 认证等级: how well a visit's identity is proven, 0 to 3. Never above its evidence (I5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Nobody is identified.
    #[default]
    Nobody,
    /// A card was read, a code accepted, an ID card read.
    Recognised,
    /// PIN on an authenticated card, or the kiosk's challenge answered by the phone.
    Proven,
    /// 实人核验 by the trusted identity service.
    InPerson,
}

/// 认证方式: the method by which a resident began the visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdentificationMethod {
    /// 居民服务卡 in the slot.
    Card,
    /// 渝快码 held to the camera or scanner.
    Code,
    /// 居民身份证 laid on the reader.
    IdCard,
}

/// 身份凭据: the proof of identity that a level is based on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// The platform knows the card that was read, and it is in force.
    CardRead,
    /// The platform consumed the code's token.
    TokenConsumed,
    /// The card verified the holder's PIN; the card itself was not authenticated.
    CardPin,
    /// An offline code: its issuer signed it, its phone showed it in a current time step, it is not revoked, and
    /// this kiosk did not accept it before.
    OfflineCode,
    /// A paper code: its issuer signed it and it is not revoked. It can be copied.
    PaperCode,
    /// The phone of the visit's resident answered this kiosk's challenge.
    ChallengeAnswered,
    /// The platform knows the holder of the ID card that was read.
    IdCardRead,
    /// As [`Self::CardRead`], and card authentication proved that the card is genuine.
    CardAuthenticated,
    /// The card verified the holder's PIN after card authentication had proved that it is genuine.
    AuthenticatedCardPin,
}

impl Evidence {
    /// The highest level that this evidence alone can give. The platform may grant less.
    #[must_use]
    pub const fn max_level(self) -> Level {
        match self {
            Self::CardRead
            | Self::CardAuthenticated
            | Self::IdCardRead
            | Self::TokenConsumed
            | Self::CardPin
            | Self::OfflineCode
            | Self::PaperCode => Level::Recognised,
            Self::ChallengeAnswered | Self::AuthenticatedCardPin => Level::Proven,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_ordered_by_strength() {
        assert!(Level::Nobody < Level::Recognised);
        assert!(Level::Recognised < Level::Proven);
        assert!(Level::Proven < Level::InPerson);
    }
}
