//! What the database knows of its own generation, and how far its recovery is.

use contract::{EntropySource, Entry, KioskId, ProblemCode, RecordHeader, UnixMs};
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use crate::context::{PlatformConfig, RequestContext};
use crate::request_error::RequestError;
use crate::store::columns::{from_ms_column, to_json_column, to_ms_column};

/// Time after which an operator may confirm that recovery ends without the logs of the kiosks that have not returned.
pub(crate) const KIOSKS_DEADLINE_MS: u64 = 2 * 60 * 60 * 1000;
/// The acquirer's list is read from this long before the backup: the clocks of two organisations differ.
const LIST_MARGIN_MS: u64 = 24 * 60 * 60 * 1000;

/// Generation with which the database was last in use. Behind [`TARGET`] while it recovers.
const GENERATION: &str = "generation";
/// Generation that the database has when it is recovered.
const TARGET: &str = "target";
/// Epoch of the feed. Drawn again after each restore: a feed that was restored can catch up with a cursor of the one before.
const FEED_EPOCH: &str = "feed-epoch";
/// Time of the backup that the database comes from.
pub(crate) const BACKUP_MS: &str = "backup-ms";
/// Start of the recovery.
const BEGUN_MS: &str = "recovery-begun-ms";
/// Place in the acquirer's list up to which it is read.
pub(crate) const LIST_AFTER: &str = "recovery-list-after";
/// Time of the next request for the list.
pub(crate) const LIST_NEXT_MS: &str = "recovery-list-next-ms";
/// Time at which the whole list was read.
pub(crate) const LISTED_MS: &str = "recovery-listed-ms";
/// Time at which an operator confirmed to go on without the missing kiosks.
const CONFIRMED_MS: &str = "recovery-confirmed-ms";

pub(crate) fn read(db: &Connection, name: &str) -> rusqlite::Result<Option<i64>> {
    db.query_row("SELECT value FROM database_state WHERE name = ?1", [name], |row| row.get(0)).optional()
}

pub(crate) fn write(db: &Connection, name: &str, value: i64) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO database_state (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2",
        params![name, value],
    )?;
    Ok(())
}

/// Compares the generation of the database with the one that is kept outside of it, and begins a recovery where the database
/// is not the one that was last in use. Returns the generation to be kept outside.
///
/// A new database without a file begins with 1. A file without a database, or a database without its file, is a recovery.
pub(crate) fn compare_generation(tx: &Transaction<'_>, kept: Option<u64>) -> rusqlite::Result<u64> {
    let kept = kept.map(|kept| i64::try_from(kept).unwrap_or(i64::MAX));
    let (generation, target) = match (read(tx, GENERATION)?, kept) {
        (None, None) => (1, 1),
        (None, Some(kept)) => (0, kept.max(1)),
        (Some(stored), Some(kept)) if kept >= stored => (stored, kept),
        // Above the target of a recovery that the copy was made in: that one says nothing about this database.
        (Some(stored), Some(_) | None) => {
            (stored, stored.max(read(tx, TARGET)?.unwrap_or(0)).saturating_add(1))
        }
    };
    if generation != target && read(tx, TARGET)? != Some(target) {
        // The progress of an earlier recovery, or of one that a backup was made in, says nothing about this one.
        tx.execute("DELETE FROM database_state WHERE name LIKE 'recovery-%'", [])?;
        tx.execute("DELETE FROM database_state WHERE name = ?1", [FEED_EPOCH])?;
        tx.execute_batch("DELETE FROM recovered_kiosks; DELETE FROM recovery_orders;")?;
    }
    write(tx, GENERATION, generation)?;
    write(tx, TARGET, target)?;
    Ok(u64::try_from(target).unwrap_or(1))
}

/// The highest generation that the database knows of; 0 for a database of a version without generations.
pub(crate) fn generation(db: &Connection) -> rusqlite::Result<u64> {
    let known: bool = db.query_row(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'database_state')",
        [],
        |row| row.get(0),
    )?;
    let highest = if known { read(db, GENERATION)?.max(read(db, TARGET)?) } else { None };
    Ok(highest.and_then(|highest| u64::try_from(highest).ok()).unwrap_or(0))
}

