//! Operations: what services may ask of departments, as data.
//!
//! A file for each department names its operations, each with its kind, and the shape of what goes in and comes out. The platform
//! is a gateway: it checks a call against the operation and against the service document, and forwards it. No program is changed to
//! add a service.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::answer_schema::{AnswerFieldType, AnswerSchema};
use crate::bilingual::Bilingual;
use crate::evidence::Level;
use crate::licence::{LicenceKind, LicenceProblem, added_field, added_fields};
use crate::platform_operation::{PlatformOperation, PlatformOperationDeclaration};
use crate::service::ServiceDocument;
use crate::step::Step;
use crate::submission::is_input_name;
use crate::toml_place::{Place, TomlError, parse_toml};

/// Most bytes of an operations file that is parsed.
const TEXT_MAX: usize = 512 * 1024;
/// Time-out of an operation that names none, in milliseconds.
const TIMEOUT_MS: u32 = 6_000;
/// Longest time-out, in milliseconds: below the time for which a kiosk waits.
const TIMEOUT_MAX_MS: u32 = 8_000;

/// 业务部门: name of a department's system, 1 to 32 characters of `a–z 0–9 -`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DepartmentId(String);

/// The text is not a department's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a department's name is 1 to 32 characters of a-z, 0-9 and -")]
pub struct DepartmentIdError;

impl FromStr for DepartmentId {
    type Err = DepartmentIdError;
    fn from_str(text: &str) -> Result<Self, DepartmentIdError> {
        let allowed = text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if text.is_empty() || text.len() > 32 || !allowed {
            Err(DepartmentIdError)
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

impl TryFrom<String> for DepartmentId {
    type Error = DepartmentIdError;
    fn try_from(text: String) -> Result<Self, DepartmentIdError> {
        text.parse()
    }
}

impl From<DepartmentId> for String {
    fn from(id: DepartmentId) -> Self {
        id.0
    }
}

impl fmt::Display for DepartmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an operation does at its department.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OperationKind {
    /// Gives rows, and changes nothing.
    Query,
    /// Gives bills that can be paid.
    Bills,
    /// Does something at once, and once: gives a number in a queue, or an appointment, or ends a consent.
    Ticket,
    /// Takes an application.
    Submit,
}

/// 接口: one operation of a department.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Operation {
    /// The name that service documents call, for example `water.bills`.
    pub name: String,
    /// The department that is asked.
    pub department: DepartmentId,
    /// What it does.
    pub kind: OperationKind,
    /// The answer is a personal record, which needs a consent (I4).
    #[serde(default)]
    pub personal: bool,
    /// The department must know who asks. Without it, nobody is named to the department.
    #[serde(default = "yes")]
    pub person: bool,
    /// Minimum level of the visit, which a service document cannot lower.
    #[serde(default = "recognised")]
    pub level: Level,
    /// Names of what the resident must have entered or chosen.
    #[serde(default)]
    pub input: Vec<String>,
    /// The fields of each row of the answer; none where it takes an application.
    #[serde(default)]
    pub answer: BTreeMap<String, AnswerFieldType>,
    /// Time in milliseconds after which the department counts as not answering.
    #[serde(default = "default_timeout")]
    pub timeout_ms: u32,
}

const fn yes() -> bool {
    true
}

const fn recognised() -> Level {
    Level::Recognised
}

const fn default_timeout() -> u32 {
    TIMEOUT_MS
}

/// A department, as the operations file names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Department {
    /// Its id.
    pub id: DepartmentId,
    /// Its name, as residents know it.
    pub name: Bilingual,
}

/// The departments and operations of a city, in one file for each department, and the kinds of licence that its library gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Operations {
    departments: BTreeMap<DepartmentId, Department>,
    operations: BTreeMap<String, Operation>,
    licences: BTreeMap<String, LicenceKind>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OperationsFile {
    #[serde(default)]
    department: Vec<Department>,
    #[serde(default)]
    operation: Vec<Operation>,
}

/// What is wrong with an operations file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OperationsProblem {
    /// The department or operation is defined twice.
    #[error("`{0}` is defined twice: give each department and each operation one entry")]
    Twice(String),
    /// The platform answers an operation of this name itself.
    #[error("the platform itself answers `{0}`: give the department's operation another name")]
    OfThePlatform(String),
    /// The department of the operation is not in the file.
    #[error("there is no department `{0}`: add a [[department]] with this id, or correct the name")]
    Department(DepartmentId),
    /// The name cannot be one.
    #[error("`{0}` is not a name: use a-z, 0-9, `.` and `-`, at most 64 characters")]
    Name(String),
    /// The answer of bills cannot be paid.
    #[error(
        "the answer of `bills` needs exactly one field of type key, one of type money, and a text field `payee`"
    )]
    Unpayable,
    /// Bills are asked for once more when they are paid, and that has no consent of its own.
    #[error("`bills` cannot be personal: a resident's own bills need no consent")]
    PersonalBills,
    /// The answer has no field.
    #[error("an answer needs at least one field, and an operation of kind `submit` has none")]
    NoAnswer,
    /// The time-out is out of bounds.
    #[error("timeout-ms is 100 to {TIMEOUT_MAX_MS}: a kiosk does not wait longer")]
    Timeout,
}

