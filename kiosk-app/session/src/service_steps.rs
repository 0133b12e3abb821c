//! The service interpreter: executes the steps of a service document in order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use contract::{
    AnswerFieldType, CallRequest, ConsentId, Entry, Evidence, Money, OrderItem, PaymentMethod, ReceiptId,
    ServiceDocument, Step,
};

use crate::effect::Work;
use crate::event::{Failure, WorkAnswer};
use crate::kiosk::{Kiosk, TransitionBuilder};
use crate::notice::VisitRefusal;
use crate::pin::{PinEntry, PinResult};
use crate::receipt::{label_of, service_printout};
use crate::rows::{self, CheckedRow};
use crate::setup::is_method_supported;
use crate::visit::{RunningService, StepData, StepState, Task, Visit, in_language};

const DAY_MS: u64 = 86_400_000;

impl Kiosk {
    /// Opens a service at its first step.
    pub(crate) fn open_service(&mut self, builder: &mut TransitionBuilder, doc: Arc<ServiceDocument>) {
        if let Some(visit) = &mut self.visit {
            let running =
                RunningService { doc, step_index: 0, step_data: BTreeMap::new(), state: StepState::Show };
            visit.task = Task::Service(Box::new(running));
            self.enter_step(builder);
        }
    }

    /// Returns to the menu; data fetched by the service is wiped.
    pub(crate) fn show_menu(&mut self, declined: bool) {
        if let Some(visit) = &mut self.visit {
            visit.task = Task::Menu { declined };
            visit.idle_until = None;
        }
    }

    pub(crate) fn next_step(&mut self, builder: &mut TransitionBuilder) {
        if let Some(running) = self.running_service_mut() {
            running.step_index += 1;
        }
        self.enter_step(builder);
    }

    pub(crate) fn running_service_mut(&mut self) -> Option<&mut RunningService> {
        match &mut self.visit.as_mut()?.task {
            Task::Service(running) => Some(running),
            Task::Reading { .. } | Task::Identifying { .. } | Task::Menu { .. } | Task::StepUp(_) => None,
        }
    }

    /// Starts the current step of the service.
    pub(crate) fn enter_step(&mut self, builder: &mut TransitionBuilder) {
        let Some(visit) = &self.visit else { return };
        let Some(running) = visit.running_service() else { return };
        let Some(step) = running.current_step().cloned() else { return self.show_menu(false) };
        let state = match step {
            Step::Consent { .. } => StepState::Consent,
            Step::Query { call, consent, .. } => return self.start_query(builder, call, consent.as_deref()),
            Step::Show { .. } => StepState::Show,
            Step::ShowCode { .. } => StepState::ShowCode,
            Step::ChangePin { .. } => return self.ask_current_pin(builder, None),
            Step::Choose { .. } => StepState::Choose { chosen: BTreeSet::new(), page: 0, full: false },
            Step::Pay { .. } => {
                if self.payments_suspended {
                    StepState::PaymentsSuspended
                } else if self.payment_methods().is_empty() {
                    StepState::NoPaymentMethod
                } else {
                    StepState::Confirm { method: 0 }
                }
            }
            Step::Print { .. } => return self.print_service_data(builder),
        };
        if let Some(running) = self.running_service_mut() {
            running.state = state;
        }
        self.reset_idle_timer();
    }

    fn start_query(&mut self, builder: &mut TransitionBuilder, operation: String, consent: Option<&str>) {
        let Some(visit) = &self.visit else { return };
        let (Some(person), Some(running)) = (&visit.resident, visit.running_service()) else { return };
        let consent = consent.and_then(|step| running.step_data.get(step)).and_then(|data| match data {
            StepData::Consent(id) => Some(*id),
            StepData::Rows(_) | StepData::Chosen(_) => None,
        });
        let service = running.doc.id.clone();
        // Without a visit key, the tile of a service that queries the platform is disabled.
        let Some(key) = person.visit_key.clone() else { return self.show_menu(false) };
        let request = CallRequest { key, operation, consent, service };
        let (ticket, deadline) = self.start_work(builder, Work::CallOperation(request));
        if let Some(running) = self.running_service_mut() {
            running.state = StepState::Querying { ticket, deadline };
        }
    }

