//! 吊销: whose codes are no longer accepted and which cards are not in force, signed, and the parts of the feed that
//! bring it to the kiosks.
//!
//! Revocations of each kind are numbered. The feed has a base (deltas from 0, without what has ended), the deltas
//! since, and at its end an empty one that says *this is still all*. Every hour the last is signed anew; every day, or
//! after many deltas, the base is. A kiosk that reads the feed from anywhere arrives at the same numbers.

use std::error::Error;
use std::fmt::Display;
use std::str::FromStr;

use contract::{
    Admitted, CardName, CardStanding, CodeHolder, Entry, FeedItem, Header, REVOKED_PER_DELTA_MAX, Revocable,
    Revocations, Revoked, Signed, UnixMs,
};
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::keys::CodeAuthority;
use crate::catalogue::put;
use crate::columns::{ms, text, unix_ms};
use crate::schema::dispute;

const HOUR_MS: u64 = 60 * 60 * 1000;
/// How often the kiosks hear that nothing has changed.
const FRESH_EVERY_MS: u64 = HOUR_MS;
/// How often the base is made anew.
const BASE_EVERY_MS: u64 = 24 * HOUR_MS;
/// After this many deltas it is made anew sooner.
const DELTAS_MAX: i64 = 200;
/// A card is stopped for so long: none is valid for more than ten years (ASSUMED, as most cities issue them).
const CARD_LIFE_MS: u64 = 10 * 366 * 24 * HOUR_MS;

/// One kind of revocation.
trait Series: Revocable + FromStr<Err: Error + Send + Sync + 'static> + Display {
    /// Where its revocations are kept: number, name, beginning and end.
    const TABLE: &'static str;
    /// Beginning of its keys in the feed.
    const FEED: &'static str;

    fn item(delta: Signed<Revocations<Self>>) -> FeedItem;
}

impl Series for CodeHolder {
    const TABLE: &'static str = "code_revocations";
    const FEED: &'static str = "#revocations";

    fn item(delta: Signed<Revocations<Self>>) -> FeedItem {
        FeedItem::Revocations { delta }
    }
}

impl Series for CardName {
    const TABLE: &'static str = "card_stops";
    const FEED: &'static str = "#card-stops";

    fn item(delta: Signed<Revocations<Self>>) -> FeedItem {
        FeedItem::CardStops { delta }
    }
}

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

/// Tells the kiosks whether a card is in force: without a link, a gate lets through whoever has one that is.
pub(crate) fn tell_of_card(
    tx: &Transaction<'_>,
    authority: &CodeAuthority,
    now: UnixMs,
    identification: &str,
    version: &str,
    in_force: bool,
) -> rusqlite::Result<()> {
    match news_of_card(tx, now, identification, version, in_force)? {
        Some((card, ends)) => revoke(tx, authority, now, card, ends),
        None => Ok(()),
    }
}

/// What kiosks do not know of a card yet, if anything.
fn news_of_card(
    tx: &Transaction<'_>,
    now: UnixMs,
    identification: &str,
    version: &str,
    in_force: bool,
) -> rusqlite::Result<Option<(CardName, UnixMs)>> {
    // No other card can prove itself to a kiosk, so no other is let through without the platform.
    if !version.starts_with('3') {
        return Ok(None);
    }
    let Ok(card) = identification.parse().map(|identification| CardName::of(&identification)) else {
        return Ok(None);
    };
    let stopped: bool = tx.query_row(
        "SELECT EXISTS (SELECT 1 FROM card_stops WHERE name = ?1 AND ends_ms > ?2)",
        params![card.to_string(), ms(now)],
        |row| row.get(0),
    )?;
    if in_force != stopped {
        return Ok(None);
    }
    // Whatever was said of it before says nothing any more.
    tx.execute("UPDATE card_stops SET ends_ms = 0 WHERE name = ?1", [card.to_string()])?;
    let ends = if in_force { UnixMs(0) } else { now.plus_ms(CARD_LIFE_MS) };
    Ok(Some((card, ends)))
}

/// A gate's record came: without a link it let somebody through by a card. Had the card been stopped by then, the news
/// had not reached the gate, and a person of the operator must know.
pub(crate) fn compare(
    tx: &Transaction<'_>,
    header: &Header,
    entry: &Entry,
    now: UnixMs,
) -> rusqlite::Result<()> {
    let Entry::Admitted { who: Admitted::Card(card), visit, .. } = entry else { return Ok(()) };
    let stopped: bool = tx.query_row(
        "SELECT EXISTS (SELECT 1 FROM card_stops WHERE name = ?1 AND at_ms <= ?2 AND ends_ms > ?3)",
        params![card.to_string(), ms(header.time), ms(now)],
        |row| row.get(0),
    )?;
    if stopped {
        let what =
            format!("{} let a card through that is not in force: the news had not come", header.device);
        dispute(tx, &format!("admission {visit}"), &what, ms(now))?;
    }
    Ok(())
}

/// Until then, kiosks remember this name.
fn revoke<Who: Series>(
    tx: &Transaction<'_>,
    authority: &CodeAuthority,
    now: UnixMs,
    who: Who,
    ends: UnixMs,
) -> rusqlite::Result<()> {
    let before = write(tx, now, who, ends)?;
    let delta = sign(authority, now, before, before + 1, vec![Revoked { who, ends }]);
    put(tx, &format!("{}/delta/{:016}", Who::FEED, before + 1), &delta)
}

