//! One visit of one resident. All data in here is dropped with the visit (I3).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use contract::{
    Bilingual, ConsentId, Evidence, IdentificationMethod, Level, OrderId, Pseudonym, ReceiptId,
    ServiceDocument, Settlement, Step, VisitId, VisitKey,
};
use view::{Lang, Theme};
use zeroize::Zeroizing;

use crate::code_verification::LocallyVerifiedCode;
use crate::effect::Ticket;
use crate::event::{Failure, MonotonicMs};
use crate::pin::PinEntry;
use crate::pin_change::{PinChange, PinChangeFailure};
use crate::rows::CheckedRow;
use crate::step_up::{ProofMethod, StepUp};

/// A visit (办理), from the insertion of the card or the acceptance of the code to its end.
pub(crate) struct Visit {
    pub(crate) id: VisitId,
    pub(crate) identification_method: IdentificationMethod,
    pub(crate) resident: Option<IdentifiedResident>,
    /// The code that the visit began with, when the kiosk verified it itself.
    pub(crate) verified_code: Option<LocallyVerifiedCode>,
    /// The card was authenticated.
    pub(crate) card_authenticated: bool,
    /// A record names this visit, so its end must be recorded too.
    pub(crate) recorded: bool,
    pub(crate) task: Task,
    pub(crate) lang: Lang,
    pub(crate) theme: Theme,
    /// When the visit ends by idle timeout; none while work is pending.
    pub(crate) idle_until: Option<MonotonicMs>,
    /// Until when the confirmation of a call for help is shown.
    pub(crate) help_until: Option<MonotonicMs>,
}

/// The resident of the visit. No `Debug`, no `Serialize`; wiped on drop. For the holder of a code that was verified
/// without the platform, name and ID number are empty and there is no visit key.
pub(crate) struct IdentifiedResident {
    pub(crate) name: Zeroizing<String>,
    pub(crate) id_number: Zeroizing<String>,
    pub(crate) visit_key: Option<VisitKey>,
    pub(crate) pseudonym: Pseudonym,
    pub(crate) evidence: Evidence,
    pub(crate) level: Level,
}

/// Activity of the visit.
pub(crate) enum Task {
    /// The card is being read; with a ticket while the platform is asked to authenticate the card.
    Reading { authority_ticket: Option<Ticket>, deadline: MonotonicMs },
    /// The platform is being asked to identify the resident.
    Identifying { ticket: Ticket, deadline: MonotonicMs },
    /// The menu is shown.
    Menu { declined: bool },
    /// The resident is raising the level of the visit.
    StepUp(Box<StepUp>),
    /// A service runs.
    Service(Box<RunningService>),
}

/// A service at one of its steps.
pub(crate) struct RunningService {
    pub(crate) doc: Arc<ServiceDocument>,
    pub(crate) step_index: usize,
    /// Results of earlier steps, by step id.
    pub(crate) step_data: BTreeMap<String, StepData>,
    pub(crate) state: StepState,
}

/// Result of a finished step.
pub(crate) enum StepData {
    Consent(ConsentId),
    Rows(Vec<CheckedRow>),
    /// Indices into the rows of the query it chose from.
    Chosen(Vec<usize>),
}

/// State of the current step.
pub(crate) enum StepState {
    Consent,
    Querying {
        ticket: Ticket,
        deadline: MonotonicMs,
    },
    QueryFailed(Failure),
    NothingFound(Bilingual),
    Show,
    ShowCode,
    Choose {
        chosen: BTreeSet<usize>,
        page: usize,
        full: bool,
    },
    NoPaymentMethod,
    PaymentsSuspended,
    Confirm {
        method: usize,
    },
    Pin {
        method: usize,
        entry: PinEntry,
    },
    PinVerifying {
        method: usize,
        ticket: Ticket,
        deadline: MonotonicMs,
    },
    PinLocked,
    PinFailed,
    PinChangeEntry(Box<PinChange>),
    PinChanging {
        ticket: Ticket,
        deadline: MonotonicMs,
    },
    PinChanged,
    PinChangeFailed(PinChangeFailure),
    Paying {
        order: OrderId,
        slow_at: MonotonicMs,
        slow: bool,
    },
    /// The outcome of the order is known.
    Settled {
        settlement: Settlement,
        total: contract::Money,
        receipt: ReceiptId,
    },
    /// A receipt without payment.
    Printing {
        receipt: ReceiptId,
    },
}

impl StepState {
    /// The PIN entry of this state, if it has one.
    pub(crate) fn pin_entry(&self) -> Option<&PinEntry> {
        if let Self::Pin { entry, .. } = self {
            Some(entry)
        } else if let Self::PinChangeEntry(pin) = self {
            Some(&pin.entry)
        } else {
            None
        }
    }

