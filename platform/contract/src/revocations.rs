//! 吊销: whose codes are no longer accepted, and which cards are not in force; signed, numbered, with an end.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::code::{Statement, StatementError};
use crate::names::{CardName, CodeHolder};
use crate::time::UnixMs;

/// Most names in one delta; a longer list is several deltas, one after the other.
pub const REVOKED_PER_DELTA_MAX: usize = 2048;

/// What can be revoked.
pub trait Revocable: Copy + Ord + Serialize + DeserializeOwned {
    /// [`Statement::DOMAIN`] of its deltas.
    const DOMAIN: &'static [u8];
}

impl Revocable for CodeHolder {
    const DOMAIN: &'static [u8] = b"code-revocations/1";
}

/// 黑名单: only cards that can prove themselves to a kiosk without a link are listed, those of version 3.00.
impl Revocable for CardName {
    const DOMAIN: &'static [u8] = b"card-stops/1";
}

/// 吊销增量: what is revoked since the delta before. Signed by the revoker of the [`IssuerKeys`](crate::IssuerKeys).
///
/// A kiosk that stands at `since` is at `until` afterwards; a delta from 0 begins anew and forgets what was
/// before. One from elsewhere is not used. An empty delta (`since` and `until` alike) only lives longer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound = "Who: Revocable")]
pub struct Revocations<Who = CodeHolder> {
    /// See [`IssuerKeys::city`](crate::IssuerKeys::city).
    pub city: String,
    /// The number of revocations before it.
    pub since: u64,
    /// The same after it.
    pub until: u64,
    /// After this a kiosk that has no newer one accepts nothing of this kind without the platform.
    pub expires: UnixMs,
    /// At most [`REVOKED_PER_DELTA_MAX`].
    pub revoked: Vec<Revoked<Who>>,
}

/// One revocation. What was said last of a name holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound = "Who: Revocable")]
pub struct Revoked<Who = CodeHolder> {
    /// Whose code, or which card.
    #[serde(rename = "holder")]
    pub who: Who,
    /// It need not be remembered after: the end of the longest-lived code under that alias, or of the card. A card that
    /// is in force again ends at once.
    pub ends: UnixMs,
}

impl<Who: Revocable> Statement for Revocations<Who> {
    const DOMAIN: &'static [u8] = Who::DOMAIN;

    fn check(&self) -> Result<(), StatementError> {
        if self.revoked.len() > REVOKED_PER_DELTA_MAX {
            return Err(StatementError::Nonsense("a delta has at most 2048 names"));
        }
        let count = u64::try_from(self.revoked.len()).unwrap_or(u64::MAX);
        // A delta from 0 leaves out what has ended, so it may hold fewer than it counts.
        let counted = self.until.checked_sub(self.since);
        let enough = if self.since == 0 { counted >= Some(count) } else { counted == Some(count) };
        if enough { Ok(()) } else { Err(StatementError::Nonsense("a delta does not hold what it counts")) }
    }
}
