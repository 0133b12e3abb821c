//! Life cycle of resident service cards: issue, activation, loss, restoration, replacement, cancellation.

use contract::{CardStatus, ProblemCode, RelyingPartyId};
use rusqlite::{OptionalExtension as _, params};
use serde::{Deserialize, Deserializer, Serialize};

use super::change_log::log_card_change;
use crate::codes::{paper_codes, revocations};
use crate::config::relying_parties::RelyingParty;
use crate::context::RequestContext;
use crate::messages::PlatformResponse;
use crate::peer_calls::{Peer, PeerAnswer, PeerCall, PlatformReply};
use crate::request_error::{RequestError, malformed_request, parse_body};
use crate::store::columns::{from_json_column, to_json_column};

/// Data of a produced card (居民服务卡).
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CardData {
    /// Card number (卡号), 1 to 20 letters and digits.
    pub(super) number: String,
    /// Card identification (卡识别码): 32 hexadecimal digits, upper case as on the card.
    #[serde(deserialize_with = "deserialize_uppercase")]
    pub(super) identification: String,
    /// Version of the card specification (规范版本): `1.00`, `2.00` or `3.00`.
    pub(super) version: String,
}

fn deserialize_uppercase<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    String::deserialize(deserializer).map(|text| text.to_ascii_uppercase())
}

impl CardData {
    pub(super) fn is_valid(&self) -> bool {
        let number =
            (1..=20).contains(&self.number.len()) && self.number.bytes().all(|b| b.is_ascii_alphanumeric());
        let identification =
            self.identification.len() == 32 && self.identification.bytes().all(|b| b.is_ascii_hexdigit());
        number && identification && ["1.00", "2.00", "3.00"].contains(&self.version.as_str())
    }
}

/// Request to issue a card (制卡) to a person, who need not be in the base yet.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IssueRequest {
    name: String,
    id_number: String,
    card: CardData,
}

/// Request about the card of this number.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CardNumberRequest {
    number: String,
}

/// Request to replace a card (补卡): number of the old card and data of the new one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReissueRequest {
    number: String,
    card: CardData,
}

/// Action on an existing card that changes its standing.
#[derive(Clone, Copy)]
pub(super) enum CardAction {
    /// Activates an issued card (激活).
    Activate,
    /// Reports a card lost (挂失).
    Lose,
    /// Restores a lost card (解挂).
    Restore,
    /// Cancels a card (注销).
    Cancel,
}

impl CardAction {
    pub(super) fn from_name(name: &str) -> Option<Self> {
        match name {
            "activate" => Some(Self::Activate),
            "lose" => Some(Self::Lose),
            "restore" => Some(Self::Restore),
            "cancel" => Some(Self::Cancel),
            _ => None,
        }
    }

    /// The standing after the action; `None` if the current standing does not allow the action.
    const fn next_standing(self, standing: CardStatus) -> Option<CardStatus> {
        use CardStatus::{Cancelled, InForce, Issued, Lost};
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
pub(super) fn request_name_check(
    relying_party: &RelyingParty,
    body: &[u8],
) -> Result<PlatformReply, RequestError> {
    let issue: IssueRequest = parse_body(body)?;
    if !citizen_number::is_valid(&issue.id_number) || issue.name.trim().is_empty() || !issue.card.is_valid() {
        return Err(malformed_request(
            "a name, an ID number with a correct check digit and valid card data are needed",
        ));
    }
    let body =
        serde_json::json!({ "name": issue.name, "id_number": issue.id_number }).to_string().into_bytes();
    let id = relying_party.id;
    Ok(PlatformReply::CallPeer(PeerCall::new(Peer::Identity, "/names", body, move |context, answer| {
        on_name_check_reply(context, id, &issue, answer)
    })))
}

/// Continues with the identity service's answer to a name check, and issues the card; `None`: no answer came.
fn on_name_check_reply(
    context: &RequestContext<'_>,
    relying_party: RelyingPartyId,
    issue: &IssueRequest,
    answer: Option<&PeerAnswer>,
) -> Result<PlatformReply, RequestError> {
    #[derive(Deserialize)]
    struct NameMatch {
        r#match: bool,
    }
    let unavailable = || {
        RequestError::from(
            ProblemCode::Unavailable.into_problem("the trusted identity service does not answer"),
        )
    };
    let answer = answer.filter(|answer| answer.status == 200).ok_or_else(unavailable)?;
    let matched: NameMatch = serde_json::from_slice(&answer.body).map_err(|_| unavailable())?;
    if !matched.r#match {
        return Err(ProblemCode::CardMismatch
            .into_problem("name and ID number do not belong to one person")
            .into());
    }
    let relying_party = context.config.relying_parties.get(&relying_party).ok_or_else(unavailable)?;
    let resident = find_or_insert_resident(context, &issue.name, &issue.id_number)?.ok_or_else(|| {
        RequestError::from(
            ProblemCode::CardMismatch
                .into_problem("the card-holder base has the ID number under another name"),
        )
    })?;
    if insert_card(context, resident, &issue.card, CardStatus::Issued)? {
        log_card_change(context, relying_party, resident, &issue.card.number, "issued")?;
    }
    empty_answer()
}

/// Finds the resident of this ID number, inserting a new one if missing; `None` if the base has the number under another
/// name.
pub(super) fn find_or_insert_resident(
    context: &RequestContext<'_>,
    name: &str,
    id_number: &str,
) -> rusqlite::Result<Option<i64>> {
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
pub(super) fn insert_card(
    context: &RequestContext<'_>,
    resident: i64,
    card: &CardData,
    standing: CardStatus,
) -> Result<bool, RequestError> {
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
            Err(ProblemCode::CardMismatch.into_problem("the card number belongs to another card").into())
        };
    }
    context.tx.execute(
        "INSERT INTO cards (resident, number, identification, version, standing) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![resident, card.number, card.identification, card.version, to_json_column(&standing)],
    )?;
    publish_standing(context, &card.identification, &card.version, standing)?;
    Ok(true)
}

