//! Errors of a request: a refusal that the kiosk or phone can act on, or a database error.

use contract::{Problem, ProblemCode};

use crate::codes::PhoneRefusal;
use crate::wire::Response;

/// Why a request failed; its transaction is rolled back.
pub(crate) enum Fail {
    /// A kiosk's or relying party's request is refused; nothing was changed.
    Problem(Problem),
    /// A phone's request is refused; nothing was changed.
    Phone(PhoneRefusal),
    /// The database failed; nothing was changed.
    Store(rusqlite::Error),
}

impl From<Problem> for Fail {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<PhoneRefusal> for Fail {
    fn from(refusal: PhoneRefusal) -> Self {
        Self::Phone(refusal)
    }
}

impl From<rusqlite::Error> for Fail {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error)
    }
}

impl Fail {
    /// The HTTP answer. A database error becomes *unavailable*: the kiosk repeats the request later.
    pub(crate) fn into_response(self) -> Response {
        match self {
            Self::Problem(problem) => Response::problem(&problem),
            Self::Phone(refusal) => refusal.into_response(),
            Self::Store(error) => {
                tracing::error!(%error, "database error; request answered as unavailable");
                Response::problem(
                    &ProblemCode::Unavailable.because("the platform's database does not answer"),
                )
            }
        }
    }
}

/// The error for a malformed request. The request is not quoted: it may hold personal data.
pub(crate) fn malformed(title: &str) -> Fail {
    ProblemCode::Malformed.because(title).into()
}

/// Parses the JSON body of a request.
pub(crate) fn json<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Fail> {
    serde_json::from_slice(body).map_err(|_| malformed("the body is not the JSON of this request"))
}
