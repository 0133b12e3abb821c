//! Stores the records of kiosks: each once, in order, as they were hashed (I2, I7).
//!
//! A batch is stored if it continues the stored chain without a gap. Any other batch is answered with the sequence
//! number up to which the chain is stored, so that the kiosk sends again from there. A record whose body
//! is not understood is stored like any other and reported to the kiosk; it does not block later records.

use std::io::Read as _;

use contract::{BatchAck, Chain, Entry, Head, Header, ProblemCode, Record, RecordBatch, Refused, Window};
use rusqlite::{OptionalExtension as _, Transaction, params};

use crate::codes;
use crate::columns::{epoch, ms, text};
use crate::consents;
use crate::device::Device;
use crate::fail::{Fail, json, malformed};
use crate::marks;
use crate::platform::Turn;
use crate::schema::dispute;
use crate::wire::{Reply, Response};

/// Largest batch in bytes after decompression.
const BATCH_MAX: u64 = 4 * 1024 * 1024;
/// log2 of the largest zstd window in bytes, which bounds the memory for decompression.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
/// Window that each answer grants for the next batch.
const WINDOW: Window = Window { records: 256, bytes: 256 * 1024, after_ms: 0 };

/// `POST /v1/records`: verifies a batch and stores its new records.
pub(crate) fn take(context: &mut Turn<'_>, kiosk: &Device, body: &[u8]) -> Result<Reply, Fail> {
    let batch: RecordBatch = json(&unpacked(body)?)?;
    let (from, to) = (batch.from, batch.to.head);
    if (from.device, to.device) != (kiosk.id, kiosk.id) {
        return Err(malformed("the batch belongs to another kiosk than its sender"));
    }
    batch.to.verify(&kiosk.key).map_err(|_| malformed("the head's signature does not verify"))?;
    batch.check().map_err(|_| {
        malformed("the records of the batch are not one chain from its first head to its last")
    })?;

    let upto = stored_upto(context.tx, from)?;
    if from.seq > upto {
        return Ok(acknowledge(context, from, upto, Vec::new()));
    }
    let Some((refused, upto)) = append(context, &batch, upto)? else {
        return forked(context, from);
    };
    context.tx.execute(
        "INSERT INTO heads (device, epoch, seq, signature) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
        params![kiosk.id.to_string(), epoch(to.epoch), seq(to.seq)?, batch.to.signature.to_string()],
    )?;
    Ok(acknowledge(context, from, upto, refused))
}

fn unpacked(body: &[u8]) -> Result<Vec<u8>, Fail> {
    let bad = |_| malformed("the body is not zstd");
    let mut decoder = zstd::Decoder::new(body).map_err(bad)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(bad)?;
    let mut plain = Vec::new();
    decoder.take(BATCH_MAX + 1).read_to_end(&mut plain).map_err(bad)?;
    if u64::try_from(plain.len()).is_ok_and(|len| len <= BATCH_MAX) {
        Ok(plain)
    } else {
        Err(malformed("the batch is larger than the window that was granted"))
    }
}

/// Stores the new records of a batch. `None` when the batch conflicts with the stored chain (fork).
fn append(context: &Turn<'_>, batch: &RecordBatch, stored: u64) -> Result<Option<(Vec<Refused>, u64)>, Fail> {
    let mut chain = Chain::from_head(batch.from);
    if hash_at(context.tx, chain.head())? != Some(chain.head().hash) {
        return Ok(None);
    }
    let mut refused = Vec::new();
    for wire in &batch.records {
        let whole = |_| malformed("a record of the batch is malformed");
        let record = wire.to_record().map_err(whole)?;
        chain.push(&record.header, &record.commitment()).map_err(whole)?;
        let entry = Entry::decode(&record.body).ok().filter(|entry| entry.kind() == record.header.kind);
        if entry.is_none() {
            refused.push(Refused { seq: record.header.seq, code: ProblemCode::Malformed });
        }
        let head = chain.head();
        if head.seq > stored {
            store(context, &record, &wire.body, head, entry.is_some())?;
            if let Some(entry) = &entry {
                apply(context, &record.header, entry)?;
            }
        } else if hash_at(context.tx, head)? != Some(head.hash) {
            return Ok(None);
        }
    }
    Ok(Some((refused, stored.max(chain.head().seq))))
}

fn store(context: &Turn<'_>, record: &Record, body: &str, head: Head, understood: bool) -> Result<(), Fail> {
    context.tx.execute(
        "INSERT INTO records (device, epoch, seq, header, salt, body, hash, understood, received_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (device, epoch, seq) DO NOTHING",
        params![
            head.device.to_string(),
            epoch(head.epoch),
            seq(head.seq)?,
            record.header.encode(),
            record.salt,
            body,
            head.hash,
            understood,
            ms(context.now),
        ],
    )?;
    Ok(())
}

/// Applies a new record to the platform's other tables: receipts, used codes, revocations, consents.
fn apply(context: &Turn<'_>, header: &Header, entry: &Entry) -> rusqlite::Result<()> {
    let device = header.device;
    if let Entry::ReceiptPromised { receipt, content, .. } = entry {
        context.tx.execute(
            "INSERT INTO receipts (device, number, content) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            params![device.to_string(), receipt.number().replace(' ', ""), text(content)],
        )?;
    }
    marks::record(context.tx, &device.to_string(), entry, context.now)?;
    codes::revocations::compare(context.tx, header, entry, context.now)?;
    consents::record(context.tx, device, entry, context.now)
}

/// Refuses a batch that forks the stored chain, which means that records were changed. Nothing of the batch is stored;
/// an incident is recorded.
fn forked(context: &Turn<'_>, from: Head) -> Result<Reply, Fail> {
    let about = format!("log {} {}", from.device, epoch(from.epoch));
    dispute(
        context.tx,
        &about,
        "the kiosk sent records that contradict those already stored",
        ms(context.now),
    )?;
    let problem = ProblemCode::Malformed.because("the batch contradicts records already stored");
    Ok(Response::problem(&problem).into())
}

fn acknowledge(context: &Turn<'_>, of: Head, upto: u64, refused: Vec<Refused>) -> Reply {
    let (device, epoch) = (of.device, of.epoch);
    let ack = BatchAck { device, epoch, upto, refused, window: WINDOW, now: context.now };
    Response::json(&ack).into()
}

/// Sequence number up to which the chain is stored without a gap.
fn stored_upto(tx: &Transaction<'_>, of: Head) -> rusqlite::Result<u64> {
    let upto: Option<i64> = tx.query_row(
        "SELECT max(seq) FROM records WHERE device = ?1 AND epoch = ?2",
        params![of.device.to_string(), epoch(of.epoch)],
        |row| row.get(0),
    )?;
    Ok(upto.and_then(|upto| u64::try_from(upto).ok()).unwrap_or(0))
}

/// The stored hash of the chain at a sequence number; `None` if the chain is not stored that far.
fn hash_at(tx: &Transaction<'_>, point: Head) -> Result<Option<[u8; 32]>, Fail> {
    if point.seq == 0 {
        return Ok(Some(Chain::genesis(point.device, point.epoch).head().hash));
    }
    let hash = tx
        .query_row(
            "SELECT hash FROM records WHERE device = ?1 AND epoch = ?2 AND seq = ?3",
            params![point.device.to_string(), epoch(point.epoch), seq(point.seq)?],
            |row| row.get(0),
        )
        .optional()?;
    Ok(hash)
}

/// Converts a sequence number to a column value, which must be below 2⁶³.
fn seq(seq: u64) -> Result<i64, Fail> {
    i64::try_from(seq).map_err(|_| malformed("the sequence number is too large"))
}
