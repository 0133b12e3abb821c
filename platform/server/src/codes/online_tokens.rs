//! Online tokens: resident codes that only the platform can judge.

use contract::sm3;
use resident_code::OnlineToken;
use rusqlite::params;

use crate::context::RequestContext;
use crate::request_error::RequestError;
use crate::store::columns::{ms_column_before, to_ms_column};

/// Lifetime of an online token in milliseconds.
pub(crate) const TOKEN_TTL_MS: u64 = 60_000;
/// Time for which a used or expired online token is stored, so that it is distinguished from a forged one.
const TOKEN_RETENTION_MS: u64 = 24 * 60 * 60 * 1000;

/// Issues a new online token (制码).
pub(crate) fn issue_token(context: &mut RequestContext<'_>, resident: i64) -> Result<String, RequestError> {
    let token = context.entropy.next_bytes();
    context.tx.execute(
        "DELETE FROM tokens WHERE expires_ms < ?1",
        [ms_column_before(context.now, TOKEN_RETENTION_MS)],
    )?;
    context.tx.execute(
        "INSERT INTO tokens (resident, hash, expires_ms) VALUES (?1, ?2, ?3)",
        params![resident, sm3(&[&token]), to_ms_column(context.now.plus_ms(TOKEN_TTL_MS))],
    )?;
    Ok(OnlineToken::issue(token, &context.config.format_key).to_text())
}

/// Consumes an online token, which the caller has validated; `false` if it was used before.
pub(super) fn consume_token(
    context: &RequestContext<'_>,
    token: &OnlineToken,
    consumer: &str,
) -> rusqlite::Result<bool> {
    let consumed = context.tx.execute(
        "UPDATE tokens SET used_by = ?1 WHERE hash = ?2 AND used_by IS NULL",
        params![consumer, sm3(&[&token.token()])],
    )?;
    Ok(consumed == 1)
}
