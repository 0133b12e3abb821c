//! The durable state: what the records of the journal fold to, and what a kiosk must have again after any end of its process.
//!
//! The kiosk changes it only by recording an entry, and recovery only by folding the same entries: so the two cannot differ.

use std::collections::BTreeMap;

use contract::{
    ADMISSIONS_MAX, AdmissionSubject, Entry, Money, OrderId, OrderItem, PaymentMethod, Receipt, ReceiptId,
    USED_CODE_KEPT_MS, USED_CODES_MAX, UnixMs, VisitId,
};
use serde::{Deserialize, Serialize};

/// The durable state of a kiosk (持久状态) after a number of records. Its serialisation is on the kiosks' disks: a field that is
/// added needs a default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Durable {
    /// Orders that were created and not settled.
    pub(crate) orders: BTreeMap<OrderId, UnsettledOrder>,
    /// Receipts that were issued and whose print job is neither finished nor abandoned.
    pub(crate) receipts: BTreeMap<ReceiptId, OpenReceipt>,
    /// The visit that is not closed.
    pub(crate) visit: Option<VisitId>,
    /// Used-code records, each with the time until which it is kept.
    pub(crate) used_codes: BTreeMap<String, UnixMs>,
    /// Holders that a gate admitted, each with the time until which the holder is not admitted again.
    pub(crate) admitted: Vec<(AdmissionSubject, UnixMs)>,
    /// The latest time of any record: the present cannot be earlier.
    pub(crate) clock_floor: UnixMs,
    /// The last clock synchronisation: the platform's time, and the offset in milliseconds to add to the kiosk's.
    pub(crate) clock_sync: Option<(UnixMs, i64)>,
}

/// An order (订单) that is not settled: its outcome is unknown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UnsettledOrder {
    /// The visit that created the order.
    pub(crate) visit: VisitId,
    /// The service that created the order.
    pub(crate) service: String,
    /// The bills to be paid.
    pub(crate) items: Vec<OrderItem>,
    /// The sum of the bills.
    pub(crate) total: Money,
    /// The payment method.
    pub(crate) method: PaymentMethod,
}

/// A receipt whose print job is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OpenReceipt {
    /// Content of the receipt.
    pub(crate) content: Receipt,
    /// Number of the copy whose printing was started and has no outcome.
    pub(crate) started: Option<u32>,
}

impl Durable {
    /// Applies one entry. Entries must be applied in the order of the journal.
    pub fn apply(&mut self, entry: &Entry, time: UnixMs) {
        // What concerns the journal itself is recorded beside the kiosk, which does not see it.
        if !matches!(entry, Entry::JournalOpened { .. } | Entry::Restated { .. }) {
            self.clock_floor = self.clock_floor.max(time);
        }
        match entry {
            Entry::OrderCreated { order, visit, service, items, total, method, .. } => {
                let (visit, service, items, total) = (*visit, service.clone(), items.clone(), *total);
                let payment = UnsettledOrder { visit, service, items, total, method: *method };
                self.orders.insert(*order, payment);
            }
            Entry::OrderSettled { order, .. } => {
                self.orders.remove(order);
            }
            Entry::ReceiptIssued { receipt, content, .. } => {
                self.receipts.insert(*receipt, OpenReceipt { content: content.clone(), started: None });
            }
            Entry::PrintStarted { receipt, copy } => {
                if let Some(paper) = self.receipts.get_mut(receipt) {
                    paper.started = Some(*copy);
                }
            }
            Entry::PrintNotStarted { receipt, .. } => {
                if let Some(paper) = self.receipts.get_mut(receipt) {
                    paper.started = None;
                }
            }
            // An unconfirmed copy is closed for the kiosk: only a person requests another copy.
            Entry::Printed { receipt, .. }
            | Entry::PrintUnconfirmed { receipt, .. }
            | Entry::PrintAbandoned { receipt } => {
                self.receipts.remove(receipt);
            }
            Entry::CodeUsed { visit, code_hash: mark, until } => {
                self.visit = Some(*visit);
                // A record of version 1 does not say it.
                let until = until.unwrap_or_else(|| self.platform_time(time).plus_ms(USED_CODE_KEPT_MS));
                self.remember_used_code(mark.clone(), until, time);
            }
            Entry::CodeVerified { visit, holder, time_step: slot, until, .. } => {
                self.visit = Some(*visit);
                if let Some(slot) = slot {
                    self.remember_used_code(holder.used_code_key(*slot), *until, time);
                }
            }
            Entry::Admitted { who, also, until, .. } => {
                let now = self.platform_time(time);
                for name in [Some(who), also.as_ref()].into_iter().flatten() {
                    self.remember_admission(*name, *until, now);
                }
            }
            Entry::ClockSynchronised { platform, offset_ms } => {
                self.clock_sync = Some((*platform, *offset_ms))
            }
            Entry::Identified { visit, .. } => self.visit = Some(*visit),
            Entry::VisitClosed { visit, .. } => {
                if self.visit == Some(*visit) {
                    self.visit = None;
                }
            }
            Entry::JournalOpened { .. }
            | Entry::Restated { .. }
            | Entry::EvidenceGiven { .. }
            | Entry::PinChanged { .. }
            | Entry::StaffSignedIn { .. }
            | Entry::Consented { .. }
            | Entry::ConsentDeclined { .. }
            | Entry::Queried { .. }
            | Entry::HelpRequested { .. }
            | Entry::ServicesChanged { .. } => {}
        }
    }

