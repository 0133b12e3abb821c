//! The declared fields of an operation's answer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::money::Money;

/// Type of an answer's field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnswerFieldType {
    /// An opaque key; never shown as text.
    Key,
    /// A text of at most 200 characters.
    Text,
    /// Whole fen, see [`Money`](crate::Money).
    Money,
    /// `YYYY-MM-DD` or `YYYY-MM`.
    Date,
}

/// Longest text of a field, in characters.
const TEXT_MAX: usize = 200;

impl AnswerFieldType {
    /// The form of a value, in words.
    #[must_use]
    pub const fn form(self) -> &'static str {
        match self {
            Self::Key => "a key: a text of 1 to 200 characters, none of them a control character",
            Self::Text => "a text of at most 200 characters, none of them a control character",
            Self::Money => "an amount in whole fen: digits only, as a text",
            Self::Date => "a date: 2026-11-30 or 2026-11",
        }
    }

    /// Its name in documents and operations files.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Text => "text",
            Self::Money => "money",
            Self::Date => "date",
        }
    }

    /// Whether a value is one of this type. It has no control character and at most 200 characters.
    #[must_use]
    pub fn accepts(self, value: &str) -> bool {
        let is_plain = !value.chars().any(char::is_control) && value.chars().count() <= TEXT_MAX;
        is_plain
            && match self {
                Self::Text => true,
                Self::Key => !value.is_empty(),
                Self::Money => Money::from_wire(value).is_some(),
                Self::Date => is_date(value),
            }
    }
}

/// True for `YYYY-MM-DD` or `YYYY-MM` with a month and day that exist (Gregorian calendar).
fn is_date(value: &str) -> bool {
    let number = |from: usize, to: usize| {
        let digits = value.get(from..to).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        digits.and_then(|digits| digits.parse::<u32>().ok())
    };
    let dashes = value.bytes().enumerate().all(|(at, byte)| (byte == b'-') == matches!(at, 4 | 7));
    let (Some(year), Some(month)) = (number(0, 4), number(5, 7)) else { return false };
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u32::from(is_leap),
        _ => return false,
    };
    dashes
        && match value.len() {
            7 => true,
            10 => number(8, 10).is_some_and(|day| (1..=days).contains(&day)),
            _ => false,
        }
}

/// Declaration of a field that every row of an answer must have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AnswerField {
    /// The type alone: the field cannot be shown with a label.
    Plain(AnswerFieldType),
    /// The type and the label under which the field is shown.
    Labelled(LabelledField),
}

/// Declaration of a field with a label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelledField {
    /// The type of the field.
    #[serde(rename = "type")]
    pub kind: AnswerFieldType,
    /// Label in Chinese.
    pub zh: String,
    /// Label in English.
    pub en: String,
}

impl AnswerField {
    /// The field's type.
    #[must_use]
    pub const fn kind(&self) -> AnswerFieldType {
        match self {
            Self::Plain(kind) => *kind,
            Self::Labelled(labelled) => labelled.kind,
        }
    }
}

/// The declared shape of an operation's answer: fields by name.
pub type AnswerSchema = BTreeMap<String, AnswerField>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_that_exist_are_accepted() {
        for date in ["2026-10", "2026-10-31", "2024-02-29", "2000-02-29", "0001-01-01"] {
            assert!(AnswerFieldType::Date.accepts(date), "{date}");
        }
        for text in [
            "",
            "2026",
            "2026-13",
            "2026-00",
            "2026-10-32",
            "2026-10-00",
            "2023-02-29",
            "1900-02-29",
            "20261031",
            "2026-1-01",
            "2026-10-3",
            "2026/10/31",
            "2026-10-+1",
            "２０２６-10",
            "-2026-10-1",
        ] {
            assert!(!AnswerFieldType::Date.accepts(text), "{text}");
        }
    }

    #[test]
    fn values_that_are_too_long_or_not_of_their_type_are_refused() {
        assert!(AnswerFieldType::Text.accepts(&"水".repeat(TEXT_MAX)));
        assert!(!AnswerFieldType::Text.accepts(&"水".repeat(TEXT_MAX + 1)));
        for (kind, value) in [
            (AnswerFieldType::Text, "a\nb"),
            (AnswerFieldType::Key, ""),
            (AnswerFieldType::Money, "-1"),
            (AnswerFieldType::Money, "86.40"),
            (AnswerFieldType::Money, "+5"),
            (AnswerFieldType::Money, "99999999999999999999"),
        ] {
            assert!(!kind.accepts(value), "{kind:?} {value}");
        }
    }
}
