//! Gate mode: verifies codes and cards of people passing through, with a link and without one. No visit and no touch:
//! one large sign shows the verdict and clears automatically.

use std::collections::BTreeMap;

use contract::{
    Admitted, CardAuthRequest, CardChallenge, CardEvidence, CardName, CloseReason, Entry, Evidence,
    IdentifyRequest, Presented, ProblemCode, UnixMs, VisitId,
};
use view::TextId;

use crate::begin::{as_seen, refusal_of};
use crate::closing::Refusal;
use crate::code::Seen;
use crate::effect::{Effect, Ticket, Work};
use crate::event::{Answer, Failure, Mono};
use crate::kiosk::{Kiosk, Turn};

/// Within this time, a code of the resident who was just admitted is ignored: the phone is still in front of the
/// reader.
const STILL_THERE_MS: u64 = 10_000;
/// Limit of the wait for the platform's answer, since a queue waits at the gate.
const ANSWER_MS: u64 = 3_000;
/// Limit of admissions kept; more than any gate admits within its anti-passback time.
const ADMITTED_MAX: usize = 4096;

/// State of a gate (闸口).
#[derive(Default)]
pub(crate) struct Gate {
    pub(crate) sign: Option<Sign>,
    asking: Option<Asking>,
    /// Anti-passback (防折返): until when each is not admitted again.
    admitted: BTreeMap<Admitted, UnixMs>,
    last: Option<(Admitted, Mono)>,
    /// Count of verdicts since the start, so that two equal verdicts in a row are distinct views.
    pub(crate) verdicts: u64,
}

/// The sign on the screen: a verdict and when it clears.
pub(crate) struct Sign {
    pub(crate) verdict: Verdict,
    until: Mono,
}

/// Verdict of a gate on one code or card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Go,
    Stop(TextId),
}

/// A pending request to the platform.
struct Asking {
    visit: VisitId,
    ticket: Ticket,
    deadline: Mono,
    about: About,
}

/// What the pending request asks.
#[derive(Clone, Copy)]
enum About {
    /// Who the holder of this code is. A record names the visit, so its end must be recorded too.
    Code,
    /// Who the holder of this card is.
    Card {
        card: Option<CardName>,
        /// The card was authenticated.
        authenticated: bool,
    },
    /// To authenticate the card, which waits in its reader.
    Authority,
}

impl Gate {
    pub(crate) fn recovered(admitted: Vec<(Admitted, UnixMs)>) -> Self {
        Self { admitted: admitted.into_iter().collect(), ..Self::default() }
    }

    /// True while a request to the platform is pending.
    pub(crate) const fn waits(&self) -> bool {
        self.asking.is_some()
    }

    pub(crate) fn next_deadline(&self) -> Option<Mono> {
        let sign = self.sign.as_ref().map(|sign| sign.until);
        [sign, self.asking.as_ref().map(|pending| pending.deadline)].into_iter().flatten().min()
    }
}

impl Kiosk {
    /// Handles a code that was scanned at a gate.
    pub(crate) fn gate_code(&mut self, builder: &mut Turn, code: &[u8]) {
        if self.gate.asking.is_some() {
            return;
        }
        let parsed = self.look(code);
        if parsed.as_ref().is_ok_and(|parsed| self.still_there(parsed)) {
            return;
        }
        let accepted = match parsed.and_then(|parsed| self.take(builder, parsed)) {
            Ok(accepted) => accepted,
            Err(refusal) => return self.stop(builder, refusal.words().0),
        };
        let visit = accepted.visit;
        match accepted.verified {
            Some(verified) => {
                self.admit(builder, visit, Admitted::Holder(verified.holder), None, verified.evidence);
                builder.out.record(Entry::VisitClosed { visit, reason: CloseReason::Exit });
            }
            None => self.ask(builder, visit, Presented::Code { text: accepted.text }, About::Code),
        }
    }

