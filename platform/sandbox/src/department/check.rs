//! Checks of a data file that need more than one of its parts. Each problem has the place at which it is shown.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use toml::Spanned;

use super::data::{Condition, DepartmentFile, Effect, Query, Refuse, Resident, Submissions, Tickets};
use super::values::{Derived, Place, Template, Value, is_field_character};

/// A problem and its byte offset in the file.
type Problem = (usize, String);
type Checked = Result<(), Problem>;

/// A resident's place in a row: any person.
pub(crate) const ANY: &str = "any";

fn problem<T>(span: Range<usize>, text: impl Into<String>) -> Result<T, Problem> {
    Err((span.start, text.into()))
}

/// Checks a department's file.
pub(crate) fn department(file: &DepartmentFile, residents: &BTreeMap<String, Resident>) -> Checked {
    let check = Check { file, residents };
    check.operations()?;
    for query in &file.queries {
        check.query(query.get_ref())?;
    }
    check.bills_of_one_key()?;
    for tickets in &file.tickets {
        check.tickets(tickets.get_ref())?;
    }
    for submissions in &file.submissions {
        check.submissions(submissions.get_ref())?;
    }
    Ok(())
}

struct Check<'a> {
    file: &'a DepartmentFile,
    residents: &'a BTreeMap<String, Resident>,
}

