//! How a bound phone authenticates itself: by a secret that it received when it was bound. The platform stores only the
//! SM3 of that secret.

use contract::{from_hex, sm3};
use rusqlite::OptionalExtension as _;
use serde::Deserialize;

use crate::context::RequestContext;
use crate::phone_refusal::PhoneRefusal;
use crate::request_error::RequestError;

/// Request of a phone without further data.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PhoneRequest {
    /// The phone's secret.
    pub(crate) phone: String,
}

/// A bound phone and its resident.
pub(crate) struct BoundPhone {
    pub(super) hash: [u8; 32],
    pub(crate) resident: i64,
    pub(super) name: String,
}

/// Finds the bound phone of this secret.
pub(crate) fn find_phone(context: &RequestContext<'_>, secret: &str) -> Result<BoundPhone, RequestError> {
    let secret: [u8; 16] = from_hex(secret).ok_or(PhoneRefusal::NotBound)?;
    let hash = sm3(&[&secret]);
    let found = context
        .tx
        .query_row(
            "SELECT resident, name FROM phones JOIN residents USING (resident)
             WHERE hash = ?1 AND ended_ms IS NULL",
            [hash],
            |row| Ok(BoundPhone { hash, resident: row.get(0)?, name: row.get(1)? }),
        )
        .optional()?;
    found.ok_or_else(|| PhoneRefusal::NotBound.into())
}

/// Parses the JSON body of a phone's request.
pub(crate) fn parse_phone_body<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, PhoneRefusal> {
    serde_json::from_slice(body).map_err(|_| PhoneRefusal::Malformed)
}
