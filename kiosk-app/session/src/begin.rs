//! How a visit begins: a card or an ID card is read or a code accepted, and the platform says who it is.

use contract::{
    CardEvidence, CloseReason, Entry, IdentifyRequest, Presented, ProblemCode, VisitId, Way, sm3,
};
use view::Lang;

use crate::closing::{Closing, LastWords, Refusal};
use crate::effect::{Ticket, Work};
use crate::event::{Answer, CardEvent, CardRefusal, CodeHint, Failure, IdCardEvent, IdCardRefusal};
use crate::kiosk::{Kiosk, MARK_LIFE_MS, Turn};
use crate::receipt::local;
use crate::visit::{Person, Task};

impl Kiosk {
    pub(crate) fn on_card(&mut self, turn: &mut Turn, event: CardEvent) {
        match event {
            CardEvent::Inserted => {
                self.devices.card_in = true;
                if self.visit.is_none() {
                    self.closing = None;
                    let deadline = turn.now.mono.plus_ms(self.setup.times.read_ms);
                    let id = VisitId::from_entropy(turn.draw.next());
                    self.visit = Some(self.open_visit(id, Way::Card, Task::Reading { deadline }));
                }
            }
            CardEvent::Read { evidence, valid_to } => self.on_card_read(turn, evidence, valid_to.as_deref()),
            CardEvent::Refused(refusal) => {
                if self.reading(Way::Card) {
                    let refusal = match refusal {
                        CardRefusal::Foreign => Refusal::CardForeign,
                        CardRefusal::Mute => Refusal::CardMute,
                        CardRefusal::Damaged => Refusal::CardDamaged,
                        CardRefusal::Blocked => Refusal::CardBlocked,
                    };
                    self.refuse(turn, refusal);
                }
            }
            CardEvent::Removed => self.card_gone(turn),
        }
    }

    fn on_card_read(&mut self, turn: &mut Turn, evidence: CardEvidence, valid_to: Option<&str>) {
        if !self.reading(Way::Card) {
            return;
        }
        if self.is_past(valid_to) {
            self.refuse(turn, Refusal::CardExpired);
        } else {
            self.identify(turn, Presented::Card(evidence));
        }
    }

    /// Whether a card's last day is over.
    fn is_past(&self, valid_to: Option<&str>) -> bool {
        let today = local(self.now.wall, self.setup.utc_offset_minutes).strftime("%Y%m%d").to_string();
        valid_to.is_some_and(|last_day| last_day < today.as_str())
    }

