//! The log of the changes that service desks made to cards.

use rusqlite::params;

use crate::config::relying_parties::RelyingParty;
use crate::context::RequestContext;
use crate::store::columns::to_ms_column;

/// Logs a change that a service desk made to a card. `what` must hold no personal data.
pub(super) fn log_card_change(
    context: &RequestContext<'_>,
    relying_party: &RelyingParty,
    resident: i64,
    number: &str,
    what: &str,
) -> rusqlite::Result<()> {
    context.tx.execute(
        "INSERT INTO card_changes (resident, number, at_ms, client, what) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![resident, number, to_ms_column(context.now), relying_party.id.to_string(), what],
    )?;
    Ok(())
}
