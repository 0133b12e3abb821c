//! The service interpreter: executes the steps of a service document in order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use contract::{
    CallRequest, ConsentId, Entry, Evidence, FieldType, Method, Money, OrderItem, ReceiptId, ServiceDocument,
    Step,
};

use crate::closing::Refusal;
use crate::effect::Work;
use crate::event::{Answer, Failure};
use crate::kiosk::{Kiosk, Turn};
use crate::pin::{PinEntry, Said};
use crate::receipt::{label_of, of_record};
use crate::rows::{self, Row};
use crate::setup::method_works;
use crate::visit::{Data, Running, StepState, Task, Visit, in_lang};

const DAY_MS: u64 = 86_400_000;

impl Kiosk {
    /// Opens a service at its first step.
    pub(crate) fn open_service(&mut self, builder: &mut Turn, doc: Arc<ServiceDocument>) {
        if let Some(visit) = &mut self.visit {
            let running = Running { doc, at: 0, data: BTreeMap::new(), state: StepState::Show };
            visit.task = Task::Service(Box::new(running));
            self.enter(builder);
        }
    }

    /// Returns to the menu; data fetched by the service is wiped.
    pub(crate) fn show_menu(&mut self, declined: bool) {
        if let Some(visit) = &mut self.visit {
            visit.task = Task::Menu { declined };
            visit.idle_until = None;
        }
    }

    pub(crate) fn next_step(&mut self, builder: &mut Turn) {
        if let Some(running) = self.running_mut() {
            running.at += 1;
        }
        self.enter(builder);
    }

    pub(crate) fn running_mut(&mut self) -> Option<&mut Running> {
        match &mut self.visit.as_mut()?.task {
            Task::Service(running) => Some(running),
            Task::Reading { .. } | Task::Identifying { .. } | Task::Menu { .. } | Task::Proving(_) => None,
        }
    }

    /// Starts the current step of the service.
    pub(crate) fn enter(&mut self, builder: &mut Turn) {
        let Some(visit) = &self.visit else { return };
        let Some(running) = visit.running() else { return };
        let Some(step) = running.step().cloned() else { return self.show_menu(false) };
        let state = match step {
            Step::Consent { .. } => StepState::Consent,
            Step::Query { call, consent, .. } => return self.query(builder, call, consent.as_deref()),
            Step::Show { .. } => StepState::Show,
            Step::ShowCode { .. } => StepState::ShowCode,
            Step::ChangePin { .. } => return self.ask_old_pin(builder, None),
            Step::Choose { .. } => StepState::Choose { chosen: BTreeSet::new(), page: 0, full: false },
            Step::Pay { .. } => {
                if self.money_off {
                    StepState::MoneyOff
                } else if self.methods().is_empty() {
                    StepState::NoMethod
                } else {
                    StepState::Confirm { method: 0 }
                }
            }
            Step::Print { .. } => return self.print_record(builder),
        };
        if let Some(running) = self.running_mut() {
            running.state = state;
        }
        self.attend();
    }

    fn query(&mut self, builder: &mut Turn, operation: String, consent: Option<&str>) {
        let Some(visit) = &self.visit else { return };
        let (Some(person), Some(running)) = (&visit.person, visit.running()) else { return };
        let consent = consent.and_then(|step| running.data.get(step)).and_then(|data| match data {
            Data::Consent(id) => Some(*id),
            Data::Rows(_) | Data::Chosen(_) => None,
        });
        let service = running.doc.id.clone();
        // Without a visit key, the tile of a service that queries the platform is disabled.
        let Some(key) = person.key.clone() else { return self.show_menu(false) };
        let request = CallRequest { key, operation, consent, service };
        let (ticket, deadline) = self.start(builder, Work::Call(request));
        if let Some(running) = self.running_mut() {
            running.state = StepState::Querying { ticket, deadline };
        }
    }

    /// Handles the answer to a query, or to the verification or change of a PIN.
    pub(crate) fn on_step_answer(&mut self, builder: &mut Turn, answer: Result<Answer, Failure>) {
        let state = self.visit.as_ref().and_then(Visit::running).map(|running| &running.state);
        if let Some(StepState::PinCheck { method, .. }) = state {
            let method = *method;
            self.on_pin(builder, method, Said::of(&answer));
        } else if let Some(StepState::PinChanging { .. }) = state {
            self.on_pin_changed(builder, Said::of(&answer));
        } else {
            self.on_called(builder, answer);
        }
    }

