//! Step kind `submit` (提交): what the resident entered is handed in to a department. Its record is the message, so nothing is sent from
//! here, and it is done when it is recorded: with a link or without one.

use contract::{Entry, Step, SubmissionId, SubmittingPerson};
use view::{Banner, Body, Icon, Intent, LabelledValue, Outcome, OutcomeKind, Text, TextId, Tone};
use zeroize::Zeroizing;

use crate::content::{ViewContent, action, failure_content, plain_outcome, service_footer};
use crate::front::visit::data::{Progress, StepResult};
use crate::front::visit::step::{Entered, StepContext, StepFlow, StepState, StepView, back_by, close_by};
use crate::front::visit::steps::call::entered_at;
use crate::rows::labelled_fields;

/// State of a submission.
enum Submit {
    /// The resident checks what was entered.
    Checking,
    /// It is recorded.
    Submitted {
        number: String,
        /// The kiosk had no link.
        offline: bool,
    },
    /// The department's key is not known, or an answer is missing.
    Impossible,
}

pub(super) fn enter(context: &StepContext<'_, '_>) -> Entered {
    let Some(Step::Submit { department, with, .. }) = context.progress.current_step() else {
        return Entered::Flow(StepFlow::Menu { declined: false });
    };
    let is_possible = context.components.catalogue.department(department).is_some()
        && context.progress.inputs(with).is_some()
        && context.data.resident.is_some();
    Entered::state(if is_possible { Submit::Checking } else { Submit::Impossible })
}

impl StepState for Submit {
    fn on_touch(&mut self, context: &mut StepContext<'_, '_>, intent: Intent) -> StepFlow {
        match self {
            Self::Checking if intent == Intent::Primary => {
                *self = submit(context).unwrap_or(Self::Impossible);
                StepFlow::Stay
            }
            Self::Checking => back_by(intent),
            Self::Submitted { .. } if intent == Intent::Primary => StepFlow::Next,
            Self::Submitted { .. } if intent == Intent::Back => StepFlow::Stay,
            Self::Submitted { .. } | Self::Impossible => close_by(intent),
        }
    }

    fn content(&self, view: StepView<'_>) -> ViewContent {
        let method = view.data.identification_method;
        let Some(Step::Submit { title, done, .. }) = view.progress.current_step() else {
            return failure_content(method, TextId::SubmitImpossible, TextId::SubmitImpossibleDetail, None);
        };
        match self {
            Self::Checking => ViewContent {
                actions: vec![action(TextId::SubmitGo, true, Intent::Primary)],
                footer: service_footer(method),
                ..ViewContent::new(view.data.words(title), Body::Details(entered(view)))
            },
            Self::Submitted { number, offline } => {
                let outcome = Outcome {
                    headline: TextId::Submitted.into(),
                    detail: view.data.words(done),
                    pairs: vec![LabelledValue {
                        label: TextId::SubmissionNumber.into(),
                        value: Text::Data(number.clone()),
                        emphasized: true,
                    }],
                    ..plain_outcome(OutcomeKind::Done, TextId::Submitted, TextId::Submitted)
                };
                let later = Banner {
                    tone: Tone::Note,
                    icon: Icon::WifiOff,
                    title: TextId::SubmittedOffline.into(),
                    detail: Some(TextId::SubmittedOfflineDetail.into()),
                };
                let go = if prints_next(view.progress) { TextId::SheetPrint } else { TextId::Finish };
                ViewContent {
                    banners: offline.then_some(later).into_iter().collect(),
                    actions: vec![action(go, true, Intent::Primary)],
                    footer: service_footer(method),
                    ..ViewContent::new(TextId::Submitted, Body::Outcome(outcome))
                }
            }
            Self::Impossible => {
                failure_content(method, TextId::SubmitImpossible, TextId::SubmitImpossibleDetail, None)
            }
        }
    }
}

/// Records the submission, sealed to the department. `None` when something that it needs is missing.
fn submit(context: &mut StepContext<'_, '_>) -> Option<Submit> {
    let Step::Submit { id, call, department, with, .. } = context.progress.current_step()?.clone() else {
        return None;
    };
    let person = context.data.resident.as_ref()?;
    let (resident, level) = (person.pseudonym, person.level);
    let input = context.progress.inputs(&with)?;
    let input = input.into_iter().map(|(name, value)| (name, Zeroizing::new(value))).collect();
    let submission = SubmissionId::from_entropy(context.turn.next_u128());
    let mut seed = Zeroizing::new([0; 32]);
    for half in seed.chunks_mut(16) {
        let drawn = Zeroizing::new(context.turn.next_u128().to_be_bytes());
        half.iter_mut().zip(drawn.iter()).for_each(|(byte, drawn)| *byte = *drawn);
    }
    // Of a code that the kiosk verified itself it knows the holder only.
    let known = SubmittingPerson { id_number: &person.id_number, name: &person.name };
    let known = Some(known).filter(|known| !known.id_number.is_empty());
    let sealed = context.components.catalogue.department(&department)?.seal(known, &input, &seed);
    let offline = !context.components.online;
    let doc = &context.progress.doc;
    context.turn.record(Entry::Submitted {
        submission,
        visit: context.data.id,
        resident,
        service: doc.id.clone(),
        version: doc.version,
        call,
        sealed: sealed.sealed,
        hash: sealed.hash,
        level,
        offline,
    });
    context.progress.results.insert(id, StepResult::Submitted(submission));
    Some(Submit::Submitted { number: submission.number(context.components.setup.kiosk), offline })
}

/// What was entered, in the order in which it was asked: the title of each question, and the answer.
fn entered(view: StepView<'_>) -> Vec<LabelledValue> {
    let (progress, lang) = (view.progress, view.data.lang);
    let Some(Step::Submit { with, .. }) = progress.current_step() else { return Vec::new() };
    let of_step = |step: &Step| {
        let (title, value) = if let Some(entered) = entered_at(step, progress, lang) {
            entered
        } else if let Step::Choose { id, title, from, show, .. } = step {
            let (declared, rows) = (progress.doc.answer_schema(from)?, progress.rows_of_step(id));
            let first = labelled_fields(rows.first()?, show, declared, lang).next();
            (title, Text::Data(first.map(|(_, _, value)| value)?))
        } else {
            return None;
        };
        Some(LabelledValue { label: view.data.words(title), value, emphasized: false })
    };
    let earlier = progress.doc.steps.iter().take(progress.step_index);
    earlier.filter(|step| with.values().any(|to| to == step.id())).filter_map(of_step).collect()
}

fn prints_next(progress: &Progress) -> bool {
    matches!(progress.doc.steps.get(progress.step_index + 1), Some(Step::Print { .. }))
}
