//! Projection of the records to the open work, which must be taken up again after any end of the process.

use std::collections::BTreeMap;

use contract::{Admitted, Entry, Method, Money, OrderId, OrderItem, Receipt, ReceiptId, UnixMs, VisitId};
use serde::{Deserialize, Serialize};

/// The used-code record of an online code is kept for this long in milliseconds: far beyond the code's validity.
const MARK_LIFE_MS: u64 = 3_600_000;
/// Used-code records and admissions that are kept at most. A kiosk accepts no code while it holds this many valid
/// used-code records.
const MARKS_MAX: usize = 4096;

/// Open work (未结事项) after a number of records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenWork {
    /// Orders that were created and not settled.
    pub payments: BTreeMap<OrderId, OpenPayment>,
    /// Receipts that were issued and whose print job is neither finished nor abandoned.
    #[serde(rename = "papers")]
    pub papers: BTreeMap<ReceiptId, OpenPaper>,
    /// The visit that is not closed.
    pub visit: Option<VisitId>,
    /// Used-code records, each with the time until which it is kept.
    #[serde(rename = "code_marks")]
    pub code_marks: BTreeMap<String, UnixMs>,
    /// Holders that a gate admitted, each with the time until which the holder is not admitted again.
    pub admitted: Vec<(Admitted, UnixMs)>,
    /// The latest time of any record: the present cannot be earlier.
    pub clock_floor: UnixMs,
    /// The last clock synchronisation: the platform's time, and the offset in milliseconds to add to the kiosk's.
    #[serde(rename = "clock_heard")]
    pub clock_heard: Option<(UnixMs, i64)>,
}

/// An order that is not settled: its outcome is unknown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenPayment {
    /// The visit that created the order.
    pub visit: VisitId,
    /// The service that created the order.
    pub service: String,
    /// The bills to be paid.
    pub items: Vec<OrderItem>,
    /// The sum of the bills.
    pub total: Money,
    /// The payment method.
    pub method: Method,
}

/// A receipt whose print job is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenPaper {
    /// Content of the receipt.
    pub content: Receipt,
    /// Number of the copy whose printing was started and has no outcome.
    pub started: Option<u32>,
}

impl OpenWork {
    /// Applies one entry. Entries must be applied in the order of the journal.
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
            // An unconfirmed copy is closed for the kiosk: only a person requests another copy.
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

    /// The platform's time, if the kiosk has synchronised with it, else the kiosk's time.
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
    fn order_is_open_until_settled() {
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
        assert_eq!(work.clock_floor, UnixMs(10), "the floor never decreases");
    }

    #[test]
    fn started_copy_without_outcome_is_open() {
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
    fn used_code_expires_by_platform_time() {
        let mut work = OpenWork::default();
        let visit = VisitId::from_entropy(1);
        let verified = |alias: &[u8; 8], slot, until| Entry::CodeVerified {
            visit,
            holder: CodeHolder::of(alias),
            slot,
            until: UnixMs(until),
            offline: true,
        };
        // The kiosk's clock is an hour ahead of the platform's: a used-code record must not expire for this reason.
        let heard = Entry::ClockHeard { platform: UnixMs(1_000), offset_ms: -3_600_000 };
        work.apply(&heard, UnixMs(3_601_000));
        work.apply(&verified(b"aaaaaaaa", Some(7), 31_000), UnixMs(3_602_000));
        work.apply(&verified(b"bbbbbbbb", Some(7), 61_000), UnixMs(3_630_000));
        let mark = CodeHolder::of(b"aaaaaaaa").mark(7);
        assert_eq!((work.code_marks.len(), work.code_marks.get(&mark)), (2, Some(&UnixMs(31_000))));
        work.apply(&verified(b"cccccccc", None, 0), UnixMs(3_632_000));
        assert_eq!(work.code_marks.len(), 2, "a paper code has no time step to record");
        work.apply(&verified(b"dddddddd", Some(7), 62_000), UnixMs(3_632_000));
        assert!(!work.code_marks.contains_key(&mark), "and an expired record is removed");
    }

    #[test]
    fn admission_is_kept_until_it_expires() {
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
    fn used_codes_expire_and_stay_bounded() {
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
