//! Life cycle of resident service cards: issue, activation, loss, restoration, replacement, cancellation.

use contract::{CardStanding, ProblemCode};
use rusqlite::{OptionalExtension as _, params};
use serde::{Deserialize, Deserializer, Serialize};

use super::note;
use super::number::is_id_number;
use crate::codes::{self, Client};
use crate::columns::{text, value};
use crate::fail::{Fail, json, malformed};
use crate::platform::Turn;
use crate::wire::{OutAnswer, OutCall, Peer, Purpose, Reply, Response};

/// Data of a produced card (居民服务卡).
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Card {
    /// Card number (卡号), 1 to 20 letters and digits.
    pub(super) number: String,
    /// Card identification (卡识别码): 32 hexadecimal digits, upper case as on the card.
    #[serde(deserialize_with = "in_capitals")]
    pub(super) identification: String,
    /// Version of the card specification (规范版本): `1.00`, `2.00` or `3.00`.
    pub(super) version: String,
}

fn in_capitals<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    String::deserialize(deserializer).map(|text| text.to_ascii_uppercase())
}

impl Card {
    pub(super) fn is_sound(&self) -> bool {
        let number =
            (1..=20).contains(&self.number.len()) && self.number.bytes().all(|b| b.is_ascii_alphanumeric());
        let identification =
            self.identification.len() == 32 && self.identification.bytes().all(|b| b.is_ascii_hexdigit());
        number && identification && ["1.00", "2.00", "3.00"].contains(&self.version.as_str())
    }
}

/// Request to issue a card (制卡) to a person, who need not be in the base yet.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Issue {
    name: String,
    id_number: String,
    card: Card,
}

/// Request about the card of this number.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OfCard {
    number: String,
}

/// Request to replace a card (补卡): number of the old card and data of the new one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reissue {
    number: String,
    card: Card,
}

/// Action on an existing card that changes its standing.
#[derive(Clone, Copy)]
pub(super) enum Step {
    /// Activates an issued card (激活).
    Activate,
    /// Reports a card lost (挂失).
    Lose,
    /// Restores a lost card (解挂).
    Restore,
    /// Cancels a card (注销).
    Cancel,
}

impl Step {
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "activate" => Some(Self::Activate),
            "lose" => Some(Self::Lose),
            "restore" => Some(Self::Restore),
            "cancel" => Some(Self::Cancel),
            _ => None,
        }
    }

    /// The standing after the action; `None` if the current standing does not allow the action.
    const fn from(self, standing: CardStanding) -> Option<CardStanding> {
        use CardStanding::{Cancelled, InForce, Issued, Lost};
        match (self, standing) {
            (Self::Activate, Issued | InForce) | (Self::Restore, Lost | InForce) => Some(InForce),
            (Self::Lose, InForce | Issued | Lost) => Some(Lost),
            (Self::Cancel, _) => Some(Cancelled),
            (Self::Activate, Lost | Cancelled)
            | (Self::Restore, Issued | Cancelled)
            | (Self::Lose, Cancelled) => None,
        }
    }
}

/// Starts issuing a card: calls the trusted identity service to check that name and ID number belong to one person
/// (实名核验). Nothing is stored before its answer.
pub(super) fn issue(relying_party: &Client, body: &[u8]) -> Result<Reply, Fail> {
    let issue: Issue = json(body)?;
    if !is_id_number(&issue.id_number) || issue.name.trim().is_empty() || !issue.card.is_sound() {
        return Err(malformed(
            "a name, an ID number with a correct check digit and valid card data are needed",
        ));
    }
    let body =
        serde_json::json!({ "name": issue.name, "id_number": issue.id_number }).to_string().into_bytes();
    let purpose = Purpose::Names { client: relying_party.id, issue: Box::new(issue) };
    Ok(Reply::Ask(OutCall { peer: Peer::Identity, target: "/names".into(), body, purpose }))
}

/// Continues with the identity service's answer to a name check, and issues the card; `None`: no answer came.
pub(crate) fn named(
    context: &Turn<'_>,
    relying_party: contract::DeviceId,
    issue: &Issue,
    answer: Option<&OutAnswer>,
) -> Result<Reply, Fail> {
    #[derive(Deserialize)]
    struct Matched {
        r#match: bool,
    }
    let unavailable =
        || Fail::from(ProblemCode::Unavailable.because("the trusted identity service does not answer"));
    let answer = answer.filter(|answer| answer.status == 200).ok_or_else(unavailable)?;
    let matched: Matched = serde_json::from_slice(&answer.body).map_err(|_| unavailable())?;
    if !matched.r#match {
        return Err(ProblemCode::CardMismatch
            .because("name and ID number do not belong to one person")
            .into());
    }
    let relying_party = context.city.clients.get(&relying_party).ok_or_else(unavailable)?;
    let resident = resident(context, &issue.name, &issue.id_number)?.ok_or_else(|| {
        Fail::from(
            ProblemCode::CardMismatch.because("the card-holder base has the ID number under another name"),
        )
    })?;
    if enter(context, resident, &issue.card, CardStanding::Issued)? {
        note(context, relying_party, resident, &issue.card.number, "issued")?;
    }
    done()
}

/// Finds the resident of this ID number, inserting a new one if missing; `None` if the base has the number under another
/// name.
pub(super) fn resident(context: &Turn<'_>, name: &str, id_number: &str) -> rusqlite::Result<Option<i64>> {
    context.tx.execute(
        "INSERT INTO residents (slug, name, id_number) SELECT 'r-' || (1 + coalesce(max(resident), 0)), ?1, ?2
         FROM residents WHERE true ON CONFLICT (id_number) DO NOTHING",
        params![name, id_number],
    )?;
    context
        .tx
        .query_row(
            "SELECT resident FROM residents WHERE id_number = ?1 AND name = ?2",
            [id_number, name],
            |row| row.get(0),
        )
        .optional()
}