    /// Handles the answer to a query, or to the verification or change of a PIN.
    pub(crate) fn on_step_answer(
        &mut self,
        builder: &mut TransitionBuilder,
        answer: Result<WorkAnswer, Failure>,
    ) {
        let state = self.visit.as_ref().and_then(Visit::running_service).map(|running| &running.state);
        if let Some(StepState::PinVerifying { method, .. }) = state {
            let method = *method;
            self.on_payment_pin_result(builder, method, PinResult::from_answer(&answer));
        } else if let Some(StepState::PinChanging { .. }) = state {
            self.on_pin_change_result(builder, PinResult::from_answer(&answer));
        } else {
            self.on_call_answer(builder, answer);
        }
    }

    fn on_call_answer(&mut self, builder: &mut TransitionBuilder, answer: Result<WorkAnswer, Failure>) {
        match answer {
            Ok(WorkAnswer::CallAnswered(called)) => self.on_rows(builder, called),
            Ok(
                WorkAnswer::Identified(_)
                | WorkAnswer::Pin(_)
                | WorkAnswer::Evidence(_)
                | WorkAnswer::CardAuthority(_),
            ) => {
                self.set_step_state(StepState::QueryFailed(Failure::InvalidResponse));
            }
            Err(Failure::Problem(contract::ProblemCode::VisitExpired)) => {
                self.refuse_visit(builder, VisitRefusal::VisitExpired);
            }
            Err(failure) => self.set_step_state(StepState::QueryFailed(failure)),
        }
    }

    pub(crate) fn set_step_state(&mut self, state: StepState) {
        if let Some(running) = self.running_service_mut() {
            running.state = state;
        }
        self.reset_idle_timer();
    }

    fn on_rows(&mut self, builder: &mut TransitionBuilder, called: contract::CallAnswer) {
        let Some(visit) = &mut self.visit else { return };
        let visit_id = visit.id;
        let Task::Service(running) = &mut visit.task else { return };
        let Some(Step::Query { id, call, consent, answer, many, none, .. }) =
            running.doc.steps.get(running.step_index).cloned()
        else {
            return;
        };
        let Some(rows) = rows::validate_rows(called, &answer, many) else {
            return self.set_step_state(StepState::QueryFailed(Failure::InvalidResponse));
        };
        let consent = consent.and_then(|step| match running.step_data.get(&step) {
            Some(StepData::Consent(id)) => Some(*id),
            Some(StepData::Rows(_) | StepData::Chosen(_)) | None => None,
        });
        builder.record(
            &mut self.durable,
            Entry::Queried {
                visit: visit_id,
                service: running.doc.id.clone(),
                call,
                consent,
                rows: u32::try_from(rows.len()).unwrap_or(u32::MAX),
            },
        );
        if rows.is_empty() {
            return self.set_step_state(StepState::NothingFound(none));
        }
        running.step_data.insert(id, StepData::Rows(rows));
        self.next_step(builder);
    }

    /// Handles the resident's consent: it is recorded before any data is fetched (I4).
    pub(crate) fn give_consent(&mut self, builder: &mut TransitionBuilder) {
        let Some(visit) = &mut self.visit else { return };
        let (Some(person), Task::Service(running)) = (&visit.resident, &mut visit.task) else { return };
        let Some(Step::Consent { id, purpose, items, recipient, days }) =
            running.doc.steps.get(running.step_index).cloned()
        else {
            return;
        };
        let consent = ConsentId::from_entropy(builder.entropy.next_u128());
        let lang = visit.lang;
        // A consent for this visit only ends with the platform's visit, which lasts a day at most.
        let until = builder.now.wall.plus_ms(u64::from(days.max(1)) * DAY_MS);
        builder.record(
            &mut self.durable,
            Entry::Consented {
                consent,
                visit: visit.id,
                resident: person.pseudonym,
                service: running.doc.id.clone(),
                version: running.doc.version,
                purpose: in_language(&purpose, lang).to_owned(),
                items: items.iter().map(|item| in_language(item, lang).to_owned()).collect(),
                recipient: in_language(&recipient, lang).to_owned(),
                until,
            },
        );
        running.step_data.insert(id, StepData::Consent(consent));
        self.next_step(builder);
    }

