//! What a resident can be asked to scan: the code on a paper.

use serde::{Deserialize, Serialize};

use crate::ask::{AskedAnswer, DIGITS_MAX};

/// Longest text of a code on a paper, in characters, without its prefix: the longest input that the platform accepts.
pub(crate) const SCANNED_TEXT_MAX: u8 = 200;
/// Longest prefix, in characters.
pub(crate) const PREFIX_MAX: usize = 64;

/// The form of the code on a paper (单据码), without its prefix. A code that is not of this form is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum ScannedCode {
    /// A number of this many digits.
    Digits {
        /// Fewest digits.
        min: u8,
        /// Most digits.
        max: u8,
    },
    /// Any text without control characters.
    Text {
        /// Most characters.
        max: u8,
    },
}

impl ScannedCode {
    /// The question with the same answers, for a resident who types what is printed below the code; none when it cannot be typed.
    #[must_use]
    pub const fn as_question(&self) -> Option<AskedAnswer> {
        match self {
            Self::Digits { min, max } => Some(AskedAnswer::Digits { min: *min, max: *max }),
            Self::Text { .. } => None,
        }
    }

    /// Whether this text, without the prefix, has the form.
    #[must_use]
    pub fn accepts(&self, text: &str) -> bool {
        match self {
            Self::Digits { min, max } => {
                (usize::from(*min)..=usize::from(*max)).contains(&text.len())
                    && text.bytes().all(|byte| byte.is_ascii_digit())
            }
            Self::Text { max } => {
                (1..=usize::from(*max)).contains(&text.chars().count()) && !text.chars().any(char::is_control)
            }
        }
    }

    pub(crate) fn is_possible(&self) -> bool {
        match self {
            Self::Digits { min, max } => *min >= 1 && min <= max && *max <= DIGITS_MAX,
            Self::Text { max } => (1..=SCANNED_TEXT_MAX).contains(max),
        }
    }
}

/// Whether codes can begin with this. Two letters, a digit and a colon begin a resident code, which a scan step refuses.
pub(crate) fn is_prefix(prefix: &str) -> bool {
    let is_resident_code = matches!(
        prefix.as_bytes(),
        [first, second, digit, b':', ..]
            if first.is_ascii_uppercase() && second.is_ascii_uppercase() && digit.is_ascii_digit()
    );
    (1..=PREFIX_MAX).contains(&prefix.chars().count())
        && !prefix.chars().any(char::is_control)
        && !prefix.starts_with(char::is_whitespace)
        && !is_resident_code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_accepted_only_in_its_form() {
        let digits = ScannedCode::Digits { min: 8, max: 10 };
        let text = ScannedCode::Text { max: 4 };
        for (form, code, is_accepted) in [
            (&digits, "12345678", true),
            (&digits, "1234567890", true),
            (&digits, "1234567", false),
            (&digits, "12345678901", false),
            (&digits, "1234 5678", false),
            (&digits, "１２３４５６７８", false),
            (&text, "单据码A", true),
            (&text, "", false),
            (&text, "ABCDE", false),
            (&text, "A\u{7}B", false),
        ] {
            assert_eq!(form.accepts(code), is_accepted, "{code}");
        }
    }
}
