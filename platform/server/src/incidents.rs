//! Incidents (异常事件): contradictions and misuse that an operator must look at.

use rusqlite::Connection;

/// Records an incident; once per subject `about`. `at_ms`: time as stored, in milliseconds.
pub(crate) fn record_incident(db: &Connection, about: &str, what: &str, at_ms: i64) -> rusqlite::Result<()> {
    tracing::error!(about, what, "incident recorded; the operator must investigate");
    db.execute(
        "INSERT INTO disputes (about, what, at_ms) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        rusqlite::params![about, what, at_ms],
    )?;
    Ok(())
}
