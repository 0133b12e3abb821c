//! The acquirer's book: one row per order, decided once.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::{Deserialize, Serialize};

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS charges (
    number    INTEGER PRIMARY KEY,
    [order]   TEXT NOT NULL UNIQUE,
    outcome   TEXT NOT NULL CHECK (outcome IN ('paid', 'declined', 'void')),
    total_fen INTEGER NOT NULL,
    account   TEXT NOT NULL,
    method    TEXT NOT NULL,
    bills     TEXT NOT NULL,
    at_ms     INTEGER NOT NULL
) STRICT;";

/// What is charged. Everything but the order id must repeat when the request is repeated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Charge {
    /// The merchant's order: 32 hexadecimal digits, the idempotency key.
    pub order: String,
    /// The amount in fen, above 0.
    pub total: i64,
    /// The merchant's opaque reference of the account to charge.
    pub account: String,
    /// How it is paid, as the merchant calls it.
    pub method: String,
    /// What is paid, as the merchant calls it; kept for the auditor.
    pub bills: Vec<String>,
}

/// What became of an order. Final from the first answer on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Outcome {
    /// Charged once.
    Paid {
        /// The acquirer's own number of the charge.
        reference: String,
        /// When, in milliseconds since 1970.
        at: u64,
    },
    /// Not charged: balance, limit, blocked account.
    Declined,
    /// Not charged and never chargeable: an inquiry came before the charge.
    Void,
}

/// Answer to a charge and to an inquiry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The order that is answered.
    pub order: String,
    /// Its total in fen; 0 when it was void before its charge came.
    pub total: i64,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// A row of the book, for an auditor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The order and its outcome.
    #[serde(flatten)]
    pub answer: Answer,
    /// What was paid, as the merchant calls it.
    pub bills: Vec<String>,
}

/// Why the book cannot answer.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The order id is malformed or the amount is not above 0.
    #[error("an order is 32 lower-case hexadecimal digits and its total is above 0")]
    Malformed,
    /// The order id was used for another charge.
    #[error("the order was charged with other particulars; use a new order id")]
    Conflict,
    /// The database failed; nothing was decided.
    #[error("the book cannot be read or written")]
    Store(#[source] rusqlite::Error),
}

/// The book.
pub struct Ledger(Connection);

impl Ledger {
    /// Takes over a database, which may be new. Every decision is on disk before it is answered.
    ///
    /// # Errors
    /// [`LedgerError::Store`] when it is no such database.
    pub fn open(db: Connection) -> Result<Self, LedgerError> {
        db.pragma_update(None, "journal_mode", "WAL").map_err(LedgerError::Store)?;
        db.pragma_update(None, "synchronous", "FULL").map_err(LedgerError::Store)?;
        db.execute_batch(SCHEMA).map_err(LedgerError::Store)?;
        Ok(Self(db))
    }

    /// Charges, unless the order is already decided. `accept` is the account's answer: false declines.
    ///
    /// # Errors
    /// [`LedgerError::Malformed`], [`LedgerError::Conflict`], [`LedgerError::Store`].
    pub fn charge(&mut self, charge: &Charge, accept: bool, now_ms: u64) -> Result<Answer, LedgerError> {
        check_order(&charge.order)?;
        if charge.total <= 0 {
            return Err(LedgerError::Malformed);
        }
        let outcome = if accept { "paid" } else { "declined" };
        self.decide(charge, outcome, now_ms)?;
        let (answer, same) = self.find(charge)?;
        // Void came before the charge: what the charge says was not known then.
        if same || answer.outcome == Outcome::Void { Ok(answer) } else { Err(LedgerError::Conflict) }
    }

    /// Tells what became of an order, and makes one that was never seen void: it can never be charged.
    ///
    /// # Errors
    /// [`LedgerError::Malformed`], [`LedgerError::Store`].
    pub fn inquire(&mut self, order: &str, now_ms: u64) -> Result<Answer, LedgerError> {
        check_order(order)?;
        let nothing = Charge {
            order: order.to_owned(),
            total: 0,
            account: String::new(),
            method: String::new(),
            bills: Vec::new(),
        };
        self.decide(&nothing, "void", now_ms)?;
        Ok(self.find(&nothing)?.0)
    }

    /// Every row, in the order decided.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub fn entries(&self) -> Result<Vec<Entry>, LedgerError> {
        let read = |db: &Connection| -> rusqlite::Result<Vec<Entry>> {
            let mut all = db.prepare("SELECT * FROM charges ORDER BY number")?;
            let rows = all.query_map([], |row| {
                let bills: String = row.get("bills")?;
                Ok(Entry {
                    answer: answer(row)?,
                    bills: bills.split_terminator('\n').map(Into::into).collect(),
                })
            })?;
            rows.collect()
        };
        read(&self.0).map_err(LedgerError::Store)
    }

    /// One statement: the first decision about an order stands, whatever comes later.
    fn decide(&self, charge: &Charge, outcome: &str, now_ms: u64) -> Result<(), LedgerError> {
        let at = i64::try_from(now_ms).map_err(|_| LedgerError::Malformed)?;
        self.0
            .execute(
                "INSERT INTO charges ([order], outcome, total_fen, account, method, bills, at_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT ([order]) DO NOTHING",
                params![
                    charge.order,
                    outcome,
                    charge.total,
                    charge.account,
                    charge.method,
                    joined(&charge.bills),
                    at
                ],
            )
            .map(|_| ())
            .map_err(LedgerError::Store)
    }

    /// The decided row, and whether it is this charge.
    fn find(&self, charge: &Charge) -> Result<(Answer, bool), LedgerError> {
        self.0
            .query_row("SELECT * FROM charges WHERE [order] = ?1", [&charge.order], |row| {
                let same = row.get::<_, i64>("total_fen")? == charge.total
                    && row.get::<_, String>("account")? == charge.account
                    && row.get::<_, String>("method")? == charge.method
                    && row.get::<_, String>("bills")? == joined(&charge.bills);
                Ok((answer(row)?, same))
            })
            .optional()
            .map_err(LedgerError::Store)?
            .ok_or(LedgerError::Malformed)
    }
}

