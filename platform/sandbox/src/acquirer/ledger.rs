//! The acquirer's ledger: one row per order, decided once.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::{Deserialize, Serialize};

use crate::shell::prepare_database;

const SCHEMA: &str = include_str!("schema.sql");

/// A charge of an order. A repeated request must have the same content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcquirerChargeRequest {
    /// The merchant's order: 32 hexadecimal digits, the idempotency key.
    pub order: String,
    /// The amount in fen, above 0.
    pub total: i64,
    /// The merchant's opaque reference of the account to charge.
    pub account: String,
    /// The payment method, in the merchant's terms.
    pub method: String,
    /// The bills that are paid, in the merchant's terms; kept for the auditor.
    pub bills: Vec<String>,
}

/// The outcome of an order. Final from the first answer on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum OrderOutcome {
    /// The order was charged once.
    Paid {
        /// The acquirer's own number for the charge.
        reference: String,
        /// Time of the charge, in milliseconds since 1970.
        at: u64,
    },
    /// The order was not charged: balance, limit, blocked account.
    Declined,
    /// The order was not charged and can never be charged: an inquiry arrived before the charge.
    Void,
}

/// Answer to a charge and to an inquiry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargeAnswer {
    /// The order to which the answer belongs.
    pub order: String,
    /// The total of the order in fen; 0 when the order became void before its charge arrived.
    pub total: i64,
    /// The outcome of the order.
    #[serde(flatten)]
    pub outcome: OrderOutcome,
}

/// A row of the ledger, for an auditor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// The order and its outcome.
    #[serde(flatten)]
    pub answer: ChargeAnswer,
    /// The bills that were paid, in the merchant's terms.
    pub bills: Vec<String>,
}

/// Why the ledger refuses a request.
#[derive(Debug, thiserror::Error)]
pub enum ChargeLedgerError {
    /// The order id is malformed or the amount is not above 0.
    #[error("an order is 32 lower-case hexadecimal digits and its total is above 0")]
    Malformed,
    /// The order id was used for another charge.
    #[error("the order id was used for a charge with other content: use a new order id")]
    Conflict,
    /// The database failed; nothing was decided.
    #[error("the ledger cannot be read or written")]
    Store(#[source] rusqlite::Error),
}

/// The acquirer's ledger in an SQLite database.
pub struct ChargeLedger(Connection);

impl ChargeLedger {
    /// Opens the ledger in a database, which may be new. Every decision is on disk before it is answered.
    ///
    /// # Errors
    /// [`ChargeLedgerError::Store`] when the database has another schema or cannot be used.
    pub fn open(db: Connection) -> Result<Self, ChargeLedgerError> {
        prepare_database(&db, SCHEMA).map_err(ChargeLedgerError::Store)?;
        Ok(Self(db))
    }

    /// Charges an order, unless it is already decided. `accept`: whether the account has the money; false declines.
    ///
    /// # Errors
    /// [`ChargeLedgerError::Malformed`], [`ChargeLedgerError::Conflict`], [`ChargeLedgerError::Store`].
    pub fn charge(
        &mut self,
        charge: &AcquirerChargeRequest,
        accept: bool,
        now_ms: u64,
    ) -> Result<ChargeAnswer, ChargeLedgerError> {
        check_order(&charge.order)?;
        if charge.total <= 0 {
            return Err(ChargeLedgerError::Malformed);
        }
        let outcome = if accept { "paid" } else { "declined" };
        self.decide(charge, outcome, now_ms)?;
        let (answer, same) = self.find(charge)?;
        // An order that became void before its charge has no content to compare with.
        if same || answer.outcome == OrderOutcome::Void {
            Ok(answer)
        } else {
            Err(ChargeLedgerError::Conflict)
        }
    }

    /// Returns the outcome of an order; an order that was never seen becomes void and can never be charged.
    ///
    /// # Errors
    /// [`ChargeLedgerError::Malformed`], [`ChargeLedgerError::Store`].
    pub fn inquire(&mut self, order: &str, now_ms: u64) -> Result<ChargeAnswer, ChargeLedgerError> {
        check_order(order)?;
        let nothing = AcquirerChargeRequest {
            order: order.to_owned(),
            total: 0,
            account: String::new(),
            method: String::new(),
            bills: Vec::new(),
        };
        self.decide(&nothing, "void", now_ms)?;
        Ok(self.find(&nothing)?.0)
    }

    /// All rows, in the sequence of their decisions.
    ///
    /// # Errors
    /// [`ChargeLedgerError::Store`].
    pub fn entries(&self) -> Result<Vec<LedgerEntry>, ChargeLedgerError> {
        let read = |db: &Connection| -> rusqlite::Result<Vec<LedgerEntry>> {
            let mut all = db.prepare("SELECT * FROM charges ORDER BY number")?;
            let rows = all.query_map([], |row| {
                let bills: String = row.get("bills")?;
                Ok(LedgerEntry {
                    answer: answer_from_row(row)?,
                    bills: bills.split_terminator('\n').map(Into::into).collect(),
                })
            })?;
            rows.collect()
        };
        read(&self.0).map_err(ChargeLedgerError::Store)
    }

