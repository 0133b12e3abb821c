//! 配对: who proved themselves at a kiosk by their card and its PIN takes a code to a phone, which is bound by it.
//!
//! The code stands on a screen in a hall, and whoever photographs it has it too. So it lives for minutes, works once,
//! and only for who knows the end of the resident's ID number, which no screen shows; after a few wrong ends it is over.

use contract::sm3;
use rusqlite::{OptionalExtension as _, params};

use super::refusal::PhoneRefusal;
use super::unhex;
use crate::columns::{hex, ms};
use crate::device::Device;
use crate::fail::Fail;
use crate::platform::Turn;

/// Time to take the phone out, open its scanner, and read.
const LIVES_MS: u64 = 5 * 60 * 1000;
/// So often the end of the ID number may be wrong.
const WRONG_MAX: u8 = 3;
/// Characters of an ID number that are asked for.
const END_LEN: usize = 6;
/// What a resident's own list of uses says of it.
const PURPOSE: &str = "在自助终端开通手机";

/// The address that the phone opens. One before it for the same resident ends.
pub(crate) fn offer(turn: &mut Turn<'_>, device: &Device, resident: i64) -> Result<String, Fail> {
    let page = turn.city.codes.as_ref().map(|authority| authority.rules.code_page.clone());
    let page = page.ok_or(PhoneRefusal::NotOffered)?;
    let secret = turn.draw.next();
    turn.tx.execute(
        "INSERT INTO pairings (resident, hash, until_ms, wrong) VALUES (?1, ?2, ?3, 0)
         ON CONFLICT (resident) DO UPDATE SET hash = ?2, until_ms = ?3, wrong = 0",
        params![resident, sm3(&[&secret]), ms(turn.now.plus_ms(LIVES_MS))],
    )?;
    super::note_use(turn, resident, &device.name, PURPOSE)?;
    Ok(format!("{page}#pair={}", hex(&secret)))
}

/// Whose phone it is that came by such a code. A wrong end is counted, so what comes back must be kept in any case.
pub(crate) fn redeem(turn: &Turn<'_>, secret: &str, end: &str) -> Result<Result<i64, PhoneRefusal>, Fail> {
    let secret: [u8; 16] = unhex(secret).ok_or(PhoneRefusal::Malformed)?;
    let found: Option<(i64, String)> = turn
        .tx
        .query_row(
            "SELECT resident, id_number FROM pairings JOIN residents USING (resident)
             WHERE hash = ?1 AND until_ms > ?2",
            params![sm3(&[&secret]), ms(turn.now)],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let Some((resident, id_number)) = found else { return Ok(Err(PhoneRefusal::PairingOver)) };
    if end.len() == END_LEN && id_number.ends_with(&end.to_ascii_uppercase()) {
        turn.tx.execute("DELETE FROM pairings WHERE resident = ?1", [resident])?;
        return Ok(Ok(resident));
    }
    turn.tx.execute("UPDATE pairings SET wrong = wrong + 1 WHERE resident = ?1", [resident])?;
    turn.tx
        .execute("DELETE FROM pairings WHERE resident = ?1 AND wrong >= ?2", params![resident, WRONG_MAX])?;
    Ok(Err(PhoneRefusal::OtherNumber))
}
