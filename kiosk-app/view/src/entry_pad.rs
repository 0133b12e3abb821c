//! The pad on which a resident enters a number, an amount or a date.

use std::fmt;
use std::hash::{Hash, Hasher};

use zeroize::Zeroizing;

use crate::text::Text;

/// A pad with ten digits in their usual order. Unlike a PIN, what is entered is shown, so that the resident can check it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryPad {
    /// What was entered, in the groups in which people read it.
    pub entered: EnteredText,
    /// The places that are still to be filled, in the same groups; empty when any more are optional.
    pub missing: String,
    /// Room that the complete entry takes, in half widths of a Chinese character.
    pub columns: u8,
    /// Whether the pad has the key X; `Some(false)`: it cannot be touched yet.
    pub x_key: Option<bool>,
    /// Why what was entered cannot be right.
    pub problem: Option<Text>,
}

/// What a resident entered. It may be an ID number: `Debug` prints its length only, and it is wiped on drop.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct EnteredText(Zeroizing<String>);

impl EnteredText {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Hash for EnteredText {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_str().hash(state);
    }
}

impl From<Zeroizing<String>> for EnteredText {
    fn from(text: Zeroizing<String>) -> Self {
        Self(text)
    }
}

impl From<String> for EnteredText {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl fmt::Debug for EnteredText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EnteredText({} characters)", self.0.chars().count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_of_entry_pad_hides_what_was_entered() {
        let entered = EnteredText::from(Zeroizing::new("138 0000".to_owned()));
        let pad = EntryPad { entered, missing: "----".into(), columns: 13, x_key: None, problem: None };
        let printed = format!("{pad:?}");
        assert!(printed.contains("EnteredText(8 characters)") && !printed.contains("138"), "{printed}");
    }
}
