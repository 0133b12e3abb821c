//! Step kind `show-code`: a code for the resident's phone, with instructions.

use contract::Step;
use view::{Body, Intent, Scan, TextId};

use crate::content::{ViewContent, action, nothing_found, service_footer};
use crate::front::visit::step::{Entered, StepContext, StepFlow, StepState, StepView, back_by};

/// The code is shown.
struct ShowCode;

pub(super) fn enter() -> Entered {
    Entered::state(ShowCode)
}

impl StepState for ShowCode {
    fn on_touch(&mut self, _: &mut StepContext<'_, '_>, intent: Intent) -> StepFlow {
        if intent == Intent::Primary { StepFlow::Next } else { back_by(intent) }
    }

    fn is_using_phone(&self) -> bool {
        true
    }

    fn content(&self, view: StepView<'_>) -> ViewContent {
        let method = view.data.identification_method;
        let Some(Step::ShowCode { from, field, title, lead, steps, .. }) = view.progress.current_step()
        else {
            return nothing_found(method, "");
        };
        let rows = view.progress.rows_of_step(from);
        let code = rows.first().and_then(|row| row.get(field));
        let qr = code.map_or_else(String::new, |code| code.to_string());
        let steps = steps.iter().map(|step| view.data.words(step)).collect();
        ViewContent {
            lead: Some(view.data.words(lead)),
            actions: vec![action(TextId::Finish, true, Intent::Primary)],
            footer: service_footer(method),
            ..ViewContent::new(view.data.words(title), Body::Scan(Scan { qr, steps }))
        }
    }
}
