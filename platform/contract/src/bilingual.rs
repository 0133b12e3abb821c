//! Texts in both languages.

use serde::{Deserialize, Serialize};

/// A text in both languages of the kiosk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a text in both languages: { zh = \"…\", en = \"…\" }")]
pub struct Bilingual {
    /// Simplified Chinese.
    pub zh: String,
    /// English.
    pub en: String,
}
