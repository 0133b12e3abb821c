//! Step kind `scan`: the code on a paper, as a bill. What was scanned is shown before it is used.
//!
//! A resident code that is scanned here is refused without being judged: it is neither consumed nor recorded.

use contract::{AskedAnswer, ScannedCode, Step};
use resident_code::{Code, CodeRefusal};
use view::{Banner, Body, Gesture, Icon, Intent, LabelledValue, Outcome, OutcomeKind, Text, TextId, Tone};
use zeroize::Zeroizing;

use crate::components::Status;
use crate::content::{ViewContent, action, failure_content, nothing_found, plain_outcome, service_footer};
use crate::event::{DeviceKind, DeviceState};
use crate::front::visit::answer_entry::{AnswerState, TypedAnswer, display_scanned};
use crate::front::visit::data::StepResult;
use crate::front::visit::step::{Entered, StepContext, StepFlow, StepState, StepView, back_by};

struct Scan {
    shown: Shown,
    /// What was typed, also while the code reader is waited for.
    typed: TypedAnswer,
    /// What was wrong with the last code that was scanned.
    problem: Option<TextId>,
}

/// What is shown.
enum Shown {
    /// The instruction to hold the paper to the code reader.
    Instruction,
    /// The keys, to type what is printed below the code.
    Keys,
    /// What was scanned, to be checked. Further codes are ignored: a touch on *next* is about this one.
    Scanned(Zeroizing<String>),
}

/// A resident who comes back scans anew: what was scanned before is wiped. What can be typed is found on the keys.
pub(super) fn enter(context: &mut StepContext<'_, '_>) -> Entered {
    let place = match context.progress.current_step() {
        Some(Step::Scan { id, code, typed, .. }) => Some((id.clone(), code.as_question().filter(|_| *typed))),
        Some(_) | None => None,
    };
    let typed = place.and_then(|(id, form)| {
        let given = context.progress.results.remove(&id);
        match (given, form) {
            (Some(StepResult::Answered(value)), Some(form)) => Some(TypedAnswer::of_value(&form, &value)),
            _ => None,
        }
    });
    let typed = typed.unwrap_or_else(TypedAnswer::empty);
    Entered::state(Scan { shown: Shown::Instruction, typed, problem: None })
}

impl Scan {
    fn show(&mut self, shown: Shown) -> StepFlow {
        (self.shown, self.problem) = (shown, None);
        StepFlow::Stay
    }

    fn instruction(&self, view: StepView<'_>, can_type: bool) -> ViewContent {
        let method = view.data.identification_method;
        if !can_scan(view.status) {
            let (detail, instead) = if can_type {
                (TextId::ScanOffType, Some(TextId::ScanType))
            } else {
                (TextId::ScanOffDetail, None)
            };
            return failure_content(method, TextId::ScanOff, detail, instead);
        }
        let outcome = Outcome {
            // A banner takes the room of the picture on a small panel, in large text.
            gesture: self.problem.is_none().then_some(Gesture::ShowPaper),
            ..plain_outcome(OutcomeKind::Awaiting, TextId::ScanHold, TextId::ScanHoldDetail)
        };
        let banner = |problem: TextId| Banner {
            tone: Tone::Wait,
            icon: Icon::TriangleAlert,
            title: problem.into(),
            detail: None,
        };
        ViewContent {
            banners: self.problem.map(banner).into_iter().collect(),
            actions: can_type
                .then(|| action(TextId::ScanType, false, Intent::Secondary))
                .into_iter()
                .collect(),
            ..ViewContent::new(TextId::ScanHold, Body::Outcome(outcome))
        }
    }

    fn keys(&self, view: StepView<'_>, form: &AskedAnswer) -> ViewContent {
        let lang = view.data.lang;
        let mut go = action(TextId::AskNext, true, Intent::Primary);
        if let AnswerState::Incomplete(missing) | AnswerState::Wrong(missing) =
            self.typed.state(form, view.status.local_time().date(), lang)
        {
            (go.enabled, go.text) = (false, missing);
        }
        let instead = can_scan(view.status).then(|| action(TextId::ScanInstead, false, Intent::Secondary));
        let body = Body::Entry(self.typed.pad(form, self.problem.map(Text::from), lang));
        ViewContent {
            actions: [go].into_iter().chain(instead).collect(),
            ..ViewContent::new(TextId::ScanType, body)
        }
    }
}

