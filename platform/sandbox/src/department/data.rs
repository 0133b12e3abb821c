//! The data file of a department, as a person writes it: TOML, with the place of each part for messages.
//!
//! `docs/departments.md` explains it. What one part alone can show to be wrong is refused here, the rest in `check`.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::check;
use super::values::{Template, Value};

/// Most characters of words for a resident.
const MAX_WORDS: usize = 100;

/// Paths beside those of the departments.
const RESERVED: [&str; 2] = ["bills", "payments"];

/// What is wrong with a data file, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {problem}")]
pub struct DataError {
    /// The file's name.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, and what is allowed.
    pub problem: String,
}

/// A resident of the demo, as departments know them. No `Debug`: the fields are personal data.
#[derive(Clone, Deserialize)]
pub struct Resident {
    /// Short name in the data files.
    pub id: String,
    /// 公民身份号码.
    pub id_number: String,
    /// Name.
    pub name: String,
}

/// All departments of the demo, as their data files describe them.
#[derive(Default)]
pub struct DepartmentData {
    pub(crate) departments: BTreeMap<String, DepartmentFile>,
    pub(crate) residents: BTreeMap<String, Resident>,
}

/// One data file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DepartmentFile {
    /// Name of the department, for its readers.
    #[expect(dead_code, reason = "checked, so that every file has one")]
    name: Words,
    #[serde(default, rename = "query")]
    pub(crate) queries: Vec<Spanned<Query>>,
    #[serde(default, rename = "ticket")]
    pub(crate) tickets: Vec<Spanned<Tickets>>,
    #[serde(default, rename = "submission")]
    pub(crate) submissions: Vec<Spanned<Submissions>>,
}

/// Words for residents in both languages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenWords")]
pub(crate) struct Words {
    pub(crate) zh: String,
    pub(crate) en: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenWords {
    zh: String,
    en: String,
}

impl TryFrom<WrittenWords> for Words {
    type Error = String;

    fn try_from(words: WrittenWords) -> Result<Self, String> {
        for text in [&words.zh, &words.en] {
            if text.trim().is_empty() || text.chars().count() > MAX_WORDS {
                return Err(format!("words for residents have 1 to {MAX_WORDS} characters in each language"));
            }
        }
        Ok(Self { zh: words.zh, en: words.en })
    }
}

/// A query, or bills.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Query {
    pub(crate) operation: Spanned<String>,
    pub(crate) fields: Spanned<Vec<String>>,
    /// The field that holds a bill's key; makes the rows bills.
    pub(crate) key: Option<Spanned<String>>,
    /// The field that holds a bill's amount.
    pub(crate) amount: Option<Spanned<String>>,
    #[serde(default, rename = "row")]
    pub(crate) rows: Vec<Spanned<QueryRow>>,
    #[serde(default)]
    pub(crate) refuse: Vec<Refuse>,
    #[serde(default)]
    pub(crate) next: Vec<Next>,
    /// What a payment changes.
    #[serde(default)]
    pub(crate) paid: Vec<Spanned<Effect>>,
}

/// A row of a query.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct QueryRow {
    pub(crate) resident: Option<Spanned<String>>,
    #[serde(default)]
    pub(crate) when: BTreeMap<String, String>,
    pub(crate) values: BTreeMap<String, Spanned<Value>>,
    /// A bill that is open again, with the next number, after it was paid.
    #[serde(default)]
    pub(crate) again: bool,
}

/// Whom and what a refusal or a next service is for.
#[derive(Debug, Default)]
pub(crate) struct Condition {
    pub(crate) resident: Option<Spanned<String>>,
    pub(crate) when: BTreeMap<String, String>,
    pub(crate) state: Option<Spanned<FieldIs>>,
}

/// A field of a row that the person has in another query.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FieldIs {
    pub(crate) operation: String,
    pub(crate) field: String,
    pub(crate) is: Template,
}

/// The department refuses.
#[derive(Debug, Deserialize)]
#[serde(try_from = "WrittenRefuse")]
pub(crate) struct Refuse {
    pub(crate) condition: Condition,
    pub(crate) words: Words,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRefuse {
    resident: Option<Spanned<String>>,
    #[serde(default)]
    when: BTreeMap<String, String>,
    #[serde(rename = "if")]
    state: Option<Spanned<FieldIs>>,
    zh: String,
    en: String,
}

impl TryFrom<WrittenRefuse> for Refuse {
    type Error = String;