/// Numbers it; gives the number before.
fn write<Who: Series>(tx: &Transaction<'_>, now: UnixMs, who: Who, ends: UnixMs) -> rusqlite::Result<i64> {
    let before = count::<Who>(tx)?;
    tx.execute(
        &format!("INSERT INTO {} (number, name, at_ms, ends_ms) VALUES (?1, ?2, ?3, ?4)", Who::TABLE),
        params![before + 1, who.to_string(), ms(now), ms(ends)],
    )?;
    Ok(before)
}

/// Signs anew what has to be, and publishes the list of issuer keys. May be called as often as one likes.
pub(crate) fn refresh(tx: &Transaction<'_>, authority: &CodeAuthority, now: UnixMs) -> rusqlite::Result<()> {
    put(tx, "#issuer-keys", &FeedItem::IssuerKeys { list: authority.signed.clone() })?;
    refresh_series::<CodeHolder>(tx, authority, now)?;
    if older(tx, &base_key::<CardName>(), now, BASE_EVERY_MS)? {
        compare_with_base(tx, now)?;
    }
    refresh_series::<CardName>(tx, authority, now)
}

/// What the base says of a card holds, however it came to say so. The list that is made next tells the kiosks.
fn compare_with_base(tx: &Transaction<'_>, now: UnixMs) -> rusqlite::Result<()> {
    let mut stopped = tx.prepare("SELECT identification, version FROM cards WHERE standing <> ?1")?;
    let mut stopped = stopped.query([text(&CardStanding::InForce)])?;
    while let Some(row) = stopped.next()? {
        let (identification, version): (String, String) = (row.get(0)?, row.get(1)?);
        if let Some((card, ends)) = news_of_card(tx, now, &identification, &version, false)? {
            write(tx, now, card, ends)?;
        }
    }
    Ok(())
}

fn refresh_series<Who: Series>(
    tx: &Transaction<'_>,
    authority: &CodeAuthority,
    now: UnixMs,
) -> rusqlite::Result<()> {
    let (base_key, fresh_key) = (base_key::<Who>(), format!("{}/fresh", Who::FEED));
    let deltas: i64 = tx.query_row(
        "SELECT count(*) FROM changes WHERE service LIKE ?1 || '/delta/%'",
        [Who::FEED],
        |row| row.get(0),
    )?;
    if older(tx, &base_key, now, BASE_EVERY_MS)? || deltas > DELTAS_MAX {
        base::<Who>(tx, authority, now)?;
        mark(tx, &base_key, now)?;
        mark(tx, &fresh_key, now)
    } else if older(tx, &fresh_key, now, FRESH_EVERY_MS)? {
        let all = count::<Who>(tx)?;
        put(tx, &fresh_key, &sign::<Who>(authority, now, all, all, Vec::new()))?;
        mark(tx, &fresh_key, now)
    } else {
        Ok(())
    }
}

fn base_key<Who: Series>() -> String {
    format!("{}/base", Who::FEED)
}

/// Puts all that has not ended at the end of the feed, then drops the deltas that it stands for. In this order: the
/// feed's last cursor must not be given twice.
fn base<Who: Series>(tx: &Transaction<'_>, authority: &CodeAuthority, now: UnixMs) -> rusqlite::Result<()> {
    let mut live =
        tx.prepare(&format!("SELECT name, ends_ms FROM {} WHERE ends_ms > ?1 ORDER BY number", Who::TABLE))?;
    let live = live
        .query_map([ms(now)], |row| {
            let name: String = row.get(0)?;
            let who = name.parse().map_err(|error| {
                rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error))
            })?;
            Ok(Revoked { who, ends: unix_ms(row.get(1)?) })
        })?
        .collect::<rusqlite::Result<Vec<Revoked<Who>>>>()?;
    let all = count::<Who>(tx)?;
    let length = |some: &[Revoked<Who>]| i64::try_from(some.len()).unwrap_or(i64::MAX);
    let (first, rest) = live.split_at(live.len().min(REVOKED_PER_DELTA_MAX));
    let mut at = all - length(rest);
    let feed = Who::FEED;
    put(tx, &format!("{feed}/base/00000000"), &sign(authority, now, 0, at, first.to_vec()))?;
    let mut parts = 1_u32;
    for part in rest.chunks(REVOKED_PER_DELTA_MAX) {
        let until = at + length(part);
        let key = format!("{feed}/base/{parts:08}");
        put(tx, &key, &sign(authority, now, at, until, part.to_vec()))?;
        (at, parts) = (until, parts + 1);
    }
    tx.execute(
        "DELETE FROM changes WHERE service LIKE ?1 || '/delta/%' OR service = ?1 || '/fresh'
         OR (service LIKE ?1 || '/base/%' AND service >= ?2)",
        [feed, &format!("{feed}/base/{parts:08}")],
    )?;
    Ok(())
}

fn sign<Who: Series>(
    authority: &CodeAuthority,
    now: UnixMs,
    since: i64,
    until: i64,
    revoked: Vec<Revoked<Who>>,
) -> FeedItem {
    let number = |stored| u64::try_from(stored).unwrap_or(0);
    let hours = u64::from(authority.rules.revocation.trusted_hours);
    let delta = Revocations {
        city: authority.list.city.clone(),
        since: number(since),
        until: number(until),
        expires: now.plus_ms(hours * HOUR_MS),
        revoked,
    };
    Who::item(Signed::sign(&delta, &authority.revoker))
}

/// How many there ever were: the number of the last.
fn count<Who: Series>(tx: &Transaction<'_>) -> rusqlite::Result<i64> {
    tx.query_row(&format!("SELECT coalesce(max(number), 0) FROM {}", Who::TABLE), [], |row| row.get(0))
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