impl StepState for Scan {
    fn on_touch(&mut self, context: &mut StepContext<'_, '_>, intent: Intent) -> StepFlow {
        let Some(Step::Scan { id, code, typed, .. }) = context.progress.current_step() else {
            return StepFlow::Menu { declined: false };
        };
        let form = code.as_question().filter(|_| *typed);
        let works = can_scan(context.components.status(context.turn));
        let value = match (&mut self.shown, &form, intent) {
            // The action that leads to the keys is the primary one while nothing can be scanned.
            (Shown::Instruction, Some(_), Intent::Secondary) if works => return self.show(Shown::Keys),
            (Shown::Instruction, Some(_), Intent::Primary) if !works => return self.show(Shown::Keys),
            (Shown::Instruction, None, Intent::Primary) if !works => {
                return StepFlow::Menu { declined: false };
            }
            (Shown::Keys, _, Intent::Back | Intent::Secondary) if works => {
                return self.show(Shown::Instruction);
            }
            (Shown::Scanned(_), _, Intent::Back | Intent::Secondary) => return self.show(Shown::Instruction),
            (Shown::Scanned(value), _, Intent::Primary) => std::mem::take(value),
            (Shown::Keys, Some(form), Intent::Primary) => {
                let today = context.components.status(context.turn).local_time().date();
                match self.typed.state(form, today, context.data.lang) {
                    AnswerState::Complete(value) => value,
                    AnswerState::Incomplete(_) | AnswerState::Wrong(_) => return StepFlow::Stay,
                }
            }
            (Shown::Keys, Some(form), _) if self.typed.on_touch(form, intent) => {
                self.problem = None;
                return StepFlow::Stay;
            }
            (Shown::Instruction | Shown::Keys | Shown::Scanned(_), _, _) => return back_by(intent),
        };
        let id = id.clone();
        context.progress.results.insert(id, StepResult::Answered(value));
        StepFlow::Next
    }

    fn takes_codes(&self) -> bool {
        !matches!(self.shown, Shown::Scanned(_))
    }

    fn on_code(&mut self, context: &mut StepContext<'_, '_>, scanned: &[u8]) -> StepFlow {
        let Some(Step::Scan { code, prefix, .. }) = context.progress.current_step() else {
            return StepFlow::Stay;
        };
        match scanned_value(code, prefix.as_deref(), scanned) {
            Ok(value) => self.show(Shown::Scanned(value)),
            Err(problem) => {
                self.problem = Some(problem);
                StepFlow::Stay
            }
        }
    }

    fn content(&self, view: StepView<'_>) -> ViewContent {
        let method = view.data.identification_method;
        let Some(Step::Scan { title, lead, code, typed, .. }) = view.progress.current_step() else {
            return nothing_found(method, "");
        };
        let form = code.as_question().filter(|_| *typed);
        let mut content = match (&self.shown, form) {
            (Shown::Scanned(value), _) => scanned_content(code, value),
            (Shown::Keys, Some(form)) => self.keys(view, &form),
            (Shown::Instruction | Shown::Keys, form) => {
                let shown = self.instruction(view, form.is_some());
                if can_scan(view.status) {
                    ViewContent { title: view.data.words(title), ..shown }
                } else {
                    shown
                }
            }
        };
        // A banner says what to do now; more text would not fit on a small panel.
        if content.lead.is_none() && content.banners.is_empty() && can_scan(view.status) {
            content.lead = lead.as_ref().map(|lead| view.data.words(lead));
        }
        content.footer = service_footer(method);
        content
    }
}

/// What was scanned, as the resident checks it.
fn scanned_content(code: &ScannedCode, value: &str) -> ViewContent {
    let label = match code {
        ScannedCode::Digits { .. } => TextId::ScanNumber,
        ScannedCode::Text { .. } => TextId::ScanText,
    };
    let value = LabelledValue {
        label: label.into(),
        value: Text::Entered(display_scanned(code, value)),
        emphasized: matches!(code, ScannedCode::Digits { .. }),
    };
    ViewContent {
        lead: Some(TextId::ScanCheckLead.into()),
        actions: vec![
            action(TextId::AskNext, true, Intent::Primary),
            action(TextId::ScanAgain, false, Intent::Secondary),
        ],
        ..ViewContent::new(TextId::ScanCheck, Body::Details(vec![value]))
    }
}

/// Whether a code reader is there and works.
fn can_scan(status: Status<'_>) -> bool {
    status.setup().equipment.code_reader
        && status.components.devices.state(DeviceKind::CodeReader) == DeviceState::Ready
}

/// The value of a scanned code, without its prefix, or what is wrong with it. A scanner may add white space at the ends.
fn scanned_value(
    code: &ScannedCode,
    prefix: Option<&str>,
    scanned: &[u8],
) -> Result<Zeroizing<String>, TextId> {
    let text = std::str::from_utf8(scanned).map_err(|_| TextId::ScanWrong)?.trim();
    // Also a damaged one, and one of another city: a resident who holds up a phone is asked for the paper.
    if !matches!(Code::parse(text), Err(CodeRefusal::NotACode)) {
        return Err(TextId::ScanResidentCode);
    }
    let value = match prefix {
        Some(prefix) => text.strip_prefix(prefix).ok_or(TextId::ScanWrong)?,
        None => text,
    };
    if code.accepts(value) { Ok(Zeroizing::new(value.to_owned())) } else { Err(TextId::ScanWrong) }
}
