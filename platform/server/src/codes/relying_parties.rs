//! Relying parties and their verification of codes (验码), as by a library's gate, a hospital's desk or a bus.
//!
//! `POST /code/v1/verify` is signed like a kiosk's request, with the relying party's id in `X-Device`. Each relying party
//! is registered with its purposes, the capability that a code must have, and a rate limit. The answer says whether the
//! code is accepted, and gives a pairwise subject: a name of the holder that is known to this relying party only. The
//! answer holds neither the holder's identity nor the code's alias. Every verification is logged, accepted or refused, and
//! the holder sees where the code was used.

use std::collections::{BTreeMap, BTreeSet};

use contract::{KioskId, Problem, ProblemCode, PublicKey, UnixMs, sm3};
use resident_code::Code;
use rusqlite::{OptionalExtension as _, params};
use serde::{Deserialize, Serialize};

use super::claims::Claim;
use super::e_certificates::{ECertificateItem, ECertificateKind};
use super::from_hex;
use super::verification::{self, ValidatedCode};
use crate::columns::{ms_column_before, to_hex, to_ms_column};
use crate::messages::{PlatformReply, PlatformRequest, PlatformResponse};
use crate::platform::RequestContext;
use crate::registry::{self, RegisteredSigner};
use crate::request_error::RequestError;

/// Largest difference between `X-Time` and the platform's clock; prevents replays of old requests.
const CLOCK_SKEW_MAX_MS: u64 = 5 * 60 * 1000;
const MINUTE_MS: u64 = 60_000;
/// Retention of verification rows in milliseconds.
const AUDIT_RETENTION_MS: u64 = 180 * 24 * 60 * 60 * 1000;

/// A relying party (依赖方): an external system that may verify codes and request claims and e-certificates.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelyingParty {
    /// Id of the relying party, as in `X-Device`.
    pub id: KioskId,
    /// Public key that verifies its requests.
    pub key: PublicKey,
    /// Name shown to residents, as the place where their code was used.
    pub name: String,
    /// Purposes that it may state, in words for residents.
    pub purposes: BTreeSet<String>,
    /// Capability that a code must have, by its name in the issuing rules.
    pub capability: String,
    /// Most verifications in a minute.
    pub per_minute: u32,
    /// Whether it may also maintain the card-holder base, as a service desk of the card issuer.
    #[serde(default)]
    pub cards: bool,
    /// Claims that it may request about the holder of a code.
    #[serde(default)]
    pub facts: BTreeSet<Claim>,
    /// E-certificates, and their items, that it may request from the holder of a code.
    #[serde(default)]
    pub licences: BTreeMap<ECertificateKind, BTreeSet<ECertificateItem>>,
    /// Days for which a consent allows repeated requests; 0: the holder is asked each time.
    #[serde(default)]
    pub consent_days: u16,
}

impl RegisteredSigner for RelyingParty {
    fn public_key(&self) -> &PublicKey {
        &self.key
    }
}

/// Why the file of relying parties cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RelyingPartiesError {
    /// The file is not TOML with `[[client]]` tables.
    #[error(
        "cannot parse the file of relying parties; expected [[client]] tables with id, key, name, purposes, capability, per_minute"
    )]
    Syntax(#[source] Box<toml::de::Error>),
    /// Two entries have the same id.
    #[error("relying party {0} is registered twice")]
    DuplicateId(KioskId),
}

/// Parses the file of relying parties: `[[client]]` tables.
///
/// # Errors
/// [`RelyingPartiesError`], when the text is not TOML with these tables or an id occurs twice.
pub fn parse_relying_parties(text: &str) -> Result<Vec<RelyingParty>, RelyingPartiesError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct RelyingPartiesFile {
        #[serde(default)]
        client: Vec<RelyingParty>,
    }
    let file: RelyingPartiesFile =
        toml::from_str(text).map_err(|error| RelyingPartiesError::Syntax(Box::new(error)))?;
    let mut seen = BTreeSet::new();
    match file.client.iter().find(|party| !seen.insert(party.id)) {
        Some(twice) => Err(RelyingPartiesError::DuplicateId(twice.id)),
        None => Ok(file.client),
    }
}

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
    let relying_party = registry::verified_signer(&context.config.relying_parties, request)?;
    check_request_time(request, context.now)?;
    let body: VerifyRequest = crate::request_error::parse_body(&request.body)?;
    let id: [u8; 16] = from_hex(&body.request)
        .ok_or_else(|| crate::request_error::malformed_request("`request` is 32 hexadecimal digits"))?;
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
        verification::log_use(context, resident, &relying_party.name, &body.purpose)?;
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

/// Checks that `X-Time` of a relying party's request is near the platform's clock.
pub(crate) fn check_request_time(request: &PlatformRequest, now: UnixMs) -> Result<(), RequestError> {
    let time: u64 = request.time.as_deref().and_then(|time| time.parse().ok()).unwrap_or(0);
    if time.abs_diff(now.0) > CLOCK_SKEW_MAX_MS {
        return Err(crate::request_error::malformed_request(
            "X-Time differs from the platform's clock by more than five minutes",
        ));
    }
    Ok(())
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
        Some((earlier, _)) if earlier != *body_digest => Err(crate::request_error::malformed_request(
            "`request` was used with another body; draw a new one",
        )),
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

/// The relying parties by id.
pub(crate) fn relying_parties_by_id(relying_parties: Vec<RelyingParty>) -> BTreeMap<KioskId, RelyingParty> {
    relying_parties.into_iter().map(|party| (party.id, party)).collect()
}