fn joined(bills: &[String]) -> String {
    bills.iter().map(|bill| format!("{bill}\n")).collect()
}

fn answer(row: &Row<'_>) -> rusqlite::Result<Answer> {
    let outcome = match row.get::<_, String>("outcome")?.as_str() {
        "paid" => Outcome::Paid {
            reference: format!("SB{:010}", row.get::<_, i64>("number")?),
            at: u64::try_from(row.get::<_, i64>("at_ms")?).unwrap_or(0),
        },
        "declined" => Outcome::Declined,
        _ => Outcome::Void,
    };
    Ok(Answer { order: row.get("order")?, total: row.get("total_fen")?, outcome })
}

fn check_order(order: &str) -> Result<(), LedgerError> {
    let digits = order.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if order.len() == 32 && digits { Ok(()) } else { Err(LedgerError::Malformed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger() -> Ledger {
        Ledger::open(Connection::open_in_memory().unwrap()).unwrap()
    }

    fn charge(order: u32) -> Charge {
        Charge {
            order: format!("{order:032x}"),
            total: 8640,
            account: "a-1".into(),
            method: "card-account".into(),
            bills: vec!["w-1".into(), "w-2".into()],
        }
    }

    #[test]
    fn a_repeated_charge_gets_the_first_answer_and_charges_once() {
        let mut ledger = ledger();
        let first = ledger.charge(&charge(1), true, 5).unwrap();
        assert_eq!(first.outcome, Outcome::Paid { reference: "SB0000000001".into(), at: 5 });
        assert_eq!(ledger.charge(&charge(1), true, 9).unwrap(), first);
        assert_eq!(ledger.charge(&charge(1), false, 9).unwrap(), first);
        assert_eq!(ledger.inquire(&charge(1).order, 9).unwrap(), first);
        let entries = ledger.entries().unwrap();
        assert_eq!((entries.len(), &entries[0].bills), (1, &charge(1).bills));
    }

    #[test]
    fn an_inquiry_before_the_charge_makes_the_order_void_for_ever() {
        let mut ledger = ledger();
        assert_eq!(ledger.inquire(&charge(1).order, 5).unwrap().outcome, Outcome::Void);
        assert_eq!(ledger.charge(&charge(1), true, 6).unwrap().outcome, Outcome::Void);
        assert_eq!(ledger.inquire(&charge(1).order, 7).unwrap().outcome, Outcome::Void);
    }

    #[test]
    fn a_declined_order_stays_declined() {
        let mut ledger = ledger();
        assert_eq!(ledger.charge(&charge(1), false, 5).unwrap().outcome, Outcome::Declined);
        assert_eq!(ledger.charge(&charge(1), true, 6).unwrap().outcome, Outcome::Declined);
    }

    #[test]
    fn an_order_id_used_for_something_else_is_refused() {
        let mut ledger = ledger();
        ledger.charge(&charge(1), true, 5).unwrap();
        let others = [
            Charge { total: 1, ..charge(1) },
            Charge { account: "a-2".into(), ..charge(1) },
            Charge { method: "wallet".into(), ..charge(1) },
            Charge { bills: vec!["w-1".into()], ..charge(1) },
        ];
        for other in others {
            assert!(matches!(ledger.charge(&other, true, 6), Err(LedgerError::Conflict)));
        }
    }

    #[test]
    fn malformed_orders_and_amounts_are_refused_and_leave_no_row() {
        let mut ledger = ledger();
        for order in ["", "1", &"G".repeat(32), &"A".repeat(32)] {
            let bad = Charge { order: order.to_owned(), ..charge(1) };
            assert!(matches!(ledger.charge(&bad, true, 1), Err(LedgerError::Malformed)), "{order}");
            assert!(matches!(ledger.inquire(order, 1), Err(LedgerError::Malformed)), "{order}");
        }
        for total in [0, -1] {
            let bad = Charge { total, ..charge(1) };
            assert!(matches!(ledger.charge(&bad, true, 1), Err(LedgerError::Malformed)));
        }
        assert!(ledger.entries().unwrap().is_empty());
    }

    #[test]
    fn what_was_decided_survives_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("book.db");
        let first =
            Ledger::open(Connection::open(&path).unwrap()).unwrap().charge(&charge(1), true, 5).unwrap();
        let mut again = Ledger::open(Connection::open(&path).unwrap()).unwrap();
        assert_eq!(again.inquire(&charge(1).order, 9).unwrap(), first);
    }
}
