//! What a relying party can be registered for beside items of e-certificates, which are data: claims.

use serde::{Deserialize, Serialize};

/// A claim (声明) about a resident: yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Claim {
    /// Insured and paying or retired (正常参加医保), according to the base of insured persons.
    Insured,
    /// At least sixty years old (年满六十周岁).
    Over60,
}

impl Claim {
    /// Text of the claim, as the holder reads it.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Insured => "是否正常参加医保",
            Self::Over60 => "是否年满六十周岁",
        }
    }
}
