//! The ledgers of kiosk, platform and acquirer side by side: does each order have the same outcome and amount in all?

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use contract::{Entry, RecordBatch, Settlement};
use serde::{Deserialize, Serialize};

/// A row of the acquirer's `GET /charges`.
#[derive(Deserialize)]
pub(super) struct AcquirerEntry {
    pub(super) order: String,
    total: i64,
    outcome: String,
    at: Option<u64>,
    bills: Vec<String>,
}

impl AcquirerEntry {
    pub(super) fn is_paid(&self) -> bool {
        self.outcome == "paid"
    }
}

/// A row of the platform's `GET /admin/orders`.
#[derive(Deserialize)]
struct PlatformOrder {
    order: String,
    device: String,
    total_fen: i64,
    settlement: Option<Settlement>,
    created_ms: u64,
}

#[derive(Deserialize)]
struct Export {
    device: String,
    epochs: Vec<Epoch>,
}

#[derive(Deserialize)]
struct Epoch {
    batch: RecordBatch,
}

/// The state of an order in one ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum OrderState {
    /// The outcome is not known yet.
    Open,
    /// Charged once.
    Paid,
    /// Not charged, and never will be.
    Void,
}

/// An order in one ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct LedgerCell {
    state: OrderState,
    /// Amount in fen; `None` where the ledger holds none.
    total_fen: Option<i64>,
    /// Time of the last change, milliseconds since 1970; `None` where the ledger holds none.
    at_ms: Option<u64>,
}

/// Whether the ledgers agree about an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Agreement {
    /// The same outcome everywhere, and the same amount where money moved.
    Agree,
    /// The outcome is not known everywhere yet.
    Pending,
    /// Different outcomes or amounts.
    Differ,
}

/// One order in the three ledgers.
#[derive(Debug, Serialize)]
struct LedgerRow {
    order: String,
    kiosk: Option<LedgerCell>,
    platform: Option<LedgerCell>,
    acquirer: Option<LedgerCell>,
    agreement: Agreement,
}

/// The orders of a kiosk in the three ledgers, newest first.
#[derive(Debug, Serialize)]
pub(super) struct Ledgers {
    rows: Vec<LedgerRow>,
    /// Bills that the acquirer has charged more than once.
    charged_twice: Vec<String>,
}

/// Compares the export of a kiosk's log, the platform's orders and the acquirer's charges (JSON each).
pub(super) fn compare(export: &str, orders: &str, charges: &str) -> Result<Ledgers> {
    let export: Export = serde_json::from_str(export).context("export of the log")?;
    let orders: Vec<PlatformOrder> = serde_json::from_str(orders).context("orders of the platform")?;
    let charges: Vec<AcquirerEntry> = serde_json::from_str(charges).context("charges of the acquirer")?;
    let kiosk = kiosk_cells(&export)?;
    let platform: BTreeMap<&str, LedgerCell> = orders
        .iter()
        .filter(|order| order.device == export.device)
        .map(|order| (order.order.as_str(), platform_cell(order)))
        .collect();
    let acquirer: BTreeMap<&str, LedgerCell> =
        charges.iter().map(|entry| (entry.order.as_str(), acquirer_cell(entry))).collect();
    let mut names: Vec<&str> = kiosk.keys().map(String::as_str).chain(platform.keys().copied()).collect();
    names.sort_unstable();
    names.dedup();
    let mut rows: Vec<LedgerRow> = names
        .into_iter()
        .map(|order| {
            let cells =
                [kiosk.get(order), platform.get(order), acquirer.get(order)].map(Option::<&_>::cloned);
            let agreement = agreement(&cells);
            let [kiosk, platform, acquirer] = cells;
            LedgerRow { order: order.to_owned(), kiosk, platform, acquirer, agreement }
        })
        .collect();
    let begun = |row: &LedgerRow| {
        let order = orders.iter().find(|order| order.order == row.order);
        order.map(|order| order.created_ms).or_else(|| row.kiosk.as_ref().and_then(|cell| cell.at_ms))
    };
    rows.sort_by_key(|row| std::cmp::Reverse(begun(row)));
    Ok(Ledgers { rows, charged_twice: charged_twice(&charges) })
}

fn kiosk_cells(export: &Export) -> Result<BTreeMap<String, LedgerCell>> {
    let mut cells = BTreeMap::new();
    for wire in export.epochs.iter().flat_map(|epoch| &epoch.batch.records) {
        let record = wire.to_record()?;
        let Ok(entry) = Entry::decode(&record.body) else { continue };
        let at_ms = Some(record.header.time.0);
        if let Entry::OrderCreated { order, total, .. } = &entry {
            let cell = LedgerCell { state: OrderState::Open, total_fen: Some(total.fen()), at_ms };
            cells.insert(order.to_string(), cell);
        }
        if let Entry::OrderSettled { order, settlement } = &entry {
            let total_fen = cells.get(&order.to_string()).and_then(|cell: &LedgerCell| cell.total_fen);
            cells.insert(order.to_string(), LedgerCell { state: state_of(settlement), total_fen, at_ms });
        }
    }
    Ok(cells)
}

