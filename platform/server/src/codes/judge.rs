//! Verification of codes (验码): finds the resident and capabilities of a code, and consumes it once.

use contract::{CodeHolder, Evidence, Problem, ProblemCode, UnixMs, sm3};
use resident_code::{
    Alias, Capabilities, Code, OfflineCode, OnlineToken, PaperCode, Presented, Refusal, UnixSeconds, Window,
};
use rusqlite::{OptionalExtension as _, params};

use crate::columns::ms;
use crate::fail::Fail;
use crate::marks;
use crate::platform::Turn;

/// Retention of used time steps of offline codes in milliseconds; no verifier accepts such a code for longer.
const MOMENT_MS: u64 = 24 * 60 * 60 * 1000;

/// A code that is valid now.
pub(crate) struct Judged {
    /// Row key of the holder.
    pub(crate) resident: i64,
    /// Evidence of a visit that is opened with this code.
    pub(crate) evidence: Evidence,
    capabilities: Capabilities,
}

impl Judged {
    /// Whether the code has a capability, by its name in the issuing rules.
    pub(super) fn may(&self, context: &Turn<'_>, capability: &str) -> bool {
        let rules = context.city.codes.as_ref().map(|authority| &authority.rules);
        let bit = rules.and_then(|rules| rules.capabilities.get(capability));
        bit.is_some_and(|bit| self.capabilities.0 & (1 << bit) != 0)
    }
}

/// Validates a code without consuming it.
pub(crate) fn look(context: &Turn<'_>, code: &Code) -> Result<Judged, Fail> {
    match code {
        Code::Online(token) => look_online(context, token),
        Code::Offline(code) => {
            let presented = presented(context, code)?;
            let resident = holder(context, presented.alias)?;
            let capabilities = presented.capabilities;
            Ok(Judged { resident, evidence: Evidence::OfflineCode, capabilities })
        }
        Code::Paper(code) => look_paper(context, code),
        Code::Answer(_) => Err(answers_are_none().into()),
    }
}

/// Consumes a code: an online token, or the time step of an offline code. A paper code is not consumed. `place`: the kiosk
/// or relying party; `consumer`: the place and, at a kiosk, the visit.
pub(crate) fn take(context: &Turn<'_>, code: &Code, place: &str, consumer: &str) -> Result<(), Fail> {
    let consumed = match code {
        Code::Online(token) => context.tx.execute(
            "UPDATE tokens SET used_by = ?1 WHERE hash = ?2 AND used_by IS NULL",
            params![consumer, sm3(&[&token.token()])],
        )?,
        Code::Offline(code) => {
            let Presented { alias, slot, .. } = presented(context, code)?;
            if !marks::ask(context.tx, place, CodeHolder::of(&alias.0), slot, context.now)? {
                return Err(ProblemCode::CodeUsed
                    .because("the code was already used at another place")
                    .into());
            }
            context.tx.execute("DELETE FROM code_moments WHERE until_ms < ?1", [ms(context.now)])?;
            context.tx.execute(
                "INSERT INTO code_moments (resident, alias, slot, used_by, until_ms) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (alias, slot) DO NOTHING",
                params![holder(context, alias)?, alias.0, slot, consumer, ms(context.now.plus_ms(MOMENT_MS))],
            )?
        }
        Code::Paper(_) => 1,
        Code::Answer(_) => return Err(answers_are_none().into()),
    };
    if consumed == 1 {
        Ok(())
    } else {
        Err(ProblemCode::CodeUsed.because("the code was already used").into())
    }
}

/// Logs where a resident's code was used, for the resident's list of uses.
pub(crate) fn note_use(
    context: &Turn<'_>,
    resident: i64,
    place: &str,
    purpose: &str,
) -> rusqlite::Result<()> {
    context.tx.execute(
        "INSERT INTO code_uses (resident, at_ms, place, purpose) VALUES (?1, ?2, ?3, ?4)",
        params![resident, ms(context.now), place, purpose],
    )?;
    Ok(())
}

/// Converts a refused code into the problem that the kiosk receives. The title names the failed check, for engineers.
pub(crate) fn refused(refusal: Refusal) -> Problem {
    let code = match refusal {
        Refusal::Expired | Refusal::Stale | Refusal::Early => ProblemCode::CodeExpired,
        Refusal::NotACode
        | Refusal::OtherCity
        | Refusal::Version(_)
        | Refusal::Encoding
        | Refusal::Mode(_)
        | Refusal::Length { .. }
        | Refusal::Key(_)
        | Refusal::Check
        | Refusal::Lifetime(_)
        | Refusal::IssuerSignature
        | Refusal::SessionKey
        | Refusal::SessionSignature => ProblemCode::CodeUnknown,
    };
    code.because(refusal.to_string())
}

fn look_online(context: &Turn<'_>, token: &OnlineToken) -> Result<Judged, Fail> {
    token.check(&context.city.format).map_err(refused)?;
    let known: Option<(i64, i64, bool)> = context
        .tx
        .query_row(
            "SELECT resident, expires_ms, used_by IS NOT NULL FROM tokens WHERE hash = ?1",
            [sm3(&[&token.token()])],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .optional()?;
    match known {
        None => Err(unknown().into()),
        Some((_, _, true)) => Err(ProblemCode::CodeUsed.because("the code was already used").into()),
        Some((_, expires, false)) if expires <= ms(context.now) => {
            Err(ProblemCode::CodeExpired.because("the code has expired").into())
        }
        Some((resident, _, false)) => {
            let rules = context.city.codes.as_ref().map(|authority| &authority.rules);
            let capabilities =
                rules.map_or(Capabilities(0), |rules| rules.bits(&rules.phone.page_capabilities));
            Ok(Judged { resident, evidence: Evidence::TokenConsumed, capabilities })
        }
    }
}

fn look_paper(context: &Turn<'_>, code: &PaperCode) -> Result<Judged, Fail> {
    let authority = context.city.codes.as_ref().ok_or_else(unknown)?;
    let skew = Window::default().ahead;
    let terms = code.verify(&authority.accepted(context.now), seconds(context.now), skew).map_err(refused)?;
    let resident = holder(context, terms.alias)?;
    Ok(Judged { resident, evidence: Evidence::PaperCode, capabilities: terms.capabilities })
}

fn presented(context: &Turn<'_>, code: &OfflineCode) -> Result<Presented, Fail> {
    let authority = context.city.codes.as_ref().ok_or_else(unknown)?;
    let issuers = authority.accepted(context.now);
    Ok(code.verify(&issuers, seconds(context.now), Window::default()).map_err(refused)?)
}

pub(super) fn holder(context: &Turn<'_>, alias: Alias) -> Result<i64, Fail> {
    let found: Option<(i64, bool)> = context
        .tx
        .query_row("SELECT resident, revoked FROM code_aliases WHERE alias = ?1", [alias.0], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    match found {
        None => Err(unknown().into()),
        Some((_, true)) => Err(ProblemCode::CodeRevoked.because("the code was revoked").into()),
        Some((resident, false)) => Ok(resident),
    }
}

/// Problem for an answer code, which is accepted only by the kiosk that showed its challenge.
fn answers_are_none() -> Problem {
    ProblemCode::CodeUnknown.because("the text is an answer code, not a resident code")
}

pub(super) fn unknown() -> Problem {
    ProblemCode::CodeUnknown.because("the code was not issued by this platform")
}

pub(super) fn seconds(now: UnixMs) -> UnixSeconds {
    UnixSeconds::try_from(now.0 / 1000).unwrap_or(UnixSeconds::MAX)
}