    /// Handles a card that needs authentication and has no PSAM to do it: the platform is asked.
    pub(crate) fn gate_authority(&mut self, builder: &mut Turn, card: CardChallenge) {
        if self.gate.asking.is_some() {
            return;
        }
        if self.online {
            let visit = VisitId::from_entropy(builder.draw.next());
            let work = Work::AskAuthority(CardAuthRequest { visit, card });
            self.ask_platform(builder, visit, work, About::Authority);
        } else {
            self.start(builder, Work::Authenticate(None));
        }
    }

    /// Handles a card that was tapped or inserted at a gate.
    pub(crate) fn gate_card(&mut self, builder: &mut Turn, evidence: CardEvidence) {
        if self.gate.asking.is_some() {
            return;
        }
        let (card, authenticated) = (evidence.card(), evidence.authenticated);
        if self.online {
            let visit = VisitId::from_entropy(builder.draw.next());
            self.ask(builder, visit, Presented::Card(evidence), About::Card { card, authenticated });
        } else {
            self.judge_card(builder, card, authenticated);
        }
    }

    /// Judges a card without the platform: its holder is admitted when the gate's own PSAM authenticated the card and
    /// the card is not revoked.
    fn judge_card(&mut self, builder: &mut Turn, card: Option<CardName>, authenticated: bool) {
        // A card that was only read can be a copy.
        let (Some(card), true) = (card, authenticated) else {
            return self.stop(builder, TextId::GateCardOffline);
        };
        if !self.judging_time().is_ok_and(|(_, now)| self.codes.holds_cards(now)) {
            return self.stop(builder, TextId::GateCardOffline);
        }
        if self.codes.is_stopped(card) {
            return self.stop(builder, Refusal::CardStopped.words().0);
        }
        let visit = VisitId::from_entropy(builder.draw.next());
        self.admit(builder, visit, Admitted::Card(card), None, Evidence::CardAuthenticated);
    }

    pub(crate) fn gate_refused(&mut self, builder: &mut Turn, refusal: Refusal) {
        self.stop(builder, refusal.words().0);
    }

    fn ask(&mut self, builder: &mut Turn, visit: VisitId, presented: Presented, about: About) {
        self.ask_platform(builder, visit, Work::Identify(IdentifyRequest { visit, presented }), about);
    }

    fn ask_platform(&mut self, builder: &mut Turn, visit: VisitId, work: Work, about: About) {
        let (ticket, deadline) = self.start(builder, work);
        let deadline = deadline.min(builder.now.mono.plus_ms(ANSWER_MS));
        self.gate.sign = None;
        self.gate.asking = Some(Asking { visit, ticket, deadline, about });
    }

    /// Handles the platform's answer to the pending request.
    pub(crate) fn gate_answer(
        &mut self,
        builder: &mut Turn,
        ticket: Ticket,
        answer: Result<Answer, Failure>,
    ) {
        if self.gate.asking.as_ref().is_none_or(|pending| pending.ticket != ticket) {
            return;
        }
        let Some(Asking { visit, about, .. }) = self.gate.asking.take() else { return };
        match about {
            About::Authority => self.gate_vouched(builder, answer),
            About::Card { card, authenticated } => {
                if let Err(Failure::Unreachable) = answer {
                    // The link was lost during the request.
                    return self.judge_card(builder, card, authenticated);
                }
                self.gate_named(builder, visit, card.map(Admitted::Card), authenticated, answer);
            }
            About::Code => {
                self.gate_named(builder, visit, None, false, answer);
                builder.out.record(Entry::VisitClosed { visit, reason: CloseReason::Exit });
            }
        }
    }

