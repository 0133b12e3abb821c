//! Why a text is not accepted as a resident code.

/// The check that failed. Contains no part of the text: a refused code may still be a valid code of a resident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeRefusal {
    /// Another kind of text: a web address, a payment code, an entrance ticket.
    #[error("the text is not a resident code: it does not begin with two letters, a digit and a colon")]
    NotACode,
    /// A code of the same format family, issued by another city.
    #[error("the code belongs to another city")]
    OtherCity,
    /// A code of this city in an unsupported format version.
    #[error("format version {0} is not supported")]
    Version(u8),
    /// The part after the prefix is not base45, or not the canonical encoding of its bytes.
    #[error("the text after the prefix is not base45")]
    Encoding,
    /// A mode that this format version does not define, or that the caller does not accept.
    #[error("code mode {0} is not accepted")]
    Mode(u8),
    /// The code is truncated, or bytes are appended.
    #[error("a code of this mode has {expected} bytes, got {got}")]
    Length {
        /// Length of a code of this mode, in bytes.
        expected: usize,
        /// Length of the parsed bytes.
        got: usize,
    },
    /// Made with an unknown key: a format key for online tokens, an issuer's key for the other modes.
    #[error("key {0} is unknown: check that this machine has the current keys")]
    Key(u8),
    /// The check bytes do not match the token: a read error, or not issued by the city.
    #[error("the check bytes do not match")]
    Check,
    /// A session certificate has a lifetime from a quarter of an hour to a day, a paper code of at least a day.
    #[error("a lifetime of {0} is not allowed for a code of this mode")]
    Lifetime(u8),
    /// The code or its certificate begins later, or its time step is further ahead than clocks may differ.
    #[error("the code is from the future: check the clocks of this machine and of the phone")]
    Early,
    /// The lifetime of the code or of its certificate has ended.
    #[error("the code or its certificate has expired")]
    Expired,
    /// The code was shown too long ago: a picture of a code, or a phone with a wrong clock.
    #[error("the code was shown too long ago")]
    Stale,
    /// The issuer's signature does not verify.
    #[error("the issuer's signature does not verify")]
    IssuerSignature,
    /// The signed certificate contains an invalid key. Only a faulty issuer signs one.
    #[error("the session key is no point of the curve")]
    SessionKey,
    /// The session key's signature does not verify: another phone, or another challenge.
    #[error("the session key's signature does not verify")]
    SessionSignature,
}
