//! Identification: a visit begins when a card or an ID card is read or a code is accepted, and the platform identifies
//! the resident.

use contract::{
    CardAuthRequest, CardChallenge, CardEvidence, CloseReason, Entry, Evidence, IdentificationMethod,
    IdentifyRequest, PresentedCredential, ProblemCode, VisitId,
};
use view::Lang;

use crate::effect::{Ticket, Work};
use crate::event::{CardEvent, CardRefusal, CodeHint, Failure, IdCardEvent, IdCardRefusal, WorkAnswer};
use crate::kiosk::{Kiosk, TransitionBuilder};
use crate::notice::{Notice, NoticeKind, VisitRefusal};
use crate::receipt::local_time;
use crate::visit::{IdentifiedResident, Task};

impl Kiosk {
    pub(crate) fn on_card(&mut self, builder: &mut TransitionBuilder, event: CardEvent) {
        if self.setup.gate_rules.is_some() {
            return self.on_gate_card(builder, event);
        }
        match event {
            CardEvent::Inserted => {
                self.devices.card_inserted = true;
                if self.visit.is_none() {
                    self.notice = None;
                    let deadline = builder.now.mono.plus_ms(self.setup.time_limits.read_ms);
                    let id = VisitId::from_entropy(builder.entropy.next_u128());
                    self.visit = Some(self.new_visit(
                        id,
                        IdentificationMethod::Card,
                        Task::Reading { authority_ticket: None, deadline },
                    ));
                }
            }
            CardEvent::NeedsAuthentication(card) => self.request_card_authentication(builder, card),
            CardEvent::Read { evidence, valid_to } => {
                self.on_card_read(builder, evidence, valid_to.as_deref())
            }
            CardEvent::Staff(proof) => self.on_staff_card(builder, &proof),
            CardEvent::Refused(refusal) => {
                if self.is_reading(IdentificationMethod::Card) {
                    self.refuse_visit(builder, refusal_for_card(refusal));
                }
            }
            CardEvent::Removed => self.on_card_removed(builder),
        }
    }

    fn on_gate_card(&mut self, builder: &mut TransitionBuilder, event: CardEvent) {
        match event {
            CardEvent::Read { evidence, valid_to }
                if self.is_within_validity(builder, valid_to.as_deref()) =>
            {
                self.on_gate_card_read(builder, evidence);
            }
            CardEvent::Read { .. } => self.refuse_at_gate(builder, VisitRefusal::CardExpired),
            CardEvent::Refused(refusal) => self.refuse_at_gate(builder, refusal_for_card(refusal)),
            CardEvent::NeedsAuthentication(card) => self.authenticate_gate_card(builder, card),
            // A gate has no staff view: staff use the kiosk beside it.
            CardEvent::Staff(_) => self.refuse_at_gate(builder, VisitRefusal::CardUnsupported),
            CardEvent::Inserted | CardEvent::Removed => {}
        }
    }

    fn is_within_validity(&self, builder: &TransitionBuilder, valid_to: Option<&str>) -> bool {
        let today =
            local_time(builder.now.wall, self.setup.utc_offset_minutes).strftime("%Y%m%d").to_string();
        valid_to.is_none_or(|last_day| last_day >= today.as_str())
    }

    fn on_card_read(
        &mut self,
        builder: &mut TransitionBuilder,
        evidence: CardEvidence,
        valid_to: Option<&str>,
    ) {
        if !self.is_reading(IdentificationMethod::Card) {
            return;
        }
        if self.is_within_validity(builder, valid_to) {
            if let Some(visit) = &mut self.visit {
                visit.card_authenticated = evidence.authenticated;
            }
            self.identify(builder, PresentedCredential::Card(evidence));
        } else {
            self.refuse_visit(builder, VisitRefusal::CardExpired);
        }
    }