    /// An ID card begins a visit where none is; laid down within one, it is not looked at.
    pub(crate) fn on_id_card(&mut self, turn: &mut Turn, event: IdCardEvent) {
        match event {
            IdCardEvent::Seen => {
                if self.visit.is_some() || self.devices.card_in {
                    return;
                }
                self.closing = None;
                let deadline = turn.now.mono.plus_ms(self.setup.times.read_ms);
                let id = VisitId::from_entropy(turn.draw.next());
                self.visit = Some(self.open_visit(id, Way::IdCard, Task::Reading { deadline }));
                if !self.online {
                    self.refuse(turn, Refusal::NoLink);
                }
            }
            IdCardEvent::Read { evidence, valid_to } => {
                if !self.reading(Way::IdCard) {
                    return;
                }
                if self.is_past(valid_to.as_deref()) {
                    self.refuse(turn, Refusal::IdCardExpired);
                } else {
                    self.identify(turn, Presented::IdCard(evidence));
                }
            }
            IdCardEvent::Refused(refusal) => {
                if self.reading(Way::IdCard) {
                    self.refuse(
                        turn,
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

    /// A code is looked at only by somebody who stands there without a visit.
    pub(crate) fn on_code(&mut self, turn: &mut Turn, code: &[u8]) {
        if self.visit.is_some() || self.devices.card_in {
            return;
        }
        self.closing = None;
        self.lobby.hint = None;
        let id = VisitId::from_entropy(turn.draw.next());
        let text = match std::str::from_utf8(code) {
            Ok(text) => text,
            Err(_) => return self.refuse_code(turn, Refusal::CodeForeign),
        };
        let token = match resident_code::parse(text) {
            Ok(token) => token,
            Err(refusal) => return self.refuse_code(turn, code_refusal(refusal)),
        };
        if !self.online {
            // An online token means nothing without the platform, and is not spent.
            return self.refuse_code(turn, Refusal::NoLink);
        }
        let mark: String = sm3(&[&token.to_bytes()]).iter().map(|byte| format!("{byte:02x}")).collect();
        if !self.mark(&mark, turn.now.wall.plus_ms(MARK_LIFE_MS)) {
            return self.refuse_code(turn, Refusal::CodeUsed);
        }
        turn.out.record(Entry::CodeAccepted { visit: id, mark });
        let deadline = turn.now.mono;
        let mut visit = self.open_visit(id, Way::Code, Task::Reading { deadline });
        visit.recorded = true;
        self.visit = Some(visit);
        self.identify(turn, Presented::Code { text: text.trim().to_owned() });
    }

    pub(crate) fn on_code_hint(&mut self, hint: CodeHint) {
        if self.visit.is_none() && self.closing.is_none() {
            self.lobby.hint = Some(hint);
            self.lobby.reset_at = Some(self.now.mono.plus_ms(self.setup.times.notice_ms));
        }
    }

    /// A card of this kind is being read, and nothing else is.
    pub(crate) fn reading(&self, way: Way) -> bool {
        let visit = self.visit.as_ref().filter(|visit| visit.way == way);
        visit.is_some_and(|visit| matches!(visit.task, Task::Reading { .. }))
    }

    fn identify(&mut self, turn: &mut Turn, presented: Presented) {
        let Some(visit) = self.visit.as_ref().map(|visit| visit.id) else { return };
        let (ticket, deadline) = self.start(turn, Work::Identify(IdentifyRequest { visit, presented }));
        if let Some(visit) = &mut self.visit {
            visit.task = Task::Identifying { ticket, deadline };
        }
    }

    /// The outcome of work, if it is work that this visit still waits for.
    pub(crate) fn on_answer(&mut self, turn: &mut Turn, ticket: Ticket, answer: Result<Answer, Failure>) {
        let waits_for =
            self.visit.as_ref().and_then(|visit| visit.pending()).and_then(|(waiting, _)| waiting);
        if waits_for != Some(ticket) {
            return;
        }
        let identifying =
            self.visit.as_ref().is_some_and(|visit| matches!(visit.task, Task::Identifying { .. }));
        if identifying {
            self.on_identified(turn, answer);
        } else {
            self.on_step_answer(turn, answer);
        }
    }

    /// The kiosk has waited long enough for its own work.
    pub(crate) fn on_late(&mut self, turn: &mut Turn) {
        let Some((ticket, _)) = self.visit.as_ref().and_then(|visit| visit.pending()) else { return };
        match ticket {
            None if self.reading(Way::IdCard) => self.refuse(turn, Refusal::IdCardUnread),
            None => self.refuse(turn, Refusal::CardMute),
            Some(ticket) => {
                turn.out.effect(crate::Effect::Cancel(ticket));
                self.on_answer(turn, ticket, Err(Failure::Unreachable));
            }
        }
    }

    fn on_identified(&mut self, turn: &mut Turn, answer: Result<Answer, Failure>) {
        let mut identified = match answer {
            Ok(Answer::Identified(identified)) => identified,
            Ok(Answer::Called(_) | Answer::Pin(_)) => return self.refuse(turn, Refusal::Nonsense),
            Err(failure) => return self.refuse(turn, refusal_of(failure)),
        };
        let Some(visit) = &mut self.visit else { return };
        let (resident, evidence, level) = (identified.resident, identified.evidence, identified.level);
        turn.out.record(Entry::Identified { visit: visit.id, resident, way: visit.way, evidence, level });
        visit.recorded = true;
        visit.person = Some(Person {
            name: std::mem::take(&mut identified.name).into(),
            id_number: std::mem::take(&mut identified.id_number).into(),
            key: identified.key.clone(),
            resident,
            evidence,
            level,
        });
        visit.task = Task::Menu { declined: false };
    }

    fn refuse_code(&mut self, turn: &mut Turn, refusal: Refusal) {
        let until = Some(turn.now.mono.plus_ms(self.setup.times.notice_ms));
        let (lang, theme) = (self.lobby.lang, self.lobby.theme);
        self.closing = Some(Closing { words: LastWords::Refused(refusal), lang, theme, until });
    }

    /// Ends a visit that cannot begin or go on, and says why.
    pub(crate) fn refuse(&mut self, turn: &mut Turn, refusal: Refusal) {
        let (lang, theme) =
            self.visit.as_ref().map_or((Lang::Zh, view::Theme::Standard), |visit| (visit.lang, visit.theme));
        self.end_visit(turn, CloseReason::Interrupted);
        let until_card_taken = refusal.of_card() && self.devices.card_in;
        let until = (!until_card_taken).then(|| turn.now.mono.plus_ms(self.setup.times.notice_ms));
        self.closing = Some(Closing { words: LastWords::Refused(refusal), lang, theme, until });
    }
}

/// What a failure means for a visit that cannot go on.
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

const fn code_refusal(refusal: resident_code::Refusal) -> Refusal {
    match refusal {
        resident_code::Refusal::NotACode => Refusal::CodeForeign,
        resident_code::Refusal::OtherCity => Refusal::CodeOtherCity,
        resident_code::Refusal::Version(_)
        | resident_code::Refusal::Encoding
        | resident_code::Refusal::Mode(_)
        | resident_code::Refusal::Length { .. }
        | resident_code::Refusal::Key(_)
        | resident_code::Refusal::Check => Refusal::CodeDamaged,
        resident_code::Refusal::Early | resident_code::Refusal::Expired | resident_code::Refusal::Stale => {
            Refusal::CodeExpired
        }
        resident_code::Refusal::Lifetime(_)
        | resident_code::Refusal::IssuerSignature
        | resident_code::Refusal::SessionKey
        | resident_code::Refusal::SessionSignature => Refusal::CodeUnknown,
    }
}
