//! The open work that a log folds into: what must be taken up again after any end of the process.

use std::collections::BTreeMap;

use contract::{Admitted, Entry, Method, Money, OrderId, OrderItem, Receipt, ReceiptId, UnixMs, VisitId};
use serde::{Deserialize, Serialize};

/// The mark of an online code is kept for this long in milliseconds: far beyond its life.
const MARK_LIFE_MS: u64 = 3_600_000;
/// No more marks are kept, and no more admissions. A kiosk accepts no code while it holds so many live marks.
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
    /// Marks of accepted codes, each with the time until which it is kept.
    pub code_marks: BTreeMap<String, UnixMs>,
    /// Whom a gate let through, each with the time until which that one is not let through again.
    pub admitted: Vec<(Admitted, UnixMs)>,
    /// The latest time in any record: the clock was never before it.
    pub clock_floor: UnixMs,
    /// The platform's clock when it was last heard, and what had to be added to the kiosk's.
    pub clock_heard: Option<(UnixMs, i64)>,
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
                self.mark(mark.clone(), time.plus_ms(MARK_LIFE_MS), time);
            }
            Entry::CodeVerified { visit, holder, slot, until, .. } => {
                self.visit = Some(*visit);
                if let Some(slot) = slot {
                    self.mark(holder.mark(*slot), *until, time);
                }
            }
            Entry::Admitted { who, until, .. } => {
                let now = self.heard(time);
                self.admitted.retain(|(other, end)| other != who && *end > now);
                if self.admitted.len() >= MARKS_MAX {
                    self.admitted.remove(0);
                }
                self.admitted.push((*who, *until));
            }
            Entry::ClockHeard { platform, offset_ms } => self.clock_heard = Some((*platform, *offset_ms)),
            Entry::Identified { visit, .. } => self.visit = Some(*visit),
            Entry::VisitClosed { visit, .. } => {
                if self.visit == Some(*visit) {
                    self.visit = None;
                }
            }
            Entry::Opened { .. }
            | Entry::EvidenceGiven { .. }
            | Entry::PinChanged { .. }
            | Entry::StaffCame { .. }
            | Entry::Consented { .. }
            | Entry::ConsentDeclined { .. }
            | Entry::Queried { .. }
            | Entry::HelpCalled { .. }
            | Entry::CatalogueChanged { .. } => {}
        }
    }

    /// Times of marks are the platform's, as far as the kiosk has heard it.
    fn heard(&self, time: UnixMs) -> UnixMs {
        let offset = self.clock_heard.map_or(0, |(_, offset)| offset);
        UnixMs(time.0.saturating_add_signed(offset))
    }

    fn mark(&mut self, mark: String, until: UnixMs, time: UnixMs) {
        let now = self.heard(time);
        self.code_marks.retain(|_, end| *end > now);
        if self.code_marks.len() >= MARKS_MAX
            && let Some(first) =
                self.code_marks.iter().min_by_key(|(_, end)| **end).map(|(mark, _)| mark.clone())
        {
            self.code_marks.remove(&first);
        }
        self.code_marks.insert(mark, until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{CodeHolder, Confirmation, Pseudonym, Settlement};

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
    fn a_verified_code_is_marked_until_it_is_too_old_by_the_clock_that_was_heard() {
        let mut work = OpenWork::default();
        let visit = VisitId::from_entropy(1);
        let verified = |alias: &[u8; 8], slot, until| Entry::CodeVerified {
            visit,
            holder: CodeHolder::of(alias),
            slot,
            until: UnixMs(until),
            offline: true,
        };
        // The kiosk's clock is an hour ahead of the city's: the mark of a code must not go for it.
        let heard = Entry::ClockHeard { platform: UnixMs(1_000), offset_ms: -3_600_000 };
        work.apply(&heard, UnixMs(3_601_000));
        work.apply(&verified(b"aaaaaaaa", Some(7), 31_000), UnixMs(3_602_000));
        work.apply(&verified(b"bbbbbbbb", Some(7), 61_000), UnixMs(3_630_000));
        let mark = CodeHolder::of(b"aaaaaaaa").mark(7);
        assert_eq!((work.code_marks.len(), work.code_marks.get(&mark)), (2, Some(&UnixMs(31_000))));
        work.apply(&verified(b"cccccccc", None, 0), UnixMs(3_632_000));
        assert_eq!(work.code_marks.len(), 2, "a paper code has no moment to mark");
        work.apply(&verified(b"dddddddd", Some(7), 62_000), UnixMs(3_632_000));
        assert!(!work.code_marks.contains_key(&mark), "and one that is too old is forgotten");
    }

    #[test]
    fn whom_a_gate_let_through_stays_until_the_time_is_up() {
        let mut work = OpenWork::default();
        let admitted = |alias: &[u8; 8], until| Entry::Admitted {
            visit: VisitId::from_entropy(1),
            who: Admitted::Holder(CodeHolder::of(alias)),
            evidence: contract::Evidence::OfflineCode,
            until: UnixMs(until),
            offline: true,
        };
        work.apply(&admitted(b"aaaaaaaa", 300), UnixMs(0));
        work.apply(&admitted(b"bbbbbbbb", 400), UnixMs(100));
        work.apply(&admitted(b"aaaaaaaa", 650), UnixMs(350));
        let left: Vec<_> = work.admitted.iter().map(|(_, until)| until.0).collect();
        assert_eq!(left, [400, 650]);
        for nth in 0..5_000_u64 {
            work.apply(&admitted(&nth.to_be_bytes(), 1_000_000), UnixMs(400));
        }
        assert_eq!(work.admitted.len(), MARKS_MAX);
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
