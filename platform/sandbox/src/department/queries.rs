//! `POST /query/{operation}`: rows, and bills that are open.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension as _, params};

use super::books::{self, ANYONE, StoredRow, to_json};
use super::call::{Asked, Call, Outcome, parse};
use super::data::Query;
use super::signatures::{sm3, to_hex};
use super::tickets;
use super::values::{Context, Template, Value};
use super::wire::{Failure, OpenBill, Person, QueryRequest, Rows, check_id};

/// Hexadecimal digits that stand for a person in the key of a bill that any person has.
const PERSON_DIGITS: usize = 8;

/// An open bill.
struct Bill {
    key: String,
    amount: i64,
    fields: BTreeMap<String, String>,
}

/// Answers a query.
pub(crate) fn query(call: &Call<'_>, operation: &str, body: &[u8]) -> Result<Outcome, Failure> {
    let request: QueryRequest = parse(body)?;
    check_id(&request.request)?;
    let query = call.file.query(operation).ok_or(Failure::Unknown("the department has no such query"))?;
    let asked = Asked { id: &request.request, person: request.person.as_ref(), input: &request.input };
    if let Some(words) = call.refusal(&query.refuse, asked)? {
        return Ok(Outcome::refused(words));
    }
    let mut context = call.context(asked);
    context.words = tickets::waiting(call)?;
    let mut rows = Vec::new();
    for row in books::rows_of(call.db, call.department, operation, asked.id_number())? {
        if !row.answers(asked.input) {
            continue;
        }
        match bill(call, query, &row, &context)? {
            None => rows.push(call.evaluate(&row, &context)?),
            Some(None) => {}
            Some(Some(bill)) => rows.push(bill.fields),
        }
    }
    let mut next = None;
    for one in &query.next {
        if next.is_none() && call.holds(&one.condition, asked)? {
            next = Some(one.service.clone());
        }
    }
    Ok(Outcome::ok(&Rows { rows, next }))
}

/// The open bill in a row, remembered by its key; `Some(None)` when it is not open, `None` when the query is not of bills.
fn bill(
    call: &Call<'_>,
    query: &Query,
    row: &StoredRow,
    context: &Context<'_>,
) -> Result<Option<Option<Bill>>, Failure> {
    let (Some(key_field), Some(amount_field)) = (&query.key, &query.amount) else { return Ok(None) };
    let mut fields = call.evaluate(row, context)?;
    let written = fields.get(key_field.get_ref()).cloned().unwrap_or_default();
    let amount = fields.get(amount_field.get_ref()).and_then(|text| text.parse::<i64>().ok());
    let Some(amount) = amount.filter(|fen| *fen > 0 && !written.is_empty()) else { return Ok(Some(None)) };
    let (key, family) = key_of(call, row, &written, context.id_number)?;
    if is_paid(call, &key)? {
        return Ok(Some(None));
    }
    fields.insert(key_field.get_ref().clone(), key.clone());
    fields.insert(amount_field.get_ref().clone(), amount.to_string());
    let person = if row.person == ANYONE { context.id_number } else { row.person.as_str() };
    call.db
        .prepare_cached(
            "INSERT INTO offers (department, key, operation, family, person, input, fields, amount_fen)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (department, key, operation) DO UPDATE
             SET person = ?5, input = ?6, fields = ?7, amount_fen = ?8",
        )?
        .execute(params![
            call.department,
            key,
            query.operation.get_ref(),
            family,
            person,
            to_json(context.input),
            to_json(&fields),
            amount
        ])?;
    Ok(Some(Some(Bill { key, amount, fields })))
}

/// The key of the bill in a row, and what it has in common with the bills that follow it. A bill that any person has is
/// another for each of them, and a bill that is open again is another each time.
fn key_of(
    call: &Call<'_>,
    row: &StoredRow,
    written: &str,
    id_number: &str,
) -> rusqlite::Result<(String, String)> {
    let mut family = written.to_owned();
    if row.person == ANYONE || row.base.is_some() {
        let person = to_hex(&sm3(&[b"person\n", call.department.as_bytes(), b"\n", id_number.as_bytes()]));
        family.push('-');
        family.extend(person.chars().take(PERSON_DIGITS));
    }
    if !row.again {
        return Ok((family.clone(), family));
    }
    let paid: i64 = call.db.query_row(
        "SELECT count(*) FROM paid_bills WHERE department = ?1 AND family = ?2",
        params![call.department, family],
        |row| row.get(0),
    )?;
    Ok((format!("{family}-{}", paid + 1), family))
}

fn is_paid(call: &Call<'_>, key: &str) -> rusqlite::Result<bool> {
    let mut select = call.db.prepare_cached("SELECT 1 FROM paid_bills WHERE department = ?1 AND key = ?2")?;
    Ok(select.query_row(params![call.department, key], |_| Ok(())).optional()?.is_some())
}

/// The open bills of a person, whatever they would have to enter; only bills whose key and amount do not depend on it.
pub(crate) fn open_bills(call: &Call<'_>, person: &Person) -> Result<Vec<OpenBill>, Failure> {
    let mut open = Vec::new();
    for query in call.file.queries.iter().map(|query| query.get_ref()) {
        let operation = query.operation.get_ref();
        for row in books::rows_of(call.db, call.department, operation, Some(&person.id_number))? {
            if row.person.is_empty() || !is_complete(query, &row) {
                continue;
            }
            let asked = Asked { id: "", person: Some(person), input: &row.input };
            if let Some(Some(bill)) = bill(call, query, &row, &call.context(asked))? {
                let (department, operation) = (call.department.to_owned(), operation.clone());
                open.push(OpenBill { department, operation, key: bill.key, amount: bill.amount });
            }
        }
    }
    Ok(open)
}

/// Whether key and amount follow from the row and the input that it is given to.
fn is_complete(query: &Query, row: &StoredRow) -> bool {
    let values =
        [&query.key, &query.amount].into_iter().flatten().filter_map(|field| row.fields.get(field.get_ref()));
    let mut inputs = values.filter_map(Value::template).flat_map(Template::inputs);
    inputs.all(|field| row.input.contains_key(field))
}

/// Remembers the bills of this key that nobody was given yet: those whose key and amount need neither person nor input.
pub(crate) fn remember_standing_bill(call: &Call<'_>, key: &str) -> Result<(), Failure> {
    for query in call.file.queries.iter().map(|query| query.get_ref()) {
        let Some(key_field) = &query.key else { continue };
        let mut select = call.db.prepare_cached(
            "SELECT DISTINCT person FROM rows WHERE department = ?1 AND operation = ?2 AND person <> '*'",
        )?;
        let people = select
            .query_map(params![call.department, query.operation.get_ref()], |row| row.get(0))?
            .collect::<rusqlite::Result<Vec<String>>>()?;
        for id_number in people {
            let person = call.person_of(&id_number);
            let id_number = person.as_ref().map(|person| person.id_number.as_str());
            for row in books::rows_of(call.db, call.department, query.operation.get_ref(), id_number)? {
                let is_standing =
                    row.person == id_number.unwrap_or_default() && !row.again && row.base.is_none();
                let is_key = row.fields.get(key_field.get_ref()).is_some_and(|value| match value {
                    Value::Text(text) => text.is_literal() && text.source().replace("$$", "$") == key,
                    Value::Number(number) => number.to_string() == key,
                });
                if is_standing && is_key && is_complete(query, &row) {
                    let asked = Asked { id: "", person: person.as_ref(), input: &row.input };
                    bill(call, query, &row, &call.context(asked))?;
                }
            }
        }
    }
    Ok(())
}
