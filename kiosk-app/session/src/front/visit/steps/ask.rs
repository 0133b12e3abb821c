//! Step kind `ask`: one question to the resident, on one view.

use contract::{AskedAnswer, AskedOption, Step};
use view::{Body, Icon, Intent, Lang, Text, TextId, Tile};
use zeroize::Zeroizing;

use crate::content::{ViewContent, action, nothing_found, service_footer};
use crate::front::visit::answer_entry::{AnswerState, TypedAnswer};
use crate::front::visit::data::StepResult;
use crate::front::visit::step::{Entered, StepContext, StepFlow, StepState, StepView, back_by};

/// The question is shown; for a choice nothing is typed.
struct Ask {
    typed: TypedAnswer,
}

/// A resident who comes back to the question finds the answer that was given.
pub(super) fn enter(context: &StepContext<'_, '_>) -> Entered {
    let given = match context.progress.current_step() {
        Some(Step::Ask { id, answer, .. }) if !matches!(answer, AskedAnswer::Choice { .. }) => {
            context.progress.answer_to(id).map(|value| TypedAnswer::of_value(answer, value))
        }
        Some(_) | None => None,
    };
    Entered::state(Ask { typed: given.unwrap_or_else(TypedAnswer::empty) })
}

impl StepState for Ask {
    fn on_touch(&mut self, context: &mut StepContext<'_, '_>, intent: Intent) -> StepFlow {
        let Some(Step::Ask { id, answer, .. }) = context.progress.current_step() else {
            return StepFlow::Menu { declined: false };
        };
        let value = match (answer, intent) {
            (AskedAnswer::Choice { options }, Intent::ChooseOption(at)) => {
                options.get(usize::from(at)).map(|option| Zeroizing::new(option.value.clone()))
            }
            (_, Intent::Primary) => {
                let today = context.components.status(context.turn).local_time().date();
                match self.typed.state(answer, today, context.data.lang) {
                    AnswerState::Complete(value) => Some(value),
                    AnswerState::Incomplete(_) | AnswerState::Wrong(_) => None,
                }
            }
            _ if self.typed.on_touch(answer, intent) => return StepFlow::Stay,
            _ => return back_by(intent),
        };
        let Some(value) = value else { return StepFlow::Stay };
        let id = id.clone();
        context.progress.results.insert(id, StepResult::Answered(value));
        StepFlow::Next
    }

    fn content(&self, view: StepView<'_>) -> ViewContent {
        let (method, lang) = (view.data.identification_method, view.data.lang);
        let Some(Step::Ask { id, title, lead, answer }) = view.progress.current_step() else {
            return nothing_found(method, "");
        };
        let (body, actions) = if let AskedAnswer::Choice { options } = answer {
            let given = view.progress.answer_to(id).map(|value| value.as_str());
            (
                Body::Menu(
                    options.iter().zip(0..).map(|(option, at)| tile(option, at, given, lang)).collect(),
                ),
                vec![],
            )
        } else {
            let mut go = action(TextId::AskNext, true, Intent::Primary);
            let problem = match self.typed.state(answer, view.status.local_time().date(), lang) {
                AnswerState::Complete(_) => None,
                AnswerState::Incomplete(missing) => {
                    (go.enabled, go.text) = (false, missing);
                    None
                }
                AnswerState::Wrong(problem) => {
                    go.enabled = false;
                    Some(problem)
                }
            };
            (Body::Entry(self.typed.pad(answer, problem, lang)), vec![go])
        };
        ViewContent {
            lead: lead.as_ref().map(|lead| view.data.words(lead)),
            actions,
            footer: service_footer(method),
            ..ViewContent::new(view.data.words(title), body)
        }
    }
}

fn tile(option: &AskedOption, at: u8, given: Option<&str>, lang: Lang) -> Tile {
    let words = match lang {
        Lang::Zh => &option.zh,
        Lang::En => &option.en,
    };
    Tile {
        icon: if given == Some(&option.value) { Icon::Check } else { Icon::ChevronRight },
        title: Text::Data(words.clone()),
        detail: Text::Data(String::new()),
        enabled: true,
        opens_list: false,
        intent: Intent::ChooseOption(at),
    }
}
