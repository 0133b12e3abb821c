//! Answer codes: prove that the phone of a certificate was present when a kiosk posed a challenge, not only a
//! picture of it.
//!
//! An answer code has the bytes of an offline code, with two differences: the first byte is `0x14` (`0x12` in the
//! certificate that the issuer signed), and the session key's signature covers bytes 0..116 *followed by the
//! challenge*. The challenge itself is not included: the kiosk that posed it knows it. An answer code is therefore
//! valid for one kiosk and one challenge only; an offline code is never an answer code, nor the reverse.

use sm_crypto::{SIGNATURE_LEN, SecretKey};

use crate::envelope::{self, CodeMode};
use crate::issuer::{CodeIssuers, UnixSeconds};
use crate::offline::{
    CERTIFICATE_LEN, OFFLINE_LEN, Presentation, SessionCertificate, TimeWindow, VerifiedCode,
};
use crate::refusal::CodeRefusal;

impl SessionCertificate {
    /// Signs an answer to a challenge. Called on the phone, which holds the session's secret key, after its owner
    /// agreed.
    ///
    /// `challenge`: the bytes that the contract between kiosk and platform defines as signed for a challenge.
    ///
    /// # Errors
    /// [`CodeRefusal::Early`] before the certificate begins, [`CodeRefusal::Expired`] after its end.
    pub fn answer(
        &self,
        session: &SecretKey,
        challenge: &[u8],
        now: UnixSeconds,
    ) -> Result<AnswerCode, CodeRefusal> {
        let mut bytes = self.to_bytes().to_vec();
        if let Some(first) = bytes.first_mut() {
            *first = CodeMode::Answer.first_byte();
        }
        bytes.extend(self.time_step(now)?.to_be_bytes());
        let signature = session.sign(&[bytes.as_slice(), challenge].concat());
        bytes.extend(signature.0);
        AnswerCode::from_slice(&bytes)
    }
}

/// Answer code (应答码): a phone's signature over one challenge. `Debug` is redacted.
#[derive(Clone, PartialEq, Eq)]
pub struct AnswerCode([u8; OFFLINE_LEN]);

impl AnswerCode {
    /// Parses the text of an answer code. Verifies nothing.
    ///
    /// # Errors
    /// The check that failed; [`CodeRefusal::Mode`] for a code of another mode.
    pub fn parse(text: &str) -> Result<Self, CodeRefusal> {
        match envelope::decode_text(text)? {
            (CodeMode::Answer, bytes) => Self::from_slice(&bytes),
            (mode @ (CodeMode::Online | CodeMode::Offline | CodeMode::Paper), _) => {
                Err(CodeRefusal::Mode(mode.number()))
            }
        }
    }

    pub(crate) fn from_slice(bytes: &[u8]) -> Result<Self, CodeRefusal> {
        let wrong = |_| CodeRefusal::Length { expected: OFFLINE_LEN, got: bytes.len() };
        bytes.try_into().map(Self).map_err(wrong)
    }

    /// The text for the QR code, 274 characters.
    #[must_use]
    pub fn to_text(&self) -> String {
        envelope::encode_text(&self.0)
    }

    /// The 180 bytes.
    #[must_use]
    pub const fn to_bytes(&self) -> [u8; OFFLINE_LEN] {
        self.0
    }

    /// Verifies that a phone with a certificate of this city answered this challenge within the time window.
    ///
    /// # Errors
    /// The check that failed; [`CodeRefusal::SessionSignature`] for an answer to another challenge.
    pub fn verify(
        &self,
        issuers: &CodeIssuers,
        challenge: &[u8],
        now: UnixSeconds,
        window: TimeWindow,
    ) -> Result<VerifiedCode, CodeRefusal> {
        let (body, signature) =
            self.0.split_last_chunk::<SIGNATURE_LEN>().expect("an answer ends with its signature");
        let (head, time_step) =
            body.split_first_chunk::<CERTIFICATE_LEN>().expect("an answer begins with its certificate");
        let time_step = u16::from_be_bytes(*time_step.first_chunk().expect("the time step follows"));
        let mut certificate = *head;
        let [first, ..] = &mut certificate;
        *first = CodeMode::Offline.first_byte();
        let signed = [body, challenge].concat();
        Presentation { certificate: &certificate, time_step, signed: &signed, signature }
            .verify(issuers, now, window)
    }
}

impl std::fmt::Debug for AnswerCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AnswerCode(…)")
    }
}
