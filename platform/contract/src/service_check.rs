//! The rules of a service document. A document that breaks one is neither signed nor loaded, so that the interpreter only runs valid
//! documents.

use std::collections::{BTreeMap, BTreeSet};

use crate::answer_schema::{AnswerField, AnswerFieldType, AnswerSchema};
use crate::ask::{AskedAnswer, DIGITS_MAX, OPTIONS_MAX};
use crate::offer::OpeningHours;
use crate::operation::{OperationMismatch, bill_fields, is_name};
use crate::scan::{PREFIX_MAX, SCANNED_TEXT_MAX, ScannedCode, is_prefix};
use crate::service::{OfflinePolicy, ServiceDocument};
use crate::step::Step;
use crate::toml_place::TomlError;

/// Maximum number of steps of a service, so that the step bar stays readable.
const STEPS_MAX: usize = 12;

/// Why a service document is neither signed nor loaded, with line and column.
pub type ServiceDocumentError = TomlError<ServiceProblem>;

/// The rule that a service document breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceProblem {
    /// An identifier has other characters than `a–z 0–9 . -`.
    #[error("`{0}` is not a name: use a-z, 0-9, `.` and `-`, at most 64 characters")]
    Name(String),
    /// No step, or more than the step bar can show.
    #[error("a service has 1 to {STEPS_MAX} steps, this one has {0}")]
    Steps(usize),
    /// Two steps have the same name.
    #[error("step `{0}` is defined twice: give each step its own id")]
    Twice(String),
    /// A text is not there.
    #[error("the text `{0}` is empty or has a control character: residents read both languages")]
    NoText(&'static str),
    /// A text does not fit its place on the screen.
    #[error("the text `{language}` has {length} characters, at most {most} fit here")]
    LongText {
        /// `zh` or `en`.
        language: &'static str,
        /// Its length in characters.
        length: usize,
        /// The limit.
        most: usize,
    },
    /// The English text is not English.
    #[error("the text `en` has Chinese characters")]
    ChineseInEnglish,
    /// Opening hours without a day, or that end before they begin.
    #[error(
        "opening hours have at least one day, and end after they begin: {{ days = [\"mon\", \"fri\"], from = \"09:00\", to = \"17:00\" }}"
    )]
    Hours,
    /// A reference to a step that is not earlier or not of the right kind.
    #[error("step `{step}` refers to `{to}`, which is not an earlier step of the kind {wanted}")]
    Reference {
        /// The step.
        step: String,
        /// The name to which it refers.
        to: String,
        /// The kinds that are allowed.
        wanted: &'static str,
    },
    /// A shown field is not declared with a label.
    #[error(
        "step `{step}` shows `{field}`, which its query does not declare with a label; it declares: {declared}"
    )]
    Field {
        /// The step.
        step: String,
        /// The field.
        field: String,
        /// The fields that could be shown.
        declared: String,
    },
    /// The field that is shown as a code is not of type `key` in its query.
    #[error("step `{step}` shows `{field}` as a code, which its query does not declare with type key")]
    NotAKey {
        /// The step.
        step: String,
        /// The field.
        field: String,
    },
    /// A row cannot be an input.
    #[error(
        "step `{step}` takes input from `{to}`: that needs `max = 1` there, and exactly one field of type key in its query"
    )]
    NotAnInput {
        /// The step.
        step: String,
        /// The `choose` step.
        to: String,
    },
    /// The rows to pay lack a key, a payee or an amount.
    #[error(
        "step `{0}` pays rows that need exactly one field of type key, one of type money and a text field `payee`"
    )]
    Unpayable(String),
    /// A personal record is fetched without consent.
    #[error(
        "step `{0}` fetches a personal record: it needs `consent` with the id of an earlier consent step"
    )]
    NoConsent(String),
    /// A list that must not be empty is empty.
    #[error("step `{0}` has an empty list, or 0 where at least 1 is needed")]
    Empty(String),
    /// Nothing can be queued, or something cannot.
    #[error(
        "`offline = \"queue\"` needs a submit step, and none of query, ticket, pay and show-code: those need the platform. Write `refuse`"
    )]
    NotQueued,
    /// A question cannot be answered, or has too many answers for one view.
    #[error(
        "step `{0}` asks for something that nobody can enter: 2 to {OPTIONS_MAX} different options, 1 to {DIGITS_MAX} digits, and each \
         minimum not above its maximum"
    )]
    Question(String),
    /// A code that cannot be scanned.
    #[error(
        "step `{0}` scans a code that does not exist: 1 to {DIGITS_MAX} digits with the minimum not above the maximum, or a text of 1 to \
         {SCANNED_TEXT_MAX} characters"
    )]
    Code(String),
    /// A prefix that no code can have.
    #[error(
        "step `{0}` has a prefix that no code can have: 1 to {PREFIX_MAX} characters without control characters, no space in front, and \
         not two capital letters, a digit and a colon, with which resident codes begin"
    )]
    Prefix(String),
    /// A text cannot be typed.
    #[error("step `{0}` lets a text be typed: `typed = true` needs a code of kind `digits`")]
    Typed(String),
    /// What the document calls does not fit the operations of the city.
    #[error("{0}")]
    Operation(#[from] OperationMismatch),
}

