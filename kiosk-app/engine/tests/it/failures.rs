//! Failed commits and power cuts at every write of a visit with a payment (I1, I2, I3, I8).

use contract::{Entry, Settlement};
use engine::Out;
use session::{Answer, Effect, Event};
use view::{Body, Intent};

use crate::bench::{Bench, Charges, SharedDisk};
use crate::platform::{Platform, identified};

const CHARGES: [Charges; 3] = [Charges::Answered, Charges::AnswerLost, Charges::RequestLost];

/// Checks the invariants that must hold at the end, after any faults.
fn check(bench: &Bench, told_paid: bool, context: &str) {
    let platform = &bench.platform;
    for order in &platform.charge_requests {
        let asked = platform.charge_requests.iter().filter(|other| *other == order).count();
        assert_eq!(asked, 1, "{context}: a charge was requested twice");
    }
    assert!(platform.charged.values().all(|times| *times == 1), "{context}: charged twice");
    let settled = |of: &contract::OrderId| {
        platform.entries.iter().find_map(|entry| match entry {
            Entry::PaymentSettled { order, settlement } if order == of => Some(settlement.clone()),
            _ => None,
        })
    };
    for order in platform.charged.keys() {
        let paid = matches!(settled(order), Some(Settlement::Paid { .. }));
        assert!(paid, "{context}: a charge is not recorded as paid");
    }
    for entry in &platform.entries {
        if let Entry::PaymentIntended { order, .. } = entry {
            assert!(settled(order).is_some(), "{context}: an order has no outcome");
        }
    }
    if told_paid {
        assert_eq!(platform.charged.len(), 1, "{context}: shown as paid and not charged");
    }
    let orders = platform.count(|entry| matches!(entry, Entry::PaymentIntended { .. }));
    let outcomes = platform.count(|entry| matches!(entry, Entry::PaymentSettled { .. }));
    assert_eq!(orders, outcomes, "{context}: one outcome per order");
    assert!(matches!(bench.view().body, Body::Welcome(_)), "{context}: not ready for the next resident");
}

fn in_service() -> Bench {
    let mut bench = Bench::new();
    bench.answer_all(Charges::Answered);
    bench
}

/// Number of syncs of a whole visit, so that a fault can be injected at each of them.
fn syncs_of_a_visit(charges: Charges) -> usize {
    (1..200)
        .find(|count| {
            let mut bench = in_service();
            bench.disk.lock().limit_syncs(Some(*count));
            bench.visit(charges);
            bench.out_of_service == 0
        })
        .unwrap()
}

#[test]
fn visit_without_faults_pays_prints_and_is_recorded_once() {
    let mut bench = in_service();
    bench.visit(Charges::Answered);
    bench.settle();
    assert!(bench.told_paid);
    assert_eq!(bench.out_of_service, 0);
    assert_eq!(bench.platform.count(|entry| matches!(entry, Entry::Printed { .. })), 1);
    assert_eq!(bench.platform.count(|entry| matches!(entry, Entry::VisitClosed { .. })), 1);
    check(&bench, true, "no fault");
}

#[test]
fn failed_commit_recovers_without_loss_or_double_charge() {
    for charges in CHARGES {
        let syncs = syncs_of_a_visit(charges);
        assert!(syncs >= 4, "the scripted visit writes");
        for cut in 0..syncs {
            let context = format!("{charges:?}, sync {cut} fails");
            let mut bench = in_service();
            bench.disk.lock().limit_syncs(Some(cut));
            bench.visit(charges);
            assert!(bench.closed(), "{context}: not out of service");
            bench.wait(90_000);
            assert!(bench.closed(), "{context}: in service without a journal");
            bench.disk.lock().limit_syncs(None);
            bench.wait(61_000);
            assert!(!bench.closed(), "{context}: no recovery");
            let told_paid = bench.told_paid;
            bench.settle();
            check(&bench, told_paid, &context);
        }
    }
}

