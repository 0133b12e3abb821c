//! 授权: a house to whom a code was shown wants to know more of its holder, and the holder agrees or does not.
//!
//! | path | body | answer |
//! |---|---|---|
//! | `POST /code/v1/consents`, a phone's | its secret | [`Consents`] |
//! | `POST /code/v1/consent`, a phone's | [`Decision`] | `{}` |
//! | `POST /code/v1/withdrawals`, a phone's | [`Withdrawal`] | `{}` |
//!
//! The client names a request by which it found a code good ([`verify`](super::verify)). Its question then stands on the
//! holder's phone, in words: who asks, what for, what, for how long. The phone signs that text with the key of its code,
//! and what was signed is kept as evidence; the client asks again until it is told. What was agreed to can be taken back
//! at any time, and is not told from then on.

use contract::{ProblemCode, UnixMs, sm3};
use resident_code::{AnswerCode, Window};
use rusqlite::{OptionalExtension as _, params};
use serde::{Deserialize, Serialize};

use super::judge::{holder, note_use, refused, seconds, unknown};
use super::phones::{self, OfPhone, Phone, phone};
use super::refusal::PhoneRefusal;
use super::unhex;
use super::verify::Client;
use crate::columns::{before, hex, ms, text, unix_ms};
use crate::fail::{Fail, malformed};
use crate::platform::Turn;
use crate::wire::{Reply, Response};

/// A question stands on the phone for so long, and is answered once it is agreed to for as long.
pub(super) const ASKED_MS: u64 = 10 * 60 * 1000;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// Most questions and consents that a phone is shown.
const SHOWN_MAX: u32 = 50;
/// Stands before the text that a phone signs.
const DOMAIN: &[u8] = b"consent/1\0";

/// What the client is told.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub(super) enum Told<T> {
    /// The holder has not decided: ask again.
    Waiting,
    /// The holder agreed.
    Agreed {
        #[serde(flatten)]
        what: T,
        until_ms: UnixMs,
    },
    /// The holder said no, took it back, or let the time pass.
    Declined,
    /// The holder has no phone to be asked on.
    NoPhone,
}

/// What stands on the phone, and in the list of uses afterwards.
pub(super) struct Asked {
    pub(super) licence: Option<&'static str>,
    pub(super) items: Vec<&'static str>,
    pub(super) noted: String,
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
    /// The licence that the items stand in; none: they are questions of yes and no.
    #[serde(skip_serializing_if = "Option::is_none")]
    licence: Option<&'static str>,
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

/// What a client wants to know about whom.
pub(super) struct Question<'a> {
    client: &'a Client,
    pub(super) resident: i64,
    /// That by which the client found the holder's code good.
    request: [u8; 16],
    pub(super) purpose: String,
    /// What is asked for, as it stands in columns.
    named: String,
}

/// What a holder agreed to.
pub(super) struct Agreed {
    pub(super) consent: String,
    pub(super) until: UnixMs,
}

impl<'a> Question<'a> {
    /// A question about the holder of the code that `client` found good by this request.
    pub(super) fn about(
        turn: &Turn<'_>,
        client: &'a Client,
        request: &str,
        named: String,
    ) -> Result<Self, Fail> {
        let request: [u8; 16] =
            unhex(request).ok_or_else(|| malformed("`request` is 32 hexadecimal digits"))?;
        let verified: Option<(i64, String)> = turn
            .tx
            .query_row(
                "SELECT resident, purpose FROM verifications
                 WHERE client = ?1 AND request = ?2 AND resident IS NOT NULL AND at_ms > ?3",
                params![client.id.to_string(), request, before(turn.now, ASKED_MS)],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        let (resident, purpose) = verified.ok_or_else(|| {
            Fail::from(ProblemCode::NotOffered.because("no code was found good by this request of late"))
        })?;
        Ok(Self { client, resident, request, purpose, named })
    }

    /// What the client is told: what `tells`, once the holder has agreed; until then the question stands on the phone.
    pub(super) fn told<T>(
        &self,
        turn: &mut Turn<'_>,
        asked: Asked,
        tells: impl FnOnce(&Turn<'_>, &Agreed) -> Result<T, Fail>,
    ) -> Result<Told<T>, Fail> {
        let Some(agreed) = self.agreed(turn)? else { return self.ask(turn, asked.licence, asked.items) };
        let what = tells(turn, &agreed)?;
        self.note_told(turn, &asked.noted)?;
        Ok(Told::Agreed { what, until_ms: agreed.until })
    }

    /// What the holder agreed to, if it is just this and still holds.
    fn agreed(&self, turn: &Turn<'_>) -> rusqlite::Result<Option<Agreed>> {
        turn.tx
            .query_row(
                "SELECT consent, until_ms FROM fact_consents
                 WHERE client = ?1 AND resident = ?2 AND purpose = ?3 AND facts = ?4 AND state = 'agreed'
                 AND until_ms > ?5 ORDER BY until_ms DESC LIMIT 1",
                params![self.client.id.to_string(), self.resident, self.purpose, self.named, ms(turn.now)],
                |row| Ok(Agreed { consent: row.get(0)?, until: unix_ms(row.get(1)?) }),
            )
            .optional()
    }

    /// Writes down that it was told, and lets the holder see it; once, however often the client asks.
    fn note_told(&self, turn: &Turn<'_>, what: &str) -> rusqlite::Result<()> {
        let new = turn.tx.execute(
            "INSERT INTO facts_told (client, request, facts, at_ms) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO NOTHING",
            params![self.client.id.to_string(), self.request, self.named, ms(turn.now)],
        )?;
        if new == 1 { note_use(turn, self.resident, &self.client.name, what) } else { Ok(()) }
    }

    /// Puts it on the holder's phone, once for each request.
    fn ask<T>(
        &self,
        turn: &mut Turn<'_>,
        licence: Option<&'static str>,
        items: Vec<&'static str>,
    ) -> Result<Told<T>, Fail> {
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
        let statement =
            text(&Statement { consent: &consent, recipient: &client.name, purpose, licence, items, days });
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
