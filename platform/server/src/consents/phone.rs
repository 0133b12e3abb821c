//! Consents (授权同意) on a phone: a relying party that verified a code requests more data about its holder, and the holder
//! agrees or declines.
//!
//! | path | body | answer |
//! |---|---|---|
//! | `POST /code/v1/consents`, from a phone | the phone's secret | [`ConsentLists`] |
//! | `POST /code/v1/consent`, from a phone | [`ConsentDecision`] | `{}` |
//! | `POST /code/v1/withdrawals`, from a phone | [`ConsentWithdrawal`] | `{}` |
//!
//! The relying party names the request by which it verified the code (`POST /code/v1/verify`). The
//! holder's phone then shows its consent request in words: recipient, purpose, requested items, and duration. The phone
//! signs that text with the key of its code, and the platform stores the signature as proof. The relying party repeats its
//! request until the holder has decided. The holder can withdraw a consent at any time; nothing is disclosed after that.

use contract::{ProblemCode, UnixMs, from_hex, sm3, to_hex};
use resident_code::{AnswerCode, TimeWindow};
use rusqlite::{OptionalExtension as _, params};
use serde::{Deserialize, Serialize};

use crate::codes::code_uses::log_use;
use crate::codes::verification::{refusal_problem, resident_of_alias, to_unix_seconds, unknown_code_problem};
use crate::config::relying_parties::RelyingParty;
use crate::context::RequestContext;
use crate::messages::PlatformResponse;
use crate::peer_calls::PlatformReply;
use crate::phone_refusal::PhoneRefusal;
use crate::phones::bound_phone::{BoundPhone, PhoneRequest, find_phone, parse_phone_body};
use crate::recovery_state::refuse_while_recovering;
use crate::request_error::{RequestError, malformed_request};
use crate::store::columns::{from_ms_column, ms_column_before, to_json_column, to_ms_column};

/// Lifetime of a consent request on the phone, and of a consent to a single disclosure, in milliseconds.
pub(crate) const CONSENT_REQUEST_TTL_MS: u64 = 10 * 60 * 1000;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// Most consent requests, and most consents, that a phone is shown.
const CONSENTS_MAX: u32 = 50;
/// Domain separator of the signature under a consent.
const CONSENT_DOMAIN: &[u8] = b"consent/1\0";

/// State of a consent, as answered to the relying party.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub(crate) enum ConsentStatus<T> {
    /// The holder has not decided yet; the relying party repeats its request.
    Waiting,
    /// The holder agreed.
    Agreed {
        /// The disclosed data.
        #[serde(flatten)]
        #[serde(rename = "what")]
        data: T,
        /// End of the consent.
        until_ms: UnixMs,
    },
    /// The holder declined or withdrew the consent, or its time has passed.
    Declined,
    /// The holder has no bound phone that could show the request.
    NoPhone,
}

/// Texts for the holder: those of the consent request, and the entry in the list of uses after the disclosure.
pub(crate) struct ConsentPrompt {
    /// Title of the e-certificate; `None`: the items are claims.
    pub(crate) e_certificate: Option<String>,
    /// Titles of the requested items.
    pub(crate) items: Vec<String>,
    /// Text in the list of uses.
    pub(crate) log_text: String,
}

/// Open consent requests and current consents of a holder.
#[derive(Serialize)]
struct ConsentLists {
    asked: Vec<ConsentItem>,
    agreed: Vec<ConsentItem>,
}

/// A consent request or consent, as the phone shows it.
#[derive(Serialize)]
struct ConsentItem {
    consent: String,
    /// [`ConsentStatement`] as JSON, exactly as it is signed.
    text: String,
}

/// The statement that the holder reads and signs.
#[derive(Serialize)]
struct ConsentStatement<'a> {
    consent: &'a str,
    recipient: &'a str,
    purpose: &'a str,
    /// Title of the e-certificate with the items; `None`: the items are claims.
    #[serde(skip_serializing_if = "Option::is_none")]
    licence: Option<String>,
    items: Vec<String>,
    /// Duration in days; 0: a single disclosure.
    days: u16,
}

/// A holder's decision on a consent request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConsentDecision {
    phone: String,
    consent: String,
    /// Answer code of the phone over `consent/1`, a zero byte and SM3 of the text; `None`: the holder declines.
    answer: Option<String>,
}

/// A holder's withdrawal of a consent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConsentWithdrawal {
    phone: String,
    consent: String,
}

/// A relying party's request for consent of a holder.
#[derive(Clone)]
pub(crate) struct ConsentRequest {
    pub(crate) relying_party: RelyingParty,
    pub(crate) resident: i64,
    /// Id of the request by which the relying party verified the holder's code.
    request: [u8; 16],
    pub(crate) purpose: String,
    /// Requested claims or items as JSON, the key of the consent in the column `facts`.
    requested: String,
}

/// A consent that is in effect.
pub(crate) struct AgreedConsent {
    pub(crate) consent: String,
    pub(crate) until: UnixMs,
}