    /// Requests the authentication of the card that is being read; reading waits for it.
    fn request_card_authentication(&mut self, builder: &mut TransitionBuilder, card: CardChallenge) {
        let Some(visit) =
            self.visit.as_ref().filter(|visit| visit.identification_method == IdentificationMethod::Card)
        else {
            return;
        };
        if !matches!(visit.task, Task::Reading { authority_ticket: None, .. }) {
            return;
        }
        let request = CardAuthRequest { visit: visit.id, card };
        let (ticket, deadline) = self.start_work(builder, Work::RequestCardAuthentication(request));
        if let Some(visit) = &mut self.visit {
            visit.task = Task::Reading { authority_ticket: Some(ticket), deadline };
        }
    }

    /// Handles the platform's answer about the waiting card: the reading continues.
    fn on_card_authority(&mut self, builder: &mut TransitionBuilder, answer: Result<WorkAnswer, Failure>) {
        let answer = match answer {
            Ok(WorkAnswer::CardAuthority(answer)) => Some(answer),
            Ok(
                WorkAnswer::Identified(_)
                | WorkAnswer::CallAnswered(_)
                | WorkAnswer::Pin(_)
                | WorkAnswer::Evidence(_),
            ) => {
                return self.refuse_visit(builder, VisitRefusal::InvalidResponse);
            }
            // The platform does not authenticate this kind of card: it counts as a card that was only read.
            Err(Failure::Problem(ProblemCode::NotOffered)) => None,
            Err(failure) => return self.refuse_visit(builder, refusal_for_failure(failure)),
        };
        self.start_work(builder, Work::AuthenticateCard(answer));
        let deadline = builder.now.mono.plus_ms(self.setup.time_limits.read_ms);
        if let Some(visit) = &mut self.visit {
            visit.task = Task::Reading { authority_ticket: None, deadline };
        }
    }

    /// Handles an event of the ID card reader. An ID card begins a visit; during a visit it is ignored.
    pub(crate) fn on_id_card(&mut self, builder: &mut TransitionBuilder, event: IdCardEvent) {
        if self.setup.gate_rules.is_some() {
            // A gate has no visits.
            return;
        }
        match event {
            IdCardEvent::Detected => {
                if self.visit.is_some() || self.devices.card_inserted {
                    return;
                }
                self.notice = None;
                let deadline = builder.now.mono.plus_ms(self.setup.time_limits.read_ms);
                let id = VisitId::from_entropy(builder.entropy.next_u128());
                self.visit = Some(self.new_visit(
                    id,
                    IdentificationMethod::IdCard,
                    Task::Reading { authority_ticket: None, deadline },
                ));
                if !self.online {
                    self.refuse_visit(builder, VisitRefusal::NoLink);
                }
            }
            IdCardEvent::Read { evidence, valid_to } => {
                if !self.is_reading(IdentificationMethod::IdCard) {
                    return;
                }
                if self.is_within_validity(builder, valid_to.as_deref()) {
                    self.identify(builder, PresentedCredential::IdCard(evidence));
                } else {
                    self.refuse_visit(builder, VisitRefusal::IdCardExpired);
                }
            }
            IdCardEvent::Refused(refusal) => {
                if self.is_reading(IdentificationMethod::IdCard) {
                    self.refuse_visit(
                        builder,
                        match refusal {
                            IdCardRefusal::Unsupported => VisitRefusal::IdCardUnsupported,
                            IdCardRefusal::NotRead => VisitRefusal::IdCardNotRead,
                            IdCardRefusal::Damaged => VisitRefusal::IdCardDamaged,
                        },
                    );
                }
            }
        }
    }

    pub(crate) fn on_code_hint(&mut self, hint: CodeHint) {
        if self.visit.is_none() && self.notice.is_none() {
            self.idle_screen.code_hint = Some(hint);
            self.idle_screen.reset_at = Some(self.now.mono.plus_ms(self.setup.time_limits.short_notice_ms));
        }
    }

