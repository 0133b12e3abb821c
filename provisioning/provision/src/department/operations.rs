//! Checks of queries and bills: the declared fields, refusals in words, keys that stay.

use std::collections::BTreeSet;

use anyhow::Result;
use contract::{AnswerRow, Operation, OperationKind, OperationRows, bill_fields, parse_refusal};

use super::adapter::{Adapter, Answer, Sent, new_id};
use super::inputs::{Call, Expected, Inputs};
use super::report::{Failure, Report};

/// Checks a query or bills, each call of the file.
pub(crate) async fn check(
    adapter: &mut Adapter,
    report: &mut Report,
    inputs: &Inputs,
    operation: &Operation,
) -> Result<()> {
    let name = &operation.name;
    let calls = inputs.calls(operation);
    if calls.is_empty() {
        report.skipped(name, "it needs input: add a [[call]] to the file of inputs");
    }
    for call in calls {
        let sent = adapter.operation(operation, inputs.person_of(operation), &call.input, new_id()?);
        let answer = adapter.send(&sent).await;
        let Some(rows) = check_answer(report, operation, &call, &answer) else { continue };
        if operation.kind == OperationKind::Bills {
            let again = adapter.operation(operation, inputs.person_of(operation), &call.input, new_id()?);
            check_keys(adapter, report, operation, &rows, &again).await;
        }
        if operation.personal && !rows.is_empty() {
            let again = adapter.send(&sent).await;
            let change =
                "give a repeated request (the same `request`) the same answer: a proof keeps its number";
            let is_same = rows_of(operation, &again).as_ref() == Some(&rows);
            let failure = (!is_same).then(|| again.failure("the rows of the first answer", change));
            report.add(format!("{name}: repeated request has the same answer"), failure);
        }
    }
    Ok(())
}

/// The rows of a good answer.
pub(crate) fn rows_of(operation: &Operation, answer: &Answer) -> Option<Vec<AnswerRow>> {
    let read = (answer.status == 200).then(|| OperationRows::parse(operation, &answer.body));
    read?.ok().map(|read| read.rows)
}

/// Checks rows or a refusal; `None` unless rows came.
pub(crate) fn check_answer(
    report: &mut Report,
    operation: &Operation,
    call: &Call,
    answer: &Answer,
) -> Option<Vec<AnswerRow>> {
    let name = &operation.name;
    if answer.status == 422 {
        report.add(format!("{name}: refusal has both languages"), refusal_failure(answer));
        check_expected(report, operation, call, answer, Expected::Refused);
        return None;
    }
    let check = format!("{name}: answer has the declared fields");
    if answer.status != 200 {
        let change = "answer 200 with rows (none: nothing was found), or 422 with a refusal in words";
        report.add(check, Some(answer.failure("status 200 or 422", change)));
        return None;
    }
    match OperationRows::parse(operation, &answer.body) {
        Ok(read) => {
            report.add(check, None);
            let came = if read.rows.is_empty() { Expected::Nothing } else { Expected::Rows };
            check_expected(report, operation, call, answer, came);
            Some(read.rows)
        }
        Err(fault) => {
            let fields: Vec<String> =
                operation.answer.iter().map(|(field, kind)| format!("{field} ({})", kind.form())).collect();
            report.add(
                check,
                Some(answer.failure(format!("rows with {}", fields.join(", ")), fault.to_string())),
            );
            None
        }
    }
}

/// What is wrong with the body of a refusal.
pub(crate) fn refusal_failure(answer: &Answer) -> Option<Failure> {
    let fault = parse_refusal(&answer.body).err()?;
    Some(
        answer
            .failure("a sentence in Chinese and in English, each at most 100 characters", fault.to_string()),
    )
}

fn check_expected(report: &mut Report, operation: &Operation, call: &Call, answer: &Answer, came: Expected) {
    let Some(expected) = call.expect else { return };
    let failure = (expected != came).then(|| {
        answer.failure(
            format!("{expected}, as the file of inputs says"),
            "correct the adapter's data, or `expect`",
        )
    });
    report.add(format!("{}: answer is the expected one", operation.name), failure);
}

/// Checks that bills have different keys, and the same ones when they are asked for again.
async fn check_keys(
    adapter: &mut Adapter,
    report: &mut Report,
    operation: &Operation,
    rows: &[AnswerRow],
    again: &Sent,
) {
    let name = &operation.name;
    if rows.is_empty() {
        report.skipped(
            format!("{name}: bill keeps its key"),
            "no bill came: use a person or an input with bills",
        );
        return;
    }
    let bills = |rows: &[AnswerRow]| -> Vec<(String, String)> {
        let Some((key, amount)) = bill_fields(&operation.answer) else { return Vec::new() };
        rows.iter().filter_map(|row| Some((row.get(key)?.clone(), row.get(amount)?.clone()))).collect()
    };
    let first = bills(rows);
    let answer = adapter.send(again).await;
    let second: Vec<(String, String)> = rows_of(operation, &answer).as_deref().map(bills).unwrap_or_default();
    let as_set = |bills: &[(String, String)]| bills.iter().cloned().collect::<BTreeSet<_>>();
    let change = "a bill has one key, the same in every answer until it is paid, and one amount";
    let failure = (as_set(&first) != as_set(&second))
        .then(|| answer.failure("the keys and amounts of the first answer", change));
    report.add(format!("{name}: bill keeps its key"), failure);
    let keys: BTreeSet<&String> = first.iter().map(|(key, _)| key).collect();
    let change = "no two bills of a department have the same key";
    let failure = (keys.len() != first.len()).then(|| answer.failure("different keys", change));
    report.add(format!("{name}: bills have different keys"), failure);
}
