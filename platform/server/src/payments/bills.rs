//! Bills (账单) of a resident: listed by departments, and stored so that a charge can be checked against them.
//!
//! A bill is known by its department and the department's own key; as text `DEPARTMENT/KEY`, which is also its key at the kiosk and at
//! the acquirer.

use std::collections::{BTreeMap, BTreeSet};

use contract::{AnswerRow, DepartmentId, Money, Operation, OrderItem, bill_fields};
use rusqlite::{OptionalExtension as _, params};

use crate::context::RequestContext;
use crate::store::columns::{from_json_column, to_json_column};

/// A bill, by department and the department's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BillRef {
    pub(super) department: DepartmentId,
    pub(super) key: String,
}

impl BillRef {
    /// Reads `DEPARTMENT/KEY`. A department's name has no slash; its keys may have some.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (department, key) = text.split_once('/')?;
        Some(Self { department: department.parse().ok()?, key: key.to_owned() })
    }
}

/// What listed a bill: an operation and its input.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct BillSource {
    pub(super) operation: String,
    pub(super) input: BTreeMap<String, String>,
}

/// Stores the bills that a department has just listed, and returns the rows for the kiosk: without those that were paid through the
/// platform, which the department may not have booked yet.
pub(crate) fn list_bills(
    context: &RequestContext<'_>,
    operation: &Operation,
    resident: i64,
    input: &BTreeMap<String, String>,
    rows: Vec<AnswerRow>,
) -> rusqlite::Result<Vec<AnswerRow>> {
    let source = BillSource { operation: operation.name.clone(), input: input.clone() };
    let mut open = Vec::new();
    for row in store_bills(context, operation, &source, resident, rows)? {
        if !is_bill_paid(context, &row.key)? {
            open.push(row.fields);
        }
    }
    Ok(open)
}

/// A listed bill under its key `DEPARTMENT/KEY`.
pub(super) struct ListedBill {
    key: String,
    fields: AnswerRow,
}

/// Stores what a department lists. A bill that it lists no longer was paid or withdrawn elsewhere and cannot be charged.
pub(super) fn store_bills(
    context: &RequestContext<'_>,
    operation: &Operation,
    source: &BillSource,
    resident: i64,
    rows: Vec<AnswerRow>,
) -> rusqlite::Result<Vec<ListedBill>> {
    let input = to_json_column(&source.input);
    context.tx.execute(
        "UPDATE bills SET listed = 0 WHERE resident = ?1 AND operation = ?2 AND input = ?3",
        params![resident, operation.name, input],
    )?;
    let Some((key_field, amount_field)) = bill_fields(&operation.answer) else { return Ok(Vec::new()) };
    let mut bills = Vec::new();
    for mut fields in rows {
        let amount = fields.get(amount_field).and_then(|text| Money::from_wire(text));
        let (Some(own), Some(amount), Some(payee)) = (fields.get(key_field), amount, fields.get("payee"))
        else {
            continue;
        };
        let key = format!("{}/{own}", operation.department);
        context.tx.execute(
            "INSERT INTO bills (resident, key, operation, input, payee, amount_fen, listed)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1)
             ON CONFLICT (resident, key) DO UPDATE SET operation = ?3, input = ?4, payee = ?5, amount_fen = ?6, listed = 1",
            params![resident, key, operation.name, input, payee, amount.fen()],
        )?;
        fields.insert(key_field.to_owned(), key.clone());
        bills.push(ListedBill { key, fields });
    }
    Ok(bills)
}

/// What listed these bills for the resident, as far as they are known.
pub(super) fn sources_of(
    context: &RequestContext<'_>,
    resident: i64,
    items: &[OrderItem],
) -> rusqlite::Result<BTreeSet<BillSource>> {
    let mut sources = BTreeSet::new();
    for item in items {
        let source = context
            .tx
            .query_row(
                "SELECT operation, input FROM bills WHERE resident = ?1 AND key = ?2",
                params![resident, item.key],
                |row| {
                    let input = from_json_column(&row.get::<_, String>(1)?)?;
                    Ok(BillSource { operation: row.get(0)?, input })
                },
            )
            .optional()?;
        sources.extend(source);
    }
    Ok(sources)
}

/// Whether the bill was paid through the platform; the department may not have booked the payment yet.
fn is_bill_paid(context: &RequestContext<'_>, bill: &str) -> rusqlite::Result<bool> {
    context.tx.query_row(
        "SELECT EXISTS (SELECT 1 FROM order_items JOIN orders USING ([order])
         WHERE bill = ?1 AND claims = 1 AND settlement IS NOT NULL)",
        [bill],
        |found| found.get(0),
    )
}
