//! Revocations: holders whose codes are no longer accepted, and cards that are not in force; signed, numbered, with an
//! expiry time.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::code::{Statement, StatementError};
use crate::names::{CardName, CodeHolder};
use crate::time::UnixMs;

/// Maximum number of names in one delta; a longer list is sent as several consecutive deltas.
pub const REVOKED_PER_DELTA_MAX: usize = 2048;

/// A name that can be revoked.
pub trait Revocable: Copy + Ord + Serialize + DeserializeOwned {
    /// [`Statement::DOMAIN`] of deltas of this kind.
    const DOMAIN: &'static [u8];
}

impl Revocable for CodeHolder {
    const DOMAIN: &'static [u8] = b"code-revocations/1";
}

/// 黑名单: lists only cards that a kiosk can authenticate without a link, those of version 3.00.
impl Revocable for CardName {
    const DOMAIN: &'static [u8] = b"card-stops/1";
}

/// 吊销增量: the revocations since the previous delta. Signed by the revoker of the [`IssuerKeys`](crate::IssuerKeys).
///
/// A kiosk whose list is at number `since` is at `until` after it has applied the delta; a delta from 0 replaces the
/// whole list. A delta with another `since` is not applied. An empty delta (`since` equals `until`) only extends the
/// expiry time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound = "Who: Revocable")]
pub struct Revocations<Who = CodeHolder> {
    /// See [`IssuerKeys::city`](crate::IssuerKeys::city).
    pub city: String,
    /// The number of revocations before this delta.
    pub since: u64,
    /// The number of revocations after this delta.
    pub until: u64,
    /// After this time a kiosk that has no newer delta accepts nothing of this kind without the platform.
    pub expires: UnixMs,
    /// The revocations, at most [`REVOKED_PER_DELTA_MAX`].
    pub revoked: Vec<Revoked<Who>>,
}

/// One revocation. The last revocation of a name is the one in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound = "Who: Revocable")]
pub struct Revoked<Who = CodeHolder> {
    /// The holder of the code, or the card.
    #[serde(rename = "holder")]
    pub who: Who,
    /// The revocation need not be kept after this time: the end of the longest-lived code under that alias, or of the
    /// card. For a card that is in force again this time is in the past.
    pub ends: UnixMs,
}

impl<Who: Revocable> Statement for Revocations<Who> {
    const DOMAIN: &'static [u8] = Who::DOMAIN;

    fn check(&self) -> Result<(), StatementError> {
        if self.revoked.len() > REVOKED_PER_DELTA_MAX {
            return Err(StatementError::Invalid("a delta has at most 2048 names"));
        }
        let count = u64::try_from(self.revoked.len()).unwrap_or(u64::MAX);
        // A delta from 0 omits revocations that have ended, so it may hold fewer than it counts.
        let counted = self.until.checked_sub(self.since);
        let enough = if self.since == 0 { counted >= Some(count) } else { counted == Some(count) };
        if enough {
            Ok(())
        } else {
            Err(StatementError::Invalid("a delta does not hold as many names as it counts"))
        }
    }
}
