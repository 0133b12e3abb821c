//! Step kind `pay`: the resident confirms an amount, and one order is created and charged.

use contract::{
    AnswerFieldType, Evidence, IdentificationMethod, Money, OrderId, OrderItem, PaymentMethod, Step,
};
use view::{
    Body, Confirm, FooterButton, Intent, LabelledValue, OutcomeKind, PaymentMethodCard, Text, TextId,
};

use crate::content::{ViewContent, action, failure_content, plain_outcome, service_footer, working_content};
use crate::front::visit::data::{Progress, VisitData, VisitOrder};
use crate::front::visit::pin::{PinEntry, PinResult};
use crate::front::visit::step::{Entered, StepContext, StepFlow, StepState, StepView, close_by, leave_by};
use crate::payment_content::payment_outcome;
use crate::payments::{NewOrder, receipt_of};
use crate::refusal::VisitRefusal;
use crate::rows::{CheckedRow, labelled_fields, parse_money};
use crate::setup::is_method_supported;
use crate::time::MonotonicMs;
use crate::wording::{in_language, method_name};
use crate::work::{CardWork, Failure, PendingWork, WorkAnswer};

/// State of a payment. The outcome of its order has a view of its own: see [`super::payment_outcome`].
enum Pay {
    /// None of the service's payment methods is possible in this visit.
    NoMethod,
    /// The journal is nearly full: no new order is created.
    Suspended,
    /// The rows are no bills, or too many, or their sum is beyond the limits: nothing is charged.
    NotPayable,
    Confirm {
        method: usize,
    },
    Pin {
        method: usize,
        entry: PinEntry,
    },
    PinVerifying {
        method: usize,
        work: PendingWork,
    },
    PinLocked,
    PinFailed,
    Paying {
        order: OrderId,
        slow_at: MonotonicMs,
        /// The charge takes long: the payment is shown as being checked, and the resident may go on.
        is_slow: bool,
    },
}

pub(super) fn enter(context: &mut StepContext<'_, '_>) -> Entered {
    Entered::state(if context.components.payments.are_suspended() {
        Pay::Suspended
    } else if payment_methods(context.data, context.progress).is_empty() {
        Pay::NoMethod
    } else {
        Pay::Confirm { method: 0 }
    })
}

/// The names in the step bar: a card's payment needs its PIN.
pub(super) fn names_in_bar(methods: &[PaymentMethod], method: IdentificationMethod) -> Vec<TextId> {
    let with_pin = method == IdentificationMethod::Card && methods.contains(&PaymentMethod::CardAccount);
    if with_pin { vec![TextId::StepPay, TextId::StepPin] } else { vec![TextId::StepPay] }
}

impl StepState for Pay {
    fn on_touch(&mut self, context: &mut StepContext<'_, '_>, intent: Intent) -> StepFlow {
        match self {
            Self::NoMethod | Self::Suspended | Self::PinLocked | Self::PinFailed => close_by(intent),
            Self::NotPayable if intent == Intent::Primary => StepFlow::Again,
            Self::NotPayable => leave_by(intent),
            Self::Confirm { method } => {
                if let Intent::ChooseMethod(at) = intent {
                    if usize::from(at) < payment_methods(context.data, context.progress).len() {
                        *method = usize::from(at);
                    }
                    StepFlow::Stay
                } else if intent == Intent::Primary {
                    let method = *method;
                    self.confirm(context, method);
                    StepFlow::Stay
                } else if intent == Intent::Back {
                    StepFlow::Previous
                } else {
                    leave_by(intent)
                }
            }
            Self::Pin { method, entry } => {
                if entry.on_touch(intent) {
                    StepFlow::Stay
                } else if intent == Intent::Primary {
                    if let Some(pin) = entry.take_pin() {
                        let work = CardWork::VerifyPin(pin);
                        let work = context.components.start_card_work(context.turn, work);
                        *self = Self::PinVerifying { method: *method, work };
                    }
                    StepFlow::Stay
                } else if intent == Intent::Back {
                    *self = Self::Confirm { method: *method };
                    StepFlow::Stay
                } else {
                    leave_by(intent)
                }
            }
            Self::Paying { is_slow: true, .. } if intent == Intent::Primary => StepFlow::Exit,
            Self::Paying { is_slow: true, .. } if intent == Intent::Home => {
                StepFlow::Menu { declined: false }
            }
            Self::PinVerifying { .. } | Self::Paying { .. } => StepFlow::Stay,
        }
    }

    fn on_answer(
        &mut self,
        context: &mut StepContext<'_, '_>,
        answer: Result<WorkAnswer, Failure>,
    ) -> StepFlow {
        let Self::PinVerifying { method, .. } = self else { return StepFlow::Stay };
        let method = *method;
        match PinResult::from_answer(&answer) {
            PinResult::Verified => {
                take_pin_evidence(context);
                if let Some(method) = payment_methods(context.data, context.progress).get(method).copied() {
                    self.create_order(context, method);
                }
            }
            PinResult::Wrong { tries_left } => self.ask_pin(context, method, Some(tries_left)),
            PinResult::Locked => *self = Self::PinLocked,
            PinResult::Unsupported | PinResult::Unknown => *self = Self::PinFailed,
        }
        StepFlow::Stay
    }