impl ConsentRequest {
    /// A consent request to the holder of the code that the relying party verified by `request`.
    pub(crate) fn for_verification(
        context: &RequestContext<'_>,
        relying_party: &RelyingParty,
        request: &str,
        named: String,
    ) -> Result<Self, RequestError> {
        // A withdrawal since the backup may be missing here: nothing is disclosed before the kiosks' records are read in, which
        // tell the operator of those that were made at kiosks.
        refuse_while_recovering(context)?;
        let request: [u8; 16] =
            from_hex(request).ok_or_else(|| malformed_request("`request` is 32 hexadecimal digits"))?;
        let verified: Option<(i64, String)> = context
            .tx
            .query_row(
                "SELECT resident, purpose FROM verifications
                 WHERE client = ?1 AND request = ?2 AND resident IS NOT NULL AND at_ms > ?3",
                params![
                    relying_party.id.to_string(),
                    request,
                    ms_column_before(context.now, CONSENT_REQUEST_TTL_MS)
                ],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        let (resident, purpose) = verified.ok_or_else(|| {
            RequestError::from(
                ProblemCode::NotOffered
                    .into_problem("no code was accepted by this request in the last ten minutes"),
            )
        })?;
        Ok(Self { relying_party: relying_party.clone(), resident, request, purpose, requested: named })
    }

    /// Answers the relying party: with the data of `disclose` once the holder has agreed; before that, puts the consent
    /// request on the holder's phone.
    pub(crate) fn answer_or_ask<T>(
        &self,
        context: &mut RequestContext<'_>,
        prompt: ConsentPrompt,
        disclose: impl FnOnce(&RequestContext<'_>, &AgreedConsent) -> Result<T, RequestError>,
    ) -> Result<ConsentStatus<T>, RequestError> {
        let Some(agreed) = self.agreed_consent(context)? else {
            return self.ask_holder(context, prompt.e_certificate, prompt.items);
        };
        let data = disclose(context, &agreed)?;
        self.disclosed(context, &prompt.log_text, data, &agreed)
    }

    /// Answers with data that was disclosed just now, and enters it into the holder's list of uses.
    pub(crate) fn disclosed<T>(
        &self,
        context: &RequestContext<'_>,
        log_text: &str,
        data: T,
        agreed: &AgreedConsent,
    ) -> Result<ConsentStatus<T>, RequestError> {
        self.log_disclosure(context, log_text)?;
        Ok(ConsentStatus::Agreed { data, until_ms: agreed.until })
    }

    /// Finds a consent of the holder to exactly this request that is still in effect.
    pub(crate) fn agreed_consent(
        &self,
        context: &RequestContext<'_>,
    ) -> rusqlite::Result<Option<AgreedConsent>> {
        context
            .tx
            .query_row(
                "SELECT consent, until_ms FROM fact_consents
                 WHERE client = ?1 AND resident = ?2 AND purpose = ?3 AND facts = ?4 AND state = 'agreed'
                 AND until_ms > ?5 ORDER BY until_ms DESC LIMIT 1",
                params![
                    self.relying_party.id.to_string(),
                    self.resident,
                    self.purpose,
                    self.requested,
                    to_ms_column(context.now)
                ],
                |row| Ok(AgreedConsent { consent: row.get(0)?, until: from_ms_column(row.get(1)?) }),
            )
            .optional()
    }

    /// Logs the disclosure, once per request, and adds it to the holder's list of uses.
    fn log_disclosure(&self, context: &RequestContext<'_>, what: &str) -> rusqlite::Result<()> {
        let inserted = context.tx.execute(
            "INSERT INTO facts_told (client, request, facts, at_ms) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO NOTHING",
            params![
                self.relying_party.id.to_string(),
                self.request,
                self.requested,
                to_ms_column(context.now)
            ],
        )?;
        if inserted == 1 { log_use(context, self.resident, &self.relying_party.name, what) } else { Ok(()) }
    }

    /// Puts the consent request on the holder's phone, once per request.
    pub(crate) fn ask_holder<T>(
        &self,
        context: &mut RequestContext<'_>,
        licence: Option<String>,
        items: Vec<String>,
    ) -> Result<ConsentStatus<T>, RequestError> {
        let Self { relying_party, resident, request, purpose, requested: named } = self;
        let known: Option<String> = context
            .tx
            .query_row(
                "SELECT state FROM fact_consents WHERE client = ?1 AND request = ?2 AND facts = ?3",
                params![relying_party.id.to_string(), request, named],
                |row| row.get(0),
            )
            .optional()?;
        match known.as_deref() {
            Some("asked") => return Ok(ConsentStatus::Waiting),
            Some(_) => return Ok(ConsentStatus::Declined),
            None => {}
        }
        let has_phone: bool = context.tx.query_row(
            "SELECT EXISTS (SELECT 1 FROM phones WHERE resident = ?1 AND ended_ms IS NULL)",
            [resident],
            |row| row.get(0),
        )?;
        if !has_phone {
            return Ok(ConsentStatus::NoPhone);
        }
        let (consent, days) = (to_hex(&context.entropy.next_bytes()), relying_party.consent_days);
        let statement = to_json_column(&ConsentStatement {
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
                to_ms_column(context.now)
            ],
        )?;
        Ok(ConsentStatus::Waiting)
    }
}

/// `POST /code/v1/consents`: lists open consent requests and current consents.
pub(crate) fn list_consents(
    context: &RequestContext<'_>,
    body: &[u8],
) -> Result<PlatformReply, RequestError> {
    let PhoneRequest { phone: secret } = parse_phone_body(body)?;
    let BoundPhone { resident, .. } = find_phone(context, &secret)?;
    let shown = |state: &str, after: &str, moment: i64| {
        let mut rows = context.tx.prepare(&format!(
            "SELECT consent, statement FROM fact_consents
             WHERE resident = ?1 AND state = ?2 AND {after} > ?3 ORDER BY asked_ms DESC, consent LIMIT ?4",
        ))?;
        rows.query_map(params![resident, state, moment, CONSENTS_MAX], |row| {
            Ok(ConsentItem { consent: row.get(0)?, text: row.get(1)? })
        })?
        .collect::<rusqlite::Result<Vec<_>>>()
    };
    let asked = shown("asked", "asked_ms", ms_column_before(context.now, CONSENT_REQUEST_TTL_MS))?;
    let agreed = shown("agreed", "until_ms", to_ms_column(context.now))?;
    Ok(PlatformResponse::json(&ConsentLists { asked, agreed }).into())
}

/// `POST /code/v1/consent`: stores the holder's decision.
pub(crate) fn decide_consent(
    context: &RequestContext<'_>,
    body: &[u8],
) -> Result<PlatformReply, RequestError> {
    let decision: ConsentDecision = parse_phone_body(body)?;
    let BoundPhone { resident, .. } = find_phone(context, &decision.phone)?;
    let open_request: Option<(String, u16)> = context
        .tx
        .query_row(
            "SELECT statement, days FROM fact_consents
             WHERE consent = ?1 AND resident = ?2 AND state = 'asked' AND asked_ms > ?3",
            params![decision.consent, resident, ms_column_before(context.now, CONSENT_REQUEST_TTL_MS)],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let (statement, days) = open_request.ok_or(PhoneRefusal::ConsentOver)?;
    let Some(answer) = decision.answer else {
        return set_consent_state(context, &decision.consent, "declined", None, context.now);
    };
    let authority = context.config.code_authority.as_ref().ok_or_else(unknown_code_problem)?;
    let code = AnswerCode::parse(&answer).map_err(refusal_problem)?;
    let signed = [CONSENT_DOMAIN, &sm3(&[statement.as_bytes()])].concat();
    let presented = code
        .verify(
            &authority.accepted_issuers(context.now),
            &signed,
            to_unix_seconds(context.now),
            TimeWindow::default(),
        )
        .map_err(refusal_problem)?;
    // The signature must be of the holder's own phone.
    if resident_of_alias(context, presented.alias)? != resident {
        return Err(PhoneRefusal::Malformed.into());
    }
    let for_ms = if days == 0 { CONSENT_REQUEST_TTL_MS } else { u64::from(days) * DAY_MS };
    set_consent_state(context, &decision.consent, "agreed", Some(&answer), context.now.plus_ms(for_ms))
}

/// `POST /code/v1/withdrawals`: withdraws a consent (撤回授权).
pub(crate) fn withdraw_consent(
    context: &RequestContext<'_>,
    body: &[u8],
) -> Result<PlatformReply, RequestError> {
    let withdrawal: ConsentWithdrawal = parse_phone_body(body)?;
    let BoundPhone { resident, .. } = find_phone(context, &withdrawal.phone)?;
    withdraw(context, resident, &withdrawal.consent)?;
    Ok(PlatformResponse::json(&serde_json::json!({})).into())
}

/// Ends a consent of this resident: nothing is disclosed under it afterwards.
pub(super) fn withdraw(context: &RequestContext<'_>, resident: i64, consent: &str) -> rusqlite::Result<()> {
    context.tx.execute(
        "UPDATE fact_consents SET state = 'withdrawn', until_ms = ?3
         WHERE consent = ?1 AND resident = ?2 AND state = 'agreed'",
        params![consent, resident, to_ms_column(context.now)],
    )?;
    Ok(())
}

fn set_consent_state(
    context: &RequestContext<'_>,
    consent: &str,
    state: &str,
    answer: Option<&str>,
    until: UnixMs,
) -> Result<PlatformReply, RequestError> {
    context.tx.execute(
        "UPDATE fact_consents SET state = ?2, answer = ?3, decided_ms = ?4, until_ms = ?5 WHERE consent = ?1",
        params![consent, state, answer, to_ms_column(context.now), to_ms_column(until)],
    )?;
    Ok(PlatformResponse::json(&serde_json::json!({})).into())
}