/// Why a service document does not fit the operations.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OperationMismatch {
    /// There is no such operation.
    #[error("there is no operation `{0}`: add it to the file of its department, or correct `call`")]
    Unknown(String),
    /// The kind of the step is not that of the operation.
    #[error("operation `{call}` is of kind `{kind}`, which a step `{step}` cannot call")]
    Kind {
        /// The operation.
        call: String,
        /// Its kind.
        kind: &'static str,
        /// The kind of the step.
        step: &'static str,
    },
    /// A field is not in the operation's answer, or has another type there.
    #[error("operation `{call}` has no field `{field}` of this type; it has: {fields}")]
    Field {
        /// The operation.
        call: String,
        /// The field.
        field: String,
        /// The fields that there are.
        fields: String,
    },
    /// The inputs of the step are not those of the operation.
    #[error("operation `{call}` needs as `with` exactly: {wanted}")]
    Input {
        /// The operation.
        call: String,
        /// The names of its inputs.
        wanted: String,
    },
    /// The operation gives a personal record.
    #[error("operation `{0}` gives a personal record: write `personal = true` and name a consent step")]
    Personal(String),
    /// A submission names another department.
    #[error("operation `{call}` belongs to department `{department}`: name it in `department`")]
    Department {
        /// The operation.
        call: String,
        /// Its department.
        department: DepartmentId,
    },
    /// The service's level is below that of the operation.
    #[error("operation `{0}` needs a higher `level` than the service has")]
    Level(String),
}

impl OperationKind {
    const fn name(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Bills => "bills",
            Self::Ticket => "ticket",
            Self::Submit => "submit",
        }
    }
}

impl Operations {
    /// Reads and checks an operations file.
    ///
    /// # Errors
    /// [`TomlError`] with line and column.
    pub fn parse(text: &str) -> Result<Self, TomlError<OperationsProblem>> {
        let file: OperationsFile = parse_toml(text, TEXT_MAX)?;
        let mut all = Self::default();
        let fault = |place: Place<'_>, problem| TomlError::problem(text, &place, problem);
        for (at, department) in file.department.into_iter().enumerate() {
            let id = department.id.clone();
            if all.departments.insert(id.clone(), department).is_some() {
                return Err(fault(
                    Place::item("department", at, "id"),
                    OperationsProblem::Twice(id.to_string()),
                ));
            }
        }
        for (at, operation) in file.operation.into_iter().enumerate() {
            if let Err((key, problem)) = all.check_operation(&operation) {
                return Err(fault(Place::item("operation", at, key), problem));
            }
            let name = operation.name.clone();
            if all.operations.insert(name.clone(), operation).is_some() {
                return Err(fault(Place::item("operation", at, "name"), OperationsProblem::Twice(name)));
            }
        }
        Ok(all)
    }

