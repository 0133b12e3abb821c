//! Gate mode: verifies codes and cards of people passing through, with a link and without one. No visit and no touch:
//! one large sign shows the verdict and clears automatically.

use contract::{
    ADMISSIONS_MAX, AdmissionSubject, CardAuthRequest, CardChallenge, CardEvidence, CardName, CloseReason,
    Entry, Evidence, IdentifyRequest, PresentedCredential, ProblemCode, VisitId,
};
use view::TextId;

use crate::code_verification::ParsedCode;
use crate::effect::{Effect, Ticket, Work};
use crate::event::{Failure, MonotonicMs, WorkAnswer};
use crate::identification::{limit_to_observed, refusal_for_failure};
use crate::kiosk::{Kiosk, TransitionBuilder};
use crate::notice::VisitRefusal;

/// Within this time, a code of the resident who was just admitted is ignored: the phone is still in front of the
/// reader.
const REPEAT_IGNORED_MS: u64 = 10_000;
/// Limit of the wait for the platform's answer, since a queue waits at the gate.
const GATE_ANSWER_MS_MAX: u64 = 3_000;

/// State of a gate (闸口).
#[derive(Default)]
pub(crate) struct Gate {
    pub(crate) sign: Option<ShownVerdict>,
    pending: Option<PendingRequest>,
    last_admitted: Option<(AdmissionSubject, MonotonicMs)>,
    /// Count of verdicts since the start, so that two equal verdicts in a row are distinct views.
    pub(crate) verdicts: u64,
}

/// The sign on the screen: a verdict and when it clears.
pub(crate) struct ShownVerdict {
    pub(crate) verdict: GateVerdict,
    until: MonotonicMs,
}

/// Verdict of a gate on one code or card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GateVerdict {
    Go,
    Stop(TextId),
}

/// A pending request to the platform.
struct PendingRequest {
    visit: VisitId,
    ticket: Ticket,
    deadline: MonotonicMs,
    subject: RequestSubject,
}

/// What the pending request asks.
#[derive(Clone, Copy)]
enum RequestSubject {
    /// Who the holder of this code is. A record names the visit, so its end must be recorded too.
    Code,
    /// Who the holder of this card is.
    Card {
        card: Option<CardName>,
        /// The card was authenticated.
        authenticated: bool,
    },
    /// To authenticate the card, which waits in its reader.
    CardAuthentication,
}

impl Gate {
    /// True while a request to the platform is pending.
    pub(crate) const fn is_waiting(&self) -> bool {
        self.pending.is_some()
    }

    pub(crate) fn next_deadline(&self) -> Option<MonotonicMs> {
        let sign = self.sign.as_ref().map(|sign| sign.until);
        [sign, self.pending.as_ref().map(|pending| pending.deadline)].into_iter().flatten().min()
    }
}

impl Kiosk {
    /// Handles a code that was scanned at a gate.
    pub(crate) fn on_gate_code(&mut self, builder: &mut TransitionBuilder, code: &[u8]) {
        if self.gate.pending.is_some() {
            return;
        }
        let parsed = self.validate_code(code);
        if parsed.as_ref().is_ok_and(|parsed| self.is_repeat_of_last_admitted(parsed)) {
            return;
        }
        let accepted = match parsed.and_then(|parsed| self.consume_code(builder, parsed)) {
            Ok(accepted) => accepted,
            Err(refusal) => return self.show_stop_sign(builder, refusal.texts().0),
        };
        let visit = accepted.visit;
        match accepted.verified {
            Some(verified) => {
                self.admit(
                    builder,
                    visit,
                    AdmissionSubject::Holder(verified.holder),
                    None,
                    verified.evidence,
                );
                builder.record(&mut self.durable, Entry::VisitClosed { visit, reason: CloseReason::Exit });
            }
            None => self.request_identification(
                builder,
                visit,
                PresentedCredential::Code { text: accepted.text },
                RequestSubject::Code,
            ),
        }
    }

    /// Handles a card that needs authentication and has no PSAM to do it: the platform is asked.
    pub(crate) fn authenticate_gate_card(&mut self, builder: &mut TransitionBuilder, card: CardChallenge) {
        if self.gate.pending.is_some() {
            return;
        }
        if self.online {
            let visit = VisitId::from_entropy(builder.entropy.next_u128());
            let work = Work::RequestCardAuthentication(CardAuthRequest { visit, card });
            self.start_gate_request(builder, visit, work, RequestSubject::CardAuthentication);
        } else {
            self.start_work(builder, Work::AuthenticateCard(None));
        }
    }

