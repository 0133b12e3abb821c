//! Why a phone is not given what it asks for. The page has words for each.

use serde::Serialize;

use crate::wire::Response;

/// Stable; the body of the answer is `{"code": "…"}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PhoneRefusal {
    /// Not JSON of this request, a key that is none, a proof that does not verify.
    Malformed,
    /// The phone is not bound, or no longer: its owner reported a loss, or bound another phone.
    NotBound,
    /// Name and ID number alone prove nothing: the trusted identity service must have seen the person.
    NotInPerson,
    /// The code from a kiosk's screen is too old, was used, or was tried too often.
    PairingOver,
    /// The end of the ID number is not that of the resident at the kiosk.
    OtherNumber,
    /// What is decided on was decided before, or was asked too long ago.
    ConsentOver,
    /// The person is not in the card-holder base.
    NotInBase,
    /// The resident has no card in force: lost, cancelled, or not activated yet.
    CardNotInForce,
    /// More than the issuing rules allow in a day or a minute.
    TooMany,
    /// This platform issues no such codes.
    NotOffered,
    /// The trusted identity service does not answer.
    Unavailable,
}

impl PhoneRefusal {
    pub(crate) fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Body {
            code: PhoneRefusal,
        }
        let mut response = Response::json(&Body { code: self });
        response.status = match self {
            Self::Malformed => 400,
            Self::NotBound => 401,
            Self::NotInPerson
            | Self::PairingOver
            | Self::OtherNumber
            | Self::ConsentOver
            | Self::NotInBase
            | Self::CardNotInForce => 403,
            Self::NotOffered => 404,
            Self::TooMany => 429,
            Self::Unavailable => 503,
        };
        response
    }
}
