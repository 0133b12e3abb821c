//! The answer: proves that the phone of a certificate was there when a kiosk asked, and not only its picture.
//!
//! It has the bytes of an offline code, with two differences: the first byte is `0x14` (in the certificate that the
//! issuer signed it is `0x12`), and the session key's signature covers bytes 0..116 *and the challenge behind them*.
//! The challenge itself is not in it: whoever posed it knows it. So an answer is good for one kiosk and one
//! moment, an offline code is never an answer, and an answer never a code.

use crate::envelope::{self, Mode};
use crate::issuer::{Issuers, UnixSeconds};
use crate::offline::{CERTIFICATE_LEN, OFFLINE_LEN, Presented, SessionCertificate, Shown, Window};
use crate::refusal::Refusal;
use crate::signature::{SIGNATURE_LEN, SigningKey};

impl SessionCertificate {
    /// Answers a challenge, by the phone that holds the session's secret key and whose owner agreed.
    ///
    /// `challenge` is what the contract between kiosk and platform says is signed for one.
    ///
    /// # Errors
    /// [`Refusal::Early`] before the certificate begins, [`Refusal::Expired`] after its end.
    pub fn answer(
        &self,
        session: &SigningKey,
        challenge: &[u8],
        now: UnixSeconds,
    ) -> Result<AnswerCode, Refusal> {
        let mut bytes = self.to_bytes().to_vec();
        if let Some(first) = bytes.first_mut() {
            *first = Mode::Answer.first_byte();
        }
        bytes.extend(self.slot(now)?.to_be_bytes());
        let signature = session.sign(&[bytes.as_slice(), challenge].concat());
        bytes.extend(signature);
        AnswerCode::from_slice(&bytes)
    }
}

/// 应答码: a phone's answer to one challenge. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct AnswerCode([u8; OFFLINE_LEN]);

impl AnswerCode {
    /// Reads the text of an answer. Nothing is verified yet.
    ///
    /// # Errors
    /// The check that failed; [`Refusal::Mode`] for a code of another mode.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        match envelope::unwrap(text)? {
            (Mode::Answer, bytes) => Self::from_slice(&bytes),
            (mode @ (Mode::Online | Mode::Offline | Mode::Paper), _) => Err(Refusal::Mode(mode.number())),
        }
    }

    pub(crate) fn from_slice(bytes: &[u8]) -> Result<Self, Refusal> {
        let wrong = |_| Refusal::Length { expected: OFFLINE_LEN, got: bytes.len() };
        bytes.try_into().map(Self).map_err(wrong)
    }

    /// The text that a QR code carries, 274 characters.
    #[must_use]
    pub fn to_text(&self) -> String {
        envelope::wrap(&self.0)
    }

    /// The 180 bytes.
    #[must_use]
    pub const fn to_bytes(&self) -> [u8; OFFLINE_LEN] {
        self.0
    }

    /// Whether the phone of a certificate of this city answered this challenge, within the window.
    ///
    /// # Errors
    /// The check that failed; [`Refusal::SessionSignature`] for an answer to another challenge.
    pub fn verify(
        &self,
        issuers: &Issuers,
        challenge: &[u8],
        now: UnixSeconds,
        window: Window,
    ) -> Result<Presented, Refusal> {
        let (body, signature) =
            self.0.split_last_chunk::<SIGNATURE_LEN>().expect("an answer ends with its signature");
        let (head, slot) =
            body.split_first_chunk::<CERTIFICATE_LEN>().expect("an answer begins with its certificate");
        let slot = u16::from_be_bytes(*slot.first_chunk().expect("the slot follows"));
        let mut certificate = *head;
        let [first, ..] = &mut certificate;
        *first = Mode::Offline.first_byte();
        let signed = [body, challenge].concat();
        Shown { certificate: &certificate, slot, signed: &signed, signature }.verify(issuers, now, window)
    }
}

impl std::fmt::Debug for AnswerCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AnswerCode(…)")
    }
}
