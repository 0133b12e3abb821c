//! One visit of one resident. All data in here is dropped with the visit (I3).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use contract::{
    Bilingual, ConsentId, Evidence, Level, OrderId, Pseudonym, ReceiptId, ServiceDocument, Settlement, Step,
    VisitId, VisitKey, Way,
};
use view::{Lang, Theme};
use zeroize::Zeroizing;

use crate::code::Verified;
use crate::effect::Ticket;
use crate::event::{Failure, Mono};
use crate::new_pin::{NewPin, Unchanged};
use crate::pin::PinEntry;
use crate::prove::{By, Proving};
use crate::rows::Row;

/// A visit (办理), from the insertion of the card or the acceptance of the code to its end.
pub(crate) struct Visit {
    pub(crate) id: VisitId,
    pub(crate) way: Way,
    pub(crate) person: Option<Person>,
    /// The code that the visit began with, when the kiosk verified it itself.
    pub(crate) code: Option<Verified>,
    /// The card was authenticated.
    pub(crate) authenticated: bool,
    /// A record names this visit, so its end must be recorded too.
    pub(crate) recorded: bool,
    pub(crate) task: Task,
    pub(crate) lang: Lang,
    pub(crate) theme: Theme,
    /// When the visit ends by idle timeout; none while work is pending.
    pub(crate) idle_until: Option<Mono>,
    /// Until when the confirmation of a call for help is shown.
    pub(crate) help_until: Option<Mono>,
}

/// The resident of the visit. No `Debug`, no `Serialize`; wiped on drop. For the holder of a code that was verified
/// without the platform, name and ID number are empty and there is no visit key.
pub(crate) struct Person {
    pub(crate) name: Zeroizing<String>,
    pub(crate) id_number: Zeroizing<String>,
    pub(crate) key: Option<VisitKey>,
    pub(crate) resident: Pseudonym,
    pub(crate) evidence: Evidence,
    pub(crate) level: Level,
}

/// Activity of the visit.
pub(crate) enum Task {
    /// The card is being read; with a ticket while the platform is asked to authenticate the card.
    Reading { authority: Option<Ticket>, deadline: Mono },
    /// The platform is being asked to identify the resident.
    Identifying { ticket: Ticket, deadline: Mono },
    /// The menu is shown.
    Menu { declined: bool },
    /// The resident is raising the level of the visit.
    Proving(Box<Proving>),
    /// A service runs.
    Service(Box<Running>),
}

/// A service at one of its steps.
pub(crate) struct Running {
    pub(crate) doc: Arc<ServiceDocument>,
    pub(crate) at: usize,
    /// Results of earlier steps, by step id.
    pub(crate) data: BTreeMap<String, Data>,
    pub(crate) state: StepState,
}

/// Result of a finished step.
pub(crate) enum Data {
    Consent(ConsentId),
    Rows(Vec<Row>),
    /// Indices into the rows of the query it chose from.
    Chosen(Vec<usize>),
}

/// State of the current step.
pub(crate) enum StepState {
    Consent,
    Querying {
        ticket: Ticket,
        deadline: Mono,
    },
    QueryFailed(Failure),
    Nothing(Bilingual),
    Show,
    ShowCode,
    Choose {
        chosen: BTreeSet<usize>,
        page: usize,
        full: bool,
    },
    NoMethod,
    MoneyOff,
    Confirm {
        method: usize,
    },
    Pin {
        method: usize,
        entry: PinEntry,
    },
    PinCheck {
        method: usize,
        ticket: Ticket,
        deadline: Mono,
    },
    PinLocked,
    PinFailed,
    NewPin(Box<NewPin>),
    PinChanging {
        ticket: Ticket,
        deadline: Mono,
    },
    PinChanged,
    PinNotChanged(Unchanged),
    Paying {
        order: OrderId,
        slow_at: Mono,
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
    pub(crate) fn pad(&self) -> Option<&PinEntry> {
        if let Self::Pin { entry, .. } = self {
            Some(entry)
        } else if let Self::NewPin(pin) = self {
            Some(&pin.entry)
        } else {
            None
        }
    }

    pub(crate) fn pad_mut(&mut self) -> Option<&mut PinEntry> {
        if let Self::Pin { entry, .. } = self {
            Some(entry)
        } else if let Self::NewPin(pin) = self {
            Some(&mut pin.entry)
        } else {
            None
        }
    }
}

impl Running {
    pub(crate) fn step(&self) -> Option<&Step> {
        self.doc.steps.get(self.at)
    }

