//! Why a text is not accepted as a resident code.

/// Which check failed. Carries nothing of the text: a refused code may still be somebody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Some other text: a web address, a payment code, a ticket.
    #[error("the text is not a resident code: it does not begin with two letters, a digit and a colon")]
    NotACode,
    /// A code of the same family issued by another city.
    #[error("the code belongs to another city")]
    OtherCity,
    /// A code of this city in a format version that is not known here.
    #[error("format version {0} is not known here")]
    Version(u8),
    /// The part after the prefix is not base45, or not the one text that encodes its bytes.
    #[error("the text after the prefix is not base45")]
    Encoding,
    /// A mode that this version of the format does not have, or that is not accepted here.
    #[error("code mode {0} is not accepted here")]
    Mode(u8),
    /// Cut off, or something is appended.
    #[error("a code of this mode has {expected} bytes, got {got}")]
    Length {
        /// What the mode has.
        expected: usize,
        /// What came.
        got: usize,
    },
    /// Made under a format key that the checker does not hold.
    #[error("format key {0} is not known here")]
    Key(u8),
    /// The check bytes do not belong to the token: misread, or not issued by the city.
    #[error("the check bytes do not match")]
    Check,
}
