//! Paper codes, for people without a phone. A paper code proves its issuer, but nothing about the person who shows
//! it.
//!
//! | at | bytes | field |
//! |---|---|---|
//! | 0 | 1 | version and mode, `0x13` |
//! | 1 | 1 | id of the issuer's key |
//! | 2 | 2 | capabilities |
//! | 4 | 8 | alias |
//! | 12 | 4 | issued at, Unix seconds |
//! | 16 | 1 | lifetime in days, from 1 |
//! | 17 | 64 | the issuer's signature over bytes 0..17 |
//!
//! Numbers are big endian. A paper code can be copied: it gives the lowest level only, and a verifier must check
//! that its alias is not revoked. A higher level requires the PIN of the code at the platform.

use sm_crypto::{SIGNATURE_LEN, Signature};

use crate::envelope::{self, CodeMode};
use crate::issuer::{ALIAS_LEN, Alias, Capabilities, CodeIssuer, CodeIssuers, UnixSeconds};
use crate::refusal::CodeRefusal;

/// Length of a paper code, in bytes.
pub const PAPER_LEN: usize = 81;
/// Length of the part that the issuer signs, in bytes.
const ISSUER_SIGNED_LEN: usize = PAPER_LEN - SIGNATURE_LEN;
/// A day in seconds.
const DAY_SECONDS: u32 = 24 * 60 * 60;

/// The fields of a paper code that its issuer sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaperTerms {
    /// What the code may be used for.
    pub capabilities: Capabilities,
    /// Pseudonym of the holder.
    pub alias: Alias,
    /// When the code begins, in Unix seconds.
    pub issued_at: UnixSeconds,
    /// Lifetime in days, at least 1.
    pub lifetime_days: u8,
}

/// Paper code (纸质码), as printed or as read. `Debug` is redacted.
#[derive(Clone, PartialEq, Eq)]
pub struct PaperCode([u8; PAPER_LEN]);

impl PaperCode {
    /// Issues a paper code (制码).
    ///
    /// # Errors
    /// [`CodeRefusal::Lifetime`] if the lifetime is 0.
    pub fn issue(terms: &PaperTerms, issuer: &CodeIssuer) -> Result<Self, CodeRefusal> {
        if terms.lifetime_days == 0 {
            return Err(CodeRefusal::Lifetime(0));
        }
        let mut bytes = Vec::with_capacity(PAPER_LEN);
        bytes.extend([CodeMode::Paper.first_byte(), issuer.id]);
        bytes.extend(terms.capabilities.0.to_be_bytes());
        bytes.extend(terms.alias.0);
        bytes.extend(terms.issued_at.to_be_bytes());
        bytes.push(terms.lifetime_days);
        bytes.extend(issuer.key.sign(&bytes).0);
        Self::from_slice(&bytes)
    }

    /// Parses the text of a paper code. Verifies nothing.
    ///
    /// # Errors
    /// The check that failed; [`CodeRefusal::Mode`] for a code of another mode.
    pub fn parse(text: &str) -> Result<Self, CodeRefusal> {
        match envelope::decode_text(text)? {
            (CodeMode::Paper, bytes) => Self::from_slice(&bytes),
            (mode @ (CodeMode::Online | CodeMode::Offline | CodeMode::Answer), _) => {
                Err(CodeRefusal::Mode(mode.number()))
            }
        }
    }

    pub(crate) fn from_slice(bytes: &[u8]) -> Result<Self, CodeRefusal> {
        let wrong = |_| CodeRefusal::Length { expected: PAPER_LEN, got: bytes.len() };
        bytes.try_into().map(Self).map_err(wrong)
    }

    /// The text for the QR code, 126 characters.
    #[must_use]
    pub fn to_text(&self) -> String {
        envelope::encode_text(&self.0)
    }

    /// The 81 bytes.
    #[must_use]
    pub const fn to_bytes(&self) -> [u8; PAPER_LEN] {
        self.0
    }

    /// Verifies that the city issued the code and that it is within its lifetime (验码). Clocks may differ by
    /// `skew` seconds.
    ///
    /// # Errors
    /// The check that failed.
    pub fn verify(
        &self,
        issuers: &CodeIssuers,
        now: UnixSeconds,
        skew: u32,
    ) -> Result<PaperTerms, CodeRefusal> {
        let [_, issuer_id, c0, c1, rest @ ..] = self.0;
        let issuer = issuers.get(issuer_id).ok_or(CodeRefusal::Key(issuer_id))?;
        let (alias, rest) = rest.split_first_chunk::<ALIAS_LEN>().expect("the alias follows");
        let (issued_at, rest) = rest.split_first_chunk::<4>().expect("the time follows");
        let days = rest.first().copied().expect("the lifetime follows");
        let issued_at = u32::from_be_bytes(*issued_at);
        if days == 0 {
            return Err(CodeRefusal::Lifetime(0));
        }
        if issued_at > now.saturating_add(skew) {
            return Err(CodeRefusal::Early);
        }
        if now.saturating_sub(issued_at) >= (u32::from(days) * DAY_SECONDS).saturating_add(skew) {
            return Err(CodeRefusal::Expired);
        }
        let (issued, signature) =
            self.0.split_last_chunk::<SIGNATURE_LEN>().expect("a code ends with its signature");
        debug_assert_eq!(issued.len(), ISSUER_SIGNED_LEN);
        if issuer.verify(issued, &Signature(*signature)).is_err() {
            return Err(CodeRefusal::IssuerSignature);
        }
        let capabilities = Capabilities(u16::from_be_bytes([c0, c1]));
        Ok(PaperTerms { capabilities, alias: Alias(*alias), issued_at, lifetime_days: days })
    }
}

impl std::fmt::Debug for PaperCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PaperCode(…)")
    }
}
