//! Step kind `ticket` (取号): the platform is asked for one ticket: a number in a queue, an appointment, or something else that is done
//! once.
//!
//! The ticket's id is made once. Asking again after a failure sends the same id, so that it yields the same ticket.

use std::collections::BTreeMap;

use contract::{CallAnswer, Entry, ProblemCode, Step, TicketId};
use view::{Intent, OutcomeKind, TextId};

use super::call::{Call, CheckedAnswer, NoRows, check_answer, start};
use crate::content::{ViewContent, failure_content, final_content, plain_outcome, working_content};
use crate::front::notice::NoticeKind;
use crate::front::visit::data::StepResult;
use crate::front::visit::step::{Entered, StepContext, StepFlow, StepState, StepView, leave_by};
use crate::refusal::{VisitRefusal, refusal_for_failure};
use crate::work::{Failure, PendingWork, WorkAnswer};

/// A ticket that is asked for.
struct TicketRequest {
    id: TicketId,
    state: TicketState,
}

enum TicketState {
    Asking(PendingWork),
    Failed(Failure),
    NoRows(NoRows),
}

pub(super) fn enter(context: &mut StepContext<'_, '_>) -> Entered {
    let id = TicketId::from_entropy(context.turn.next_u128());
    match ask_for(context, id) {
        Some(work) => Entered::state(TicketRequest { id, state: TicketState::Asking(work) }),
        None => Entered::Flow(StepFlow::Menu { declined: false }),
    }
}

fn ask_for(context: &mut StepContext<'_, '_>, ticket: TicketId) -> Option<PendingWork> {
    let Step::Ticket { call, with, .. } = context.progress.current_step()? else { return None };
    let call = Call { operation: call.clone(), with: with.clone(), consent: None, ticket: Some(ticket) };
    start(context, call)
}

impl StepState for TicketRequest {
    fn on_touch(&mut self, context: &mut StepContext<'_, '_>, intent: Intent) -> StepFlow {
        match &self.state {
            TicketState::Failed(_) if intent == Intent::Primary => {
                let Some(work) = ask_for(context, self.id) else {
                    return StepFlow::Menu { declined: false };
                };
                self.state = TicketState::Asking(work);
                StepFlow::Stay
            }
            // Not back to a question: with another answer it would be another ticket, and the first may have been given.
            TicketState::Failed(_) => leave_by(intent),
            TicketState::NoRows(_) => NoRows::on_touch(intent),
            TicketState::Asking(_) => StepFlow::Stay,
        }
    }

    fn on_answer(
        &mut self,
        context: &mut StepContext<'_, '_>,
        answer: Result<WorkAnswer, Failure>,
    ) -> StepFlow {
        let failure = match answer {
            Ok(WorkAnswer::CallAnswered(called)) => match self.on_ticket(context, called) {
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
        self.state = TicketState::Failed(failure);
        StepFlow::Stay
    }

    fn pending(&self) -> Option<PendingWork> {
        if let TicketState::Asking(work) = self.state { Some(work) } else { None }
    }

    fn notice_left_behind(&self) -> Option<NoticeKind> {
        self.pending().map(|_| NoticeKind::TicketUnknown)
    }

    fn content(&self, view: StepView<'_>) -> ViewContent {
        let method = view.data.identification_method;
        match &self.state {
            TicketState::Asking(_) => {
                working_content(method, TextId::TicketTaking, TextId::TicketTakingDetail)
            }
            TicketState::Failed(failure) if is_unknown(*failure) => {
                let (word, detail) = (TextId::TicketUnclear, TextId::TicketUnclearDetail);
                let outcome = plain_outcome(OutcomeKind::Unknown, word, detail);
                final_content(method, TextId::TicketUnclearTitle, outcome, TextId::TryAgain)
            }
            TicketState::Failed(failure) => {
                let (word, detail) = refusal_for_failure(*failure).texts();
                failure_content(method, word, detail, Some(TextId::TryAgain))
            }
            TicketState::NoRows(no_rows) => {
                let none = BTreeMap::new();
                let with = match view.progress.current_step() {
                    Some(Step::Ticket { with, .. }) => with,
                    _ => &none,
                };
                no_rows.content(view, with, None)
            }
        }
    }
}

impl TicketRequest {
    fn on_ticket(
        &mut self,
        context: &mut StepContext<'_, '_>,
        called: CallAnswer,
    ) -> Result<StepFlow, Failure> {
        let Some(Step::Ticket { id, call, answer, none, .. }) = context.progress.current_step() else {
            return Ok(StepFlow::Stay);
        };
        // A ticket is not followed by another service: an answer that names one and has no ticket is invalid.
        let is_led_away = called.next.is_some() && called.refused.is_none() && called.rows.is_empty();
        let checked = check_answer(called, answer, false).filter(|_| !is_led_away);
        let (id, call, none) = (id.clone(), call.clone(), none.clone());
        let no_rows = match checked.ok_or(Failure::InvalidResponse)? {
            CheckedAnswer::Rows(rows) => {
                context.turn.record(Entry::TicketTaken {
                    visit: context.data.id,
                    service: context.progress.doc.id.clone(),
                    call,
                    ticket: self.id,
                });
                context.progress.results.insert(id, StepResult::Rows(rows));
                return Ok(StepFlow::Next);
            }
            CheckedAnswer::Empty => NoRows::Empty(none),
            CheckedAnswer::Refused(words) => NoRows::Refused(words),
        };
        self.state = TicketState::NoRows(no_rows);
        Ok(StepFlow::Stay)
    }
}

/// Whether the ticket may have been given all the same.
const fn is_unknown(failure: Failure) -> bool {
    match failure {
        Failure::Unreachable | Failure::InvalidResponse | Failure::DeviceFailed => true,
        Failure::Problem(code) => matches!(code, ProblemCode::Unavailable),
    }
}
