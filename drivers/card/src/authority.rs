//! Who vouches for a third-generation card, and what they are asked.
//!
//! Such a card proves itself by INTERNAL AUTHENTICATE, and wants the same of whoever reads its holder
//! (EXTERNAL AUTHENTICATE, key 0A). The keys for both lie in a PSAM or in the city's HSM, never in a kiosk: this
//! crate only carries what is asked and what is answered, as `iReadCardBas_HSM_Step1` and `_Step2` do.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::holder::{Algorithm, SpecVersion};

/// What an authority needs to compute a card's answers. No `Debug`: it names a card.
#[derive(Clone, Serialize, Deserialize)]
pub struct AuthRequest {
    /// 发卡地区行政区划代码: the first six digits of 卡识别码. Says whose keys they are.
    pub area: String,
    /// 卡识别码, 32 hexadecimal digits: the card's keys are made from the city's by it.
    pub identification: Zeroizing<String>,
    /// 规范版本.
    pub version: SpecVersion,
    /// 算法标识.
    pub algorithm: Algorithm,
    /// 卡复位信息: the historical bytes of the answer to reset, at most 15.
    pub atr_history: Vec<u8>,
    /// The card's random number (GET CHALLENGE): the external cryptogram is made over it, so no answer serves twice.
    pub challenge: [u8; 8],
    /// This terminal's random numbers: the card has to answer them, so a recorded answer is none.
    pub nonces: Nonces,
}

/// The terminal's random numbers for one authentication. Fresh each time.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Nonces {
    /// 内部认证过程因子.
    pub internal_factor: [u8; 8],
    /// 内部认证鉴别所需的原始信息.
    pub internal_source: [u8; 8],
    /// 外部认证过程因子.
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

/// What an authority computes. No `Debug`: whoever has it passes for the authority once. Wiped on drop.
#[derive(Clone, Serialize, Deserialize)]
pub struct AuthAnswer {
    /// What the card has to answer to INTERNAL AUTHENTICATE.
    pub internal: Zeroizing<[u8; 8]>,
    /// The data of EXTERNAL AUTHENTICATE: cryptogram over the card's challenge, and 外部认证过程因子.
    pub external: Zeroizing<[u8; 16]>,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityFault {
    /// The PSAM is not in its slot or does not answer.
    #[error("the PSAM does not answer: check that it is in its slot and its reader's name in the site file")]
    Absent,
    /// The PSAM has no such application or key: it is another system's, or another city's.
    #[error("the PSAM refuses to compute: is it the social security system's, and not locked?")]
    Refused,
    /// Nobody vouches for this card here.
    #[error("no authority vouches for cards at this kiosk")]
    None,
}

/// Somebody with the keys to third-generation cards.
pub trait CardAuthority {
    /// Computes what the card has to answer, and what opens it.
    ///
    /// # Errors
    /// When it cannot: the card is then read in part only.
    fn authenticate(&mut self, request: &AuthRequest) -> Result<AuthAnswer, AuthorityFault>;
}

/// No authority: a third-generation card is read in part.
pub struct NoAuthority;

impl CardAuthority for NoAuthority {
    fn authenticate(&mut self, _: &AuthRequest) -> Result<AuthAnswer, AuthorityFault> {
        Err(AuthorityFault::None)
    }
}
