//! 闸口: verifies in a blink, all day, with a link and without one. No visit, no touch: one big sign, and back to
//! waiting by itself.

use std::collections::BTreeMap;

use contract::{
    Admitted, CardEvidence, CloseReason, Entry, Evidence, IdentifyRequest, Presented, UnixMs, VisitId,
};
use view::TextId;

use crate::begin::refusal_of;
use crate::closing::Refusal;
use crate::code::Seen;
use crate::effect::{Effect, Ticket, Work};
use crate::event::{Answer, Failure, Mono};
use crate::kiosk::{Kiosk, Turn};

/// Whoever was let through still holds the phone to the window for a moment: that is no second attempt.
const STILL_THERE_MS: u64 = 10_000;
/// A queue stands behind whoever is asked about: the platform gets this long.
const ANSWER_MS: u64 = 3_000;
/// Most people that are remembered; more than any gate lets through in its time.
const ADMITTED_MAX: usize = 4096;

/// What a gate knows.
#[derive(Default)]
pub(crate) struct Gate {
    pub(crate) sign: Option<Sign>,
    asking: Option<Asking>,
    /// 防折返: until when each is not let through again.
    admitted: BTreeMap<Admitted, UnixMs>,
    last: Option<(Admitted, Mono)>,
    /// Verdicts since the start. The second of two that look the same is a verdict, too.
    pub(crate) verdicts: u64,
}

/// The verdict that is shown.
pub(crate) struct Sign {
    pub(crate) verdict: Verdict,
    until: Mono,
}

/// A verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Go,
    Stop(TextId),
}

/// The platform is being asked who this is.
struct Asking {
    visit: VisitId,
    ticket: Ticket,
    deadline: Mono,
    /// A record names it, so its end must be recorded too.
    recorded: bool,
}

impl Gate {
    pub(crate) fn recovered(admitted: Vec<(Admitted, UnixMs)>) -> Self {
        Self { admitted: admitted.into_iter().collect(), ..Self::default() }
    }

    /// A card is being read or the platform is being asked.
    pub(crate) const fn waits(&self) -> bool {
        self.asking.is_some()
    }

    pub(crate) fn next_deadline(&self) -> Option<Mono> {
        let sign = self.sign.as_ref().map(|sign| sign.until);
        [sign, self.asking.as_ref().map(|asking| asking.deadline)].into_iter().flatten().min()
    }
}

impl Kiosk {
    /// A code before a gate.
    pub(crate) fn gate_code(&mut self, turn: &mut Turn, code: &[u8]) {
        if self.gate.asking.is_some() {
            return;
        }
        let seen = self.look(code);
        if seen.as_ref().is_ok_and(|seen| self.still_there(seen)) {
            return;
        }
        let accepted = match seen.and_then(|seen| self.take(turn, seen)) {
            Ok(accepted) => accepted,
            Err(refusal) => return self.stop(turn, refusal.words().0),
        };
        let visit = accepted.visit;
        match accepted.verified {
            Some(verified) => {
                self.admit(turn, visit, Admitted::Holder(verified.holder), verified.evidence);
                turn.out.record(Entry::VisitClosed { visit, reason: CloseReason::Exit });
            }
            None => self.ask(turn, visit, Presented::Code { text: accepted.text }, true),
        }
    }

    /// A card that was tapped or put in.
    pub(crate) fn gate_card(&mut self, turn: &mut Turn, evidence: CardEvidence) {
        if self.gate.asking.is_some() {
            return;
        }
        if self.online {
            let visit = VisitId::from_entropy(turn.draw.next());
            self.ask(turn, visit, Presented::Card(evidence), false);
        } else {
            // A card that was only read can be a copy; without the platform nobody says otherwise.
            self.stop(turn, TextId::GateCardOffline);
        }
    }

    pub(crate) fn gate_refused(&mut self, turn: &mut Turn, refusal: Refusal) {
        self.stop(turn, refusal.words().0);
    }

    fn ask(&mut self, turn: &mut Turn, visit: VisitId, presented: Presented, recorded: bool) {
        let (ticket, deadline) = self.start(turn, Work::Identify(IdentifyRequest { visit, presented }));
        let deadline = deadline.min(turn.now.mono.plus_ms(ANSWER_MS));
        self.gate.sign = None;
        self.gate.asking = Some(Asking { visit, ticket, deadline, recorded });
    }

    /// What the platform says. Its name for the person goes no further than this.
    pub(crate) fn gate_answer(&mut self, turn: &mut Turn, ticket: Ticket, answer: Result<Answer, Failure>) {
        if self.gate.asking.as_ref().is_none_or(|asking| asking.ticket != ticket) {
            return;
        }
        let Some(asking) = self.gate.asking.take() else { return };
        match answer {
            Ok(Answer::Identified(identified)) => {
                let (resident, evidence) = (identified.resident, identified.evidence);
                self.admit(turn, asking.visit, Admitted::Resident(resident), evidence);
            }
            Ok(Answer::Called(_) | Answer::Pin(_) | Answer::Evidence(_) | Answer::CardAuthority(_)) => {
                self.stop(turn, Refusal::Nonsense.words().0);
            }
            Err(failure) => self.stop(turn, refusal_of(failure).words().0),
        }
        if asking.recorded {
            turn.out.record(Entry::VisitClosed { visit: asking.visit, reason: CloseReason::Exit });
        }
    }

    fn admit(&mut self, turn: &mut Turn, visit: VisitId, who: Admitted, evidence: Evidence) {
        let Some(rules) = self.setup.gate else { return };
        let now = self.best_time();
        let admitted = &mut self.gate.admitted;
        admitted.retain(|_, until| *until > now);
        if admitted.contains_key(&who) || admitted.len() >= ADMITTED_MAX {
            return self.stop(turn, TextId::GatePassback);
        }
        let until = now.plus_ms(u64::from(rules.passback_s) * 1000);
        if rules.passback_s > 0 {
            admitted.insert(who, until);
        }
        turn.out.record(Entry::Admitted { visit, who, evidence, until, offline: !self.online });
        self.gate.last = Some((who, turn.now.mono));
        self.show_sign(turn, Verdict::Go);
    }

    /// The phone of whoever was just let through: it draws its code anew every few seconds.
    fn still_there(&self, seen: &Seen) -> bool {
        let (Some((last, at)), Some(verified)) = (self.gate.last, seen.verified) else { return false };
        last == Admitted::Holder(verified.holder) && self.now.mono.0.saturating_sub(at.0) < STILL_THERE_MS
    }

    fn stop(&mut self, turn: &Turn, word: TextId) {
        self.show_sign(turn, Verdict::Stop(word));
    }

    fn show_sign(&mut self, turn: &Turn, verdict: Verdict) {
        let shown = self.setup.gate.map_or(0, |gate| u64::from(gate.verdict_ms));
        self.gate.verdicts += 1;
        self.gate.sign = Some(Sign { verdict, until: turn.now.mono.plus_ms(shown) });
    }

    pub(crate) fn gate_tick(&mut self, turn: &mut Turn) {
        let now = turn.now.mono;
        if self.gate.sign.as_ref().is_some_and(|sign| sign.until <= now) {
            self.gate.sign = None;
        }
        if let Some(asking) = &self.gate.asking
            && asking.deadline <= now
        {
            let ticket = asking.ticket;
            turn.out.effect(Effect::Cancel(ticket));
            self.gate_answer(turn, ticket, Err(Failure::Unreachable));
        }
    }
}
