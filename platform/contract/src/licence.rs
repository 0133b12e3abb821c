//! Licence kinds (证照类型): the e-certificates that the licence library gives, as data.
//!
//! A file for each kind says what it is called, who issues it, which items it has and how each is masked on a screen, how far its data
//! are trusted, and what the watermark of a printout says. The library answers for each kind by an operation of its own,
//! `licence.KIND`, so that its answer is checked field by field as that of any department. No program is changed to add a kind.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::answer_schema::AnswerFieldType;
use crate::bilingual::Bilingual;
use crate::operation::{Operation, OperationKind, Operations, is_name};
use crate::toml_place::{Place, TomlError, parse_toml};

/// Most bytes of a licence file that is parsed.
const TEXT_MAX: usize = 32 * 1024;
/// Most items of a kind.
const ITEMS_MAX: usize = 12;
/// Longest title or issuer in characters.
const WORDS_MAX: usize = 60;
/// What the names of the library's operations begin with.
const OPERATION_PREFIX: &str = "licence.";
/// The operation that lists the licences that a person holds.
pub const LICENCE_LIST: &str = "licence.list";

/// What the library says of every licence, beside its items.
const STATE_FIELDS: [(&str, AnswerFieldType); 3] =
    [("status", AnswerFieldType::Text), ("since", AnswerFieldType::Date), ("until", AnswerFieldType::Text)];
/// What the platform adds to a licence, so that documents can show it.
const ADDED_FIELDS: [(&str, AnswerFieldType); 6] = [
    ("title", AnswerFieldType::Text),
    ("issuer", AnswerFieldType::Text),
    ("standing", AnswerFieldType::Text),
    ("validity", AnswerFieldType::Text),
    ("as-of", AnswerFieldType::Date),
    ("watermark", AnswerFieldType::Text),
];

/// 可信等级: how far the data of an e-certificate are trusted, by 国办函〔2016〕108号; A is the highest level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TrustLevel {
    /// Level A.
    A,
    /// Level B.
    B,
    /// Level C.
    C,
    /// Level D.
    D,
}

/// How an item is shown on a screen and on the paper of a kiosk, because of bystanders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ItemMask {
    /// As it is.
    None,
    /// As a name: its ends only.
    Name,
    /// As a number: its ends only.
    Number,
    /// Not at all.
    Hidden,
}

/// Whether licences of a kind end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LicenceValidity {
    /// Each has a last day.
    Dated,
    /// None ends (长期有效).
    LongTerm,
    /// Some end and some do not.
    Either,
}

/// What the watermark of a licence says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WatermarkPart {
    /// What it may be used for.
    Purpose,
    /// Who gets it.
    Recipient,
    /// Until when it may be used.
    Validity,
}

/// An item (证照要素) of a licence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LicenceItem {
    /// Its name, which is the field of the library's answer.
    pub name: String,
    /// Its title, as the holder reads it.
    pub title: Bilingual,
    /// How it is masked.
    pub mask: ItemMask,
}

/// A kind of e-certificate (电子证照).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LicenceKind {
    /// Its id, by which relying parties and the library name it.
    pub id: String,
    /// Its title, as the holder reads it.
    pub title: Bilingual,
    /// The authority that issues it.
    pub issuer: Bilingual,
    /// How far its data are trusted.
    pub trust: TrustLevel,
    /// Whether licences of this kind end.
    pub validity: LicenceValidity,
    /// What its watermark says.
    pub watermark: BTreeSet<WatermarkPart>,
    /// Its items, in the order in which they are shown.
    #[serde(rename = "item")]
    pub items: Vec<LicenceItem>,
}

