//! Card authentication (卡鉴权) through the platform: the request about a third-generation card, and its answer. The
//! two steps are those of `iReadCardBas_HSM_Step1` and `_Step2`; between them the card waits in its reader.

use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroize;

use crate::id::VisitId;
use sm_crypto::{PublicKey, SignError, Signature, from_hex, to_hex};

/// Bytes that are written as hexadecimal digits in JSON. No `Debug`; wiped on drop.
#[derive(Clone, PartialEq, Eq, Zeroize)]
#[zeroize(drop)]
pub struct HexBytes<const N: usize>(pub [u8; N]);

impl<const N: usize> Serialize for HexBytes<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        zeroize::Zeroizing::new(to_hex(&self.0)).serialize(serializer)
    }
}

impl<const N: usize> FromStr for HexBytes<N> {
    type Err = SignError;

    fn from_str(text: &str) -> Result<Self, SignError> {
        from_hex(text).map(Self).ok_or(SignError::NotHex(N))
    }
}

impl<'de, const N: usize> Deserialize<'de> for HexBytes<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = zeroize::Zeroizing::new(String::deserialize(deserializer)?);
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Asks for the expected answer of a card and for the cryptogram that opens it. Sent once: the platform refuses a
/// second request about the same random number of the card.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardAuthRequest {
    /// The kiosk's visit, in which no resident is identified yet.
    pub visit: VisitId,
    /// The data of the card and the random numbers of both sides.
    pub card: CardChallenge,
}

/// 工作人员卡: the answer of a staff card to a challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaffProof {
    /// The name under which the site file lists the card's key.
    pub name: String,
    /// Random bytes, drawn for this proof alone.
    pub challenge: [u8; 32],
    /// Signature over [`Self::to_be_signed`].
    pub signature: Signature,
}

impl StaffProof {
    /// The bytes that the card signs.
    #[must_use]
    pub fn to_be_signed(challenge: &[u8; 32]) -> Vec<u8> {
        [b"staff-card/1\0".as_slice(), challenge].concat()
    }

    /// Verifies that the card holds the secret key of `key`.
    ///
    /// # Errors
    /// [`SignError::Mismatch`].
    pub fn verify(&self, key: &PublicKey) -> Result<(), SignError> {
        key.verify(&Self::to_be_signed(&self.challenge), &self.signature)
    }
}

/// The data of a card that waits for its authentication, and the random numbers of both sides. Wiped on drop.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Zeroize)]
#[zeroize(drop)]
#[serde(deny_unknown_fields)]
pub struct CardChallenge {
    /// 行政区划: six digits, the first ones of 卡识别码.
    pub area: String,
    /// 卡识别码.
    pub identification: HexBytes<16>,
    /// 规范版本: `3.00`.
    pub version: String,
    /// 算法标识: 3 is SM4.
    pub algorithm: u8,
    /// 卡复位信息: the historical bytes of the answer to reset, hexadecimal, at most 15 of them.
    pub atr_history: String,
    /// The card's random number. The external cryptogram is computed from it, so it can be used once.
    pub challenge: HexBytes<8>,
    /// 内部认证过程因子, drawn by the terminal.
    pub internal_factor: HexBytes<8>,
    /// 内部认证原始信息, drawn by the terminal, so that a replayed answer of a card does not match.
    pub internal_source: HexBytes<8>,
    /// 外部认证过程因子, drawn by the terminal.
    pub external_factor: HexBytes<8>,
}

/// Answer to [`CardAuthRequest`]. No `Debug`: its holder can pass EXTERNAL AUTHENTICATE once. Wiped on drop.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardAuthAnswer {
    /// The expected answer of the card to INTERNAL AUTHENTICATE.
    pub internal: HexBytes<8>,
    /// The data of EXTERNAL AUTHENTICATE.
    pub external: HexBytes<16>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Version 1. If this test fails, do not change the test: the wire format has changed.
    #[test]
    fn card_auth_json_of_version_1_is_stable() {
        let request = CardAuthRequest {
            visit: VisitId::from_entropy(2),
            card: CardChallenge {
                area: "500103".into(),
                identification: HexBytes([0x50; 16]),
                version: "3.00".into(),
                algorithm: 3,
                atr_history: "8154".into(),
                challenge: HexBytes([1; 8]),
                internal_factor: HexBytes([2; 8]),
                internal_source: HexBytes([3; 8]),
                external_factor: HexBytes([0xAF; 8]),
            },
        };
        let json = r#"{"visit":"00000000000000000000000000000002","card":{"area":"500103","identification":"50505050505050505050505050505050","version":"3.00","algorithm":3,"atr_history":"8154","challenge":"0101010101010101","internal_factor":"0202020202020202","internal_source":"0303030303030303","external_factor":"afafafafafafafaf"}}"#;
        assert_eq!(serde_json::to_string(&request).unwrap(), json);
        assert!(serde_json::from_str::<CardAuthRequest>(json).unwrap().card == request.card);
        let answer = CardAuthAnswer { internal: HexBytes([4; 8]), external: HexBytes([5; 16]) };
        let json = r#"{"internal":"0404040404040404","external":"05050505050505050505050505050505"}"#;
        assert_eq!(serde_json::to_string(&answer).unwrap(), json);
        assert!(serde_json::from_str::<CardAuthAnswer>(json).unwrap() == answer);
    }

    #[test]
    fn hex_bytes_refuse_wrong_length_and_other_characters() {
        for wrong in [r#""00""#, r#""00000000000000000""#, r#""000000000000000g""#, "7"] {
            assert!(serde_json::from_str::<HexBytes<8>>(wrong).is_err(), "{wrong}");
        }
    }
}
