//! Identification: a visit begins when a card or an ID card is read or a code is accepted, and the platform identifies
//! the resident.

use contract::{
    CardAuthRequest, CardChallenge, CardEvidence, CloseReason, Entry, Evidence, IdentifyRequest, Presented,
    ProblemCode, VisitId, Way,
};
use view::Lang;

use crate::closing::{Closing, LastWords, Refusal};
use crate::effect::{Ticket, Work};
use crate::event::{Answer, CardEvent, CardRefusal, CodeHint, Failure, IdCardEvent, IdCardRefusal};
use crate::kiosk::{Kiosk, Turn};
use crate::receipt::local;
use crate::visit::{Person, Task};

impl Kiosk {
    pub(crate) fn on_card(&mut self, builder: &mut Turn, event: CardEvent) {
        if self.setup.gate.is_some() {
            return self.on_gate_card(builder, event);
        }
        match event {
            CardEvent::Inserted => {
                self.devices.card_in = true;
                if self.visit.is_none() {
                    self.closing = None;
                    let deadline = builder.now.mono.plus_ms(self.setup.times.read_ms);
                    let id = VisitId::from_entropy(builder.draw.next());
                    self.visit =
                        Some(self.open_visit(id, Way::Card, Task::Reading { authority: None, deadline }));
                }
            }
            CardEvent::NeedsAuthority(card) => self.ask_authority(builder, card),
            CardEvent::Read { evidence, valid_to } => {
                self.on_card_read(builder, evidence, valid_to.as_deref())
            }
            CardEvent::Staff(proof) => self.on_staff_card(builder, &proof),
            CardEvent::Refused(refusal) => {
                if self.reading(Way::Card) {
                    self.refuse(builder, refusal_of_card(refusal));
                }
            }
            CardEvent::Removed => self.card_gone(builder),
        }
    }

    fn on_gate_card(&mut self, builder: &mut Turn, event: CardEvent) {
        match event {
            CardEvent::Read { evidence, valid_to } if self.in_date(builder, valid_to.as_deref()) => {
                self.gate_card(builder, evidence);
            }
            CardEvent::Read { .. } => self.gate_refused(builder, Refusal::CardExpired),
            CardEvent::Refused(refusal) => self.gate_refused(builder, refusal_of_card(refusal)),
            CardEvent::NeedsAuthority(card) => self.gate_authority(builder, card),
            // A gate has no staff view: staff use the kiosk beside it.
            CardEvent::Staff(_) => self.gate_refused(builder, Refusal::CardForeign),
            CardEvent::Inserted | CardEvent::Removed => {}
        }
    }

    fn in_date(&self, builder: &Turn, valid_to: Option<&str>) -> bool {
        let today = local(builder.now.wall, self.setup.utc_offset_minutes).strftime("%Y%m%d").to_string();
        valid_to.is_none_or(|last_day| last_day >= today.as_str())
    }

    fn on_card_read(&mut self, builder: &mut Turn, evidence: CardEvidence, valid_to: Option<&str>) {
        if !self.reading(Way::Card) {
            return;
        }
        if self.in_date(builder, valid_to) {
            if let Some(visit) = &mut self.visit {
                visit.authenticated = evidence.authenticated;
            }
            self.identify(builder, Presented::Card(evidence));
        } else {
            self.refuse(builder, Refusal::CardExpired);
        }
    }

    /// Requests the authentication of the card that is being read; reading waits for it.
    fn ask_authority(&mut self, builder: &mut Turn, card: CardChallenge) {
        let Some(visit) = self.visit.as_ref().filter(|visit| visit.way == Way::Card) else { return };
        if !matches!(visit.task, Task::Reading { authority: None, .. }) {
            return;
        }
        let request = CardAuthRequest { visit: visit.id, card };
        let (ticket, deadline) = self.start(builder, Work::AskAuthority(request));
        if let Some(visit) = &mut self.visit {
            visit.task = Task::Reading { authority: Some(ticket), deadline };
        }
    }

    /// Handles the platform's answer about the waiting card: the reading continues.
    fn on_authority(&mut self, builder: &mut Turn, answer: Result<Answer, Failure>) {
        let answer = match answer {
            Ok(Answer::CardAuthority(answer)) => Some(answer),
            Ok(Answer::Identified(_) | Answer::Called(_) | Answer::Pin(_) | Answer::Evidence(_)) => {
                return self.refuse(builder, Refusal::Nonsense);
            }
            // The platform does not authenticate this kind of card: it counts as a card that was only read.
            Err(Failure::Problem(ProblemCode::NotOffered)) => None,
            Err(failure) => return self.refuse(builder, refusal_of(failure)),
        };
        self.start(builder, Work::Authenticate(answer));
        let deadline = builder.now.mono.plus_ms(self.setup.times.read_ms);
        if let Some(visit) = &mut self.visit {
            visit.task = Task::Reading { authority: None, deadline };
        }
    }