/// What is wrong with a licence file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LicenceProblem {
    /// The kind's id cannot be one.
    #[error("`{0}` is not the id of a licence: use a-z, 0-9 and `-`, at most 40 characters, and not `list`")]
    Id(String),
    /// The name of an item cannot be one.
    #[error("`{0}` is not the name of an item: use a-z, 0-9, `.` and `-`, at most 64 characters")]
    ItemName(String),
    /// The name of an item is that of a field that every licence has.
    #[error("an item cannot be called `{0}`: every licence has a field of this name")]
    Reserved(String),
    /// The kind, or an item, is defined twice.
    #[error("`{0}` is defined twice: give each kind one file, and each item one entry")]
    Twice(String),
    /// A text is missing or too long.
    #[error("a title or an issuer has 1 to {WORDS_MAX} characters in each language")]
    Words,
    /// There are no items or too many.
    #[error("a licence has 1 to {ITEMS_MAX} items, each a table [[item]]")]
    ItemCount,
    /// The watermark does not say what the printout may be used for.
    #[error("the watermark must say the purpose: add `purpose`")]
    NoPurpose,
    /// The library has no operation for it.
    #[error("there is no operation `{0}`: add it to the operations of the licence library")]
    NoOperation(String),
    /// The library's operation is not one that gives a personal record.
    #[error("operation `{0}` must be of kind `query`, with `personal = true`, a person, and no `input`")]
    NotPersonal(String),
    /// The operation's answer has not the fields of the kind.
    #[error("operation `{operation}` must have in its answer exactly: {wanted}")]
    Answer {
        /// The operation.
        operation: String,
        /// The fields with their types.
        wanted: String,
    },
}

impl LicenceKind {
    /// Reads and checks a licence file.
    ///
    /// # Errors
    /// [`TomlError`] with line and column.
    pub fn parse(text: &str) -> Result<Self, TomlError<LicenceProblem>> {
        let kind: Self = parse_toml(text, TEXT_MAX)?;
        match kind.check() {
            Ok(()) => Ok(kind),
            Err((place, problem)) => Err(TomlError::problem(text, &place, problem)),
        }
    }

    fn check(&self) -> Result<(), (Place<'static>, LicenceProblem)> {
        let is_id = is_name(&self.id) && !self.id.contains('.') && self.id.len() <= 40 && self.id != "list";
        if !is_id {
            return Err((Place::top("id"), LicenceProblem::Id(self.id.clone())));
        }
        for (key, words) in [("title", &self.title), ("issuer", &self.issuer)] {
            if !are_words(words) {
                return Err((Place::top(key), LicenceProblem::Words));
            }
        }
        if !self.watermark.contains(&WatermarkPart::Purpose) {
            return Err((Place::top("watermark"), LicenceProblem::NoPurpose));
        }
        if !(1..=ITEMS_MAX).contains(&self.items.len()) {
            return Err((Place::top("item"), LicenceProblem::ItemCount));
        }
        let mut names = BTreeSet::new();
        for (at, item) in self.items.iter().enumerate() {
            let fault = |key, problem: fn(String) -> LicenceProblem| {
                Err((Place::item("item", at, key), problem(item.name.clone())))
            };
            if !is_name(&item.name) {
                return fault("name", LicenceProblem::ItemName);
            }
            if STATE_FIELDS.iter().chain(&ADDED_FIELDS).any(|(name, _)| *name == item.name) {
                return fault("name", LicenceProblem::Reserved);
            }
            if !names.insert(&item.name) {
                return fault("name", LicenceProblem::Twice);
            }
            if !are_words(&item.title) {
                return fault("title", |_| LicenceProblem::Words);
            }
        }
        Ok(())
    }

    /// The library's operation for this kind.
    #[must_use]
    pub fn operation(&self) -> String {
        format!("{OPERATION_PREFIX}{}", self.id)
    }

    /// The item with this name.
    #[must_use]
    pub fn item(&self, name: &str) -> Option<&LicenceItem> {
        self.items.iter().find(|item| item.name == name)
    }

    /// Checks that the library's operations give the fields of this kind, and no others: each field has its mask.
    pub(crate) fn check_operations(&self, operations: &Operations) -> Result<(), LicenceProblem> {
        let items = self.items.iter().map(|item| (item.name.as_str(), AnswerFieldType::Text));
        check_operation(operations, &self.operation(), items.chain(STATE_FIELDS).collect())?;
        let listed = [("licence", AnswerFieldType::Key)];
        check_operation(operations, LICENCE_LIST, listed.into_iter().chain(STATE_FIELDS).collect())
    }
}

