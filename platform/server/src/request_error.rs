//! Errors of a request: a refusal that the kiosk or phone can act on, or a database error.

use contract::{Problem, ProblemCode};

use crate::messages::PlatformResponse;
use crate::phone_refusal::PhoneRefusal;

/// Why a request failed; its transaction is rolled back.
pub(crate) enum RequestError {
    /// A kiosk's or relying party's request is refused; nothing was changed.
    Problem(Problem),
    /// A phone's request is refused; nothing was changed.
    Phone(PhoneRefusal),
    /// The database failed; nothing was changed.
    Database(rusqlite::Error),
}

impl From<Problem> for RequestError {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<PhoneRefusal> for RequestError {
    fn from(refusal: PhoneRefusal) -> Self {
        Self::Phone(refusal)
    }
}

impl From<rusqlite::Error> for RequestError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

impl RequestError {
    /// The HTTP answer. A database error becomes *unavailable*: the kiosk repeats the request later.
    pub(crate) fn into_response(self) -> PlatformResponse {
        match self {
            Self::Problem(problem) => PlatformResponse::problem(&problem),
            Self::Phone(refusal) => refusal.into_response(),
            Self::Database(error) => {
                tracing::error!(%error, "database error; request answered as unavailable");
                PlatformResponse::problem(
                    &ProblemCode::Unavailable.into_problem("the platform's database does not answer"),
                )
            }
        }
    }
}

/// The error for a malformed request. The request is not quoted: it may hold personal data.
pub(crate) fn malformed_request(title: &str) -> RequestError {
    ProblemCode::Malformed.into_problem(title).into()
}

/// Parses the JSON body of a request.
pub(crate) fn parse_body<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, RequestError> {
    serde_json::from_slice(body).map_err(|_| malformed_request("the body is not the JSON of this request"))
}
