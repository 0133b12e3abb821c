//! Revocations (吊销): signed lists of code holders whose codes are no longer accepted and of cards that are not in force,
//! and their items in the feed.
//!
//! Revocations of each kind are numbered. The feed has a base (deltas from 0, without expired revocations), the deltas
//! since the base, and at its end an empty delta that states *the list is complete up to this number*. The empty delta is
//! signed again every hour; the base is built again every day, or after many deltas. A kiosk that reads the feed from any
//! cursor arrives at the same numbers.

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
/// Interval at which the empty delta is signed again.
const FRESH_EVERY_MS: u64 = HOUR_MS;
/// Interval at which the base is built again.
const BASE_EVERY_MS: u64 = 24 * HOUR_MS;
/// Number of deltas after which the base is built again earlier.
const DELTAS_MAX: i64 = 200;
/// Time for which a card stays on the list: no card is valid for more than ten years (ASSUMED, as most cities issue them).
const CARD_LIFE_MS: u64 = 10 * 366 * 24 * HOUR_MS;

/// A kind of revocation: its table and its keys in the feed.
trait Series: Revocable + FromStr<Err: Error + Send + Sync + 'static> + Display {
    /// Table of the revocations: number, name, beginning and end.
    const TABLE: &'static str;
    /// Prefix of the keys in the feed.
    const FEED: &'static str;

    /// Wraps a signed delta as a feed item.

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

/// Credential medium (凭证载体) of a resident's codes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Carrier {
    /// The bound phone: online tokens and session certificates.
    Phone,
    /// The printed paper code.
    Paper,
}

/// Revokes all codes of a resident on this medium.
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

/// Publishes to the kiosks whether a card is in force: a gate without a link admits holders of cards in force.
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

/// The revocation that must be published for a card; `None` if the published state is already right. An end of 0 lifts a
/// revocation.
fn news_of_card(
    tx: &Transaction<'_>,
    now: UnixMs,
    identification: &str,
    version: &str,
    in_force: bool,
) -> rusqlite::Result<Option<(CardName, UnixMs)>> {
    // Only cards of the third generation can be authenticated by a kiosk, so a gate without a link admits no others.
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
    // Earlier revocations of this card are superseded.
    tx.execute("UPDATE card_stops SET ends_ms = 0 WHERE name = ?1", [card.to_string()])?;
    let ends = if in_force { UnixMs(0) } else { now.plus_ms(CARD_LIFE_MS) };
    Ok(Some((card, ends)))
}

/// Compares a gate's record of an admission by card with the revocations. If the card was already revoked at that time,
/// the revocation had not reached the gate, and an incident is recorded for the operator.
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
            format!("{} admitted a card that is not in force: its revocation had not arrived", header.device);
        dispute(tx, &format!("admission {visit}"), &what, ms(now))?;
    }
    Ok(())
}

/// Stores and publishes a revocation. Kiosks keep it until `ends`.
fn revoke<Id: Series>(
    tx: &Transaction<'_>,
    authority: &CodeAuthority,
    now: UnixMs,
    who: Id,
    ends: UnixMs,
) -> rusqlite::Result<()> {
    let before = write(tx, now, who, ends)?;
    let delta = sign(authority, now, before, before + 1, vec![Revoked { who, ends }]);
    put(tx, &format!("{}/delta/{:016}", Id::FEED, before + 1), &delta)
}

/// Stores a revocation under the next number; returns the number before.
fn write<Id: Series>(tx: &Transaction<'_>, now: UnixMs, who: Id, ends: UnixMs) -> rusqlite::Result<i64> {
    let before = count::<Id>(tx)?;
    tx.execute(
        &format!("INSERT INTO {} (number, name, at_ms, ends_ms) VALUES (?1, ?2, ?3, ?4)", Id::TABLE),
        params![before + 1, who.to_string(), ms(now), ms(ends)],
    )?;
    Ok(before)
}