/// The step (none: the document), the key there, and what is wrong.
type Fault<'a> = (Option<&'a str>, &'static str, ServiceProblem);

type Checked<'a> = Result<(), Fault<'a>>;

pub(crate) fn check_document(document: &ServiceDocument) -> Checked<'_> {
    if !is_name(&document.id) {
        return Err((None, "id", ServiceProblem::Name(document.id.clone())));
    }
    if document.steps.is_empty() || document.steps.len() > STEPS_MAX {
        return Err((None, "step", ServiceProblem::Steps(document.steps.len())));
    }
    if document.offline == OfflinePolicy::Queue && !document.is_queued() {
        return Err((None, "offline", ServiceProblem::NotQueued));
    }
    if !document.hours.iter().all(OpeningHours::is_valid) {
        return Err((None, "hours", ServiceProblem::Hours));
    }
    let mut check = Check { earlier: BTreeMap::new() };
    for step in &document.steps {
        let own = step.id();
        if !is_name(own) {
            return Err((Some(own), "id", ServiceProblem::Name(own.to_owned())));
        }
        if check.earlier.contains_key(own) {
            return Err((Some(own), "id", ServiceProblem::Twice(own.to_owned())));
        }
        check.step(step).map_err(|(key, problem)| (Some(own), key, problem))?;
        check.earlier.insert(own, step);
    }
    Ok(())
}

type CheckedStep = Result<(), (&'static str, ServiceProblem)>;

/// The steps before the one that is checked.
struct Check<'a> {
    earlier: BTreeMap<&'a str, &'a Step>,
}

impl Check<'_> {
    fn step(&self, step: &Step) -> CheckedStep {
        let own = step.id();
        match step {
            Step::Consent { items, .. } => check_non_empty(items, own, "items"),
            Step::ChangePin { .. } => Ok(()),
            Step::Ask { answer, .. } => check_question(own, answer),
            Step::Scan { code, prefix, typed, .. } => check_scan(own, code, prefix.as_deref(), *typed),
            Step::Query { call, with, consent, personal, answer, next, .. } => {
                self.check_call(own, call, with, answer)?;
                match consent {
                    Some(to) if !matches!(self.earlier.get(to.as_str()), Some(Step::Consent { .. })) => {
                        return Err(("consent", reference(own, to, "consent")));
                    }
                    None if *personal => return Err(("personal", ServiceProblem::NoConsent(own.to_owned()))),
                    Some(_) | None => {}
                }
                check_names(next, "next")
            }
            Step::Ticket { call, with, answer, .. } => self.check_call(own, call, with, answer),
            Step::Submit { call, with, .. } => self.check_inputs(own, call, with),
            Step::Show { from, show, .. } => check_shown_fields(own, self.answer(own, from, "from")?, show),
            Step::ShowCode { from, field, steps, .. } => {
                let kind = self.query(own, from)?.get(field).map(AnswerField::kind);
                if kind != Some(AnswerFieldType::Key) {
                    let problem = ServiceProblem::NotAKey { step: own.to_owned(), field: field.clone() };
                    return Err(("field", problem));
                }
                check_non_empty(steps, own, "steps")
            }
            Step::Choose { from, show, max, .. } => {
                if *max == 0 {
                    return Err(("max", ServiceProblem::Empty(own.to_owned())));
                }
                check_shown_fields(own, self.query(own, from)?, show)
            }
            Step::Pay { items, methods, .. } => {
                let Some(Step::Choose { from, .. }) = self.earlier.get(items.as_str()) else {
                    return Err(("items", reference(own, items, "choose")));
                };
                let fields = self.query(own, from)?.iter().map(|(name, field)| (name.clone(), field.kind()));
                if bill_fields(&fields.collect()).is_none() {
                    return Err(("items", ServiceProblem::Unpayable(own.to_owned())));
                }
                check_non_empty(methods, own, "methods")
            }
            Step::Print { with, show, .. } => self.check_print(own, with, show),
        }
    }

    fn check_print(&self, own: &str, with: &[String], show: &[String]) -> CheckedStep {
        check_non_empty(with, own, "with")?;
        let mut fields = BTreeSet::new();
        for to in with {
            match self.earlier.get(to.as_str()) {
                Some(Step::Pay { .. } | Step::Submit { .. }) => {}
                Some(Step::Query { answer, .. } | Step::Ticket { answer, .. }) => {
                    fields.extend(labelled_fields(answer));
                }
                _ => return Err(("with", reference(own, to, "query, ticket, pay or submit"))),
            }
        }
        match show.iter().find(|field| !fields.contains(field.as_str())) {
            Some(field) => Err(("show", unlabelled(own, field, fields.into_iter()))),
            None => Ok(()),
        }
    }

    fn check_call(
        &self,
        own: &str,
        call: &str,
        with: &BTreeMap<String, String>,
        answer: &AnswerSchema,
    ) -> CheckedStep {
        if answer.is_empty() {
            return Err(("answer", ServiceProblem::Empty(own.to_owned())));
        }
        check_names(answer.keys(), "answer")?;
        self.check_inputs(own, call, with)
    }

    fn check_inputs(&self, own: &str, call: &str, with: &BTreeMap<String, String>) -> CheckedStep {
        if !is_name(call) {
            return Err(("call", ServiceProblem::Name(call.to_owned())));
        }
        check_names(with.keys(), "with")?;
        with.values().try_for_each(|to| self.check_input(own, to))
    }

    /// Checks that a step has one value for an operation.
    fn check_input(&self, own: &str, to: &str) -> CheckedStep {
        match self.earlier.get(to) {
            Some(Step::Ask { .. } | Step::Scan { .. }) => Ok(()),
            Some(Step::Choose { from, max, .. }) => {
                let answer = self.query(own, from)?;
                let keys = answer.values().filter(|field| field.kind() == AnswerFieldType::Key).count();
                if *max == 1 && keys == 1 {
                    return Ok(());
                }
                Err(("with", ServiceProblem::NotAnInput { step: own.to_owned(), to: to.to_owned() }))
            }
            _ => Err(("with", reference(own, to, "ask, scan or choose"))),
        }
    }

    fn query(&self, own: &str, to: &str) -> Result<&AnswerSchema, (&'static str, ServiceProblem)> {
        match self.earlier.get(to) {
            Some(Step::Query { answer, .. }) => Ok(answer),
            _ => Err(("from", reference(own, to, "query"))),
        }
    }

    fn answer(
        &self,
        own: &str,
        to: &str,
        key: &'static str,
    ) -> Result<&AnswerSchema, (&'static str, ServiceProblem)> {
        match self.earlier.get(to) {
            Some(Step::Query { answer, .. } | Step::Ticket { answer, .. }) => Ok(answer),
            _ => Err((key, reference(own, to, "query or ticket"))),
        }
    }
}