impl Check<'_> {
    /// Each operation is described once.
    fn operations(&self) -> Checked {
        let queries = self.file.queries.iter().map(|one| &one.get_ref().operation);
        let tickets = self.file.tickets.iter().map(|one| &one.get_ref().operation);
        let submissions = self.file.submissions.iter().map(|one| &one.get_ref().operation);
        let mut seen = BTreeSet::new();
        for operation in queries.chain(tickets).chain(submissions) {
            let name = operation.get_ref();
            let is_name = !name.is_empty() && name.chars().all(|c| is_field_character(c) || c == '.');
            if !is_name {
                return problem(
                    operation.span(),
                    format!("`{name}` is not an operation; write for example water.bills"),
                );
            }
            if !seen.insert(name) {
                return problem(operation.span(), format!("the operation {name} stands twice in this file"));
            }
        }
        Ok(())
    }

    fn query(&self, query: &Query) -> Checked {
        fields(&query.fields)?;
        let names = query.fields.get_ref();
        match (&query.key, &query.amount) {
            (None, None) if query.paid.is_empty() => {}
            (Some(key), Some(amount)) => {
                one_of(key, names)?;
                one_of(amount, names)?;
            }
            (Some(one), None) | (None, Some(one)) => {
                return problem(one.span(), "bills have both: `key` and `amount`, each the name of a field");
            }
            (None, None) => {
                return problem(
                    query.operation.span(),
                    "`paid` stands only at bills; name `key` and `amount`",
                );
            }
        }
        for row in &query.rows {
            let (span, row) = (row.span(), row.get_ref());
            self.resident(row.resident.as_ref())?;
            all_fields(&span, names, &row.values)?;
            templates(&row.values, Place::Row)?;
            self.bill(query, span, row)?;
        }
        self.conditions(query.refuse.iter().map(|one: &Refuse| &one.condition))?;
        self.conditions(query.next.iter().map(|one| &one.condition))?;
        self.effects(&query.paid, Place::Paid)?;
        for value in query.paid.iter().flat_map(|effect| effect_templates(effect.get_ref())) {
            for derived in value.get_ref().derived() {
                if let Derived::Row(field) = derived
                    && !names.contains(field)
                {
                    return problem(value.span(), not_a_field(field, names));
                }
            }
        }
        Ok(())
    }

    fn bill(&self, query: &Query, span: Range<usize>, row: &super::data::QueryRow) -> Checked {
        let (Some(key), Some(amount)) = (&query.key, &query.amount) else {
            return if row.again { problem(span, "`again` stands only at bills") } else { Ok(()) };
        };
        let (Some(key), Some(amount)) = (row.values.get(key.get_ref()), row.values.get(amount.get_ref()))
        else {
            return Ok(());
        };
        let inputs = |value: &Value| -> BTreeSet<String> {
            value.template().into_iter().flat_map(Template::inputs).map(str::to_owned).collect()
        };
        let is_amount = match amount.get_ref() {
            Value::Number(fen) => *fen >= 0,
            Value::Text(template) => {
                matches!(template.derived().collect::<Vec<_>>()[..], [Derived::Input(_)])
            }
        };
        if !is_amount {
            return problem(amount.span(), "the amount of a bill is a whole number of fen, or $input.FIELD");
        }
        if key.get_ref().template().is_some_and(Template::is_fresh) {
            return problem(key.span(), "a bill is asked for twice and keeps its key; $number(…) changes it");
        }
        if !inputs(amount.get_ref()).is_subset(&inputs(key.get_ref())) {
            return problem(
                key.span(),
                "the amount is entered, so the key of the bill needs the same $input.FIELD",
            );
        }
        Ok(())
    }

    /// A bill that stands in several queries has one amount.
    fn bills_of_one_key(&self) -> Checked {
        let mut amounts: BTreeMap<&str, (&str, &Value)> = BTreeMap::new();
        for query in self.file.queries.iter().map(Spanned::get_ref) {
            let (Some(key), Some(amount)) = (&query.key, &query.amount) else { continue };
            for row in query
                .rows
                .iter()
                .map(Spanned::get_ref)
                .filter(|row| row.resident.as_ref().is_none_or(|id| id.get_ref() != ANY))
            {
                let (Some(key), Some(amount)) =
                    (row.values.get(key.get_ref()), row.values.get(amount.get_ref()))
                else {
                    continue;
                };
                let Value::Text(text) = key.get_ref() else { continue };
                let operation = query.operation.get_ref().as_str();
                match amounts.insert(text.source(), (operation, amount.get_ref())) {
                    Some((other, _)) if other == operation && text.is_literal() && row.when.is_empty() => {
                        return problem(
                            key.span(),
                            format!("the bill {} stands twice in {operation}", text.source()),
                        );
                    }
                    Some((other, first)) if first != amount.get_ref() => {
                        return problem(
                            amount.span(),
                            format!("the bill {} has another amount in {other}", text.source()),
                        );
                    }
                    Some(_) | None => {}
                }
            }
        }
        Ok(())
    }

    fn tickets(&self, tickets: &Tickets) -> Checked {
        fields(&tickets.fields)?;
        if tickets.rows.is_empty() {
            return problem(tickets.operation.span(), "tickets need at least one [[ticket.row]]");
        }
        for row in &tickets.rows {
            let (span, row) = (row.span(), row.get_ref());
            self.resident(row.resident.as_ref())?;
            all_fields(&span, tickets.fields.get_ref(), &row.values)?;
            templates(&row.values, Place::Ticket)?;
            if let Some(prefix) = &row.prefix
                && (prefix.get_ref().is_empty() || !prefix.get_ref().chars().all(char::is_alphanumeric))
            {
                return problem(prefix.span(), "a prefix is at least one letter or digit, for example A");
            }
            for (name, value) in &row.values {
                let counts = match value.get_ref() {
                    Value::Text(template) => template.derived().any(|one| matches!(one, Derived::Word(_))),
                    Value::Number(_) => false,
                };
                if counts && row.prefix.is_none() {
                    return problem(
                        value.span(),
                        format!("`{name}` uses a number, but the row has no `prefix`"),
                    );
                }
            }
            self.effects(&row.effects, Place::Ticket)?;
        }
        self.conditions(tickets.refuse.iter().map(|one| &one.condition))
    }

    fn submissions(&self, submissions: &Submissions) -> Checked {
        template(&submissions.number, Place::CaseNumber)?;
        let mut last = None;
        for later in &submissions.then {
            let after = later.get_ref().after.0;
            if last.is_some_and(|last| after <= last) {
                return problem(
                    later.span(),
                    "later states stand in the order of `after`, from the earliest on",
                );
            }
            last = Some(after);
        }
        self.conditions(submissions.refuse.iter().map(|one| &one.condition))?;
        self.effects(&submissions.effects, Place::Submission)
    }

    fn resident(&self, id: Option<&Spanned<String>>) -> Checked {
        match id {
            Some(id) if id.get_ref() != ANY && !self.residents.contains_key(id.get_ref()) => {
                let known: Vec<_> = self.residents.keys().map(String::as_str).collect();
                let text = format!(
                    "there is no resident `{}`; write \"any\", or one of {}, or leave it out",
                    id.get_ref(),
                    known.join(", ")
                );
                problem(id.span(), text)
            }
            Some(_) | None => Ok(()),
        }
    }

    fn conditions<'c>(&self, conditions: impl Iterator<Item = &'c Condition>) -> Checked {
        for condition in conditions {
            self.resident(condition.resident.as_ref())?;
            if let Some(state) = &condition.state {
                let fields = self.fields_of(&state.get_ref().operation, &state.span())?;
                if !fields.contains(&state.get_ref().field) {
                    return problem(state.span(), not_a_field(&state.get_ref().field, fields));
                }
                state.get_ref().is.check(Place::Row).map_err(|text| (state.span().start, text))?;
            }
        }
        Ok(())
    }

    /// The fields of a query of this file.
    fn fields_of(&self, operation: &str, span: &Range<usize>) -> Result<&[String], Problem> {
        if let Some(query) = self.file.query(operation) {
            return Ok(query.fields.get_ref());
        }
        let known: Vec<_> =
            self.file.queries.iter().map(|one| one.get_ref().operation.get_ref().as_str()).collect();
        problem(span.clone(), format!("this file has no query {operation}; it has {}", known.join(", ")))
    }

    fn effects(&self, effects: &[Spanned<Effect>], place: Place) -> Checked {
        for effect in effects {
            self.effect(effect.span(), effect.get_ref(), place)?;
        }
        Ok(())
    }

    fn effect(&self, span: Range<usize>, effect: &Effect, place: Place) -> Checked {
        for value in effect_templates(effect) {
            value.get_ref().check(place).map_err(|text| (value.span().start, text))?;
        }
        let has = |what: bool, name| if what { Some(name) } else { None };
        let given = [
            has(!effect.values.is_empty(), "values"),
            has(!effect.when.is_empty(), "when"),
            has(!effect.only.is_empty(), "where"),
            has(effect.field.is_some(), "field"),
            has(effect.by.is_some(), "by"),
        ];
        let (operation, allowed): (&Spanned<String>, &[&str]) = match (
            &effect.add,
            &effect.set,
            &effect.raise,
            &effect.remove,
        ) {
            (Some(to), None, None, None) => (to, &["values", "when"]),
            (None, Some(of), None, None) => (of, &["values", "where"]),
            (None, None, Some(of), None) => (of, &["field", "by", "where"]),
            (None, None, None, Some(of)) => (of, &["where"]),
            _ => {
                return problem(
                    span,
                    "an effect has exactly one of `add`, `set`, `raise`, `remove`, each with an operation",
                );
            }
        };
        if let Some(other) = given.iter().flatten().find(|name| !allowed.contains(name)) {
            return problem(
                span,
                format!("`{other}` does not belong to this effect; allowed are {}", allowed.join(", ")),
            );
        }
        let names = self.fields_of(operation.get_ref(), &operation.span())?;
        if effect.add.is_some() {
            all_fields(&operation.span(), names, &effect.values)?;
        }
        if effect.set.is_some() && effect.values.is_empty() {
            return problem(span, "`set` needs `values`");
        }
        for (name, at) in effect
            .values
            .iter()
            .map(|(name, value)| (name, value.span()))
            .chain(effect.only.iter().map(|(name, value)| (name, value.span())))
        {
            if !names.contains(name) {
                return problem(at, not_a_field(name, names));
            }
        }
        if effect.raise.is_none() {
            return Ok(());
        }
        let (Some(field), Some(by)) = (&effect.field, &effect.by) else {
            return problem(span, "`raise` needs `field` and `by`");
        };
        one_of(field, names)?;
        if let Value::Text(text) = by.get_ref() {
            let source = text.source().strip_prefix('-').unwrap_or(text.source());
            if !source.starts_with('$') || text.derived().count() != 1 {
                return problem(
                    by.span(),
                    "`by` is a whole number, $amount, $input.FIELD, or one of these after a -",
                );
            }
        }
        self.number_field(operation.get_ref(), field)
    }

    /// A field that is raised is a whole number in each row of the file.
    fn number_field(&self, operation: &str, field: &Spanned<String>) -> Checked {
        let rows = self.file.query(operation).into_iter().flat_map(|query| &query.rows);
        for value in rows.filter_map(|row| row.get_ref().values.get(field.get_ref())) {
            if matches!(value.get_ref(), Value::Text(_)) {
                let text =
                    format!("`{}` is raised, so it is a whole number, without quotes", field.get_ref());
                return problem(value.span(), text);
            }
        }
        Ok(())
    }
}

