//! Identifies the holder of a card, ID card or code, and opens the visit at the platform.

use contract::{
    CardEvidence, CardStanding, Evidence, IdCardEvidence, Identified, IdentifyRequest, Level, Presented,
    ProblemCode, Pseudonym, VisitId, VisitKey, sm3,
};
use resident_code::Code;
use rusqlite::{OptionalExtension as _, params};

use crate::codes::{self, note_use};
use crate::columns::{hex, ms, text, value};
use crate::device::Device;
use crate::fail::{Fail, json, malformed};
use crate::platform::Turn;
use crate::wire::{Reply, Response};

/// Lifetime of a visit key in milliseconds: longer than any visit that a kiosk allows.
const VISIT_MS: u64 = 15 * 60 * 1000;
/// Version of cards that may withhold name and ID number of the holder until the reader is authenticated.
const PARTLY_READABLE: &str = "3.00";

/// Purpose of a visit at a kiosk, as in the resident's list of uses.
const AT_A_KIOSK: &str = "自助终端办事";

/// An open visit (办理).
pub(crate) struct Visit {
    pub(crate) resident: i64,
    pub(crate) evidence: Evidence,
    pub(crate) level: Level,
}

/// `POST /v1/identify`: opens a visit, or repeats the answer of a visit that was opened by the same request.
pub(crate) fn identify(context: &mut Turn<'_>, kiosk: &Device, body: &[u8]) -> Result<Reply, Fail> {
    let request: IdentifyRequest = json(body)?;
    let evidence_hash = sm3(&[text(&request.presented).as_bytes()]);
    if let Some(answer) = repeated(context, kiosk, request.visit, &evidence_hash)? {
        return Ok(answer);
    }
    let (resident, evidence) = match &request.presented {
        Presented::Card(card) => {
            let evidence = if card.authenticated { Evidence::CardAuthenticated } else { Evidence::CardRead };
            (holder(context, card)?, evidence)
        }
        Presented::IdCard(card) => (resident(context, card)?, Evidence::IdCardRead),
        Presented::Code { text } => {
            let (resident, evidence) = judged(context, text, kiosk, request.visit)?;
            note_use(context, resident, &kiosk.name, AT_A_KIOSK)?;
            (resident, evidence)
        }
    };
    context.tx.execute(
        "INSERT INTO visits (device, visit, key, resident, evidence, evidence_hash, level, expires_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            kiosk.id.to_string(),
            request.visit.to_string(),
            hex(&context.draw.next()),
            resident,
            text(&evidence),
            evidence_hash,
            text(&Level::Recognised),
            ms(context.now.plus_ms(VISIT_MS)),
        ],
    )?;
    let answer = identified(context, kiosk, request.visit)?;
    Ok(Response::json(&answer).into())
}

/// Finds the open visit of this key at this kiosk.
pub(crate) fn open_visit(context: &Turn<'_>, kiosk: &Device, key: &VisitKey) -> Result<Visit, Fail> {
    let found = context
        .tx
        .query_row(
            "SELECT resident, evidence, level FROM visits WHERE key = ?1 AND device = ?2 AND expires_ms > ?3",
            params![key.0, kiosk.id.to_string(), ms(context.now)],
            |row| {
                Ok(Visit {
                    resident: row.get(0)?,
                    evidence: value(&row.get::<_, String>(1)?)?,
                    level: value(&row.get::<_, String>(2)?)?,
                })
            },
        )
        .optional()?;
    found.ok_or_else(|| ProblemCode::VisitExpired.because("the visit key is unknown or has expired").into())
}

/// Pseudonym of a resident in the records of this kiosk; drawn at the resident's first visit there.
fn pseudonym(context: &mut Turn<'_>, kiosk: &Device, resident: i64) -> Result<Pseudonym, Fail> {
    let drawn = Pseudonym::from_entropy(u128::from_be_bytes(context.draw.next()));
    context.tx.execute(
        "INSERT INTO pseudonyms (device, resident, pseudonym) VALUES (?1, ?2, ?3)
         ON CONFLICT (device, resident) DO NOTHING",
        params![kiosk.id.to_string(), resident, text(&drawn)],
    )?;
    let stored: String = context.tx.query_row(
        "SELECT pseudonym FROM pseudonyms WHERE device = ?1 AND resident = ?2",
        params![kiosk.id.to_string(), resident],
        |row| row.get(0),
    )?;
    Ok(value(&stored)?)
}

