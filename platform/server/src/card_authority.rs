//! 卡鉴权 for kiosks without a PSAM: what a card has to answer, computed with the city's key.
//!
//! What is asked is written down whatever comes of it, by kiosk and card. A kiosk is answered so many times a minute, and
//! about one random number of a card's once: who listens to a kiosk, or has one, gains no oracle and no second answer.

use contract::{CardAuthRequest, CardStanding, Problem, ProblemCode};
use rusqlite::{OptionalExtension as _, params};

use crate::columns::{hex_capitals, ms, value};
use crate::device::Device;
use crate::fail::{Fail, json, malformed};
use crate::platform::Turn;
use crate::wire::{Reply, Response};

/// A kiosk reads a card in some seconds, and its holder stays for longer.
const PER_MINUTE: i64 = 20;
const MINUTE_MS: i64 = 60_000;
/// 算法标识 of SM4, the only one that is computed with.
const SM4: u8 = 3;
/// Historical bytes of an answer to reset are 15 at most.
const ATR_DIGITS_MAX: usize = 30;

pub(crate) fn authenticate(turn: &Turn<'_>, device: &Device, body: &[u8]) -> Result<Reply, Fail> {
    let request: CardAuthRequest = json(body)?;
    let card = &request.card;
    let digits = card.atr_history.len();
    if digits > ATR_DIGITS_MAX || !card.atr_history.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(malformed("atr_history is not the historical bytes of an answer to reset"));
    }
    let known = known(turn, &request)?;
    let number = known.as_ref().map_or("", |(number, _)| number.as_str());
    let refusal = refusal(turn, device, &request, known.as_ref().map(|(_, standing)| *standing))?;
    let outcome =
        refusal.as_ref().map_or_else(|| "answered".to_owned(), |problem| format!("{:?}", problem.code));
    // A card that is not known has no name here; its request is counted all the same.
    let asked = turn.tx.execute(
        "INSERT INTO card_authentications (device, visit, card, challenge, at_ms, outcome)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
        params![
            device.id.to_string(),
            request.visit.to_string(),
            number,
            card.challenge.0,
            ms(turn.now),
            outcome
        ],
    )?;
    let refusal = refusal.or_else(|| {
        (asked == 0).then(|| ProblemCode::ChallengeFailed.because("this random number was answered before"))
    });
    if let Some(problem) = refusal {
        tracing::warn!(device = %device.id, refusal = %problem.title, "a card is not authenticated");
        // An answer, not a failure: what was written down stays.
        return Ok(Response::problem(&problem).into());
    }
    let key = turn.city.cards.as_ref().ok_or_else(|| Fail::from(no_key()))?;
    Ok(Response::json(&key.answer(card)).into())
}

/// The card in the base: its number, and how it stands.
fn known(turn: &Turn<'_>, request: &CardAuthRequest) -> Result<Option<(String, CardStanding)>, Fail> {
    let identification = hex_capitals(&request.card.identification.0);
    let found = turn.tx.query_row(
        "SELECT number, standing FROM cards WHERE identification = ?1 AND version = ?2",
        params![identification, request.card.version],
        |row| Ok((row.get(0)?, value(&row.get::<_, String>(1)?)?)),
    );
    Ok(found.optional()?)
}

/// Why this card is not vouched for, if it is not.
fn refusal(
    turn: &Turn<'_>,
    device: &Device,
    request: &CardAuthRequest,
    standing: Option<CardStanding>,
) -> Result<Option<Problem>, Fail> {
    let card = &request.card;
    let asked: i64 = turn.tx.query_row(
        "SELECT count(*) FROM card_authentications WHERE device = ?1 AND at_ms > ?2",
        params![device.id.to_string(), ms(turn.now).saturating_sub(MINUTE_MS)],
        |row| row.get(0),
    )?;
    let area = hex_capitals(card.identification.0.first_chunk::<3>().unwrap_or(&[0; 3]));
    Ok(if turn.city.cards.is_none() {
        Some(no_key())
    } else if asked >= PER_MINUTE {
        Some(ProblemCode::Unavailable.because("this kiosk asks about too many cards: wait a minute"))
    } else if card.algorithm != SM4 || !card.version.starts_with('3') {
        Some(ProblemCode::NotOffered.because("only SM4 cards of the third generation are authenticated"))
    } else if area != card.area {
        Some(ProblemCode::CardMismatch.because("the area code is not the card's"))
    } else {
        match standing {
            None => Some(ProblemCode::CardUnknown.because("the card is not in the card-holder base")),
            Some(CardStanding::Issued | CardStanding::Lost | CardStanding::Cancelled) => {
                Some(ProblemCode::CardStopped.because("the card is not in force"))
            }
            Some(CardStanding::InForce) => None,
        }
    })
}

fn no_key() -> Problem {
    ProblemCode::NotOffered.because("this platform has no key of the city's cards")
}
