//! The declared fields of an operation's answer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

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
