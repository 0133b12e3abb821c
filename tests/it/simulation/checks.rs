//! Checks of the invariants at the end of a run, by comparing four independent sources: the journals on the kiosks'
//! disks, the platform's records, the acquirer's ledger, and the department's bookings.

use std::collections::{BTreeMap, BTreeSet};

use contract::{
    CodeHolder, ConsentId, Entry, Evidence, KioskId, Level, OrderId, PaymentMethod, Settlement, UnixMs,
    VisitId,
};
use engine::KioskState;
use journal::{Journal, JournalConfig};
use sandbox::acquirer::OrderOutcome;
use server::KioskAudit;
use view::{Body, LinkStatus};

use super::kiosk::WRAP_KEY;
use super::peers::kiosk_id;
use super::simulator::{FaultCounts, Simulator};

/// Counts of what happened in all runs together.
#[derive(Default)]
pub(crate) struct RunCounts {
    counts: FaultCounts,
    visits: usize,
    paid: usize,
    void: usize,
    consents: usize,
    printed: usize,
    /// Visits by a code that a kiosk verified itself, and of those the ones without a link.
    verified: usize,
    offline_visits: usize,
    /// Codes that both kiosks accepted.
    accepted_twice: usize,
    /// Visits raised by a phone's answer, and visits raised by a card's PIN.
    raised_by_phone: usize,
    raised_by_pin: usize,
}

impl RunCounts {
    pub(crate) fn add(&mut self, other: &Self) {
        self.counts.crashes += other.counts.crashes;
        self.counts.platform_crashes += other.counts.platform_crashes;
        self.counts.disk_faults += other.counts.disk_faults;
        self.counts.messages_lost += other.counts.messages_lost;
        self.counts.duplicates += other.counts.duplicates;
        self.counts.out_of_service += other.counts.out_of_service;
        self.counts.shown_as_paid += other.counts.shown_as_paid;
        self.visits += other.visits;
        self.paid += other.paid;
        self.void += other.void;
        self.consents += other.consents;
        self.printed += other.printed;
        self.verified += other.verified;
        self.offline_visits += other.offline_visits;
        self.accepted_twice += other.accepted_twice;
        self.raised_by_phone += other.raised_by_phone;
        self.raised_by_pin += other.raised_by_pin;
    }

    /// Checks that enough happened: a simulation without faults and visits proves nothing.
    pub(crate) fn assert_coverage(&self, seeds: u64) {
        let FaultCounts {
            crashes: deaths,
            platform_crashes: platform_deaths,
            disk_faults,
            messages_lost: lost,
            duplicates: repeated,
            out_of_service,
            shown_as_paid,
        } = self.counts;
        let faults = [deaths, platform_deaths, disk_faults, lost, repeated, out_of_service, shown_as_paid];
        let work = [
            self.visits,
            self.paid,
            self.void,
            self.consents,
            self.printed,
            self.verified,
            self.offline_visits,
        ];
        let proofs = [self.raised_by_phone, self.raised_by_pin];
        let seeds = usize::try_from(seeds).unwrap();
        assert!(proofs.iter().all(|count| *count >= seeds / 2), "too few visits were raised: {proofs:?}");
        assert!(self.accepted_twice >= seeds / 30, "no code was accepted at both kiosks");
        assert!(faults.iter().all(|count| *count >= seeds as u64), "too few faults occurred: {faults:?}");
        assert!(work.iter().all(|count| *count >= seeds), "too few visits, payments or prints: {work:?}");
    }
}

