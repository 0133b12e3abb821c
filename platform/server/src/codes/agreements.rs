//! Consents (授权同意) on a phone: a relying party that verified a code requests more data about its holder, and the holder
//! agrees or declines.
//!
//! | path | body | answer |
//! |---|---|---|
//! | `POST /code/v1/consents`, from a phone | the phone's secret | [`ConsentLists`] |
//! | `POST /code/v1/consent`, from a phone | [`ConsentDecision`] | `{}` |
//! | `POST /code/v1/withdrawals`, from a phone | [`ConsentWithdrawal`] | `{}` |
//!
//! The relying party names the request by which it verified the code ([`relying_parties`](super::relying_parties)). The
//! holder's phone then shows its consent request in words: recipient, purpose, requested items, and duration. The phone
//! signs that text with the key of its code, and the platform stores the signature as proof. The relying party repeats its
//! request until the holder has decided. The holder can withdraw a consent at any time; nothing is disclosed after that.

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

/// Lifetime of a consent request on the phone, and of a consent to a single disclosure, in milliseconds.
pub(super) const ASKED_MS: u64 = 10 * 60 * 1000;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// Most consent requests, and most consents, that a phone is shown.
const SHOWN_MAX: u32 = 50;
/// Domain separator of the signature under a consent.
const DOMAIN: &[u8] = b"consent/1\0";

/// State of a consent, as answered to the relying party.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub(super) enum Told<T> {
    /// The holder has not decided yet; the relying party repeats its request.
    Waiting,
    /// The holder agreed.
    Agreed {
        /// The disclosed data.
        #[serde(flatten)]
        #[serde(rename = "what")]
        what: T,
        /// End of the consent.
        until_ms: UnixMs,
    },
    /// The holder declined or withdrew the consent, or its time has passed.
    Declined,
    /// The holder has no bound phone that could show the request.
    NoPhone,
}

/// Texts for the holder: those of the consent request, and the entry in the list of uses after the disclosure.
pub(super) struct Asked {
    /// Title of the e-certificate; `None`: the items are claims.
    pub(super) licence: Option<&'static str>,
    /// Titles of the requested items.
    pub(super) items: Vec<&'static str>,
    /// Text in the list of uses.
    pub(super) noted: String,
}

/// Open consent requests and current consents of a holder.
#[derive(Serialize)]
struct Consents {
    asked: Vec<Shown>,
    agreed: Vec<Shown>,
}

/// A consent request or consent, as the phone shows it.
#[derive(Serialize)]
struct Shown {
    consent: String,
    /// [`ConsentStatement`] as JSON, exactly as it is signed.
    text: String,
}

/// The statement that the holder reads and signs.
#[derive(Serialize)]
struct Statement<'a> {
    consent: &'a str,
    recipient: &'a str,
    purpose: &'a str,
    /// Title of the e-certificate with the items; `None`: the items are claims.
    #[serde(skip_serializing_if = "Option::is_none")]
    licence: Option<&'static str>,
    items: Vec<&'static str>,
    /// Duration in days; 0: a single disclosure.
    days: u16,
}

/// A holder's decision on a consent request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Decision {
    phone: String,
    consent: String,
    /// Answer code of the phone over `consent/1`, a zero byte and SM3 of the text; `None`: the holder declines.
    answer: Option<String>,
}

/// A holder's withdrawal of a consent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Withdrawal {
    phone: String,
    consent: String,
}

/// A relying party's request for consent of a holder.
pub(super) struct Question<'a> {
    client: &'a Client,
    pub(super) resident: i64,
    /// Id of the request by which the relying party verified the holder's code.
    request: [u8; 16],
    pub(super) purpose: String,
    /// Requested claims or items as JSON, the key of the consent in the column `facts`.
    named: String,
}

/// A consent that is in effect.
pub(super) struct Agreed {
    pub(super) consent: String,
    pub(super) until: UnixMs,
}