    fn try_from(it: WrittenRefuse) -> Result<Self, String> {
        let words = WrittenWords { zh: it.zh, en: it.en }.try_into()?;
        Ok(Self { condition: Condition { resident: it.resident, when: it.when, state: it.state }, words })
    }
}

/// The service that goes on.
#[derive(Debug, Deserialize)]
#[serde(from = "WrittenNext")]
pub(crate) struct Next {
    pub(crate) condition: Condition,
    pub(crate) service: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenNext {
    resident: Option<Spanned<String>>,
    #[serde(default)]
    when: BTreeMap<String, String>,
    #[serde(rename = "if")]
    state: Option<Spanned<FieldIs>>,
    service: String,
}

impl From<WrittenNext> for Next {
    fn from(it: WrittenNext) -> Self {
        let condition = Condition { resident: it.resident, when: it.when, state: it.state };
        Self { condition, service: it.service }
    }
}

/// What a payment, a ticket or a submission changes in a query: exactly one of `add`, `set`, `raise`, `remove`, each with
/// the operation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Effect {
    pub(crate) add: Option<Spanned<String>>,
    pub(crate) set: Option<Spanned<String>>,
    pub(crate) raise: Option<Spanned<String>>,
    pub(crate) remove: Option<Spanned<String>>,
    /// `add`, `set`: the values.
    #[serde(default)]
    pub(crate) values: BTreeMap<String, Spanned<Value>>,
    /// `add`: the input to which the row is given.
    #[serde(default)]
    pub(crate) when: BTreeMap<String, Spanned<Template>>,
    /// `set`, `raise`, `remove`: which of the rows.
    #[serde(default, rename = "where")]
    pub(crate) only: BTreeMap<String, Spanned<Template>>,
    /// `raise`: the field.
    pub(crate) field: Option<Spanned<String>>,
    /// `raise`: by how much; `-` before a derived value lowers.
    pub(crate) by: Option<Spanned<Value>>,
}

/// Numbers in queues, and appointments.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tickets {
    pub(crate) operation: Spanned<String>,
    pub(crate) fields: Spanned<Vec<String>>,
    #[serde(default, rename = "row")]
    pub(crate) rows: Vec<Spanned<TicketRow>>,
    #[serde(default)]
    pub(crate) refuse: Vec<Refuse>,
}

/// A queue, or a kind of appointment; a ticket is of the first row that fits.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TicketRow {
    pub(crate) resident: Option<Spanned<String>>,
    #[serde(default)]
    pub(crate) when: BTreeMap<String, String>,
    /// Before the number that is counted each day; absent: no number is counted.
    pub(crate) prefix: Option<Spanned<String>>,
    /// Minutes that one person takes.
    #[serde(default)]
    pub(crate) minutes: u16,
    pub(crate) values: BTreeMap<String, Spanned<Value>>,
    #[serde(default, rename = "effect")]
    pub(crate) effects: Vec<Spanned<Effect>>,
}

/// An application.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Submissions {
    pub(crate) operation: Spanned<String>,
    /// Fields that must be entered, each with the words of the refusal.
    #[serde(default)]
    pub(crate) required: BTreeMap<String, Words>,
    /// Number of the case.
    pub(crate) number: Spanned<Template>,
    #[serde(default)]
    pub(crate) state: State,
    pub(crate) text: Option<Words>,
    /// Later states.
    #[serde(default)]
    pub(crate) then: Vec<Spanned<Later>>,
    pub(crate) once: Option<Once>,
    #[serde(default)]
    pub(crate) refuse: Vec<Refuse>,
    #[serde(default, rename = "effect")]
    pub(crate) effects: Vec<Spanned<Effect>>,
}

/// State of a submission.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// 已受理.
    #[default]
    Accepted,
    /// 办理中.
    Working,
    /// 已办结.
    Done,
    /// 退回补正: something is missing.
    Returned,
    /// 不予受理.
    Refused,
}

impl State {
    /// The state in Chinese, for a row of a query.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Accepted => "已受理",
            Self::Working => "办理中",
            Self::Done => "已办结",
            Self::Returned => "退回补正",
            Self::Refused => "不予受理",
        }
    }
}

/// A state that follows by itself.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Later {
    /// Time since the submission.
    pub(crate) after: After,
    pub(crate) state: State,
    pub(crate) text: Option<Words>,
}

/// A duration such as `30s`, `10m`, `2h`, `3d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct After(pub(crate) Duration);

impl TryFrom<String> for After {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parse = || {
            let (unit, seconds) = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)]
                .into_iter()
                .find(|(unit, _)| text.ends_with(unit))?;
            let number: u32 = text.strip_suffix(unit)?.parse().ok()?;
            Some(Self(Duration::from_secs(u64::from(number) * seconds)))
        };
        parse().ok_or_else(|| format!("`{text}` is not a time; write for example 30s, 10m, 2h or 3d"))
    }
}

/// A person may submit this once in a time.
#[derive(Debug, Deserialize)]
#[serde(try_from = "WrittenOnce")]
pub(crate) struct Once {
    pub(crate) per: Per,
    pub(crate) words: Words,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenOnce {
    per: Per,
    zh: String,
    en: String,
}

impl TryFrom<WrittenOnce> for Once {
    type Error = String;