/// Checks the invariants after a run, when all work is done.
pub(crate) fn check_run(world: &mut Simulator, seed: u64) -> RunCounts {
    assert!(world.violations.is_empty(), "seed {seed}: {:?}", world.violations);
    let (mut entries, mut accepted) = (Vec::new(), Vec::new());
    for kiosk in 0..world.kiosks.len() {
        check_in_service(world, kiosk, seed);
        let audited = audit(world, kiosk_id(kiosk), seed);
        check_journal_on_disk(world, kiosk, &audited, seed);
        check_unmarked_copies(world, kiosk, seed);
        check_disk_is_unreadable(world, kiosk, seed);
        let of_kiosk: Vec<Entry> = audited.into_values().flatten().collect();
        accepted.push(codes_verified_at(&of_kiosk, kiosk, seed));
        entries.extend(of_kiosk);
    }
    let accepted_twice = accepted[0].intersection(&accepted[1]).count();
    let page = String::from_utf8(world.city.page("/admin", world.wall(), 1)).unwrap();
    let found = page.matches("one code was accepted at").count();
    assert!(
        found >= accepted_twice,
        "seed {seed}: of {accepted_twice} codes accepted at both kiosks {found} are reported"
    );
    check_evidence(&entries, seed);
    let (paid, void) = check_payments(world, &entries, seed);
    let consents = check_consents(&entries, seed);
    check_codes_used_once(&entries, seed);
    let gave = |of| {
        count_of(
            &entries,
            move |entry| matches!(entry, Entry::EvidenceGiven { evidence, level: Level::Proven, .. } if *evidence == of),
        )
    };
    let count = |matches: fn(&Entry) -> bool| entries.iter().filter(|entry| matches(entry)).count();
    RunCounts {
        counts: world.counts,
        visits: count(|entry| matches!(entry, Entry::Identified { .. })),
        paid,
        void,
        consents,
        printed: count(|entry| matches!(entry, Entry::Printed { .. })),
        verified: accepted.iter().map(BTreeSet::len).sum(),
        offline_visits: count(|entry| {
            matches!(entry, Entry::Identified { evidence: Evidence::OfflineCode, .. })
        }),
        accepted_twice,
        raised_by_phone: gave(Evidence::ChallengeAnswered),
        raised_by_pin: gave(Evidence::AuthenticatedCardPin),
    }
}

/// I8: each kiosk is ready for the next resident without help.
fn check_in_service(world: &Simulator, kiosk: usize, seed: u64) {
    let view = world.kiosks[kiosk].view.as_ref();
    let ready = view.is_some_and(|view| {
        let Body::Welcome(ways) = &view.body else { return false };
        view.header.link == LinkStatus::Online && ways.iter().all(|way| way.unavailable.is_none())
    });
    assert!(ready, "seed {seed}: kiosk {kiosk} shows {view:?}");
}

/// I2, I7: checks that the chains are complete and signed by the kiosk; returns the entries of each epoch.
fn audit(world: &mut Simulator, id: KioskId, seed: u64) -> BTreeMap<u64, Vec<Entry>> {
    let now = world.wall();
    let export = world.city.page(&format!("/v1/audit/{id}"), now, 1);
    let audit: KioskAudit = serde_json::from_slice(&export).unwrap();
    let mut epochs = BTreeMap::new();
    for epoch in audit.epochs {
        epoch.batch.verify_chain().unwrap_or_else(|error| panic!("seed {seed}: {id}: {error}"));
        assert!(epoch.heads.iter().all(|head| head.verify(&audit.key).is_ok()), "seed {seed}: {id}");
        let records = epoch.batch.records.iter().map(|wire| wire.to_record().unwrap());
        let entries: Vec<Entry> = records.map(|record| Entry::decode(&record.body).unwrap()).collect();
        epochs.insert(epoch.batch.from.epoch, entries);
    }
    epochs
}

