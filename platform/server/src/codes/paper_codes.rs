//! Paper codes (纸质码) for residents without a phone, printed by a service desk. A new paper code revokes the one before.

use contract::{CodeHolder, ProblemCode, UnixMs};
use resident_code::{Alias, PaperCode, PaperTerms};
use rusqlite::{OptionalExtension as _, params};
use serde::Serialize;

use super::revocations::{self, Medium};
use crate::context::RequestContext;
use crate::request_error::RequestError;
use crate::store::columns::{from_id_column, from_ms_column, to_ms_column};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// A paper code to be printed.
#[derive(Serialize)]
pub(crate) struct PrintedPaperCode {
    /// Text of the QR code.
    text: String,
    /// End of the code's validity.
    ends_ms: UnixMs,
}

/// Issues a paper code (制码) to a resident. The caller has checked that the resident has a card in force.
pub(crate) fn issue_paper_code(
    context: &mut RequestContext<'_>,
    resident: i64,
) -> Result<PrintedPaperCode, RequestError> {
    let none = || {
        RequestError::from(
            ProblemCode::NotOffered.into_problem("no issuer key is valid for the lifetime of a paper code"),
        )
    };
    let authority = context.config.code_authority.as_ref().ok_or_else(none)?;
    revocations::revoke_medium(context.tx, authority, context.now, resident, Medium::Paper)?;
    let days = authority.rules.paper.days;
    let issued_at = u32::try_from(context.now.0 / 1000).map_err(|_| none())?;
    let ends = UnixMs(u64::from(issued_at) * 1000).plus_ms(u64::from(days) * DAY_MS);
    let issuer = authority.issuer_for(context.now, ends).ok_or_else(none)?;
    let alias = Alias(*context.entropy.next_bytes().first_chunk().ok_or_else(none)?);
    let capabilities = authority.rules.capability_bits(&authority.rules.paper.capabilities);
    let terms = PaperTerms { capabilities, alias, issued_at, lifetime_days: days };
    let code = PaperCode::issue(&terms, issuer).map_err(|_| none())?;
    context.tx.execute(
        "INSERT INTO code_aliases (resident, alias, holder, phone, issued_ms, ends_ms) VALUES (?1, ?2, ?3, NULL, ?4, ?5)",
        params![resident, alias.0, CodeHolder::from_alias(&alias.0).to_string(), to_ms_column(context.now), to_ms_column(ends)],
    )?;
    Ok(PrintedPaperCode { text: code.to_text(), ends_ms: ends })
}

/// The paper code that a resident was issued last.
pub(crate) struct PaperState {
    pub(crate) holder: CodeHolder,
    pub(crate) issued: UnixMs,
    pub(crate) ends: UnixMs,
    pub(crate) is_revoked: bool,
}

impl PaperState {
    pub(crate) fn is_accepted(&self, now: UnixMs) -> bool {
        !self.is_revoked && self.ends > now
    }
}

/// The paper code that a resident was issued last; each revokes the one before.
pub(crate) fn newest_paper_code(
    context: &RequestContext<'_>,
    resident: i64,
) -> rusqlite::Result<Option<PaperState>> {
    context
        .tx
        .query_row(
            "SELECT holder, issued_ms, ends_ms, revoked FROM code_aliases
             WHERE resident = ?1 AND phone IS NULL ORDER BY revoked, issued_ms DESC LIMIT 1",
            [resident],
            |row| {
                Ok(PaperState {
                    holder: from_id_column(&row.get::<_, String>(0)?)?,
                    issued: from_ms_column(row.get(1)?),
                    ends: from_ms_column(row.get(2)?),
                    is_revoked: row.get(3)?,
                })
            },
        )
        .optional()
}

/// Revokes the paper code of a resident after a loss report (挂失).
pub(crate) fn revoke_paper_code(context: &RequestContext<'_>, resident: i64) -> rusqlite::Result<()> {
    match &context.config.code_authority {
        Some(authority) => {
            revocations::revoke_medium(context.tx, authority, context.now, resident, Medium::Paper)
        }
        None => Ok(()),
    }
}
