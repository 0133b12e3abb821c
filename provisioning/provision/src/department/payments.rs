//! Checks of payments: an order is booked once, all of its bills or none, and a paid bill is gone. One bill is paid.

use anyhow::Result;
use contract::{Operation, PAYMENT_TIMEOUT_MS, PAYMENTS_TARGET, PaidBill, PaymentBody, bill_fields};

use super::adapter::{Adapter, Answer, Sent, new_id, now_ms, to_json};
use super::inputs::{Call, Inputs};
use super::operations::rows_of;
use super::report::{Failure, Report};

/// Pays the first bill that is found and checks what becomes of it.
pub(crate) async fn check(
    adapter: &mut Adapter,
    report: &mut Report,
    inputs: &Inputs,
    operation: &Operation,
) -> Result<()> {
    let name = &operation.name;
    let mut found = None;
    for call in inputs.calls(operation) {
        let (bills, _) = open_bills(adapter, inputs, operation, &call).await?;
        if let Some(bill) = bills.into_iter().next() {
            found = Some((call, bill));
            break;
        }
    }
    let Some((call, bill)) = found else {
        report.skipped(format!("{name}: payments"), "no bill came: use a person or an input with open bills");
        return Ok(());
    };

    let unknown = PaidBill { key: format!("no-such-bill-{:08x}", now_ms()), amount: bill.amount };
    let answer = adapter.send(&payment(new_id()?, vec![unknown.clone()])).await;
    let change = "a payment of a bill that you do not have contradicts your books";
    report.add(format!("{name}: payment of an unknown bill is 409"), answer.expect(409, change));

    let other = PaidBill { amount: bill.amount.saturating_add(1), ..bill.clone() };
    let answer = adapter.send(&payment(new_id()?, vec![other])).await;
    let change = "compare the amount with that of the bill";
    report.add(format!("{name}: payment of another amount is 409"), answer.expect(409, change));

    adapter.send(&payment(new_id()?, vec![bill.clone(), unknown])).await;
    let (bills, answer) = open_bills(adapter, inputs, operation, &call).await?;
    let change = "book all bills of an order or none: roll back at the first that cannot be booked";
    let failure = (!bills.contains(&bill)).then(|| answer.failure("the bill is open after a 409", change));
    report.add(format!("{name}: refused payment books nothing"), failure);

    let answer = adapter.send(&payment(new_id()?, vec![bill.clone(), bill.clone()])).await;
    let is_refused = matches!(answer.status, 400 | 409);
    let change = "refuse an order that has a bill twice: one payment would be booked as two";
    let failure = (!is_refused).then(|| answer.failure("status 400 or 409", change));
    report.add(format!("{name}: bill twice in one order is refused"), failure);

    let order = new_id()?;
    let paid = payment(order, vec![bill.clone()]);
    let answer = adapter.send(&paid).await;
    report.add(format!("{name}: payment is booked with 204"), answer.expect(204, "book it, and answer 204"));
    let answer = adapter.send(&paid).await;
    let change = "remember `order`: the same payment again is booked already, and is answered 204";
    report.add(format!("{name}: same payment again is 204"), answer.expect(204, change));
    let changed = PaidBill { amount: bill.amount.saturating_add(1), ..bill.clone() };
    let answer = adapter.send(&payment(order, vec![changed])).await;
    let change = "compare the bills with those of the first request of this `order`";
    report.add(format!("{name}: same order with other content is 409"), answer.expect(409, change));
    let answer = adapter.send(&payment(new_id()?, vec![bill.clone()])).await;
    let change = "a bill is paid by one order; a second one is not booked";
    report.add(format!("{name}: bill paid by another order is 409"), answer.expect(409, change));

    let (bills, answer) = open_bills(adapter, inputs, operation, &call).await?;
    report.add(format!("{name}: paid bill is gone"), still_open(&bills, &bill, &answer));
    Ok(())
}

fn still_open(bills: &[PaidBill], bill: &PaidBill, answer: &Answer) -> Option<Failure> {
    let is_open = bills.iter().any(|one| one.key == bill.key);
    let change = "leave a paid bill out of every answer; what is due again gets another key";
    (is_open || answer.status == 0).then(|| answer.failure("an answer without the paid bill", change))
}

async fn open_bills(
    adapter: &mut Adapter,
    inputs: &Inputs,
    operation: &Operation,
    call: &Call,
) -> Result<(Vec<PaidBill>, Answer)> {
    let sent = adapter.operation(operation, inputs.person_of(operation), &call.input, new_id()?);
    let answer = adapter.send(&sent).await;
    let rows = rows_of(operation, &answer).unwrap_or_default();
    let fields = bill_fields(&operation.answer);
    let bill = |row: &contract::AnswerRow| {
        let (key, amount) = fields?;
        Some(PaidBill { key: row.get(key)?.clone(), amount: row.get(amount)?.parse().ok()? })
    };
    Ok((rows.iter().filter_map(bill).collect(), answer))
}

fn payment(order: u128, bills: Vec<PaidBill>) -> Sent {
    let order = format!("{order:032x}");
    let body = PaymentBody { order: &order, reference: "CHECK0000001", paid_ms: now_ms(), bills };
    Sent::new(PAYMENTS_TARGET, to_json(&body), PAYMENT_TIMEOUT_MS)
}
