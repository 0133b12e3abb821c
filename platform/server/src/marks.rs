//! One code at two kiosks (I5). Without a link each kiosk knows only what was shown to itself; what both let in shows
//! here, when their records have come. Nothing can be undone by then: a person of the operator looks at it.

use contract::{DeviceId, Entry, UnixMs};
use rusqlite::{OptionalExtension as _, Transaction, params};

use crate::columns::ms;
use crate::schema::dispute;

/// Records may come this late and still be compared: as long as the longest time without a link.
const KEPT_MS: u64 = 400 * 24 * 60 * 60 * 1000;

/// A kiosk's record came; of a code that it verified by itself, it is kept and compared with those of others.
pub(crate) fn record(
    tx: &Transaction<'_>,
    device: DeviceId,
    entry: &Entry,
    now: UnixMs,
) -> rusqlite::Result<()> {
    let Entry::CodeVerified { visit, holder, slot: Some(slot), until, offline } = entry else {
        return Ok(());
    };
    let (device, holder) = (device.to_string(), holder.to_string());
    let forgotten = UnixMs(now.0.saturating_sub(KEPT_MS));
    tx.execute("DELETE FROM code_marks WHERE until_ms < ?1", [ms(forgotten)])?;
    tx.execute(
        "INSERT INTO code_marks (device, holder, slot, visit, until_ms, offline)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
        params![device, holder, slot, visit.to_string(), ms(*until), offline],
    )?;
    let elsewhere: Option<String> = tx
        .query_row(
            "SELECT device FROM code_marks WHERE holder = ?1 AND slot = ?2 AND device <> ?3 ORDER BY device",
            params![holder, slot, device],
            |row| row.get(0),
        )
        .optional()?;
    if let Some(other) = elsewhere {
        let what = format!("one code was let in at {other} and at {device}: one of them saw a picture of it");
        dispute(tx, &format!("code {holder}/{slot}"), &what, ms(now))?;
    }
    Ok(())
}
