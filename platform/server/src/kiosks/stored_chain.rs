//! What the platform has of a kiosk's chain.

use contract::{Chain, Head};
use rusqlite::{OptionalExtension as _, Transaction, params};

use crate::request_error::{RequestError, malformed_request};
use crate::store::columns::to_epoch_column;

/// Sequence number up to which the chain is stored without a gap that the kiosk has not stated.
pub(super) fn stored_upto(tx: &Transaction<'_>, of: Head) -> rusqlite::Result<u64> {
    let upto: Option<i64> = tx.query_row(
        "SELECT max(seq) FROM (SELECT max(seq) AS seq FROM records WHERE device = ?1 AND epoch = ?2 UNION ALL
         SELECT max(last_seq) FROM missing_records WHERE device = ?1 AND epoch = ?2)",
        params![of.device.to_string(), to_epoch_column(of.epoch)],
        |row| row.get(0),
    )?;
    Ok(upto.and_then(|upto| u64::try_from(upto).ok()).unwrap_or(0))
}

/// The stored hash of the chain at a sequence number; `None` if the chain is not stored there. After missing records it is
/// the hash that the kiosk stated.
pub(super) fn hash_at(tx: &Transaction<'_>, point: Head) -> Result<Option<[u8; 32]>, RequestError> {
    if point.seq == 0 {
        return Ok(Some(Chain::genesis(point.device, point.epoch).head().hash));
    }
    let hash = tx
        .query_row(
            "SELECT hash FROM records WHERE device = ?1 AND epoch = ?2 AND seq = ?3 UNION ALL
             SELECT hash FROM missing_records WHERE device = ?1 AND epoch = ?2 AND last_seq = ?3",
            params![point.device.to_string(), to_epoch_column(point.epoch), seq_column(point.seq)?],
            |row| row.get(0),
        )
        .optional()?;
    Ok(hash)
}

/// Converts a sequence number to a column value, which must be below 2⁶³.
pub(super) fn seq_column(seq: u64) -> Result<i64, RequestError> {
    i64::try_from(seq).map_err(|_| malformed_request("the sequence number is too large"))
}
