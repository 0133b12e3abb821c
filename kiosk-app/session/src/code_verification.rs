//! Verification of resident codes (验码). The kiosk verifies signed codes itself, with a link and without one; an online
//! token can be judged only by the platform.

use contract::{
    CodeHolder, CodeRules, Entry, Evidence, IdentificationMethod, PresentedCredential, Pseudonym,
    USED_CODE_KEPT_MS, UnixMs, VisitId, sm3, to_hex,
};
use resident_code::{Code, TimeWindow, UnixSeconds};

use crate::kiosk::{Kiosk, TransitionBuilder};
use crate::notice::{Notice, NoticeKind, VisitRefusal};
use crate::platform_clock::{BACKWARD_STEP_MS_MAX, UntrustedClock};
use crate::visit::{IdentifiedResident, Task};

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

impl Kiosk {
    /// Handles a scanned code. A code is accepted only without a visit and without a card in the slot, or as the answer
    /// to a challenge; otherwise it is ignored.
    pub(crate) fn on_code(&mut self, builder: &mut TransitionBuilder, code: &[u8]) {
        if self.setup.gate_rules.is_some() {
            return self.on_gate_code(builder, code);
        }
        if self.step_up().is_some() {
            return self.on_answer_code(builder, code);
        }
        if self.visit.is_some() || self.devices.card_inserted {
            return;
        }
        self.notice = None;
        self.idle_screen.code_hint = None;
        match self.validate_code(code).and_then(|parsed| self.consume_code(builder, parsed)) {
            Ok(accepted) => self.begin_visit_by_code(builder, accepted),
            Err(refusal) => self.show_code_refusal(builder, refusal),
        }
    }

    /// Parses and validates a code. Does not consume it.
    pub(crate) fn validate_code(&self, code: &[u8]) -> Result<ParsedCode, VisitRefusal> {
        let text = std::str::from_utf8(code).map_err(|_| VisitRefusal::CodeNotRecognised)?.trim();
        let code = Code::parse(text).map_err(refusal_for_code)?;
        let verified = self.verify_code(&code)?;
        Ok(ParsedCode { text: text.to_owned(), code, verified })
    }

    /// Consumes a code: stores its used-code record and records the acceptance. Both must precede any rise of a level.
    pub(crate) fn consume_code(
        &mut self,
        builder: &mut TransitionBuilder,
        parsed: ParsedCode,
    ) -> Result<AcceptedCode, VisitRefusal> {
        let ParsedCode { text, code, verified } = parsed;
        let visit = VisitId::from_entropy(builder.entropy.next_u128());
        let entry =
            if let Some(LocallyVerifiedCode { holder, time_step: slot, refused_until: until, .. }) = verified
            {
                if slot.is_some_and(|slot| !self.is_unused(&holder.used_code_key(slot))) {
                    return Err(VisitRefusal::CodeUsed);
                }
                Entry::CodeVerified { visit, holder, time_step: slot, until, offline: !self.online }
            } else {
                let mark = used_code_key(&code);
                if !self.is_unused(&mark) {
                    return Err(VisitRefusal::CodeUsed);
                }
                let until = self.estimated_time().plus_ms(USED_CODE_KEPT_MS);
                Entry::CodeUsed { visit, code_hash: mark, until: Some(until) }
            };
        builder.record(&mut self.durable, entry);
        Ok(AcceptedCode { visit, text, verified })
    }

