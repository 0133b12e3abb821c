//! A code of any mode, for verifiers that accept several.

use crate::answer::AnswerCode;
use crate::envelope::{self, Mode};
use crate::offline::OfflineCode;
use crate::online::OnlineToken;
use crate::paper::PaperCode;
use crate::refusal::Refusal;

/// Resident code (渝快码): a complete code of any mode, not verified yet. `Debug` is redacted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Code {
    /// Online token: check it with a format key, then consume it at the platform.
    Online(OnlineToken),
    /// Offline code: verify it with [`OfflineCode::verify`].
    Offline(OfflineCode),
    /// Paper code: verify it with [`PaperCode::verify`].
    Paper(PaperCode),
    /// Answer code: verify it with [`AnswerCode::verify`] and the challenge.
    Answer(AnswerCode),
}

impl Code {
    /// Parses the text of a QR code. Never panics: any text gives a code or a refusal.
    ///
    /// # Errors
    /// The check that failed.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let (mode, bytes) = envelope::unwrap(text)?;
        Self::of(mode, &bytes)
    }

    /// Parses the bytes of a code. Never panics.
    ///
    /// # Errors
    /// The check that failed.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Refusal> {
        Self::of(envelope::whole(bytes)?, bytes)
    }

    fn of(mode: Mode, bytes: &[u8]) -> Result<Self, Refusal> {
        match mode {
            Mode::Online => OnlineToken::from_slice(bytes).map(Self::Online),
            Mode::Offline => OfflineCode::from_slice(bytes).map(Self::Offline),
            Mode::Paper => PaperCode::from_slice(bytes).map(Self::Paper),
            Mode::Answer => AnswerCode::from_slice(bytes).map(Self::Answer),
        }
    }

    /// The mode of the code.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        match self {
            Self::Online(_) => Mode::Online,
            Self::Offline(_) => Mode::Offline,
            Self::Paper(_) => Mode::Paper,
            Self::Answer(_) => Mode::Answer,
        }
    }

    /// The text for the QR code.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Online(token) => token.to_text(),
            Self::Offline(code) => code.to_text(),
            Self::Paper(code) => code.to_text(),
            Self::Answer(code) => code.to_text(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn code_of_any_mode_round_trips_text_and_bytes(
            mode in prop::sample::select(vec![Mode::Online, Mode::Offline, Mode::Paper, Mode::Answer]),
            filler in prop::collection::vec(any::<u8>(), 180),
        ) {
            let mut bytes = filler[..mode.length()].to_vec();
            bytes[0] = mode.first_byte();
            let code = Code::from_bytes(&bytes).unwrap();
            prop_assert_eq!(code.mode(), mode);
            prop_assert_eq!(Code::parse(&code.to_text()), Ok(code));
            prop_assert!(Code::from_bytes(&bytes[1..]).is_err());
        }

        #[test]
        fn any_bytes_give_a_code_or_a_refusal(bytes in prop::collection::vec(any::<u8>(), 0..=180)) {
            match (Code::from_bytes(&bytes), Code::parse(&envelope::wrap(&bytes))) {
                (Ok(one), Ok(other)) => prop_assert_eq!(one, other),
                (one, other) => prop_assert_eq!(one.err(), other.err()),
            }
        }
    }
}
