//! PIN reset (密码重置): a service desk resets the PIN of a card, for the holder whom the trusted identity service
//! verified in person.
//!
//! The desk's terminal has the card in its reader. The platform answers with the data of EXTERNAL AUTHENTICATE for the
//! random number that the card drew; they are valid once. The PIN itself goes from the terminal's PIN pad to the card and
//! never to the platform.

use contract::{CardChallenge, CardStanding, DeviceId, HexBytes, ProblemCode};
use serde::{Deserialize, Serialize};

use super::cards::card;
use super::note;
use crate::codes::{Client, Seen};
use crate::columns::hex_capitals;
use crate::fail::{Fail, json};
use crate::platform::Turn;
use crate::wire::{OutAnswer, OutCall, Peer, Purpose, Reply, Response};

/// Request to reset the PIN of a card. No `Debug`: the ticket proves a person's identity.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PinReset {
    /// Card number (卡号).
    number: String,
    /// Ticket that the trusted identity service issued to the desk after it had verified the holder.
    ticket: String,
    /// Identification and random number of the card in the terminal.
    card: CardChallenge,
}

/// Data that authenticate the PIN reset to the card.
#[derive(Serialize)]
struct Opens {
    /// Data of EXTERNAL AUTHENTICATE with key 06: the cryptogram (8 bytes), then its factor (8 bytes).
    external: HexBytes<16>,
}

pub(super) fn reset(relying_party: &Client, body: &[u8]) -> Result<Reply, Fail> {
    let request: PinReset = json(body)?;
    let body = serde_json::json!({ "ticket": request.ticket }).to_string().into_bytes();
    let purpose = Purpose::PinReset { client: relying_party.id, request: Box::new(request) };
    Ok(Reply::Ask(OutCall { peer: Peer::Identity, target: "/tickets/redeem".into(), body, purpose }))
}

/// Continues with the identity service's answer to the ticket of a PIN reset; `None`: no answer came.
pub(crate) fn seen(
    context: &Turn<'_>,
    relying_party: DeviceId,
    request: &PinReset,
    answer: Option<&OutAnswer>,
) -> Result<Reply, Fail> {
    let unavailable =
        || Fail::from(ProblemCode::Unavailable.because("the trusted identity service does not answer"));
    let answer = answer.filter(|answer| answer.status < 500).ok_or_else(unavailable)?;
    let person = Seen::in_person(answer).ok_or_else(|| {
        Fail::from(
            ProblemCode::LevelTooLow.because("the identity service did not verify the holder in person"),
        )
    })?;
    let relying_party = context.city.clients.get(&relying_party).ok_or_else(unavailable)?;
    let (resident, standing) = card(context, &request.number)?;
    if standing != CardStanding::InForce {
        return Err(ProblemCode::CardStopped.because("the card is not in force").into());
    }
    let is_holders: bool = context.tx.query_row(
        "SELECT EXISTS (SELECT 1 FROM residents JOIN cards USING (resident)
         WHERE resident = ?1 AND name = ?2 AND id_number = ?3 AND number = ?4 AND identification = ?5)",
        rusqlite::params![
            resident,
            person.name,
            person.id_number,
            request.number,
            hex_capitals(&request.card.identification.0),
        ],
        |row| row.get(0),
    )?;
    if !is_holders {
        return Err(ProblemCode::CardMismatch
            .because("the card does not belong to the verified person")
            .into());
    }
    let key = context.city.cards.as_ref().ok_or_else(|| {
        Fail::from(ProblemCode::NotOffered.because("this platform has no root keys of the city's cards"))
    })?;
    note(context, relying_party, resident, &request.number, "PIN set anew")?;
    Ok(Response::json(&Opens { external: key.opens_for_pin(&request.card) }).into())
}
