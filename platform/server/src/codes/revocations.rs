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
    AdmissionSubject, CardName, CardStatus, CodeHolder, Entry, FeedItem, REVOKED_PER_DELTA_MAX, RecordHeader,
    Revocable, Revocations, Revoked, SignedStatement, UnixMs,
};
use rusqlite::{OptionalExtension as _, Transaction, params};

use crate::config::code_authority::CodeAuthority;
use crate::feed::put_feed_item;
use crate::incidents::record_incident;
use crate::store::columns::{from_id_column, from_ms_column, to_json_column, to_ms_column};

const HOUR_MS: u64 = 60 * 60 * 1000;
/// Interval at which the empty delta is signed again.
const FRESHNESS_INTERVAL_MS: u64 = HOUR_MS;
/// Interval at which the base is built again.
const BASE_INTERVAL_MS: u64 = 24 * HOUR_MS;
/// Number of deltas after which the base is built again earlier.
const DELTAS_MAX: i64 = 200;
/// Time for which a card stays on the list: no card is valid for more than ten years (ASSUMED, as most cities issue them).
const CARD_LIFE_MS: u64 = 10 * 366 * 24 * HOUR_MS;

/// A kind of revocation: its table and its keys in the feed.
trait RevocationSeries: Revocable + FromStr<Err: Error + Send + Sync + 'static> + Display {
    /// Table of the revocations: number, name, beginning and end.
    const TABLE: &'static str;
    /// Prefix of the keys in the feed.
    const FEED_PREFIX: &'static str;

    /// Wraps a signed delta as a feed item.
    fn feed_item(delta: SignedStatement<Revocations<Self>>) -> FeedItem;
}

impl RevocationSeries for CodeHolder {
    const TABLE: &'static str = "code_revocations";
    const FEED_PREFIX: &'static str = "#revocations";

    fn feed_item(delta: SignedStatement<Revocations<Self>>) -> FeedItem {
        FeedItem::Revocations { delta }
    }
}

impl RevocationSeries for CardName {
    const TABLE: &'static str = "card_stops";
    const FEED_PREFIX: &'static str = "#card-stops";

    fn feed_item(delta: SignedStatement<Revocations<Self>>) -> FeedItem {
        FeedItem::CardRevocations { delta }
    }
}

/// Credential medium (凭证载体) of a resident's codes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Medium {
    /// The bound phone: online tokens and session certificates.
    Phone,
    /// The printed paper code.
    Paper,
}