    pub(crate) fn pin_entry_mut(&mut self) -> Option<&mut PinEntry> {
        if let Self::Pin { entry, .. } = self {
            Some(entry)
        } else if let Self::PinChangeEntry(pin) = self {
            Some(&mut pin.entry)
        } else {
            None
        }
    }
}

impl RunningService {
    pub(crate) fn current_step(&self) -> Option<&Step> {
        self.doc.steps.get(self.step_index)
    }

    /// The rows that a step refers to: those of its own query, or those chosen from it.
    pub(crate) fn rows_of_step(&self, step: &str) -> Vec<&CheckedRow> {
        let from = self.doc.steps.iter().find(|s| s.id() == step).and_then(|s| match s {
            Step::Choose { from, .. } => Some(from.as_str()),
            Step::Consent { .. }
            | Step::Query { .. }
            | Step::Show { .. }
            | Step::ShowCode { .. }
            | Step::ChangePin { .. }
            | Step::Pay { .. }
            | Step::Print { .. } => None,
        });
        match (self.step_data.get(step), from.and_then(|query| self.step_data.get(query))) {
            (Some(StepData::Rows(rows)), _) => rows.iter().collect(),
            (Some(StepData::Chosen(chosen)), Some(StepData::Rows(rows))) => {
                chosen.iter().filter_map(|at| rows.get(*at)).collect()
            }
            _ => Vec::new(),
        }
    }
}

impl Visit {
    /// True while work is pending: nothing can be touched, and the idle timer is stopped.
    pub(crate) fn is_working(&self) -> bool {
        match &self.task {
            Task::Reading { .. } | Task::Identifying { .. } => true,
            Task::Menu { .. } => false,
            Task::StepUp(step_up) => step_up.pending.is_some(),
            Task::Service(running) => match &running.state {
                StepState::Querying { .. }
                | StepState::PinVerifying { .. }
                | StepState::PinChanging { .. } => true,
                StepState::Paying { slow, .. } => !slow,
                StepState::Consent
                | StepState::QueryFailed(_)
                | StepState::NothingFound(_)
                | StepState::Show
                | StepState::ShowCode
                | StepState::Choose { .. }
                | StepState::NoPaymentMethod
                | StepState::PaymentsSuspended
                | StepState::Confirm { .. }
                | StepState::Pin { .. }
                | StepState::PinLocked
                | StepState::PinFailed
                | StepState::PinChangeEntry(_)
                | StepState::PinChanged
                | StepState::PinChangeFailed(_)
                | StepState::Settled { .. }
                | StepState::Printing { .. } => false,
            },
        }
    }

    /// Ticket and deadline of the work that this visit waits for. A card being read has a deadline without a ticket.
    pub(crate) fn pending_work(&self) -> Option<(Option<Ticket>, MonotonicMs)> {
        match &self.task {
            Task::Reading { authority_ticket: authority, deadline } => Some((*authority, *deadline)),
            Task::Identifying { ticket, deadline } => Some((Some(*ticket), *deadline)),
            Task::Menu { .. } => None,
            Task::StepUp(step_up) => step_up.pending.map(|(ticket, deadline)| (Some(ticket), deadline)),
            Task::Service(running) => match &running.state {
                StepState::Querying { ticket, deadline }
                | StepState::PinVerifying { ticket, deadline, .. }
                | StepState::PinChanging { ticket, deadline } => Some((Some(*ticket), *deadline)),
                StepState::Consent
                | StepState::QueryFailed(_)
                | StepState::NothingFound(_)
                | StepState::Show
                | StepState::ShowCode
                | StepState::Choose { .. }
                | StepState::NoPaymentMethod
                | StepState::PaymentsSuspended
                | StepState::Confirm { .. }
                | StepState::Pin { .. }
                | StepState::PinLocked
                | StepState::PinFailed
                | StepState::PinChangeEntry(_)
                | StepState::PinChanged
                | StepState::PinChangeFailed(_)
                | StepState::Paying { .. }
                | StepState::Settled { .. }
                | StepState::Printing { .. } => None,
            },
        }
    }

    /// True while the resident is expected to use a phone and so does not touch the screen.
    pub(crate) fn is_using_phone(&self) -> bool {
        match &self.task {
            Task::StepUp(step_up) => matches!(step_up.method, ProofMethod::Phone { .. }),
            Task::Service(running) => matches!(running.state, StepState::ShowCode),
            Task::Reading { .. } | Task::Identifying { .. } | Task::Menu { .. } => false,
        }
    }

    pub(crate) fn running_service(&self) -> Option<&RunningService> {
        match &self.task {
            Task::Service(running) => Some(running),
            Task::Reading { .. } | Task::Identifying { .. } | Task::Menu { .. } | Task::StepUp(_) => None,
        }
    }
}

/// The text of a service document in this language.
pub(crate) fn in_language(words: &Bilingual, lang: Lang) -> &str {
    match lang {
        Lang::Zh => &words.zh,
        Lang::En => &words.en,
    }
}