    /// Handles a card that was tapped or inserted at a gate.
    pub(crate) fn on_gate_card_read(&mut self, builder: &mut TransitionBuilder, evidence: CardEvidence) {
        if self.gate.pending.is_some() {
            return;
        }
        let (card, authenticated) = (evidence.card_name(), evidence.authenticated);
        if self.online {
            let visit = VisitId::from_entropy(builder.entropy.next_u128());
            self.request_identification(
                builder,
                visit,
                PresentedCredential::Card(evidence),
                RequestSubject::Card { card, authenticated },
            );
        } else {
            self.admit_card_offline(builder, card, authenticated);
        }
    }

    /// Judges a card without the platform: its holder is admitted when the gate's own PSAM authenticated the card and
    /// the card is not revoked.
    fn admit_card_offline(
        &mut self,
        builder: &mut TransitionBuilder,
        card: Option<CardName>,
        authenticated: bool,
    ) {
        // A card that was only read can be a copy.
        let (Some(card), true) = (card, authenticated) else {
            return self.show_stop_sign(builder, TextId::GateCardOffline);
        };
        if !self.rules_and_time().is_ok_and(|(_, now)| self.code_trust.can_judge_cards(now)) {
            return self.show_stop_sign(builder, TextId::GateCardOffline);
        }
        if self.code_trust.is_card_revoked(card) {
            return self.show_stop_sign(builder, VisitRefusal::CardStopped.texts().0);
        }
        let visit = VisitId::from_entropy(builder.entropy.next_u128());
        self.admit(builder, visit, AdmissionSubject::Card(card), None, Evidence::CardAuthenticated);
    }

    pub(crate) fn refuse_at_gate(&mut self, builder: &mut TransitionBuilder, refusal: VisitRefusal) {
        self.show_stop_sign(builder, refusal.texts().0);
    }

    fn request_identification(
        &mut self,
        builder: &mut TransitionBuilder,
        visit: VisitId,
        presented: PresentedCredential,
        about: RequestSubject,
    ) {
        self.start_gate_request(builder, visit, Work::Identify(IdentifyRequest { visit, presented }), about);
    }

    fn start_gate_request(
        &mut self,
        builder: &mut TransitionBuilder,
        visit: VisitId,
        work: Work,
        about: RequestSubject,
    ) {
        let (ticket, deadline) = self.start_work(builder, work);
        let deadline = deadline.min(builder.now.mono.plus_ms(GATE_ANSWER_MS_MAX));
        self.gate.sign = None;
        self.gate.pending = Some(PendingRequest { visit, ticket, deadline, subject: about });
    }

    /// Handles the platform's answer to the pending request.
    pub(crate) fn on_gate_answer(
        &mut self,
        builder: &mut TransitionBuilder,
        ticket: Ticket,
        answer: Result<WorkAnswer, Failure>,
    ) {
        if self.gate.pending.as_ref().is_none_or(|pending| pending.ticket != ticket) {
            return;
        }
        let Some(PendingRequest { visit, subject: about, .. }) = self.gate.pending.take() else { return };
        match about {
            RequestSubject::CardAuthentication => self.on_gate_card_authority(builder, answer),
            RequestSubject::Card { card, authenticated } => {
                if let Err(Failure::Unreachable) = answer {
                    // The link was lost during the request.
                    return self.admit_card_offline(builder, card, authenticated);
                }
                self.on_gate_identified(
                    builder,
                    visit,
                    card.map(AdmissionSubject::Card),
                    authenticated,
                    answer,
                );
            }
            RequestSubject::Code => {
                self.on_gate_identified(builder, visit, None, false, answer);
                builder.record(&mut self.durable, Entry::VisitClosed { visit, reason: CloseReason::Exit });
            }
        }
    }