fn reference(own: &str, to: &str, wanted: &'static str) -> ServiceProblem {
    ServiceProblem::Reference { step: own.to_owned(), to: to.to_owned(), wanted }
}

fn labelled_fields(answer: &AnswerSchema) -> impl Iterator<Item = &str> {
    answer
        .iter()
        .filter(|(_, field)| matches!(field, AnswerField::Labelled(_)))
        .map(|(name, _)| name.as_str())
}

fn unlabelled<'a>(own: &str, field: &str, declared: impl Iterator<Item = &'a str>) -> ServiceProblem {
    let declared = declared.collect::<Vec<_>>().join(", ");
    ServiceProblem::Field { step: own.to_owned(), field: field.to_owned(), declared }
}

fn check_shown_fields(own: &str, answer: &AnswerSchema, show: &[String]) -> CheckedStep {
    check_non_empty(show, own, "show")?;
    match show.iter().find(|field| !matches!(answer.get(*field), Some(AnswerField::Labelled(_)))) {
        Some(field) => Err(("show", unlabelled(own, field, labelled_fields(answer)))),
        None => Ok(()),
    }
}

fn check_question(own: &str, answer: &AskedAnswer) -> CheckedStep {
    let is_possible = match answer {
        AskedAnswer::Choice { options } => {
            let different: BTreeSet<&str> = options.iter().map(|option| option.value.as_str()).collect();
            (2..=OPTIONS_MAX).contains(&options.len()) && different.len() == options.len()
        }
        AskedAnswer::Digits { min, max } => *min >= 1 && min <= max && *max <= DIGITS_MAX,
        AskedAnswer::Yuan { min, max } => *min >= 1 && min <= max,
        AskedAnswer::Date { earliest, latest } => earliest <= latest,
        AskedAnswer::IdNumber | AskedAnswer::PhoneNumber => true,
    };
    if is_possible { Ok(()) } else { Err(("answer", ServiceProblem::Question(own.to_owned()))) }
}

fn check_scan(own: &str, code: &ScannedCode, prefix: Option<&str>, typed: bool) -> CheckedStep {
    if !code.is_possible() {
        Err(("code", ServiceProblem::Code(own.to_owned())))
    } else if prefix.is_some_and(|prefix| !is_prefix(prefix)) {
        Err(("prefix", ServiceProblem::Prefix(own.to_owned())))
    } else if typed && code.as_question().is_none() {
        Err(("typed", ServiceProblem::Typed(own.to_owned())))
    } else {
        Ok(())
    }
}

fn check_non_empty<T>(list: &[T], own: &str, key: &'static str) -> CheckedStep {
    if list.is_empty() { Err((key, ServiceProblem::Empty(own.to_owned()))) } else { Ok(()) }
}

fn check_names<'a>(names: impl IntoIterator<Item = &'a String>, key: &'static str) -> CheckedStep {
    match names.into_iter().find(|name| !is_name(name)) {
        Some(name) => Err((key, ServiceProblem::Name(name.clone()))),
        None => Ok(()),
    }
}
