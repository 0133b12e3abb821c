//! Export of a kiosk's log, with all that a third party needs to verify it by public keys alone (I7).

use contract::{
    Chain, Head, KioskId, MissingRecords, ProblemCode, PublicKey, RecordBatch, SignedHead, WireRecord, to_hex,
};
use rusqlite::{Transaction, params};
use serde::{Deserialize, Serialize};

use crate::context::RequestContext;
use crate::messages::PlatformResponse;
use crate::peer_calls::PlatformReply;
use crate::request_error::RequestError;
use crate::store::columns::from_epoch_column;

/// Answer to `GET /v1/audit/{device}`.
///
/// To verify: each `batch` begins at [`Chain::genesis`], passes [`RecordBatch::verify_chain`], and its last head
/// is signed; each of `heads` is signed and lies on the chain.
#[derive(Serialize, Deserialize)]
pub struct KioskAudit {
    /// Id of the kiosk.
    pub device: KioskId,
    /// Public key that the platform has registered for the kiosk. A verifier compares it with a copy of its own.
    pub key: PublicKey,
    /// Epochs of the kiosk's log, oldest first: in the order in which they reached the platform.
    pub epochs: Vec<AuditedEpoch>,
}

/// One epoch (纪元) of a kiosk's log.
#[derive(Serialize, Deserialize)]
pub struct AuditedEpoch {
    /// Every record from the first on, up to the first that is missing or to the last signed head.
    pub batch: RecordBatch,
    /// The records after each gap, with the kiosk's statement that those in between no longer exist.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after_missing: Vec<RecordBatch>,
    /// Every signed head that came with the records.
    pub heads: Vec<SignedHead>,
}

pub(crate) fn export_audit(
    context: &RequestContext<'_>,
    device: &str,
) -> Result<PlatformReply, RequestError> {
    let registered = device.parse().ok().and_then(|id: KioskId| context.config.kiosks.get(&id));
    let registered = registered.ok_or_else(|| ProblemCode::NotOffered.into_problem("no such kiosk"))?;
    let mut known = context.tx.prepare(
        "SELECT epoch FROM heads WHERE device = ?1 GROUP BY epoch ORDER BY
         (SELECT min(received_ms) FROM records WHERE device = ?1 AND records.epoch = heads.epoch), epoch",
    )?;
    let stored = known.query_map([device], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
    let mut epochs = Vec::new();
    for epoch in stored {
        epochs.extend(audit_epoch(context.tx, registered.id, &epoch)?);
    }
    Ok(PlatformResponse::json(&KioskAudit { device: registered.id, key: registered.key.clone(), epochs })
        .into())
}

fn audit_epoch(tx: &Transaction<'_>, device: KioskId, epoch: &str) -> rusqlite::Result<Option<AuditedEpoch>> {
    let heads = signed_heads(tx, device, epoch)?;
    let genesis = Chain::genesis(device, from_epoch_column(epoch)?).head();
    let gaps = missing_records(tx, device, epoch)?;
    let starts =
        [(genesis, None)].into_iter().chain(gaps.into_iter().map(|(from, missing)| (from, Some(missing))));
    let mut runs = Vec::new();
    for (from, missing) in starts {
        let records = records_after(tx, from, epoch)?;
        let last = from.seq.saturating_add(u64::try_from(records.len()).unwrap_or(u64::MAX));
        // Each batch ended with a signed head.
        let to = heads.iter().rfind(|signed| (from.seq..=last).contains(&signed.head.seq)).copied();
        runs.extend(to.map(|to| RecordBatch { from, records, to, missing, log: None }));
    }
    let mut runs = runs.into_iter();
    Ok(runs.next().map(|batch| AuditedEpoch { batch, after_missing: runs.collect(), heads }))
}

/// The records after this head that follow each other: up to the next gap, or to the last.
fn records_after(tx: &Transaction<'_>, from: Head, epoch: &str) -> rusqlite::Result<Vec<WireRecord>> {
    let mut all = tx.prepare(
        "SELECT header, salt, body FROM records WHERE device = ?1 AND epoch = ?2 AND seq > ?3 AND seq <=
         (SELECT coalesce(min(last_seq), 9223372036854775807) FROM missing_records
          WHERE device = ?1 AND epoch = ?2 AND last_seq > ?3) ORDER BY seq",
    )?;
    let from_seq = i64::try_from(from.seq).unwrap_or(i64::MAX);
    all.query_map(params![from.device.to_string(), epoch, from_seq], |row| {
        Ok(WireRecord {
            header: to_hex(&row.get::<_, Vec<u8>>(0)?),
            salt: to_hex(&row.get::<_, Vec<u8>>(1)?),
            body: row.get(2)?,
        })
    })?
    .collect()
}

/// The kiosk's statements about missing records, each with the head after them.
fn missing_records(
    tx: &Transaction<'_>,
    device: KioskId,
    epoch: &str,
) -> rusqlite::Result<Vec<(Head, MissingRecords)>> {
    let number = from_epoch_column(epoch)?;
    let mut stated = tx.prepare(
        "SELECT after_seq, last_seq, hash, signature FROM missing_records WHERE device = ?1 AND epoch = ?2
         ORDER BY last_seq",
    )?;
    let seq = |value: i64| u64::try_from(value).unwrap_or(0);
    let rows = stated.query_map(params![device.to_string(), epoch], |row| {
        let head = Head { device, epoch: number, seq: seq(row.get(1)?), hash: row.get(2)? };
        let (after, signature): (u64, String) = (seq(row.get(0)?), row.get(3)?);
        Ok(signature.parse().ok().map(|signature| (head, MissingRecords { after, signature })))
    })?;
    Ok(rows.collect::<rusqlite::Result<Vec<_>>>()?.into_iter().flatten().collect())
}

fn signed_heads(tx: &Transaction<'_>, device: KioskId, epoch: &str) -> rusqlite::Result<Vec<SignedHead>> {
    let number = from_epoch_column(epoch)?;
    // The genesis head has no record from which its hash could be read; that at the end of a gap has a statement.
    let genesis = Chain::genesis(device, number).head().hash;
    let mut signed = tx.prepare(
        "SELECT heads.seq, coalesce(records.hash, missing_records.hash), heads.signature FROM heads
         LEFT JOIN records USING (device, epoch, seq)
         LEFT JOIN missing_records ON missing_records.device = heads.device
             AND missing_records.epoch = heads.epoch AND missing_records.last_seq = heads.seq
         WHERE heads.device = ?1 AND heads.epoch = ?2 ORDER BY heads.seq",
    )?;
    let rows = signed.query_map(params![device.to_string(), epoch], |row| {
        let hash = row.get::<_, Option<[u8; 32]>>(1)?.unwrap_or(genesis);
        let signature: String = row.get(2)?;
        let head =
            Head { device, epoch: number, seq: u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0), hash };
        Ok(signature.parse().ok().map(|signature| SignedHead { head, signature }))
    })?;
    Ok(rows.collect::<rusqlite::Result<Vec<_>>>()?.into_iter().flatten().collect())
}
