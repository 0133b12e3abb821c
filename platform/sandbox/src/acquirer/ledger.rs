//! The acquirer's ledger: one row per order, decided once.

use rusqlite::{Connection, OptionalExtension as _, Row, TransactionBehavior, params};
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
    /// The bills that are paid, in the merchant's terms.
    pub bills: Vec<String>,
    /// The amount of each bill in fen. Absent when the merchant does not send amounts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amounts: Vec<i64>,
    /// The merchant's terminal at which the order was made; empty when the merchant does not name it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub terminal: String,
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

/// Answer to a charge.
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

/// A row of the ledger: answer to an inquiry, and element of the lists for the merchant and for an auditor. With it, a
/// merchant that lost its own data can enter the order again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// The order and its outcome.
    #[serde(flatten)]
    pub answer: ChargeAnswer,
    /// The merchant's opaque reference of the account; empty when the order became void before its charge arrived.
    pub account: String,
    /// The merchant's terminal; empty when the merchant did not name it.
    pub terminal: String,
    /// The bills that were paid, in the merchant's terms.
    pub bills: Vec<String>,
    /// The amount of each bill in fen; empty when the merchant did not send amounts.
    pub amounts: Vec<i64>,
}

/// Request for the list of paid orders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaidOrdersRequest {
    /// Only orders charged at or after this time, in milliseconds since 1970 by the acquirer's clock.
    pub since: u64,
    /// `next` of the previous page; 0 for the first page.
    pub after: i64,
}

/// One page of the list of paid orders, in the sequence of their decisions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaidOrders {
    /// The orders of this page.
    pub entries: Vec<LedgerEntry>,
    /// `after` of the next page; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<i64>,
}

/// Most orders on a page of the list of paid orders.
const PAGE_MAX: usize = 200;

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
        add_missing_columns(&db).map_err(ChargeLedgerError::Store)?;
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
        let (entry, same) = self.decide(charge, outcome, now_ms)?;
        // An order that became void before its charge has no content to compare with.
        if same || entry.answer.outcome == OrderOutcome::Void {
            Ok(entry.answer)
        } else {
            Err(ChargeLedgerError::Conflict)
        }
    }

    /// Fences an order: returns its outcome; an order that was never seen becomes void and can never be charged.
    ///
    /// Idempotent: the first decision about an order stands, be it by a charge or by an inquiry.
    ///
    /// # Errors
    /// [`ChargeLedgerError::Malformed`], [`ChargeLedgerError::Store`].
    pub fn inquire(&mut self, order: &str, now_ms: u64) -> Result<LedgerEntry, ChargeLedgerError> {
        check_order(order)?;
        let nothing = AcquirerChargeRequest {
            order: order.to_owned(),
            total: 0,
            account: String::new(),
            method: String::new(),
            bills: Vec::new(),
            amounts: Vec::new(),
            terminal: String::new(),
        };
        Ok(self.decide(&nothing, "void", now_ms)?.0)
    }

    /// A page of the orders that were paid at or after a time.
    ///
    /// # Errors
    /// [`ChargeLedgerError::Store`].
    pub fn paid_orders(&self, request: &PaidOrdersRequest) -> Result<PaidOrders, ChargeLedgerError> {
        let since = i64::try_from(request.since).unwrap_or(i64::MAX);
        let read = |db: &Connection| -> rusqlite::Result<Vec<(i64, LedgerEntry)>> {
            let mut page = db.prepare(
                "SELECT * FROM charges WHERE outcome = 'paid' AND at_ms >= ?1 AND number > ?2
                 ORDER BY number LIMIT ?3",
            )?;
            let most = i64::try_from(PAGE_MAX).unwrap_or(i64::MAX);
            let rows = page.query_map(params![since, request.after, most], |row| {
                Ok((row.get("number")?, entry_from_row(row)?))
            })?;
            rows.collect()
        };
        let page = read(&self.0).map_err(ChargeLedgerError::Store)?;
        let next = if page.len() < PAGE_MAX { None } else { page.last().map(|(number, _)| *number) };
        Ok(PaidOrders { entries: page.into_iter().map(|(_, entry)| entry).collect(), next })
    }

    /// All rows, in the sequence of their decisions.
    ///
    /// # Errors
    /// [`ChargeLedgerError::Store`].
    pub fn entries(&self) -> Result<Vec<LedgerEntry>, ChargeLedgerError> {
        let read = |db: &Connection| -> rusqlite::Result<Vec<LedgerEntry>> {
            let mut all = db.prepare("SELECT * FROM charges ORDER BY number")?;
            let rows = all.query_map([], entry_from_row)?;
            rows.collect()
        };
        read(&self.0).map_err(ChargeLedgerError::Store)
    }

    /// Decides in one transaction: the first decision about an order is final. Returns the decided row, and whether it
    /// has the content of this charge.
    fn decide(
        &mut self,
        charge: &AcquirerChargeRequest,
        outcome: &str,
        now_ms: u64,
    ) -> Result<(LedgerEntry, bool), ChargeLedgerError> {
        let at = i64::try_from(now_ms).map_err(|_| ChargeLedgerError::Malformed)?;
        let decide = |db: &mut Connection| -> rusqlite::Result<Option<(LedgerEntry, bool)>> {
            let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            tx.execute(
                "INSERT INTO charges ([order], outcome, total_fen, account, method, bills, at_ms, amounts, terminal)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT ([order]) DO NOTHING",
                params![
                    charge.order,
                    outcome,
                    charge.total,
                    charge.account,
                    charge.method,
                    join_lines(&charge.bills),
                    at,
                    join_lines(&charge.amounts),
                    charge.terminal
                ],
            )?;
            let decided = tx
                .query_row("SELECT * FROM charges WHERE [order] = ?1", [&charge.order], |row| {
                    let entry = entry_from_row(row)?;
                    let same = entry.answer.total == charge.total
                        && entry.account == charge.account
                        && row.get::<_, String>("method")? == charge.method
                        && entry.bills == charge.bills;
                    Ok((entry, same))
                })
                .optional()?;
            tx.commit()?;
            Ok(decided)
        };
        decide(&mut self.0).map_err(ChargeLedgerError::Store)?.ok_or(ChargeLedgerError::Malformed)
    }
}

