//! What the steps that call an operation share: the request, and the answers that have no rows.

use std::collections::BTreeMap;

use contract::{AnswerSchema, Bilingual, CallAnswer, CallRequest, ConsentId, Step, TicketId};
use view::{Body, Intent, LabelledValue, Lang, Outcome, OutcomeKind, Text, TextId};

use crate::content::{ViewContent, action, plain_outcome, service_footer};
use crate::front::visit::answer_entry::{display_answer, display_scanned};
use crate::front::visit::data::Progress;
use crate::front::visit::step::{StepContext, StepFlow, StepView, back_by};
use crate::rows::{CheckedRow, is_clean_text, validate_rows};
use crate::wording::in_language;
use crate::work::{PendingWork, PlatformWork};

/// What an operation is called with, beside the inputs.
pub(super) struct Call {
    pub(super) operation: String,
    pub(super) with: BTreeMap<String, String>,
    pub(super) consent: Option<ConsentId>,
    pub(super) ticket: Option<TicketId>,
}

/// Calls an operation; none when the visit cannot, or an input is missing.
pub(super) fn start(context: &mut StepContext<'_, '_>, call: Call) -> Option<PendingWork> {
    // Without a visit key, the tile of a service that calls the platform is disabled.
    let key = context.data.visit_key()?;
    let input = context.progress.inputs(&call.with)?;
    let service = context.progress.doc.id.clone();
    let Call { operation, consent, ticket, .. } = call;
    let request = CallRequest { key, operation, consent, service, input, ticket };
    Some(context.components.start_platform_work(context.turn, PlatformWork::CallOperation(request)))
}

/// A valid answer.
pub(super) enum CheckedAnswer {
    /// The rows, at least one.
    Rows(Vec<CheckedRow>),
    /// No rows.
    Empty,
    /// The department refuses, in its own words.
    Refused(Bilingual),
}

/// The answer, if it is what the document declares. The platform is outside the trust boundary, and the department's words are
/// shown: they are checked like any field.
pub(super) fn check_answer(
    mut called: CallAnswer,
    declared: &AnswerSchema,
    many: bool,
) -> Option<CheckedAnswer> {
    if let Some(words) = called.refused.take() {
        let is_text = |text: &str| !text.trim().is_empty() && is_clean_text(text);
        let is_refusal = called.rows.is_empty() && is_text(&words.zh) && is_text(&words.en);
        return is_refusal.then_some(CheckedAnswer::Refused(words));
    }
    let rows = validate_rows(called, declared, many)?;
    Some(if rows.is_empty() { CheckedAnswer::Empty } else { CheckedAnswer::Rows(rows) })
}

/// An answer after which the service does not go on.
pub(super) enum NoRows {
    /// The words of the service document for an answer without rows.
    Empty(Bilingual),
    /// The department's own words.
    Refused(Bilingual),
}

impl NoRows {
    /// *Back* and the second action lead to the question before, where something can be corrected.
    pub(super) fn on_touch(intent: Intent) -> StepFlow {
        if intent == Intent::Primary {
            StepFlow::Menu { declined: false }
        } else if intent == Intent::Secondary {
            StepFlow::Previous
        } else {
            back_by(intent)
        }
    }

    /// The title is the service, or for an empty answer the given one.
    pub(super) fn content(
        &self,
        view: StepView<'_>,
        with: &BTreeMap<String, String>,
        title: Option<TextId>,
    ) -> ViewContent {
        let lang = view.data.lang;
        let service = || view.data.words(&view.progress.doc.title);
        let neutral = plain_outcome(OutcomeKind::NothingToDo, TextId::Refused, TextId::Refused);
        let (title, outcome) = match self {
            Self::Empty(words) => (
                title.map_or_else(service, Text::Id),
                Outcome {
                    headline: Text::Data(in_language(words, lang).to_owned()),
                    detail: Text::Data(String::new()),
                    ..neutral
                },
            ),
            Self::Refused(words) => {
                (service(), Outcome { detail: Text::Data(in_language(words, lang).to_owned()), ..neutral })
            }
        };
        let outcome = Outcome { pairs: questions_and_answers(view, with), ..outcome };
        let mut actions = vec![action(TextId::BackToMenu, true, Intent::Primary)];
        let before = view.progress.step_back().and_then(|at| view.progress.doc.steps.get(at));
        if let Some(Step::Ask { .. }) = before {
            actions.push(action(TextId::AskAgain, false, Intent::Secondary));
        } else if let Some(Step::Scan { .. }) = before {
            actions.push(action(TextId::ScanAgain, false, Intent::Secondary));
        }
        ViewContent {
            actions,
            footer: service_footer(view.data.identification_method),
            ..ViewContent::new(title, Body::Outcome(outcome))
        }
    }
}

/// What the resident was asked and entered, for the inputs of a call.
fn questions_and_answers(view: StepView<'_>, with: &BTreeMap<String, String>) -> Vec<LabelledValue> {
    let asked = view.progress.doc.steps.iter().filter(|step| with.values().any(|used| used == step.id()));
    asked
        .filter_map(|step| {
            let (title, value) = entered_at(step, view.progress, view.data.lang)?;
            Some(LabelledValue { label: view.data.words(title), value, emphasized: false })
        })
        .collect()
}

/// The title of a step at which the resident entered or scanned something, and that, as it is shown again.
pub(super) fn entered_at<'a>(
    step: &'a Step,
    progress: &Progress,
    lang: Lang,
) -> Option<(&'a Bilingual, Text)> {
    let value = progress.answer_to(step.id())?;
    if let Step::Ask { title, answer, .. } = step {
        Some((title, Text::Data(display_answer(answer, value, lang))))
    } else if let Step::Scan { title, code, .. } = step {
        Some((title, Text::Entered(display_scanned(code, value))))
    } else {
        None
    }
}