const fn state_of(settlement: &Settlement) -> OrderState {
    match settlement {
        Settlement::Paid { .. } => OrderState::Paid,
        Settlement::Void { .. } => OrderState::Void,
    }
}

fn platform_cell(order: &PlatformOrder) -> LedgerCell {
    let (state, at_ms) = match &order.settlement {
        None => (OrderState::Open, order.created_ms),
        Some(settled @ Settlement::Paid { at, .. }) => (state_of(settled), at.0),
        Some(settled @ Settlement::Void { .. }) => (state_of(settled), order.created_ms),
    };
    LedgerCell { state, total_fen: Some(order.total_fen), at_ms: Some(at_ms) }
}

fn acquirer_cell(entry: &AcquirerEntry) -> LedgerCell {
    let state = if entry.is_paid() { OrderState::Paid } else { OrderState::Void };
    // An order that became void before its charge arrived has no amount at the acquirer.
    let total_fen = (entry.total > 0).then_some(entry.total);
    LedgerCell { state, total_fen, at_ms: entry.at }
}

/// Whether kiosk, platform and acquirer agree. An order that never reached one of them is void there.
fn agreement(cells: &[Option<LedgerCell>; 3]) -> Agreement {
    let [kiosk, platform, acquirer] = cells;
    let states = cells.each_ref().map(|cell| cell.as_ref().map_or(OrderState::Void, |cell| cell.state));
    // The last record of the kiosk may be on its way: then the platform does not know it yet.
    if kiosk.is_none() || states.contains(&OrderState::Open) {
        return Agreement::Pending;
    }
    let mut amounts: Vec<i64> =
        [kiosk, platform, acquirer].into_iter().flatten().filter_map(|cell| cell.total_fen).collect();
    amounts.dedup();
    let paid = states.iter().filter(|state| **state == OrderState::Paid).count();
    if paid == 0 || (paid == states.len() && amounts.len() == 1) {
        Agreement::Agree
    } else {
        Agreement::Differ
    }
}

fn charged_twice(charges: &[AcquirerEntry]) -> Vec<String> {
    let mut counts: BTreeMap<&String, usize> = BTreeMap::new();
    for bill in charges.iter().filter(|entry| entry.is_paid()).flat_map(|entry| &entry.bills) {
        *counts.entry(bill).or_default() += 1;
    }
    counts.into_iter().filter(|(_, count)| *count > 1).map(|(bill, _)| bill.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(state: OrderState, total_fen: Option<i64>) -> Option<LedgerCell> {
        Some(LedgerCell { state, total_fen, at_ms: None })
    }

    #[test]
    fn ledgers_agree_on_one_outcome_and_amount() {
        use OrderState::{Open, Paid, Void};
        let paid = cell(Paid, Some(4_500));
        for (cells, expected) in [
            ([paid.clone(), paid.clone(), paid.clone()], Agreement::Agree),
            ([cell(Void, Some(4_500)), cell(Void, Some(4_500)), cell(Void, None)], Agreement::Agree),
            ([cell(Void, Some(4_500)), cell(Void, Some(4_500)), None], Agreement::Agree),
            ([cell(Void, Some(4_500)), None, None], Agreement::Agree),
            ([cell(Open, Some(4_500)), paid.clone(), paid.clone()], Agreement::Pending),
            ([None, paid.clone(), paid.clone()], Agreement::Pending),
            ([paid.clone(), paid.clone(), None], Agreement::Differ),
            ([cell(Void, Some(4_500)), cell(Void, Some(4_500)), paid.clone()], Agreement::Differ),
            ([paid.clone(), paid.clone(), cell(Paid, Some(9_000))], Agreement::Differ),
        ] {
            assert_eq!(agreement(&cells), expected, "{cells:?}");
        }
    }

    #[test]
    fn bill_charged_by_two_orders_is_named() {
        let entry = |order: &str, outcome: &str| AcquirerEntry {
            order: order.to_owned(),
            total: 1,
            outcome: outcome.to_owned(),
            at: None,
            bills: vec!["w-1".to_owned()],
        };
        assert!(charged_twice(&[entry("a", "paid"), entry("b", "void")]).is_empty());
        assert_eq!(charged_twice(&[entry("a", "paid"), entry("b", "paid")]), ["w-1"]);
    }
}