    /// True while a visit of this identification method is reading its card.
    pub(crate) fn is_reading(&self, method: IdentificationMethod) -> bool {
        let visit = self.visit.as_ref().filter(|visit| visit.identification_method == method);
        visit.is_some_and(|visit| matches!(visit.task, Task::Reading { .. }))
    }

    pub(crate) fn identify(&mut self, builder: &mut TransitionBuilder, presented: PresentedCredential) {
        let Some(visit) = &self.visit else { return };
        if let Some((Some(ticket), _)) = visit.pending_work() {
            // The card was read without waiting for its authentication.
            builder.transition.effect(crate::Effect::CancelWork(ticket));
        }
        let visit = visit.id;
        let (ticket, deadline) =
            self.start_work(builder, Work::Identify(IdentifyRequest { visit, presented }));
        if let Some(visit) = &mut self.visit {
            visit.task = Task::Identifying { ticket, deadline };
        }
    }

    /// Handles the outcome of work, if its ticket is the one that this visit waits for.
    pub(crate) fn on_work_answer(
        &mut self,
        builder: &mut TransitionBuilder,
        ticket: Ticket,
        answer: Result<WorkAnswer, Failure>,
    ) {
        if self.setup.gate_rules.is_some() {
            return self.on_gate_answer(builder, ticket, answer);
        }
        let waits_for =
            self.visit.as_ref().and_then(|visit| visit.pending_work()).and_then(|(waiting, _)| waiting);
        if waits_for != Some(ticket) {
            return;
        }
        match self.visit.as_ref().map(|visit| &visit.task) {
            Some(Task::Reading { .. }) => self.on_card_authority(builder, answer),
            Some(Task::Identifying { .. }) => self.on_identified(builder, answer),
            Some(Task::StepUp(_)) => self.on_step_up_answer(builder, answer),
            Some(Task::Service(_)) => self.on_step_answer(builder, answer),
            Some(Task::Menu { .. }) | None => {}
        }
    }

    /// Handles the deadline of pending work: cancels the work, or refuses a card whose reading took too long.
    pub(crate) fn on_work_timeout(&mut self, builder: &mut TransitionBuilder) {
        let Some((ticket, _)) = self.visit.as_ref().and_then(|visit| visit.pending_work()) else { return };
        match ticket {
            None if self.is_reading(IdentificationMethod::IdCard) => {
                self.refuse_visit(builder, VisitRefusal::IdCardNotRead)
            }
            None => self.refuse_visit(builder, VisitRefusal::CardNotResponding),
            Some(ticket) => {
                builder.transition.effect(crate::Effect::CancelWork(ticket));
                self.on_work_answer(builder, ticket, Err(Failure::Unreachable));
            }
        }
    }

    fn on_identified(&mut self, builder: &mut TransitionBuilder, answer: Result<WorkAnswer, Failure>) {
        let mut identified = match answer {
            Ok(WorkAnswer::Identified(identified)) => identified,
            Ok(
                WorkAnswer::CallAnswered(_)
                | WorkAnswer::Pin(_)
                | WorkAnswer::Evidence(_)
                | WorkAnswer::CardAuthority(_),
            ) => {
                return self.refuse_visit(builder, VisitRefusal::InvalidResponse);
            }
            // The link was lost during the request: fall back to the code that the kiosk verified itself.
            Err(Failure::Unreachable) if self.identify_offline(builder) => return,
            Err(failure) => return self.refuse_visit(builder, refusal_for_failure(failure)),
        };
        let Some(visit) = &self.visit else { return };
        let (resident, evidence, level) = (identified.resident, identified.evidence, identified.level);
        let evidence = limit_to_observed(evidence, visit.card_authenticated);
        // The platform's level, limited to what this evidence can prove (I5).
        let level = level.min(evidence.max_level());
        let resident = IdentifiedResident {
            name: std::mem::take(&mut identified.name).into(),
            id_number: std::mem::take(&mut identified.id_number).into(),
            visit_key: Some(identified.key.clone()),
            pseudonym: resident,
            evidence,
            level,
        };
        self.set_resident(builder, resident);
    }