    pub(crate) fn decline_consent(&mut self, builder: &mut TransitionBuilder) {
        if let Some(visit) = &self.visit
            && let Some(running) = visit.running_service()
        {
            builder.record(
                &mut self.durable,
                Entry::ConsentDeclined { visit: visit.id, service: running.doc.id.clone() },
            );
        }
        self.show_menu(true);
    }

    /// Stores the chosen rows and continues; does nothing when none is chosen.
    pub(crate) fn finish_choice(&mut self, builder: &mut TransitionBuilder) {
        let Some(running) = self.running_service_mut() else { return };
        let Some(id) = running.current_step().map(|step| step.id().to_owned()) else { return };
        let StepState::Choose { chosen, .. } = &running.state else { return };
        if chosen.is_empty() {
            return;
        }
        let chosen = chosen.iter().copied().collect();
        running.step_data.insert(id, StepData::Chosen(chosen));
        self.next_step(builder);
    }

    /// The payment methods that are possible in this visit.
    pub(crate) fn payment_methods(&self) -> Vec<PaymentMethod> {
        let Some(visit) = &self.visit else { return Vec::new() };
        let Some(Step::Pay { methods, .. }) = visit.running_service().and_then(RunningService::current_step)
        else {
            return Vec::new();
        };
        methods
            .iter()
            .copied()
            .filter(|method| is_method_supported(*method, visit.identification_method))
            .collect()
    }

    /// The items of the order to be created: the chosen rows, and their sum.
    pub(crate) fn order_items(&self) -> Option<(Vec<OrderItem>, Money)> {
        let visit = self.visit.as_ref()?;
        let running = visit.running_service()?;
        let Step::Pay { items: chosen, .. } = running.current_step()? else { return None };
        let chooser = running.doc.steps.iter().find(|step| step.id() == chosen)?;
        let Step::Choose { show, .. } = chooser else { return None };
        let declared = running.doc.answer_schema(chosen)?;
        let field =
            |kind: AnswerFieldType| declared.iter().find(|(_, f)| f.kind() == kind).map(|(name, _)| name);
        let (key, amount) = (field(AnswerFieldType::Key)?, field(AnswerFieldType::Money)?);
        let title = in_language(&running.doc.title, visit.lang);
        let items = running
            .rows_of_step(chosen)
            .into_iter()
            .map(|row| {
                Some(OrderItem {
                    key: row.get(key)?.to_string(),
                    label: format!("{title} {}", row_name(row, show, declared, visit.lang)?),
                    payee: row.get("payee")?.to_string(),
                    amount: rows::parse_money(row.get(amount)?)?,
                })
            })
            .collect::<Option<Vec<_>>>()?;
        let total = Money::sum(items.iter().map(|item| item.amount))?;
        Some((items, total))
    }

    /// Handles the resident's confirmation of the amount.
    pub(crate) fn confirm_payment(&mut self, builder: &mut TransitionBuilder, at: usize) {
        match self.payment_methods().get(at) {
            Some(PaymentMethod::CardAccount) => self.ask_payment_pin(builder, at, None),
            Some(method) => self.pay_by(builder, *method),
            None => {}
        }
    }

    fn pay_by(&mut self, builder: &mut TransitionBuilder, method: PaymentMethod) {
        match self.order_items() {
            Some((items, total)) => self.create_order(builder, method, items, total),
            // The sum is beyond the limits, or the rows are no bills: nothing is charged.
            None => self.set_step_state(StepState::QueryFailed(Failure::InvalidResponse)),
        }
    }

    fn ask_payment_pin(&mut self, builder: &mut TransitionBuilder, method: usize, tries_left: Option<u8>) {
        let entry = PinEntry::after_wrong(&mut builder.entropy, tries_left);
        self.set_step_state(StepState::Pin { method, entry });
    }

