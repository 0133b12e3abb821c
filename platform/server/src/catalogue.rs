//! The service documents in force, signed, and the feed that brings them to the kiosks.
//!
//! The feed is compacted: it has one item per service, the newest, under the newest cursor. A kiosk that
//! asks with its last cursor gets what changed since; one that asks with 0 gets everything in force.

use contract::{ChangesAnswer, DocumentError, FeedItem, SecretKey, ServiceDocument, SignedDocument};
use rusqlite::{OptionalExtension as _, Transaction, params};

use crate::columns::{text, value};
use crate::fail::{Fail, malformed};
use crate::platform::Turn;
use crate::wire::{Reply, Response};

/// Why a catalogue is not published.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// A document does not make sense.
    #[error("service document {number} is refused")]
    Document {
        /// Which, counted from 1 in the order given.
        number: usize,
        /// Why.
        #[source]
        cause: DocumentError,
    },
    /// Two documents have one id.
    #[error("service {0} is there twice")]
    Twice(String),
}

/// The documents in force.
pub(crate) struct Catalogue(Vec<(ServiceDocument, SignedDocument)>);

impl Catalogue {
    pub(crate) fn sign(texts: &[String], key: &SecretKey) -> Result<Self, CatalogueError> {
        let mut documents: Vec<(ServiceDocument, SignedDocument)> = Vec::new();
        for (at, text) in texts.iter().enumerate() {
            let document = ServiceDocument::parse(text)
                .map_err(|cause| CatalogueError::Document { number: at + 1, cause })?;
            if documents.iter().any(|(other, _)| other.id == document.id) {
                return Err(CatalogueError::Twice(document.id));
            }
            let signature = key.sign(&SignedDocument::to_be_signed(text));
            documents.push((document, SignedDocument { text: text.clone(), signature }));
        }
        Ok(Self(documents))
    }

    pub(crate) fn document(&self, service: &str) -> Option<&ServiceDocument> {
        self.0.iter().map(|(document, _)| document).find(|document| document.id == service)
    }

    /// Brings the feed up to date with these documents: what is new or changed, and what is gone.
    pub(crate) fn publish(&self, tx: &Transaction<'_>) -> rusqlite::Result<()> {
        for (document, signed) in &self.0 {
            put(tx, &document.id, &FeedItem::Service { document: signed.clone() })?;
        }
        let mut all = tx.prepare("SELECT service FROM changes WHERE service NOT LIKE '#%'")?;
        let published = all.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
        for id in published {
            if self.document(&id).is_none() {
                put(tx, &id, &FeedItem::ServiceWithdrawn { id: id.clone() })?;
            }
        }
        Ok(())
    }
}

/// Puts an item at the end of the feed, unless it is already what the feed says of the service. What is no service
/// goes under a name that begins with `#`, as no service's id does.
pub(crate) fn put(tx: &Transaction<'_>, service: &str, item: &FeedItem) -> rusqlite::Result<()> {
    let item = text(item);
    let current: Option<String> = tx
        .query_row("SELECT item FROM changes WHERE service = ?1", [service], |row| row.get(0))
        .optional()?;
    if current.as_ref() != Some(&item) {
        tx.execute(
            "INSERT INTO changes (service, cursor, item)
             SELECT ?1, coalesce(max(cursor), 0) + 1, ?2 FROM changes WHERE true
             ON CONFLICT (service) DO UPDATE SET cursor = excluded.cursor, item = excluded.item",
            params![service, item],
        )?;
    }
    Ok(())
}

/// One answer holds no more than this and one item, which a slow line brings before anybody gives up; what follows is
/// asked for at once.
const PAGE_BYTES: usize = 128 * 1024;

/// `GET /v1/changes?since=N`. A cursor beyond the feed's end comes from before a restore of the
/// platform: everything is sent anew.
pub(crate) fn changes(turn: &Turn<'_>, query: &str) -> Result<Reply, Fail> {
    let since: i64 = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("since="))
        .and_then(|since| since.parse().ok())
        .filter(|since| *since >= 0)
        .ok_or_else(|| malformed("`since` is the cursor of the last answer, or 0"))?;
    let end: i64 = turn.tx.query_row("SELECT coalesce(max(cursor), 0) FROM changes", [], |row| row.get(0))?;
    let since = if since > end { 0 } else { since };
    let mut newer = turn.tx.prepare("SELECT item, cursor FROM changes WHERE cursor > ?1 ORDER BY cursor")?;
    let mut newer = newer.query([since])?;
    let (mut items, mut cursor, mut bytes) = (Vec::<FeedItem>::new(), end, 0);
    while let Some(row) = newer.next()? {
        if bytes >= PAGE_BYTES {
            break;
        }
        let item: String = row.get(0)?;
        (cursor, bytes) = (row.get(1)?, bytes + item.len());
        items.push(value(&item)?);
    }
    let cursor = u64::try_from(cursor).unwrap_or(0);
    Ok(Response::json(&ChangesAnswer { items, cursor, now: turn.now }).into())
}