/// Inserts a card; `false` if the base already has it with the same data.
pub(super) fn enter(
    context: &Turn<'_>,
    resident: i64,
    card: &Card,
    standing: CardStanding,
) -> Result<bool, Fail> {
    let known: Option<(i64, String, String)> = context
        .tx
        .query_row(
            "SELECT resident, identification, version FROM cards WHERE number = ?1",
            [&card.number],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .optional()?;
    if let Some(known) = known {
        let same = known == (resident, card.identification.clone(), card.version.clone());
        return if same {
            Ok(false)
        } else {
            Err(ProblemCode::CardMismatch.because("the card number belongs to another card").into())
        };
    }
    context.tx.execute(
        "INSERT INTO cards (resident, number, identification, version, standing) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![resident, card.number, card.identification, card.version, text(&standing)],
    )?;
    tell_kiosks(context, &card.identification, &card.version, standing)?;
    Ok(true)
}

pub(super) fn step(
    context: &Turn<'_>,
    relying_party: &Client,
    step: Step,
    body: &[u8],
) -> Result<Reply, Fail> {
    let OfCard { number } = json(body)?;
    let (resident, standing) = card(context, &number)?;
    let next = step.from(standing).ok_or_else(|| {
        Fail::from(ProblemCode::CardStopped.because("the card's standing does not allow it"))
    })?;
    if next == standing {
        return done();
    }
    if next == CardStanding::InForce && in_force(context, resident)? {
        return Err(ProblemCode::CardMismatch.because("the resident has another card in force").into());
    }
    set(context, relying_party, resident, &number, next)?;
    done()
}

pub(super) fn reissue(context: &Turn<'_>, relying_party: &Client, body: &[u8]) -> Result<Reply, Fail> {
    let Reissue { number, card: new } = json(body)?;
    if !new.is_sound() || new.number == number {
        return Err(malformed("valid data of a card with a new number are needed"));
    }
    let (resident, standing) = card(context, &number)?;
    if enter(context, resident, &new, CardStanding::Issued)? {
        note(context, relying_party, resident, &new.number, "issued")?;
    }
    if standing != CardStanding::Cancelled {
        set(context, relying_party, resident, &number, CardStanding::Cancelled)?;
    }
    done()
}

/// Issues a paper code to the holder of a card in force.
pub(super) fn paper(context: &mut Turn<'_>, relying_party: &Client, body: &[u8]) -> Result<Reply, Fail> {
    let OfCard { number } = json(body)?;
    let (resident, standing) = card(context, &number)?;
    if standing != CardStanding::InForce {
        return Err(ProblemCode::CardStopped.because("the card is not in force").into());
    }
    let printed = codes::paper::print(context, resident)?;
    note(context, relying_party, resident, &number, "paper code")?;
    Ok(Response::json(&printed).into())
}

/// Revokes the paper code of the holder of a card.
pub(super) fn paper_lost(context: &Turn<'_>, relying_party: &Client, body: &[u8]) -> Result<Reply, Fail> {
    let OfCard { number } = json(body)?;
    let (resident, _) = card(context, &number)?;
    codes::paper::lost(context, resident)?;
    note(context, relying_party, resident, &number, "paper code lost")?;
    done()
}

/// Whether the resident has a card in force.
pub(crate) fn in_force(context: &Turn<'_>, resident: i64) -> rusqlite::Result<bool> {
    context.tx.query_row(
        "SELECT EXISTS (SELECT 1 FROM cards WHERE resident = ?1 AND standing = ?2)",
        params![resident, text(&CardStanding::InForce)],
        |row| row.get(0),
    )
}

/// Sets a card's standing. If the resident has no card in force then, all codes of the resident are revoked.
fn set(
    context: &Turn<'_>,
    relying_party: &Client,
    resident: i64,
    number: &str,
    standing: CardStanding,
) -> rusqlite::Result<()> {
    let (identification, version): (String, String) = context.tx.query_row(
        "UPDATE cards SET standing = ?2 WHERE number = ?1 RETURNING identification, version",
        params![number, text(&standing)],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    tell_kiosks(context, &identification, &version, standing)?;
    let what = match standing {
        CardStanding::Issued => "issued",
        CardStanding::InForce => "in force",
        CardStanding::Lost => "lost",
        CardStanding::Cancelled => "cancelled",
    };
    note(context, relying_party, resident, number, what)?;
    match &context.city.codes {
        Some(authority) if !in_force(context, resident)? => {
            codes::suspend(context.tx, authority, context.now, resident)
        }
        Some(_) | None => Ok(()),
    }
}

/// Publishes a card's standing to the kiosks: gates without a link admit cards by this list.
fn tell_kiosks(
    context: &Turn<'_>,
    identification: &str,
    version: &str,
    standing: CardStanding,
) -> rusqlite::Result<()> {
    let Some(authority) = &context.city.codes else { return Ok(()) };
    let in_force = standing == CardStanding::InForce;
    codes::revocations::tell_of_card(context.tx, authority, context.now, identification, version, in_force)
}

pub(super) fn card(context: &Turn<'_>, number: &str) -> Result<(i64, CardStanding), Fail> {
    let found = context
        .tx
        .query_row("SELECT resident, standing FROM cards WHERE number = ?1", [number], |row| {
            Ok((row.get(0)?, value(&row.get::<_, String>(1)?)?))
        })
        .optional()?;
    found.ok_or_else(|| ProblemCode::CardUnknown.because("the card is not in the card-holder base").into())
}

fn done() -> Result<Reply, Fail> {
    Ok(Response::json(&serde_json::json!({})).into())
}