    /// The key of the entry that is wrong, and what is wrong with it.
    fn check_operation(&self, operation: &Operation) -> Result<(), (&'static str, OperationsProblem)> {
        if !is_name(&operation.name) {
            return Err(("name", OperationsProblem::Name(operation.name.clone())));
        }
        if PlatformOperation::from_name(&operation.name).is_some() {
            return Err(("name", OperationsProblem::OfThePlatform(operation.name.clone())));
        }
        if !self.departments.contains_key(&operation.department) {
            return Err(("department", OperationsProblem::Department(operation.department.clone())));
        }
        if let Some(input) = operation.input.iter().find(|input| !is_name(input) || !is_input_name(input)) {
            return Err(("input", OperationsProblem::Name(input.clone())));
        }
        for (at, input) in operation.input.iter().enumerate() {
            if operation.input.iter().take(at).any(|earlier| earlier == input) {
                return Err(("input", OperationsProblem::Twice(input.clone())));
            }
        }
        if let Some(field) = operation.answer.keys().find(|field| !is_name(field)) {
            return Err(("answer", OperationsProblem::Name(field.clone())));
        }
        if operation.answer.is_empty() != (operation.kind == OperationKind::Submit) {
            return Err(("answer", OperationsProblem::NoAnswer));
        }
        if operation.kind == OperationKind::Bills && operation.personal {
            return Err(("personal", OperationsProblem::PersonalBills));
        }
        if operation.kind == OperationKind::Bills && bill_fields(&operation.answer).is_none() {
            return Err(("answer", OperationsProblem::Unpayable));
        }
        if !(100..=TIMEOUT_MAX_MS).contains(&operation.timeout_ms) {
            return Err(("timeout-ms", OperationsProblem::Timeout));
        }
        Ok(())
    }

    /// Adds the departments and operations of another file.
    ///
    /// # Errors
    /// When one of them is defined already.
    pub fn add(&mut self, other: Self) -> Result<(), OperationsProblem> {
        if let Some(id) = other.departments.keys().find(|id| self.departments.contains_key(*id)) {
            return Err(OperationsProblem::Twice(id.to_string()));
        }
        if let Some(name) = other.operations.keys().find(|name| self.operations.contains_key(*name)) {
            return Err(OperationsProblem::Twice(name.clone()));
        }
        self.departments.extend(other.departments);
        self.operations.extend(other.operations);
        Ok(())
    }

    /// Adds the licence kind of a file. The operations of the licence library must be there before.
    ///
    /// # Errors
    /// [`TomlError`] with line and column in the licence file.
    pub fn add_licence(&mut self, text: &str) -> Result<(), TomlError<LicenceProblem>> {
        let kind = LicenceKind::parse(text)?;
        let problem = if self.licences.contains_key(&kind.id) {
            Err(LicenceProblem::Twice(kind.id.clone()))
        } else {
            kind.check_operations(self)
        };
        problem.map_err(|problem| TomlError::problem(text, &Place::top("id"), problem))?;
        self.licences.insert(kind.id.clone(), kind);
        Ok(())
    }

    /// The licence kind with this id.
    #[must_use]
    pub fn licence(&self, id: &str) -> Option<&LicenceKind> {
        self.licences.get(id)
    }

    /// All licence kinds, by id.
    pub fn licences(&self) -> impl Iterator<Item = &LicenceKind> {
        self.licences.values()
    }