    /// Handles an event of the ID card reader. An ID card begins a visit; during a visit it is ignored.
    pub(crate) fn on_id_card(&mut self, builder: &mut Turn, event: IdCardEvent) {
        if self.setup.gate.is_some() {
            // A gate has no visits.
            return;
        }
        match event {
            IdCardEvent::Seen => {
                if self.visit.is_some() || self.devices.card_in {
                    return;
                }
                self.closing = None;
                let deadline = builder.now.mono.plus_ms(self.setup.times.read_ms);
                let id = VisitId::from_entropy(builder.draw.next());
                self.visit =
                    Some(self.open_visit(id, Way::IdCard, Task::Reading { authority: None, deadline }));
                if !self.online {
                    self.refuse(builder, Refusal::NoLink);
                }
            }
            IdCardEvent::Read { evidence, valid_to } => {
                if !self.reading(Way::IdCard) {
                    return;
                }
                if self.in_date(builder, valid_to.as_deref()) {
                    self.identify(builder, Presented::IdCard(evidence));
                } else {
                    self.refuse(builder, Refusal::IdCardExpired);
                }
            }
            IdCardEvent::Refused(refusal) => {
                if self.reading(Way::IdCard) {
                    self.refuse(
                        builder,
                        match refusal {
                            IdCardRefusal::Foreign => Refusal::IdCardForeign,
                            IdCardRefusal::Unread => Refusal::IdCardUnread,
                            IdCardRefusal::Damaged => Refusal::IdCardDamaged,
                        },
                    );
                }
            }
        }
    }

    pub(crate) fn on_code_hint(&mut self, hint: CodeHint) {
        if self.visit.is_none() && self.closing.is_none() {
            self.lobby.hint = Some(hint);
            self.lobby.reset_at = Some(self.now.mono.plus_ms(self.setup.times.notice_ms));
        }
    }

    /// True while a visit of this identification method is reading its card.
    pub(crate) fn reading(&self, method: Way) -> bool {
        let visit = self.visit.as_ref().filter(|visit| visit.way == method);
        visit.is_some_and(|visit| matches!(visit.task, Task::Reading { .. }))
    }

    pub(crate) fn identify(&mut self, builder: &mut Turn, presented: Presented) {
        let Some(visit) = &self.visit else { return };
        if let Some((Some(ticket), _)) = visit.pending() {
            // The card was read without waiting for its authentication.
            builder.out.effect(crate::Effect::Cancel(ticket));
        }
        let visit = visit.id;
        let (ticket, deadline) = self.start(builder, Work::Identify(IdentifyRequest { visit, presented }));
        if let Some(visit) = &mut self.visit {
            visit.task = Task::Identifying { ticket, deadline };
        }
    }

    /// Handles the outcome of work, if its ticket is the one that this visit waits for.
    pub(crate) fn on_answer(&mut self, builder: &mut Turn, ticket: Ticket, answer: Result<Answer, Failure>) {
        if self.setup.gate.is_some() {
            return self.gate_answer(builder, ticket, answer);
        }
        let waits_for =
            self.visit.as_ref().and_then(|visit| visit.pending()).and_then(|(waiting, _)| waiting);
        if waits_for != Some(ticket) {
            return;
        }
        match self.visit.as_ref().map(|visit| &visit.task) {
            Some(Task::Reading { .. }) => self.on_authority(builder, answer),
            Some(Task::Identifying { .. }) => self.on_identified(builder, answer),
            Some(Task::Proving(_)) => self.on_proof_answer(builder, answer),
            Some(Task::Service(_)) => self.on_step_answer(builder, answer),
            Some(Task::Menu { .. }) | None => {}
        }
    }

    /// Handles the deadline of pending work: cancels the work, or refuses a card whose reading took too long.
    pub(crate) fn on_late(&mut self, builder: &mut Turn) {
        let Some((ticket, _)) = self.visit.as_ref().and_then(|visit| visit.pending()) else { return };
        match ticket {
            None if self.reading(Way::IdCard) => self.refuse(builder, Refusal::IdCardUnread),
            None => self.refuse(builder, Refusal::CardMute),
            Some(ticket) => {
                builder.out.effect(crate::Effect::Cancel(ticket));
                self.on_answer(builder, ticket, Err(Failure::Unreachable));
            }
        }
    }

