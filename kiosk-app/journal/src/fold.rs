//! The open work that a log folds into: what must be taken up again after any end of the process.

use std::collections::BTreeMap;

use contract::{Entry, Method, Money, OrderId, OrderItem, Receipt, ReceiptId, UnixMs, VisitId};
use serde::{Deserialize, Serialize};

/// Marks of codes are kept for this long in milliseconds, and no more of them than [`MARKS_MAX`].
const MARK_LIFE_MS: u64 = 3_600_000;
const MARKS_MAX: usize = 4096;

/// What is open after a number of records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenWork {
    /// Orders that were intended and not settled.
    pub payments: BTreeMap<OrderId, OpenPayment>,
    /// Receipts that were promised and neither printed nor waived.
    pub papers: BTreeMap<ReceiptId, OpenPaper>,
    /// The visit that was not closed.
    pub visit: Option<VisitId>,
    /// Marks of accepted codes, with the time of each.
    pub code_marks: BTreeMap<String, UnixMs>,
    /// The latest time in any record: the clock was never before it.
    pub clock_floor: UnixMs,
}

/// An order whose outcome is not known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenPayment {
    /// The visit that made it.
    pub visit: VisitId,
    /// The service that made it.
    pub service: String,
    /// The bills.
    pub items: Vec<OrderItem>,
    /// Their sum.
    pub total: Money,
    /// How it is paid.
    pub method: Method,
}

/// A receipt that was promised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenPaper {
    /// What it says.
    pub content: Receipt,
    /// The copy whose printing was begun and has no outcome.
    pub started: Option<u32>,
}

impl OpenWork {
    /// Takes one entry in, in the order of the log.
    pub fn apply(&mut self, entry: &Entry, time: UnixMs) {
        self.clock_floor = self.clock_floor.max(time);
        match entry {
            Entry::PaymentIntended { order, visit, service, items, total, method, .. } => {
                let (visit, service, items, total) = (*visit, service.clone(), items.clone(), *total);
                let payment = OpenPayment { visit, service, items, total, method: *method };
                self.payments.insert(*order, payment);
            }
            Entry::PaymentSettled { order, .. } => {
                self.payments.remove(order);
            }
            Entry::ReceiptPromised { receipt, content, .. } => {
                self.papers.insert(*receipt, OpenPaper { content: content.clone(), started: None });
            }
            Entry::PrintStarted { receipt, copy } => {
                if let Some(paper) = self.papers.get_mut(receipt) {
                    paper.started = Some(*copy);
                }
            }
            Entry::PrintNotStarted { receipt, .. } => {
                if let Some(paper) = self.papers.get_mut(receipt) {
                    paper.started = None;
                }
            }
            // An unconfirmed copy is closed as far as the kiosk is concerned: only a person asks for another.
            Entry::Printed { receipt, .. }
            | Entry::PrintUnconfirmed { receipt, .. }
            | Entry::ReceiptWaived { receipt } => {
                self.papers.remove(receipt);
            }
            Entry::CodeAccepted { visit, mark } => {
                self.visit = Some(*visit);
                self.mark(mark, time);
            }
            Entry::Identified { visit, .. } => self.visit = Some(*visit),
            Entry::VisitClosed { visit, .. } => {
                if self.visit == Some(*visit) {
                    self.visit = None;
                }
            }
            Entry::Opened { .. }
            | Entry::EvidenceGiven { .. }
            | Entry::Consented { .. }
            | Entry::ConsentDeclined { .. }
            | Entry::Queried { .. }
            | Entry::HelpCalled { .. }
            | Entry::CatalogueChanged { .. } => {}
        }
    }

    fn mark(&mut self, mark: &str, time: UnixMs) {
        let oldest = time.0.saturating_sub(MARK_LIFE_MS);
        self.code_marks.retain(|_, at| at.0 >= oldest);
        if self.code_marks.len() >= MARKS_MAX
            && let Some(first) =
                self.code_marks.iter().min_by_key(|(_, at)| **at).map(|(mark, _)| mark.clone())
        {
            self.code_marks.remove(&first);
        }
        self.code_marks.insert(mark.to_owned(), time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{Confirmation, Pseudonym, Settlement};

    #[test]
    fn an_order_is_open_from_its_intention_to_its_settlement() {
        let mut work = OpenWork::default();
        let order = OrderId::from_entropy(1);
        let intended = Entry::PaymentIntended {
            order,
            visit: VisitId::from_entropy(2),
            resident: Pseudonym::from_entropy(3),
            service: "water.pay".into(),
            items: Vec::new(),
            total: Money::from_fen(5).unwrap(),
            method: Method::ResidentCode,
        };
        work.apply(&intended, UnixMs(10));
        assert!(work.payments.contains_key(&order));
        let settlement = Settlement::Paid { reference: "A".into(), at: UnixMs(11) };
        work.apply(&Entry::PaymentSettled { order, settlement }, UnixMs(9));
        assert!(work.payments.is_empty());
        assert_eq!(work.clock_floor, UnixMs(10), "the floor never sinks");
    }

    #[test]
    fn a_begun_copy_without_outcome_is_known_by_its_number() {
        let mut work = OpenWork::default();
        let receipt = ReceiptId::from_entropy(1);
        let content = Receipt { title: "t".into(), lines: Vec::new(), number: receipt.number(), code: None };
        let visit = VisitId::from_entropy(2);
        work.apply(&Entry::ReceiptPromised { receipt, visit, order: None, content }, UnixMs(1));
        assert_eq!(work.papers[&receipt].started, None);
        work.apply(&Entry::PrintStarted { receipt, copy: 1 }, UnixMs(2));
        assert_eq!(work.papers[&receipt].started, Some(1));
        work.apply(&Entry::PrintNotStarted { receipt, copy: 1 }, UnixMs(3));
        assert_eq!(work.papers[&receipt].started, None);
        let confirmation = Confirmation::Fenced;
        work.apply(&Entry::Printed { receipt, copy: 1, confirmation }, UnixMs(4));
        assert!(work.papers.is_empty());
    }

    #[test]
    fn old_marks_go_and_new_ones_stay_bounded() {
        let mut work = OpenWork::default();
        let visit = VisitId::from_entropy(1);
        for at in 0..5_000_u64 {
            work.apply(&Entry::CodeAccepted { visit, mark: at.to_string() }, UnixMs(at));
        }
        assert_eq!(work.code_marks.len(), MARKS_MAX);
        work.apply(&Entry::CodeAccepted { visit, mark: "new".into() }, UnixMs(10 * MARK_LIFE_MS));
        assert_eq!(work.code_marks.len(), 1);
    }
}