    /// Handles the platform's identification. The resident's name is dropped here.
    fn on_gate_identified(
        &mut self,
        builder: &mut TransitionBuilder,
        visit: VisitId,
        card: Option<AdmissionSubject>,
        authenticated: bool,
        answer: Result<WorkAnswer, Failure>,
    ) {
        match answer {
            Ok(WorkAnswer::Identified(identified)) => {
                let evidence = limit_to_observed(identified.evidence, authenticated);
                self.admit(builder, visit, AdmissionSubject::Resident(identified.resident), card, evidence);
            }
            Ok(
                WorkAnswer::CallAnswered(_)
                | WorkAnswer::Pin(_)
                | WorkAnswer::Evidence(_)
                | WorkAnswer::CardAuthority(_),
            ) => {
                self.show_stop_sign(builder, VisitRefusal::InvalidResponse.texts().0);
            }
            Err(failure) => self.show_stop_sign(builder, refusal_for_failure(failure).texts().0),
        }
    }

    /// Handles the platform's answer on card authentication. If the platform rejects this card, the gate shows stop. On
    /// any other failure, the card is read without authentication, and its holder is identified next.
    fn on_gate_card_authority(
        &mut self,
        builder: &mut TransitionBuilder,
        answer: Result<WorkAnswer, Failure>,
    ) {
        let authority = match answer {
            Ok(WorkAnswer::CardAuthority(answer)) => Some(answer),
            Err(Failure::Problem(
                code @ (ProblemCode::CardUnknown
                | ProblemCode::CardStopped
                | ProblemCode::CardMismatch
                | ProblemCode::ChallengeFailed),
            )) => return self.show_stop_sign(builder, refusal_for_failure(Failure::Problem(code)).texts().0),
            Ok(
                WorkAnswer::Identified(_)
                | WorkAnswer::CallAnswered(_)
                | WorkAnswer::Pin(_)
                | WorkAnswer::Evidence(_),
            )
            | Err(_) => None,
        };
        self.start_work(builder, Work::AuthenticateCard(authority));
    }

    /// Admits the holder unless already admitted. `also`: second name of the same holder, by which it is known without
    /// a link.
    fn admit(
        &mut self,
        builder: &mut TransitionBuilder,
        visit: VisitId,
        who: AdmissionSubject,
        also: Option<AdmissionSubject>,
        evidence: Evidence,
    ) {
        let Some(rules) = self.setup.gate_rules else { return };
        let now = self.estimated_time();
        // Anti-passback (防折返): who was just admitted is not admitted again.
        let mut admitted = self.durable.admitted.iter().filter(|(_, until)| *until > now);
        let is_known = admitted.clone().any(|(name, _)| *name == who || also == Some(*name));
        if is_known || admitted.nth(ADMISSIONS_MAX - 1).is_some() {
            return self.show_stop_sign(builder, TextId::GatePassback);
        }
        let until = now.plus_ms(u64::from(rules.passback_s) * 1000);
        let offline = !self.online;
        builder.record(&mut self.durable, Entry::Admitted { visit, who, also, evidence, until, offline });
        self.gate.last_admitted = Some((who, builder.now.mono));
        self.show_verdict(builder, GateVerdict::Go);
    }

    /// True for a code of the resident who was just admitted: the phone renews its code every few seconds.
    fn is_repeat_of_last_admitted(&self, parsed: &ParsedCode) -> bool {
        let (Some((last, at)), Some(verified)) = (self.gate.last_admitted, parsed.verified) else {
            return false;
        };
        last == AdmissionSubject::Holder(verified.holder)
            && self.now.mono.0.saturating_sub(at.0) < REPEAT_IGNORED_MS
    }

    fn show_stop_sign(&mut self, builder: &TransitionBuilder, word: TextId) {
        self.show_verdict(builder, GateVerdict::Stop(word));
    }

    fn show_verdict(&mut self, builder: &TransitionBuilder, verdict: GateVerdict) {
        let shown = self.setup.gate_rules.map_or(0, |gate| u64::from(gate.verdict_ms));
        self.gate.verdicts += 1;
        self.gate.sign = Some(ShownVerdict { verdict, until: builder.now.mono.plus_ms(shown) });
    }

    pub(crate) fn on_gate_tick(&mut self, builder: &mut TransitionBuilder) {
        let now = builder.now.mono;
        if self.gate.sign.as_ref().is_some_and(|sign| sign.until <= now) {
            self.gate.sign = None;
        }
        if let Some(pending) = &self.gate.pending
            && pending.deadline <= now
        {
            let ticket = pending.ticket;
            builder.transition.effect(Effect::CancelWork(ticket));
            self.on_gate_answer(builder, ticket, Err(Failure::Unreachable));
        }
    }
}