    fn try_from(it: WrittenOnce) -> Result<Self, String> {
        Ok(Self { per: it.per, words: WrittenWords { zh: it.zh, en: it.en }.try_into()? })
    }
}

/// A time in which something happens once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Per {
    Day,
    Month,
    Year,
    Ever,
}

impl Per {
    /// How much of a date `YYYY-MM-DD` is the same within one such time.
    pub(crate) const fn date_len(self) -> u8 {
        match self {
            Self::Day => 10,
            Self::Month => 7,
            Self::Year => 4,
            Self::Ever => 0,
        }
    }
}

impl DepartmentData {
    /// Reads data files, each given by its name (`water.toml` describes the department `water`) and text.
    ///
    /// # Errors
    /// The first mistake, with its file and line and with what is allowed.
    pub fn parse<'a>(
        files: impl IntoIterator<Item = (&'a str, &'a str)>,
        residents: Vec<Resident>,
    ) -> Result<Self, DataError> {
        let residents: BTreeMap<_, _> =
            residents.into_iter().map(|resident| (resident.id.clone(), resident)).collect();
        let mut departments = BTreeMap::new();
        for (name, text) in files {
            let at = FileText { name, text };
            let id = name.strip_suffix(".toml").unwrap_or(name);
            if id.is_empty() || !id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            {
                return Err(
                    at.error(0, "a data file is named DEPARTMENT.toml, of lower-case letters, digits and -")
                );
            }
            if RESERVED.contains(&id) {
                let names = RESERVED.join(" and ");
                return Err(at.error(
                    0,
                    &format!("{names} are paths of the auditor: give the department another name"),
                ));
            }
            let file: DepartmentFile = toml::from_str(text)
                .map_err(|error| at.error(error.span().map_or(0, |span| span.start), error.message()))?;
            check::department(&file, &residents).map_err(|(offset, problem)| at.error(offset, &problem))?;
            departments.insert(id.to_owned(), file);
        }
        Ok(Self { departments, residents })
    }

    /// Ids of the departments, in alphabetical order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.departments.keys().map(String::as_str)
    }
}

/// A file, to name a place in it.
struct FileText<'a> {
    name: &'a str,
    text: &'a str,
}

impl FileText<'_> {
    fn error(&self, offset: usize, problem: &str) -> DataError {
        let before = self.text.as_bytes().get(..offset).unwrap_or(self.text.as_bytes());
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        DataError { file: self.name.to_owned(), line, problem: problem.replace('\n', "; ") }
    }
}

impl fmt::Debug for DepartmentData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DepartmentData").field("departments", &self.departments).finish_non_exhaustive()
    }
}

impl DepartmentFile {
    /// The query of this operation.
    pub(crate) fn query(&self, operation: &str) -> Option<&Query> {
        self.queries.iter().map(Spanned::get_ref).find(|query| query.operation.get_ref() == operation)
    }

    /// The tickets of this operation.
    pub(crate) fn ticket(&self, operation: &str) -> Option<&Tickets> {
        self.tickets.iter().map(Spanned::get_ref).find(|ticket| ticket.operation.get_ref() == operation)
    }

    /// The submissions of this operation.
    pub(crate) fn submission(&self, operation: &str) -> Option<&Submissions> {
        self.submissions.iter().map(Spanned::get_ref).find(|one| one.operation.get_ref() == operation)
    }
}

/// The values without their places.
pub(crate) fn plain<T: Clone>(values: &BTreeMap<String, Spanned<T>>) -> BTreeMap<String, T> {
    values.iter().map(|(field, value)| (field.clone(), value.get_ref().clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_minutes_hours_or_days() {
        for (text, seconds) in [("30s", 30), ("10m", 600), ("2h", 7_200), ("3d", 259_200), ("0s", 0)] {
            assert_eq!(After::try_from(text.to_owned()), Ok(After(Duration::from_secs(seconds))), "{text}");
        }
        for text in ["", "5", "m", "-5m", "1.5h", "5 m", "5w", "99999999999d", "五d"] {
            assert!(After::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn dates_are_the_same_within_a_time_by_their_start() {
        let same = |per: Per, a: &str, b: &str| a[..per.date_len().into()] == b[..per.date_len().into()];
        for (per, other, is_same) in [
            (Per::Day, "2026-11-29", false),
            (Per::Month, "2026-11-01", true),
            (Per::Month, "2026-10-30", false),
            (Per::Year, "2026-01-30", true),
            (Per::Year, "2025-11-30", false),
            (Per::Ever, "2001-01-01", true),
        ] {
            assert_eq!(same(per, "2026-11-30", other), is_same, "{per:?} {other}");
        }
    }
}
