//! PIN reset (密码重置): a service desk resets the PIN of a card, for the holder whom the trusted identity service
//! verified in person.
//!
//! The desk's terminal has the card in its reader. The platform answers with the data of EXTERNAL AUTHENTICATE for the
//! random number that the card drew; they are valid once. The PIN itself goes from the terminal's PIN pad to the card and
//! never to the platform.

use contract::{CardChallenge, CardStatus, HexBytes, ProblemCode, RelyingPartyId, to_hex_upper};
use serde::{Deserialize, Serialize};

use super::change_log::log_card_change;
use super::life_cycle::find_card;
use crate::config::relying_parties::RelyingParty;
use crate::context::RequestContext;
use crate::identity_service::{VerifiedPerson, redeem_ticket};
use crate::messages::PlatformResponse;
use crate::peer_calls::{PeerAnswer, PlatformReply};
use crate::request_error::{RequestError, parse_body};

/// Request to reset the PIN of a card. No `Debug`: the ticket proves a person's identity.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PinResetRequest {
    /// Card number (卡号).
    number: String,
    /// Ticket that the trusted identity service issued to the desk after it had verified the holder.
    ticket: String,
    /// Identification and random number of the card in the terminal.
    card: CardChallenge,
}

/// Data that authenticate the PIN reset to the card.
#[derive(Serialize)]
struct PinResetAnswer {
    /// Data of EXTERNAL AUTHENTICATE with key 06: the cryptogram (8 bytes), then its factor (8 bytes).
    external: HexBytes<16>,
}

pub(super) fn request_pin_reset(
    relying_party: &RelyingParty,
    body: &[u8],
) -> Result<PlatformReply, RequestError> {
    let request: PinResetRequest = parse_body(body)?;
    let id = relying_party.id;
    let ticket = request.ticket.clone();
    Ok(PlatformReply::CallPeer(redeem_ticket(&ticket, move |context, answer| {
        on_pin_reset_reply(context, id, &request, answer)
    })))
}

/// Continues with the identity service's answer to the ticket of a PIN reset; `None`: no answer came.
fn on_pin_reset_reply(
    context: &RequestContext<'_>,
    relying_party: RelyingPartyId,
    request: &PinResetRequest,
    answer: Option<&PeerAnswer>,
) -> Result<PlatformReply, RequestError> {
    let unavailable = || {
        RequestError::from(
            ProblemCode::Unavailable.into_problem("the trusted identity service does not answer"),
        )
    };
    let answer = answer.filter(|answer| answer.status < 500).ok_or_else(unavailable)?;
    let person = VerifiedPerson::in_person(answer).ok_or_else(|| {
        RequestError::from(
            ProblemCode::LevelTooLow.into_problem("the identity service did not verify the holder in person"),
        )
    })?;
    let relying_party = context.config.relying_parties.get(&relying_party).ok_or_else(unavailable)?;
    let (resident, standing) = find_card(context, &request.number)?;
    if standing != CardStatus::InForce {
        return Err(ProblemCode::CardStopped.into_problem("the card is not in force").into());
    }
    let is_holders: bool = context.tx.query_row(
        "SELECT EXISTS (SELECT 1 FROM residents JOIN cards USING (resident)
         WHERE resident = ?1 AND name = ?2 AND id_number = ?3 AND number = ?4 AND identification = ?5)",
        rusqlite::params![
            resident,
            person.name,
            person.id_number,
            request.number,
            to_hex_upper(&request.card.identification.0),
        ],
        |row| row.get(0),
    )?;
    if !is_holders {
        return Err(ProblemCode::CardMismatch
            .into_problem("the card does not belong to the verified person")
            .into());
    }
    let key = context.config.card_root_keys.as_ref().ok_or_else(|| {
        RequestError::from(
            ProblemCode::NotOffered.into_problem("this platform has no root keys of the city's cards"),
        )
    })?;
    log_card_change(context, relying_party, resident, &request.number, "PIN set anew")?;
    Ok(PlatformResponse::json(&PinResetAnswer { external: key.external_auth_for_pin_reset(&request.card) })
        .into())
}
