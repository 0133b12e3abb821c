//! The feed, which brings signed documents to the kiosks.
//!
//! The feed is compacted: it has one item per service, the newest, under the newest cursor. A kiosk that
//! asks with its last cursor gets the items that changed since; one that asks with 0 gets everything in force.

use contract::{ChangesAnswer, FeedItem, Publication};
use rusqlite::{OptionalExtension as _, Transaction, params};

use crate::context::RequestContext;
use crate::messages::PlatformResponse;
use crate::peer_calls::PlatformReply;
use crate::recovery_state;
use crate::request_error::{RequestError, malformed_request};
use crate::store::columns::{from_json_column, to_json_column};

/// Updates the feed from a publication: new, changed and withdrawn services, and the departments that take submissions.
pub(crate) fn publish_services(tx: &Transaction<'_>, publication: &Publication) -> rusqlite::Result<()> {
    for (document, signed) in publication.documents() {
        put_feed_item(tx, &document.id, &FeedItem::Service { document: signed.clone() })?;
    }
    let mut all = tx.prepare("SELECT service FROM changes WHERE service NOT LIKE '#%'")?;
    let published = all.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
    for id in published {
        if publication.document(&id).is_none() {
            put_feed_item(tx, &id, &FeedItem::ServiceWithdrawn { id: id.clone() })?;
        }
    }
    let list = publication.department_keys().clone();
    put_feed_item(tx, "#department-keys", &FeedItem::DepartmentKeys { list })
}

/// The item of a service, or the one with a key of its own.
pub(crate) fn item(tx: &Transaction<'_>, service: &str) -> rusqlite::Result<Option<FeedItem>> {
    let item: Option<String> = tx
        .query_row("SELECT item FROM changes WHERE service = ?1", [service], |row| row.get(0))
        .optional()?;
    item.map(|item| from_json_column(&item)).transpose()
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

/// `GET /v1/changes?since=N&feed=E`. A cursor of another epoch says nothing here: the answer names the epoch of this feed, and the
/// kiosk begins again. A kiosk of version 2 sends no epoch; its cursor beyond the feed's end was issued before the platform was
/// restored from a backup, and everything is sent again.
pub(crate) fn changes_since(
    context: &mut RequestContext<'_>,
    query: &str,
) -> Result<PlatformReply, RequestError> {
    let value = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let since: i64 = value("since")
        .and_then(|since| since.parse().ok())
        .filter(|since| *since >= 0)
        .ok_or_else(|| malformed_request("`since` is the cursor of the last answer, or 0"))?;
    let of: Option<u64> = value("feed")
        .map(|feed| feed.parse().map_err(|_| malformed_request("`feed` is the epoch of the last answer")))
        .transpose()?;
    let feed = Some(recovery_state::feed_epoch(context.tx, &mut context.entropy)?);
    if since > 0 && of.is_some() && of != feed {
        let answer = ChangesAnswer { items: Vec::new(), cursor: 0, feed, now: context.now };
        return Ok(PlatformResponse::json(&answer).into());
    }
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
    Ok(PlatformResponse::json(&ChangesAnswer { items, cursor, feed, now: context.now }).into())
}
