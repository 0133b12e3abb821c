//! Stores the records of kiosks: each once, in order, as they were hashed (I2, I7).
//!
//! A batch is stored if it continues the stored chain without a gap, or if the kiosk states by its signature that the records
//! in between no longer exist. Any other batch is answered with the sequence number up to which the chain is stored, so
//! that the kiosk sends again from there. A record whose body is not understood is stored like any other and reported to
//! the kiosk; it does not block later records. Records that contradict stored ones are not stored: the kiosk begins a new
//! epoch.

use std::io::Read as _;

use contract::{
    BatchAck, Chain, Entry, Head, MissingRecords, ProblemCode, Record, RecordBatch, RecordHeader,
    RefusedRecord, UploadWindow, to_hex,
};
use rusqlite::params;

use crate::acts;
use crate::codes::{revocations, used_codes};
use crate::config::kiosks::RegisteredKiosk;
use crate::consents;
use crate::context::RequestContext;
use crate::incidents::record_incident;
use crate::kiosks::log_ends;
use crate::kiosks::stored_chain::{hash_at, seq_column, stored_upto};
use crate::messages::PlatformResponse;
use crate::payments::unreported_orders;
use crate::peer_calls::PlatformReply;
use crate::recovery_state;
use crate::request_error::{RequestError, malformed_request, parse_body};
use crate::store::columns::{to_epoch_column, to_json_column, to_ms_column};
use crate::submissions::inbox::take_submission;

/// Largest batch in bytes after decompression.
const BATCH_MAX: u64 = 4 * 1024 * 1024;
/// log2 of the largest zstd window in bytes, which bounds the memory for decompression.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
/// Window that each answer grants for the next batch.
const WINDOW: UploadWindow = UploadWindow { records: 256, bytes: 256 * 1024, after_ms: 0 };

/// `POST /v1/records`: verifies a batch and stores its new records.
pub(crate) fn accept_batch(
    context: &mut RequestContext<'_>,
    kiosk: &RegisteredKiosk,
    body: &[u8],
) -> Result<PlatformReply, RequestError> {
    let batch: RecordBatch = parse_body(&decompress_batch(body)?)?;
    let (from, to) = (batch.from, batch.to.head);
    if (from.device, to.device) != (kiosk.id, kiosk.id) {
        return Err(malformed_request("the batch belongs to another kiosk than its sender"));
    }
    batch.to.verify(&kiosk.key).map_err(|_| malformed_request("the head's signature does not verify"))?;
    batch.verify_chain().map_err(|_| {
        malformed_request("the records of the batch are not one chain from its first head to its last")
    })?;

    let upto = stored_upto(context.tx, from)?;
    let upto = match batch.missing {
        Some(missing) if from.seq > upto && missing.after <= upto => {
            missing
                .verify(from, &kiosk.key)
                .map_err(|_| malformed_request("the statement about missing records does not verify"))?;
            store_missing(context, from, upto, &missing)?;
            from.seq
        }
        Some(_) | None if from.seq > upto => return acknowledge(context, from, upto, Vec::new(), false),
        Some(_) | None => upto,
    };
    let (refused, upto) = match append_new_records(context, &batch, upto)? {
        Appended::Stored { refused, upto } => (refused, upto),
        Appended::Forked { common } => return report_fork(context, from, common),
    };
    context.tx.execute(
        "INSERT INTO heads (device, epoch, seq, signature) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
        params![
            kiosk.id.to_string(),
            to_epoch_column(to.epoch),
            seq_column(to.seq)?,
            batch.to.signature.to_string()
        ],
    )?;
    log_ends::note_return(context, &batch)?;
    acknowledge(context, from, upto, refused, false)
}

fn decompress_batch(body: &[u8]) -> Result<Vec<u8>, RequestError> {
    let bad = |_| malformed_request("the body is not zstd");
    let mut decoder = zstd::Decoder::new(body).map_err(bad)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(bad)?;
    let mut plain = Vec::new();
    decoder.take(BATCH_MAX + 1).read_to_end(&mut plain).map_err(bad)?;
    if u64::try_from(plain.len()).is_ok_and(|len| len <= BATCH_MAX) {
        Ok(plain)
    } else {
        Err(malformed_request("the batch is larger than the window that was granted"))
    }
}

/// What became of the records of a batch.
enum Appended {
    /// They are stored.
    Stored { refused: Vec<RefusedRecord>, upto: u64 },
    /// They conflict with the stored chain; both have the same records up to this one, as far as the batch shows.
    Forked { common: u64 },
}