/// Publishes the list of issuer keys, and signs those bases and empty deltas again that are due. Idempotent.
pub(crate) fn refresh(tx: &Transaction<'_>, authority: &CodeAuthority, now: UnixMs) -> rusqlite::Result<()> {
    put(tx, "#issuer-keys", &FeedItem::IssuerKeys { list: authority.signed.clone() })?;
    refresh_series::<CodeHolder>(tx, authority, now)?;
    if older(tx, &base_key::<CardName>(), now, BASE_EVERY_MS)? {
        compare_with_base(tx, now)?;
    }
    refresh_series::<CardName>(tx, authority, now)
}

/// Stores revocations for all cards that are not in force in the card-holder base, however their standing was set. The
/// next base publishes them.
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

fn refresh_series<Id: Series>(
    tx: &Transaction<'_>,
    authority: &CodeAuthority,
    now: UnixMs,
) -> rusqlite::Result<()> {
    let (base_key, fresh_key) = (base_key::<Id>(), format!("{}/fresh", Id::FEED));
    let deltas: i64 = tx.query_row(
        "SELECT count(*) FROM changes WHERE service LIKE ?1 || '/delta/%'",
        [Id::FEED],
        |row| row.get(0),
    )?;
    if older(tx, &base_key, now, BASE_EVERY_MS)? || deltas > DELTAS_MAX {
        base::<Id>(tx, authority, now)?;
        mark(tx, &base_key, now)?;
        mark(tx, &fresh_key, now)
    } else if older(tx, &fresh_key, now, FRESH_EVERY_MS)? {
        let all = count::<Id>(tx)?;
        put(tx, &fresh_key, &sign::<Id>(authority, now, all, all, Vec::new()))?;
        mark(tx, &fresh_key, now)
    } else {
        Ok(())
    }
}

fn base_key<Id: Series>() -> String {
    format!("{}/base", Id::FEED)
}

/// Puts a new base with all unexpired revocations at the end of the feed, then deletes the deltas that the base replaces.
/// In this order, because the feed's last cursor must not be assigned twice.
fn base<Id: Series>(tx: &Transaction<'_>, authority: &CodeAuthority, now: UnixMs) -> rusqlite::Result<()> {
    let mut live =
        tx.prepare(&format!("SELECT name, ends_ms FROM {} WHERE ends_ms > ?1 ORDER BY number", Id::TABLE))?;
    let live = live
        .query_map([ms(now)], |row| {
            let name: String = row.get(0)?;
            let who = name.parse().map_err(|error| {
                rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error))
            })?;
            Ok(Revoked { who, ends: unix_ms(row.get(1)?) })
        })?
        .collect::<rusqlite::Result<Vec<Revoked<Id>>>>()?;
    let all = count::<Id>(tx)?;
    let length = |some: &[Revoked<Id>]| i64::try_from(some.len()).unwrap_or(i64::MAX);
    let (first, rest) = live.split_at(live.len().min(REVOKED_PER_DELTA_MAX));
    let mut at = all - length(rest);
    let feed = Id::FEED;
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

fn sign<Id: Series>(
    authority: &CodeAuthority,
    now: UnixMs,
    since: i64,
    until: i64,
    revoked: Vec<Revoked<Id>>,
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
    Id::item(Signed::sign(&delta, &authority.revoker))
}

/// Number of the last revocation of this kind; 0 if there is none.
fn count<Id: Series>(tx: &Transaction<'_>) -> rusqlite::Result<i64> {
    tx.query_row(&format!("SELECT coalesce(max(number), 0) FROM {}", Id::TABLE), [], |row| row.get(0))
}

/// Whether `what` was never refreshed or was refreshed at least `than_ms` ago.
fn older(tx: &Transaction<'_>, what: &str, now: UnixMs, than_ms: u64) -> rusqlite::Result<bool> {
    let at: Option<i64> =
        tx.query_row("SELECT at_ms FROM signed_anew WHERE what = ?1", [what], |row| row.get(0)).optional()?;
    Ok(at.is_none_or(|at| unix_ms(at).plus_ms(than_ms) <= now))
}

/// Stores that `what` was refreshed now.
fn mark(tx: &Transaction<'_>, what: &str, now: UnixMs) -> rusqlite::Result<()> {
    tx.execute(
        "INSERT INTO signed_anew (what, at_ms) VALUES (?1, ?2)
         ON CONFLICT (what) DO UPDATE SET at_ms = excluded.at_ms",
        params![what, ms(now)],
    )?;
    Ok(())
}
