//! Online tokens: 22 bytes that only the platform can judge.
//!
//! | at | bytes | field |
//! |---|---|---|
//! | 0 | 1 | version and mode, `0x11` |
//! | 1 | 1 | id of the format key |
//! | 2 | 16 | the token, random |
//! | 18 | 4 | check bytes: the first 4 bytes of HMAC-SM3 (GB/T 15852.2, GB/T 32905) over bytes 0..18 |
//!
//! The check bytes detect read errors and trivial forgeries before the platform looks a token up. They do *not*
//! make a token trustworthy: a token is valid if the platform issued it, less than a minute ago, and nobody has
//! used it.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sm3::Sm3;
use zeroize::Zeroizing;

use crate::envelope::{self, CodeMode};
use crate::refusal::CodeRefusal;

/// Length of an online token, in bytes.
pub const ONLINE_LEN: usize = 22;
/// Length of the random part, in bytes.
pub const TOKEN_LEN: usize = 16;
const CHECK_LEN: usize = 4;
const CHECKED_LEN: usize = ONLINE_LEN - CHECK_LEN;

/// A key for the check bytes of online tokens, and its id in codes. No `Debug`; wiped on drop.
#[derive(Clone)]
pub struct FormatKey {
    id: u8,
    key: Zeroizing<[u8; 32]>,
}

impl FormatKey {
    /// Creates a key. Two keys of a city never share an id while unexpired codes of either exist.
    #[must_use]
    pub fn new(id: u8, key: [u8; 32]) -> Self {
        Self { id, key: Zeroizing::new(key) }
    }

    fn mac(&self, checked: &[u8; CHECKED_LEN]) -> Hmac<Sm3> {
        let mut mac =
            Hmac::<Sm3>::new_from_slice(self.key.as_slice()).expect("HMAC takes keys of every length");
        mac.update(checked);
        mac
    }
}

/// Online token (在线码), as issued or as read. `Debug` is redacted: a valid token starts a visit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct OnlineToken([u8; ONLINE_LEN]);

impl OnlineToken {
    /// Issues a token under a format key (制码). `token` must be fresh random bytes.
    #[must_use]
    pub fn issue(token: [u8; TOKEN_LEN], key: &FormatKey) -> Self {
        let mut checked = [0; CHECKED_LEN];
        let head = [CodeMode::Online.first_byte(), key.id];
        for (to, from) in checked.iter_mut().zip(head.into_iter().chain(token)) {
            *to = from;
        }
        let mut bytes = [0; ONLINE_LEN];
        let check = key.mac(&checked).finalize().into_bytes();
        for (to, from) in bytes.iter_mut().zip(checked.into_iter().chain(check)) {
            *to = from;
        }
        Self(bytes)
    }

    pub(crate) fn from_slice(bytes: &[u8]) -> Result<Self, CodeRefusal> {
        let wrong = |_| CodeRefusal::Length { expected: ONLINE_LEN, got: bytes.len() };
        bytes.try_into().map(Self).map_err(wrong)
    }

    /// The 22 bytes.
    #[must_use]
    pub const fn to_bytes(&self) -> [u8; ONLINE_LEN] {
        self.0
    }

    /// The text for the QR code, 37 characters.
    #[must_use]
    pub fn to_text(&self) -> String {
        envelope::encode_text(&self.0)
    }

    /// Id of the format key of the check bytes.
    #[must_use]
    pub const fn key_id(&self) -> u8 {
        let [_, id, ..] = self.0;
        id
    }

    /// The random token, by which the platform identifies it.
    #[must_use]
    pub fn token(&self) -> [u8; TOKEN_LEN] {
        let mut token = [0; TOKEN_LEN];
        for (to, from) in token.iter_mut().zip(self.0.iter().skip(2)) {
            *to = *from;
        }
        token
    }

    /// Verifies the check bytes in constant time.
    ///
    /// # Errors
    /// [`CodeRefusal::Key`] for another key id, [`CodeRefusal::Check`] if the check bytes do not match.
    pub fn check(&self, key: &FormatKey) -> Result<(), CodeRefusal> {
        if self.key_id() != key.id {
            return Err(CodeRefusal::Key(self.key_id()));
        }
        let (checked, check) = self
            .0
            .split_first_chunk::<CHECKED_LEN>()
            .expect("an online token is longer than what is checked");
        key.mac(checked).verify_truncated_left(check).map_err(|_| CodeRefusal::Check)
    }
}

impl fmt::Debug for OnlineToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnlineToken(…)")
    }
}

