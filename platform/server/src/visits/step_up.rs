//! Step-up (提升认证): raises the level of a visit to 2, by a phone's answer code or by a card's PIN.
//!
//! An answer code (应答码) proves that the phone itself is at the kiosk. The kiosk has verified the answer already. The
//! platform verifies it again, because it grants levels only on evidence that it has seen, and because only the platform
//! knows the resident of the phone.
//!
//! A PIN is verified by the card, and the platform relies on the kiosk's statement. It does so only for an authenticated
//! card.

use contract::{
    Challenge, Evidence, EvidenceAnswer, EvidenceRequest, ProblemCode, StepUpProof, VisitKey, from_hex, sm3,
};
use resident_code::{AnswerCode, TimeWindow};
use rusqlite::{OptionalExtension as _, params};

use super::identify::{OpenVisit, open_visit};
use crate::codes::code_uses::log_use;
use crate::codes::verification::{refusal_problem, resident_of_alias, to_unix_seconds, unknown_code_problem};
use crate::config::kiosks::RegisteredKiosk;
use crate::context::RequestContext;
use crate::messages::PlatformResponse;
use crate::peer_calls::PlatformReply;
use crate::request_error::{RequestError, malformed_request, parse_body};
use crate::store::columns::{to_json_column, to_ms_column};

/// Retention of an answered nonce in milliseconds; answers expire much earlier.
const NONCE_RETENTION_MS: u64 = 24 * 60 * 60 * 1000;
/// Purpose of a step-up, as in the resident's list of uses.
const STEP_UP_PURPOSE: &str = "在自助终端确认本人";

/// `POST /v1/evidence`: raises the visit to level 2. A repeated request gets the same answer.
pub(crate) fn step_up(
    context: &mut RequestContext<'_>,
    kiosk: &RegisteredKiosk,
    body: &[u8],
) -> Result<PlatformReply, RequestError> {
    let request: EvidenceRequest = parse_body(body)?;
    let visit = open_visit(context, kiosk, &request.key)?;
    match &request.given {
        StepUpProof::ChallengeAnswer { nonce, answer } => {
            accept_challenge_answer(context, kiosk, &request.key, visit, nonce, answer)
        }
        StepUpProof::CardPin => accept_card_pin(context, &request.key, visit),
    }
}

fn accept_card_pin(
    context: &RequestContext<'_>,
    key: &VisitKey,
    visit: OpenVisit,
) -> Result<PlatformReply, RequestError> {
    match visit.evidence {
        Evidence::CardAuthenticated | Evidence::AuthenticatedCardPin => {
            raise_level(context, key, visit, Evidence::AuthenticatedCardPin)
        }
        Evidence::CardRead
        | Evidence::IdCardRead
        | Evidence::CardPin
        | Evidence::TokenConsumed
        | Evidence::OfflineCode
        | Evidence::PaperCode
        | Evidence::ChallengeAnswered => Err(ProblemCode::NotOffered
            .into_problem("the visit did not begin with an authenticated card")
            .into()),
    }
}

fn accept_challenge_answer(
    context: &mut RequestContext<'_>,
    kiosk: &RegisteredKiosk,
    key: &VisitKey,
    visit: OpenVisit,
    nonce: &str,
    answer: &str,
) -> Result<PlatformReply, RequestError> {
    let nonce =
        from_hex(nonce).ok_or_else(|| malformed_request("a challenge's nonce is 32 hexadecimal digits"))?;
    let challenge = Challenge { device: kiosk.id, nonce };
    let digest = sm3(&[key.0.as_bytes(), b"\0", answer.as_bytes()]);
    if is_repeated_answer(context, &challenge, &digest)? {
        return Ok(evidence_answer(&visit));
    }
    if !began_by_phone(&visit) {
        return Err(ProblemCode::NotOffered
            .into_problem("the visit did not begin with a phone's code")
            .into());
    }
    let resident = answering_resident(context, &challenge, answer)?;
    if resident != visit.resident {
        return Err(ProblemCode::ChallengeFailed
            .into_problem("the answer code is of another resident's phone")
            .into());
    }
    context.tx.execute("DELETE FROM challenges WHERE until_ms < ?1", [to_ms_column(context.now)])?;
    context.tx.execute(
        "INSERT INTO challenges (device, nonce, given, until_ms) VALUES (?1, ?2, ?3, ?4)",
        params![kiosk.id.to_string(), nonce, digest, to_ms_column(context.now.plus_ms(NONCE_RETENTION_MS))],
    )?;
    log_use(context, resident, &kiosk.name, STEP_UP_PURPOSE)?;
    raise_level(context, key, visit, Evidence::ChallengeAnswered)
}

fn raise_level(
    context: &RequestContext<'_>,
    key: &VisitKey,
    visit: OpenVisit,
    evidence: Evidence,
) -> Result<PlatformReply, RequestError> {
    let visit = OpenVisit { evidence, level: visit.level.max(evidence.max_level()), ..visit };
    context.tx.execute(
        "UPDATE visits SET evidence = ?1, level = ?2 WHERE key = ?3",
        params![to_json_column(&visit.evidence), to_json_column(&visit.level), key.0],
    )?;
    Ok(evidence_answer(&visit))
}

/// Whether the visit began with a phone's code. A visit has one evidence, which decides how it may pay; a phone's answer
/// must not replace the evidence of a card.
fn began_by_phone(visit: &OpenVisit) -> bool {
    match visit.evidence {
        Evidence::TokenConsumed | Evidence::OfflineCode | Evidence::ChallengeAnswered => true,
        Evidence::CardRead
        | Evidence::CardAuthenticated
        | Evidence::IdCardRead
        | Evidence::CardPin
        | Evidence::AuthenticatedCardPin
        | Evidence::PaperCode => false,
    }
}

fn evidence_answer(visit: &OpenVisit) -> PlatformReply {
    PlatformResponse::json(&EvidenceAnswer { evidence: visit.evidence, level: visit.level }).into()
}

/// Whether this challenge was answered by this same request. A challenge that another request answered is refused.
fn is_repeated_answer(
    context: &RequestContext<'_>,
    challenge: &Challenge,
    digest: &[u8; 32],
) -> Result<bool, RequestError> {
    let earlier: Option<[u8; 32]> = context
        .tx
        .query_row(
            "SELECT given FROM challenges WHERE device = ?1 AND nonce = ?2",
            params![challenge.device.to_string(), challenge.nonce],
            |row| row.get(0),
        )
        .optional()?;
    match earlier {
        None => Ok(false),
        Some(earlier) if earlier == *digest => Ok(true),
        Some(_) => Err(ProblemCode::ChallengeFailed.into_problem("the challenge was answered before").into()),
    }
}

/// Verifies the answer code and returns the resident of the phone.
fn answering_resident(
    context: &RequestContext<'_>,
    challenge: &Challenge,
    answer: &str,
) -> Result<i64, RequestError> {
    let authority = context.config.code_authority.as_ref().ok_or_else(unknown_code_problem)?;
    let issuers = authority.accepted_issuers(context.now);
    let answer = AnswerCode::parse(answer).map_err(refusal_problem)?;
    let presented = answer
        .verify(&issuers, &challenge.to_be_signed(), to_unix_seconds(context.now), TimeWindow::default())
        .map_err(refusal_problem)?;
    resident_of_alias(context, presented.alias)
}
