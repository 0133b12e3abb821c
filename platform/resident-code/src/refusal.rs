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
    /// Made under a key that the checker does not hold: a format key for tokens, an issuer's for the others.
    #[error("key {0} is not known here")]
    Key(u8),
    /// The check bytes do not belong to the token: misread, or not issued by the city.
    #[error("the check bytes do not match")]
    Check,
    /// A signed code lives from a quarter of an hour to a day, a printed one at least a day.
    #[error("a lifetime of {0} is not allowed for a code of this mode")]
    Lifetime(u8),
    /// Its certificate begins later, or its slot lies ahead by more than clocks may differ.
    #[error("the code is from the future: check this machine's clock and the phone's")]
    Early,
    /// Its certificate has ended.
    #[error("the code's certificate has ended")]
    Expired,
    /// It was shown too long ago: a picture of a code, or a phone with a wrong clock.
    #[error("the code was shown too long ago")]
    Stale,
    /// The issuer did not sign this.
    #[error("the issuer's signature does not verify")]
    IssuerSignature,
    /// What the issuer signed holds no key. Only a faulty issuer makes such.
    #[error("the session key is no point of the curve")]
    SessionKey,
    /// The phone that the certificate was issued to did not sign this.
    #[error("the session key's signature does not verify")]
    SessionSignature,
}