fn check_operation(
    operations: &Operations,
    name: &str,
    fields: BTreeMap<&str, AnswerFieldType>,
) -> Result<(), LicenceProblem> {
    let operation = operations.get(name).ok_or_else(|| LicenceProblem::NoOperation(name.to_owned()))?;
    let Operation { kind, personal, person, input, answer, .. } = operation;
    if *kind != OperationKind::Query || !personal || !person || !input.is_empty() {
        return Err(LicenceProblem::NotPersonal(name.to_owned()));
    }
    if answer.iter().map(|(field, kind)| (field.as_str(), *kind)).eq(fields.clone()) {
        return Ok(());
    }
    let wanted = fields.iter().map(|(field, kind)| format!("{field} = \"{}\"", kind.name()));
    Err(LicenceProblem::Answer { operation: name.to_owned(), wanted: wanted.collect::<Vec<_>>().join(", ") })
}

/// The id of the kind that an operation of the licence library is for; also of [`LICENCE_LIST`], which is none.
#[must_use]
pub fn licence_of_operation(operation: &str) -> Option<&str> {
    operation.strip_prefix(OPERATION_PREFIX)
}

/// The type of a field that the platform adds to the answer of a licence's operation.
pub(crate) fn added_field(operation: &str, field: &str) -> Option<AnswerFieldType> {
    licence_of_operation(operation)?;
    ADDED_FIELDS.iter().find(|(name, _)| *name == field).map(|(_, kind)| *kind)
}

/// The fields that the platform adds to the answer of this operation; none, where it is not that of a licence.
pub(crate) fn added_fields(operation: &str) -> impl Iterator<Item = &str> {
    let added = if licence_of_operation(operation).is_some() { ADDED_FIELDS.as_slice() } else { &[] };
    added.iter().map(|(name, _)| -> &str { name })
}

