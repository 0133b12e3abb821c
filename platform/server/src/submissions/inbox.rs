//! Submissions in the records of kiosks.

use contract::{CodeHolder, Entry, Pseudonym, RecordHeader, UnixMs};
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::state::SubmissionState;
use crate::incidents::record_incident;
use crate::store::columns::{to_json_column, to_ms_column};

/// Takes a submission from its record. A record that comes again, as after a restore, is the same submission.
pub(crate) fn take_submission(
    tx: &Transaction<'_>,
    header: &RecordHeader,
    entry: &Entry,
    now: UnixMs,
) -> rusqlite::Result<()> {
    let Entry::Submitted {
        submission, resident, service, version, call, sealed, hash, level, offline, ..
    } = entry
    else {
        return Ok(());
    };
    let device = header.device.to_string();
    let resident = resident_of(tx, &device, *resident)?;
    if resident.is_none() {
        let what = "a submission names a resident whom this database does not know, as after a restore: the department knows them from \
                    what is sealed, but they do not see its state at kiosks";
        record_incident(tx, &format!("submission {submission}"), what, to_ms_column(now))?;
    }
    tx.execute(
        "INSERT INTO submissions (resident, submission, device, service, version, operation, sealed, hash, level, offline,
             recorded_ms, state, next_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) ON CONFLICT (submission) DO NOTHING",
        params![
            resident,
            submission.to_string(),
            device,
            service,
            version,
            call,
            sealed,
            hash,
            to_json_column(level),
            offline,
            to_ms_column(header.time),
            SubmissionState::Queued.name(),
            to_ms_column(now),
        ],
    )?;
    Ok(())
}

/// The resident whom a kiosk's records name so: by the pseudonym that the platform drew, or by the holder of a code that the kiosk
/// verified itself.
fn resident_of(tx: &Transaction<'_>, device: &str, pseudonym: Pseudonym) -> rusqlite::Result<Option<i64>> {
    let drawn = tx
        .query_row(
            "SELECT resident FROM pseudonyms WHERE device = ?1 AND pseudonym = ?2",
            params![device, to_json_column(&pseudonym)],
            |row| row.get(0),
        )
        .optional()?;
    match (drawn, holder_of(pseudonym)) {
        (None, Some(holder)) => tx
            .query_row("SELECT resident FROM code_aliases WHERE holder = ?1", [holder.to_string()], |row| {
                row.get(0)
            })
            .optional(),
        (drawn, _) => Ok(drawn),
    }
}

/// The holder that a pseudonym was derived from, if it was: see [`Pseudonym::from_holder`].
fn holder_of(pseudonym: Pseudonym) -> Option<CodeHolder> {
    let text = pseudonym.to_string();
    let holder: CodeHolder = text.get(16..)?.parse().ok()?;
    (Pseudonym::from_holder(holder) == pseudonym).then_some(holder)
}