/// The highest generation that a database knows of; `None` for a new one.
pub(crate) fn highest_generation(db: &Connection) -> rusqlite::Result<Option<u64>> {
    generation(db).map(|generation| Some(generation).filter(|generation| *generation > 0))
}

/// The epoch of the feed; drawn at the first request after the database was created or restored.
pub(crate) fn feed_epoch(tx: &Transaction<'_>, entropy: &mut EntropySource) -> rusqlite::Result<u64> {
    if let Some(epoch) = read(tx, FEED_EPOCH)?.and_then(|epoch| u64::try_from(epoch).ok()) {
        return Ok(epoch);
    }
    // Below 2^53, so that every JSON reader keeps it as it is.
    let epoch = entropy.next_u128() & ((1 << 53) - 1);
    let epoch = i64::try_from(epoch).unwrap_or(0);
    write(tx, FEED_EPOCH, epoch)?;
    Ok(u64::try_from(epoch).unwrap_or(0))
}

/// Whether the database was restored and is not recovered yet.
pub(crate) fn is_recovering(db: &Connection) -> rusqlite::Result<bool> {
    Ok(read(db, GENERATION)? != read(db, TARGET)?)
}

/// Whether the database was restored at any time: an order that it does not know may still be known to the acquirer.
pub(crate) fn was_restored(db: &Connection) -> rusqlite::Result<bool> {
    Ok(read(db, TARGET)?.is_some_and(|target| target > 1) || is_recovering(db)?)
}

/// Refuses what a platform that recovers must not decide; kiosks, desks and phones take it for temporary.
pub(crate) fn refuse_while_recovering(context: &RequestContext<'_>) -> Result<(), RequestError> {
    if is_recovering(context.tx)? {
        let title = "the platform was restored from a backup: no charges, bindings, card changes and disclosures until it has recovered";
        return Err(ProblemCode::Unavailable.into_problem(title).into());
    }
    Ok(())
}

/// Begins the recovery if it is due, and returns its start; `None` if there is nothing to recover.
pub(crate) fn begin(tx: &Transaction<'_>, now: UnixMs) -> rusqlite::Result<Option<UnixMs>> {
    if !is_recovering(tx)? {
        return Ok(None);
    }
    // A start in the future was noted by a clock that was ahead: no record would ever be newer.
    if let Some(begun) = read(tx, BEGUN_MS)?.filter(|begun| *begun <= to_ms_column(now)) {
        return Ok(Some(from_ms_column(begun)));
    }
    write(tx, BEGUN_MS, to_ms_column(now))?;
    tracing::warn!(
        "the database was restored from a backup: no charges, bindings and card changes until it has recovered"
    );
    Ok(Some(now))
}

/// Ends the recovery if all of it is done.
pub(crate) fn end_if_done(tx: &Transaction<'_>, config: &PlatformConfig) -> rusqlite::Result<()> {
    let progress = RecoveryProgress::read(tx, config)?;
    let Some(progress) = progress else { return Ok(()) };
    let kiosks_done = progress.kiosks_missing.is_empty() || read(tx, CONFIRMED_MS)?.is_some();
    if progress.listed && kiosks_done && progress.orders_open == 0 {
        let target = read(tx, TARGET)?.unwrap_or(1);
        write(tx, GENERATION, target)?;
        let missing = progress.kiosks_missing.len();
        tracing::warn!(missing, "recovery has ended: charges, bindings and card changes are accepted again");
    }
    Ok(())
}

/// The time from which the acquirer's list is read.
pub(crate) fn list_since(tx: &Transaction<'_>) -> rusqlite::Result<UnixMs> {
    // Without the time of a backup, as after a copy by hand: all of it.
    let backup = read(tx, BACKUP_MS)?.map_or(UnixMs(0), from_ms_column);
    Ok(UnixMs(backup.0.saturating_sub(LIST_MARGIN_MS)))
}

/// Notes a record of a kiosk's log that was stored while the platform recovers: an order that is not known here must have an
/// outcome first.
pub(crate) fn note_record(
    context: &RequestContext<'_>,
    header: &RecordHeader,
    entry: &Entry,
) -> rusqlite::Result<()> {
    if !is_recovering(context.tx)? {
        return Ok(());
    }
    if let Entry::OrderCreated { order, .. } = entry {
        context.tx.execute(
            "INSERT INTO recovery_orders ([order], device, next_ms)
             SELECT ?1, ?2, ?3 WHERE NOT EXISTS (SELECT 1 FROM orders WHERE [order] = ?1)
             ON CONFLICT DO NOTHING",
            params![order.to_string(), to_json_column(&header.device), to_ms_column(context.now)],
        )?;
    }
    Ok(())
}

