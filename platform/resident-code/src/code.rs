//! A code of any mode, for verifiers that accept several.

use crate::answer::AnswerCode;
use crate::envelope::{self, CodeMode};
use crate::offline::OfflineCode;
use crate::online::OnlineToken;
use crate::paper::PaperCode;
use crate::refusal::CodeRefusal;

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
    pub fn parse(text: &str) -> Result<Self, CodeRefusal> {
        let (mode, bytes) = envelope::decode_text(text)?;
        Self::from_mode_bytes(mode, &bytes)
    }

    /// Parses the bytes of a code. Never panics.
    ///
    /// # Errors
    /// The check that failed.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodeRefusal> {
        Self::from_mode_bytes(envelope::complete_mode(bytes)?, bytes)
    }

    fn from_mode_bytes(mode: CodeMode, bytes: &[u8]) -> Result<Self, CodeRefusal> {
        match mode {
            CodeMode::Online => OnlineToken::from_slice(bytes).map(Self::Online),
            CodeMode::Offline => OfflineCode::from_slice(bytes).map(Self::Offline),
            CodeMode::Paper => PaperCode::from_slice(bytes).map(Self::Paper),
            CodeMode::Answer => AnswerCode::from_slice(bytes).map(Self::Answer),
        }
    }

    /// The mode of the code.
    #[must_use]
    pub const fn mode(&self) -> CodeMode {
        match self {
            Self::Online(_) => CodeMode::Online,
            Self::Offline(_) => CodeMode::Offline,
            Self::Paper(_) => CodeMode::Paper,
            Self::Answer(_) => CodeMode::Answer,
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
            mode in prop::sample::select(vec![CodeMode::Online, CodeMode::Offline, CodeMode::Paper, CodeMode::Answer]),
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
            match (Code::from_bytes(&bytes), Code::parse(&envelope::encode_text(&bytes))) {
                (Ok(one), Ok(other)) => prop_assert_eq!(one, other),
                (one, other) => prop_assert_eq!(one.err(), other.err()),
            }
        }
    }
}
