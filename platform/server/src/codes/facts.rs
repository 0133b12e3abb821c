//! 授权: what another house may learn of the holder of a code beyond that it is good. A pharmacy learns that its customer
//! is insured, and not with what employer, not under which number: facts are answers of yes and no.
//!
//! | path | body | answer |
//! |---|---|---|
//! | `POST /code/v1/facts`, a client's | [`FactsRequest`] | [`Told`] |
//! | `POST /code/v1/consents`, a phone's | its secret | [`Consents`] |
//! | `POST /code/v1/consent`, a phone's | [`Decision`] | `{}` |
//! | `POST /code/v1/withdrawals`, a phone's | [`Withdrawal`] | `{}` |
//!
//! The client names a request by which it found a code good ([`verify`](super::verify)). Its question then stands on the
//! holder's phone, in words: who asks, what for, what, for how long. The phone signs that text with the key of its code,
//! and what was signed is kept as evidence; the client asks again until it is told. What was agreed to can be taken back
//! at any time, and is not told from then on.

use std::collections::{BTreeMap, BTreeSet};

use contract::{ProblemCode, UnixMs, sm3};
use resident_code::{AnswerCode, Window};
use rusqlite::{OptionalExtension as _, params};
use serde::{Deserialize, Serialize};

use super::judge::{holder, note_use, refused, seconds, unknown};
use super::phones::{self, OfPhone, Phone, phone};
use super::refusal::PhoneRefusal;
use super::unhex;
use super::verify::{Client, fresh};
use crate::columns::{before, hex, ms, text, unix_ms};
use crate::device;
use crate::fail::{Fail, json, malformed};
use crate::platform::Turn;
use crate::wire::{Reply, Request, Response};

/// A question stands on the phone for so long, and is answered once it is agreed to for as long.
const ASKED_MS: u64 = 10 * 60 * 1000;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// Most questions and consents that a phone is shown.
const SHOWN_MAX: u32 = 50;
/// Stands before the text that a phone signs.
const DOMAIN: &[u8] = b"consent/1\0";

/// A fact about a resident: yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fact {
    /// 正常参加医保, as the base of insured persons has it.
    Insured,
    /// 年满六十周岁.
    Over60,
}

impl Fact {
    /// What the holder is asked about.
    const fn title(self) -> &'static str {
        match self {
            Self::Insured => "是否正常参加医保",
            Self::Over60 => "是否年满六十周岁",
        }
    }

    fn of(self, turn: &Turn<'_>, resident: i64) -> rusqlite::Result<bool> {
        let (status, id_number): (Option<String>, String) = turn.tx.query_row(
            "SELECT status, id_number FROM residents WHERE resident = ?1",
            [resident],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        Ok(match self {
            // 退休人员 are insured without paying; every other status is an interruption or none.
            Self::Insured => matches!(status.as_deref(), Some("正常参保" | "退休")),
            Self::Over60 => is_sixty(&id_number, turn.now),
        })
    }
}

/// Whether whoever was born on the day in this ID number is sixty, by the calendar of Chongqing.
fn is_sixty(id_number: &str, now: UnixMs) -> bool {
    let Ok(today) = jiff::Timestamp::from_millisecond(i64::try_from(now.0).unwrap_or(i64::MAX)) else {
        return false;
    };
    let today = today.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(8))).strftime("%Y%m%d").to_string();
    let number = |day: &str| day.parse::<u32>().ok();
    match (id_number.get(6..14).and_then(number), number(&today)) {
        (Some(born), Some(today)) => born + 60_00_00 <= today,
        _ => false,
    }
}

/// Asks for facts about the holder of a code.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FactsRequest {
    /// The request by which this client found the code good, at most ten minutes ago.
    request: String,
    /// What it wants to know; at least one.
    facts: BTreeSet<Fact>,
}

/// What the client is told.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
enum Told {
    /// The holder has not decided: ask again.
    Waiting,
    /// The holder agreed.
    Agreed { facts: BTreeMap<Fact, bool>, until_ms: UnixMs },
    /// The holder said no, took it back, or let the time pass.
    Declined,
    /// The holder has no phone to be asked on.
    NoPhone,
}

/// What is asked of a holder, and what they agreed to.
#[derive(Serialize)]
struct Consents {
    asked: Vec<Shown>,
    agreed: Vec<Shown>,
}

#[derive(Serialize)]
struct Shown {
    consent: String,
    /// [`Statement`], as it is signed.
    text: String,
}

