//! Verification of codes (验码): finds the resident and capabilities of a code, and consumes it once.

use contract::{Evidence, Problem, ProblemCode, UnixMs, sm3};
use resident_code::{
    Alias, Capabilities, Code, CodeRefusal, OfflineCode, OnlineToken, PaperCode, TimeWindow, UnixSeconds,
    VerifiedCode,
};
use rusqlite::OptionalExtension as _;

use super::online_tokens::consume_token;
use super::used_codes::{self, ShownTimeStep, TimeStepUse};
use crate::context::RequestContext;
use crate::request_error::RequestError;
use crate::store::columns::to_ms_column;

/// A code that is valid now.
pub(crate) struct ValidatedCode {
    /// Row key of the holder.
    pub(crate) resident: i64,
    /// Evidence of a visit that is opened with this code.
    pub(crate) evidence: Evidence,
    capabilities: Capabilities,
}

impl ValidatedCode {
    /// Whether the code has a capability, by its name in the issuing rules.
    pub(crate) fn allows(&self, context: &RequestContext<'_>, capability: &str) -> bool {
        let rules = context.config.code_authority.as_ref().map(|authority| &authority.rules);
        let bit = rules.and_then(|rules| rules.capabilities.get(capability));
        bit.is_some_and(|bit| self.capabilities.0 & (1 << bit) != 0)
    }
}

/// Validates a code without consuming it.
pub(crate) fn validate_code(
    context: &RequestContext<'_>,
    code: &Code,
) -> Result<ValidatedCode, RequestError> {
    match code {
        Code::Online(token) => validate_online(context, token),
        Code::Offline(code) => {
            let presented = verify_offline(context, code)?;
            let resident = resident_of_alias(context, presented.alias)?;
            let capabilities = presented.capabilities;
            Ok(ValidatedCode { resident, evidence: Evidence::OfflineCode, capabilities })
        }
        Code::Paper(code) => validate_paper(context, code),
        Code::Answer(_) => Err(answer_code_problem().into()),
    }
}

/// Consumes a code: an online token, or the time step of an offline code. A paper code is not consumed. `place`: the kiosk
/// or relying party; `consumer`: the place and, at a kiosk, the visit.
pub(crate) fn consume_code(
    context: &RequestContext<'_>,
    code: &Code,
    place: &str,
    consumer: &str,
) -> Result<(), RequestError> {
    let consumed = match code {
        Code::Online(token) => consume_token(context, token, consumer)?,
        Code::Offline(code) => {
            let VerifiedCode { alias, time_step, .. } = verify_offline(context, code)?;
            let shown = ShownTimeStep { resident: resident_of_alias(context, alias)?, alias, time_step };
            match used_codes::consume_time_step(context.tx, shown, place, consumer, context.now)? {
                TimeStepUse::First => true,
                TimeStepUse::Repeated => false,
                TimeStepUse::AtOtherPlace => {
                    return Err(ProblemCode::CodeUsed
                        .into_problem("the code was already used at another place")
                        .into());
                }
            }
        }
        Code::Paper(_) => true,
        Code::Answer(_) => return Err(answer_code_problem().into()),
    };
    if consumed {
        Ok(())
    } else {
        Err(ProblemCode::CodeUsed.into_problem("the code was already used").into())
    }
}

/// Converts a refused code into the problem that the kiosk receives. The title names the failed check, for engineers.
pub(crate) fn refusal_problem(refusal: CodeRefusal) -> Problem {
    let code = match refusal {
        CodeRefusal::Expired | CodeRefusal::Stale | CodeRefusal::Early => ProblemCode::CodeExpired,
        CodeRefusal::NotACode
        | CodeRefusal::OtherCity
        | CodeRefusal::Version(_)
        | CodeRefusal::Encoding
        | CodeRefusal::Mode(_)
        | CodeRefusal::Length { .. }
        | CodeRefusal::Key(_)
        | CodeRefusal::Check
        | CodeRefusal::Lifetime(_)
        | CodeRefusal::IssuerSignature
        | CodeRefusal::SessionKey
        | CodeRefusal::SessionSignature => ProblemCode::CodeUnknown,
    };
    code.into_problem(refusal.to_string())
}

fn validate_online(context: &RequestContext<'_>, token: &OnlineToken) -> Result<ValidatedCode, RequestError> {
    token.check(&context.config.format_key).map_err(refusal_problem)?;
    let known: Option<(i64, i64, bool)> = context
        .tx
        .query_row(
            "SELECT resident, expires_ms, used_by IS NOT NULL FROM tokens WHERE hash = ?1",
            [sm3(&[&token.token()])],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .optional()?;
    match known {
        None => Err(unknown_code_problem().into()),
        Some((_, _, true)) => Err(ProblemCode::CodeUsed.into_problem("the code was already used").into()),
        Some((_, expires, false)) if expires <= to_ms_column(context.now) => {
            Err(ProblemCode::CodeExpired.into_problem("the code has expired").into())
        }
        Some((resident, _, false)) => {
            let rules = context.config.code_authority.as_ref().map(|authority| &authority.rules);
            let capabilities =
                rules.map_or(Capabilities(0), |rules| rules.capability_bits(&rules.phone.page_capabilities));
            Ok(ValidatedCode { resident, evidence: Evidence::TokenConsumed, capabilities })
        }
    }
}

fn validate_paper(context: &RequestContext<'_>, code: &PaperCode) -> Result<ValidatedCode, RequestError> {
    let authority = context.config.code_authority.as_ref().ok_or_else(unknown_code_problem)?;
    let skew = TimeWindow::default().ahead_seconds;
    let terms = code
        .verify(&authority.accepted_issuers(context.now), to_unix_seconds(context.now), skew)
        .map_err(refusal_problem)?;
    let resident = resident_of_alias(context, terms.alias)?;
    Ok(ValidatedCode { resident, evidence: Evidence::PaperCode, capabilities: terms.capabilities })
}

fn verify_offline(context: &RequestContext<'_>, code: &OfflineCode) -> Result<VerifiedCode, RequestError> {
    let authority = context.config.code_authority.as_ref().ok_or_else(unknown_code_problem)?;
    let issuers = authority.accepted_issuers(context.now);
    Ok(code.verify(&issuers, to_unix_seconds(context.now), TimeWindow::default()).map_err(refusal_problem)?)
}

pub(crate) fn resident_of_alias(context: &RequestContext<'_>, alias: Alias) -> Result<i64, RequestError> {
    let found: Option<(i64, bool)> = context
        .tx
        .query_row("SELECT resident, revoked FROM code_aliases WHERE alias = ?1", [alias.0], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    match found {
        None => Err(unknown_code_problem().into()),
        Some((_, true)) => Err(ProblemCode::CodeRevoked.into_problem("the code was revoked").into()),
        Some((resident, false)) => Ok(resident),
    }
}

/// Problem for an answer code, which is accepted only by the kiosk that showed its challenge.
fn answer_code_problem() -> Problem {
    ProblemCode::CodeUnknown.into_problem("the text is an answer code, not a resident code")
}

pub(crate) fn unknown_code_problem() -> Problem {
    ProblemCode::CodeUnknown.into_problem("the code was not issued by this platform")
}

pub(crate) fn to_unix_seconds(now: UnixMs) -> UnixSeconds {
    UnixSeconds::try_from(now.0 / 1000).unwrap_or(UnixSeconds::MAX)
}