impl<'a> Question<'a> {
    /// A consent request to the holder of the code that the relying party verified by `request`.
    pub(super) fn about(
        context: &Turn<'_>,
        relying_party: &'a Client,
        request: &str,
        named: String,
    ) -> Result<Self, Fail> {
        let request: [u8; 16] =
            unhex(request).ok_or_else(|| malformed("`request` is 32 hexadecimal digits"))?;
        let verified: Option<(i64, String)> = context
            .tx
            .query_row(
                "SELECT resident, purpose FROM verifications
                 WHERE client = ?1 AND request = ?2 AND resident IS NOT NULL AND at_ms > ?3",
                params![relying_party.id.to_string(), request, before(context.now, ASKED_MS)],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        let (resident, purpose) = verified.ok_or_else(|| {
            Fail::from(
                ProblemCode::NotOffered
                    .because("no code was accepted by this request in the last ten minutes"),
            )
        })?;
        Ok(Self { client: relying_party, resident, request, purpose, named })
    }

    /// Answers the relying party: with the data of `disclose` once the holder has agreed; before that, puts the consent
    /// request on the holder's phone.
    pub(super) fn told<T>(
        &self,
        context: &mut Turn<'_>,
        prompt: Asked,
        disclose: impl FnOnce(&Turn<'_>, &Agreed) -> Result<T, Fail>,
    ) -> Result<Told<T>, Fail> {
        let Some(agreed) = self.agreed(context)? else {
            return self.ask(context, prompt.licence, prompt.items);
        };
        let what = disclose(context, &agreed)?;
        self.note_told(context, &prompt.noted)?;
        Ok(Told::Agreed { what, until_ms: agreed.until })
    }

    /// Finds a consent of the holder to exactly this request that is still in effect.
    fn agreed(&self, context: &Turn<'_>) -> rusqlite::Result<Option<Agreed>> {
        context
            .tx
            .query_row(
                "SELECT consent, until_ms FROM fact_consents
                 WHERE client = ?1 AND resident = ?2 AND purpose = ?3 AND facts = ?4 AND state = 'agreed'
                 AND until_ms > ?5 ORDER BY until_ms DESC LIMIT 1",
                params![self.client.id.to_string(), self.resident, self.purpose, self.named, ms(context.now)],
                |row| Ok(Agreed { consent: row.get(0)?, until: unix_ms(row.get(1)?) }),
            )
            .optional()
    }

    /// Logs the disclosure, once per request, and adds it to the holder's list of uses.
    fn note_told(&self, context: &Turn<'_>, what: &str) -> rusqlite::Result<()> {
        let inserted = context.tx.execute(
            "INSERT INTO facts_told (client, request, facts, at_ms) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO NOTHING",
            params![self.client.id.to_string(), self.request, self.named, ms(context.now)],
        )?;
        if inserted == 1 { note_use(context, self.resident, &self.client.name, what) } else { Ok(()) }
    }

    /// Puts the consent request on the holder's phone, once per request.
    fn ask<T>(
        &self,
        context: &mut Turn<'_>,
        licence: Option<&'static str>,
        items: Vec<&'static str>,
    ) -> Result<Told<T>, Fail> {
        let Self { client: relying_party, resident, request, purpose, named } = self;
        let known: Option<String> = context
            .tx
            .query_row(
                "SELECT state FROM fact_consents WHERE client = ?1 AND request = ?2 AND facts = ?3",
                params![relying_party.id.to_string(), request, named],
                |row| row.get(0),
            )
            .optional()?;
        match known.as_deref() {
            Some("asked") => return Ok(Told::Waiting),
            Some(_) => return Ok(Told::Declined),
            None => {}
        }
        let has_phone: bool = context.tx.query_row(
            "SELECT EXISTS (SELECT 1 FROM phones WHERE resident = ?1 AND ended_ms IS NULL)",
            [resident],
            |row| row.get(0),
        )?;
        if !has_phone {
            return Ok(Told::NoPhone);
        }
        let (consent, days) = (hex(&context.draw.next()), relying_party.consent_days);
        let statement = text(&Statement {
            consent: &consent,
            recipient: &relying_party.name,
            purpose,
            licence,
            items,
            days,
        });
        context.tx.execute(
            "INSERT INTO fact_consents
             (consent, client, request, resident, purpose, facts, days, statement, asked_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                consent,
                relying_party.id.to_string(),
                request,
                resident,
                purpose,
                named,
                days,
                statement,
                ms(context.now)
            ],
        )?;
        Ok(Told::Waiting)
    }
}

/// `POST /code/v1/consents`: lists open consent requests and current consents.
pub(super) fn consents(context: &Turn<'_>, body: &[u8]) -> Result<Reply, Fail> {
    let OfPhone { phone: secret } = phones::json(body)?;
    let Phone { resident, .. } = phone(context, &secret)?;
    let shown = |state: &str, after: &str, moment: i64| {
        let mut rows = context.tx.prepare(&format!(
            "SELECT consent, statement FROM fact_consents
             WHERE resident = ?1 AND state = ?2 AND {after} > ?3 ORDER BY asked_ms DESC, consent LIMIT ?4",
        ))?;
        rows.query_map(params![resident, state, moment, SHOWN_MAX], |row| {
            Ok(Shown { consent: row.get(0)?, text: row.get(1)? })
        })?
        .collect::<rusqlite::Result<Vec<_>>>()
    };
    let asked = shown("asked", "asked_ms", before(context.now, ASKED_MS))?;
    let agreed = shown("agreed", "until_ms", ms(context.now))?;
    Ok(Response::json(&Consents { asked, agreed }).into())
}

/// `POST /code/v1/consent`: stores the holder's decision.
pub(super) fn decide(context: &Turn<'_>, body: &[u8]) -> Result<Reply, Fail> {
    let decision: Decision = phones::json(body)?;
    let Phone { resident, .. } = phone(context, &decision.phone)?;
    let open_request: Option<(String, u16)> = context
        .tx
        .query_row(
            "SELECT statement, days FROM fact_consents
             WHERE consent = ?1 AND resident = ?2 AND state = 'asked' AND asked_ms > ?3",
            params![decision.consent, resident, before(context.now, ASKED_MS)],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let (statement, days) = open_request.ok_or(PhoneRefusal::ConsentOver)?;
    let Some(answer) = decision.answer else {
        return settle(context, &decision.consent, "declined", None, context.now);
    };
    let authority = context.city.codes.as_ref().ok_or_else(unknown)?;
    let code = AnswerCode::parse(&answer).map_err(refused)?;
    let signed = [DOMAIN, &sm3(&[statement.as_bytes()])].concat();
    let presented = code
        .verify(&authority.accepted(context.now), &signed, seconds(context.now), Window::default())
        .map_err(refused)?;
    // The signature must be of the holder's own phone.
    if holder(context, presented.alias)? != resident {
        return Err(PhoneRefusal::Malformed.into());
    }
    let for_ms = if days == 0 { ASKED_MS } else { u64::from(days) * DAY_MS };
    settle(context, &decision.consent, "agreed", Some(&answer), context.now.plus_ms(for_ms))
}

/// `POST /code/v1/withdrawals`: withdraws a consent (撤回授权).
pub(super) fn withdraw(context: &Turn<'_>, body: &[u8]) -> Result<Reply, Fail> {
    let withdrawal: Withdrawal = phones::json(body)?;
    let Phone { resident, .. } = phone(context, &withdrawal.phone)?;
    context.tx.execute(
        "UPDATE fact_consents SET state = 'withdrawn', until_ms = ?3
         WHERE consent = ?1 AND resident = ?2 AND state = 'agreed'",
        params![withdrawal.consent, resident, ms(context.now)],
    )?;
    Ok(Response::json(&serde_json::json!({})).into())
}

fn settle(
    context: &Turn<'_>,
    consent: &str,
    state: &str,
    answer: Option<&str>,
    until: UnixMs,
) -> Result<Reply, Fail> {
    context.tx.execute(
        "UPDATE fact_consents SET state = ?2, answer = ?3, decided_ms = ?4, until_ms = ?5 WHERE consent = ?1",
        params![consent, state, answer, ms(context.now), ms(until)],
    )?;
    Ok(Response::json(&serde_json::json!({})).into())
}