/// What the holder reads and signs.
#[derive(Serialize)]
struct Statement<'a> {
    consent: &'a str,
    recipient: &'a str,
    purpose: &'a str,
    items: Vec<&'static str>,
    /// 0: this once.
    days: u16,
}

/// Agreed, or not.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Decision {
    phone: String,
    consent: String,
    /// The answer code of the phone over `consent/1`, a zero byte and SM3 of the text; none: the holder says no.
    answer: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Withdrawal {
    phone: String,
    consent: String,
}

/// `POST /code/v1/facts`.
pub(crate) fn facts(turn: &mut Turn<'_>, request: &Request) -> Result<Reply, Fail> {
    let client = device::signer(&turn.city.clients, request)?;
    fresh(request, turn.now)?;
    let body: FactsRequest = json(&request.body)?;
    let id: [u8; 16] = unhex(&body.request).ok_or_else(|| malformed("`request` is 32 hexadecimal digits"))?;
    if body.facts.is_empty() || !body.facts.is_subset(&client.facts) {
        return Err(ProblemCode::NotOffered.because("the client is not registered for these facts").into());
    }
    let verified: Option<(i64, String)> = turn
        .tx
        .query_row(
            "SELECT resident, purpose FROM verifications
             WHERE client = ?1 AND request = ?2 AND resident IS NOT NULL AND at_ms > ?3",
            params![client.id.to_string(), id, before(turn.now, ASKED_MS)],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let (resident, purpose) = verified.ok_or_else(|| {
        Fail::from(ProblemCode::NotOffered.because("no code was found good by this request of late"))
    })?;
    let question = Question { client, resident, request: id, purpose, named: text(&body.facts) };
    let told = match question.agreed(turn)? {
        Some(until_ms) => {
            let facts = body.facts.iter().map(|fact| Ok((*fact, fact.of(turn, resident)?)));
            let facts = facts.collect::<rusqlite::Result<_>>()?;
            question.note_told(turn)?;
            Told::Agreed { facts, until_ms }
        }
        None => question.ask(turn, body.facts.iter().map(|fact| fact.title()).collect())?,
    };
    Ok(Response::json(&told).into())
}

/// What a client wants to know about whom.
struct Question<'a> {
    client: &'a Client,
    resident: i64,
    /// That by which the client found the holder's code good.
    request: [u8; 16],
    purpose: String,
    /// The facts, as they stand in columns.
    named: String,
}

impl Question<'_> {
    /// Until when the holder's consent to just this holds, if it does.
    fn agreed(&self, turn: &Turn<'_>) -> rusqlite::Result<Option<UnixMs>> {
        turn.tx
            .query_row(
                "SELECT max(until_ms) FROM fact_consents
                 WHERE client = ?1 AND resident = ?2 AND purpose = ?3 AND facts = ?4 AND state = 'agreed'
                 AND until_ms > ?5",
                params![self.client.id.to_string(), self.resident, self.purpose, self.named, ms(turn.now)],
                |row| row.get::<_, Option<i64>>(0),
            )
            .map(|until| until.map(unix_ms))
    }

    /// Writes down that it was told, and lets the holder see it; once, however often the client asks.
    fn note_told(&self, turn: &Turn<'_>) -> rusqlite::Result<()> {
        let new = turn.tx.execute(
            "INSERT INTO facts_told (client, request, facts, at_ms) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO NOTHING",
            params![self.client.id.to_string(), self.request, self.named, ms(turn.now)],
        )?;
        if new == 1 {
            note_use(turn, self.resident, &self.client.name, "按您的授权查询")
        } else {
            Ok(())
        }
    }

    /// Puts it on the holder's phone, once for each request.
    fn ask(&self, turn: &mut Turn<'_>, items: Vec<&'static str>) -> Result<Told, Fail> {
        let Self { client, resident, request, purpose, named } = self;
        let known: Option<String> = turn
            .tx
            .query_row(
                "SELECT state FROM fact_consents WHERE client = ?1 AND request = ?2 AND facts = ?3",
                params![client.id.to_string(), request, named],
                |row| row.get(0),
            )
            .optional()?;
        match known.as_deref() {
            Some("asked") => return Ok(Told::Waiting),
            Some(_) => return Ok(Told::Declined),
            None => {}
        }
        let has_phone: bool = turn.tx.query_row(
            "SELECT EXISTS (SELECT 1 FROM phones WHERE resident = ?1 AND ended_ms IS NULL)",
            [resident],
            |row| row.get(0),
        )?;
        if !has_phone {
            return Ok(Told::NoPhone);
        }
        let (consent, days) = (hex(&turn.draw.next()), client.consent_days);
        let statement = text(&Statement { consent: &consent, recipient: &client.name, purpose, items, days });
        turn.tx.execute(
            "INSERT INTO fact_consents
             (consent, client, request, resident, purpose, facts, days, statement, asked_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                consent,
                client.id.to_string(),
                request,
                resident,
                purpose,
                named,
                days,
                statement,
                ms(turn.now)
            ],
        )?;
        Ok(Told::Waiting)
    }
}

