//! Step kind `show`: data that was fetched, as labelled values.

use contract::{AnswerFieldType, Step};
use view::{Body, Intent, LabelledValue, Text, TextId};

use crate::content::{ViewContent, action, nothing_found, service_footer};
use crate::front::visit::step::{Entered, StepContext, StepFlow, StepState, StepView, back_by};
use crate::rows::labelled_fields;

/// The data is shown.
struct Show;

pub(super) fn enter() -> Entered {
    Entered::state(Show)
}

impl StepState for Show {
    fn on_touch(&mut self, _: &mut StepContext<'_, '_>, intent: Intent) -> StepFlow {
        if intent == Intent::Primary {
            StepFlow::Next
        } else if intent == Intent::Secondary {
            StepFlow::Menu { declined: false }
        } else {
            back_by(intent)
        }
    }

    fn content(&self, view: StepView<'_>) -> ViewContent {
        let (method, progress, lang) = (view.data.identification_method, view.progress, view.data.lang);
        let Some(Step::Show { from, title, show, .. }) = progress.current_step() else {
            return nothing_found(method, "");
        };
        let Some(declared) = progress.doc.answer_schema(from) else { return nothing_found(method, "") };
        let pairs = progress
            .rows_of_step(from)
            .into_iter()
            .flat_map(|row| labelled_fields(row, show, declared, lang))
            .map(|(label, kind, value)| LabelledValue {
                label: Text::Data(label.to_owned()),
                value: Text::Data(value),
                emphasized: kind == AnswerFieldType::Money,
            })
            .collect();
        let prints = matches!(progress.doc.steps.get(progress.step_index + 1), Some(Step::Print { .. }));
        let actions = if prints {
            vec![
                action(TextId::SheetPrint, true, Intent::Primary),
                action(TextId::SheetDone, false, Intent::Secondary),
            ]
        } else {
            vec![action(TextId::SheetDone, true, Intent::Primary)]
        };
        ViewContent {
            actions,
            footer: service_footer(method),
            ..ViewContent::new(view.data.words(title), Body::Details(pairs))
        }
    }
}
