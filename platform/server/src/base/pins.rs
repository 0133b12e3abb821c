//! 密码重置: a desk sets the PIN of a card anew, for the holder whom the trusted identity service saw there.
//!
//! The desk's terminal has the card in its reader. It is given what opens the card for a new PIN, once, for the random
//! number that the card drew; the PIN itself goes from the terminal's pad to the card, and the platform never has it.

use contract::{CardChallenge, CardStanding, DeviceId, HexBytes, ProblemCode};
use serde::{Deserialize, Serialize};

use super::cards::card;
use super::note;
use crate::codes::{Client, Seen};
use crate::columns::hex_capitals;
use crate::fail::{Fail, json};
use crate::platform::Turn;
use crate::wire::{OutAnswer, OutCall, Peer, Purpose, Reply, Response};

/// Asks for it. No `Debug`: the ticket is a person's word.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PinReset {
    /// 卡号.
    number: String,
    /// What the trusted identity service gave the desk after it had seen the holder.
    ticket: String,
    /// What the card in the terminal says of itself, and its random number.
    card: CardChallenge,
}

/// What opens the card for a new PIN.
#[derive(Serialize)]
struct Opens {
    /// Data of EXTERNAL AUTHENTICATE with key 06: the cryptogram, and the factor that it was made with.
    external: HexBytes<16>,
}

pub(super) fn reset(client: &Client, body: &[u8]) -> Result<Reply, Fail> {
    let request: PinReset = json(body)?;
    let body = serde_json::json!({ "ticket": request.ticket }).to_string().into_bytes();
    let purpose = Purpose::PinReset { client: client.id, request: Box::new(request) };
    Ok(Reply::Ask(OutCall { peer: Peer::Identity, target: "/tickets/redeem".into(), body, purpose }))
}

/// The trusted identity service has answered.
pub(crate) fn seen(
    turn: &Turn<'_>,
    client: DeviceId,
    request: &PinReset,
    answer: Option<&OutAnswer>,
) -> Result<Reply, Fail> {
    let unavailable =
        || Fail::from(ProblemCode::Unavailable.because("the trusted identity service does not answer"));
    let answer = answer.filter(|answer| answer.status < 500).ok_or_else(unavailable)?;
    let seen = Seen::in_person(answer)
        .ok_or_else(|| Fail::from(ProblemCode::LevelTooLow.because("the holder was not seen in person")))?;
    let client = turn.city.clients.get(&client).ok_or_else(unavailable)?;
    let (resident, standing) = card(turn, &request.number)?;
    if standing != CardStanding::InForce {
        return Err(ProblemCode::CardStopped.because("the card is not in force").into());
    }
    let is_holders: bool = turn.tx.query_row(
        "SELECT EXISTS (SELECT 1 FROM residents JOIN cards USING (resident)
         WHERE resident = ?1 AND name = ?2 AND id_number = ?3 AND number = ?4 AND identification = ?5)",
        rusqlite::params![
            resident,
            seen.name,
            seen.id_number,
            request.number,
            hex_capitals(&request.card.identification.0),
        ],
        |row| row.get(0),
    )?;
    if !is_holders {
        return Err(ProblemCode::CardMismatch.because("the card is not the one of the person seen").into());
    }
    let key = turn.city.cards.as_ref().ok_or_else(|| {
        Fail::from(ProblemCode::NotOffered.because("this platform has no key of the city's cards"))
    })?;
    note(turn, client, resident, &request.number, "PIN set anew")?;
    Ok(Response::json(&Opens { external: key.opens_for_pin(&request.card) }).into())
}