/// The answer to a repeated request; `None` when the visit is new.
fn repeated(
    context: &mut Turn<'_>,
    kiosk: &Device,
    visit: VisitId,
    evidence_hash: &[u8; 32],
) -> Result<Option<Reply>, Fail> {
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
            Err(malformed("the visit id was used with other evidence; draw a new one"))
        }
        Some((_, expires)) if expires <= ms(context.now) => {
            Err(ProblemCode::VisitExpired.because("the visit has expired").into())
        }
        Some(_) => Ok(Some(Response::json(&identified(context, kiosk, visit)?).into())),
    }
}

fn identified(context: &mut Turn<'_>, kiosk: &Device, visit: VisitId) -> Result<Identified, Fail> {
    let resident: i64 = context.tx.query_row(
        "SELECT resident FROM visits WHERE device = ?1 AND visit = ?2",
        params![kiosk.id.to_string(), visit.to_string()],
        |row| row.get(0),
    )?;
    let pseudonym = pseudonym(context, kiosk, resident)?;
    let answer = context.tx.query_row(
        "SELECT key, name, id_number, evidence, level FROM visits JOIN residents USING (resident)
         WHERE device = ?1 AND visit = ?2",
        params![kiosk.id.to_string(), visit.to_string()],
        |row| {
            Ok(Identified {
                key: VisitKey(row.get(0)?),
                resident: pseudonym,
                name: row.get(1)?,
                id_number: row.get(2)?,
                evidence: value(&row.get::<_, String>(3)?)?,
                level: value(&row.get::<_, String>(4)?)?,
            })
        },
    )?;
    Ok(answer)
}

/// Finds the resident of a card. All data read from the card must match the card-holder base.
fn holder(context: &Turn<'_>, card: &CardEvidence) -> Result<i64, Fail> {
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
                let same_holder = agrees(card.id_number.as_deref(), &row.get::<_, String>(4)?, card)
                    && agrees(card.name.as_deref(), &row.get::<_, String>(5)?, card);
                let standing: CardStanding = value(&row.get::<_, String>(3)?)?;
                Ok((resident, same_card && same_holder, standing))
            },
        )
        .optional()?;
    match found {
        None => Err(ProblemCode::CardUnknown.because("the card is not in the card-holder base").into()),
        Some((_, false, _)) => Err(ProblemCode::CardMismatch
            .because("the card's data does not match the card-holder base")
            .into()),
        Some((_, true, CardStanding::Issued | CardStanding::Lost | CardStanding::Cancelled)) => {
            Err(ProblemCode::CardStopped.because("the card is not in force").into())
        }
        Some((resident, true, CardStanding::InForce)) => Ok(resident),
    }
}

fn agrees(read: Option<&str>, known: &str, card: &CardEvidence) -> bool {
    read.map_or(card.version == PARTLY_READABLE, |read| read == known)
}

/// Finds the resident of an ID card. An unknown number and a number under another name get the same refusal, so that
/// a kiosk does not reveal which numbers exist.
fn resident(context: &Turn<'_>, card: &IdCardEvidence) -> Result<i64, Fail> {
    let found = context
        .tx
        .query_row(
            "SELECT resident FROM residents WHERE id_number = ?1 AND name = ?2",
            [&card.id_number, &card.name],
            |row| row.get(0),
        )
        .optional()?;
    found.ok_or_else(|| ProblemCode::ResidentUnknown.because("no resident has this number and name").into())
}

/// Finds the resident of a code and its evidence (验码). Consumes an online token, or the time step of an offline code.
fn judged(context: &Turn<'_>, text: &str, kiosk: &Device, visit: VisitId) -> Result<(i64, Evidence), Fail> {
    let code = Code::parse(text).map_err(codes::refused)?;
    let judged = codes::look(context, &code)?;
    let place = kiosk.id.to_string();
    codes::take(context, &code, &place, &format!("{place} {visit}"))?;
    Ok((judged.resident, judged.evidence))
}
