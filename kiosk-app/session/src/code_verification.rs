//! Verification of resident codes (验码). The kiosk verifies signed codes itself, with a link and without one; an online
//! token can be judged only by the platform.

use contract::{CodeHolder, CodeRules, Entry, Evidence, USED_CODE_KEPT_MS, UnixMs, VisitId, sm3, to_hex};
use resident_code::{Code, TimeWindow, UnixSeconds};

use crate::clock::BACKWARD_STEP_MS_MAX;
use crate::components::{Components, Status};
use crate::refusal::{VisitRefusal, refusal_for_code};
use crate::transition::Turn;

/// A signed code that the kiosk verified itself.
#[derive(Clone, Copy)]
pub(crate) struct LocallyVerifiedCode {
    pub(crate) holder: CodeHolder,
    /// Time step in which the code was shown; none for a paper code.
    pub(crate) time_step: Option<u16>,
    pub(crate) evidence: Evidence,
    /// Until when the same holder and time step are refused.
    refused_until: UnixMs,
}

/// A code that was parsed and validated, and not yet consumed.
pub(crate) struct ParsedCode {
    text: String,
    code: Code,
    /// None: the platform must judge the code.
    pub(crate) verified: Option<LocallyVerifiedCode>,
}

/// A code that was consumed: its used-code record is stored and recorded.
pub(crate) struct AcceptedCode {
    pub(crate) visit: VisitId,
    pub(crate) text: String,
    /// None: the platform must judge the code.
    pub(crate) verified: Option<LocallyVerifiedCode>,
}

/// Rules and current time by which codes are judged.
pub(crate) struct CodePolicy<'a> {
    pub(crate) rules: &'a CodeRules,
    pub(crate) now: UnixMs,
}

impl CodePolicy<'_> {
    pub(crate) fn unix_seconds(&self) -> UnixSeconds {
        UnixSeconds::try_from(self.now.0 / 1000).unwrap_or(UnixSeconds::MAX)
    }

    pub(crate) fn window(&self) -> TimeWindow {
        TimeWindow { past_seconds: self.rules.past_s.into(), ahead_seconds: self.rules.ahead_s.into() }
    }
}

impl<'a> Status<'a> {
    /// Parses and validates a code. Does not consume it.
    pub(crate) fn validate_code(&self, code: &[u8]) -> Result<ParsedCode, VisitRefusal> {
        let text = std::str::from_utf8(code).map_err(|_| VisitRefusal::CodeNotRecognised)?.trim();
        let code = Code::parse(text).map_err(refusal_for_code)?;
        let verified = self.verify_code(&code)?;
        Ok(ParsedCode { text: text.to_owned(), code, verified })
    }

    /// Verifies a code on the kiosk; none when the platform must judge the code and is reachable.
    fn verify_code(&self, code: &Code) -> Result<Option<LocallyVerifiedCode>, VisitRefusal> {
        if matches!(code, Code::Answer(_)) {
            // An answer to an earlier challenge, which is no longer valid.
            return Err(VisitRefusal::CodeExpired);
        }
        // Only the platform can judge an online token. Without a link the token is not consumed.
        let policy = match (code, self.code_policy()) {
            (Code::Online(_), _) => {
                return if self.components.online { Ok(None) } else { Err(VisitRefusal::NoLink) };
            }
            (_, Ok(policy)) => policy,
            (_, Err(_)) if self.components.online => return Ok(None),
            (_, Err(refusal)) => return Err(refusal),
        };
        let (issuers, now) = (self.components.code_trust.issuers_in_force(policy.now), policy.unix_seconds());
        let window = policy.window();
        let verified = match code {
            Code::Offline(code) => code.verify(&issuers, now, window).map(|shown| LocallyVerifiedCode {
                holder: CodeHolder::from_alias(&shown.alias.0),
                time_step: Some(shown.time_step),
                evidence: Evidence::OfflineCode,
                refused_until: UnixMs(
                    u64::from(shown.shown_at.saturating_add(window.past_seconds)) * 1000
                        + BACKWARD_STEP_MS_MAX,
                ),
            }),
            Code::Paper(code) => {
                code.verify(&issuers, now, window.ahead_seconds).map(|terms| LocallyVerifiedCode {
                    holder: CodeHolder::from_alias(&terms.alias.0),
                    time_step: None,
                    evidence: Evidence::PaperCode,
                    refused_until: policy.now,
                })
            }
            Code::Online(_) | Code::Answer(_) => return Ok(None),
        };
        match verified {
            Ok(verified) if self.components.code_trust.is_holder_revoked(verified.holder) => {
                Err(VisitRefusal::CodeRevoked)
            }
            Ok(verified) => Ok(Some(verified)),
            // The platform may know an issuer key that this kiosk has not received yet.
            Err(resident_code::CodeRefusal::Key(_)) if self.components.online => Ok(None),
            Err(refusal) => Err(refusal_for_code(refusal)),
        }
    }

    /// The policy by which signed codes are judged, or why they cannot be judged.
    pub(crate) fn code_policy(&self) -> Result<CodePolicy<'a>, VisitRefusal> {
        let (rules, now) = self.rules_and_time()?;
        if self.components.code_trust.can_judge_codes(now) {
            Ok(CodePolicy { rules, now })
        } else {
            Err(VisitRefusal::CodeNeedsLink)
        }
    }
}

/// Consumes a code: records that it was accepted. That must precede any rise of a level.
pub(crate) fn consume_code(
    components: &Components,
    turn: &mut Turn<'_>,
    parsed: ParsedCode,
) -> Result<AcceptedCode, VisitRefusal> {
    let ParsedCode { text, code, verified } = parsed;
    let visit = VisitId::from_entropy(turn.next_u128());
    let now = components.status(turn).estimated_time();
    let is_unused = |key: &str| turn.durable().used_codes().is_unused(key, now);
    let entry = if let Some(LocallyVerifiedCode { holder, time_step, refused_until: until, .. }) = verified {
        if time_step.is_some_and(|step| !is_unused(&holder.used_code_key(step))) {
            return Err(VisitRefusal::CodeUsed);
        }
        Entry::CodeVerified { visit, holder, time_step, until, offline: !components.online }
    } else {
        let code_hash = used_code_key(&code);
        if !is_unused(&code_hash) {
            return Err(VisitRefusal::CodeUsed);
        }
        Entry::CodeUsed { visit, code_hash, until: Some(now.plus_ms(USED_CODE_KEPT_MS)) }
    };
    turn.record(entry);
    Ok(AcceptedCode { visit, text, verified })
}

/// Key of the used-code record of a code that only the platform can judge: SM3 of its bytes, in hexadecimal.
fn used_code_key(code: &Code) -> String {
    let hash = match code {
        Code::Online(token) => sm3(&[&token.to_bytes()]),
        Code::Offline(code) => sm3(&[&code.to_bytes()]),
        Code::Paper(code) => sm3(&[&code.to_bytes()]),
        Code::Answer(code) => sm3(&[&code.to_bytes()]),
    };
    to_hex(&hash)
}
