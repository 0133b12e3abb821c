//! What answers one request of a department: its data file, its rows, the time, and what is asked most.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::books::{self, ANYONE, StoredRow};
use super::check::ANY;
use super::data::{Condition, DepartmentFile, Refuse, Resident, Words};
use super::signatures::DepartmentKey;
use super::submissions;
use super::values::{Context, china_date};
use super::wire::{Failure, Input, Person, RefusedAnswer};

/// One request at a department. Its database is a transaction.
pub(crate) struct Call<'a> {
    pub(crate) db: &'a Connection,
    pub(crate) department: &'a str,
    pub(crate) file: &'a DepartmentFile,
    pub(crate) residents: &'a BTreeMap<String, Resident>,
    pub(crate) key: &'a DepartmentKey,
    pub(crate) now_ms: u64,
}

/// Who asks, and what they entered.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// Id of the request.
    pub(crate) id: &'a str,
    pub(crate) person: Option<&'a Person>,
    pub(crate) input: &'a Input,
}

/// An answer before it is signed.
pub(crate) struct Outcome {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Outcome {
    /// 200 with this JSON.
    pub(crate) fn ok(body: &impl serde::Serialize) -> Self {
        Self { status: 200, body: books::to_json(body) }
    }

    /// 422 with these words.
    pub(crate) fn refused(words: &Words) -> Self {
        Self { status: 422, body: books::to_json(&RefusedAnswer { refused: words }) }
    }
}

impl<'a> Asked<'a> {
    /// The person's ID number.
    pub(crate) fn id_number(&self) -> Option<&'a str> {
        self.person.map(|person| person.id_number.as_str())
    }
}

impl<'a> Call<'a> {
    /// What values are evaluated with now.
    pub(crate) fn context(&self, asked: Asked<'a>) -> Context<'a> {
        Context {
            today: china_date(self.now_ms),
            id: asked.id,
            name: asked.person.map_or("", |person| &person.name),
            id_number: asked.id_number().unwrap_or_default(),
            input: asked.input,
            words: BTreeMap::new(),
        }
    }

    /// The fields of a row as texts.
    pub(crate) fn evaluate(
        &self,
        row: &StoredRow,
        context: &Context<'_>,
    ) -> rusqlite::Result<BTreeMap<String, String>> {
        let mut context = context.clone();
        if let Some(submission) = &row.submission
            && let Some(state) = submissions::state_words(self, submission)?
        {
            context.words.insert("state".to_owned(), state.to_owned());
        }
        Ok(row.fields.iter().map(|(name, value)| (name.clone(), value.evaluate(&context))).collect())
    }

    /// Whether a resident and an input of the data file are those of the request.
    pub(crate) fn is_for(
        &self,
        resident: Option<&str>,
        when: &BTreeMap<String, String>,
        asked: Asked<'_>,
    ) -> bool {
        let is_person = match resident {
            None => true,
            Some(ANY) => asked.person.is_some(),
            Some(id) => {
                self.residents.get(id).is_some_and(|it| asked.id_number() == Some(it.id_number.as_str()))
            }
        };
        is_person && when.iter().all(|(field, value)| asked.input.get(field) == Some(value))
    }

    /// Whether a condition holds.
    pub(crate) fn holds(&self, condition: &Condition, asked: Asked<'a>) -> rusqlite::Result<bool> {
        let resident = condition.resident.as_ref().map(|id| id.get_ref().as_str());
        if !self.is_for(resident, &condition.when, asked) {
            return Ok(false);
        }
        let Some(state) = &condition.state else { return Ok(true) };
        let state = state.get_ref();
        let context = self.context(asked);
        let expected = state.is.evaluate(&context);
        for row in books::rows_of(self.db, self.department, &state.operation, asked.id_number())? {
            let is_theirs =
                if row.person.is_empty() { row.answers(asked.input) } else { row.agrees(asked.input) };
            if is_theirs && self.evaluate(&row, &context)?.get(&state.field) == Some(&expected) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The words of the first refusal that applies.
    pub(crate) fn refusal<'r>(
        &self,
        refuse: &'r [Refuse],
        asked: Asked<'a>,
    ) -> rusqlite::Result<Option<&'r Words>> {
        for one in refuse {
            if self.holds(&one.condition, asked)? {
                return Ok(Some(&one.words));
            }
        }
        Ok(None)
    }

    /// The person of a row, where it is one person's.
    pub(crate) fn person_of(&self, id_number: &str) -> Option<Person> {
        if id_number.is_empty() || id_number == ANYONE {
            return None;
        }
        let name = self.residents.values().find(|one| one.id_number == id_number).map(|one| one.name.clone());
        Some(Person { id_number: id_number.to_owned(), name: name.unwrap_or_default() })
    }

    /// A text of one row, for a lookup by key.
    pub(crate) fn stored(&self, sql: &str, key: &str) -> rusqlite::Result<Option<(String, String)>> {
        let mut select = self.db.prepare_cached(sql)?;
        select.query_row(params![self.department, key], |row| Ok((row.get(0)?, row.get(1)?))).optional()
    }
}

/// Refuses a body that is not JSON of this shape.
pub(crate) fn parse<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body)
        .map_err(|_| Failure::Malformed("the body is not the JSON that the contract describes"))
}
