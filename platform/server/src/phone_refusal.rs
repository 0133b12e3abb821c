//! Refusals of a phone's request. The web app has a text for each.

use serde::Serialize;

use crate::messages::PlatformResponse;

/// Why a phone's request is refused. The codes are stable; the body of the answer is `{"code": "…"}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PhoneRefusal {
    /// The body is not the JSON of the request, a key is invalid, or a proof does not verify.
    Malformed,
    /// The phone is not bound, or no longer: a loss was reported, or the resident bound another phone.
    NotBound,
    /// The trusted identity service has not verified the person; name and ID number alone prove nothing.
    NotInPerson,
    /// The pairing code has expired, was used, or had too many failed attempts.
    PairingOver,
    /// The end of the ID number does not match the resident at the kiosk.
    OtherNumber,
    /// The consent request was decided before or has expired.
    ConsentOver,
    /// The person is not in the card-holder base.
    NotInBase,
    /// The resident has no card in force: lost, cancelled, or not activated yet.
    CardNotInForce,
    /// More than the issuing rules allow in a day or a minute.
    TooMany,
    /// The platform does not offer this request, or issues no such codes.
    NotOffered,
    /// The trusted identity service does not answer.
    Unavailable,
}

impl PhoneRefusal {
    pub(crate) fn into_response(self) -> PlatformResponse {
        #[derive(Serialize)]
        struct RefusalBody {
            code: PhoneRefusal,
        }
        let mut response = PlatformResponse::json(&RefusalBody { code: self });
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
