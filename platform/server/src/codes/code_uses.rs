//! The list of uses (用码记录) of a resident: where a code of the resident was used, and for what.

use rusqlite::params;

use crate::context::RequestContext;
use crate::store::columns::to_ms_column;

/// Logs where a resident's code was used, for the resident's list of uses.
pub(crate) fn log_use(
    context: &RequestContext<'_>,
    resident: i64,
    place: &str,
    purpose: &str,
) -> rusqlite::Result<()> {
    context.tx.execute(
        "INSERT INTO code_uses (resident, at_ms, place, purpose) VALUES (?1, ?2, ?3, ?4)",
        params![resident, to_ms_column(context.now), place, purpose],
    )?;
    Ok(())
}
