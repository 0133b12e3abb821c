//! Used-code records (已用码记录): detects one code used in two places (I5).
//!
//! Without a link, each kiosk knows only the codes that were shown to itself, and the platform only the codes that it was
//! asked about. A code that was accepted in two places is detected when the kiosks' records arrive. The admission cannot
//! be undone then, so an incident is recorded for the operator. A second use that is detected in time is refused.

use contract::{CodeHolder, Entry, UnixMs};
use resident_code::Alias;
use rusqlite::{OptionalExtension as _, Transaction, params};

use crate::incidents::record_incident;
use crate::store::columns::{ms_column_before, to_ms_column};

/// Retention of used-code records in milliseconds: the longest time without a link after which records are still
/// compared.
const RETENTION_MS: u64 = 400 * 24 * 60 * 60 * 1000;
/// Retention of used time steps of offline codes in milliseconds; no verifier accepts such a code for longer.
const USED_STEP_RETENTION_MS: u64 = 24 * 60 * 60 * 1000;

/// Stores a kiosk's record of a code that the kiosk verified itself, and compares it with the uses at other places.
pub(crate) fn record_kiosk_use(
    tx: &Transaction<'_>,
    device: &str,
    entry: &Entry,
    now: UnixMs,
) -> rusqlite::Result<()> {
    let Entry::CodeVerified { visit, holder, time_step: Some(slot), until, offline } = entry else {
        return Ok(());
    };
    delete_expired(tx, now)?;
    tx.execute(
        "INSERT INTO code_marks (device, holder, slot, visit, until_ms, offline)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET visit = ?4, offline = ?6",
        params![device, holder.to_string(), slot, visit.to_string(), to_ms_column(*until), offline],
    )?;
    if let Some(other) = used_at_other_place(tx, device, *holder, *slot)? {
        let what = format!("one code was accepted at {other} and at {device}: one of them was shown a copy");
        record_incident(tx, &format!("code {holder}/{slot}"), &what, to_ms_column(now))?;
    }
    Ok(())
}

/// A time step of an offline code, as it was shown to the platform.
#[derive(Clone, Copy)]
pub(crate) struct ShownTimeStep {
    /// Row key of the holder.
    pub(crate) resident: i64,
    /// Alias of the holder in the code.
    pub(crate) alias: Alias,
    /// Number of the time step in the code's session.
    pub(crate) time_step: u16,
}

/// Whether a time step was used before.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeStepUse {
    /// This is the first use.
    First,
    /// The platform consumed it before.
    Repeated,
    /// It was used at another place.
    AtOtherPlace,
}

/// Consumes a time step of an offline code that the platform verifies for this place. `consumer`: the place and, at a
/// kiosk, the visit.
///
/// `code_marks` also has the uses that kiosks accepted themselves; `code_moments` has those that the platform consumed.
pub(crate) fn consume_time_step(
    tx: &Transaction<'_>,
    shown: ShownTimeStep,
    place: &str,
    consumer: &str,
    now: UnixMs,
) -> rusqlite::Result<TimeStepUse> {
    let ShownTimeStep { resident, alias, time_step } = shown;
    let holder = CodeHolder::from_alias(&alias.0);
    delete_expired(tx, now)?;
    if used_at_other_place(tx, place, holder, time_step)?.is_some() {
        return Ok(TimeStepUse::AtOtherPlace);
    }
    tx.execute(
        "INSERT INTO code_marks (device, holder, slot, visit, until_ms, offline)
         VALUES (?1, ?2, ?3, '', ?4, 0) ON CONFLICT DO NOTHING",
        params![place, holder.to_string(), time_step, to_ms_column(now)],
    )?;
    tx.execute("DELETE FROM code_moments WHERE until_ms < ?1", [to_ms_column(now)])?;
    let until = to_ms_column(now.plus_ms(USED_STEP_RETENTION_MS));
    let inserted = tx.execute(
        "INSERT INTO code_moments (resident, alias, slot, used_by, until_ms) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (alias, slot) DO NOTHING",
        params![resident, alias.0, time_step, consumer, until],
    )?;
    Ok(if inserted == 1 { TimeStepUse::First } else { TimeStepUse::Repeated })
}

fn delete_expired(tx: &Transaction<'_>, now: UnixMs) -> rusqlite::Result<()> {
    tx.execute("DELETE FROM code_marks WHERE until_ms < ?1", [ms_column_before(now, RETENTION_MS)]).map(drop)
}

/// Another place where this code was used, if any.
fn used_at_other_place(
    tx: &Transaction<'_>,
    place: &str,
    holder: CodeHolder,
    slot: u16,
) -> rusqlite::Result<Option<String>> {
    tx.query_row(
        "SELECT device FROM code_marks WHERE holder = ?1 AND slot = ?2 AND device <> ?3 ORDER BY device",
        params![holder.to_string(), slot, place],
        |row| row.get(0),
    )
    .optional()
}