    fn on_identified(&mut self, builder: &mut Turn, answer: Result<Answer, Failure>) {
        let mut identified = match answer {
            Ok(Answer::Identified(identified)) => identified,
            Ok(Answer::Called(_) | Answer::Pin(_) | Answer::Evidence(_) | Answer::CardAuthority(_)) => {
                return self.refuse(builder, Refusal::Nonsense);
            }
            // The link was lost during the request: fall back to the code that the kiosk verified itself.
            Err(Failure::Unreachable) if self.recognise(builder) => return,
            Err(failure) => return self.refuse(builder, refusal_of(failure)),
        };
        let Some(visit) = &mut self.visit else { return };
        let (resident, evidence, level) = (identified.resident, identified.evidence, identified.level);
        let evidence = as_seen(evidence, visit.authenticated);
        // The platform's level, limited to what this evidence can prove (I5).
        let level = level.min(evidence.most());
        builder.out.record(Entry::Identified { visit: visit.id, resident, way: visit.way, evidence, level });
        visit.recorded = true;
        visit.person = Some(Person {
            name: std::mem::take(&mut identified.name).into(),
            id_number: std::mem::take(&mut identified.id_number).into(),
            key: Some(identified.key.clone()),
            resident,
            evidence,
            level,
        });
        visit.task = Task::Menu { declined: false };
    }

    /// Ends a visit that cannot begin or continue, and shows why.
    pub(crate) fn refuse(&mut self, builder: &mut Turn, refusal: Refusal) {
        let (lang, theme) =
            self.visit.as_ref().map_or((Lang::Zh, view::Theme::Standard), |visit| (visit.lang, visit.theme));
        self.end_visit(builder, CloseReason::Interrupted);
        let until_card_taken = refusal.of_card() && self.devices.card_in;
        let until = (!until_card_taken).then(|| builder.now.mono.plus_ms(self.setup.times.notice_ms));
        self.closing = Some(Closing { words: LastWords::Refused(refusal), lang, theme, until });
    }
}

/// The evidence that the platform reports for a card, limited to what this kiosk observed.
pub(crate) const fn as_seen(evidence: Evidence, authenticated: bool) -> Evidence {
    let proved = matches!(evidence, Evidence::CardAuthenticated | Evidence::AuthenticatedCardPin);
    if proved && !authenticated { Evidence::CardRead } else { evidence }
}

/// The refusal that corresponds to a failure, for a visit that cannot continue.
pub(crate) const fn refusal_of(failure: Failure) -> Refusal {
    match failure {
        Failure::Unreachable | Failure::Device => Refusal::NoLink,
        Failure::Nonsense => Refusal::Nonsense,
        Failure::Problem(code) => match code {
            ProblemCode::CodeUsed => Refusal::CodeUsed,
            ProblemCode::CodeExpired => Refusal::CodeExpired,
            ProblemCode::CodeUnknown => Refusal::CodeUnknown,
            ProblemCode::CodeRevoked => Refusal::CodeRevoked,
            ProblemCode::CardUnknown => Refusal::CardUnknown,
            ProblemCode::CardStopped => Refusal::CardStopped,
            ProblemCode::CardMismatch => Refusal::CardMismatch,
            ProblemCode::ResidentUnknown => Refusal::IdCardUnknown,
            ProblemCode::VisitExpired => Refusal::VisitExpired,
            ProblemCode::Unavailable => Refusal::NoLink,
            ProblemCode::NotOffered
            | ProblemCode::LevelTooLow
            | ProblemCode::ChallengeFailed
            | ProblemCode::ConsentMissing
            | ProblemCode::DeviceUnknown
            | ProblemCode::BillBusy
            | ProblemCode::BillSettled
            | ProblemCode::BillChanged
            | ProblemCode::OrderConflict
            | ProblemCode::Malformed => Refusal::NotPermitted,
        },
    }
}

const fn refusal_of_card(refusal: CardRefusal) -> Refusal {
    match refusal {
        CardRefusal::Foreign => Refusal::CardForeign,
        CardRefusal::Mute => Refusal::CardMute,
        CardRefusal::Damaged => Refusal::CardDamaged,
        CardRefusal::Blocked => Refusal::CardBlocked,
        CardRefusal::Unproven => Refusal::CardUnproven,
    }
}
