//! Identifies the holder of a card, ID card or code, and opens the visit at the platform.

use contract::{
    AdmissionSubject, CardEvidence, CardName, CardStatus, Evidence, GATE_NAMES_MAX, IdCardEvidence,
    IdentifyAnswer, IdentifyRequest, Level, PresentedCredential, ProblemCode, Pseudonym, SiteProfile,
    VISIT_KEY_TTL_MS, VisitId, VisitKey, sm3, to_hex,
};
use resident_code::Code;
use rusqlite::{OptionalExtension as _, params};

use crate::codes::code_uses::log_use;
use crate::codes::verification;
use crate::config::kiosks::RegisteredKiosk;
use crate::context::RequestContext;
use crate::messages::PlatformResponse;
use crate::peer_calls::PlatformReply;
use crate::request_error::{RequestError, malformed_request, parse_body};
use crate::store::columns::{from_id_column, from_json_column, to_json_column, to_ms_column};

/// Version of cards that may withhold name and ID number of the holder until the reader is authenticated.
const PARTLY_READABLE_VERSION: &str = "3.00";

/// Purpose of a visit at a kiosk, as in the resident's list of uses.
const KIOSK_VISIT_PURPOSE: &str = "自助终端办事";

/// An open visit (办理).
pub(crate) struct OpenVisit {
    pub(crate) visit: VisitId,
    pub(crate) resident: i64,
    pub(crate) evidence: Evidence,
    pub(crate) level: Level,
}

/// `POST /v1/identify`: opens a visit, or repeats the answer of a visit that was opened by the same request.
pub(crate) fn identify(
    context: &mut RequestContext<'_>,
    kiosk: &RegisteredKiosk,
    body: &[u8],
) -> Result<PlatformReply, RequestError> {
    let request: IdentifyRequest = parse_body(body)?;
    let evidence_hash = sm3(&[to_json_column(&request.presented).as_bytes()]);
    if let Some(answer) = repeated_identification(context, kiosk, request.visit, &evidence_hash)? {
        return Ok(answer);
    }
    let (resident, evidence) = match &request.presented {
        PresentedCredential::Card(card) => {
            let evidence = if card.authenticated { Evidence::CardAuthenticated } else { Evidence::CardRead };
            (resident_of_card(context, card)?, evidence)
        }
        PresentedCredential::IdCard(card) => (resident_of_id_card(context, card)?, Evidence::IdCardRead),
        PresentedCredential::Code { text } => {
            let (resident, evidence) = resident_of_code(context, text, kiosk, request.visit)?;
            log_use(context, resident, &kiosk.name, KIOSK_VISIT_PURPOSE)?;
            (resident, evidence)
        }
    };
    context.tx.execute(
        "INSERT INTO visits (device, visit, key, resident, evidence, evidence_hash, level, expires_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            kiosk.id.to_string(),
            request.visit.to_string(),
            to_hex(&context.entropy.next_bytes()),
            resident,
            to_json_column(&evidence),
            evidence_hash,
            to_json_column(&Level::Recognised),
            to_ms_column(context.now.plus_ms(VISIT_KEY_TTL_MS)),
        ],
    )?;
    let answer = identified_answer(context, kiosk, request.visit)?;
    Ok(PlatformResponse::json(&answer).into())
}

/// Finds the open visit of this key at this kiosk.
pub(crate) fn open_visit(
    context: &RequestContext<'_>,
    kiosk: &RegisteredKiosk,
    key: &VisitKey,
) -> Result<OpenVisit, RequestError> {
    let found = context
        .tx
        .query_row(
            "SELECT resident, evidence, level, visit FROM visits WHERE key = ?1 AND device = ?2 AND expires_ms > ?3",
            params![key.0, kiosk.id.to_string(), to_ms_column(context.now)],
            |row| {
                Ok(OpenVisit {
                    visit: from_id_column(&row.get::<_, String>(3)?)?,
                    resident: row.get(0)?,
                    evidence: from_json_column(&row.get::<_, String>(1)?)?,
                    level: from_json_column(&row.get::<_, String>(2)?)?,
                })
            },
        )
        .optional()?;
    found.ok_or_else(|| {
        ProblemCode::VisitExpired.into_problem("the visit key is unknown or has expired").into()
    })
}

