//! What payments, tickets and submissions change in the rows of queries.

use std::collections::BTreeMap;

use toml::Spanned;

use super::books::{self, AddedRow, NOBODY, StoredRow};
use super::call::Call;
use super::data::{Effect, plain};
use super::values::{Context, Template, Value, escaped};
use super::wire::Input;

/// Applies the effects in their order. `submission` is the one that causes them: a row that it adds shows its state.
pub(crate) fn apply(
    call: &Call<'_>,
    effects: &[Spanned<Effect>],
    context: &Context<'_>,
    submission: Option<&str>,
) -> rusqlite::Result<()> {
    let turn = Turn { call, context, submission };
    for effect in effects.iter().map(Spanned::get_ref) {
        if let Some(to) = &effect.add {
            turn.add(to.get_ref(), effect)?;
        } else if let Some(of) = &effect.set {
            let values = turn.values(&plain(&effect.values));
            turn.change(of.get_ref(), effect, |fields| fields.extend(values.clone()))?;
        } else if let (Some(of), Some(field), Some(by)) = (&effect.raise, &effect.field, &effect.by) {
            let by = amount(by.get_ref(), context);
            turn.change(of.get_ref(), effect, |fields| raise(fields, field.get_ref(), by))?;
        } else if let Some(from) = &effect.remove {
            for row in turn.rows(from.get_ref(), &effect.only)? {
                books::change_row(call.db, call.department, from.get_ref(), context.id_number, &row, None)?;
            }
        }
    }
    Ok(())
}

struct Turn<'a> {
    call: &'a Call<'a>,
    context: &'a Context<'a>,
    submission: Option<&'a str>,
}

impl Turn<'_> {
    fn add(&self, operation: &str, effect: &Effect) -> rusqlite::Result<()> {
        let input: Input = effect
            .when
            .iter()
            .map(|(field, value)| (field.clone(), value.get_ref().evaluate(self.context)))
            .collect();
        let person = if self.context.id_number.is_empty() { NOBODY } else { self.context.id_number };
        let fields = self.values(&plain(&effect.values));
        let row = AddedRow { person, input: &input, fields: &fields, submission: self.submission };
        books::add_row(self.call.db, self.call.department, operation, &row)
    }

    /// The values as of now. What residents entered is stored so that it is never evaluated; a state stays derived.
    fn values(&self, values: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
        let now = |value: &Value| match value {
            Value::Number(number) => Value::Number(*number),
            Value::Text(template) if self.submission.is_some() && template.source() == "$state" => {
                Value::Text(template.clone())
            }
            Value::Text(template) => Value::from_json(&escaped(&template.evaluate(self.context)).into()),
        };
        values.iter().map(|(field, value)| (field.clone(), now(value))).collect()
    }

    fn change(
        &self,
        operation: &str,
        effect: &Effect,
        change: impl Fn(&mut BTreeMap<String, Value>),
    ) -> rusqlite::Result<()> {
        for row in self.rows(operation, &effect.only)? {
            let mut fields = row.fields.clone();
            change(&mut fields);
            let call = self.call;
            books::change_row(
                call.db,
                call.department,
                operation,
                self.context.id_number,
                &row,
                Some(&fields),
            )?;
        }
        Ok(())
    }

    /// The rows that the effect is about: the person's, and those that the input names.
    fn rows(
        &self,
        operation: &str,
        only: &BTreeMap<String, Spanned<Template>>,
    ) -> rusqlite::Result<Vec<StoredRow>> {
        let id_number = Some(self.context.id_number).filter(|it| !it.is_empty());
        let mut rows = Vec::new();
        for row in books::rows_of(self.call.db, self.call.department, operation, id_number)? {
            let input = self.context.input;
            let is_theirs = if row.person == NOBODY { row.answers(input) } else { row.agrees(input) };
            if !is_theirs {
                continue;
            }
            let fields = self.call.evaluate(&row, self.context)?;
            let fits = only.iter().all(|(field, value)| {
                fields.get(field).is_some_and(|text| *text == value.get_ref().evaluate(self.context))
            });
            if fits {
                rows.push(row);
            }
        }
        Ok(rows)
    }
}

/// A whole number, or the derived value after a `-`; what is not a number is 0.
fn amount(by: &Value, context: &Context<'_>) -> i64 {
    let text = by.evaluate(context);
    match text.strip_prefix('-') {
        Some(text) => text.parse::<i64>().unwrap_or(0).saturating_neg(),
        None => text.parse().unwrap_or(0),
    }
}

fn raise(fields: &mut BTreeMap<String, Value>, field: &str, by: i64) {
    if let Some(value) = fields.get_mut(field) {
        let now = match &*value {
            Value::Number(number) => *number,
            Value::Text(text) => text.source().parse().unwrap_or(0),
        };
        *value = Value::Number(now.saturating_add(by));
    }
}
