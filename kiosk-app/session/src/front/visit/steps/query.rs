//! Step kind `query`: the platform is asked for data.

use contract::{Bilingual, CallAnswer, CallRequest, Entry, ProblemCode, Step};
use view::{Intent, TextId};

use crate::content::{ViewContent, failure_content, nothing_found, working_content};
use crate::front::visit::data::StepResult;
use crate::front::visit::step::{Entered, StepContext, StepFlow, StepState, StepView, close_by, leave_by};
use crate::refusal::{VisitRefusal, refusal_for_failure};
use crate::rows;
use crate::wording::in_language;
use crate::work::{Failure, PendingWork, PlatformWork, WorkAnswer};

/// State of a query.
enum Query {
    Asking(PendingWork),
    Failed(Failure),
    /// The answer has no rows; the words of the service document say what that means.
    NothingFound(Bilingual),
}

pub(super) fn enter(context: &mut StepContext<'_, '_>) -> Entered {
    let Some(Step::Query { call, consent, .. }) = context.progress.current_step() else {
        return Entered::Flow(StepFlow::Menu { declined: false });
    };
    // Without a visit key, the tile of a service that queries the platform is disabled.
    let Some(key) = context.data.visit_key() else {
        return Entered::Flow(StepFlow::Menu { declined: false });
    };
    let consent = consent.as_deref().and_then(|step| context.progress.consent(step));
    let (operation, service) = (call.clone(), context.progress.doc.id.clone());
    let request = PlatformWork::CallOperation(CallRequest { key, operation, consent, service });
    Entered::state(Query::Asking(context.components.start_platform_work(context.turn, request)))
}

impl StepState for Query {
    fn on_touch(&mut self, _: &mut StepContext<'_, '_>, intent: Intent) -> StepFlow {
        match self {
            Self::Failed(_) if intent == Intent::Primary => StepFlow::Again,
            Self::Failed(_) => leave_by(intent),
            Self::NothingFound(_) => close_by(intent),
            Self::Asking(_) => StepFlow::Stay,
        }
    }

    fn on_answer(
        &mut self,
        context: &mut StepContext<'_, '_>,
        answer: Result<WorkAnswer, Failure>,
    ) -> StepFlow {
        let failure = match answer {
            Ok(WorkAnswer::CallAnswered(called)) => return self.on_rows(context, called),
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
            Self::NothingFound(words) => nothing_found(method, in_language(words, view.data.lang)),
        }
    }
}

impl Query {
    fn on_rows(&mut self, context: &mut StepContext<'_, '_>, called: CallAnswer) -> StepFlow {
        let Some(Step::Query { id, call, consent, answer, many, none, .. }) = context.progress.current_step()
        else {
            return StepFlow::Stay;
        };
        let Some(rows) = rows::validate_rows(called, answer, *many) else {
            *self = Self::Failed(Failure::InvalidResponse);
            return StepFlow::Stay;
        };
        let (id, none) = (id.clone(), none.clone());
        context.turn.record(Entry::Queried {
            visit: context.data.id,
            service: context.progress.doc.id.clone(),
            call: call.clone(),
            consent: consent.as_deref().and_then(|step| context.progress.consent(step)),
            rows: u32::try_from(rows.len()).unwrap_or(u32::MAX),
        });
        if rows.is_empty() {
            *self = Self::NothingFound(none);
            return StepFlow::Stay;
        }
        context.progress.results.insert(id, StepResult::Rows(rows));
        StepFlow::Next
    }
}
