//! Checks of tickets: one row, once.

use anyhow::Result;
use contract::{Operation, TICKETS_TARGET};

use super::adapter::{Adapter, Sent, new_id};
use super::inputs::Inputs;
use super::operations::{check_answer, rows_of};
use super::report::Report;

/// Time for an answer that no operation bounds.
const CHECK_TIMEOUT_MS: u32 = 6_000;

/// Asks a department without tickets for one.
pub(crate) async fn check_without(adapter: &mut Adapter, report: &mut Report) -> Result<()> {
    let body = format!(
        r#"{{"ticket":"{:032x}","operation":"no-such.operation","input":{{}},"consent":null,"level":"recognised"}}"#,
        new_id()?
    );
    let answer = adapter.send(&Sent::new(TICKETS_TARGET, body.into_bytes(), CHECK_TIMEOUT_MS)).await;
    let change = "answer 404 to a ticket of an operation that you do not have";
    report.add("ticket of an unknown operation is 404", answer.expect(404, change));
    Ok(())
}

/// Takes a ticket and checks it.
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
        let id = new_id()?;
        let sent = adapter.operation(operation, inputs.person_of(operation), &call.input, id);
        let answer = adapter.send(&sent).await;
        let Some(rows) = check_answer(report, operation, &call, &answer) else { continue };
        let change = "a ticket is one row; where none can be given, refuse with 422";
        let failure = (rows.len() != 1).then(|| answer.failure("one row", change));
        report.add(format!("{name}: ticket has one row"), failure);

        let again = adapter.send(&sent).await;
        let change = "remember `ticket`, and give the same row to the same request";
        let is_same = rows_of(operation, &again).as_ref() == Some(&rows);
        let failure = (!is_same).then(|| again.failure("the row of the first answer", change));
        report.add(format!("{name}: same ticket again is the same ticket"), failure);

        let check = format!("{name}: same ticket with other content is 409");
        let mut other = call.input.clone();
        let Some(value) = other.values_mut().next() else {
            report.skipped(check, "the operation has no input that could differ");
            continue;
        };
        value.push('0');
        let changed = adapter.operation(operation, inputs.person_of(operation), &other, id);
        let answer = adapter.send(&changed).await;
        let change =
            "compare the content with that of the first request of this `ticket` before anything else";
        report.add(check, answer.expect(409, change));
    }
    Ok(())
}