fn are_words(words: &Bilingual) -> bool {
    [&words.zh, &words.en]
        .into_iter()
        .all(|text| (1..=WORDS_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: &str = r#"id = "fishing-permit"
title = { zh = "捕捞许可证", en = "Fishing permit" }
issuer = { zh = "重庆市农业农村委员会", en = "Agriculture Commission" }
trust = "A"
validity = "dated"
watermark = ["purpose", "recipient", "validity"]

[[item]]
name = "name"
title = { zh = "姓名", en = "Name" }
mask = "name"

[[item]]
name = "boat"
title = { zh = "船号", en = "Boat" }
mask = "number"
"#;

    const OPERATIONS: &str = r#"
[[department]]
id = "licence-library"
name = { zh = "电子证照库", en = "Licence library" }

[[operation]]
name = "licence.list"
department = "licence-library"
kind = "query"
personal = true
answer = { licence = "key", status = "text", since = "date", until = "text" }

[[operation]]
name = "licence.fishing-permit"
department = "licence-library"
kind = "query"
personal = true
answer = { name = "text", boat = "text", status = "text", since = "date", until = "text" }
"#;

    fn added(kind: &str, operations: &str) -> Result<Operations, TomlError<LicenceProblem>> {
        let mut operations = Operations::parse(operations).unwrap();
        operations.add_licence(kind)?;
        Ok(operations)
    }

    #[test]
    fn kind_with_its_operations_is_added() {
        let operations = added(KIND, OPERATIONS).unwrap();
        let kind = operations.licence("fishing-permit").unwrap();
        assert_eq!(kind.operation(), "licence.fishing-permit");
        assert_eq!(kind.item("boat").map(|item| item.mask), Some(ItemMask::Number));
        assert_eq!(operations.licences().count(), 1);
        let mut twice = operations.clone();
        let error = twice.add_licence(KIND).unwrap_err();
        assert_eq!(error.position, Some((1, 6)));
        assert!(error.to_string().contains("`fishing-permit` is defined twice"), "{error}");
    }

    #[test]
    fn licence_file_with_a_mistake_names_line_and_reason() {
        for (from, to, line, expected) in [
            ("id = \"fishing-permit\"", "id = \"Fishing\"", 1, "is not the id of a licence"),
            ("id = \"fishing-permit\"", "id = \"a.b\"", 1, "is not the id of a licence"),
            ("id = \"fishing-permit\"", "id = \"list\"", 1, "and not `list`"),
            ("id = \"fishing-permit\"", "id = \"boat\"", 1, "there is no operation `licence.boat`"),
            ("zh = \"捕捞许可证\"", "zh = \"\"", 2, "has 1 to 60 characters in each language"),
            (", en = \"Agriculture Commission\"", "", 3, "missing field `en`"),
            ("trust = \"A\"", "trust = \"E\"", 4, "expected one of `A`, `B`, `C`, `D`"),
            ("\"dated\"", "\"ever\"", 5, "expected one of `dated`, `long-term`, `either`"),
            ("\"purpose\", ", "", 6, "must say the purpose"),
            ("\"validity\"]", "\"date\"]", 6, "expected one of `purpose`, `recipient`, `validity`"),
            ("name = \"boat\"", "name = \"Boat\"", 14, "is not the name of an item"),
            ("name = \"boat\"", "name = \"until\"", 14, "every licence has a field of this name"),
            ("name = \"boat\"", "name = \"watermark\"", 14, "every licence has a field of this name"),
            ("name = \"boat\"", "name = \"name\"", 14, "`name` is defined twice"),
            ("zh = \"船号\"", "zh = \"\"", 15, "has 1 to 60 characters"),
            ("mask = \"number\"", "mask = \"all\"", 16, "expected one of `none`, `name`, `number`, `hidden`"),
            ("mask = \"number\"", "masks = \"number\"", 16, "unknown field `masks`"),
            (
                "name = \"boat\"",
                "name = \"ship\"",
                1,
                "must have in its answer exactly: name = \"text\", ship",
            ),
        ] {
            assert!(KIND.contains(from), "{from}");
            let error = added(&KIND.replacen(from, to, 1), OPERATIONS).unwrap_err();
            assert_eq!(error.position.map(|(line, _)| line), Some(line), "{to}: {error}");
            assert!(error.to_string().contains(expected), "{to}: {error}");
        }
        let without = KIND.split_once("\n[[item]]").unwrap().0;
        assert!(LicenceKind::parse(without).unwrap_err().to_string().contains("missing field `item`"));
        let none = LicenceKind::parse(&format!("{without}item = []\n")).unwrap_err();
        assert!(none.to_string().contains("has 1 to 12 items"), "{none}");
    }

    #[test]
    fn document_may_show_what_the_platform_adds_to_a_licence() {
        assert_eq!(added_field("licence.fishing-permit", "watermark"), Some(AnswerFieldType::Text));
        assert_eq!(added_field("licence.fishing-permit", "boat"), None);
        assert_eq!(added_field("water.bills", "watermark"), None);
        assert_eq!(added_fields("water.bills").count(), 0);
    }

    #[test]
    fn operation_that_does_not_fit_its_licence_is_refused() {
        let permit = OPERATIONS.rfind("[[operation]]").unwrap();
        let (list, permit) = OPERATIONS.split_at(permit);
        for (from, to, expected) in [
            ("personal = true\n", "", "with `personal = true`"),
            ("personal = true", "personal = true\ninput = [\"year\"]", "and no `input`"),
            ("kind = \"query\"", "kind = \"ticket\"", "must be of kind `query`"),
            ("boat = \"text\"", "boat = \"text\", crew = \"text\"", "must have in its answer exactly"),
            ("boat = \"text\"", "boat = \"money\"", "boat = \"text\", name = \"text\""),
            ("until = \"text\"", "until = \"date\"", "until = \"text\""),
        ] {
            assert!(permit.contains(from), "{from}");
            let error = added(KIND, &format!("{list}{}", permit.replacen(from, to, 1))).unwrap_err();
            assert!(error.to_string().contains(expected), "{to}: {error}");
        }
        let other = list.replacen("licence = \"key\"", "kind = \"key\"", 1);
        let error = added(KIND, &format!("{other}{permit}")).unwrap_err();
        assert!(error.to_string().contains("operation `licence.list` must have in its answer"), "{error}");
    }
}