    /// The rows that a step refers to: those of its own query, or those chosen from it.
    pub(crate) fn rows(&self, step: &str) -> Vec<&Row> {
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
        match (self.data.get(step), from.and_then(|query| self.data.get(query))) {
            (Some(Data::Rows(rows)), _) => rows.iter().collect(),
            (Some(Data::Chosen(chosen)), Some(Data::Rows(rows))) => {
                chosen.iter().filter_map(|at| rows.get(*at)).collect()
            }
            _ => Vec::new(),
        }
    }
}

impl Visit {
    /// True while work is pending: nothing can be touched, and the idle timer is stopped.
    pub(crate) fn working(&self) -> bool {
        match &self.task {
            Task::Reading { .. } | Task::Identifying { .. } => true,
            Task::Menu { .. } => false,
            Task::Proving(step_up) => step_up.check.is_some(),
            Task::Service(running) => match &running.state {
                StepState::Querying { .. } | StepState::PinCheck { .. } | StepState::PinChanging { .. } => {
                    true
                }
                StepState::Paying { slow, .. } => !slow,
                StepState::Consent
                | StepState::QueryFailed(_)
                | StepState::Nothing(_)
                | StepState::Show
                | StepState::ShowCode
                | StepState::Choose { .. }
                | StepState::NoMethod
                | StepState::MoneyOff
                | StepState::Confirm { .. }
                | StepState::Pin { .. }
                | StepState::PinLocked
                | StepState::PinFailed
                | StepState::NewPin(_)
                | StepState::PinChanged
                | StepState::PinNotChanged(_)
                | StepState::Settled { .. }
                | StepState::Printing { .. } => false,
            },
        }
    }

    /// Ticket and deadline of the work that this visit waits for. A card being read has a deadline without a ticket.
    pub(crate) fn pending(&self) -> Option<(Option<Ticket>, Mono)> {
        match &self.task {
            Task::Reading { authority, deadline } => Some((*authority, *deadline)),
            Task::Identifying { ticket, deadline } => Some((Some(*ticket), *deadline)),
            Task::Menu { .. } => None,
            Task::Proving(step_up) => step_up.check.map(|(ticket, deadline)| (Some(ticket), deadline)),
            Task::Service(running) => match &running.state {
                StepState::Querying { ticket, deadline }
                | StepState::PinCheck { ticket, deadline, .. }
                | StepState::PinChanging { ticket, deadline } => Some((Some(*ticket), *deadline)),
                StepState::Consent
                | StepState::QueryFailed(_)
                | StepState::Nothing(_)
                | StepState::Show
                | StepState::ShowCode
                | StepState::Choose { .. }
                | StepState::NoMethod
                | StepState::MoneyOff
                | StepState::Confirm { .. }
                | StepState::Pin { .. }
                | StepState::PinLocked
                | StepState::PinFailed
                | StepState::NewPin(_)
                | StepState::PinChanged
                | StepState::PinNotChanged(_)
                | StepState::Paying { .. }
                | StepState::Settled { .. }
                | StepState::Printing { .. } => None,
            },
        }
    }

    /// True while the resident is expected to use a phone and so does not touch the screen.
    pub(crate) fn is_with_phone(&self) -> bool {
        match &self.task {
            Task::Proving(step_up) => matches!(step_up.by, By::Phone { .. }),
            Task::Service(running) => matches!(running.state, StepState::ShowCode),
            Task::Reading { .. } | Task::Identifying { .. } | Task::Menu { .. } => false,
        }
    }

    pub(crate) fn running(&self) -> Option<&Running> {
        match &self.task {
            Task::Service(running) => Some(running),
            Task::Reading { .. } | Task::Identifying { .. } | Task::Menu { .. } | Task::Proving(_) => None,
        }
    }
}

/// The text of a service document in this language.
pub(crate) fn in_lang(words: &Bilingual, lang: Lang) -> &str {
    match lang {
        Lang::Zh => &words.zh,
        Lang::En => &words.en,
    }
}
