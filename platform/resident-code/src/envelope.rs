//! The envelope of every code: the text form, and the first byte with version and mode.

use crate::refusal::Refusal;

/// The city's letters and the version of the text form. Another city has other letters. Each city is a separate
/// namespace for the ids of issuers and format keys.
const PREFIX: &str = "YK1:";
/// The city's letters.
const CITY: &[u8; 2] = b"YK";
/// Bytes of the longest code of any mode; nothing longer is decoded.
const BYTES_MAX: usize = crate::offline::OFFLINE_LEN;
/// Format version in the high half of the first byte.
const VERSION: u8 = 1;

/// The mode of a code: the low half of the first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Online token, which only the platform can judge.
    Online,
    /// Offline code: signed by the phone, verified without a link.
    Offline,
    /// Paper code: printed, for people without a phone.
    Paper,
    /// Answer code: a phone's answer to a challenge.
    Answer,
}

impl Mode {
    /// The first byte of a code of this mode in this format version.
    #[must_use]
    pub const fn first_byte(self) -> u8 {
        VERSION << 4 | self.number()
    }

    /// The number of the mode: the low half of the first byte.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Online => 1,
            Self::Offline => 2,
            Self::Paper => 3,
            Self::Answer => 4,
        }
    }

    /// Length of a code of this mode, in bytes.
    #[must_use]
    pub const fn length(self) -> usize {
        match self {
            Self::Online => crate::online::ONLINE_LEN,
            Self::Offline | Self::Answer => crate::offline::OFFLINE_LEN,
            Self::Paper => crate::paper::PAPER_LEN,
        }
    }

    /// Decodes the first byte of a code.
    ///
    /// # Errors
    /// [`CodeRefusal::Version`] for another format version, [`CodeRefusal::Mode`] for an unknown mode.
    pub const fn of(first_byte: u8) -> Result<Self, Refusal> {
        if first_byte >> 4 != VERSION {
            return Err(Refusal::Version(first_byte >> 4));
        }
        match first_byte & 0x0f {
            1 => Ok(Self::Online),
            2 => Ok(Self::Offline),
            3 => Ok(Self::Paper),
            4 => Ok(Self::Answer),
            other => Err(Refusal::Mode(other)),
        }
    }
}

/// Encodes the bytes of a code as text.
pub(crate) fn wrap(bytes: &[u8]) -> String {
    format!("{PREFIX}{}", base45::encode(bytes))
}

/// Decodes a text into mode and bytes, and checks the length for the mode.
///
/// White space around the text is ignored: scanners end lines with it, and base45 of whole bytes never begins or
/// ends with a space.
pub(crate) fn unwrap(text: &str) -> Result<(Mode, Vec<u8>), Refusal> {
    let text = text.trim();
    let Some(body) = text.strip_prefix(PREFIX) else {
        return Err(foreign(text));
    };
    if body.len() > BYTES_MAX / 2 * 3 {
        return Err(Refusal::Encoding);
    }
    let bytes = base45::decode(body).map_err(|_| Refusal::Encoding)?;
    if base45::encode(&bytes) != body {
        return Err(Refusal::Encoding);
    }
    Ok((whole(&bytes)?, bytes))
}

/// The mode of these bytes, if their length matches it.
pub(crate) fn whole(bytes: &[u8]) -> Result<Mode, Refusal> {
    let first = bytes.first().ok_or(Refusal::Length { expected: crate::online::ONLINE_LEN, got: 0 })?;
    let mode = Mode::of(*first)?;
    if bytes.len() == mode.length() {
        Ok(mode)
    } else {
        Err(Refusal::Length { expected: mode.length(), got: bytes.len() })
    }
}

/// Classifies a text without this city's prefix.
fn foreign(text: &str) -> Refusal {
    match text.as_bytes() {
        [a, b, digit @ b'0'..=b'9', b':', ..] if a.is_ascii_uppercase() && b.is_ascii_uppercase() => {
            if [*a, *b] == *CITY { Refusal::Version(digit - b'0') } else { Refusal::OtherCity }
        }
        _ => Refusal::NotACode,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn foreign_texts_are_refused_by_kind() {
        for (text, refusal) in [
            ("", Refusal::NotACode),
            ("https://example.com/pay?id=1", Refusal::NotACode),
            ("weixin://wxpay/bizpayurl", Refusal::NotACode),
            ("500101199003074518", Refusal::NotACode),
            ("yk1:ABC", Refusal::NotACode),
            ("YK:ABC", Refusal::NotACode),
            ("HC1:NCFOXN", Refusal::OtherCity),
            ("CD1:ABC", Refusal::OtherCity),
            ("YK2:ABC", Refusal::Version(2)),
            ("YK1:", Refusal::Length { expected: 22, got: 0 }),
            ("YK1:abc", Refusal::Encoding),
            ("YK1::::", Refusal::Encoding),
            ("YK1:渝快码", Refusal::Encoding),
        ] {
            assert_eq!(unwrap(text), Err(refusal), "{text}");
        }
    }

    #[test]
    fn overlong_text_is_not_decoded() {
        let long = format!("YK1:{}", "0".repeat(100_000));
        assert_eq!(unwrap(&long), Err(Refusal::Encoding));
    }

    #[test]
    fn every_mode_has_one_first_byte_and_one_length() {
        for (mode, first, length) in [
            (Mode::Online, 0x11, 22),
            (Mode::Offline, 0x12, 180),
            (Mode::Paper, 0x13, 81),
            (Mode::Answer, 0x14, 180),
        ] {
            assert_eq!((mode.first_byte(), mode.length()), (first, length));
            let mut bytes = vec![0xff; length];
            bytes[0] = first;
            assert_eq!(unwrap(&wrap(&bytes)), Ok((mode, bytes)));
        }
        assert_eq!(Mode::of(0x1f), Err(Refusal::Mode(15)));
        assert_eq!(Mode::of(0x21), Err(Refusal::Version(2)));
    }

    proptest! {
        #[test]
        fn encoded_text_never_begins_or_ends_with_white_space(
            bytes in proptest::collection::vec(any::<u8>(), 1..200),
        ) {
            let text = wrap(&bytes);
            prop_assert_eq!(text.trim(), &text);
        }

        #[test]
        fn arbitrary_text_never_panics(text in "\\PC{0,80}", tail in "[0-9A-Z $%*+./:-]{0,60}") {
            let _ = unwrap(&text);
            let _ = unwrap(&format!("YK1:{tail}"));
        }
    }
}