    fn on_called(&mut self, builder: &mut Turn, answer: Result<Answer, Failure>) {
        match answer {
            Ok(Answer::Called(called)) => self.on_rows(builder, called),
            Ok(Answer::Identified(_) | Answer::Pin(_) | Answer::Evidence(_) | Answer::CardAuthority(_)) => {
                self.set_state(StepState::QueryFailed(Failure::Nonsense));
            }
            Err(Failure::Problem(contract::ProblemCode::VisitExpired)) => {
                self.refuse(builder, Refusal::VisitExpired);
            }
            Err(failure) => self.set_state(StepState::QueryFailed(failure)),
        }
    }

    pub(crate) fn set_state(&mut self, state: StepState) {
        if let Some(running) = self.running_mut() {
            running.state = state;
        }
        self.attend();
    }

    fn on_rows(&mut self, builder: &mut Turn, called: contract::CallAnswer) {
        let Some(visit) = &mut self.visit else { return };
        let visit_id = visit.id;
        let Task::Service(running) = &mut visit.task else { return };
        let Some(Step::Query { id, call, consent, answer, many, none, .. }) =
            running.doc.steps.get(running.at).cloned()
        else {
            return;
        };
        let Some(rows) = rows::checked(called, &answer, many) else {
            return self.set_state(StepState::QueryFailed(Failure::Nonsense));
        };
        let consent = consent.and_then(|step| match running.data.get(&step) {
            Some(Data::Consent(id)) => Some(*id),
            Some(Data::Rows(_) | Data::Chosen(_)) | None => None,
        });
        builder.out.record(Entry::Queried {
            visit: visit_id,
            service: running.doc.id.clone(),
            call,
            consent,
            rows: u32::try_from(rows.len()).unwrap_or(u32::MAX),
        });
        if rows.is_empty() {
            return self.set_state(StepState::Nothing(none));
        }
        running.data.insert(id, Data::Rows(rows));
        self.next_step(builder);
    }

    /// Handles the resident's consent: it is recorded before any data is fetched (I4).
    pub(crate) fn agree(&mut self, builder: &mut Turn) {
        let Some(visit) = &mut self.visit else { return };
        let (Some(person), Task::Service(running)) = (&visit.person, &mut visit.task) else { return };
        let Some(Step::Consent { id, purpose, items, recipient, days }) =
            running.doc.steps.get(running.at).cloned()
        else {
            return;
        };
        let consent = ConsentId::from_entropy(builder.draw.next());
        let lang = visit.lang;
        // A consent for this visit only ends with the platform's visit, which lasts a day at most.
        let until = builder.now.wall.plus_ms(u64::from(days.max(1)) * DAY_MS);
        builder.out.record(Entry::Consented {
            consent,
            visit: visit.id,
            resident: person.resident,
            service: running.doc.id.clone(),
            version: running.doc.version,
            purpose: in_lang(&purpose, lang).to_owned(),
            items: items.iter().map(|item| in_lang(item, lang).to_owned()).collect(),
            recipient: in_lang(&recipient, lang).to_owned(),
            until,
        });
        running.data.insert(id, Data::Consent(consent));
        self.next_step(builder);
    }

    pub(crate) fn decline(&mut self, builder: &mut Turn) {
        if let Some(visit) = &self.visit
            && let Some(running) = visit.running()
        {
            builder.out.record(Entry::ConsentDeclined { visit: visit.id, service: running.doc.id.clone() });
        }
        self.show_menu(true);
    }

    /// Stores the chosen rows and continues; does nothing when none is chosen.
    pub(crate) fn take_choice(&mut self, builder: &mut Turn) {
        let Some(running) = self.running_mut() else { return };
        let Some(id) = running.step().map(|step| step.id().to_owned()) else { return };
        let StepState::Choose { chosen, .. } = &running.state else { return };
        if chosen.is_empty() {
            return;
        }
        let chosen = chosen.iter().copied().collect();
        running.data.insert(id, Data::Chosen(chosen));
        self.next_step(builder);
    }

    /// The payment methods that are possible in this visit.
    pub(crate) fn methods(&self) -> Vec<Method> {
        let Some(visit) = &self.visit else { return Vec::new() };
        let Some(Step::Pay { methods, .. }) = visit.running().and_then(Running::step) else {
            return Vec::new();
        };
        methods.iter().copied().filter(|method| method_works(*method, visit.way)).collect()
    }

