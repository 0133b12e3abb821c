//! Verification of resident codes (验码). The kiosk verifies signed codes itself, with a link and without one; an online
//! token can be judged only by the platform.

use contract::{CodeHolder, CodeRules, Entry, Evidence, Presented, Pseudonym, UnixMs, VisitId, Way, sm3};
use resident_code::{Code, UnixSeconds, Window};

use crate::clock::{BACKWARDS_MS, Doubt};
use crate::closing::{Closing, LastWords, Refusal};
use crate::kiosk::{Kiosk, MARK_LIFE_MS, Turn};
use crate::visit::{Person, Task};

/// A signed code that the kiosk verified itself.
#[derive(Clone, Copy)]
pub(crate) struct Verified {
    pub(crate) holder: CodeHolder,
    /// Time step in which the code was shown; none for a paper code.
    pub(crate) slot: Option<u16>,
    pub(crate) evidence: Evidence,
    /// Until when the same holder and time step are refused.
    until: UnixMs,
}

/// A code that was parsed and validated, and not yet consumed.
pub(crate) struct Seen {
    text: String,
    code: Code,
    /// None: the platform must judge the code.
    pub(crate) verified: Option<Verified>,
}

/// A code that was consumed: its used-code record is stored and recorded.
pub(crate) struct Accepted {
    pub(crate) visit: VisitId,
    pub(crate) text: String,
    /// None: the platform must judge the code.
    pub(crate) verified: Option<Verified>,
}

/// Rules and current time by which codes are judged.
pub(crate) struct Judge<'a> {
    pub(crate) rules: &'a CodeRules,
    pub(crate) now: UnixMs,
}

impl Judge<'_> {
    pub(crate) fn seconds(&self) -> UnixSeconds {
        UnixSeconds::try_from(self.now.0 / 1000).unwrap_or(UnixSeconds::MAX)
    }

    pub(crate) fn window(&self) -> Window {
        Window { past: self.rules.past_s.into(), ahead: self.rules.ahead_s.into() }
    }
}

impl Kiosk {
    /// Handles a scanned code. A code is accepted only without a visit and without a card in the slot, or as the answer
    /// to a challenge; otherwise it is ignored.
    pub(crate) fn on_code(&mut self, builder: &mut Turn, code: &[u8]) {
        if self.setup.gate.is_some() {
            return self.gate_code(builder, code);
        }
        if self.proving().is_some() {
            return self.on_proof(builder, code);
        }
        if self.visit.is_some() || self.devices.card_in {
            return;
        }
        self.closing = None;
        self.lobby.hint = None;
        match self.look(code).and_then(|parsed| self.take(builder, parsed)) {
            Ok(accepted) => self.begin_by_code(builder, accepted),
            Err(refusal) => self.refuse_code(builder, refusal),
        }
    }

    /// Parses and validates a code. Does not consume it.
    pub(crate) fn look(&self, code: &[u8]) -> Result<Seen, Refusal> {
        let text = std::str::from_utf8(code).map_err(|_| Refusal::CodeForeign)?.trim();
        let code = Code::parse(text).map_err(refusal_of_code)?;
        let verified = self.verify(&code)?;
        Ok(Seen { text: text.to_owned(), code, verified })
    }

    /// Consumes a code: stores its used-code record and records the acceptance. Both must precede any rise of a level.
    pub(crate) fn take(&mut self, builder: &mut Turn, parsed: Seen) -> Result<Accepted, Refusal> {
        let Seen { text, code, verified } = parsed;
        let visit = VisitId::from_entropy(builder.draw.next());
        let entry = if let Some(Verified { holder, slot, until, .. }) = verified {
            if slot.is_some_and(|slot| !self.mark(&holder.mark(slot), until)) {
                return Err(Refusal::CodeUsed);
            }
            Entry::CodeVerified { visit, holder, slot, until, offline: !self.online }
        } else {
            let mark = mark_of(&code);
            if !self.mark(&mark, self.best_time().plus_ms(MARK_LIFE_MS)) {
                return Err(Refusal::CodeUsed);
            }
            Entry::CodeAccepted { visit, mark }
        };
        builder.out.record(entry);
        Ok(Accepted { visit, text, verified })
    }

