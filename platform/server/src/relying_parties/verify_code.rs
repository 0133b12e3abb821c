//! Verification of codes (验码) by relying parties, as by a library's gate, a hospital's desk or a bus.
//!
//! `POST /code/v1/verify` is signed like a kiosk's request, with the relying party's id in `X-Device`. Each relying party
//! is registered with its purposes, the capability that a code must have, and a rate limit. The answer says whether the
//! code is accepted, and gives a pairwise subject: a name of the holder that is known to this relying party only. The
//! answer holds neither the holder's identity nor the code's alias. Every verification is logged, accepted or refused, and
//! the holder sees where the code was used.

use contract::{Problem, ProblemCode, from_hex, sm3, to_hex};
use resident_code::Code;
use rusqlite::{OptionalExtension as _, params};
use serde::{Deserialize, Serialize};

use crate::codes::code_uses::log_use;
use crate::codes::verification::{self, ValidatedCode};
use crate::config::relying_parties::RelyingParty;
use crate::context::RequestContext;
use crate::messages::{PlatformRequest, PlatformResponse};
use crate::peer_calls::PlatformReply;
use crate::request_error::{RequestError, malformed_request, parse_body};
use crate::request_signature::{check_request_time, verified_signer};
use crate::store::columns::{ms_column_before, to_ms_column};

const MINUTE_MS: u64 = 60_000;
/// Retention of verification rows in milliseconds.
const AUDIT_RETENTION_MS: u64 = 180 * 24 * 60 * 60 * 1000;

/// Request to verify a code.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VerifyRequest {
    /// Random id of the request, 32 hexadecimal digits. A repeated request gets the same answer, and the code is consumed
    /// once.
    request: String,
    /// Complete text of the code.
    code: String,
    /// One of the relying party's registered purposes.
    purpose: String,
}

/// Result of a verification.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "verdict")]
enum Verdict {
    /// The code is accepted for this relying party.
    Good {
        /// Pairwise subject: a name of the holder that is known to this relying party only.
        subject: String,
    },
    /// The code is refused.
    Refused {
        /// Reason of the refusal.
        code: VerdictCode,
    },
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum VerdictCode {
    Unknown,
    Used,
    Expired,
    Revoked,
    /// The code is genuine but lacks the capability, such as a paper code for a payment.
    CapabilityMissing,
}

/// Handles `POST /code/v1/verify`.
pub(crate) fn verify_code(
    context: &mut RequestContext<'_>,
    request: &PlatformRequest,
) -> Result<PlatformReply, RequestError> {
    let relying_party = verified_signer(&context.config.relying_parties, request)?;
    check_request_time(request, context.now)?;
    let body: VerifyRequest = parse_body(&request.body)?;
    let id: [u8; 16] =
        from_hex(&body.request).ok_or_else(|| malformed_request("`request` is 32 hexadecimal digits"))?;
    if !relying_party.purposes.contains(&body.purpose) {
        return Err(ProblemCode::NotOffered
            .into_problem("the relying party is not registered for this purpose")
            .into());
    }
    let body_digest = sm3(&[&request.body]);
    if let Some(known) = repeated_answer(context, relying_party, &id, &body_digest)? {
        return Ok(known);
    }
    let since = ms_column_before(context.now, MINUTE_MS);
    let recent: u32 = context.tx.query_row(
        "SELECT count(*) FROM verifications WHERE client = ?1 AND at_ms > ?2",
        params![relying_party.id.to_string(), since],
        |row| row.get(0),
    )?;
    if recent >= relying_party.per_minute {
        let mut problem =
            ProblemCode::Unavailable.into_problem("rate limit of the relying party exceeded: wait a minute");
        problem.status = 429;
        return Err(problem.into());
    }
    let (verdict, resident) = match validate_and_consume(context, relying_party, &body.code) {
        Ok(resident) => {
            (Verdict::Good { subject: pairwise_subject(context, relying_party, resident)? }, Some(resident))
        }
        Err(VerificationError::Refused(code)) => (Verdict::Refused { code }, None),
        Err(VerificationError::Undecided(fail)) => return Err(fail),
    };
    if let Some(resident) = resident {
        log_use(context, resident, &relying_party.name, &body.purpose)?;
    }
    let response = PlatformResponse::json(&verdict);
    context.tx.execute(
        "INSERT INTO verifications (client, request, at_ms, purpose, asked, answer, resident)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            relying_party.id.to_string(),
            id,
            to_ms_column(context.now),
            body.purpose,
            body_digest,
            response.body,
            resident
        ],
    )?;
    let expired = ms_column_before(context.now, AUDIT_RETENTION_MS);
    context.tx.execute("DELETE FROM verifications WHERE at_ms < ?1", [expired])?;
    Ok(response.into())
}

