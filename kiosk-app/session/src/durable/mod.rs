//! The durable state: what the records of the journal fold to, and what a kiosk must have again after any end of its process.
//!
//! The kiosk changes it only by recording an entry, and recovery only by folding the same entries: so the two cannot differ.
//! Each part has its own file with its state and what the entries mean for it. Nothing else can write it.

mod admissions;
mod clock_records;
mod orders;
mod receipts;
mod used_codes;

use contract::{Entry, OrderId, UnixMs, VisitId};
use serde::{Deserialize, Serialize};

pub(crate) use admissions::Admissions;
pub(crate) use clock_records::ClockRecords;
pub(crate) use orders::{UnsettledOrder, UnsettledOrders};
pub(crate) use receipts::{OpenReceipts, PrintState};
pub(crate) use used_codes::UsedCodes;

/// The durable state of a kiosk (持久状态) after a number of records. Its serialisation is on the kiosks' disks: a field that is
/// added needs a default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Durable {
    orders: UnsettledOrders,
    receipts: OpenReceipts,
    /// The visit that is not closed.
    visit: Option<VisitId>,
    used_codes: UsedCodes,
    admitted: Admissions,
    #[serde(flatten)]
    clock: ClockRecords,
}

impl Durable {
    /// Applies one entry. Entries must be applied in the order of the journal.
    pub fn apply(&mut self, entry: &Entry, time: UnixMs) {
        self.clock.apply(entry, time);
        match entry {
            Entry::CodeUsed { visit, .. }
            | Entry::CodeVerified { visit, .. }
            | Entry::Identified { visit, .. } => {
                self.visit = Some(*visit);
            }
            Entry::VisitClosed { visit, .. } => {
                if self.visit == Some(*visit) {
                    self.visit = None;
                }
            }
            // Every kind of entry stands here, so that a new one is not forgotten: what the parts below make of it is theirs.
            Entry::JournalOpened { .. }
            | Entry::Restated { .. }
            | Entry::EvidenceGiven { .. }
            | Entry::PinChanged { .. }
            | Entry::StaffSignedIn { .. }
            | Entry::Consented { .. }
            | Entry::ConsentDeclined { .. }
            | Entry::Queried { .. }
            | Entry::OrderCreated { .. }
            | Entry::TicketTaken { .. }
            | Entry::Submitted { .. }
            | Entry::OrderSettled { .. }
            | Entry::OrderRecovered { .. }
            | Entry::OrdersReconciled
            | Entry::ReceiptIssued { .. }
            | Entry::PrintStarted { .. }
            | Entry::PrintNotStarted { .. }
            | Entry::Printed { .. }
            | Entry::PrintUnconfirmed { .. }
            | Entry::PrintAbandoned { .. }
            | Entry::Admitted { .. }
            | Entry::ClockSynchronised { .. }
            | Entry::HelpRequested { .. }
            | Entry::ServicesChanged { .. } => {}
        }
        let now = self.clock.platform_time(time);
        self.orders.apply(entry);
        self.receipts.apply(entry, self.visit);
        self.used_codes.apply(entry, now);
        self.admitted.apply(entry, now);
    }

    /// The orders whose outcome is not known.
    #[must_use]
    pub fn unsettled_orders(&self) -> Vec<OrderId> {
        self.orders.ids().collect()
    }

    pub(crate) const fn orders(&self) -> &UnsettledOrders {
        &self.orders
    }

    pub(crate) const fn receipts(&self) -> &OpenReceipts {
        &self.receipts
    }

    pub(crate) const fn open_visit(&self) -> Option<VisitId> {
        self.visit
    }

    pub(crate) const fn used_codes(&self) -> &UsedCodes {
        &self.used_codes
    }

    pub(crate) const fn admissions(&self) -> &Admissions {
        &self.admitted
    }

    pub(crate) const fn clock(&self) -> &ClockRecords {
        &self.clock
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{
        ADMISSIONS_MAX, AdmissionSubject, CodeHolder, Confirmation, Money, PaymentMethod, PrintForm,
        Pseudonym, Receipt, ReceiptId, Settlement, USED_CODE_KEPT_MS, USED_CODES_MAX,
    };

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
        assert!(work.orders.get(order).is_some());
        let settlement = Settlement::Paid { reference: "A".into(), at: UnixMs(11) };
        work.apply(&Entry::OrderSettled { order, settlement }, UnixMs(9));
        assert!(work.orders.count() == 0);
        assert_eq!(work.clock.clock_floor, UnixMs(10), "the floor never decreases");
    }