    /// Verifies a code on the kiosk; none when the platform must judge the code and is reachable.
    fn verify_code(&self, code: &Code) -> Result<Option<LocallyVerifiedCode>, VisitRefusal> {
        if matches!(code, Code::Answer(_)) {
            // An answer to an earlier challenge, which is no longer valid.
            return Err(VisitRefusal::CodeExpired);
        }
        // Only the platform can judge an online token. Without a link the token is not consumed.
        let policy = match (code, self.code_policy()) {
            (Code::Online(_), _) => return if self.online { Ok(None) } else { Err(VisitRefusal::NoLink) },
            (_, Ok(policy)) => policy,
            (_, Err(_)) if self.online => return Ok(None),
            (_, Err(refusal)) => return Err(refusal),
        };
        let (issuers, now) = (self.code_trust.issuers_in_force(policy.now), policy.unix_seconds());
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
            Ok(verified) if self.code_trust.is_holder_revoked(verified.holder) => {
                Err(VisitRefusal::CodeRevoked)
            }
            Ok(verified) => Ok(Some(verified)),
            // The platform may know an issuer key that this kiosk has not received yet.
            Err(resident_code::CodeRefusal::Key(_)) if self.online => Ok(None),
            Err(refusal) => Err(refusal_for_code(refusal)),
        }
    }

    /// The policy by which signed codes are judged, or why they cannot be judged.
    pub(crate) fn code_policy(&self) -> Result<CodePolicy<'_>, VisitRefusal> {
        let (rules, now) = self.rules_and_time()?;
        if self.code_trust.can_judge_codes(now) {
            Ok(CodePolicy { rules, now })
        } else {
            Err(VisitRefusal::CodeNeedsLink)
        }
    }

    /// The rules and the trusted time by which codes and cards are judged, or why the kiosk cannot judge any.
    pub(crate) fn rules_and_time(&self) -> Result<(&CodeRules, UnixMs), VisitRefusal> {
        let rules = self.setup.code_rules.as_ref().ok_or(VisitRefusal::CodeNeedsLink)?;
        let limit = u64::from(rules.unsynced_hours) * 3_600_000;
        let now = self.clock.trusted_now(&self.durable, self.now, limit).map_err(|doubt| match doubt {
            UntrustedClock::Unsynchronised | UntrustedClock::WentBack => VisitRefusal::ClockUntrusted,
        })?;
        Ok((rules, now))
    }

    fn begin_visit_by_code(&mut self, builder: &mut TransitionBuilder, accepted: AcceptedCode) {
        let deadline = builder.now.mono;
        let mut visit = self.new_visit(
            accepted.visit,
            IdentificationMethod::Code,
            Task::Reading { authority_ticket: None, deadline },
        );
        visit.recorded = true;
        visit.verified_code = accepted.verified;
        self.visit = Some(visit);
        if self.online {
            self.identify(builder, PresentedCredential::Code { text: accepted.text });
        } else {
            self.identify_offline(builder);
        }
    }

    /// Identifies the holder of a code that the kiosk verified, without the platform: no name, level 1.
    /// False when the visit has no such code.
    pub(crate) fn identify_offline(&mut self, builder: &mut TransitionBuilder) -> bool {
        let Some(visit) = &self.visit else { return false };
        let Some(LocallyVerifiedCode { holder, evidence, .. }) = visit.verified_code else { return false };
        let resident = IdentifiedResident {
            name: String::new().into(),
            id_number: String::new().into(),
            visit_key: None,
            pseudonym: Pseudonym::from_holder(holder),
            evidence,
            level: evidence.max_level(),
        };
        self.set_resident(builder, resident);
        true
    }

    fn show_code_refusal(&mut self, builder: &mut TransitionBuilder, refusal: VisitRefusal) {
        let until = Some(builder.now.mono.plus_ms(self.setup.time_limits.short_notice_ms));
        let (lang, theme) = (self.idle_screen.lang, self.idle_screen.theme);
        self.notice = Some(Notice { kind: NoticeKind::Refused(refusal), lang, theme, until });
    }
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

pub(crate) const fn refusal_for_code(refusal: resident_code::CodeRefusal) -> VisitRefusal {
    match refusal {
        resident_code::CodeRefusal::NotACode => VisitRefusal::CodeNotRecognised,
        resident_code::CodeRefusal::OtherCity => VisitRefusal::CodeOtherCity,
        resident_code::CodeRefusal::Version(_)
        | resident_code::CodeRefusal::Encoding
        | resident_code::CodeRefusal::Mode(_)
        | resident_code::CodeRefusal::Length { .. }
        | resident_code::CodeRefusal::Check => VisitRefusal::CodeDamaged,
        resident_code::CodeRefusal::Early => VisitRefusal::CodeEarly,
        resident_code::CodeRefusal::Stale => VisitRefusal::CodeStale,
        resident_code::CodeRefusal::Expired => VisitRefusal::CodeExpired,
        resident_code::CodeRefusal::Key(_)
        | resident_code::CodeRefusal::Lifetime(_)
        | resident_code::CodeRefusal::IssuerSignature
        | resident_code::CodeRefusal::SessionKey
        | resident_code::CodeRefusal::SessionSignature => VisitRefusal::CodeUnknown,
    }
}