/// Revokes all codes of a resident on this medium.
pub(crate) fn revoke_medium(
    tx: &Transaction<'_>,
    authority: &CodeAuthority,
    now: UnixMs,
    resident: i64,
    carrier: Medium,
) -> rusqlite::Result<()> {
    if carrier == Medium::Phone {
        tx.execute("DELETE FROM tokens WHERE resident = ?1 AND used_by IS NULL", [resident])?;
    }
    let mut live = tx.prepare(
        "UPDATE code_aliases SET revoked = 1
         WHERE resident = ?1 AND revoked = 0 AND ends_ms > ?2 AND (phone IS NULL) = ?3 RETURNING alias, ends_ms",
    )?;
    let live = live
        .query_map(params![resident, to_ms_column(now), carrier == Medium::Paper], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<rusqlite::Result<Vec<([u8; 8], i64)>>>()?;
    for (alias, ends) in live {
        revoke(tx, authority, now, CodeHolder::from_alias(&alias), from_ms_column(ends))?;
    }
    Ok(())
}

/// Revokes all codes of a resident. The phone stays bound and can fetch a new certificate when the resident has a card in
/// force again.
pub(crate) fn revoke_all_codes(
    tx: &Transaction<'_>,
    authority: &CodeAuthority,
    now: UnixMs,
    resident: i64,
) -> rusqlite::Result<()> {
    revoke_medium(tx, authority, now, resident, Medium::Phone)?;
    revoke_medium(tx, authority, now, resident, Medium::Paper)
}

/// Publishes to the kiosks whether a card is in force: a gate without a link admits holders of cards in force.
pub(crate) fn publish_card_status(
    tx: &Transaction<'_>,
    authority: &CodeAuthority,
    now: UnixMs,
    identification: &str,
    version: &str,
    in_force: bool,
) -> rusqlite::Result<()> {
    match card_status_change(tx, now, identification, version, in_force)? {
        Some((card, ends)) => revoke(tx, authority, now, card, ends),
        None => Ok(()),
    }
}

/// The revocation that must be published for a card; `None` if the published state is already right. An end of 0 lifts a
/// revocation.
fn card_status_change(
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
    let Ok(card) =
        identification.parse().map(|identification| CardName::from_identification(&identification))
    else {
        return Ok(None);
    };
    let stopped: bool = tx.query_row(
        "SELECT EXISTS (SELECT 1 FROM card_stops WHERE name = ?1 AND ends_ms > ?2)",
        params![card.to_string(), to_ms_column(now)],
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
pub(crate) fn compare_admission(
    tx: &Transaction<'_>,
    header: &RecordHeader,
    entry: &Entry,
    now: UnixMs,
) -> rusqlite::Result<()> {
    let Entry::Admitted { who: AdmissionSubject::Card(card), visit, .. } = entry else { return Ok(()) };
    let stopped: bool = tx.query_row(
        "SELECT EXISTS (SELECT 1 FROM card_stops WHERE name = ?1 AND at_ms <= ?2 AND ends_ms > ?3)",
        params![card.to_string(), to_ms_column(header.time), to_ms_column(now)],
        |row| row.get(0),
    )?;
    if stopped {
        let what =
            format!("{} admitted a card that is not in force: its revocation had not arrived", header.device);
        record_incident(tx, &format!("admission {visit}"), &what, to_ms_column(now))?;
    }
    Ok(())
}

/// Stores and publishes a revocation. Kiosks keep it until `ends`.
fn revoke<Id: RevocationSeries>(
    tx: &Transaction<'_>,
    authority: &CodeAuthority,
    now: UnixMs,
    who: Id,
    ends: UnixMs,
) -> rusqlite::Result<()> {
    let before = insert_revocation(tx, now, who, ends)?;
    let delta = sign_delta(authority, now, before, before + 1, vec![Revoked { who, ends }]);
    put_feed_item(tx, &format!("{}/delta/{:016}", Id::FEED_PREFIX, before + 1), &delta)
}

/// Stores a revocation under the next number; returns the number before.
fn insert_revocation<Id: RevocationSeries>(
    tx: &Transaction<'_>,
    now: UnixMs,
    who: Id,
    ends: UnixMs,
) -> rusqlite::Result<i64> {
    let before = last_number::<Id>(tx)?;
    tx.execute(
        &format!("INSERT INTO {} (number, name, at_ms, ends_ms) VALUES (?1, ?2, ?3, ?4)", Id::TABLE),
        params![before + 1, who.to_string(), to_ms_column(now), to_ms_column(ends)],
    )?;
    Ok(before)
}

/// Publishes the list of issuer keys, and signs those bases and empty deltas again that are due. Idempotent.
pub(crate) fn refresh_feed(
    tx: &Transaction<'_>,
    authority: &CodeAuthority,
    now: UnixMs,
) -> rusqlite::Result<()> {
    put_feed_item(tx, "#issuer-keys", &FeedItem::IssuerKeys { list: authority.signed_issuer_keys.clone() })?;
    refresh_series::<CodeHolder>(tx, authority, now)?;
    if is_refresh_due(tx, &base_feed_key::<CardName>(), now, BASE_INTERVAL_MS)? {
        stop_cards_not_in_force(tx, now)?;
    }
    refresh_series::<CardName>(tx, authority, now)
}

/// Stores revocations for all cards that are not in force in the card-holder base, however their standing was set. The
/// next base publishes them.
fn stop_cards_not_in_force(tx: &Transaction<'_>, now: UnixMs) -> rusqlite::Result<()> {
    let mut stopped = tx.prepare("SELECT identification, version FROM cards WHERE standing <> ?1")?;
    let mut stopped = stopped.query([to_json_column(&CardStatus::InForce)])?;
    while let Some(row) = stopped.next()? {
        let (identification, version): (String, String) = (row.get(0)?, row.get(1)?);
        if let Some((card, ends)) = card_status_change(tx, now, &identification, &version, false)? {
            insert_revocation(tx, now, card, ends)?;
        }
    }
    Ok(())
}

fn refresh_series<Id: RevocationSeries>(
    tx: &Transaction<'_>,
    authority: &CodeAuthority,
    now: UnixMs,
) -> rusqlite::Result<()> {
    let (base_key, fresh_key) = (base_feed_key::<Id>(), format!("{}/fresh", Id::FEED_PREFIX));
    let deltas: i64 = tx.query_row(
        "SELECT count(*) FROM changes WHERE service LIKE ?1 || '/delta/%'",
        [Id::FEED_PREFIX],
        |row| row.get(0),
    )?;
    if is_refresh_due(tx, &base_key, now, BASE_INTERVAL_MS)? || deltas > DELTAS_MAX {
        publish_base::<Id>(tx, authority, now)?;
        set_refreshed(tx, &base_key, now)?;
        set_refreshed(tx, &fresh_key, now)
    } else if is_refresh_due(tx, &fresh_key, now, FRESHNESS_INTERVAL_MS)? {
        let all = last_number::<Id>(tx)?;
        put_feed_item(tx, &fresh_key, &sign_delta::<Id>(authority, now, all, all, Vec::new()))?;
        set_refreshed(tx, &fresh_key, now)
    } else {
        Ok(())
    }
}

fn base_feed_key<Id: RevocationSeries>() -> String {
    format!("{}/base", Id::FEED_PREFIX)
}

/// Puts a new base with all unexpired revocations at the end of the feed, then deletes the deltas that the base replaces.
/// In this order, because the feed's last cursor must not be assigned twice.
fn publish_base<Id: RevocationSeries>(
    tx: &Transaction<'_>,
    authority: &CodeAuthority,
    now: UnixMs,
) -> rusqlite::Result<()> {
    let mut live =
        tx.prepare(&format!("SELECT name, ends_ms FROM {} WHERE ends_ms > ?1 ORDER BY number", Id::TABLE))?;
    let live = live
        .query_map([to_ms_column(now)], |row| {
            let who = from_id_column(&row.get::<_, String>(0)?)?;
            Ok(Revoked { who, ends: from_ms_column(row.get(1)?) })
        })?
        .collect::<rusqlite::Result<Vec<Revoked<Id>>>>()?;
    let all = last_number::<Id>(tx)?;
    let length = |some: &[Revoked<Id>]| i64::try_from(some.len()).unwrap_or(i64::MAX);
    let (first, rest) = live.split_at(live.len().min(REVOKED_PER_DELTA_MAX));
    let mut at = all - length(rest);
    let feed = Id::FEED_PREFIX;
    put_feed_item(tx, &format!("{feed}/base/00000000"), &sign_delta(authority, now, 0, at, first.to_vec()))?;
    let mut parts = 1_u32;
    for part in rest.chunks(REVOKED_PER_DELTA_MAX) {
        let until = at + length(part);
        let key = format!("{feed}/base/{parts:08}");
        put_feed_item(tx, &key, &sign_delta(authority, now, at, until, part.to_vec()))?;
        (at, parts) = (until, parts + 1);
    }
    tx.execute(
        "DELETE FROM changes WHERE service LIKE ?1 || '/delta/%' OR service = ?1 || '/fresh'
         OR (service LIKE ?1 || '/base/%' AND service >= ?2)",
        [feed, &format!("{feed}/base/{parts:08}")],
    )?;
    Ok(())
}

fn sign_delta<Id: RevocationSeries>(
    authority: &CodeAuthority,
    now: UnixMs,
    since: i64,
    until: i64,
    revoked: Vec<Revoked<Id>>,
) -> FeedItem {
    let number = |stored| u64::try_from(stored).unwrap_or(0);
    let hours = u64::from(authority.rules.revocation.trusted_hours);
    let delta = Revocations {
        city: authority.issuer_keys.city.clone(),
        since: number(since),
        until: number(until),
        expires: now.plus_ms(hours * HOUR_MS),
        revoked,
    };
    Id::feed_item(SignedStatement::sign(&delta, &authority.revoker))
}

/// Number of the last revocation of this kind; 0 if there is none.
fn last_number<Id: RevocationSeries>(tx: &Transaction<'_>) -> rusqlite::Result<i64> {
    tx.query_row(&format!("SELECT coalesce(max(number), 0) FROM {}", Id::TABLE), [], |row| row.get(0))
}

/// Whether `what` was never refreshed or was refreshed at least `than_ms` ago.
fn is_refresh_due(tx: &Transaction<'_>, what: &str, now: UnixMs, than_ms: u64) -> rusqlite::Result<bool> {
    let at: Option<i64> =
        tx.query_row("SELECT at_ms FROM signed_anew WHERE what = ?1", [what], |row| row.get(0)).optional()?;
    Ok(at.is_none_or(|at| from_ms_column(at).plus_ms(than_ms) <= now))
}

/// Stores that `what` was refreshed now.
fn set_refreshed(tx: &Transaction<'_>, what: &str, now: UnixMs) -> rusqlite::Result<()> {
    tx.execute(
        "INSERT INTO signed_anew (what, at_ms) VALUES (?1, ?2)
         ON CONFLICT (what) DO UPDATE SET at_ms = excluded.at_ms",
        params![what, to_ms_column(now)],
    )?;
    Ok(())
}