    #[test]
    fn receipt_stays_open_while_its_visit_lasts() {
        let (mut work, receipt, visit) =
            (Durable::default(), ReceiptId::from_entropy(1), VisitId::from_entropy(2));
        let content = Receipt { title: "t".into(), lines: Vec::new(), number: String::new(), code: None };
        let issued = Entry::ReceiptIssued { receipt, visit, order: None, content, form: PrintForm::Receipt };
        let state = |work: &Durable| work.receipts.get(receipt).map(|open| (open.copy, open.state));
        work.apply(&Entry::CodeUsed { visit, code_hash: "x".into(), until: None }, UnixMs(0));
        work.apply(&issued, UnixMs(1));
        assert_eq!(state(&work), Some((0, PrintState::Waiting)));
        let started = Entry::PrintStarted { receipt, copy: 1, printer: None };
        work.apply(&started, UnixMs(2));
        assert_eq!(state(&work), Some((1, PrintState::Printing)));
        work.apply(&Entry::PrintNotStarted { receipt, copy: 1 }, UnixMs(3));
        assert_eq!(state(&work), Some((0, PrintState::Waiting)), "the number of the copy is used again");
        work.apply(&started, UnixMs(4));
        let confirmation = Confirmation::BarrierAnswered;
        work.apply(&Entry::Printed { receipt, copy: 1, confirmation }, UnixMs(5));
        assert_eq!(state(&work), Some((1, PrintState::Printed)));
        work.apply(&Entry::VisitClosed { visit, reason: contract::CloseReason::Exit }, UnixMs(6));
        assert_eq!(state(&work), None);
        // Of a visit that has ended, only what may still print is open.
        work.apply(&issued, UnixMs(7));
        work.apply(&started, UnixMs(8));
        assert_eq!(state(&work), Some((1, PrintState::Printing)));
        work.apply(&Entry::PrintUnconfirmed { receipt, copy: 1 }, UnixMs(9));
        assert_eq!(state(&work), None);
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
        assert_eq!(
            (work.used_codes.all().len(), work.used_codes.all().get(&mark)),
            (2, Some(&UnixMs(31_000)))
        );
        work.apply(&verified(b"cccccccc", None, 0), UnixMs(3_632_000));
        assert_eq!(work.used_codes.all().len(), 2, "a paper code has no time step to record");
        work.apply(&verified(b"dddddddd", Some(7), 62_000), UnixMs(3_632_000));
        assert!(!work.used_codes.all().contains_key(&mark), "and an expired record is removed");
    }

    #[test]
    fn admission_is_kept_until_it_expires() {
        let mut work = Durable::default();
        let admitted = |alias: &[u8; 8], until| Entry::Admitted {
            visit: VisitId::from_entropy(1),
            who: AdmissionSubject::Holder(CodeHolder::from_alias(alias)),
            also: Vec::new(),
            evidence: contract::Evidence::OfflineCode,
            until: UnixMs(until),
            offline: true,
        };
        work.apply(&admitted(b"aaaaaaaa", 300), UnixMs(0));
        work.apply(&admitted(b"bbbbbbbb", 400), UnixMs(100));
        work.apply(&admitted(b"aaaaaaaa", 650), UnixMs(350));
        let left: Vec<_> = work.admitted.all().iter().map(|(_, until)| until.0).collect();
        assert_eq!(left, [400, 650]);
    }

    #[test]
    fn admissions_at_the_limit_lose_the_one_that_ends_first() {
        let mut work = Durable::default();
        let admitted = |number: usize, until| Entry::Admitted {
            visit: VisitId::from_entropy(1),
            who: AdmissionSubject::Holder(CodeHolder::from_alias(&number.to_be_bytes())),
            also: Vec::new(),
            evidence: contract::Evidence::OfflineCode,
            until: UnixMs(until),
            offline: true,
        };
        // The site file was changed to a shorter time: the first admission ends last.
        work.apply(&admitted(0, 2_000_000), UnixMs(700));
        for number in 1..=ADMISSIONS_MAX + 10 {
            work.apply(&admitted(number, 1_000_000), UnixMs(700));
        }
        assert_eq!(work.admitted.all().len(), ADMISSIONS_MAX);
        assert_eq!(work.admitted.all().iter().map(|(_, until)| until.0).max(), Some(2_000_000));
    }

    #[test]
    fn used_codes_expire_and_stay_bounded() {
        let mut work = Durable::default();
        let visit = VisitId::from_entropy(1);
        for at in 0..5_000_u64 {
            work.apply(&Entry::CodeUsed { visit, code_hash: at.to_string(), until: None }, UnixMs(at));
        }
        assert_eq!(work.used_codes.all().len(), USED_CODES_MAX);
        work.apply(
            &Entry::CodeUsed { visit, code_hash: "new".into(), until: None },
            UnixMs(10 * USED_CODE_KEPT_MS),
        );
        assert_eq!(work.used_codes.all().len(), 1);
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
        assert_eq!(work.used_codes.all().len(), USED_CODES_MAX);
        assert_eq!(work.used_codes.all().get("online"), Some(&UnixMs(7_202_000 + USED_CODE_KEPT_MS)));
    }
}
