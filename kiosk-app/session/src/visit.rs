//! One visit of one resident: everything in here dies with it (I3).

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

/// A visit, from the card's insertion or the code's acceptance to its end.
pub(crate) struct Visit {
    pub(crate) id: VisitId,
    pub(crate) way: Way,
    pub(crate) person: Option<Person>,
    /// The code that it began with, when the kiosk verified it by itself.
    pub(crate) code: Option<Verified>,
    /// The card proved to be its issuer's own.
    pub(crate) authenticated: bool,
    /// A record names this visit, so its end must be recorded too.
    pub(crate) recorded: bool,
    pub(crate) task: Task,
    pub(crate) lang: Lang,
    pub(crate) theme: Theme,
    /// When the visit ends for want of a touch; none while the kiosk itself is at work.
    pub(crate) idle_until: Option<Mono>,
    /// Until when the answer to a call for help is shown.
    pub(crate) help_until: Option<Mono>,
}

/// Who it is. No `Debug`, no `Serialize`; wiped on drop. Without name, number and key for the holder of a code of
/// whom the platform could not be asked.
pub(crate) struct Person {
    pub(crate) name: Zeroizing<String>,
    pub(crate) id_number: Zeroizing<String>,
    pub(crate) key: Option<VisitKey>,
    pub(crate) resident: Pseudonym,
    pub(crate) evidence: Evidence,
    pub(crate) level: Level,
}

/// What the visit is at.
pub(crate) enum Task {
    /// The card is being read; with a ticket while the platform is asked to vouch for it.
    Reading { authority: Option<Ticket>, deadline: Mono },
    /// The platform is being asked who it is.
    Identifying { ticket: Ticket, deadline: Mono },
    /// The menu is shown.
    Menu { declined: bool },
    /// The resident is asked to prove who they are.
    Proving(Box<Proving>),
    /// A service runs.
    Service(Box<Running>),
}

/// A service at one of its steps.
pub(crate) struct Running {
    pub(crate) doc: Arc<ServiceDocument>,
    pub(crate) at: usize,
    /// What earlier steps gave, by step name.
    pub(crate) data: BTreeMap<String, Data>,
    pub(crate) state: StepState,
}

/// What a finished step gave.
pub(crate) enum Data {
    Consent(ConsentId),
    Rows(Vec<Row>),
    /// Indices into the rows of the query it chose from.
    Chosen(Vec<usize>),
}

/// Where the present step stands.
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
    /// The pad of this state, if it has one.
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

    /// The rows that a step refers to: its own query's, or those chosen from it.
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
    /// The kiosk is at work: nothing to touch, and no countdown.
    pub(crate) fn working(&self) -> bool {
        match &self.task {
            Task::Reading { .. } | Task::Identifying { .. } => true,
            Task::Menu { .. } => false,
            Task::Proving(proving) => proving.check.is_some(),
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

    /// The work that is under way for this visit, and when the kiosk stops waiting for it.
    pub(crate) fn pending(&self) -> Option<(Option<Ticket>, Mono)> {
        match &self.task {
            Task::Reading { authority, deadline } => Some((*authority, *deadline)),
            Task::Identifying { ticket, deadline } => Some((Some(*ticket), *deadline)),
            Task::Menu { .. } => None,
            Task::Proving(proving) => proving.check.map(|(ticket, deadline)| (Some(ticket), deadline)),
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

    /// Whoever finds the right page on a phone does not touch the screen meanwhile.
    pub(crate) fn is_with_phone(&self) -> bool {
        match &self.task {
            Task::Proving(proving) => matches!(proving.by, By::Phone { .. }),
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

/// The words of a document in the visit's language.
pub(crate) fn in_lang(words: &Bilingual, lang: Lang) -> &str {
    match lang {
        Lang::Zh => &words.zh,
        Lang::En => &words.en,
    }
}
