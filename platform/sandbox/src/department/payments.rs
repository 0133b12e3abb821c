//! `POST /payments`: each order is booked once, all of its bills or none.

use rusqlite::{Connection, params};

use super::books::from_json;
use super::call::{Asked, Call, Outcome, parse};
use super::effects;
use super::queries::remember_standing_bill;
use super::values::china_date;
use super::wire::{Booking, Failure, Input, PaidBill, PaymentRequest, check_id};

const CONTRADICTION: Failure = Failure::Conflict(
    "the payment contradicts the books; nothing was booked: compare the order with the bills",
);

/// Books a payment.
pub(crate) fn payment(call: &Call<'_>, body: &[u8]) -> Result<Outcome, Failure> {
    let payment: PaymentRequest = parse(body)?;
    check_id(&payment.order)?;
    if payment.bills.is_empty() {
        return Err(Failure::Malformed("a payment pays at least one bill"));
    }
    let bills: String = payment.bills.iter().map(|bill| format!("{} {}\n", bill.key, bill.amount)).collect();
    let sql = "SELECT body, reference FROM orders WHERE department = ?1 AND [order] = ?2";
    match call.stored(sql, &payment.order)? {
        Some((booked, _)) if booked == bills => return Ok(Outcome { status: 204, body: String::new() }),
        Some(_) => return Err(CONTRADICTION),
        None => {}
    }
    call.db.execute(
        "INSERT INTO orders (department, [order], reference, body) VALUES (?1, ?2, ?3, ?4)",
        params![call.department, payment.order, payment.reference, bills],
    )?;
    for bill in &payment.bills {
        book(call, &payment, bill)?;
    }
    Ok(Outcome { status: 204, body: String::new() })
}

/// What was offered under a key, in one query.
struct Offer {
    operation: String,
    family: String,
    person: String,
    input: Input,
    fields: Input,
    amount: i64,
}

fn book(call: &Call<'_>, payment: &PaymentRequest, paid: &PaidBill) -> Result<(), Failure> {
    remember_standing_bill(call, &paid.key)?;
    let offers = offers(call, &paid.key)?;
    let family = offers.first().map(|offer| offer.family.clone()).ok_or(CONTRADICTION)?;
    if paid.amount <= 0 || offers.iter().any(|offer| offer.amount != paid.amount) {
        return Err(CONTRADICTION);
    }
    let booked = call.db.execute(
        "INSERT INTO paid_bills (department, key, family, [order], amount_fen) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO NOTHING",
        params![call.department, paid.key, family, payment.order, paid.amount],
    )?;
    if booked != 1 {
        return Err(CONTRADICTION);
    }
    for offer in &offers {
        let Some(query) = call.file.query(&offer.operation) else { continue };
        let person = call.person_of(&offer.person);
        let asked = Asked { id: &payment.order, person: person.as_ref(), input: &offer.input };
        let mut context = call.context(asked);
        context.today = china_date(payment.paid_ms);
        context.words.insert("amount".to_owned(), paid.amount.to_string());
        context.words.insert("order".to_owned(), payment.order.clone());
        context.words.insert("reference".to_owned(), payment.reference.clone());
        context.words.extend(offer.fields.iter().map(|(field, text)| (format!("row.{field}"), text.clone())));
        effects::apply(call, &query.paid, &context, None)?;
    }
    Ok(())
}

fn offers(call: &Call<'_>, key: &str) -> rusqlite::Result<Vec<Offer>> {
    let mut select = call.db.prepare_cached(
        "SELECT operation, family, person, input, fields, amount_fen FROM offers
         WHERE department = ?1 AND key = ?2 ORDER BY operation",
    )?;
    let offers = select.query_map(params![call.department, key], |row| {
        let (input, fields): (String, String) = (row.get(3)?, row.get(4)?);
        Ok(Offer {
            operation: row.get(0)?,
            family: row.get(1)?,
            person: row.get(2)?,
            input: from_json(&input),
            fields: from_json(&fields),
            amount: row.get(5)?,
        })
    })?;
    offers.collect()
}

/// All booked payments.
pub(crate) fn bookings(db: &Connection) -> rusqlite::Result<Vec<Booking>> {
    let mut paid =
        db.prepare("SELECT department, key, [order], amount_fen FROM paid_bills ORDER BY department, key")?;
    let rows = paid.query_map([], |row| {
        Ok(Booking { department: row.get(0)?, key: row.get(1)?, order: row.get(2)?, amount: row.get(3)? })
    })?;
    rows.collect()
}