    /// Records who the resident of the visit is, and shows the menu.
    pub(crate) fn set_resident(&mut self, builder: &mut TransitionBuilder, resident: IdentifiedResident) {
        let Some(visit) = &mut self.visit else { return };
        builder.record(
            &mut self.durable,
            Entry::Identified {
                visit: visit.id,
                resident: resident.pseudonym,
                method: visit.identification_method,
                evidence: resident.evidence,
                level: resident.level,
            },
        );
        visit.recorded = true;
        visit.resident = Some(resident);
        visit.task = Task::Menu { declined: false };
    }

    /// Ends a visit that cannot begin or continue, and shows why.
    pub(crate) fn refuse_visit(&mut self, builder: &mut TransitionBuilder, refusal: VisitRefusal) {
        let (lang, theme) =
            self.visit.as_ref().map_or((Lang::Zh, view::Theme::Standard), |visit| (visit.lang, visit.theme));
        self.end_visit(builder, CloseReason::Interrupted);
        let until_card_taken = refusal.concerns_card() && self.devices.card_inserted;
        let until =
            (!until_card_taken).then(|| builder.now.mono.plus_ms(self.setup.time_limits.short_notice_ms));
        self.notice = Some(Notice { kind: NoticeKind::Refused(refusal), lang, theme, until });
    }
}

/// The evidence that the platform reports for a card, limited to what this kiosk observed.
pub(crate) const fn limit_to_observed(evidence: Evidence, authenticated: bool) -> Evidence {
    let proved = matches!(evidence, Evidence::CardAuthenticated | Evidence::AuthenticatedCardPin);
    if proved && !authenticated { Evidence::CardRead } else { evidence }
}

/// The refusal that corresponds to a failure, for a visit that cannot continue.
pub(crate) const fn refusal_for_failure(failure: Failure) -> VisitRefusal {
    match failure {
        Failure::Unreachable | Failure::DeviceFailed => VisitRefusal::NoLink,
        Failure::InvalidResponse => VisitRefusal::InvalidResponse,
        Failure::Problem(code) => match code {
            ProblemCode::CodeUsed => VisitRefusal::CodeUsed,
            ProblemCode::CodeExpired => VisitRefusal::CodeExpired,
            ProblemCode::CodeUnknown => VisitRefusal::CodeUnknown,
            ProblemCode::CodeRevoked => VisitRefusal::CodeRevoked,
            ProblemCode::CardUnknown => VisitRefusal::CardUnknown,
            ProblemCode::CardStopped => VisitRefusal::CardStopped,
            ProblemCode::CardMismatch => VisitRefusal::CardMismatch,
            ProblemCode::ResidentUnknown => VisitRefusal::IdCardUnknown,
            ProblemCode::VisitExpired => VisitRefusal::VisitExpired,
            ProblemCode::Unavailable => VisitRefusal::NoLink,
            ProblemCode::NotOffered
            | ProblemCode::LevelTooLow
            | ProblemCode::ChallengeFailed
            | ProblemCode::ConsentMissing
            | ProblemCode::DeviceUnknown
            | ProblemCode::BillBusy
            | ProblemCode::BillSettled
            | ProblemCode::BillChanged
            | ProblemCode::OrderConflict
            | ProblemCode::Malformed => VisitRefusal::NotPermitted,
        },
    }
}

const fn refusal_for_card(refusal: CardRefusal) -> VisitRefusal {
    match refusal {
        CardRefusal::Unsupported => VisitRefusal::CardUnsupported,
        CardRefusal::NotResponding => VisitRefusal::CardNotResponding,
        CardRefusal::Damaged => VisitRefusal::CardDamaged,
        CardRefusal::Blocked => VisitRefusal::CardBlocked,
        CardRefusal::NotAuthentic => VisitRefusal::CardNotAuthentic,
    }
}