/// Adds the columns that ledgers of earlier versions do not have.
fn add_missing_columns(db: &Connection) -> rusqlite::Result<()> {
    for column in ["amounts", "terminal"] {
        let known: bool = db.query_row(
            "SELECT EXISTS (SELECT 1 FROM pragma_table_info('charges') WHERE name = ?1)",
            [column],
            |row| row.get(0),
        )?;
        if !known {
            db.execute_batch(&format!("ALTER TABLE charges ADD COLUMN {column} TEXT NOT NULL DEFAULT ''"))?;
        }
    }
    Ok(())
}

fn join_lines<T: std::fmt::Display>(lines: &[T]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn entry_from_row(row: &Row<'_>) -> rusqlite::Result<LedgerEntry> {
    let (bills, amounts): (String, String) = (row.get("bills")?, row.get("amounts")?);
    Ok(LedgerEntry {
        answer: answer_from_row(row)?,
        account: row.get("account")?,
        terminal: row.get("terminal")?,
        bills: bills.split_terminator('\n').map(Into::into).collect(),
        amounts: amounts.split_terminator('\n').filter_map(|amount| amount.parse().ok()).collect(),
    })
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
            amounts: vec![640, 8000],
            terminal: "K-1".into(),
        }
    }

    #[test]
    fn repeated_charge_gets_first_answer_and_charges_once() {
        let mut ledger = ledger();
        let first = ledger.charge(&charge(1), true, 5).unwrap();
        assert_eq!(first.outcome, OrderOutcome::Paid { reference: "SB0000000001".into(), at: 5 });
        assert_eq!(ledger.charge(&charge(1), true, 9).unwrap(), first);
        assert_eq!(ledger.charge(&charge(1), false, 9).unwrap(), first);
        assert_eq!(ledger.inquire(&charge(1).order, 9).unwrap().answer, first);
        let entries = ledger.entries().unwrap();
        assert_eq!((entries.len(), &entries[0].bills), (1, &charge(1).bills));
    }

    #[test]
    fn inquiry_before_the_charge_makes_the_order_void() {
        let mut ledger = ledger();
        assert_eq!(ledger.inquire(&charge(1).order, 5).unwrap().answer.outcome, OrderOutcome::Void);
        assert_eq!(ledger.charge(&charge(1), true, 6).unwrap().outcome, OrderOutcome::Void);
        assert_eq!(ledger.inquire(&charge(1).order, 7).unwrap().answer.outcome, OrderOutcome::Void);
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
        assert_eq!(again.inquire(&charge(1).order, 9).unwrap().answer, first);
    }

    #[test]
    fn first_of_charge_and_inquiry_decides_in_every_sequence() {
        // Two charges and two inquiries, in every sequence: bit n says whether call n is a charge.
        for calls in (0_u8..16).filter(|calls| calls.count_ones() == 2) {
            let mut ledger = ledger();
            let outcomes: Vec<OrderOutcome> = (0..4)
                .map(|at| {
                    let now = u64::from(u8::try_from(at).unwrap());
                    if calls >> at & 1 == 1 {
                        ledger.charge(&charge(1), true, now).unwrap().outcome
                    } else {
                        ledger.inquire(&charge(1).order, now).unwrap().answer.outcome
                    }
                })
                .collect();
            let charged_first = calls & 1 == 1;
            assert_eq!(matches!(outcomes[0], OrderOutcome::Paid { .. }), charged_first, "{calls:04b}");
            assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]), "{calls:04b}: {outcomes:?}");
            assert_eq!(ledger.entries().unwrap().len(), 1);
        }
    }

    #[test]
    fn inquiry_about_a_paid_order_returns_its_content() {
        let mut ledger = ledger();
        ledger.charge(&charge(1), true, 5).unwrap();
        let entry = ledger.inquire(&charge(1).order, 9).unwrap();
        assert_eq!((entry.account.as_str(), entry.terminal.as_str()), ("a-1", "K-1"));
        assert_eq!((entry.bills, entry.amounts), (charge(1).bills, vec![640, 8000]));
    }

    #[test]
    fn paid_orders_are_listed_from_a_time_in_pages() {
        let mut ledger = ledger();
        for order in 0..450 {
            ledger.charge(&charge(order), order % 450 != 449, u64::from(order)).unwrap();
        }
        ledger.inquire(&charge(900).order, 900).unwrap();
        let (mut after, mut listed) = (0, Vec::new());
        loop {
            let page = ledger.paid_orders(&PaidOrdersRequest { since: 10, after }).unwrap();
            assert!(page.entries.len() <= PAGE_MAX);
            listed.extend(page.entries.into_iter().map(|entry| entry.answer.order));
            match page.next {
                Some(next) => after = next,
                None => break,
            }
        }
        let expected: Vec<String> = (10..449).map(|order| charge(order).order).collect();
        assert_eq!(listed, expected);
    }

    #[test]
    fn ledger_of_an_earlier_version_is_opened() {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(
            "CREATE TABLE charges (number INTEGER PRIMARY KEY, [order] TEXT NOT NULL UNIQUE, outcome TEXT NOT NULL,
             total_fen INTEGER NOT NULL, account TEXT NOT NULL, method TEXT NOT NULL, bills TEXT NOT NULL,
             at_ms INTEGER NOT NULL) STRICT;
             INSERT INTO charges VALUES (1, '00000000000000000000000000000001', 'paid', 8640, 'a-1', 'm', 'w-1', 5);",
        )
        .unwrap();
        let entry = ChargeLedger::open(db).unwrap().inquire(&charge(1).order, 9).unwrap();
        assert!(matches!(entry.answer.outcome, OrderOutcome::Paid { .. }));
        assert!(entry.amounts.is_empty() && entry.terminal.is_empty());
    }
}
