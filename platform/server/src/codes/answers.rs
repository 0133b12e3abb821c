//! Step-up (提升认证): raises the level of a visit to 2, by a phone's answer code or by a card's PIN.
//!
//! An answer code (应答码) proves that the phone itself is at the kiosk. The kiosk has verified the answer already. The
//! platform verifies it again, because it grants levels only on evidence that it has seen, and because only the platform
//! knows the resident of the phone.
//!
//! A PIN is verified by the card, and the platform relies on the kiosk's statement. It does so only for an authenticated
//! card.

use contract::{Challenge, Evidence, EvidenceAnswer, EvidenceRequest, Given, ProblemCode, VisitKey, sm3};
use resident_code::{AnswerCode, Window};
use rusqlite::{OptionalExtension as _, params};

use super::judge::{holder, note_use, refused, seconds, unknown};
use super::unhex;
use crate::columns::{ms, text};
use crate::device::Device;
use crate::fail::{Fail, json, malformed};
use crate::identify::{Visit, open_visit};
use crate::platform::Turn;
use crate::wire::{Reply, Response};

/// Retention of an answered nonce in milliseconds; answers expire much earlier.
const REMEMBERED_MS: u64 = 24 * 60 * 60 * 1000;
/// Purpose of a step-up, as in the resident's list of uses.
const PROVEN: &str = "在自助终端确认本人";

/// `POST /v1/evidence`: raises the visit to level 2. A repeated request gets the same answer.
pub(crate) fn prove(context: &mut Turn<'_>, kiosk: &Device, body: &[u8]) -> Result<Reply, Fail> {
    let request: EvidenceRequest = json(body)?;
    let visit = open_visit(context, kiosk, &request.key)?;
    match &request.given {
        Given::ChallengeAnswer { nonce, answer } => {
            answered(context, kiosk, &request.key, visit, nonce, answer)
        }
        Given::CardPin => entered(context, &request.key, visit),
    }
}

fn entered(context: &Turn<'_>, key: &VisitKey, visit: Visit) -> Result<Reply, Fail> {
    match visit.evidence {
        Evidence::CardAuthenticated | Evidence::AuthenticatedCardPin => {
            raise(context, key, visit, Evidence::AuthenticatedCardPin)
        }
        Evidence::CardRead
        | Evidence::IdCardRead
        | Evidence::CardPin
        | Evidence::TokenConsumed
        | Evidence::OfflineCode
        | Evidence::PaperCode
        | Evidence::ChallengeAnswered => {
            Err(ProblemCode::NotOffered.because("the visit did not begin with an authenticated card").into())
        }
    }
}

fn answered(
    context: &mut Turn<'_>,
    kiosk: &Device,
    key: &VisitKey,
    visit: Visit,
    nonce: &str,
    answer: &str,
) -> Result<Reply, Fail> {
    let nonce = unhex(nonce).ok_or_else(|| malformed("a challenge's nonce is 32 hexadecimal digits"))?;
    let challenge = Challenge { device: kiosk.id, nonce };
    let digest = sm3(&[key.0.as_bytes(), b"\0", answer.as_bytes()]);
    if is_repeated(context, &challenge, &digest)? {
        return Ok(proven(&visit));
    }
    if !began_by_phone(&visit) {
        return Err(ProblemCode::NotOffered.because("the visit did not begin with a phone's code").into());
    }
    let resident = answered_by(context, &challenge, answer)?;
    if resident != visit.resident {
        return Err(ProblemCode::ChallengeFailed
            .because("the answer code is of another resident's phone")
            .into());
    }
    context.tx.execute("DELETE FROM challenges WHERE until_ms < ?1", [ms(context.now)])?;
    context.tx.execute(
        "INSERT INTO challenges (device, nonce, given, until_ms) VALUES (?1, ?2, ?3, ?4)",
        params![kiosk.id.to_string(), nonce, digest, ms(context.now.plus_ms(REMEMBERED_MS))],
    )?;
    note_use(context, resident, &kiosk.name, PROVEN)?;
    raise(context, key, visit, Evidence::ChallengeAnswered)
}

fn raise(context: &Turn<'_>, key: &VisitKey, visit: Visit, evidence: Evidence) -> Result<Reply, Fail> {
    let visit = Visit { evidence, level: visit.level.max(evidence.most()), ..visit };
    context.tx.execute(
        "UPDATE visits SET evidence = ?1, level = ?2 WHERE key = ?3",
        params![text(&visit.evidence), text(&visit.level), key.0],
    )?;
    Ok(proven(&visit))
}

/// Whether the visit began with a phone's code. A visit has one evidence, which decides how it may pay; a phone's answer
/// must not replace the evidence of a card.
fn began_by_phone(visit: &Visit) -> bool {
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

fn proven(visit: &Visit) -> Reply {
    Response::json(&EvidenceAnswer { evidence: visit.evidence, level: visit.level }).into()
}

/// Whether this challenge was answered by this same request. A challenge that another request answered is refused.
fn is_repeated(context: &Turn<'_>, challenge: &Challenge, digest: &[u8; 32]) -> Result<bool, Fail> {
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
        Some(_) => Err(ProblemCode::ChallengeFailed.because("the challenge was answered before").into()),
    }
}

/// Verifies the answer code and returns the resident of the phone.
fn answered_by(context: &Turn<'_>, challenge: &Challenge, answer: &str) -> Result<i64, Fail> {
    let authority = context.city.codes.as_ref().ok_or_else(unknown)?;
    let issuers = authority.accepted(context.now);
    let answer = AnswerCode::parse(answer).map_err(refused)?;
    let presented = answer
        .verify(&issuers, &challenge.to_be_signed(), seconds(context.now), Window::default())
        .map_err(refused)?;
    holder(context, presented.alias)
}
