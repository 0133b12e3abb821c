//! One code in two places (I5). Without a link each kiosk knows only what was shown to itself, and the platform only what
//! it was asked. What was let in twice shows here when the records have come. Nothing can be undone by then: a person of
//! the operator looks at it. What shows sooner is refused.

use contract::{CodeHolder, Entry, UnixMs};
use rusqlite::{OptionalExtension as _, Transaction, params};

use crate::columns::{before, ms};
use crate::schema::dispute;

/// Records may come this late and still be compared: as long as the longest time without a link.
const KEPT_MS: u64 = 400 * 24 * 60 * 60 * 1000;

/// A kiosk's record came; of a code that it verified by itself, it is kept and compared with those of others.
pub(crate) fn record(tx: &Transaction<'_>, device: &str, entry: &Entry, now: UnixMs) -> rusqlite::Result<()> {
    let Entry::CodeVerified { visit, holder, slot: Some(slot), until, offline } = entry else {
        return Ok(());
    };
    forget(tx, now)?;
    tx.execute(
        "INSERT INTO code_marks (device, holder, slot, visit, until_ms, offline)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET visit = ?4, offline = ?6",
        params![device, holder.to_string(), slot, visit.to_string(), ms(*until), offline],
    )?;
    if let Some(other) = elsewhere(tx, device, *holder, *slot)? {
        let what = format!("one code was let in at {other} and at {device}: one of them saw a picture of it");
        dispute(tx, &format!("code {holder}/{slot}"), &what, ms(now))?;
    }
    Ok(())
}

/// The platform itself is asked about a code in this place; false when it was let in elsewhere already.
pub(crate) fn ask(
    tx: &Transaction<'_>,
    place: &str,
    holder: CodeHolder,
    slot: u16,
    now: UnixMs,
) -> rusqlite::Result<bool> {
    forget(tx, now)?;
    if elsewhere(tx, place, holder, slot)?.is_some() {
        return Ok(false);
    }
    tx.execute(
        "INSERT INTO code_marks (device, holder, slot, visit, until_ms, offline)
         VALUES (?1, ?2, ?3, '', ?4, 0) ON CONFLICT DO NOTHING",
        params![place, holder.to_string(), slot, ms(now)],
    )?;
    Ok(true)
}

fn forget(tx: &Transaction<'_>, now: UnixMs) -> rusqlite::Result<()> {
    tx.execute("DELETE FROM code_marks WHERE until_ms < ?1", [before(now, KEPT_MS)]).map(drop)
}

/// Another place where this code was let in.
fn elsewhere(
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