/// Pseudonym of a resident in the records of this kiosk; drawn at the resident's first visit there.
fn find_or_insert_pseudonym(
    context: &mut RequestContext<'_>,
    kiosk: &RegisteredKiosk,
    resident: i64,
) -> Result<Pseudonym, RequestError> {
    let drawn = Pseudonym::from_entropy(u128::from_be_bytes(context.entropy.next_bytes()));
    context.tx.execute(
        "INSERT INTO pseudonyms (device, resident, pseudonym) VALUES (?1, ?2, ?3)
         ON CONFLICT (device, resident) DO NOTHING",
        params![kiosk.id.to_string(), resident, to_json_column(&drawn)],
    )?;
    let stored: String = context.tx.query_row(
        "SELECT pseudonym FROM pseudonyms WHERE device = ?1 AND resident = ?2",
        params![kiosk.id.to_string(), resident],
        |row| row.get(0),
    )?;
    Ok(from_json_column(&stored)?)
}

/// The answer to a repeated request; `None` when the visit is new.
fn repeated_identification(
    context: &mut RequestContext<'_>,
    kiosk: &RegisteredKiosk,
    visit: VisitId,
    evidence_hash: &[u8; 32],
) -> Result<Option<PlatformReply>, RequestError> {
    let known: Option<([u8; 32], i64)> = context
        .tx
        .query_row(
            "SELECT evidence_hash, expires_ms FROM visits WHERE device = ?1 AND visit = ?2",
            params![kiosk.id.to_string(), visit.to_string()],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    match known {
        None => Ok(None),
        Some((hash, _)) if hash != *evidence_hash => {
            Err(malformed_request("the visit id was used with other evidence; draw a new one"))
        }
        Some((_, expires)) if expires <= to_ms_column(context.now) => {
            Err(ProblemCode::VisitExpired.into_problem("the visit has expired").into())
        }
        Some(_) => Ok(Some(PlatformResponse::json(&identified_answer(context, kiosk, visit)?).into())),
    }
}

fn identified_answer(
    context: &mut RequestContext<'_>,
    kiosk: &RegisteredKiosk,
    visit: VisitId,
) -> Result<IdentifyAnswer, RequestError> {
    let resident: i64 = context.tx.query_row(
        "SELECT resident FROM visits WHERE device = ?1 AND visit = ?2",
        params![kiosk.id.to_string(), visit.to_string()],
        |row| row.get(0),
    )?;
    let pseudonym = find_or_insert_pseudonym(context, kiosk, resident)?;
    let names = if kiosk.profile == SiteProfile::Gate { gate_names(context, resident)? } else { Vec::new() };
    let answer = context.tx.query_row(
        "SELECT key, name, id_number, evidence, level FROM visits JOIN residents USING (resident)
         WHERE device = ?1 AND visit = ?2",
        params![kiosk.id.to_string(), visit.to_string()],
        |row| {
            Ok(IdentifyAnswer {
                key: VisitKey(row.get(0)?),
                resident: pseudonym,
                name: row.get(1)?,
                id_number: row.get(2)?,
                evidence: from_json_column(&row.get::<_, String>(3)?)?,
                level: from_json_column(&row.get::<_, String>(4)?)?,
                names,
            })
        },
    )?;
    Ok(answer)
}

/// Names under which a gate may know a resident without asking: the cards in force, and the holders of the newest codes.
/// Without them, a card and a phone of one person would admit two.
fn gate_names(context: &RequestContext<'_>, resident: i64) -> rusqlite::Result<Vec<AdmissionSubject>> {
    let mut cards =
        context.tx.prepare("SELECT identification FROM cards WHERE resident = ?1 AND standing = ?2")?;
    let cards = cards.query_map(params![resident, to_json_column(&CardStatus::InForce)], |row| {
        let identification: String = row.get(0)?;
        Ok(identification.parse().ok().map(|bytes| CardName::from_identification(&bytes)))
    })?;
    let cards: Vec<Option<CardName>> = cards.collect::<rusqlite::Result<_>>()?;
    let mut codes = context.tx.prepare(
        "SELECT holder FROM code_aliases WHERE resident = ?1 AND ends_ms > ?2 AND revoked = 0
         ORDER BY issued_ms DESC, alias",
    )?;
    let codes = codes.query_map(params![resident, to_ms_column(context.now)], |row| {
        let holder: String = row.get(0)?;
        Ok(holder.parse().ok().map(AdmissionSubject::Holder))
    })?;
    let codes = codes.take(GATE_NAMES_MAX).collect::<rusqlite::Result<Vec<Option<AdmissionSubject>>>>()?;
    let cards = cards.into_iter().flatten().map(AdmissionSubject::Card);
    Ok(cards.chain(codes.into_iter().flatten()).take(GATE_NAMES_MAX).collect())
}

/// Finds the resident of a card. All data read from the card must match the card-holder base.
fn resident_of_card(context: &RequestContext<'_>, card: &CardEvidence) -> Result<i64, RequestError> {
    let found = context
        .tx
        .query_row(
            "SELECT resident, identification, version, standing, id_number, name
             FROM cards JOIN residents USING (resident) WHERE number = ?1",
            [&card.number],
            |row| {
                let resident: i64 = row.get(0)?;
                let same_card = row.get::<_, String>(1)? == card.identification
                    && row.get::<_, String>(2)? == card.version;
                let same_holder = matches_base(card.id_number.as_deref(), &row.get::<_, String>(4)?, card)
                    && matches_base(card.name.as_deref(), &row.get::<_, String>(5)?, card);
                let standing: CardStatus = from_json_column(&row.get::<_, String>(3)?)?;
                Ok((resident, same_card && same_holder, standing))
            },
        )
        .optional()?;
    match found {
        None => Err(ProblemCode::CardUnknown.into_problem("the card is not in the card-holder base").into()),
        Some((_, false, _)) => Err(ProblemCode::CardMismatch
            .into_problem("the card's data does not match the card-holder base")
            .into()),
        Some((_, true, CardStatus::Issued | CardStatus::Lost | CardStatus::Cancelled)) => {
            Err(ProblemCode::CardStopped.into_problem("the card is not in force").into())
        }
        Some((resident, true, CardStatus::InForce)) => Ok(resident),
    }
}

fn matches_base(read: Option<&str>, known: &str, card: &CardEvidence) -> bool {
    read.map_or(card.version == PARTLY_READABLE_VERSION, |read| read == known)
}

/// Finds the resident of an ID card. An unknown number and a number under another name get the same refusal, so that
/// a kiosk does not reveal which numbers exist.
fn resident_of_id_card(context: &RequestContext<'_>, card: &IdCardEvidence) -> Result<i64, RequestError> {
    let found = context
        .tx
        .query_row(
            "SELECT resident FROM residents WHERE id_number = ?1 AND name = ?2",
            [&card.id_number, &card.name],
            |row| row.get(0),
        )
        .optional()?;
    found.ok_or_else(|| {
        ProblemCode::ResidentUnknown.into_problem("no resident has this number and name").into()
    })
}

/// Finds the resident of a code and its evidence (验码). Consumes an online token, or the time step of an offline code.
fn resident_of_code(
    context: &RequestContext<'_>,
    text: &str,
    kiosk: &RegisteredKiosk,
    visit: VisitId,
) -> Result<(i64, Evidence), RequestError> {
    let code = Code::parse(text).map_err(verification::refusal_problem)?;
    let judged = verification::validate_code(context, &code)?;
    let place = kiosk.id.to_string();
    verification::consume_code(context, &code, &place, &format!("{place} {visit}"))?;
    Ok((judged.resident, judged.evidence))
}