/// What stands on a phone.
pub(super) fn consents(turn: &Turn<'_>, body: &[u8]) -> Result<Reply, Fail> {
    let OfPhone { phone: secret } = phones::json(body)?;
    let Phone { resident, .. } = phone(turn, &secret)?;
    let shown = |state: &str, after: &str, moment: i64| {
        let mut rows = turn.tx.prepare(&format!(
            "SELECT consent, statement FROM fact_consents
             WHERE resident = ?1 AND state = ?2 AND {after} > ?3 ORDER BY asked_ms DESC, consent LIMIT ?4",
        ))?;
        rows.query_map(params![resident, state, moment, SHOWN_MAX], |row| {
            Ok(Shown { consent: row.get(0)?, text: row.get(1)? })
        })?
        .collect::<rusqlite::Result<Vec<_>>>()
    };
    let asked = shown("asked", "asked_ms", before(turn.now, ASKED_MS))?;
    let agreed = shown("agreed", "until_ms", ms(turn.now))?;
    Ok(Response::json(&Consents { asked, agreed }).into())
}

/// The holder decides.
pub(super) fn decide(turn: &Turn<'_>, body: &[u8]) -> Result<Reply, Fail> {
    let decision: Decision = phones::json(body)?;
    let Phone { resident, .. } = phone(turn, &decision.phone)?;
    let asked: Option<(String, u16)> = turn
        .tx
        .query_row(
            "SELECT statement, days FROM fact_consents
             WHERE consent = ?1 AND resident = ?2 AND state = 'asked' AND asked_ms > ?3",
            params![decision.consent, resident, before(turn.now, ASKED_MS)],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let (statement, days) = asked.ok_or(PhoneRefusal::ConsentOver)?;
    let Some(answer) = decision.answer else {
        return settle(turn, &decision.consent, "declined", None, turn.now);
    };
    let authority = turn.city.codes.as_ref().ok_or_else(unknown)?;
    let code = AnswerCode::parse(&answer).map_err(refused)?;
    let signed = [DOMAIN, &sm3(&[statement.as_bytes()])].concat();
    let presented = code
        .verify(&authority.accepted(turn.now), &signed, seconds(turn.now), Window::default())
        .map_err(refused)?;
    // Another's phone agrees to nothing here.
    if holder(turn, presented.alias)? != resident {
        return Err(PhoneRefusal::Malformed.into());
    }
    let for_ms = if days == 0 { ASKED_MS } else { u64::from(days) * DAY_MS };
    settle(turn, &decision.consent, "agreed", Some(&answer), turn.now.plus_ms(for_ms))
}

/// 撤回授权.
pub(super) fn withdraw(turn: &Turn<'_>, body: &[u8]) -> Result<Reply, Fail> {
    let withdrawal: Withdrawal = phones::json(body)?;
    let Phone { resident, .. } = phone(turn, &withdrawal.phone)?;
    turn.tx.execute(
        "UPDATE fact_consents SET state = 'withdrawn', until_ms = ?3
         WHERE consent = ?1 AND resident = ?2 AND state = 'agreed'",
        params![withdrawal.consent, resident, ms(turn.now)],
    )?;
    Ok(Response::json(&serde_json::json!({})).into())
}

fn settle(
    turn: &Turn<'_>,
    consent: &str,
    state: &str,
    answer: Option<&str>,
    until: UnixMs,
) -> Result<Reply, Fail> {
    turn.tx.execute(
        "UPDATE fact_consents SET state = ?2, answer = ?3, decided_ms = ?4, until_ms = ?5 WHERE consent = ?1",
        params![consent, state, answer, ms(turn.now), ms(until)],
    )?;
    Ok(Response::json(&serde_json::json!({})).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixty_is_from_the_birthday_on() {
        // 2026-11-24 in Chongqing begins at 16:00 of the day before, UTC.
        let midnight = UnixMs(1_795_449_600_000);
        assert!(is_sixty("500112196611240422", midnight));
        assert!(!is_sixty("500112196611240422", UnixMs(midnight.0 - 1)));
        assert!(!is_sixty("500112", midnight));
    }
}
