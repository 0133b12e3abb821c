//! Resident codes of the city: bytes and text of each mode, issuing and verification.
//!
//! A code is `YK1:` followed by base45 (RFC 9285) of its bytes, all inside the alphanumeric set of a QR code. The
//! high half of the first byte is the format version, the low half the [`CodeMode`]. Each mode has one fixed
//! length, no optional part and no compression, which leaves a decoder nothing to misinterpret.
//!
//! | mode | bytes | type |
//! |---|---|---|
//! | 1 | 22 | [`OnlineToken`]: a random token that only the platform can judge |
//! | 2 | 180 | [`OfflineCode`]: signed by the issuer for a phone's key, and by that key for the current time step |
//! | 3 | 81 | [`PaperCode`]: signed by the issuer, printed on paper |
//! | 4 | 180 | [`AnswerCode`]: as mode 2, but signed for the challenge of one kiosk |
//!
//! Pure: no clock, no randomness, no I/O. A kiosk calls [`Code::parse`] on the decoded text and verifies the
//! result; the platform issues codes and consumes tokens. Not here: who the holder of a token or alias is, and
//! whether a code was used or revoked. The platform and the verifier keep that. `SECURITY.md` lists the threats,
//! the controls, and the tests of each control.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation))]

mod answer;
mod code;
mod envelope;
mod issuer;
mod offline;
mod online;
mod paper;
mod refusal;

pub use answer::AnswerCode;
pub use code::Code;
pub use envelope::CodeMode;
pub use issuer::{ALIAS_LEN, Alias, Capabilities, CodeIssuer, CodeIssuers, UnixSeconds};
pub use offline::{
    CERTIFICATE_LEN, LIFETIME_QUARTERS_MAX, OFFLINE_LEN, OfflineCode, SessionCertificate, SessionTerms,
    TIME_STEP_SECONDS, TimeWindow, VerifiedCode,
};
pub use online::{FormatKey, ONLINE_LEN, OnlineToken, TOKEN_LEN, parse_online};
pub use paper::{PAPER_LEN, PaperCode, PaperTerms};
pub use refusal::CodeRefusal;
pub use sm_crypto::{COMPRESSED_LEN, PublicKey, SIGNATURE_LEN, SecretKey, SignError, Signature};