    fn pending(&self) -> Option<PendingWork> {
        if let Self::PinVerifying { work, .. } = self { Some(*work) } else { None }
    }

    fn is_working(&self) -> bool {
        matches!(self, Self::PinVerifying { .. } | Self::Paying { is_slow: false, .. })
    }

    /// In the few seconds of a charge, a touch meant for something else must not leave the payment.
    fn may_leave(&self) -> bool {
        !matches!(self, Self::Paying { is_slow: false, .. })
    }

    fn deadline(&self) -> Option<MonotonicMs> {
        if let Self::Paying { slow_at, is_slow: false, .. } = self { Some(*slow_at) } else { None }
    }

    fn on_deadline(&mut self) {
        self.on_outcome_unknown();
    }

    fn is_about_order(&self, of: OrderId) -> bool {
        matches!(self, Self::Paying { order, .. } if *order == of)
    }

    fn on_outcome_unknown(&mut self) {
        if let Self::Paying { is_slow, .. } = self {
            *is_slow = true;
        }
    }

    fn place_in_bar(&self, names: &[TextId]) -> usize {
        let is_confirming = matches!(self, Self::Confirm { .. } | Self::NoMethod | Self::Suspended);
        if is_confirming { 0 } else { names.len().saturating_sub(1) }
    }

    fn content(&self, view: StepView<'_>) -> ViewContent {
        let by = view.data.identification_method;
        match self {
            Self::NoMethod => failure_content(by, TextId::NoMethod, TextId::NoMethodDetail, None),
            Self::Suspended => failure_content(by, TextId::MoneyOff, TextId::MoneyOffDetail, None),
            Self::NotPayable => {
                let (word, detail) = VisitRefusal::InvalidResponse.texts();
                failure_content(by, word, detail, Some(TextId::TryAgain))
            }
            Self::Confirm { method } => confirm_content(view, *method),
            Self::Pin { entry, .. } => entry.content(by, TextId::PinTitle, TextId::PinLead),
            Self::PinVerifying { .. } => working_content(by, TextId::PinCheck, TextId::IdentifyingDetail),
            Self::PinLocked => failure_content(by, TextId::PinLocked, TextId::PinLockedDetail, None),
            Self::PinFailed => failure_content(by, TextId::PinFailed, TextId::PinFailedDetail, None),
            Self::Paying { is_slow: false, .. } => ViewContent {
                footer: Vec::new(),
                ..working_content(by, TextId::Paying, TextId::PayingDetail)
            },
            Self::Paying { order, is_slow: true, .. } => checking_content(view, *order),
        }
    }
}

impl Pay {
    /// Handles the resident's confirmation of the amount.
    fn confirm(&mut self, context: &mut StepContext<'_, '_>, at: usize) {
        match payment_methods(context.data, context.progress).get(at) {
            Some(PaymentMethod::CardAccount) => self.ask_pin(context, at, None),
            Some(method) => self.create_order(context, *method),
            None => {}
        }
    }

    fn ask_pin(&mut self, context: &mut StepContext<'_, '_>, method: usize, tries_left: Option<u8>) {
        let entry = PinEntry::after_wrong(context.turn.entropy(), tries_left);
        *self = Self::Pin { method, entry };
    }

    fn create_order(&mut self, context: &mut StepContext<'_, '_>, method: PaymentMethod) {
        let Some((items, total)) = order_items(context.data, context.progress) else {
            *self = Self::NotPayable;
            return;
        };
        // A resident unknown to the platform cannot pay (I5): the tile is disabled in that case.
        let (Some(person), Some(key)) = (&context.data.resident, context.data.visit_key()) else { return };
        let (visit, resident) = (context.data.id, person.pseudonym);
        let doc = context.progress.doc.clone();
        let service = doc.id.clone();
        let new = NewOrder { visit, resident, key, service, items, total, method };
        let Some(order) = context.components.payments.create(context.turn, new) else {
            *self = Self::NotPayable;
            return;
        };
        context.data.orders.push(VisitOrder {
            order,
            receipt: receipt_of(order),
            total,
            settlement: None,
            is_shown: false,
            doc,
            next_step: context.progress.step_index + 1,
        });
        let limit = context.components.setup.time_limits.charge_slow_ms;
        *self = Self::Paying { order, slow_at: context.turn.now.mono.plus_ms(limit), is_slow: false };
    }
}

/// A verified PIN confirms a payment. A step-up must also report the PIN to the platform: see
/// [`step_up`](crate::front::visit::step_up).
fn take_pin_evidence(context: &mut StepContext<'_, '_>) {
    let Some(person) = &context.data.resident else { return };
    // A forged card can accept every PIN: an unauthenticated card's answer does not raise the level.
    let evidence = match person.evidence {
        Evidence::CardAuthenticated | Evidence::AuthenticatedCardPin => Evidence::AuthenticatedCardPin,
        Evidence::CardRead
        | Evidence::IdCardRead
        | Evidence::TokenConsumed
        | Evidence::CardPin
        | Evidence::OfflineCode
        | Evidence::PaperCode
        | Evidence::ChallengeAnswered => Evidence::CardPin,
    };
    let level = person.level;
    context.data.take_evidence(context.turn, evidence, level);
}

