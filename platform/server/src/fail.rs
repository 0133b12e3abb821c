//! Why a request is not done: a refusal that the kiosk can act on, or a database that failed.

use contract::{Problem, ProblemCode};

use crate::codes::PhoneRefusal;
use crate::wire::Response;

pub(crate) enum Fail {
    /// Refused; nothing was changed.
    Problem(Problem),
    /// A phone is refused; nothing was changed.
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
    /// The answer to the kiosk. A failed database is *unavailable*: the kiosk asks again later.
    pub(crate) fn into_response(self) -> Response {
        match self {
            Self::Problem(problem) => Response::problem(&problem),
            Self::Phone(refusal) => refusal.into_response(),
            Self::Store(error) => {
                tracing::error!(%error, "the database failed");
                Response::problem(
                    &ProblemCode::Unavailable.because("the platform's database does not answer"),
                )
            }
        }
    }
}

/// A malformed request. What came is not quoted: it may hold a person's data.
pub(crate) fn malformed(title: &str) -> Fail {
    ProblemCode::Malformed.because(title).into()
}

/// Reads a request's JSON.
pub(crate) fn json<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Fail> {
    serde_json::from_slice(body).map_err(|_| malformed("the body is not JSON of this request"))
}