/// Whether a kiosk that states the ends of its log knew this feed, and so wrote after the restore.
pub(crate) fn is_present_feed(tx: &Transaction<'_>, feed: u64) -> rusqlite::Result<bool> {
    Ok(read(tx, FEED_EPOCH)?.is_some_and(|epoch| u64::try_from(epoch) == Ok(feed)))
}

/// Whether a record of this time was made after the start of the recovery.
pub(crate) fn is_after_begin(tx: &Transaction<'_>, time: UnixMs) -> rusqlite::Result<bool> {
    Ok(read(tx, BEGUN_MS)?.is_some_and(|begun| to_ms_column(time) >= begun))
}

/// Notes that the whole log of a kiosk has arrived since the restore.
pub(crate) fn note_kiosk_returned(context: &RequestContext<'_>, device: KioskId) -> rusqlite::Result<()> {
    context.tx.execute(
        "INSERT INTO recovered_kiosks (device, uploaded_ms) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        params![device.to_string(), to_ms_column(context.now)],
    )?;
    Ok(())
}

/// How far a recovery is.
pub(crate) struct RecoveryProgress {
    /// Whether the acquirer's list was read to its end.
    pub(crate) listed: bool,
    /// Registered kiosks whose log has not arrived.
    pub(crate) kiosks_missing: Vec<KioskId>,
    /// Orders of kiosks' logs whose outcome is not known here.
    pub(crate) orders_open: i64,
}

impl RecoveryProgress {
    /// The progress; `None` if the platform does not recover.
    pub(crate) fn read(db: &Connection, config: &PlatformConfig) -> rusqlite::Result<Option<Self>> {
        if !is_recovering(db)? {
            return Ok(None);
        }
        db.execute("DELETE FROM recovery_orders WHERE [order] IN (SELECT [order] FROM orders)", [])?;
        let mut returned = db.prepare("SELECT EXISTS (SELECT 1 FROM recovered_kiosks WHERE device = ?1)")?;
        let mut kiosks_missing = Vec::new();
        for kiosk in config.kiosks.keys() {
            if !returned.query_row([kiosk.to_string()], |row| row.get::<_, bool>(0))? {
                kiosks_missing.push(*kiosk);
            }
        }
        Ok(Some(Self {
            listed: read(db, LISTED_MS)?.is_some(),
            kiosks_missing,
            orders_open: db.query_row("SELECT count(*) FROM recovery_orders", [], |row| row.get(0))?,
        }))
    }
}

/// Why an operator cannot confirm the end of a recovery.
#[derive(Debug, thiserror::Error)]
pub enum ConfirmRecoveryError {
    /// The platform does not recover.
    #[error(
        "the platform does not recover, or has not started since the restore: there is nothing to confirm"
    )]
    NotRecovering,
    /// The deadline of the kiosks has not passed.
    #[error(
        "kiosks have until {0} milliseconds since 1970 to send their logs: wait, or remove a kiosk that is out of service from the file of kiosks"
    )]
    TooEarly(u64),
    /// The database cannot be read or written.
    #[error("cannot read or write the database")]
    Database(#[from] rusqlite::Error),
}

/// Confirms that the recovery ends without the logs of the kiosks that have not returned. The platform may run.
///
/// # Errors
/// [`ConfirmRecoveryError`].
pub fn confirm_recovery(db: &Connection, now: UnixMs) -> Result<(), ConfirmRecoveryError> {
    let begun = read(db, BEGUN_MS)?.filter(|_| is_recovering(db).unwrap_or(false));
    let begun = from_ms_column(begun.ok_or(ConfirmRecoveryError::NotRecovering)?);
    let deadline = begun.plus_ms(KIOSKS_DEADLINE_MS);
    if now < deadline {
        return Err(ConfirmRecoveryError::TooEarly(deadline.0));
    }
    Ok(write(db, CONFIRMED_MS, to_ms_column(now))?)
}
