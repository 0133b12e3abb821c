//! Whether the whole log of a kiosk has arrived since the platform was restored from a backup.
//!
//! A kiosk that knows the restored feed states the ends of all epochs that it holds; also one that has recorded nothing since.
//! A kiosk of version 2 states nothing: a record that is dated after the start of the recovery counts, if no earlier epoch
//! that its log names is incomplete.

use contract::{Entry, Head, KioskId, RecordBatch};
use rusqlite::{Transaction, params};

use super::stored_chain::{hash_at, stored_upto};
use crate::context::RequestContext;
use crate::recovery_state;
use crate::request_error::{RequestError, malformed_request};
use crate::store::columns::to_epoch_column;

/// A kiosk keeps its log for a week, and begins an epoch only after damage.
const HEADS_MAX: usize = 1024;

/// Notes that a kiosk has returned, if this batch, which is stored, shows it.
pub(super) fn note_return(context: &RequestContext<'_>, batch: &RecordBatch) -> Result<(), RequestError> {
    let tx = context.tx;
    if !recovery_state::is_recovering(tx)? {
        return Ok(());
    }
    let device = batch.from.device;
    let has_returned = match &batch.log {
        Some(log) if log.heads.len() > HEADS_MAX || log.heads.is_empty() => {
            return Err(malformed_request("the log has no ends, or too many"));
        }
        Some(log) => recovery_state::is_present_feed(tx, log.feed)? && are_stored(tx, device, &log.heads)?,
        None => ends_after_begin(tx, batch)? && !lacks_earlier_epoch(tx, device)?,
    };
    if has_returned {
        recovery_state::note_kiosk_returned(context, device)?;
    }
    Ok(())
}

/// The subject of the incident about an epoch that forked.
pub(super) fn fork_subject(of: Head) -> String {
    format!("log {} {}", of.device, to_epoch_column(of.epoch))
}

fn are_stored(tx: &Transaction<'_>, device: KioskId, heads: &[Head]) -> Result<bool, RequestError> {
    for head in heads {
        if head.device != device || hash_at(tx, *head)? != Some(head.hash) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a record of the batch is dated after the start of the recovery. All before it has arrived, of its epoch.
fn ends_after_begin(tx: &Transaction<'_>, batch: &RecordBatch) -> Result<bool, RequestError> {
    for wire in batch.records.iter().rev() {
        let record = wire.to_record().map_err(|_| malformed_request("a record of the batch is malformed"))?;
        if recovery_state::is_after_begin(tx, record.header.time)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the log names the end of an epoch, at the beginning of the next one, up to which the records have not arrived. An
/// epoch that forked cannot arrive: what only the kiosk has of it is stated again.
fn lacks_earlier_epoch(tx: &Transaction<'_>, device: KioskId) -> Result<bool, RequestError> {
    let mut first = tx.prepare("SELECT body FROM records WHERE device = ?1 AND seq = 1")?;
    let bodies = first.query_map([device.to_string()], |row| row.get(0))?;
    for body in bodies.collect::<rusqlite::Result<Vec<String>>>()? {
        let Ok(Entry::JournalOpened { previous: Some(end), .. }) = Entry::decode(body.as_bytes()) else {
            continue;
        };
        let end = Head { device, ..end };
        let is_fork: bool = tx.query_row(
            "SELECT EXISTS (SELECT 1 FROM disputes WHERE about = ?1)",
            params![fork_subject(end)],
            |row| row.get(0),
        )?;
        if !is_fork && stored_upto(tx, end)? < end.seq {
            return Ok(true);
        }
    }
    Ok(false)
}