    /// The orders whose outcome is not known.
    #[must_use]
    pub fn unsettled_orders(&self) -> Vec<OrderId> {
        self.orders.keys().copied().collect()
    }

    /// What must be recorded of the prints that the end of the process interrupted: a copy whose printing had started may exist,
    /// one that had not does not.
    pub(crate) fn interrupted_prints(&self) -> Vec<Entry> {
        let entry = |(&receipt, open): (&ReceiptId, &OpenReceipt)| match open.started {
            Some(copy) => Entry::PrintUnconfirmed { receipt, copy },
            None => Entry::PrintAbandoned { receipt },
        };
        self.receipts.iter().map(entry).collect()
    }

    fn remember_admission(&mut self, who: AdmissionSubject, until: UnixMs, now: UnixMs) {
        self.admitted.retain(|(other, end)| *other != who && *end > now);
        // The one that ends first has expired for the kiosk, which admits nobody at this limit.
        if self.admitted.len() >= ADMISSIONS_MAX
            && let Some(first) =
                self.admitted.iter().enumerate().min_by_key(|(_, (_, end))| *end).map(|(at, _)| at)
        {
            self.admitted.remove(first);
        }
        self.admitted.push((who, until));
    }

    /// The platform's time, if the kiosk has synchronised with it, else the kiosk's time.
    fn platform_time(&self, time: UnixMs) -> UnixMs {
        let offset = self.clock_sync.map_or(0, |(_, offset)| offset);
        UnixMs(time.0.saturating_add_signed(offset))
    }