    /// Verifies a code on the kiosk; none when the platform must judge the code and is reachable.
    fn verify(&self, code: &Code) -> Result<Option<Verified>, Refusal> {
        if matches!(code, Code::Answer(_)) {
            // An answer to an earlier challenge, which is no longer valid.
            return Err(Refusal::CodeExpired);
        }
        // Only the platform can judge an online token. Without a link the token is not consumed.
        let policy = match (code, self.judge()) {
            (Code::Online(_), _) => return if self.online { Ok(None) } else { Err(Refusal::NoLink) },
            (_, Ok(policy)) => policy,
            (_, Err(_)) if self.online => return Ok(None),
            (_, Err(refusal)) => return Err(refusal),
        };
        let (issuers, now) = (self.codes.issuers(policy.now), policy.seconds());
        let window = policy.window();
        let verified = match code {
            Code::Offline(code) => code.verify(&issuers, now, window).map(|shown| Verified {
                holder: CodeHolder::of(&shown.alias.0),
                slot: Some(shown.slot),
                evidence: Evidence::OfflineCode,
                until: UnixMs(u64::from(shown.shown_at.saturating_add(window.past)) * 1000 + BACKWARDS_MS),
            }),
            Code::Paper(code) => code.verify(&issuers, now, window.ahead).map(|terms| Verified {
                holder: CodeHolder::of(&terms.alias.0),
                slot: None,
                evidence: Evidence::PaperCode,
                until: policy.now,
            }),
            Code::Online(_) | Code::Answer(_) => return Ok(None),
        };
        match verified {
            Ok(verified) if self.codes.is_revoked(verified.holder) => Err(Refusal::CodeRevoked),
            Ok(verified) => Ok(Some(verified)),
            // The platform may know an issuer key that this kiosk has not received yet.
            Err(resident_code::Refusal::Key(_)) if self.online => Ok(None),
            Err(refusal) => Err(refusal_of_code(refusal)),
        }
    }

    /// The policy by which signed codes are judged, or why they cannot be judged.
    pub(crate) fn judge(&self) -> Result<Judge<'_>, Refusal> {
        let (rules, now) = self.judging_time()?;
        if self.codes.holds(now) { Ok(Judge { rules, now }) } else { Err(Refusal::CodeNeedsLink) }
    }

    /// The rules and the trusted time by which codes and cards are judged, or why the kiosk cannot judge any.
    pub(crate) fn judging_time(&self) -> Result<(&CodeRules, UnixMs), Refusal> {
        let rules = self.setup.codes.as_ref().ok_or(Refusal::CodeNeedsLink)?;
        let limit = u64::from(rules.unsynced_hours) * 3_600_000;
        let now = self.clock.now(self.now, limit).map_err(|doubt| match doubt {
            Doubt::Unsynced | Doubt::Behind => Refusal::ClockDoubt,
        })?;
        Ok((rules, now))
    }

    fn begin_by_code(&mut self, builder: &mut Turn, accepted: Accepted) {
        let deadline = builder.now.mono;
        let mut visit =
            self.open_visit(accepted.visit, Way::Code, Task::Reading { authority: None, deadline });
        visit.recorded = true;
        visit.code = accepted.verified;
        self.visit = Some(visit);
        if self.online {
            self.identify(builder, Presented::Code { text: accepted.text });
        } else {
            self.recognise(builder);
        }
    }

    /// Identifies the holder of a code that the kiosk verified, without the platform: no name, level 1.
    /// False when the visit has no such code.
    pub(crate) fn recognise(&mut self, builder: &mut Turn) -> bool {
        let Some(visit) = &mut self.visit else { return false };
        let Some(Verified { holder, evidence, .. }) = visit.code else { return false };
        let (resident, level) = (Pseudonym::of_holder(holder), evidence.most());
        builder.out.record(Entry::Identified { visit: visit.id, resident, way: visit.way, evidence, level });
        let (name, id_number) = (String::new().into(), String::new().into());
        visit.person = Some(Person { name, id_number, key: None, resident, evidence, level });
        visit.task = Task::Menu { declined: false };
        true
    }

    fn refuse_code(&mut self, builder: &mut Turn, refusal: Refusal) {
        let until = Some(builder.now.mono.plus_ms(self.setup.times.notice_ms));
        let (lang, theme) = (self.lobby.lang, self.lobby.theme);
        self.closing = Some(Closing { words: LastWords::Refused(refusal), lang, theme, until });
    }
}

/// Key of the used-code record of a code that only the platform can judge: SM3 of its bytes, in hexadecimal.
fn mark_of(code: &Code) -> String {
    let hash = match code {
        Code::Online(token) => sm3(&[&token.to_bytes()]),
        Code::Offline(code) => sm3(&[&code.to_bytes()]),
        Code::Paper(code) => sm3(&[&code.to_bytes()]),
        Code::Answer(code) => sm3(&[&code.to_bytes()]),
    };
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) const fn refusal_of_code(refusal: resident_code::Refusal) -> Refusal {
    match refusal {
        resident_code::Refusal::NotACode => Refusal::CodeForeign,
        resident_code::Refusal::OtherCity => Refusal::CodeOtherCity,
        resident_code::Refusal::Version(_)
        | resident_code::Refusal::Encoding
        | resident_code::Refusal::Mode(_)
        | resident_code::Refusal::Length { .. }
        | resident_code::Refusal::Check => Refusal::CodeDamaged,
        resident_code::Refusal::Early => Refusal::CodeEarly,
        resident_code::Refusal::Stale => Refusal::CodeStale,
        resident_code::Refusal::Expired => Refusal::CodeExpired,
        resident_code::Refusal::Key(_)
        | resident_code::Refusal::Lifetime(_)
        | resident_code::Refusal::IssuerSignature
        | resident_code::Refusal::SessionKey
        | resident_code::Refusal::SessionSignature => Refusal::CodeUnknown,
    }
}