    /// Handles the platform's identification. The resident's name is dropped here.
    fn gate_named(
        &mut self,
        builder: &mut Turn,
        visit: VisitId,
        card: Option<Admitted>,
        authenticated: bool,
        answer: Result<Answer, Failure>,
    ) {
        match answer {
            Ok(Answer::Identified(identified)) => {
                let evidence = as_seen(identified.evidence, authenticated);
                self.admit(builder, visit, Admitted::Resident(identified.resident), card, evidence);
            }
            Ok(Answer::Called(_) | Answer::Pin(_) | Answer::Evidence(_) | Answer::CardAuthority(_)) => {
                self.stop(builder, Refusal::Nonsense.words().0);
            }
            Err(failure) => self.stop(builder, refusal_of(failure).words().0),
        }
    }

    /// Handles the platform's answer on card authentication. If the platform rejects this card, the gate shows stop. On
    /// any other failure, the card is read without authentication, and its holder is identified next.
    fn gate_vouched(&mut self, builder: &mut Turn, answer: Result<Answer, Failure>) {
        let vouched = match answer {
            Ok(Answer::CardAuthority(answer)) => Some(answer),
            Err(Failure::Problem(
                code @ (ProblemCode::CardUnknown
                | ProblemCode::CardStopped
                | ProblemCode::CardMismatch
                | ProblemCode::ChallengeFailed),
            )) => return self.stop(builder, refusal_of(Failure::Problem(code)).words().0),
            Ok(Answer::Identified(_) | Answer::Called(_) | Answer::Pin(_) | Answer::Evidence(_)) | Err(_) => {
                None
            }
        };
        self.start(builder, Work::Authenticate(vouched));
    }

    /// Admits the holder unless already admitted. `also`: second name of the same holder, by which it is known without
    /// a link.
    fn admit(
        &mut self,
        builder: &mut Turn,
        visit: VisitId,
        who: Admitted,
        also: Option<Admitted>,
        evidence: Evidence,
    ) {
        let Some(rules) = self.setup.gate else { return };
        let now = self.best_time();
        let admitted = &mut self.gate.admitted;
        admitted.retain(|_, until| *until > now);
        let names = [Some(who), also];
        let mut known = names.iter().flatten();
        if known.any(|name| admitted.contains_key(name)) || admitted.len() >= ADMITTED_MAX {
            return self.stop(builder, TextId::GatePassback);
        }
        let until = now.plus_ms(u64::from(rules.passback_s) * 1000);
        if rules.passback_s > 0 {
            admitted.extend(names.into_iter().flatten().map(|name| (name, until)));
        }
        builder.out.record(Entry::Admitted { visit, who, evidence, until, offline: !self.online });
        self.gate.last = Some((who, builder.now.mono));
        self.show_sign(builder, Verdict::Go);
    }

    /// True for a code of the resident who was just admitted: the phone renews its code every few seconds.
    fn still_there(&self, parsed: &Seen) -> bool {
        let (Some((last, at)), Some(verified)) = (self.gate.last, parsed.verified) else { return false };
        last == Admitted::Holder(verified.holder) && self.now.mono.0.saturating_sub(at.0) < STILL_THERE_MS
    }

    fn stop(&mut self, builder: &Turn, word: TextId) {
        self.show_sign(builder, Verdict::Stop(word));
    }

    fn show_sign(&mut self, builder: &Turn, verdict: Verdict) {
        let shown = self.setup.gate.map_or(0, |gate| u64::from(gate.verdict_ms));
        self.gate.verdicts += 1;
        self.gate.sign = Some(Sign { verdict, until: builder.now.mono.plus_ms(shown) });
    }

    pub(crate) fn gate_tick(&mut self, builder: &mut Turn) {
        let now = builder.now.mono;
        if self.gate.sign.as_ref().is_some_and(|sign| sign.until <= now) {
            self.gate.sign = None;
        }
        if let Some(pending) = &self.gate.asking
            && pending.deadline <= now
        {
            let ticket = pending.ticket;
            builder.out.effect(Effect::Cancel(ticket));
            self.gate_answer(builder, ticket, Err(Failure::Unreachable));
        }
    }
}