/// Stores the new records of a batch.
fn append_new_records(
    context: &RequestContext<'_>,
    batch: &RecordBatch,
    stored: u64,
) -> Result<Appended, RequestError> {
    let mut chain = Chain::from_head(batch.from);
    if hash_at(context.tx, chain.head())? != Some(chain.head().hash) {
        return Ok(Appended::Forked { common: 0 });
    }
    let mut refused = Vec::new();
    for wire in &batch.records {
        let whole = |_| malformed_request("a record of the batch is malformed");
        let record = wire.to_record().map_err(whole)?;
        chain.push(&record.header, &record.commitment()).map_err(whole)?;
        let entry = Entry::decode(&record.body).ok().filter(|entry| entry.kind() == record.header.kind);
        if entry.is_none() {
            refused.push(RefusedRecord { seq: record.header.seq, code: ProblemCode::Malformed });
        }
        let head = chain.head();
        if head.seq > stored {
            store_record(context, &record, &wire.body, head, entry.is_some())?;
            if let Some(entry) = &entry {
                apply_entry(context, &record.header, entry)?;
            }
        } else if hash_at(context.tx, head)? != Some(head.hash) {
            return Ok(Appended::Forked { common: head.seq.saturating_sub(1) });
        }
    }
    Ok(Appended::Stored { refused, upto: stored.max(chain.head().seq) })
}

/// Stores the kiosk's statement that records no longer exist, as it was signed: the platform may have more of them. The operator must know it: they are evidence that is lost.
fn store_missing(
    context: &RequestContext<'_>,
    from: Head,
    upto: u64,
    missing: &MissingRecords,
) -> Result<(), RequestError> {
    let (device, epoch) = (from.device.to_string(), to_epoch_column(from.epoch));
    context.tx.execute(
        "INSERT INTO missing_records (device, epoch, after_seq, last_seq, hash, signature)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
        params![
            device,
            epoch,
            seq_column(missing.after)?,
            seq_column(from.seq)?,
            from.hash,
            missing.signature.to_string()
        ],
    )?;
    let about = format!("log {device} {epoch} after {upto}");
    record_incident(
        context.tx,
        &about,
        "the kiosk states that records of its log no longer exist",
        to_ms_column(context.now),
    )?;
    Ok(())
}

fn store_record(
    context: &RequestContext<'_>,
    record: &Record,
    body: &str,
    head: Head,
    understood: bool,
) -> Result<(), RequestError> {
    context.tx.execute(
        "INSERT INTO records (device, epoch, seq, header, salt, body, hash, understood, received_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (device, epoch, seq) DO NOTHING",
        params![
            head.device.to_string(),
            to_epoch_column(head.epoch),
            seq_column(head.seq)?,
            record.header.encode(),
            record.salt,
            body,
            head.hash,
            understood,
            to_ms_column(context.now),
        ],
    )?;
    Ok(())
}

/// Applies a new record to the platform's other tables: receipts, submissions, reported orders, used codes, revocations, consents.
fn apply_entry(context: &RequestContext<'_>, header: &RecordHeader, entry: &Entry) -> rusqlite::Result<()> {
    let device = header.device;
    recovery_state::note_record(context, header, entry)?;
    if let Entry::Restated { time, record, .. } = entry {
        // As it would have been applied when it was first recorded.
        return apply_entry(context, &RecordHeader { time: *time, ..*header }, record);
    }
    if let Entry::ReceiptIssued { receipt, content, .. } = entry {
        context.tx.execute(
            "INSERT INTO receipts_by_id (receipt, device, content) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            params![receipt.to_string(), device.to_string(), to_json_column(content)],
        )?;
    }
    take_submission(context.tx, header, entry, context.now)?;
    unreported_orders::note_record(context, device, entry)?;
    used_codes::record_kiosk_use(context.tx, &device.to_string(), entry, context.now)?;
    acts::compare_with_record(context.tx, device, entry, context.now)?;
    revocations::compare_admission(context.tx, header, entry, context.now)?;
    consents::kiosk::record_consent(context.tx, device, entry, context.now)
}

/// Reports that a batch forks the stored chain. Nothing of the batch is stored, and an incident is recorded: records were
/// changed, or the kiosk's disk was restored from a copy.
fn report_fork(context: &RequestContext<'_>, from: Head, common: u64) -> Result<PlatformReply, RequestError> {
    record_incident(
        context.tx,
        &log_ends::fork_subject(from),
        "the kiosk sent records that contradict those already stored",
        to_ms_column(context.now),
    )?;
    acknowledge(context, from, common, Vec::new(), true)
}

fn acknowledge(
    context: &RequestContext<'_>,
    of: Head,
    upto: u64,
    refused: Vec<RefusedRecord>,
    forked: bool,
) -> Result<PlatformReply, RequestError> {
    let (device, epoch) = (of.device, of.epoch);
    let hash = hash_at(context.tx, Head { seq: upto, ..of })?.map(|hash| to_hex(&hash));
    let ack = BatchAck { device, epoch, upto, hash, forked, refused, window: WINDOW, now: context.now };
    Ok(PlatformResponse::json(&ack).into())
}
