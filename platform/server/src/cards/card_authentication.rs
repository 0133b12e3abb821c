//! Card authentication (卡认证) for kiosks without a PSAM: computes the expected answer of a card with the city's root keys.
//!
//! Every request is logged by kiosk and card, whatever its outcome. Requests are limited per kiosk and minute, and each
//! random number of a card is answered once, so that a compromised or intercepted kiosk is no oracle and gets no second
//! answer.

use contract::{CardAuthRequest, CardStatus, Problem, ProblemCode, to_hex_upper};
use rusqlite::{OptionalExtension as _, params};

use crate::config::kiosks::RegisteredKiosk;
use crate::context::RequestContext;
use crate::messages::PlatformResponse;
use crate::peer_calls::PlatformReply;
use crate::request_error::{RequestError, malformed_request, parse_body};
use crate::store::columns::{from_json_column, to_ms_column};
use crate::store::serialized_name::serialized_name;

/// Most requests of a kiosk in a minute. Reading a card takes some seconds, and a visit takes longer.
const REQUESTS_PER_MINUTE_MAX: i64 = 20;
const MINUTE_MS: i64 = 60_000;
/// Algorithm identifier (算法标识) of SM4, the only supported algorithm.
const ALGORITHM_SM4: u8 = 3;
/// Most hexadecimal digits of the ATR's historical bytes: 15 bytes (ISO/IEC 7816-3).
const ATR_DIGITS_MAX: usize = 30;

/// `POST /v1/card-authentications`: answers the card's challenge, or refuses.
pub(crate) fn authenticate_card(
    context: &RequestContext<'_>,
    kiosk: &RegisteredKiosk,
    body: &[u8],
) -> Result<PlatformReply, RequestError> {
    let request: CardAuthRequest = parse_body(body)?;
    let card = &request.card;
    let digits = card.atr_history.len();
    if digits > ATR_DIGITS_MAX || !card.atr_history.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(malformed_request("`atr_history` is not the historical bytes of an ATR in hexadecimal"));
    }
    let known = find_card(context, &request)?;
    let number = known.as_ref().map_or("", |(number, _)| number.as_str());
    let refusal = refusal_reason(context, kiosk, &request, known.as_ref().map(|(_, standing)| *standing))?;
    let outcome =
        refusal.as_ref().map_or_else(|| "answered".to_owned(), |problem| serialized_name(&problem.code));
    // A card that is not in the base has no number here; its request is counted nevertheless.
    let asked = context.tx.execute(
        "INSERT INTO card_authentications (device, visit, card, challenge, at_ms, outcome)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
        params![
            kiosk.id.to_string(),
            request.visit.to_string(),
            number,
            card.challenge.0,
            to_ms_column(context.now),
            outcome
        ],
    )?;
    let refusal = refusal.or_else(|| {
        (asked == 0).then(|| {
            ProblemCode::ChallengeFailed.into_problem("this random number of the card was answered before")
        })
    });
    if let Some(problem) = refusal {
        tracing::warn!(kiosk = %kiosk.id, refusal = %problem, "card authentication refused");
        // A response, not an error, so that the logged request is committed.
        return Ok(PlatformResponse::problem(&problem).into());
    }
    let key =
        context.config.card_root_keys.as_ref().ok_or_else(|| RequestError::from(no_card_root_keys()))?;
    Ok(PlatformResponse::json(&key.card_cryptogram(card)).into())
}

/// Finds the card in the card-holder base: its number and standing.
fn find_card(
    context: &RequestContext<'_>,
    request: &CardAuthRequest,
) -> Result<Option<(String, CardStatus)>, RequestError> {
    let identification = to_hex_upper(&request.card.identification.0);
    let found = context.tx.query_row(
        "SELECT number, standing FROM cards WHERE identification = ?1 AND version = ?2",
        params![identification, request.card.version],
        |row| Ok((row.get(0)?, from_json_column(&row.get::<_, String>(1)?)?)),
    );
    Ok(found.optional()?)
}

/// Returns why this card is not authenticated; `None` if it is.
fn refusal_reason(
    context: &RequestContext<'_>,
    kiosk: &RegisteredKiosk,
    request: &CardAuthRequest,
    standing: Option<CardStatus>,
) -> Result<Option<Problem>, RequestError> {
    let card = &request.card;
    let asked: i64 = context.tx.query_row(
        "SELECT count(*) FROM card_authentications WHERE device = ?1 AND at_ms > ?2",
        params![kiosk.id.to_string(), to_ms_column(context.now).saturating_sub(MINUTE_MS)],
        |row| row.get(0),
    )?;
    let area = to_hex_upper(card.identification.0.first_chunk::<3>().unwrap_or(&[0; 3]));
    Ok(if context.config.card_root_keys.is_none() {
        Some(no_card_root_keys())
    } else if asked >= REQUESTS_PER_MINUTE_MAX {
        Some(
            ProblemCode::Unavailable
                .into_problem("too many card authentications of this kiosk: wait a minute"),
        )
    } else if card.algorithm != ALGORITHM_SM4 || !card.version.starts_with('3') {
        Some(ProblemCode::NotOffered.into_problem("only SM4 cards of the third generation are authenticated"))
    } else if area != card.area {
        Some(ProblemCode::CardMismatch.into_problem("the area code does not match the card's identification"))
    } else {
        match standing {
            None => Some(ProblemCode::CardUnknown.into_problem("the card is not in the card-holder base")),
            Some(CardStatus::Issued | CardStatus::Lost | CardStatus::Cancelled) => {
                Some(ProblemCode::CardStopped.into_problem("the card is not in force"))
            }
            Some(CardStatus::InForce) => None,
        }
    })
}

fn no_card_root_keys() -> Problem {
    ProblemCode::NotOffered.into_problem("this platform has no root keys of the city's cards")
}