/// The payment methods that are possible in this visit.
fn payment_methods(data: &VisitData, progress: &Progress) -> Vec<PaymentMethod> {
    let Some(Step::Pay { methods, .. }) = progress.current_step() else { return Vec::new() };
    let is_possible = |method: &PaymentMethod| is_method_supported(*method, data.identification_method);
    methods.iter().copied().filter(is_possible).collect()
}

/// The items of the order to be created: the chosen rows, and their sum.
fn order_items(data: &VisitData, progress: &Progress) -> Option<(Vec<OrderItem>, Money)> {
    let Step::Pay { items: chosen, .. } = progress.current_step()? else { return None };
    let chooser = progress.doc.steps.iter().find(|step| step.id() == chosen)?;
    let Step::Choose { show, .. } = chooser else { return None };
    let declared = progress.doc.answer_schema(chosen)?;
    let field = |kind: AnswerFieldType| declared.iter().find(|(_, f)| f.kind() == kind).map(|(name, _)| name);
    let (key, amount) = (field(AnswerFieldType::Key)?, field(AnswerFieldType::Money)?);
    let title = in_language(&progress.doc.title, data.lang);
    // The name of a row: its first shown field that is not an amount. Its other fields (such as an address) appear on the
    // screen only.
    let name = |row: &CheckedRow| {
        labelled_fields(row, show, declared, data.lang)
            .find(|(_, kind, _)| *kind != AnswerFieldType::Money)
            .map(|(.., name)| name)
    };
    let items = progress
        .rows_of_step(chosen)
        .into_iter()
        .map(|row| {
            Some(OrderItem {
                key: row.get(key)?.to_string(),
                label: format!("{title} {}", name(row)?),
                payee: row.get("payee")?.to_string(),
                amount: parse_money(row.get(amount)?)?,
            })
        })
        .collect::<Option<Vec<_>>>()?;
    let total = Money::sum(items.iter().map(|item| item.amount))?;
    Some((items, total))
}

fn confirm_content(view: StepView<'_>, method: usize) -> ViewContent {
    let methods = payment_methods(view.data, view.progress);
    let (items, total) = order_items(view.data, view.progress).unwrap_or_default();
    let pair = |label: TextId, value: Text| LabelledValue { label: label.into(), value, emphasized: false };
    let mut payees: Vec<String> = items.iter().map(|item| item.payee.clone()).collect();
    payees.dedup();
    let labels: Vec<String> = items.iter().map(|item| item.label.clone()).collect();
    let chosen = methods.get(method).copied();
    let next = match chosen {
        Some(PaymentMethod::CardAccount) => TextId::ConfirmNextPin,
        Some(PaymentMethod::ResidentCode) | None => TextId::ConfirmNextPrint,
    };
    let mut pairs = vec![
        pair(TextId::ConfirmWhat, Text::Data(labels.join("\n"))),
        pair(TextId::ConfirmPayee, Text::Data(payees.join("\n"))),
    ];
    if let Some(chosen) = chosen {
        pairs.push(pair(TextId::ConfirmMethod, method_name(chosen).into()));
    }
    pairs.push(pair(TextId::ConfirmNext, next.into()));
    let cards = methods
        .iter()
        .zip(0_u8..)
        .map(|(one, at)| PaymentMethodCard {
            title: method_name(*one).into(),
            chosen: usize::from(at) == method,
            intent: Intent::ChooseMethod(at),
        })
        .collect();
    let body = Body::Confirm(Confirm {
        amount: total.to_string(),
        pairs,
        methods: if methods.len() > 1 { cards } else { Vec::new() },
        promise: TextId::ConfirmPromise.into(),
    });
    ViewContent {
        actions: vec![action(Text::With(TextId::ConfirmGo, vec![total.to_string()]), true, Intent::Primary)],
        footer: service_footer(view.data.identification_method),
        ..ViewContent::new(TextId::ConfirmTitle, body)
    }
}

fn checking_content(view: StepView<'_>, order: OrderId) -> ViewContent {
    let open = view.data.orders.iter().find(|open| open.order == order);
    let outcome = open.map_or_else(
        || plain_outcome(OutcomeKind::Checking, TextId::Checking, TextId::CheckingDetail),
        |open| payment_outcome(view.status, None, open.total, open.receipt),
    );
    ViewContent {
        lead: Some(TextId::CheckingLeave.into()),
        actions: vec![action(TextId::CheckingGo, true, Intent::Primary)],
        footer: vec![FooterButton::Home, FooterButton::Help],
        ..ViewContent::new(TextId::CheckingTitle, Body::Outcome(outcome))
    }
}