    /// The items of the order to be created: the chosen rows, and their sum.
    pub(crate) fn order(&self) -> Option<(Vec<OrderItem>, Money)> {
        let visit = self.visit.as_ref()?;
        let running = visit.running()?;
        let Step::Pay { items: chosen, .. } = running.step()? else { return None };
        let chooser = running.doc.steps.iter().find(|step| step.id() == chosen)?;
        let Step::Choose { show, .. } = chooser else { return None };
        let declared = running.doc.answer_of(chosen)?;
        let field = |kind: FieldType| declared.iter().find(|(_, f)| f.kind() == kind).map(|(name, _)| name);
        let (key, amount) = (field(FieldType::Key)?, field(FieldType::Money)?);
        let title = in_lang(&running.doc.title, visit.lang);
        let items = running
            .rows(chosen)
            .into_iter()
            .map(|row| {
                Some(OrderItem {
                    key: row.get(key)?.to_string(),
                    label: format!("{title} {}", named(row, show, declared, visit.lang)?),
                    payee: row.get("payee")?.to_string(),
                    amount: rows::money(row.get(amount)?)?,
                })
            })
            .collect::<Option<Vec<_>>>()?;
        let total = Money::sum(items.iter().map(|item| item.amount))?;
        Some((items, total))
    }

    /// Handles the resident's confirmation of the amount.
    pub(crate) fn confirm(&mut self, builder: &mut Turn, at: usize) {
        match self.methods().get(at) {
            Some(Method::CardAccount) => self.ask_pin(builder, at, None),
            Some(method) => self.pay(builder, *method),
            None => {}
        }
    }

    fn pay(&mut self, builder: &mut Turn, method: Method) {
        match self.order() {
            Some((items, total)) => self.intend(builder, method, items, total),
            // The sum is beyond the limits, or the rows are no bills: nothing is charged.
            None => self.set_state(StepState::QueryFailed(Failure::Nonsense)),
        }
    }

    fn ask_pin(&mut self, builder: &mut Turn, method: usize, tries_left: Option<u8>) {
        let entry = PinEntry::after_wrong(&mut builder.draw, tries_left);
        self.set_state(StepState::Pin { method, entry });
    }

    /// Sends a complete PIN to the card for verification.
    pub(crate) fn check_pin(&mut self, builder: &mut Turn) {
        let Some(running) = self.running_mut() else { return };
        let StepState::Pin { method, entry } = &mut running.state else { return };
        let (method, Some(pin)) = (*method, entry.take()) else { return };
        let (ticket, deadline) = self.start(builder, Work::VerifyPin(pin));
        self.set_state(StepState::PinCheck { method, ticket, deadline });
    }

    fn on_pin(&mut self, builder: &mut Turn, method: usize, result: Said) {
        let Some(visit) = &mut self.visit else { return };
        match result {
            Said::Yes => {
                if let Some(person) = &mut visit.person {
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
                    builder.out.record(Entry::EvidenceGiven {
                        visit: visit.id,
                        evidence,
                        level: person.level,
                    });
                }
                if let Some(method) = self.methods().get(method).copied() {
                    self.pay(builder, method);
                }
            }
            Said::Wrong { tries_left } => self.ask_pin(builder, method, Some(tries_left)),
            Said::Locked => self.set_state(StepState::PinLocked),
            Said::No | Said::Nothing => self.set_state(StepState::PinFailed),
        }
    }

    /// Prints the data that was shown. The receipt of a payment is issued when the order is settled, not here.
    fn print_record(&mut self, builder: &mut Turn) {
        let receipt = ReceiptId::from_entropy(builder.draw.next());
        let setup = Arc::clone(&self.setup);
        let Some(visit) = &self.visit else { return };
        let (Some(person), Some(running)) = (&visit.person, visit.running()) else { return };
        let printed = of_record(&setup, running, person, receipt, builder.now.wall, visit.lang);
        let visit = visit.id;
        match printed {
            Some(printed) => {
                self.promise(builder, receipt, visit, None, printed, true);
                self.set_state(StepState::Printing { receipt });
            }
            None => self.show_menu(false),
        }
    }
}

/// The name of a row on a receipt and in the confirmation: its first shown field that is not an amount.
/// The other fields of a row (such as an address) appear on the screen only.
fn named(row: &Row, show: &[String], declared: &contract::Answer, lang: view::Lang) -> Option<String> {
    labelled(row, show, declared, lang).find(|(_, kind, _)| *kind != FieldType::Money).map(|(.., name)| name)
}

/// The labelled fields of a row in the order of `show`.
pub(crate) fn labelled<'a>(
    row: &'a Row,
    show: &'a [String],
    declared: &'a contract::Answer,
    lang: view::Lang,
) -> impl Iterator<Item = (&'a str, FieldType, String)> {
    show.iter().filter_map(move |name| {
        let contract::Field::Labelled(label) = declared.get(name)? else { return None };
        let value = row.get(name)?;
        Some((label_of(label, lang), label.kind, rows::shown(label.kind, value, lang)))
    })
}
