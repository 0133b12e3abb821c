//! 渝快码, the city's resident code: its bytes and its text.
//!
//! A code is `YK1:` followed by base45 (RFC 9285) of its bytes, all inside the alphanumeric set of a QR
//! code. The high half of the first byte is the format version, the low half the [`Mode`]; each mode has
//! one fixed length, no optional part and no compression, so a decoder has nothing to be led astray by.
//!
//! | mode | bytes | what it is |
//! |---|---|---|
//! | 1 | 22 | [`OnlineToken`]: a random token whose meaning lives at the platform |
//! | 2 | 180 | offline code, two SM2 signatures: reserved, refused as [`Refusal::Mode`] |
//! | 3 | 81 | paper code, one SM2 signature: reserved, refused as [`Refusal::Mode`] |
//!
//! Pure: no clock, no randomness, no I/O. The kiosk calls [`parse`] on what its camera decoded; the
//! platform issues tokens, checks and consumes them. Whose token it is, how long it lives and whether it
//! was used are the platform's business and not written here.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation))]

mod envelope;
mod online;
mod refusal;

pub use envelope::Mode;
pub use online::{FormatKey, ONLINE_LEN, OnlineToken, TOKEN_LEN, parse};
pub use refusal::Refusal;
