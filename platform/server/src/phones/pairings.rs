//! Pairing (配对): a resident who proved their identity at a kiosk by card and PIN scans a pairing code with a phone, which
//! is bound by this code.
//!
//! The pairing code is shown on a screen in public and can be photographed. It is therefore valid for minutes and once,
//! and needs the end of the resident's ID number, which no screen shows; a few wrong ends invalidate the code.

use contract::{from_hex, sm3, to_hex};
use rusqlite::{OptionalExtension as _, params};

use crate::codes::code_uses::log_use;
use crate::config::kiosks::RegisteredKiosk;
use crate::context::RequestContext;
use crate::phone_refusal::PhoneRefusal;
use crate::recovery_state::refuse_while_recovering;
use crate::request_error::RequestError;
use crate::store::columns::to_ms_column;

/// Lifetime of a pairing code in milliseconds: time to take out the phone, open its scanner, and read.
const PAIRING_TTL_MS: u64 = 5 * 60 * 1000;
/// Number of wrong ends after which a pairing code is invalid.
const WRONG_ENDS_MAX: u8 = 3;
/// Number of characters at the end of the ID number that are asked for.
const ID_END_LEN: usize = 6;
/// Purpose of a pairing, as in the resident's list of uses.
const PAIRING_PURPOSE: &str = "在自助终端开通手机";

/// Issues a pairing code: the URL that the phone opens. An earlier pairing code of the resident becomes invalid.
pub(crate) fn offer_pairing(
    context: &mut RequestContext<'_>,
    kiosk: &RegisteredKiosk,
    resident: i64,
) -> Result<String, RequestError> {
    refuse_while_recovering(context)?;
    let page = context.config.code_authority.as_ref().map(|authority| authority.rules.code_page.clone());
    let page = page.ok_or(PhoneRefusal::NotOffered)?;
    let secret = context.entropy.next_bytes();
    context.tx.execute(
        "INSERT INTO pairings (resident, hash, until_ms, wrong) VALUES (?1, ?2, ?3, 0)
         ON CONFLICT (resident) DO UPDATE SET hash = ?2, until_ms = ?3, wrong = 0",
        params![resident, sm3(&[&secret]), to_ms_column(context.now.plus_ms(PAIRING_TTL_MS))],
    )?;
    log_use(context, resident, &kiosk.name, PAIRING_PURPOSE)?;
    Ok(format!("{page}#pair={}", to_hex(&secret)))
}

/// Redeems a pairing code and returns its resident. A wrong end is counted, so the caller must commit the transaction even
/// for a refusal.
pub(crate) fn redeem_pairing(
    context: &RequestContext<'_>,
    secret: &str,
    end: &str,
) -> Result<Result<i64, PhoneRefusal>, RequestError> {
    let secret: [u8; 16] = from_hex(secret).ok_or(PhoneRefusal::Malformed)?;
    let found: Option<(i64, String)> = context
        .tx
        .query_row(
            "SELECT resident, id_number FROM pairings JOIN residents USING (resident)
             WHERE hash = ?1 AND until_ms > ?2",
            params![sm3(&[&secret]), to_ms_column(context.now)],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let Some((resident, id_number)) = found else { return Ok(Err(PhoneRefusal::PairingOver)) };
    if end.len() == ID_END_LEN && id_number.ends_with(&end.to_ascii_uppercase()) {
        context.tx.execute("DELETE FROM pairings WHERE resident = ?1", [resident])?;
        return Ok(Ok(resident));
    }
    context.tx.execute("UPDATE pairings SET wrong = wrong + 1 WHERE resident = ?1", [resident])?;
    context.tx.execute(
        "DELETE FROM pairings WHERE resident = ?1 AND wrong >= ?2",
        params![resident, WRONG_ENDS_MAX],
    )?;
    Ok(Err(PhoneRefusal::OtherNumber))
}