#[test]
fn power_cut_at_any_write_leads_to_inquiry_not_charge() {
    let mut inquiries = 0;
    for charges in CHARGES {
        let syncs = syncs_of_a_visit(charges);
        for (cut, seed) in (0..=syncs).flat_map(|cut| (0..10).map(move |seed| (cut, 2 * seed + 1))) {
            let context = format!("{charges:?}, power cut at sync {cut}, seed {seed}");
            let mut first = in_service();
            first.disk.lock().limit_syncs(Some(cut));
            first.visit(charges);
            let Bench { engine, disk, platform, charges: charged, told_paid, .. } = first;
            drop(engine);
            disk.lock().power_cut(seed);
            disk.lock().limit_syncs(None);
            let mut second = Bench::on(disk, platform, 2);
            let asked = second.inquiries.clone();
            inquiries += asked.len();
            second.settle();
            assert!(second.charges.is_empty(), "{context}: a charge after recovery");
            for order in &charged {
                // The outcome may have been written completely although the sync failed; then no inquiry is needed.
                let settled =
                    |entry: &Entry| matches!(entry, Entry::PaymentSettled { order: of, .. } if of == order);
                let known = asked.contains(order) || second.platform.count(settled) == 1;
                assert!(known, "{context}: a charge was lost");
            }
            check(&second, told_paid, &context);
        }
    }
    assert!(inquiries > 12, "too few power cuts hit the payment: {inquiries} inquiries");
}

#[test]
fn repeated_power_cuts_during_recovery_are_harmless() {
    for seed in 0..40_u64 {
        let mut bench = in_service();
        bench.disk.lock().limit_syncs(Some(usize::try_from(seed % 9).unwrap()));
        bench.visit(Charges::AnswerLost);
        let mut told_paid = bench.told_paid;
        for again in 0..4_u64 {
            let Bench { disk, platform, .. } = bench;
            disk.lock().power_cut(seed + again);
            // Opening syncs twice; a recovery may write more. The power cut comes within or after it.
            disk.lock().limit_syncs(Some(usize::try_from((seed + again) % 5).unwrap()));
            bench = Bench::on(disk, platform, u128::from(seed * 10 + again + 2));
            bench.answer_all(Charges::Answered);
            told_paid |= bench.told_paid;
        }
        let Bench { disk, platform, .. } = bench;
        disk.lock().limit_syncs(None);
        let mut last = Bench::on(disk, platform, 1_000);
        last.settle();
        check(&last, told_paid, &format!("seed {seed}"));
    }
}

#[test]
fn power_cut_after_recovered_commit_failure_is_harmless() {
    let syncs = syncs_of_a_visit(Charges::Answered);
    for (cut, seed) in (0..=syncs).flat_map(|cut| (0..4).map(move |seed| (cut, 2 * seed + 1))) {
        let mut bench = in_service();
        bench.disk.lock().limit_syncs(Some(cut));
        bench.visit(Charges::Answered);
        bench.disk.lock().limit_syncs(None);
        bench.wait(61_000);
        bench.settle();
        let told_paid = bench.told_paid;
        let Bench { disk, platform, .. } = bench;
        disk.lock().power_cut(seed);
        let mut second = Bench::on(disk, platform, 2);
        second.settle();
        check(&second, told_paid, &format!("sync {cut} fails, then a power cut, seed {seed}"));
        let damaged = |entry: &Entry| matches!(entry, Entry::Opened { damaged_segments: 1.., .. });
        assert_eq!(
            second.platform.count(damaged),
            0,
            "sync {cut} fails, seed {seed}: the journal is damaged"
        );
    }
}

#[test]
fn full_disk_at_any_byte_loses_and_doubles_nothing() {
    for bytes in (0..6_000).step_by(97) {
        let mut bench = in_service();
        bench.disk.lock().limit_space(Some(bytes));
        bench.visit(Charges::Answered);
        bench.wait(90_000);
        bench.disk.lock().limit_space(None);
        bench.wait(61_000);
        let told_paid = bench.told_paid;
        bench.settle();
        check(&bench, told_paid, &format!("{bytes} bytes of free space"));
    }
}

#[test]
fn journal_that_fails_at_start_is_reopened() {
    let disk = SharedDisk::default();
    disk.lock().limit_space(Some(0));
    let mut bench = Bench::on(disk.clone(), Platform::default(), 1);
    assert!(bench.closed());
    assert!(bench.waiting.is_empty(), "a kiosk without a journal sends nothing");
    disk.lock().limit_space(None);
    bench.wait(2_000);
    assert!(!bench.closed());
    // The devices reported their health while out of service: the new kiosk must know it.
    bench.answer_all(Charges::Answered);
    let Body::Welcome(ways) = &bench.view().body else { panic!("not the welcome view") };
    assert!(ways.len() == 3 && ways.iter().all(|way| way.broken.is_none()));
}

