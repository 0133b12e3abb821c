//! Notices: anonymous messages after a visit, or when no visit could begin.

use contract::{Money, OrderId, ReceiptId, Settlement};
use view::{Body, FooterButton, Gesture, Intent, Lang, Outcome, OutcomeKind, TextId, Theme};

use crate::components::Status;
use crate::content::{ViewContent, action, help_banner, plain_outcome, print_fault_banner, take_card_banner};
use crate::payment_content::payment_outcome;
use crate::refusal::VisitRefusal;
use crate::setup::TimeLimits;
use crate::time::{MonotonicMs, Now};

/// An anonymous message after a visit (离场提示), shown until a deadline or the removal of the card. Names nobody.
pub(crate) struct Notice {
    kind: NoticeKind,
    pub(crate) lang: Lang,
    pub(crate) theme: Theme,
    /// None: until the card is removed.
    pub(crate) until: Option<MonotonicMs>,
    /// Until when the confirmation of a call for help is shown.
    pub(crate) help_until: Option<MonotonicMs>,
}

/// What a notice says.
pub(crate) enum NoticeKind {
    /// Why no visit could begin.
    Refused(VisitRefusal),
    /// The resident must take the card.
    TakeCard,
    /// The resident must take the ID card, which is still on the reader.
    TakeIdCard,
    /// State of a payment that outlived its visit. `order` is set while the order is unsettled.
    Payment { order: Option<OrderId>, total: Money, settlement: Option<Settlement>, receipt: ReceiptId },
    /// The card was removed while it changed its PIN: the outcome is unknown.
    PinChangeUnknown,
    /// The resident left while a queue ticket was asked for: it may have been given.
    TicketUnknown,
}

impl Notice {
    /// A notice, shown for as long as its kind needs; one about the card in the slot until that card is taken.
    pub(crate) fn new(
        kind: NoticeKind,
        (lang, theme): (Lang, Theme),
        is_card_inserted: bool,
        now: Now,
        times: TimeLimits,
    ) -> Self {
        let until = match &kind {
            NoticeKind::TakeCard => None,
            NoticeKind::Refused(refusal) if refusal.concerns_card() && is_card_inserted => None,
            NoticeKind::Refused(_) | NoticeKind::TakeIdCard => Some(now.mono.plus_ms(times.short_notice_ms)),
            NoticeKind::Payment { .. } | NoticeKind::PinChangeUnknown | NoticeKind::TicketUnknown => {
                Some(now.mono.plus_ms(times.outcome_notice_ms))
            }
        };
        Self { kind, lang, theme, until, help_until: None }
    }

    pub(crate) const fn ends_on_card_removal(&self) -> bool {
        match self.kind {
            NoticeKind::TakeCard => true,
            NoticeKind::Refused(refusal) => refusal.concerns_card(),
            NoticeKind::TakeIdCard
            | NoticeKind::Payment { .. }
            | NoticeKind::PinChangeUnknown
            | NoticeKind::TicketUnknown => false,
        }
    }

    /// Whether this notice waits for the outcome of this order.
    pub(crate) fn waits_for(&self, order: OrderId) -> bool {
        matches!(self.kind, NoticeKind::Payment { order: Some(of), .. } if of == order)
    }

    /// The outcome of the order that it waits for is known.
    pub(crate) fn on_settled(&mut self, outcome: &Settlement, now: Now, times: TimeLimits) {
        if let NoticeKind::Payment { order, settlement, .. } = &mut self.kind {
            (*order, *settlement) = (None, Some(outcome.clone()));
            self.until = Some(now.mono.plus_ms(times.outcome_notice_ms));
        }
    }

    pub(crate) fn content(&self, status: Status<'_>) -> ViewContent {
        let frame = |title: TextId, outcome: Outcome| ViewContent {
            footer: vec![FooterButton::Language],
            ..ViewContent::new(title, Body::Outcome(outcome))
        };
        let finish = || vec![action(TextId::Finish, true, Intent::Primary)];
        let mut content = match &self.kind {
            NoticeKind::Refused(refusal) => {
                let (word, detail) = refusal.texts();
                let (title, gesture) = refusal.title_and_gesture();
                let outcome = Outcome { gesture, ..plain_outcome(OutcomeKind::NotDone, word, detail) };
                let waits = refusal.concerns_card() && status.components.devices.is_card_inserted();
                let back = action(TextId::BackToMenu, true, Intent::Primary);
                ViewContent {
                    actions: if waits { Vec::new() } else { vec![back] },
                    footer: vec![FooterButton::Language, FooterButton::Help],
                    ..frame(title, outcome)
                }
            }
            NoticeKind::TakeCard => {
                let outcome = plain_outcome(OutcomeKind::Done, TextId::TakeCard, TextId::TakeCardDetail);
                frame(TextId::TakeCardTitle, Outcome { gesture: Some(Gesture::TakeCard), ..outcome })
            }
            NoticeKind::TakeIdCard => {
                let outcome = plain_outcome(OutcomeKind::Done, TextId::TakeIdCard, TextId::TakeIdCardDetail);
                let outcome = Outcome { gesture: Some(Gesture::TakeIdCard), ..outcome };
                ViewContent { actions: finish(), ..frame(TextId::TakeIdCardTitle, outcome) }
            }
            NoticeKind::PinChangeUnknown | NoticeKind::TicketUnknown => {
                let (title, word, detail) = if matches!(self.kind, NoticeKind::TicketUnknown) {
                    (TextId::TicketUnclearTitle, TextId::TicketUnclear, TextId::TicketLeftDetail)
                } else {
                    (TextId::ClosingPinTitle, TextId::ChangePinUnclear, TextId::ChangePinUnclearDetail)
                };
                let outcome = plain_outcome(OutcomeKind::Unknown, word, detail);
                ViewContent {
                    actions: finish(),
                    banners: take_card_banner(status).into_iter().collect(),
                    ..frame(title, outcome)
                }
            }
            NoticeKind::Payment { total, settlement, receipt, .. } => {
                let outcome = payment_outcome(status, settlement.as_ref(), *total, *receipt);
                let banners = [print_fault_banner(status, *receipt), take_card_banner(status)];
                ViewContent {
                    actions: finish(),
                    banners: banners.into_iter().flatten().collect(),
                    ..frame(TextId::ClosingTitle, outcome)
                }
            }
        };
        if self.help_until.is_some() {
            content.banners.insert(0, help_banner(status.components.online));
        }
        content
    }
}