pub(super) fn apply_card_action(
    context: &RequestContext<'_>,
    relying_party: &RelyingParty,
    step: CardAction,
    body: &[u8],
) -> Result<PlatformReply, RequestError> {
    let CardNumberRequest { number } = parse_body(body)?;
    let (resident, standing) = find_card(context, &number)?;
    let next = step.next_standing(standing).ok_or_else(|| {
        RequestError::from(ProblemCode::CardStopped.into_problem("the card's standing does not allow it"))
    })?;
    if next == standing {
        return empty_answer();
    }
    if next == CardStatus::InForce && has_card_in_force(context, resident)? {
        return Err(ProblemCode::CardMismatch.into_problem("the resident has another card in force").into());
    }
    set_card_standing(context, relying_party, resident, &number, next)?;
    empty_answer()
}

pub(super) fn reissue_card(
    context: &RequestContext<'_>,
    relying_party: &RelyingParty,
    body: &[u8],
) -> Result<PlatformReply, RequestError> {
    let ReissueRequest { number, card: new } = parse_body(body)?;
    if !new.is_valid() || new.number == number {
        return Err(malformed_request("valid data of a card with a new number are needed"));
    }
    let (resident, standing) = find_card(context, &number)?;
    if insert_card(context, resident, &new, CardStatus::Issued)? {
        log_card_change(context, relying_party, resident, &new.number, "issued")?;
    }
    if standing != CardStatus::Cancelled {
        set_card_standing(context, relying_party, resident, &number, CardStatus::Cancelled)?;
    }
    empty_answer()
}

/// Issues a paper code to the holder of a card in force.
pub(super) fn issue_paper_code_for_card(
    context: &mut RequestContext<'_>,
    relying_party: &RelyingParty,
    body: &[u8],
) -> Result<PlatformReply, RequestError> {
    let CardNumberRequest { number } = parse_body(body)?;
    let (resident, standing) = find_card(context, &number)?;
    if standing != CardStatus::InForce {
        return Err(ProblemCode::CardStopped.into_problem("the card is not in force").into());
    }
    let printed = paper_codes::issue_paper_code(context, resident)?;
    log_card_change(context, relying_party, resident, &number, "paper code")?;
    Ok(PlatformResponse::json(&printed).into())
}

/// Revokes the paper code of the holder of a card.
pub(super) fn report_paper_code_lost(
    context: &RequestContext<'_>,
    relying_party: &RelyingParty,
    body: &[u8],
) -> Result<PlatformReply, RequestError> {
    let CardNumberRequest { number } = parse_body(body)?;
    let (resident, _) = find_card(context, &number)?;
    paper_codes::revoke_paper_code(context, resident)?;
    log_card_change(context, relying_party, resident, &number, "paper code lost")?;
    empty_answer()
}

/// Whether the resident has a card in force.
pub(crate) fn has_card_in_force(context: &RequestContext<'_>, resident: i64) -> rusqlite::Result<bool> {
    context.tx.query_row(
        "SELECT EXISTS (SELECT 1 FROM cards WHERE resident = ?1 AND standing = ?2)",
        params![resident, to_json_column(&CardStatus::InForce)],
        |row| row.get(0),
    )
}

/// Sets a card's standing. If the resident has no card in force then, all codes of the resident are revoked.
fn set_card_standing(
    context: &RequestContext<'_>,
    relying_party: &RelyingParty,
    resident: i64,
    number: &str,
    standing: CardStatus,
) -> rusqlite::Result<()> {
    let (identification, version): (String, String) = context.tx.query_row(
        "UPDATE cards SET standing = ?2 WHERE number = ?1 RETURNING identification, version",
        params![number, to_json_column(&standing)],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    publish_standing(context, &identification, &version, standing)?;
    let what = match standing {
        CardStatus::Issued => "issued",
        CardStatus::InForce => "in force",
        CardStatus::Lost => "lost",
        CardStatus::Cancelled => "cancelled",
    };
    log_card_change(context, relying_party, resident, number, what)?;
    match &context.config.code_authority {
        Some(authority) if !has_card_in_force(context, resident)? => {
            revocations::revoke_all_codes(context.tx, authority, context.now, resident)
        }
        Some(_) | None => Ok(()),
    }
}

/// Publishes a card's standing to the kiosks: gates without a link admit cards by this list.
fn publish_standing(
    context: &RequestContext<'_>,
    identification: &str,
    version: &str,
    standing: CardStatus,
) -> rusqlite::Result<()> {
    let Some(authority) = &context.config.code_authority else { return Ok(()) };
    let in_force = standing == CardStatus::InForce;
    revocations::publish_card_status(context.tx, authority, context.now, identification, version, in_force)
}

pub(super) fn find_card(
    context: &RequestContext<'_>,
    number: &str,
) -> Result<(i64, CardStatus), RequestError> {
    let found = context
        .tx
        .query_row("SELECT resident, standing FROM cards WHERE number = ?1", [number], |row| {
            Ok((row.get(0)?, from_json_column(&row.get::<_, String>(1)?)?))
        })
        .optional()?;
    found.ok_or_else(|| {
        ProblemCode::CardUnknown.into_problem("the card is not in the card-holder base").into()
    })
}

fn empty_answer() -> Result<PlatformReply, RequestError> {
    Ok(PlatformResponse::json(&serde_json::json!({})).into())
}
