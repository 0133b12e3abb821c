//! Card authentication: the authority that authenticates third-generation cards, its request and its answer.
//!
//! Such a card proves by INTERNAL AUTHENTICATE that it is genuine, and requires EXTERNAL AUTHENTICATE (key 0A) before its
//! holder's file can be read. The keys for both are stored in a PSAM or in the city's HSM, never in a kiosk: this crate
//! only transports request and answer, as `iReadCardBas_HSM_Step1` and `_Step2` do.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::holder::{Algorithm, SpecVersion};

/// The data from which an authority computes the cryptograms of a card. No `Debug`: it identifies a card.
#[derive(Clone, Serialize, Deserialize)]
pub struct AuthRequest {
    /// Area code of the issuer (发卡地区行政区划代码): the first six digits of 卡识别码. Determines whose keys are used.
    pub area: String,
    /// Card identification (卡识别码), 32 hexadecimal digits: the card's keys are derived from the city's keys with it.
    pub identification: Zeroizing<String>,
    /// Version of the specification (规范版本).
    pub version: SpecVersion,
    /// Algorithm of the application (算法标识).
    pub algorithm: Algorithm,
    /// Historical bytes of the answer to reset (卡复位信息), at most 15.
    pub atr_history: Vec<u8>,
    /// The card's random number (GET CHALLENGE): the external cryptogram is computed over it, so an answer is valid once.
    pub challenge: [u8; 8],
    /// This terminal's random numbers: the card's cryptogram is computed over them, so a recorded response is not valid.
    pub nonces: Nonces,
}

/// The terminal's random numbers for one authentication; new ones for each authentication.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Nonces {
    /// Process factor of INTERNAL AUTHENTICATE (内部认证过程因子).
    pub internal_factor: [u8; 8],
    /// Source data of INTERNAL AUTHENTICATE (内部认证鉴别所需的原始信息).
    pub internal_source: [u8; 8],
    /// Process factor of EXTERNAL AUTHENTICATE (外部认证过程因子).
    pub external_factor: [u8; 8],
}

impl From<[u8; 24]> for Nonces {
    fn from(random: [u8; 24]) -> Self {
        let mut nonces = Self { internal_factor: [0; 8], internal_source: [0; 8], external_factor: [0; 8] };
        let parts = [&mut nonces.internal_factor, &mut nonces.internal_source, &mut nonces.external_factor];
        for (part, bytes) in parts.into_iter().zip(random.as_chunks::<8>().0) {
            *part = *bytes;
        }
        nonces
    }
}

/// The cryptograms that an authority computes. No `Debug`: with them anybody can authenticate as the authority once.
/// Wiped on drop.
#[derive(Clone, Serialize, Deserialize)]
pub struct AuthAnswer {
    /// The expected response of the card to INTERNAL AUTHENTICATE.
    pub internal: Zeroizing<[u8; 8]>,
    /// The data of EXTERNAL AUTHENTICATE: cryptogram over the card's challenge, then the process factor.
    pub external: Zeroizing<[u8; 16]>,
}

/// Why an authority gives no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityFault {
    /// The PSAM is not in its slot or does not respond.
    #[error("PSAM not responding: check that it is in its slot, and its reader's name in the site file")]
    Absent,
    /// The PSAM does not have the application or key: it belongs to another system or another city.
    #[error("PSAM refuses the command: check that it is one of the social security system, and not locked")]
    Refused,
    /// No authority is configured.
    #[error("no authority for card authentication configured at this kiosk")]
    NotConfigured,
}

/// An authority with the keys of third-generation cards.
pub trait CardAuthority {
    /// Computes the expected response of the card, and the cryptogram that opens its holder's file.
    ///
    /// # Errors
    /// When the authority cannot compute them: the card is then read in part only.
    fn authenticate(&mut self, request: &AuthRequest) -> Result<AuthAnswer, AuthorityFault>;
}

/// The absence of an authority: a third-generation card is read in part.
pub struct NoAuthority;

impl CardAuthority for NoAuthority {
    fn authenticate(&mut self, _: &AuthRequest) -> Result<AuthAnswer, AuthorityFault> {
        Err(AuthorityFault::NotConfigured)
    }
}