/// The answer to a repeated request; `None` when the request is new.
fn repeated_answer(
    context: &RequestContext<'_>,
    relying_party: &RelyingParty,
    id: &[u8; 16],
    body_digest: &[u8; 32],
) -> Result<Option<PlatformReply>, RequestError> {
    let known: Option<([u8; 32], Vec<u8>)> = context
        .tx
        .query_row(
            "SELECT asked, answer FROM verifications WHERE client = ?1 AND request = ?2",
            params![relying_party.id.to_string(), id],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    match known {
        None => Ok(None),
        Some((earlier, _)) if earlier != *body_digest => {
            Err(malformed_request("`request` was used with another body; draw a new one"))
        }
        Some((_, body)) => {
            Ok(Some(PlatformResponse { status: 200, content_type: "application/json", body }.into()))
        }
    }
}

/// Why a code was not accepted.
enum VerificationError {
    /// The code is refused.
    Refused(VerdictCode),
    /// The verification failed, so the code is neither accepted nor refused.
    Undecided(RequestError),
}

fn validate_and_consume(
    context: &RequestContext<'_>,
    relying_party: &RelyingParty,
    text: &str,
) -> Result<i64, VerificationError> {
    let code = Code::parse(text).map_err(|_| VerificationError::Refused(VerdictCode::Unknown))?;
    let has_capability = |judged: &ValidatedCode| judged.allows(context, &relying_party.capability);
    // Validated before it is consumed: a code without the capability stays valid for other relying parties.
    let judged = verification::validate_code(context, &code).map_err(to_verification_error)?;
    if !has_capability(&judged) {
        return Err(VerificationError::Refused(VerdictCode::CapabilityMissing));
    }
    let consumer = relying_party.id.to_string();
    verification::consume_code(context, &code, &consumer, &consumer).map_err(to_verification_error)?;
    Ok(judged.resident)
}

fn to_verification_error(fail: RequestError) -> VerificationError {
    let code = match &fail {
        RequestError::Problem(Problem { code: ProblemCode::CodeUsed, .. }) => VerdictCode::Used,
        RequestError::Problem(Problem { code: ProblemCode::CodeExpired, .. }) => VerdictCode::Expired,
        RequestError::Problem(Problem { code: ProblemCode::CodeRevoked, .. }) => VerdictCode::Revoked,
        RequestError::Problem(Problem { code: ProblemCode::CodeUnknown, .. }) => VerdictCode::Unknown,
        RequestError::Problem(_) | RequestError::Phone(_) | RequestError::Database(_) => {
            return VerificationError::Undecided(fail);
        }
    };
    VerificationError::Refused(code)
}

/// Pairwise subject of a resident for this relying party; drawn at the first accepted code.
fn pairwise_subject(
    context: &mut RequestContext<'_>,
    relying_party: &RelyingParty,
    resident: i64,
) -> rusqlite::Result<String> {
    let drawn = to_hex(&context.entropy.next_bytes());
    context.tx.execute(
        "INSERT INTO subjects (resident, client, subject) VALUES (?1, ?2, ?3)
         ON CONFLICT (resident, client) DO NOTHING",
        params![resident, relying_party.id.to_string(), drawn],
    )?;
    context.tx.query_row(
        "SELECT subject FROM subjects WHERE resident = ?1 AND client = ?2",
        params![resident, relying_party.id.to_string()],
        |row| row.get(0),
    )
}
