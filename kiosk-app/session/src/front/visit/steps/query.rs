//! Step kind `query`: the platform is asked for data.

use std::collections::BTreeMap;

use contract::{CallAnswer, Entry, ProblemCode, Step};
use view::{Intent, TextId};

use super::call::{Call, CheckedAnswer, NoRows, check_answer, start};
use crate::content::{ViewContent, failure_content, working_content};
use crate::front::visit::data::StepResult;
use crate::front::visit::menu::available_service;
use crate::front::visit::step::{Entered, StepContext, StepFlow, StepState, StepView, back_by};
use crate::refusal::{VisitRefusal, refusal_for_failure};
use crate::work::{Failure, PendingWork, WorkAnswer};

/// Most services that follow each other without the menu: a platform that leads in a circle does not hold the resident.
const SERVICES_IN_ROW_MAX: u8 = 4;

/// State of a query.
enum Query {
    Asking(PendingWork),
    Failed(Failure),
    NoRows(NoRows),
}

pub(super) fn enter(context: &mut StepContext<'_, '_>) -> Entered {
    let Some(Step::Query { call, with, consent, .. }) = context.progress.current_step() else {
        return Entered::Flow(StepFlow::Menu { declined: false });
    };
    let consent = consent.as_deref().and_then(|step| context.progress.consent(step));
    let call = Call { operation: call.clone(), with: with.clone(), consent, ticket: None };
    match start(context, call) {
        Some(work) => Entered::state(Query::Asking(work)),
        None => Entered::Flow(StepFlow::Menu { declined: false }),
    }
}

impl StepState for Query {
    fn on_touch(&mut self, _: &mut StepContext<'_, '_>, intent: Intent) -> StepFlow {
        match self {
            Self::Failed(_) if intent == Intent::Primary => StepFlow::Again,
            Self::Failed(_) => back_by(intent),
            Self::NoRows(_) => NoRows::on_touch(intent),
            Self::Asking(_) => StepFlow::Stay,
        }
    }

    fn on_answer(
        &mut self,
        context: &mut StepContext<'_, '_>,
        answer: Result<WorkAnswer, Failure>,
    ) -> StepFlow {
        let failure = match answer {
            Ok(WorkAnswer::CallAnswered(called)) => match self.on_rows(context, called) {
                Ok(flow) => return flow,
                Err(failure) => failure,
            },
            Ok(
                WorkAnswer::Identified(_)
                | WorkAnswer::Pin(_)
                | WorkAnswer::Evidence(_)
                | WorkAnswer::CardAuthority(_),
            ) => Failure::InvalidResponse,
            Err(Failure::Problem(ProblemCode::VisitExpired)) => {
                return StepFlow::Refuse(VisitRefusal::VisitExpired);
            }
            Err(failure) => failure,
        };
        *self = Self::Failed(failure);
        StepFlow::Stay
    }

    fn pending(&self) -> Option<PendingWork> {
        if let Self::Asking(work) = self { Some(*work) } else { None }
    }

    fn content(&self, view: StepView<'_>) -> ViewContent {
        let method = view.data.identification_method;
        match self {
            Self::Asking(_) => working_content(method, TextId::Querying, TextId::QueryingDetail),
            Self::Failed(failure) => {
                let (word, detail) = refusal_for_failure(*failure).texts();
                failure_content(method, word, detail, Some(TextId::TryAgain))
            }
            Self::NoRows(no_rows) => {
                let none = BTreeMap::new();
                let with = match view.progress.current_step() {
                    Some(Step::Query { with, .. }) => with,
                    _ => &none,
                };
                no_rows.content(view, with, Some(TextId::NothingTitle))
            }
        }
    }
}

impl Query {
    fn on_rows(
        &mut self,
        context: &mut StepContext<'_, '_>,
        mut called: CallAnswer,
    ) -> Result<StepFlow, Failure> {
        let Some(Step::Query { id, call, consent, answer, many, none, next, .. }) =
            context.progress.current_step()
        else {
            return Ok(StepFlow::Stay);
        };
        let named = called.next.take().filter(|_| called.refused.is_none());
        let checked = check_answer(called, answer, *many).ok_or(Failure::InvalidResponse)?;
        let allowed = named
            .as_ref()
            .filter(|named| next.contains(*named) && context.progress.services_before < SERVICES_IN_ROW_MAX);
        let status = context.components.status(context.turn);
        let follows = allowed.and_then(|named| available_service(status, context.data, named));
        if named.is_some() && follows.is_none() && matches!(checked, CheckedAnswer::Empty) {
            return Err(Failure::InvalidResponse);
        }
        let (id, none) = (id.clone(), none.clone());
        let rows = if let CheckedAnswer::Rows(rows) = &checked { rows.len() } else { 0 };
        let entry = Entry::Queried {
            visit: context.data.id,
            service: context.progress.doc.id.clone(),
            call: call.clone(),
            consent: consent.as_deref().and_then(|step| context.progress.consent(step)),
            rows: u32::try_from(rows).unwrap_or(u32::MAX),
        };
        context.turn.record(entry);
        if let Some(doc) = follows {
            return Ok(StepFlow::Open(doc));
        }
        *self = Self::NoRows(match checked {
            CheckedAnswer::Rows(rows) => {
                context.progress.results.insert(id, StepResult::Rows(rows));
                return Ok(StepFlow::Next);
            }
            CheckedAnswer::Empty => NoRows::Empty(none),
            CheckedAnswer::Refused(words) => NoRows::Refused(words),
        });
        Ok(StepFlow::Stay)
    }
}
