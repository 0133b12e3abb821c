//! The file of inputs: a test person of the department, and what is entered for each operation.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use contract::{DepartmentPerson, Operation, parse_toml};
use serde::Deserialize;

/// Most bytes of the file.
const TEXT_MAX: usize = 256 * 1024;

/// What is asked, for whom. No `Debug`: personal data.
pub(crate) struct Inputs {
    /// The test person.
    pub(crate) person: DepartmentPerson,
    calls: Vec<Call>,
}

/// One call of an operation.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Call {
    operation: String,
    /// What the resident enters.
    #[serde(default)]
    pub(crate) input: BTreeMap<String, String>,
    /// What must come; `None`: any good answer.
    pub(crate) expect: Option<Expected>,
}

/// The answer that the author of the file knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Expected {
    /// At least one row; a submission is received.
    Rows,
    /// No row.
    Nothing,
    /// Status 422.
    Refused,
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rows => "rows",
            Self::Nothing => "no row",
            Self::Refused => "a refusal (422)",
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InputsFile {
    person: PersonTable,
    #[serde(default)]
    call: Vec<Call>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PersonTable {
    id_number: String,
    name: String,
}

impl Inputs {
    /// Reads the file. Each call must name an operation of the department, and exactly its inputs.
    pub(crate) fn read(path: &Path, operations: &[&Operation]) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text, operations).with_context(|| path.display().to_string())
    }

    fn parse(text: &str, operations: &[&Operation]) -> Result<Self> {
        let file: InputsFile = parse_toml::<_, std::convert::Infallible>(text, TEXT_MAX)?;
        if file.person.id_number.is_empty() || file.person.name.is_empty() {
            bail!("[person] needs id_number and name of a test person");
        }
        for call in &file.call {
            let Some(operation) = operations.iter().find(|operation| operation.name == call.operation) else {
                bail!("the department has no operation `{}`", call.operation);
            };
            let is_declared = call.input.keys().all(|name| operation.input.contains(name));
            if !is_declared || call.input.len() != operation.input.len() {
                bail!("`{}` needs as input exactly: {}", operation.name, operation.input.join(", "));
            }
        }
        let person = DepartmentPerson { id_number: file.person.id_number, name: file.person.name };
        Ok(Self { person, calls: file.call })
    }

    /// The calls of an operation. One that needs no input has at least one.
    pub(crate) fn calls(&self, operation: &Operation) -> Vec<Call> {
        let mut calls: Vec<Call> =
            self.calls.iter().filter(|call| call.operation == operation.name).cloned().collect();
        if calls.is_empty() && operation.input.is_empty() {
            let operation = operation.name.clone();
            calls.push(Call { operation, input: BTreeMap::new(), expect: None });
        }
        calls
    }

    /// The person of this operation, if it is about one.
    pub(crate) fn person_of(&self, operation: &Operation) -> Option<DepartmentPerson> {
        operation.person.then(|| self.person.clone())
    }
}
