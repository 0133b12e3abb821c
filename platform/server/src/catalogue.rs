//! The signed service documents in force, and the feed that brings them to the kiosks.
//!
//! The feed is compacted: it has one item per service, the newest, under the newest cursor. A kiosk that
//! asks with its last cursor gets the items that changed since; one that asks with 0 gets everything in force.

use contract::{
    ChangesAnswer, FeedItem, SecretKey, ServiceDocument, ServiceDocumentError, SignedServiceDocument,
};
use rusqlite::{OptionalExtension as _, Transaction, params};

use crate::columns::{from_json_column, to_json_column};
use crate::messages::{PlatformReply, PlatformResponse};
use crate::platform::RequestContext;
use crate::request_error::{RequestError, malformed_request};

/// Why the service catalogue is invalid.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// A document does not parse or breaks a rule of the service-document language.
    #[error("service document {number} is invalid")]
    Document {
        /// Position of the document, counted from 1.
        number: usize,
        /// What is wrong with the document.
        #[source]
        cause: ServiceDocumentError,
    },
    /// Two documents have the same service id.
    #[error("service id {0} occurs in two documents")]
    DuplicateId(String),
}

/// The service documents (事项文件) in force, parsed and signed.
pub(crate) struct SignedCatalogue(Vec<(ServiceDocument, SignedServiceDocument)>);

impl SignedCatalogue {
    pub(crate) fn sign_documents(texts: &[String], key: &SecretKey) -> Result<Self, CatalogueError> {
        let mut documents: Vec<(ServiceDocument, SignedServiceDocument)> = Vec::new();
        for (at, text) in texts.iter().enumerate() {
            let document = ServiceDocument::parse(text)
                .map_err(|cause| CatalogueError::Document { number: at + 1, cause })?;
            if documents.iter().any(|(other, _)| other.id == document.id) {
                return Err(CatalogueError::DuplicateId(document.id));
            }
            let signature = key.sign(&SignedServiceDocument::to_be_signed(text));
            documents.push((document, SignedServiceDocument { text: text.clone(), signature }));
        }
        Ok(Self(documents))
    }

    pub(crate) fn document(&self, service: &str) -> Option<&ServiceDocument> {
        self.0.iter().map(|(document, _)| document).find(|document| document.id == service)
    }

    /// Updates the feed from these documents: new, changed and withdrawn services.
    pub(crate) fn publish_to_feed(&self, tx: &Transaction<'_>) -> rusqlite::Result<()> {
        for (document, signed) in &self.0 {
            put_feed_item(tx, &document.id, &FeedItem::Service { document: signed.clone() })?;
        }
        let mut all = tx.prepare("SELECT service FROM changes WHERE service NOT LIKE '#%'")?;
        let published = all.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
        for id in published {
            if self.document(&id).is_none() {
                put_feed_item(tx, &id, &FeedItem::ServiceWithdrawn { id: id.clone() })?;
            }
        }
        Ok(())
    }
}

/// Puts an item at the end of the feed, unless the feed already holds this item for the service. Items that are not
/// services have a key that begins with `#`, which no service id does.
pub(crate) fn put_feed_item(tx: &Transaction<'_>, service: &str, item: &FeedItem) -> rusqlite::Result<()> {
    let item = to_json_column(item);
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

/// Size in bytes after which an answer is full; the answer may exceed it by one item. A slow link transfers this much
/// within the kiosk's timeout, and the kiosk requests the rest immediately.
const PAGE_BYTES: usize = 128 * 1024;

/// `GET /v1/changes?since=N`. A cursor beyond the feed's end was issued before the platform was restored from a backup:
/// everything is sent again.
pub(crate) fn changes_since(
    context: &RequestContext<'_>,
    query: &str,
) -> Result<PlatformReply, RequestError> {
    let since: i64 = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("since="))
        .and_then(|since| since.parse().ok())
        .filter(|since| *since >= 0)
        .ok_or_else(|| malformed_request("`since` is the cursor of the last answer, or 0"))?;
    let end: i64 =
        context.tx.query_row("SELECT coalesce(max(cursor), 0) FROM changes", [], |row| row.get(0))?;
    let since = if since > end { 0 } else { since };
    let mut newer =
        context.tx.prepare("SELECT item, cursor FROM changes WHERE cursor > ?1 ORDER BY cursor")?;
    let mut newer = newer.query([since])?;
    let (mut items, mut cursor, mut bytes) = (Vec::<FeedItem>::new(), end, 0);
    while let Some(row) = newer.next()? {
        if bytes >= PAGE_BYTES {
            break;
        }
        let item: String = row.get(0)?;
        (cursor, bytes) = (row.get(1)?, bytes + item.len());
        items.push(from_json_column(&item)?);
    }
    let cursor = u64::try_from(cursor).unwrap_or(0);
    Ok(PlatformResponse::json(&ChangesAnswer { items, cursor, now: context.now }).into())
}
