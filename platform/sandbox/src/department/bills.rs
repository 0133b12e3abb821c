//! The department's ledger: the bills of each person, and the orders that paid them.

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use serde::{Deserialize, Serialize};

use crate::shell::prepare_database;

const SCHEMA: &str = include_str!("schema.sql");

/// Asks for the open bills of a person. No `Debug`: the request names a person.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BillsRequest {
    /// 公民身份号码 of the person.
    pub id_number: String,
}

/// An open bill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bill {
    /// The department's key of the bill.
    pub key: String,
    /// 户号, the water account.
    pub account: String,
    /// Address of the water connection.
    pub address: String,
    /// 账期, `YYYY-MM`.
    pub period: String,
    /// Consumption, as text.
    pub usage: String,
    /// Amount owed, in fen.
    pub amount: i64,
    /// The payee.
    pub payee: String,
}

/// A bill in a payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaidBill {
    /// The department's key of the bill.
    pub key: String,
    /// Amount paid, in fen.
    pub amount: i64,
}

/// Reports that bills were paid. Idempotent by the order id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BillPayment {
    /// The platform's order.
    pub order: String,
    /// The acquirer's reference of the charge.
    pub reference: String,
    /// The bills that the order pays.
    pub bills: Vec<PaidBill>,
}

/// A booked payment, for an auditor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Booking {
    /// The bill.
    pub key: String,
    /// The order that paid it.
    pub order: String,
    /// The amount in fen.
    pub amount: i64,
}

/// Why the ledger refuses a request.
#[derive(Debug, thiserror::Error)]
pub enum BillLedgerError {
    /// A bill is unknown, paid by another order, or of another amount; or the order was booked with
    /// other bills. Nothing of the payment was booked: an operator has to compare the two.
    #[error("the payment contradicts the ledger; nothing was booked: compare the order with the bills")]
    Conflict,
    /// The database failed; nothing was booked.
    #[error("the ledger cannot be read or written")]
    Store(#[from] rusqlite::Error),
}

/// The department's ledger in an SQLite database.
pub struct BillLedger(Connection);

impl BillLedger {
    /// Opens the ledger in a database, which may be new. Every booking is on disk before it is answered.
    ///
    /// # Errors
    /// [`BillLedgerError::Store`] when the database has another schema or cannot be used.
    pub fn open(db: Connection) -> Result<Self, BillLedgerError> {
        prepare_database(&db, SCHEMA)?;
        Ok(Self(db))
    }

    /// Issues a bill to a person, unless it already exists.
    ///
    /// # Errors
    /// [`BillLedgerError::Store`].
    pub fn issue(&mut self, id_number: &str, bill: &Bill) -> Result<(), BillLedgerError> {
        self.0.execute(
            "INSERT INTO bills (key, id_number, account, address, period, usage, amount_fen)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (key) DO NOTHING",
            params![bill.key, id_number, bill.account, bill.address, bill.period, bill.usage, bill.amount],
        )?;
        Ok(())
    }

    /// A person's open bills, oldest first.
    ///
    /// # Errors
    /// [`BillLedgerError::Store`].
    pub fn open_bills(&self, request: &BillsRequest) -> Result<Vec<Bill>, BillLedgerError> {
        let mut open = self
            .0
            .prepare("SELECT * FROM bills WHERE id_number = ?1 AND paid_by IS NULL ORDER BY period, key")?;
        let bills = open.query_map([&request.id_number], bill_from_row)?.collect::<rusqlite::Result<_>>()?;
        Ok(bills)
    }

    /// Books a payment: all of its bills or none.
    ///
    /// # Errors
    /// [`BillLedgerError::Conflict`], [`BillLedgerError::Store`].
    pub fn book(&mut self, payment: &BillPayment) -> Result<(), BillLedgerError> {
        let body: String =
            payment.bills.iter().map(|bill| format!("{} {}\n", bill.key, bill.amount)).collect();
        let tx = self.0.transaction()?;
        let booked: Option<String> = tx
            .query_row("SELECT body FROM payments WHERE [order] = ?1", [&payment.order], |row| row.get(0))
            .optional()?;
        match booked {
            Some(booked) if booked == body => return Ok(()),
            Some(_) => return Err(BillLedgerError::Conflict),
            None => {}
        }
        tx.execute(
            "INSERT INTO payments ([order], reference, body) VALUES (?1, ?2, ?3)",
            params![payment.order, payment.reference, body],
        )?;
        for paid in &payment.bills {
            mark_paid(&tx, paid, &payment.order)?;
        }
        Ok(tx.commit()?)
    }