    /// The operation with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Operation> {
        self.operations.get(name)
    }

    /// The department with this id.
    #[must_use]
    pub fn department(&self, id: &DepartmentId) -> Option<&Department> {
        self.departments.get(id)
    }

    /// All departments.
    pub fn departments(&self) -> impl Iterator<Item = &Department> {
        self.departments.values()
    }

    /// All operations, by name.
    pub fn operations(&self) -> impl Iterator<Item = &Operation> {
        self.operations.values()
    }

    /// Checks what a service document calls: the operations exist, and the document asks of them no more than they give.
    ///
    /// # Errors
    /// The name of the step, and what does not fit.
    pub fn check(&self, document: &ServiceDocument) -> Result<(), (String, OperationMismatch)> {
        for step in &document.steps {
            let checked = match step {
                Step::Query { call, with, personal, answer, .. } => {
                    self.check_call(document.level, call, "query", with, *personal, answer)
                }
                Step::Ticket { call, with, answer, .. } => {
                    self.check_call(document.level, call, "ticket", with, false, answer)
                }
                Step::Submit { call, department, with, .. } => self
                    .check_call(document.level, call, "submit", with, false, &AnswerSchema::new())
                    .and_then(|()| self.check_department(call, department)),
                Step::Consent { .. }
                | Step::Ask { .. }
                | Step::Scan { .. }
                | Step::Show { .. }
                | Step::ShowCode { .. }
                | Step::ChangePin { .. }
                | Step::Choose { .. }
                | Step::Pay { .. }
                | Step::Print { .. } => Ok(()),
            };
            checked.map_err(|mismatch| (step.id().to_owned(), mismatch))?;
        }
        Ok(())
    }

    fn check_department(&self, call: &str, department: &DepartmentId) -> Result<(), OperationMismatch> {
        match self.get(call) {
            Some(operation) if operation.department != *department => Err(OperationMismatch::Department {
                call: call.to_owned(),
                department: operation.department.clone(),
            }),
            Some(_) | None => Ok(()),
        }
    }

    fn check_call(
        &self,
        level: Level,
        call: &str,
        step: &'static str,
        with: &BTreeMap<String, String>,
        personal: bool,
        answer: &AnswerSchema,
    ) -> Result<(), OperationMismatch> {
        let given =
            GivenOperation::find(self, call).ok_or_else(|| OperationMismatch::Unknown(call.to_owned()))?;
        let call = call.to_owned();
        let fits = match given.kind {
            OperationKind::Query | OperationKind::Bills => step == "query",
            OperationKind::Ticket => step == "ticket",
            OperationKind::Submit => step == "submit",
        };
        if !fits {
            return Err(OperationMismatch::Kind { call, kind: given.kind.name(), step });
        }
        let type_of = |name: &str| given.answer.get(name).copied().or_else(|| added_field(&call, name));
        if let Some((field, _)) = answer.iter().find(|(name, field)| type_of(name) != Some(field.kind())) {
            let names = given.answer.keys().copied().chain(added_fields(&call));
            let fields = names.collect::<Vec<_>>().join(", ");
            return Err(OperationMismatch::Field { call, field: field.clone(), fields });
        }
        if !with.keys().map(String::as_str).eq(given.input.iter().copied().collect::<BTreeSet<_>>()) {
            let wanted = if given.input.is_empty() { "nothing".to_owned() } else { given.input.join(", ") };
            return Err(OperationMismatch::Input { call, wanted });
        }
        if given.personal && !personal {
            return Err(OperationMismatch::Personal(call));
        }
        if level < given.level {
            return Err(OperationMismatch::Level(call));
        }
        Ok(())
    }
}

/// What a document may call: an operation of the platform, or of a department.
struct GivenOperation<'a> {
    kind: OperationKind,
    level: Level,
    personal: bool,
    input: Vec<&'a str>,
    answer: BTreeMap<&'a str, AnswerFieldType>,
}

impl<'a> GivenOperation<'a> {
    fn find(operations: &'a Operations, name: &str) -> Option<Self> {
        if let Some(own) = PlatformOperation::from_name(name) {
            let PlatformOperationDeclaration { kind, level, personal, input, answer, .. } = own.declaration();
            let (input, answer) = (input.to_vec(), answer.iter().copied().collect());
            return Some(Self { kind, level, personal, input, answer });
        }
        let operation = operations.get(name)?;
        Some(Self {
            kind: operation.kind,
            level: operation.level,
            personal: operation.personal,
            input: operation.input.iter().map(String::as_str).collect(),
            answer: operation.answer.iter().map(|(name, kind)| (name.as_str(), *kind)).collect(),
        })
    }
}

/// The names of the key field and of the money field of a bill; `None` where the fields are not those of a bill.
#[must_use]
pub fn bill_fields(fields: &BTreeMap<String, AnswerFieldType>) -> Option<(&str, &str)> {
    let only = |kind| {
        let mut names = fields.iter().filter(|(_, field)| **field == kind).map(|(name, _)| name.as_str());
        names.next().filter(|_| names.next().is_none())
    };
    let has_payee = fields.get("payee") == Some(&AnswerFieldType::Text);
    only(AnswerFieldType::Key).zip(only(AnswerFieldType::Money)).filter(|_| has_payee)
}

/// Whether a text is the name of a service, step, operation or field.
pub(crate) fn is_name(text: &str) -> bool {
    let allowed = text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-'));
    !text.is_empty() && text.len() <= 64 && allowed
}