/// I2: the journal on the kiosk's disk equals the platform's records, and no work is open.
fn check_journal_on_disk(world: &Simulator, kiosk: usize, audited: &BTreeMap<u64, Vec<Entry>>, seed: u64) {
    let identity = JournalConfig {
        device: kiosk_id(kiosk),
        wrap_key: WRAP_KEY.into(),
        software: "judge".into(),
        configuration: "00".into(),
        high_water: u64::MAX,
    };
    let mut count = 0_u8;
    let mut entropy = || {
        count += 1;
        [count; 16]
    };
    let disk = world.kiosks[kiosk].disk.lock().clone();
    let (log, opening) = Journal::<KioskState, _>::open(disk, identity, UnixMs(1), &mut entropy).unwrap();
    assert_eq!(opening.damaged_segments, 0, "seed {seed}: a segment is damaged");
    let last = log.head();
    let unsettled = log.state().0.unsettled_orders();
    assert!(unsettled.is_empty(), "seed {seed}: kiosk {kiosk} leaves {unsettled:?}");
    for epoch in log.epochs() {
        // Opening the journal for this check adds one record.
        let own = u64::from(epoch == last.epoch);
        let stored = audited.get(&epoch).map_or(0, Vec::len) as u64;
        assert_eq!(stored, log.last_seq(epoch) - own, "seed {seed}: kiosk {kiosk}, epoch {epoch:x}");
    }
}

/// I1, I6: charged once, recorded once, booked once, and by the same order everywhere; with one receipt if it was paid.
fn check_payments(world: &Simulator, entries: &[Entry], seed: u64) -> (usize, usize) {
    let mut settled: BTreeMap<OrderId, Settlement> = BTreeMap::new();
    let mut bills: BTreeMap<OrderId, Vec<String>> = BTreeMap::new();
    for entry in entries {
        match entry {
            Entry::OrderCreated { order, items, .. } => {
                let keys = items.iter().map(|item| item.key.clone()).collect();
                assert!(bills.insert(*order, keys).is_none(), "seed {seed}: {order} created twice");
            }
            Entry::OrderSettled { order, settlement } => {
                let before = settled.insert(*order, settlement.clone());
                assert!(before.is_none(), "seed {seed}: {order} settled twice");
            }
            _ => {}
        }
    }
    for (order, settlement) in &settled {
        let issued =
            |entry: &&Entry| matches!(entry, Entry::ReceiptIssued { order: Some(of), .. } if of == order);
        let (receipts, paid) = (entries.iter().filter(issued).count(), is_paid(settlement));
        assert_eq!(receipts, usize::from(paid), "seed {seed}: {order} has {receipts} receipts, paid: {paid}");
    }
    let known: BTreeSet<&OrderId> = settled.keys().collect();
    assert_eq!(known, bills.keys().collect(), "seed {seed}: an order without an outcome, or the reverse");
    let recorded: BTreeSet<String> = settled
        .iter()
        .filter(|(_, settlement)| is_paid(settlement))
        .map(|(order, _)| order.to_string())
        .collect();
    let ledger = world.city.acquirer.entries().unwrap();
    let charges: Vec<_> =
        ledger.iter().filter(|entry| matches!(entry.answer.outcome, OrderOutcome::Paid { .. })).collect();
    let charged: BTreeSet<String> = charges.iter().map(|entry| entry.answer.order.clone()).collect();
    assert_eq!(recorded, charged, "seed {seed}: recorded as paid and charged must be the same orders");
    let mut times: BTreeMap<&String, u32> = BTreeMap::new();
    for bill in charges.iter().flat_map(|entry| &entry.bills) {
        *times.entry(bill).or_default() += 1;
    }
    assert!(times.values().all(|times| *times == 1), "seed {seed}: a bill was charged twice: {times:?}");
    let booked: BTreeSet<(String, String)> =
        world.city.department.bookings().unwrap().into_iter().map(|one| (one.key, one.order)).collect();
    let owed = charges
        .iter()
        .flat_map(|entry| entry.bills.iter().map(|bill| (bill.clone(), entry.answer.order.clone())));
    assert_eq!(booked, owed.collect(), "seed {seed}: booked as charged");
    (recorded.len(), settled.len() - recorded.len())
}

const fn is_paid(settlement: &Settlement) -> bool {
    matches!(settlement, Settlement::Paid { .. })
}

