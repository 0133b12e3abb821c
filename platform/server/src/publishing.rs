//! Takes a publication into force: what kiosks get by the feed, and what the platform itself works by.

use contract::{FeedItem, Publication, ServiceDocument};
use rusqlite::Transaction;

use crate::config::relying_parties::{RelyingParty, UnknownDisclosure};
use crate::feed;
use crate::recovery_state;

/// Names of the values that are kept of the publication in force.
const NUMBER: &str = "publication";
const DIGEST: &str = "publication-digest";

/// Why a publication is not taken into force. The one before stays.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The database failed.
    #[error(
        "the database failed; the publication is tried again when its file changes, or at the next start"
    )]
    Database(#[from] rusqlite::Error),
    /// A relying party is registered for an e-certificate or item that there is not.
    #[error("the registration of a relying party does not fit the licence files: {0}")]
    RelyingParty(#[from] UnknownDisclosure),
    /// A later one was in force before.
    #[error(
        "publication {number} is older than {in_force}, which is in force: an old file was put back; publish again to get a higher number"
    )]
    Older {
        /// Its number.
        number: u64,
        /// The number in force.
        in_force: u64,
    },
    /// Another publication of this number was in force before.
    #[error(
        "publication {0} is in force with other content: two were made with the same number; publish again to get a higher number"
    )]
    SameNumber(u64),
    /// Kiosks take a service document only when its version rises.
    #[error(
        "service `{service}` was changed, but its version is still {version}: kiosks would not take it; increase `version`"
    )]
    VersionNotRaised {
        /// The service.
        service: String,
        /// Its version.
        version: u32,
    },
}

/// Checks a publication against the one before, and puts it into the feed. Changes nothing when it is in force already.
pub(crate) fn take_into_force<'a>(
    tx: &Transaction<'_>,
    publication: &Publication,
    mut relying_parties: impl Iterator<Item = &'a RelyingParty>,
) -> Result<(), PublishError> {
    relying_parties.try_for_each(|party| party.check_licences(publication.operations()))?;
    let number = publication.number();
    let [high, ..] = publication.digest().as_chunks::<8>().0 else { return Ok(()) };
    let digest = i64::from_be_bytes(*high);
    let in_force = recovery_state::read(tx, NUMBER)?.and_then(|number| u64::try_from(number).ok());
    if let Some(in_force) = in_force {
        if number < in_force {
            return Err(PublishError::Older { number, in_force });
        }
        if number == in_force && recovery_state::read(tx, DIGEST)? != Some(digest) {
            return Err(PublishError::SameNumber(number));
        }
    }
    for (document, signed) in publication.documents() {
        if let Some(FeedItem::Service { document: before }) = feed::item(tx, &document.id)?
            && before.text != signed.text
            && ServiceDocument::parse(&before.text).is_ok_and(|before| before.version >= document.version)
        {
            let (service, version) = (document.id.clone(), document.version);
            return Err(PublishError::VersionNotRaised { service, version });
        }
    }
    feed::publish_services(tx, publication)?;
    recovery_state::write(tx, NUMBER, i64::try_from(number).unwrap_or(i64::MAX))?;
    Ok(recovery_state::write(tx, DIGEST, digest)?)
}