/// Parses the text of an online token. The holder of the format key verifies the check bytes with
/// [`OnlineToken::check`].
///
/// # Errors
/// The check that failed; [`CodeRefusal::Mode`] for a code of another mode.
pub fn parse_online(text: &str) -> Result<OnlineToken, CodeRefusal> {
    let (mode, bytes) = envelope::decode_text(text)?;
    match mode {
        CodeMode::Online => {}
        CodeMode::Offline | CodeMode::Paper | CodeMode::Answer => {
            return Err(CodeRefusal::Mode(mode.number()));
        }
    }
    OnlineToken::from_slice(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> FormatKey {
        FormatKey::new(7, [0x5a; 32])
    }

    fn token() -> OnlineToken {
        OnlineToken::issue(*b"0123456789abcdef", &key())
    }

    fn accept(text: &str) -> Result<OnlineToken, CodeRefusal> {
        let token = parse_online(text)?;
        token.check(&key()).map(|()| token)
    }

    /// Version 1 of the format. The check bytes were computed by
    /// `openssl dgst -sm3 -mac HMAC -macopt hexkey:5a…5a`, not by this crate. If this fails, do not change
    /// the test: the format changed.
    #[test]
    fn online_token_version_1_bytes_are_unchanged() {
        assert_eq!(sm_crypto::to_hex(&token().to_bytes()), "110730313233343536373839616263646566b764ffda");
        assert_eq!(token().to_text(), "YK1:*62746QF60R6J%6%470ECJPC% CD8NNFW");
    }

    #[test]
    fn issued_online_token_round_trips() {
        let text = token().to_text();
        assert_eq!(text.len(), 37);
        let read = accept(&text).unwrap();
        assert_eq!((read.token(), read.key_id()), (*b"0123456789abcdef", 7));
        assert_eq!(accept(&format!(" {text}\r\n")), Ok(read));
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        for bit in 0..ONLINE_LEN * 8 {
            let mut bytes = token().to_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let refusal = accept(&envelope::encode_text(&bytes)).unwrap_err();
            let fits = match bit / 8 {
                0 => !matches!(refusal, CodeRefusal::Key(_) | CodeRefusal::Check),
                1 => matches!(refusal, CodeRefusal::Key(_)),
                _ => refusal == CodeRefusal::Check,
            };
            assert!(fits, "bit {bit}: {refusal:?}");
        }
    }

    #[test]
    fn every_truncation_and_appended_byte_is_refused() {
        let bytes = token().to_bytes();
        for len in 0..ONLINE_LEN {
            let cut = envelope::encode_text(&bytes[..len]);
            assert_eq!(parse_online(&cut), Err(CodeRefusal::Length { expected: ONLINE_LEN, got: len }));
        }
        let padded = envelope::encode_text(&[bytes.as_slice(), &[0]].concat());
        assert_eq!(parse_online(&padded), Err(CodeRefusal::Length { expected: ONLINE_LEN, got: 23 }));
        let text = token().to_text();
        for len in 0..text.len() {
            assert!(parse_online(&text[..len]).is_err(), "{len}");
        }
    }

    #[test]
    fn online_token_of_other_key_with_same_id_is_refused() {
        let forged = OnlineToken::issue(*b"0123456789abcdef", &FormatKey::new(7, [0x5b; 32]));
        assert_eq!(accept(&forged.to_text()), Err(CodeRefusal::Check));
    }

    #[test]
    fn codes_of_other_modes_are_refused_by_mode() {
        for (mode, number) in [(CodeMode::Offline, 2), (CodeMode::Paper, 3), (CodeMode::Answer, 4)] {
            let mut bytes = vec![0; mode.length()];
            bytes[0] = mode.first_byte();
            assert_eq!(parse_online(&envelope::encode_text(&bytes)), Err(CodeRefusal::Mode(number)));
        }
    }

    #[test]
    fn online_token_debug_is_redacted() {
        assert_eq!(format!("{:?}", token()), "OnlineToken(…)");
    }

    proptest! {
        #[test]
        fn tokens_round_trip_and_changed_text_is_refused(
            random: [u8; 16], at in 0usize..37, with in "[0-9A-Z $%*+./:-]",
        ) {
            let issued = OnlineToken::issue(random, &key());
            let text = issued.to_text();
            prop_assert_eq!(accept(&text), Ok(issued));
            let mut other = text.clone();
            other.replace_range(at..=at, &with);
            prop_assume!(other != text);
            prop_assert!(accept(&other).is_err());
        }
    }
}
