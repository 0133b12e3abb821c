//! 渝快码, the city's resident code: its bytes and its text.
//!
//! A code is `YK1:` followed by base45 (RFC 9285) of its bytes, all inside the alphanumeric set of a QR
//! code. The high half of the first byte is the format version, the low half the [`Mode`]; each mode has
//! one fixed length, no optional part and no compression, so a decoder has nothing to be led astray by.
//!
//! | mode | bytes | what it is |
//! |---|---|---|
//! | 1 | 22 | [`OnlineToken`]: a random token whose meaning lives at the platform |
//! | 2 | 180 | [`OfflineCode`]: signed by the issuer for a phone's key, and by that key for this moment |
//! | 3 | 81 | [`PaperCode`]: signed by the issuer, printed |
//! | 4 | 180 | [`AnswerCode`]: as 2, but signed for the challenge that one kiosk posed |
//!
//! Pure: no clock, no randomness, no I/O. A kiosk calls [`Code::parse`] on what its camera decoded and verifies
//! what came out; the platform issues, and consumes tokens. Whose token or alias it is, and whether a code was used
//! or revoked, is the platform's and the verifier's business and not written here.
//! `SECURITY.md` says what can be done against a code and which test shows that it does not help.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation))]

mod answer;
mod code;
mod envelope;
mod issuer;
mod offline;
mod online;
mod paper;
mod refusal;
mod signature;

pub use answer::AnswerCode;
pub use code::Code;
pub use envelope::Mode;
pub use issuer::{ALIAS_LEN, Alias, Capabilities, Issuer, Issuers, UnixSeconds};
pub use offline::{
    CERTIFICATE_LEN, LIFETIME_MAX, OFFLINE_LEN, OfflineCode, Presented, SLOT_SECONDS, SessionCertificate,
    SessionTerms, Window,
};
pub use online::{FormatKey, ONLINE_LEN, OnlineToken, TOKEN_LEN, parse};
pub use paper::{PAPER_LEN, PaperCode, PaperTerms};
pub use refusal::Refusal;
pub use signature::{KeyError, PUBLIC_KEY_LEN, PublicKey, SIGNATURE_LEN, SigningKey};