#[test]
fn commit_failure_clears_visit_from_screen() {
    let mut bench = in_service();
    bench.insert_card();
    bench.answer_all(Charges::Answered);
    assert!(bench.view().header.who.is_some());
    bench.disk.lock().limit_syncs(Some(0));
    bench.touch(Intent::Leave);
    assert!(bench.closed() && bench.view().header.who.is_none());
    bench.disk.lock().limit_syncs(None);
    bench.wait(2_000);
    assert!(matches!(bench.view().body, Body::Welcome(_)));
}

#[test]
fn answer_to_earlier_generation_is_dropped() {
    let mut bench = in_service();
    bench.insert_card();
    let first_ticket = identify(&mut bench);
    bench.disk.lock().limit_syncs(Some(0));
    bench.touch(Intent::Help);
    assert!(bench.closed());
    bench.disk.lock().limit_syncs(None);
    bench.wait(2_000);
    bench.insert_card();
    let second_ticket = identify(&mut bench);
    assert_ne!(first_ticket, second_ticket);
    bench.event(Event::Answer(first_ticket, Ok(Answer::Identified(identified("王五六")))));
    assert!(
        bench.view().header.who.is_none(),
        "the answer for the first resident identified the second visit"
    );
    bench.event(Event::Answer(second_ticket, Ok(Answer::Identified(identified("张三丰")))));
    assert!(bench.view().header.who.is_some());
}

fn identify(bench: &mut Bench) -> session::Ticket {
    let at = bench.waiting.iter().position(|out| matches!(out, Out::Effect(Effect::Do { .. }))).unwrap();
    let Out::Effect(Effect::Do { ticket, .. }) = bench.waiting.remove(at) else { unreachable!() };
    ticket
}

#[test]
fn journal_above_high_water_refuses_money_and_calls_staff() {
    let platform = Platform::with_services(&[crate::bench::WATER]);
    let mut bench = Bench::with_room(SharedDisk::default(), platform, 1, 1);
    bench.answer_all(Charges::Answered);
    bench.visit(Charges::Answered);
    bench.settle();
    assert!(bench.charges.is_empty());
    assert_eq!(bench.platform.count(|entry| matches!(entry, Entry::HelpCalled { visit: None })), 1);
}

#[test]
fn same_inputs_write_same_bytes() {
    let run = || {
        let mut bench = in_service();
        bench.visit(Charges::AnswerLost);
        bench.settle();
        bench.disk
    };
    assert!(run().lock().all_bytes() == run().lock().all_bytes());
}

#[test]
fn records_wait_for_link_and_arrive_once() {
    let mut bench = in_service();
    let before = bench.platform.entries.len();
    bench.link = false;
    bench.visit(Charges::Answered);
    for _ in 0..30 {
        bench.wait(60_000);
        bench.answer_all(Charges::Answered);
    }
    assert_eq!(bench.platform.entries.len(), before, "no record arrives without a link");
    bench.link = true;
    bench.settle();
    let closed = bench.platform.count(|entry| matches!(entry, Entry::VisitClosed { .. }));
    assert_eq!(closed, 1);
    let (mut seen, all) = (bench.platform.entries.clone(), bench.platform.entries.len());
    seen.dedup();
    assert_eq!(seen.len(), all);
}

#[test]
fn rotten_segment_is_reported_and_blocks_nothing() {
    let mut bench = in_service();
    bench.visit(Charges::Answered);
    bench.settle();
    let Bench { mut disk, platform, .. } = bench;
    let name = journal::Disk::list(&mut disk).unwrap().remove(0);
    let middle = disk.lock().len_of(&name) / 2;
    disk.lock().rot(&name, middle);
    let mut second = Bench::on(disk, platform, 2);
    second.answer_all(Charges::Answered);
    second.visit(Charges::Answered);
    second.settle();
    let reported = |entry: &Entry| matches!(entry, Entry::Opened { damaged_segments: 1, .. });
    assert_eq!(second.platform.count(reported), 1);
    assert!(second.told_paid, "the next resident pays");
    let (charged, asked) = (&second.platform.charged, &second.platform.charge_requests);
    assert_eq!((charged.len(), asked.len()), (2, 2), "one charge for each resident");
    for order in charged.keys() {
        // The rot may have destroyed an outcome that the platform has stored; then it is inquired and recorded again.
        let paid = |entry: &Entry| matches!(entry, Entry::PaymentSettled { order: of, .. } if of == order);
        assert!(second.platform.count(paid) >= 1);
    }
}