/// I4: a personal record is fetched under an earlier consent of the same visit.
fn check_consents(entries: &[Entry], seed: u64) -> usize {
    let mut given: BTreeSet<(ConsentId, VisitId)> = BTreeSet::new();
    for entry in entries {
        match entry {
            Entry::Consented { consent, visit, .. } => {
                given.insert((*consent, *visit));
            }
            Entry::Queried { visit, call, consent, .. } => {
                let personal = call.starts_with("insurance.");
                assert!(!personal || consent.is_some(), "seed {seed}: {call} without consent");
                let covered = consent.is_none_or(|consent| given.contains(&(consent, *visit)));
                assert!(covered, "seed {seed}: {call} under a consent of another visit");
            }
            _ => {}
        }
    }
    given.len()
}

/// I5: a code is accepted once in the whole city.
fn check_codes_used_once(entries: &[Entry], seed: u64) {
    let mut used = BTreeSet::new();
    let mut visits = BTreeMap::new();
    for entry in entries {
        match entry {
            Entry::CodeUsed { visit, code_hash: mark, .. } => {
                visits.insert(*visit, mark.clone());
            }
            Entry::Identified { visit, .. } => {
                if let Some(mark) = visits.get(visit) {
                    assert!(used.insert(mark.clone()), "seed {seed}: code {mark} opened two visits");
                }
            }
            _ => {}
        }
    }
}

fn count_of(entries: &[Entry], matches: impl Fn(&Entry) -> bool) -> usize {
    entries.iter().filter(|entry| matches(entry)).count()
}

/// I5: a code that a kiosk verified itself opens one visit there; returns holder and time step of each.
fn codes_verified_at(entries: &[Entry], kiosk: usize, seed: u64) -> BTreeSet<(CodeHolder, u16)> {
    let (mut time_steps, mut accepted) = (BTreeMap::new(), BTreeSet::new());
    for entry in entries {
        match entry {
            Entry::CodeVerified { visit, holder, time_step: Some(slot), .. } => {
                time_steps.insert(*visit, (*holder, *slot));
            }
            Entry::Identified { visit, .. } => {
                if let Some(time_step) = time_steps.get(visit) {
                    let first = accepted.insert(*time_step);
                    assert!(first, "seed {seed}: kiosk {kiosk} accepted {time_step:?} twice");
                }
            }
            _ => {}
        }
    }
    accepted
}

/// I5: a payment needs stronger evidence than a copied code, and a level is never above its evidence.
fn check_evidence(entries: &[Entry], seed: u64) {
    let mut evidence_of: BTreeMap<VisitId, Evidence> = BTreeMap::new();
    for entry in entries {
        match entry {
            Entry::Identified { visit, evidence, level, .. }
            | Entry::EvidenceGiven { visit, evidence, level } => {
                assert!(*level <= evidence.max_level(), "seed {seed}: {level:?} by {evidence:?}");
                evidence_of.insert(*visit, *evidence);
            }
            Entry::OrderCreated { visit, method, order, .. } => {
                let evidence = evidence_of.get(visit);
                let suffices = match method {
                    PaymentMethod::CardAccount => {
                        matches!(evidence, Some(Evidence::CardPin | Evidence::AuthenticatedCardPin))
                    }
                    PaymentMethod::ResidentCode => {
                        matches!(evidence, Some(Evidence::TokenConsumed | Evidence::ChallengeAnswered))
                    }
                };
                assert!(suffices, "seed {seed}: {order} by {method:?} on {evidence:?}");
            }
            _ => {}
        }
    }
}

/// I6: at most one copy without copy mark is printed of each receipt, whatever fault the printer had.
fn check_unmarked_copies(world: &Simulator, kiosk: usize, seed: u64) {
    for (receipt, copies) in world.kiosks[kiosk].unmarked_copies() {
        assert!(copies <= 1, "seed {seed}: {copies} unmarked copies of {}", receipt.number());
    }
}

/// I3: no personal data of a resident is readable on the disk.
fn check_disk_is_unreadable(world: &Simulator, kiosk: usize, seed: u64) {
    let bytes = world.kiosks[kiosk].disk.lock().all_bytes();
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("KJS2"), "the disk has no journal");
    for resident in &world.city.residents {
        assert!(!holds(&resident.name) && !holds(&resident.id_number), "seed {seed}: {}", resident.slug);
    }
}
