//! 吊销: whose codes are no longer accepted, signed, and the part of the feed that brings it to the kiosks.
//!
//! Revocations are numbered. The feed has a base (deltas from 0, without what has ended), the deltas since, and at its
//! end an empty one that says *this is still all*. Every hour the last is signed anew; every day, or after many
//! deltas, the base is. A kiosk that reads the feed from anywhere arrives at the same numbers.

use contract::{CodeHolder, FeedItem, REVOKED_PER_DELTA_MAX, Revocations, Revoked, Signed, UnixMs};
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::keys::CodeAuthority;
use crate::catalogue::put;
use crate::columns::{ms, unix_ms};

const HOUR_MS: u64 = 60 * 60 * 1000;
/// How often the kiosks hear that nothing has changed.
const FRESH_EVERY_MS: u64 = HOUR_MS;
/// How often the base is made anew.
const BASE_EVERY_MS: u64 = 24 * HOUR_MS;
/// After this many deltas it is made anew sooner.
const DELTAS_MAX: i64 = 200;

/// What carries a resident's codes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Carrier {
    /// The phone that is bound: online tokens and session certificates.
    Phone,
    /// The paper in the resident's pocket.
    Paper,
}

/// From now on no code that this carrier has is accepted.
pub(super) fn revoke_all(
    tx: &Transaction<'_>,
    authority: &CodeAuthority,
    now: UnixMs,
    resident: i64,
    carrier: Carrier,
) -> rusqlite::Result<()> {
    if carrier == Carrier::Phone {
        tx.execute("DELETE FROM tokens WHERE resident = ?1 AND used_by IS NULL", [resident])?;
    }
    let mut live = tx.prepare(
        "UPDATE code_aliases SET revoked = 1
         WHERE resident = ?1 AND revoked = 0 AND ends_ms > ?2 AND (phone IS NULL) = ?3 RETURNING alias, ends_ms",
    )?;
    let live = live
        .query_map(params![resident, ms(now), carrier == Carrier::Paper], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<rusqlite::Result<Vec<([u8; 8], i64)>>>()?;
    for (alias, ends) in live {
        revoke(tx, authority, now, CodeHolder::of(&alias), unix_ms(ends))?;
    }
    Ok(())
}

/// From now on no code of this holder is accepted; kiosks forget it when its last code has ended.
fn revoke(
    tx: &Transaction<'_>,
    authority: &CodeAuthority,
    now: UnixMs,
    holder: CodeHolder,
    ends: UnixMs,
) -> rusqlite::Result<()> {
    let before = count(tx)?;
    tx.execute(
        "INSERT INTO revocations (number, holder, ends_ms) VALUES (?1, ?2, ?3)",
        params![before + 1, holder.to_string(), ms(ends)],
    )?;
    let delta = sign(authority, now, before, before + 1, vec![Revoked { holder, ends }]);
    put(tx, &format!("#revocations/delta/{:016}", before + 1), &delta)
}

/// Signs anew what has to be, and publishes the list of issuer keys. May be called as often as one likes.
pub(crate) fn refresh(tx: &Transaction<'_>, authority: &CodeAuthority, now: UnixMs) -> rusqlite::Result<()> {
    put(tx, "#issuer-keys", &FeedItem::IssuerKeys { list: authority.signed.clone() })?;
    let deltas: i64 =
        tx.query_row("SELECT count(*) FROM changes WHERE service LIKE '#revocations/delta/%'", [], |row| {
            row.get(0)
        })?;
    if older(tx, "base", now, BASE_EVERY_MS)? || deltas > DELTAS_MAX {
        base(tx, authority, now)?;
        mark(tx, "base", now)?;
        mark(tx, "fresh", now)
    } else if older(tx, "fresh", now, FRESH_EVERY_MS)? {
        let all = count(tx)?;
        put(tx, "#revocations/fresh", &sign(authority, now, all, all, Vec::new()))?;
        mark(tx, "fresh", now)
    } else {
        Ok(())
    }
}

/// Puts all that has not ended at the end of the feed, then drops the deltas that it stands for. In this order: the
/// feed's last cursor must not be given twice.
fn base(tx: &Transaction<'_>, authority: &CodeAuthority, now: UnixMs) -> rusqlite::Result<()> {
    let mut live =
        tx.prepare("SELECT holder, ends_ms FROM revocations WHERE ends_ms > ?1 ORDER BY number")?;
    let live = live
        .query_map([ms(now)], |row| {
            let holder: String = row.get(0)?;
            let holder = holder.parse().map_err(|error| {
                rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error))
            })?;
            Ok(Revoked { holder, ends: unix_ms(row.get(1)?) })
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let all = count(tx)?;
    let length = |some: &[Revoked]| i64::try_from(some.len()).unwrap_or(i64::MAX);
    let (first, rest) = live.split_at(live.len().min(REVOKED_PER_DELTA_MAX));
    let mut at = all - length(rest);
    put(tx, "#revocations/base/00000000", &sign(authority, now, 0, at, first.to_vec()))?;
    let mut parts = 1_u32;
    for part in rest.chunks(REVOKED_PER_DELTA_MAX) {
        let until = at + length(part);
        let key = format!("#revocations/base/{parts:08}");
        put(tx, &key, &sign(authority, now, at, until, part.to_vec()))?;
        (at, parts) = (until, parts + 1);
    }
    tx.execute(
        "DELETE FROM changes WHERE service LIKE '#revocations/delta/%' OR service = '#revocations/fresh'
         OR (service LIKE '#revocations/base/%' AND service >= ?1)",
        [format!("#revocations/base/{parts:08}")],
    )?;
    Ok(())
}

fn sign(authority: &CodeAuthority, now: UnixMs, since: i64, until: i64, revoked: Vec<Revoked>) -> FeedItem {
    let number = |stored| u64::try_from(stored).unwrap_or(0);
    let hours = u64::from(authority.rules.revocation.trusted_hours);
    let delta = Revocations {
        city: authority.list.city.clone(),
        since: number(since),
        until: number(until),
        expires: now.plus_ms(hours * HOUR_MS),
        revoked,
    };
    FeedItem::Revocations { delta: Signed::sign(&delta, &authority.revoker) }
}

/// How many there ever were: the number of the last.
fn count(tx: &Transaction<'_>) -> rusqlite::Result<i64> {
    tx.query_row("SELECT coalesce(max(number), 0) FROM revocations", [], |row| row.get(0))
}

fn older(tx: &Transaction<'_>, what: &str, now: UnixMs, than_ms: u64) -> rusqlite::Result<bool> {
    let at: Option<i64> =
        tx.query_row("SELECT at_ms FROM signed_anew WHERE what = ?1", [what], |row| row.get(0)).optional()?;
    Ok(at.is_none_or(|at| unix_ms(at).plus_ms(than_ms) <= now))
}

fn mark(tx: &Transaction<'_>, what: &str, now: UnixMs) -> rusqlite::Result<()> {
    tx.execute(
        "INSERT INTO signed_anew (what, at_ms) VALUES (?1, ?2)
         ON CONFLICT (what) DO UPDATE SET at_ms = excluded.at_ms",
        params![what, ms(now)],
    )?;
    Ok(())
}
