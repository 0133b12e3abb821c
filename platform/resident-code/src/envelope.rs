//! The envelope of every code: the text form, and the first byte with version and mode.

use crate::refusal::CodeRefusal;

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
pub enum CodeMode {
    /// Online token, which only the platform can judge.
    Online,
    /// Offline code: signed by the phone, verified without a link.
    Offline,
    /// Paper code: printed, for people without a phone.
    Paper,
    /// Answer code: a phone's answer to a challenge.
    Answer,
}

impl CodeMode {
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
    pub const fn from_first_byte(first_byte: u8) -> Result<Self, CodeRefusal> {
        if first_byte >> 4 != VERSION {
            return Err(CodeRefusal::Version(first_byte >> 4));
        }
        match first_byte & 0x0f {
            1 => Ok(Self::Online),
            2 => Ok(Self::Offline),
            3 => Ok(Self::Paper),
            4 => Ok(Self::Answer),
            other => Err(CodeRefusal::Mode(other)),
        }
    }
}

/// Encodes the bytes of a code as text.
pub(crate) fn encode_text(bytes: &[u8]) -> String {
    format!("{PREFIX}{}", base45::encode(bytes))
}

/// Decodes a text into mode and bytes, and checks the length for the mode.
///
/// White space around the text is ignored: scanners end lines with it, and base45 of whole bytes never begins or
/// ends with a space.
pub(crate) fn decode_text(text: &str) -> Result<(CodeMode, Vec<u8>), CodeRefusal> {
    let text = text.trim();
    let Some(body) = text.strip_prefix(PREFIX) else {
        return Err(classify_foreign(text));
    };
    if body.len() > BYTES_MAX / 2 * 3 {
        return Err(CodeRefusal::Encoding);
    }
    let bytes = base45::decode(body).map_err(|_| CodeRefusal::Encoding)?;
    if base45::encode(&bytes) != body {
        return Err(CodeRefusal::Encoding);
    }
    Ok((complete_mode(&bytes)?, bytes))
}

/// The mode of these bytes, if their length matches it.
pub(crate) fn complete_mode(bytes: &[u8]) -> Result<CodeMode, CodeRefusal> {
    let first = bytes.first().ok_or(CodeRefusal::Length { expected: crate::online::ONLINE_LEN, got: 0 })?;
    let mode = CodeMode::from_first_byte(*first)?;
    if bytes.len() == mode.length() {
        Ok(mode)
    } else {
        Err(CodeRefusal::Length { expected: mode.length(), got: bytes.len() })
    }
}

/// Classifies a text without this city's prefix.
fn classify_foreign(text: &str) -> CodeRefusal {
    match text.as_bytes() {
        [a, b, digit @ b'0'..=b'9', b':', ..] if a.is_ascii_uppercase() && b.is_ascii_uppercase() => {
            if [*a, *b] == *CITY { CodeRefusal::Version(digit - b'0') } else { CodeRefusal::OtherCity }
        }
        _ => CodeRefusal::NotACode,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn foreign_texts_are_refused_by_kind() {
        for (text, refusal) in [
            ("", CodeRefusal::NotACode),
            ("https://example.com/pay?id=1", CodeRefusal::NotACode),
            ("weixin://wxpay/bizpayurl", CodeRefusal::NotACode),
            ("500101199003074518", CodeRefusal::NotACode),
            ("yk1:ABC", CodeRefusal::NotACode),
            ("YK:ABC", CodeRefusal::NotACode),
            ("HC1:NCFOXN", CodeRefusal::OtherCity),
            ("CD1:ABC", CodeRefusal::OtherCity),
            ("YK2:ABC", CodeRefusal::Version(2)),
            ("YK1:", CodeRefusal::Length { expected: 22, got: 0 }),
            ("YK1:abc", CodeRefusal::Encoding),
            ("YK1::::", CodeRefusal::Encoding),
            ("YK1:渝快码", CodeRefusal::Encoding),
        ] {
            assert_eq!(decode_text(text), Err(refusal), "{text}");
        }
    }

    #[test]
    fn overlong_text_is_not_decoded() {
        let long = format!("YK1:{}", "0".repeat(100_000));
        assert_eq!(decode_text(&long), Err(CodeRefusal::Encoding));
    }

    #[test]
    fn every_mode_has_one_first_byte_and_one_length() {
        for (mode, first, length) in [
            (CodeMode::Online, 0x11, 22),
            (CodeMode::Offline, 0x12, 180),
            (CodeMode::Paper, 0x13, 81),
            (CodeMode::Answer, 0x14, 180),
        ] {
            assert_eq!((mode.first_byte(), mode.length()), (first, length));
            let mut bytes = vec![0xff; length];
            bytes[0] = first;
            assert_eq!(decode_text(&encode_text(&bytes)), Ok((mode, bytes)));
        }
        assert_eq!(CodeMode::from_first_byte(0x1f), Err(CodeRefusal::Mode(15)));
        assert_eq!(CodeMode::from_first_byte(0x21), Err(CodeRefusal::Version(2)));
    }

    proptest! {
        #[test]
        fn encoded_text_never_begins_or_ends_with_white_space(
            bytes in proptest::collection::vec(any::<u8>(), 1..200),
        ) {
            let text = encode_text(&bytes);
            prop_assert_eq!(text.trim(), &text);
        }

        #[test]
        fn arbitrary_text_never_panics(text in "\\PC{0,80}", tail in "[0-9A-Z $%*+./:-]{0,60}") {
            let _ = decode_text(&text);
            let _ = decode_text(&format!("YK1:{tail}"));
        }
    }
}