/// All templates of an effect.
fn effect_templates(effect: &Effect) -> Vec<Spanned<Template>> {
    let values = effect.values.values().chain(&effect.by).filter_map(|value| match value.get_ref() {
        Value::Text(template) => Some(Spanned::new(value.span(), template.clone())),
        Value::Number(_) => None,
    });
    values.chain(effect.when.values().cloned()).chain(effect.only.values().cloned()).collect()
}

fn template(template: &Spanned<Template>, place: Place) -> Checked {
    template.get_ref().check(place).map_err(|text| (template.span().start, text))
}

fn templates(values: &BTreeMap<String, Spanned<Value>>, place: Place) -> Checked {
    for value in values.values() {
        if let Value::Text(template) = value.get_ref() {
            template.check(place).map_err(|text| (value.span().start, text))?;
        }
    }
    Ok(())
}

fn fields(fields: &Spanned<Vec<String>>) -> Checked {
    let names = fields.get_ref();
    let distinct: BTreeSet<_> = names.iter().collect();
    let are_names = names.iter().all(|name| !name.is_empty() && name.chars().all(is_field_character));
    if names.is_empty() || distinct.len() != names.len() || !are_names {
        return problem(fields.span(), "`fields` has each field once, of letters, digits, - and _");
    }
    Ok(())
}

fn one_of(name: &Spanned<String>, names: &[String]) -> Checked {
    if names.contains(name.get_ref()) {
        Ok(())
    } else {
        problem(name.span(), not_a_field(name.get_ref(), names))
    }
}

fn not_a_field(name: &str, names: &[String]) -> String {
    format!("`{name}` is not a field; the fields are {}", names.join(", "))
}

/// The values are those of the fields, all of them.
fn all_fields(span: &Range<usize>, names: &[String], values: &BTreeMap<String, Spanned<Value>>) -> Checked {
    for (name, value) in values {
        if !names.contains(name) {
            return problem(value.span(), not_a_field(name, names));
        }
    }
    match names.iter().find(|name| !values.contains_key(*name)) {
        Some(missing) => {
            problem(span.clone(), format!("`values` lacks the field `{missing}`; write \"\" for nothing"))
        }
        None => Ok(()),
    }
}
