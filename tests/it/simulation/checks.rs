//! Checks of the invariants at the end of a run, by comparing four independent sources: the journals on the kiosks'
//! disks, the platform's records, the acquirer's ledger, and the department's bookings.

use std::collections::{BTreeMap, BTreeSet};

use contract::{
    CodeHolder, ConsentId, Entry, Evidence, Level, OrderId, PaymentMethod, Settlement, UnixMs, VisitId,
};
use sandbox::acquirer::OrderOutcome;
use view::{Body, LinkStatus};

use super::coverage::RunCounts;
use super::delivery_checks::{StoredEpoch, audit, check_delivered, check_no_order_is_unreported};
use super::department_checks::{DepartmentCounts, check_departments};
use super::departments::operations;
use super::peers::{ISSUER_ENDS_MS, kiosk_id, receipt_numbers};
use super::screen_checks::{DurableRecords, open_for_a_check, receipt_of};
use super::simulator::Simulator;

const DAY_MS: u64 = 86_400_000;
const LONGEST_REST_DAYS: u64 = 16;
/// A kiosk's clock, by which its records are dated, is never further from the platform's.
const CLOCK_AHEAD_MAX_MS: u64 = 4 * 3_600_000;

/// Checks the invariants after a run, when all work is done.
pub(crate) fn check_run(world: &mut Simulator) -> RunCounts {
    assert!(world.violations.is_empty(), "{:?}", world.violations);
    let (mut entries, mut accepted) = (Vec::new(), Vec::new());
    // Those of kiosks that have all of their records.
    let mut complete = Vec::new();
    for kiosk in 0..world.kiosks.len() {
        check_in_service(world, kiosk);
        let stored = audit(world, kiosk_id(kiosk));
        check_delivered(world, kiosk, &stored);
        check_no_order_is_unreported(world, kiosk);
        check_journal_on_disk(world, kiosk, &stored);
        check_retention(world, kiosk, &stored);
        count_rotations(world, kiosk, &stored);
        check_unmarked_copies(world, kiosk);
        check_disk_is_unreadable(world, kiosk);
        let of_kiosk: Vec<Entry> =
            stored.into_iter().flat_map(|epoch| epoch.entries).map(|(_, entry)| entry).collect();
        let has_lost_records = world.kiosks[kiosk].has_lost_records;
        // A kiosk that has lost its record of a used code accepts the code again, while it is valid.
        accepted.push(codes_verified_at(&of_kiosk, (!has_lost_records).then_some(kiosk)));
        if !has_lost_records {
            complete.extend(of_kiosk.clone());
        }
        entries.extend(of_kiosk);
    }
    let accepted_twice = accepted[0].intersection(&accepted[1]).count();
    let page = String::from_utf8(world.city.page("/admin", world.wall(), 1)).unwrap();
    assert!(!page.contains("数据库由备份恢复"), "the restored platform does not take money again");
    let found = page.matches("one code was accepted at").count();
    assert!(
        found >= accepted_twice,
        "of {accepted_twice} codes accepted at both kiosks {found} are reported"
    );
    world.answers.check_identities(&entries);
    check_evidence(&complete);
    let (paid, void) = check_payments(world, &entries);
    let DepartmentCounts { submitted, tickets } = check_departments(world, &entries);
    let consents = check_consents(&complete);
    check_codes_used_once(&entries);
    let gave = |of| {
        count_of(
            &entries,
            move |entry| matches!(entry, Entry::EvidenceGiven { evidence, level: Level::Proven, .. } if *evidence == of),
        )
    };
    let count = |matches: fn(&Entry) -> bool| entries.iter().filter(|entry| matches(entry)).count();
    world.counts.reconciled += count(|entry| *entry == Entry::OrdersReconciled) as u64;
    world.counts.recovered += count(|entry| matches!(entry, Entry::OrderRecovered { .. })) as u64;
    RunCounts {
        counts: world.counts,
        simulated_ms: world.now,
        visits: count(|entry| matches!(entry, Entry::Identified { .. })),
        paid,
        void,
        consents,
        submitted,
        tickets,
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
fn check_in_service(world: &Simulator, kiosk: usize) {
    let view = world.kiosks[kiosk].view.as_ref();
    let ready = view.is_some_and(|view| {
        let Body::Welcome(ways) = &view.body else { return false };
        view.header.link == LinkStatus::Online && ways.iter().all(|way| way.unavailable.is_none())
    });
    assert!(ready, "kiosk {kiosk} shows {view:?}");
}

/// I2: the journal on the kiosk's disk equals the platform's records, and no work is open.
fn check_journal_on_disk(world: &Simulator, kiosk: usize, stored: &[StoredEpoch]) {
    // Damage that nobody has found yet.
    if world.kiosks[kiosk].has_lost_records && !world.kiosks[kiosk].is_reopened {
        return;
    }
    let disk = world.kiosks[kiosk].disk.lock().clone();
    let (log, opening) = open_for_a_check(disk, kiosk);
    let (is_damaged, has_lost_records) =
        (world.kiosks[kiosk].is_damaged, world.kiosks[kiosk].has_lost_records);
    assert!(opening.damaged_segments == 0 || is_damaged, "a segment is damaged");
    let last = log.head();
    let unsettled = log.state().durable.unsettled_orders();
    assert!(unsettled.is_empty(), "kiosk {kiosk} leaves {unsettled:?}");
    for epoch in log.epochs() {
        // Of an earlier one, the platform may have other records, and the kiosk may have lost some.
        if has_lost_records && epoch != last.epoch {
            continue;
        }
        // Begun by opening the journal for this check, which found damage.
        if opening.new_epoch && epoch == last.epoch {
            continue;
        }
        // Opening the journal for this check adds one record.
        let own = u64::from(epoch == last.epoch);
        let stored = stored.iter().find(|one| one.epoch == epoch).map_or(0, |one| one.upto);
        let written = log.last_seq(epoch) - own;
        // What was damaged can no longer be read here; the platform had it before.
        let is_stored = if is_damaged { stored >= written } else { stored == written };
        assert!(
            is_stored,
            "kiosk {kiosk}, epoch {epoch:x}: {written} records are written and {stored} stored"
        );
    }
}

/// I2: what the platform has is kept for seven days and not much longer. No kiosk keeps a code's issuer longer than its key is valid.
fn check_retention(world: &mut Simulator, kiosk: usize, stored: &[StoredEpoch]) {
    if world.counts.rests == 0 {
        return;
    }
    let stored: Vec<&(UnixMs, Entry)> = stored.iter().flat_map(|epoch| &epoch.entries).collect();
    let mut records = DurableRecords::default();
    records.update(world.kiosks[kiosk].disk.lock().durable_copy(), kiosk);
    let days_ago = |days: u64| UnixMs(world.wall().0.saturating_sub(days * DAY_MS));
    let count = |since: UnixMs| stored.iter().filter(|(time, _)| *time > since).count();
    // A segment spans a day. The last one may have been begun before a rest, and be acknowledged after the next one only, if the link
    // is down in between.
    let (least, most) = (count(days_ago(6)), count(days_ago(8 + 2 * LONGEST_REST_DAYS)));
    let kept = records.entries().len();
    // What was damaged can no longer be read.
    let is_damaged = world.kiosks[kiosk].is_damaged || world.kiosks[kiosk].has_lost_records;
    assert!(
        kept >= least || is_damaged,
        "kiosk {kiosk} keeps {kept} records; {least} are not older than six days"
    );
    // A restored platform gets what is kept once more, and it is kept for seven days from then on.
    if !is_damaged && world.counts.restores == 0 {
        assert!(kept <= most + 1, "kiosk {kiosk} keeps {kept} records; {most} are not too old");
    }
    let offline = |entry: &Entry| matches!(entry, Entry::CodeVerified { .. });
    let late =
        stored.iter().filter(|(time, entry)| time.0 > ISSUER_ENDS_MS + CLOCK_AHEAD_MAX_MS && offline(entry));
    assert_eq!(late.count(), 0, "kiosk {kiosk} accepted codes of an issuer whose key had ended");
    world.counts.issuer_ended += u64::from(world.wall().0 > ISSUER_ENDS_MS);
    world.counts.deleted += u64::from(kept < stored.len());
    world.counts.checks += 3;
}

/// Counts the segments that were begun because one was full.
fn count_rotations(world: &mut Simulator, kiosk: usize, stored: &[StoredEpoch]) {
    let opened = |entry: &&(UnixMs, Entry)| matches!(entry.1, Entry::JournalOpened { .. });
    let openings = stored.iter().flat_map(|epoch| &epoch.entries).filter(opened).count();
    // Openings whose records were lost look like rotations.
    if !world.kiosks[kiosk].has_lost_records {
        world.counts.rotated += world.kiosks[kiosk].segments_begun().saturating_sub(openings as u64);
    }
}

/// I1, I6: charged once, recorded once, booked once, and by the same order everywhere; with one receipt if it was paid.
fn check_payments(world: &mut Simulator, entries: &[Entry]) -> (usize, usize) {
    let lost_records = world.kiosks.iter().any(|kiosk| kiosk.has_lost_records);
    let mut settled: BTreeMap<OrderId, Settlement> = BTreeMap::new();
    let mut bills: BTreeMap<OrderId, Vec<String>> = BTreeMap::new();
    for entry in entries {
        match entry {
            Entry::OrderCreated { order, items, .. } => {
                let keys = items.iter().map(|item| item.key.clone()).collect();
                assert!(bills.insert(*order, keys).is_none() || lost_records, "{order} created twice");
            }
            Entry::OrderRecovered { order, items, .. } => {
                assert!(lost_records, "{order} was recovered, and nothing was lost");
                bills.insert(*order, items.iter().map(|item| item.key.clone()).collect());
            }
            Entry::OrderSettled { order, settlement } => {
                let before = settled.insert(*order, settlement.clone());
                let is_same = before.as_ref().is_none_or(|before| is_paid(before) == is_paid(settlement));
                assert!(before.is_none() || (lost_records && is_same), "{order} settled twice");
            }
            _ => {}
        }
    }
    for (order, settlement) in &settled {
        let issued =
            |entry: &&Entry| matches!(entry, Entry::ReceiptIssued { order: Some(of), .. } if of == order);
        let (receipts, paid) = (entries.iter().filter(issued).count(), is_paid(settlement));
        // After a loss the same one is issued again.
        let is_right = receipts == usize::from(paid) || (lost_records && paid && receipts > 1);
        assert!(is_right, "{order} has {receipts} receipts, paid: {paid}");
    }
    let known: BTreeSet<&OrderId> = settled.keys().collect();
    // The record of an order, or of the outcome of one that is void, may be lost.
    if !lost_records {
        assert_eq!(known, bills.keys().collect(), "an order without an outcome, or the reverse");
    }
    let recorded: BTreeSet<String> = settled
        .iter()
        .filter(|(_, settlement)| is_paid(settlement))
        .map(|(order, _)| order.to_string())
        .collect();
    let ledger = world.city.acquirer.entries().unwrap();
    let charges: Vec<_> =
        ledger.iter().filter(|entry| matches!(entry.answer.outcome, OrderOutcome::Paid { .. })).collect();
    let charged: BTreeSet<String> = charges.iter().map(|entry| entry.answer.order.clone()).collect();
    assert_eq!(recorded, charged, "recorded as paid and charged must be the same orders");
    let mut times: BTreeMap<&String, u32> = BTreeMap::new();
    for bill in charges.iter().flat_map(|entry| &entry.bills) {
        *times.entry(bill).or_default() += 1;
    }
    assert!(times.values().all(|times| *times == 1), "a bill was charged twice: {times:?}");
    let paid_numbers: BTreeSet<String> = settled
        .iter()
        .filter(|(_, settlement)| is_paid(settlement))
        .flat_map(|(order, _)| receipt_numbers(receipt_of(*order)))
        .collect();
    let untrue: Vec<_> = world.shown_as_paid.difference(&paid_numbers).collect();
    assert!(untrue.is_empty(), "{untrue:?} were shown as paid, and nobody charged them");
    let booked: BTreeSet<(String, String)> = world
        .city
        .departments
        .bookings()
        .unwrap()
        .into_iter()
        .map(|one| (format!("{}/{}", one.department, one.key), one.order))
        .collect();
    let refused = std::mem::take(&mut world.city.refused);
    let page = String::from_utf8(world.city.page("/admin", world.wall(), 2)).unwrap();
    let reported = page.matches("the department refuses to book it").count();
    assert!(
        reported >= refused.len(),
        "of {} orders that the department refuses {reported} are reported",
        refused.len()
    );
    world.counts.refusals = refused.len() as u64;
    let booked_charges = charges.iter().filter(|entry| !refused.contains(&entry.answer.order));
    let owed = booked_charges
        .flat_map(|entry| entry.bills.iter().map(|bill| (bill.clone(), entry.answer.order.clone())));
    assert_eq!(booked, owed.collect(), "booked as charged");
    (recorded.len(), settled.len() - recorded.len())
}

const fn is_paid(settlement: &Settlement) -> bool {
    matches!(settlement, Settlement::Paid { .. })
}

/// I4: a personal record is fetched under an earlier consent of the same visit.
fn check_consents(entries: &[Entry]) -> usize {
    let operations = operations();
    let mut given: BTreeSet<(ConsentId, VisitId)> = BTreeSet::new();
    for entry in entries {
        match entry {
            Entry::Consented { consent, visit, .. } => {
                assert!(given.insert((*consent, *visit)), "two consents have the id {consent}");
            }
            Entry::Queried { visit, call, consent, .. } => {
                let personal = operations.get(call).is_some_and(|operation| operation.personal);
                assert!(!personal || consent.is_some(), "{call} without consent");
                let covered = consent.is_none_or(|consent| given.contains(&(consent, *visit)));
                assert!(covered, "{call} under a consent of another visit");
            }
            _ => {}
        }
    }
    given.len()
}

/// I5: a code is accepted once in the whole city.
fn check_codes_used_once(entries: &[Entry]) {
    let mut used: BTreeMap<String, VisitId> = BTreeMap::new();
    let mut visits = BTreeMap::new();
    for entry in entries {
        match entry {
            Entry::CodeUsed { visit, code_hash: mark, .. } => {
                visits.insert(*visit, mark.clone());
            }
            Entry::Identified { visit, .. } => {
                if let Some(mark) = visits.get(visit) {
                    // The record of a visit may have been stated again.
                    let first = *used.entry(mark.clone()).or_insert(*visit);
                    assert_eq!(first, *visit, "code {mark} opened two visits");
                }
            }
            _ => {}
        }
    }
}

fn count_of(entries: &[Entry], matches: impl Fn(&Entry) -> bool) -> usize {
    entries.iter().filter(|entry| matches(entry)).count()
}

/// I5: a code that a kiosk verified itself opens one visit there; returns holder and time step of each. The kiosk is given if it
/// has all of its records.
fn codes_verified_at(entries: &[Entry], kiosk: Option<usize>) -> BTreeSet<(CodeHolder, u16)> {
    let (mut time_steps, mut accepted) = (BTreeMap::new(), BTreeSet::new());
    for entry in entries {
        match entry {
            Entry::CodeVerified { visit, holder, time_step: Some(slot), .. } => {
                time_steps.insert(*visit, (*holder, *slot));
            }
            Entry::Identified { visit, .. } => {
                if let Some(time_step) = time_steps.get(visit) {
                    let first = accepted.insert(*time_step);
                    assert!(first || kiosk.is_none(), "kiosk {kiosk:?} accepted {time_step:?} twice");
                }
            }
            _ => {}
        }
    }
    accepted
}

/// I5: a payment needs stronger evidence than a copied code, and a level is never above its evidence.
fn check_evidence(entries: &[Entry]) {
    let mut evidence_of: BTreeMap<VisitId, Evidence> = BTreeMap::new();
    for entry in entries {
        match entry {
            Entry::Identified { visit, evidence, level, .. }
            | Entry::EvidenceGiven { visit, evidence, level } => {
                assert!(*level <= evidence.max_level(), "{level:?} by {evidence:?}");
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
                assert!(suffices, "{order} by {method:?} on {evidence:?}");
            }
            _ => {}
        }
    }
}

/// I6: at most one copy without copy mark is printed of each receipt, whatever fault the printer had.
fn check_unmarked_copies(world: &Simulator, kiosk: usize) {
    for (receipt, copies) in world.kiosks[kiosk].unmarked_copies() {
        assert!(copies <= 1, "{copies} unmarked copies of {}", receipt.number(kiosk_id(kiosk)));
    }
}

/// I3: no personal data of a resident is readable on the disk.
fn check_disk_is_unreadable(world: &Simulator, kiosk: usize) {
    let bytes = world.kiosks[kiosk].disk.lock().all_bytes();
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("KJS2"), "the disk has no journal");
    for resident in &world.city.residents {
        assert!(!holds(&resident.name) && !holds(&resident.id_number), "{}", resident.slug);
    }
}