    /// Sends a complete PIN to the card for verification.
    pub(crate) fn verify_payment_pin(&mut self, builder: &mut TransitionBuilder) {
        let Some(running) = self.running_service_mut() else { return };
        let StepState::Pin { method, entry } = &mut running.state else { return };
        let (method, Some(pin)) = (*method, entry.take_pin()) else { return };
        let (ticket, deadline) = self.start_work(builder, Work::VerifyPin(pin));
        self.set_step_state(StepState::PinVerifying { method, ticket, deadline });
    }

    fn on_payment_pin_result(&mut self, builder: &mut TransitionBuilder, method: usize, result: PinResult) {
        let Some(visit) = &mut self.visit else { return };
        match result {
            PinResult::Verified => {
                if let Some(person) = &mut visit.resident {
                    // A forged card can accept every PIN: an unauthenticated card's answer does not raise the level.
                    let evidence = match person.evidence {
                        Evidence::CardAuthenticated | Evidence::AuthenticatedCardPin => {
                            Evidence::AuthenticatedCardPin
                        }
                        Evidence::CardRead
                        | Evidence::IdCardRead
                        | Evidence::TokenConsumed
                        | Evidence::CardPin
                        | Evidence::OfflineCode
                        | Evidence::PaperCode
                        | Evidence::ChallengeAnswered => Evidence::CardPin,
                    };
                    person.evidence = evidence;
                    // This PIN confirms a payment. A step-up must also report the PIN to the platform: see
                    // `crate::pin`.
                    builder.record(
                        &mut self.durable,
                        Entry::EvidenceGiven { visit: visit.id, evidence, level: person.level },
                    );
                }
                if let Some(method) = self.payment_methods().get(method).copied() {
                    self.pay_by(builder, method);
                }
            }
            PinResult::Wrong { tries_left } => self.ask_payment_pin(builder, method, Some(tries_left)),
            PinResult::Locked => self.set_step_state(StepState::PinLocked),
            PinResult::Unsupported | PinResult::Unknown => self.set_step_state(StepState::PinFailed),
        }
    }

    /// Prints the data that was shown. The receipt of a payment is issued when the order is settled, not here.
    fn print_service_data(&mut self, builder: &mut TransitionBuilder) {
        let receipt = ReceiptId::from_entropy(builder.entropy.next_u128());
        let setup = Arc::clone(&self.setup);
        let Some(visit) = &self.visit else { return };
        let (Some(person), Some(running)) = (&visit.resident, visit.running_service()) else { return };
        let printed = service_printout(&setup, running, person, receipt, builder.now.wall, visit.lang);
        let visit = visit.id;
        match printed {
            Some(printed) => {
                self.issue_print_job(builder, receipt, visit, None, printed, true);
                self.set_step_state(StepState::Printing { receipt });
            }
            None => self.show_menu(false),
        }
    }
}

/// The name of a row on a receipt and in the confirmation: its first shown field that is not an amount.
/// The other fields of a row (such as an address) appear on the screen only.
fn row_name(
    row: &CheckedRow,
    show: &[String],
    declared: &contract::AnswerSchema,
    lang: view::Lang,
) -> Option<String> {
    labelled_fields(row, show, declared, lang)
        .find(|(_, kind, _)| *kind != AnswerFieldType::Money)
        .map(|(.., name)| name)
}

/// The labelled fields of a row in the order of `show`.
pub(crate) fn labelled_fields<'a>(
    row: &'a CheckedRow,
    show: &'a [String],
    declared: &'a contract::AnswerSchema,
    lang: view::Lang,
) -> impl Iterator<Item = (&'a str, AnswerFieldType, String)> {
    show.iter().filter_map(move |name| {
        let contract::AnswerField::Labelled(label) = declared.get(name)? else { return None };
        let value = row.get(name)?;
        Some((label_of(label, lang), label.kind, rows::display_value(label.kind, value, lang)))
    })
}
