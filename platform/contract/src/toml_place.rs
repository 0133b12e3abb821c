//! TOML files that people write: what is wrong with one is said with line and column.

use std::fmt;
use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};

/// What is wrong with a file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TomlError<P> {
    /// Line and column, from 1; `None` when it is about the file as a whole.
    pub position: Option<(usize, usize)>,
    /// What is wrong.
    pub problem: TomlProblem<P>,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TomlProblem<P> {
    /// The file is too long.
    #[error("the file has {length} bytes, at most {most} are accepted")]
    TooLong {
        /// Its length in bytes.
        length: usize,
        /// The limit in bytes.
        most: usize,
    },
    /// It is not TOML, or a key or value is not one that is allowed there. The text says what is.
    #[error("{0}")]
    Syntax(String),
    /// A rule of the file's own is broken.
    #[error("{0}")]
    Rule(P),
}

impl<P: fmt::Display> fmt::Display for TomlError<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((line, column)) = self.position {
            write!(f, "line {line}, column {column}: ")?;
        }
        self.problem.fmt(f)
    }
}

impl<P: fmt::Debug + fmt::Display> std::error::Error for TomlError<P> {}

/// A value in a file: a key of the file, or of one table of an array of tables.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    table: Option<(&'a str, usize)>,
    key: &'a str,
}

impl<'a> Place<'a> {
    /// A key at the top of the file.
    pub(crate) const fn top(key: &'a str) -> Self {
        Self { table: None, key }
    }

    /// A key of the table `[[array]]` with this index. A key that is not there stands for the table.
    pub(crate) const fn item(array: &'a str, index: usize, key: &'a str) -> Self {
        Self { table: Some((array, index)), key }
    }

    fn offset(&self, text: &str) -> Option<usize> {
        let file = DeTable::parse(text).ok()?;
        let Some((array, index)) = self.table else {
            return file.get_ref().get(self.key).map(|value| value.span().start);
        };
        let DeValue::Array(items) = file.get_ref().get(array)?.get_ref() else { return None };
        let item = items.get(index)?;
        let DeValue::Table(table) = item.get_ref() else { return None };
        Some(table.get(self.key).map_or(item.span().start, |value| value.span().start))
    }
}

impl<P> TomlError<P> {
    /// A broken rule at a key of a table `[[array]]`, or at the table if the key is not there.
    #[must_use]
    pub fn of_item(text: &str, array: &str, index: usize, key: &str, problem: P) -> Self {
        Self::problem(text, &Place::item(array, index, key), problem)
    }

    /// A broken rule at this byte of the text.
    pub(crate) fn at_offset(text: &str, offset: usize, problem: P) -> Self {
        Self { position: Some(position(text, offset)), problem: TomlProblem::Rule(problem) }
    }

    /// What the reader of one table `[[array]]` says: at the key or value that the message names first, or at the head of the table.
    pub(crate) fn syntax_in(text: &str, array: &str, index: usize, message: String) -> Self {
        let start = Place::item(array, index, "").offset(text);
        let offset = start.map(|start| {
            let head = format!("[[{array}]]");
            let end = text
                .get(start..)
                .filter(|rest| rest.starts_with(&head))
                .map_or(start, |_| start + head.len());
            named_key(text, start..end, &message).unwrap_or(start)
        });
        Self { position: offset.map(|offset| position(text, offset)), problem: TomlProblem::Syntax(message) }
    }

    /// A broken rule at a place of the text.
    pub(crate) fn problem(text: &str, place: &Place<'_>, problem: P) -> Self {
        let position = place.offset(text).map(|offset| position(text, offset));
        Self { position, problem: TomlProblem::Rule(problem) }
    }
}

/// Reads a file of at most `most` bytes.
///
/// # Errors
/// With line and column.
pub fn parse_toml<T: DeserializeOwned, P>(text: &str, most: usize) -> Result<T, TomlError<P>> {
    if text.len() > most {
        return Err(TomlError { position: None, problem: TomlProblem::TooLong { length: text.len(), most } });
    }
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let span = error.span();
        let named = span.clone().and_then(|span| named_key(text, span, error.message()));
        TomlError {
            position: named.or(span.map(|span| span.start)).map(|offset| position(text, offset)),
            problem: TomlProblem::Syntax(error.message().to_owned()),
        }
    })
}

/// The offset of what a message is about, when its place is the head of a table: the key or value that it names first in backquotes.
/// A table whose kind is one of its own values is read as a whole, and the reader knows no better.
fn named_key(text: &str, span: Range<usize>, message: &str) -> Option<usize> {
    let name = message.split('`').nth(1).filter(|name| !name.is_empty())?;
    let (head, rest) = (text.get(span.clone())?, text.get(span.end..)?);
    if !head.starts_with('[') {
        return None;
    }
    let table = rest.split("\n[[").next().unwrap_or(rest);
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    let at = table.match_indices(name).map(|(at, _)| at).find(|at| {
        let (before, after) = (table.get(..*at), table.get(at + name.len()..));
        !before.is_some_and(|text| text.ends_with(is_word))
            && !after.is_some_and(|text| text.starts_with(is_word))
    })?;
    Some(span.end + at)
}

/// Line and column of a byte, from 1; columns count characters.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}