    fn remember_used_code(&mut self, mark: String, until: UnixMs, time: UnixMs) {
        let now = self.platform_time(time);
        self.used_codes.retain(|_, end| *end > now);
        // The kiosk's time may be ahead of the last recorded synchronisation. It accepts no code at this limit, so the one
        // that ends first has expired for the kiosk: nothing that it still needs is dropped.
        if self.used_codes.len() >= USED_CODES_MAX
            && let Some(first) =
                self.used_codes.iter().min_by_key(|(_, end)| **end).map(|(mark, _)| mark.clone())
        {
            self.used_codes.remove(&first);
        }
        self.used_codes.insert(mark, until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{CodeHolder, Confirmation, Pseudonym, Settlement};

    #[test]
    fn order_is_open_until_settled() {
        let mut work = Durable::default();
        let order = OrderId::from_entropy(1);
        let intended = Entry::OrderCreated {
            order,
            visit: VisitId::from_entropy(2),
            resident: Pseudonym::from_entropy(3),
            service: "water.pay".into(),
            items: Vec::new(),
            total: Money::from_fen(5).unwrap(),
            method: PaymentMethod::ResidentCode,
        };
        work.apply(&intended, UnixMs(10));
        assert!(work.orders.contains_key(&order));
        let settlement = Settlement::Paid { reference: "A".into(), at: UnixMs(11) };
        work.apply(&Entry::OrderSettled { order, settlement }, UnixMs(9));
        assert!(work.orders.is_empty());
        assert_eq!(work.clock_floor, UnixMs(10), "the floor never decreases");
    }

    #[test]
    fn started_copy_without_outcome_is_open() {
        let mut work = Durable::default();
        let receipt = ReceiptId::from_entropy(1);
        let content = Receipt { title: "t".into(), lines: Vec::new(), number: receipt.number(), code: None };
        let visit = VisitId::from_entropy(2);
        work.apply(&Entry::ReceiptIssued { receipt, visit, order: None, content }, UnixMs(1));
        assert_eq!(work.receipts[&receipt].started, None);
        work.apply(&Entry::PrintStarted { receipt, copy: 1 }, UnixMs(2));
        assert_eq!(work.receipts[&receipt].started, Some(1));
        work.apply(&Entry::PrintNotStarted { receipt, copy: 1 }, UnixMs(3));
        assert_eq!(work.receipts[&receipt].started, None);
        let confirmation = Confirmation::BarrierAnswered;
        work.apply(&Entry::Printed { receipt, copy: 1, confirmation }, UnixMs(4));
        assert!(work.receipts.is_empty());
    }

    #[test]
    fn used_code_expires_by_platform_time() {
        let mut work = Durable::default();
        let visit = VisitId::from_entropy(1);
        let verified = |alias: &[u8; 8], slot, until| Entry::CodeVerified {
            visit,
            holder: CodeHolder::from_alias(alias),
            time_step: slot,
            until: UnixMs(until),
            offline: true,
        };
        // The kiosk's clock is an hour ahead of the platform's: a used-code record must not expire for this reason.
        let synchronised = Entry::ClockSynchronised { platform: UnixMs(1_000), offset_ms: -3_600_000 };
        work.apply(&synchronised, UnixMs(3_601_000));
        work.apply(&verified(b"aaaaaaaa", Some(7), 31_000), UnixMs(3_602_000));
        work.apply(&verified(b"bbbbbbbb", Some(7), 61_000), UnixMs(3_630_000));
        let mark = CodeHolder::from_alias(b"aaaaaaaa").used_code_key(7);
        assert_eq!((work.used_codes.len(), work.used_codes.get(&mark)), (2, Some(&UnixMs(31_000))));
        work.apply(&verified(b"cccccccc", None, 0), UnixMs(3_632_000));
        assert_eq!(work.used_codes.len(), 2, "a paper code has no time step to record");
        work.apply(&verified(b"dddddddd", Some(7), 62_000), UnixMs(3_632_000));
        assert!(!work.used_codes.contains_key(&mark), "and an expired record is removed");
    }

    #[test]
    fn admission_is_kept_until_it_expires() {
        let mut work = Durable::default();
        let admitted = |alias: &[u8; 8], until| Entry::Admitted {
            visit: VisitId::from_entropy(1),
            who: AdmissionSubject::Holder(CodeHolder::from_alias(alias)),
            also: None,
            evidence: contract::Evidence::OfflineCode,
            until: UnixMs(until),
            offline: true,
        };
        work.apply(&admitted(b"aaaaaaaa", 300), UnixMs(0));
        work.apply(&admitted(b"bbbbbbbb", 400), UnixMs(100));
        work.apply(&admitted(b"aaaaaaaa", 650), UnixMs(350));
        let left: Vec<_> = work.admitted.iter().map(|(_, until)| until.0).collect();
        assert_eq!(left, [400, 650]);
    }

    #[test]
    fn admissions_at_the_limit_lose_the_one_that_ends_first() {
        let mut work = Durable::default();
        let admitted = |number: usize, until| Entry::Admitted {
            visit: VisitId::from_entropy(1),
            who: AdmissionSubject::Holder(CodeHolder::from_alias(&number.to_be_bytes())),
            also: None,
            evidence: contract::Evidence::OfflineCode,
            until: UnixMs(until),
            offline: true,
        };
        // The site file was changed to a shorter time: the first admission ends last.
        work.apply(&admitted(0, 2_000_000), UnixMs(700));
        for number in 1..=ADMISSIONS_MAX + 10 {
            work.apply(&admitted(number, 1_000_000), UnixMs(700));
        }
        assert_eq!(work.admitted.len(), ADMISSIONS_MAX);
        assert_eq!(work.admitted.iter().map(|(_, until)| until.0).max(), Some(2_000_000));
    }

    #[test]
    fn used_codes_expire_and_stay_bounded() {
        let mut work = Durable::default();
        let visit = VisitId::from_entropy(1);
        for at in 0..5_000_u64 {
            work.apply(&Entry::CodeUsed { visit, code_hash: at.to_string(), until: None }, UnixMs(at));
        }
        assert_eq!(work.used_codes.len(), USED_CODES_MAX);
        work.apply(
            &Entry::CodeUsed { visit, code_hash: "new".into(), until: None },
            UnixMs(10 * USED_CODE_KEPT_MS),
        );
        assert_eq!(work.used_codes.len(), 1);
    }

    #[test]
    fn used_online_code_is_kept_by_platform_time() {
        let (mut work, visit) = (Durable::default(), VisitId::from_entropy(1));
        // The kiosk's clock is two hours behind the platform's.
        let (offset_ms, platform) = (7_200_000, UnixMs(7_201_000));
        work.apply(&Entry::ClockSynchronised { platform, offset_ms }, UnixMs(1_000));
        work.apply(&Entry::CodeUsed { visit, code_hash: "online".into(), until: None }, UnixMs(2_000));
        // Codes that end earlier make room, not this one.
        for number in 0..USED_CODES_MAX {
            let holder = CodeHolder::from_alias(&number.to_be_bytes());
            let until = UnixMs(7_300_000);
            work.apply(
                &Entry::CodeVerified { visit, holder, time_step: Some(7), until, offline: true },
                UnixMs(3_000),
            );
        }
        assert_eq!(work.used_codes.len(), USED_CODES_MAX);
        assert_eq!(work.used_codes.get("online"), Some(&UnixMs(7_202_000 + USED_CODE_KEPT_MS)));
    }
}