    /// Decides in one statement: the first decision about an order is final.
    fn decide(
        &self,
        charge: &AcquirerChargeRequest,
        outcome: &str,
        now_ms: u64,
    ) -> Result<(), ChargeLedgerError> {
        let at = i64::try_from(now_ms).map_err(|_| ChargeLedgerError::Malformed)?;
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
                    join_bills(&charge.bills),
                    at
                ],
            )
            .map(|_| ())
            .map_err(ChargeLedgerError::Store)
    }

    /// The decided row, and whether it has the content of this charge.
    fn find(&self, charge: &AcquirerChargeRequest) -> Result<(ChargeAnswer, bool), ChargeLedgerError> {
        self.0
            .query_row("SELECT * FROM charges WHERE [order] = ?1", [&charge.order], |row| {
                let same = row.get::<_, i64>("total_fen")? == charge.total
                    && row.get::<_, String>("account")? == charge.account
                    && row.get::<_, String>("method")? == charge.method
                    && row.get::<_, String>("bills")? == join_bills(&charge.bills);
                Ok((answer_from_row(row)?, same))
            })
            .optional()
            .map_err(ChargeLedgerError::Store)?
            .ok_or(ChargeLedgerError::Malformed)
    }
}

fn join_bills(bills: &[String]) -> String {
    bills.iter().map(|bill| format!("{bill}\n")).collect()
}

fn answer_from_row(row: &Row<'_>) -> rusqlite::Result<ChargeAnswer> {
    let outcome = match row.get::<_, String>("outcome")?.as_str() {
        "paid" => OrderOutcome::Paid {
            reference: format!("SB{:010}", row.get::<_, i64>("number")?),
            at: u64::try_from(row.get::<_, i64>("at_ms")?).unwrap_or(0),
        },
        "declined" => OrderOutcome::Declined,
        _ => OrderOutcome::Void,
    };
    Ok(ChargeAnswer { order: row.get("order")?, total: row.get("total_fen")?, outcome })
}

fn check_order(order: &str) -> Result<(), ChargeLedgerError> {
    let digits = order.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if order.len() == 32 && digits { Ok(()) } else { Err(ChargeLedgerError::Malformed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger() -> ChargeLedger {
        ChargeLedger::open(Connection::open_in_memory().unwrap()).unwrap()
    }

    fn charge(order: u32) -> AcquirerChargeRequest {
        AcquirerChargeRequest {
            order: format!("{order:032x}"),
            total: 8640,
            account: "a-1".into(),
            method: "card-account".into(),
            bills: vec!["w-1".into(), "w-2".into()],
        }
    }

    #[test]
    fn repeated_charge_gets_first_answer_and_charges_once() {
        let mut ledger = ledger();
        let first = ledger.charge(&charge(1), true, 5).unwrap();
        assert_eq!(first.outcome, OrderOutcome::Paid { reference: "SB0000000001".into(), at: 5 });
        assert_eq!(ledger.charge(&charge(1), true, 9).unwrap(), first);
        assert_eq!(ledger.charge(&charge(1), false, 9).unwrap(), first);
        assert_eq!(ledger.inquire(&charge(1).order, 9).unwrap(), first);
        let entries = ledger.entries().unwrap();
        assert_eq!((entries.len(), &entries[0].bills), (1, &charge(1).bills));
    }

    #[test]
    fn inquiry_before_the_charge_makes_the_order_void() {
        let mut ledger = ledger();
        assert_eq!(ledger.inquire(&charge(1).order, 5).unwrap().outcome, OrderOutcome::Void);
        assert_eq!(ledger.charge(&charge(1), true, 6).unwrap().outcome, OrderOutcome::Void);
        assert_eq!(ledger.inquire(&charge(1).order, 7).unwrap().outcome, OrderOutcome::Void);
    }

    #[test]
    fn declined_order_stays_declined() {
        let mut ledger = ledger();
        assert_eq!(ledger.charge(&charge(1), false, 5).unwrap().outcome, OrderOutcome::Declined);
        assert_eq!(ledger.charge(&charge(1), true, 6).unwrap().outcome, OrderOutcome::Declined);
    }

    #[test]
    fn order_id_with_other_content_is_refused() {
        let mut ledger = ledger();
        ledger.charge(&charge(1), true, 5).unwrap();
        let others = [
            AcquirerChargeRequest { total: 1, ..charge(1) },
            AcquirerChargeRequest { account: "a-2".into(), ..charge(1) },
            AcquirerChargeRequest { method: "wallet".into(), ..charge(1) },
            AcquirerChargeRequest { bills: vec!["w-1".into()], ..charge(1) },
        ];
        for other in others {
            assert!(matches!(ledger.charge(&other, true, 6), Err(ChargeLedgerError::Conflict)));
        }
    }

    #[test]
    fn malformed_order_or_amount_is_refused_without_a_row() {
        let mut ledger = ledger();
        for order in ["", "1", &"G".repeat(32), &"A".repeat(32)] {
            let bad = AcquirerChargeRequest { order: order.to_owned(), ..charge(1) };
            assert!(matches!(ledger.charge(&bad, true, 1), Err(ChargeLedgerError::Malformed)), "{order}");
            assert!(matches!(ledger.inquire(order, 1), Err(ChargeLedgerError::Malformed)), "{order}");
        }
        for total in [0, -1] {
            let bad = AcquirerChargeRequest { total, ..charge(1) };
            assert!(matches!(ledger.charge(&bad, true, 1), Err(ChargeLedgerError::Malformed)));
        }
        assert!(ledger.entries().unwrap().is_empty());
    }

    #[test]
    fn decision_survives_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.db");
        let first = ChargeLedger::open(Connection::open(&path).unwrap())
            .unwrap()
            .charge(&charge(1), true, 5)
            .unwrap();
        let mut again = ChargeLedger::open(Connection::open(&path).unwrap()).unwrap();
        assert_eq!(again.inquire(&charge(1).order, 9).unwrap(), first);
    }
}