    /// All paid bills with the orders that paid them.
    ///
    /// # Errors
    /// [`BillLedgerError::Store`].
    pub fn bookings(&self) -> Result<Vec<Booking>, BillLedgerError> {
        let mut paid = self
            .0
            .prepare("SELECT key, paid_by, amount_fen FROM bills WHERE paid_by IS NOT NULL ORDER BY key")?;
        let rows = paid
            .query_map([], |row| Ok(Booking { key: row.get(0)?, order: row.get(1)?, amount: row.get(2)? }))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

fn mark_paid(tx: &Transaction<'_>, paid: &PaidBill, order: &str) -> Result<(), BillLedgerError> {
    let marked = tx.execute(
        "UPDATE bills SET paid_by = ?1 WHERE key = ?2 AND amount_fen = ?3 AND paid_by IS NULL",
        params![order, paid.key, paid.amount],
    )?;
    if marked == 1 { Ok(()) } else { Err(BillLedgerError::Conflict) }
}

fn bill_from_row(row: &Row<'_>) -> rusqlite::Result<Bill> {
    Ok(Bill {
        key: row.get("key")?,
        account: row.get("account")?,
        address: row.get("address")?,
        period: row.get("period")?,
        usage: row.get("usage")?,
        amount: row.get("amount_fen")?,
        payee: PAYEE.to_owned(),
    })
}

/// The payee of water bills. An invented company.
pub(crate) const PAYEE: &str = "渝水供水有限公司";

#[cfg(test)]
mod tests {
    use super::*;

    const PERSON: &str = "person-1";

    fn bill(key: &str, amount: i64) -> Bill {
        Bill {
            key: key.into(),
            account: "W-1".into(),
            address: "渝中区".into(),
            period: "2026-10".into(),
            usage: "12 吨".into(),
            amount,
            payee: PAYEE.into(),
        }
    }

    fn ledger() -> BillLedger {
        let mut ledger = BillLedger::open(Connection::open_in_memory().unwrap()).unwrap();
        for key in ["w-1", "w-2"] {
            ledger.issue(PERSON, &bill(key, 8640)).unwrap();
        }
        ledger
    }

    fn open(ledger: &BillLedger, person: &str) -> Vec<String> {
        let request = BillsRequest { id_number: person.into() };
        ledger.open_bills(&request).unwrap().into_iter().map(|bill| bill.key).collect()
    }

    fn payment(order: &str, keys: &[&str]) -> BillPayment {
        let bills = keys.iter().map(|key| PaidBill { key: (*key).into(), amount: 8640 }).collect();
        BillPayment { order: order.into(), reference: "SB1".into(), bills }
    }

    #[test]
    fn open_bills_are_listed_by_person() {
        let ledger = ledger();
        assert_eq!(open(&ledger, PERSON), ["w-1", "w-2"]);
        assert!(open(&ledger, "person-2").is_empty());
    }

    #[test]
    fn repeated_payment_is_booked_once() {
        let mut ledger = ledger();
        for _ in 0..3 {
            ledger.book(&payment("o-1", &["w-1"])).unwrap();
        }
        assert_eq!(open(&ledger, PERSON), ["w-2"]);
        assert_eq!(
            ledger.bookings().unwrap(),
            [Booking { key: "w-1".into(), order: "o-1".into(), amount: 8640 }]
        );
    }

    #[test]
    fn contradicting_payment_books_nothing() {
        let mut ledger = ledger();
        ledger.book(&payment("o-1", &["w-1"])).unwrap();
        let mut wrong_amount = payment("o-2", &["w-2"]);
        wrong_amount.bills[0].amount = 1;
        for bad in [
            payment("o-2", &["w-2", "w-1"]),
            payment("o-2", &["w-2", "w-9"]),
            payment("o-1", &["w-2"]),
            wrong_amount,
        ] {
            assert!(matches!(ledger.book(&bad), Err(BillLedgerError::Conflict)));
            assert_eq!(open(&ledger, PERSON), ["w-2"]);
        }
        ledger.book(&payment("o-2", &["w-2"])).unwrap();
        assert!(open(&ledger, PERSON).is_empty());
    }

    #[test]
    fn paid_bill_issued_again_stays_paid() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("books.db");
        let mut ledger = BillLedger::open(Connection::open(&path).unwrap()).unwrap();
        ledger.issue(PERSON, &bill("w-1", 8640)).unwrap();
        ledger.book(&payment("o-1", &["w-1"])).unwrap();
        drop(ledger);
        let mut ledger = BillLedger::open(Connection::open(&path).unwrap()).unwrap();
        ledger.issue(PERSON, &bill("w-1", 8640)).unwrap();
        assert!(open(&ledger, PERSON).is_empty());
    }
}
