//! Failed commits and power cuts at every write of a visit with a payment (I1, I2, I3, I8).

use contract::{Entry, Settlement};
use engine::Output;
use session::{CardEvent, Effect, Event, WorkAnswer};
use view::{Body, Intent, TextId};

use crate::fixture::{ChargeOutcome, Fixture, SharedDisk};
use crate::platform::{Platform, identified};

const CHARGES: [ChargeOutcome; 3] =
    [ChargeOutcome::Answered, ChargeOutcome::AnswerLost, ChargeOutcome::RequestLost];

/// Checks the invariants that must hold at the end, after any faults.
fn check(bench: &Fixture, shown_as_paid: bool, context: &str) {
    let platform = &bench.platform;
    for order in &platform.charge_requests {
        let asked = platform.charge_requests.iter().filter(|other| *other == order).count();
        assert_eq!(asked, 1, "{context}: a charge was requested twice");
    }
    assert!(platform.charged.values().all(|times| *times == 1), "{context}: charged twice");
    let settled = |of: &contract::OrderId| {
        platform.entries.iter().find_map(|entry| match entry {
            Entry::OrderSettled { order, settlement } if order == of => Some(settlement.clone()),
            _ => None,
        })
    };
    for order in platform.charged.keys() {
        let paid = matches!(settled(order), Some(Settlement::Paid { .. }));
        assert!(paid, "{context}: a charge is not recorded as paid");
        let receipts = platform
            .count(|entry| matches!(entry, Entry::ReceiptIssued { order: Some(of), .. } if of == order));
        assert_eq!(receipts, 1, "{context}: a paid order has one receipt");
    }
    for entry in &platform.entries {
        if let Entry::OrderCreated { order, .. } = entry {
            assert!(settled(order).is_some(), "{context}: an order has no outcome");
        }
    }
    if shown_as_paid {
        assert_eq!(platform.charged.len(), 1, "{context}: shown as paid and not charged");
    }
    let orders = platform.count(|entry| matches!(entry, Entry::OrderCreated { .. }));
    let outcomes = platform.count(|entry| matches!(entry, Entry::OrderSettled { .. }));
    assert_eq!(orders, outcomes, "{context}: one outcome per order");
    assert!(matches!(bench.view().body, Body::Welcome(_)), "{context}: not ready for the next resident");
}

fn in_service() -> Fixture {
    let mut bench = Fixture::new();
    bench.answer_all(ChargeOutcome::Answered);
    bench
}

/// Number of syncs of a whole visit, so that a fault can be injected at each of them.
fn syncs_of_a_visit(charges: ChargeOutcome) -> usize {
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
    bench.visit(ChargeOutcome::Answered);
    bench.finish_open_work();
    assert!(bench.shown_paid);
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
            assert!(bench.is_out_of_service(), "{context}: not out of service");
            bench.advance(90_000);
            assert!(bench.is_out_of_service(), "{context}: in service without a journal");
            bench.disk.lock().limit_syncs(None);
            bench.advance(61_000);
            assert!(!bench.is_out_of_service(), "{context}: no recovery");
            let shown_as_paid = bench.shown_paid;
            bench.finish_open_work();
            check(&bench, shown_as_paid, &context);
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
            let Fixture { engine, disk, platform, charges: charged, shown_paid: shown_as_paid, .. } = first;
            drop(engine);
            disk.lock().power_cut(seed);
            disk.lock().limit_syncs(None);
            let mut second = Fixture::start_on(disk, platform, 2);
            let asked = second.inquiries.clone();
            inquiries += asked.len();
            second.finish_open_work();
            assert!(second.charges.is_empty(), "{context}: a charge after recovery");
            for order in &charged {
                // The outcome may have been written completely although the sync failed; then no inquiry is needed.
                let settled =
                    |entry: &Entry| matches!(entry, Entry::OrderSettled { order: of, .. } if of == order);
                let known = asked.contains(order) || second.platform.count(settled) == 1;
                assert!(known, "{context}: a charge was lost");
            }
            check(&second, shown_as_paid, &context);
        }
    }
    assert!(inquiries > 12, "too few power cuts hit the payment: {inquiries} inquiries");
}

#[test]
fn repeated_power_cuts_during_recovery_are_harmless() {
    for seed in 0..40_u64 {
        let mut bench = in_service();
        bench.disk.lock().limit_syncs(Some(usize::try_from(seed % 9).unwrap()));
        bench.visit(ChargeOutcome::AnswerLost);
        let mut shown_as_paid = bench.shown_paid;
        for again in 0..4_u64 {
            let Fixture { disk, platform, .. } = bench;
            disk.lock().power_cut(seed + again);
            // Opening syncs twice; a recovery may write more. The power cut comes within or after it.
            disk.lock().limit_syncs(Some(usize::try_from((seed + again) % 5).unwrap()));
            bench = Fixture::start_on(disk, platform, u128::from(seed * 10 + again + 2));
            bench.answer_all(ChargeOutcome::Answered);
            shown_as_paid |= bench.shown_paid;
        }
        let Fixture { disk, platform, .. } = bench;
        disk.lock().limit_syncs(None);
        let mut last = Fixture::start_on(disk, platform, 1_000);
        last.finish_open_work();
        check(&last, shown_as_paid, &format!("seed {seed}"));
    }
}

#[test]
fn power_cut_after_recovered_commit_failure_is_harmless() {
    let syncs = syncs_of_a_visit(ChargeOutcome::Answered);
    for (cut, seed) in (0..=syncs).flat_map(|cut| (0..4).map(move |seed| (cut, 2 * seed + 1))) {
        let mut bench = in_service();
        bench.disk.lock().limit_syncs(Some(cut));
        bench.visit(ChargeOutcome::Answered);
        bench.disk.lock().limit_syncs(None);
        bench.advance(61_000);
        bench.finish_open_work();
        let shown_as_paid = bench.shown_paid;
        let Fixture { disk, platform, .. } = bench;
        disk.lock().power_cut(seed);
        let mut second = Fixture::start_on(disk, platform, 2);
        second.finish_open_work();
        check(&second, shown_as_paid, &format!("sync {cut} fails, then a power cut, seed {seed}"));
        let damaged = |entry: &Entry| matches!(entry, Entry::JournalOpened { damaged_segments: 1.., .. });
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
        bench.visit(ChargeOutcome::Answered);
        bench.advance(90_000);
        bench.disk.lock().limit_space(None);
        bench.advance(61_000);
        let shown_as_paid = bench.shown_paid;
        bench.finish_open_work();
        check(&bench, shown_as_paid, &format!("{bytes} bytes of free space"));
    }
}

#[test]
fn journal_that_fails_at_start_is_reopened() {
    let disk = SharedDisk::default();
    disk.lock().limit_space(Some(0));
    let mut bench = Fixture::start_on(disk.clone(), Platform::default(), 1);
    assert!(bench.is_out_of_service());
    assert!(bench.pending.is_empty(), "a kiosk without a journal sends nothing");
    disk.lock().limit_space(None);
    bench.advance(2_000);
    assert!(!bench.is_out_of_service());
    // The devices reported their health while out of service: the new kiosk must know it.
    bench.answer_all(ChargeOutcome::Answered);
    let Body::Welcome(ways) = &bench.view().body else { panic!("not the welcome view") };
    assert!(ways.len() == 3 && ways.iter().all(|way| way.unavailable.is_none()));
}

#[test]
fn commit_failure_clears_visit_from_screen() {
    let mut bench = in_service();
    bench.insert_card();
    bench.answer_all(ChargeOutcome::Answered);
    assert!(bench.view().header.resident.is_some());
    bench.disk.lock().limit_syncs(Some(0));
    bench.touch(Intent::EndVisit);
    assert!(bench.is_out_of_service() && bench.view().header.resident.is_none());
    bench.disk.lock().limit_syncs(None);
    bench.advance(2_000);
    assert!(bench.view().header.resident.is_none());
    assert_eq!(bench.view().title, TextId::TakeCardTitle.into(), "the card is still in the slot");
}

#[test]
fn answer_to_earlier_generation_is_dropped() {
    let mut bench = in_service();
    bench.insert_card();
    let first_ticket = identify(&mut bench);
    bench.disk.lock().limit_syncs(Some(0));
    bench.touch(Intent::Help);
    assert!(bench.is_out_of_service());
    bench.disk.lock().limit_syncs(None);
    bench.advance(2_000);
    bench.insert_card();
    let second_ticket = identify(&mut bench);
    assert_ne!(first_ticket, second_ticket);
    bench.event(Event::WorkAnswered(first_ticket, Ok(WorkAnswer::Identified(identified("王五六")))));
    assert!(
        bench.view().header.resident.is_none(),
        "the answer for the first resident identified the second visit"
    );
    bench.event(Event::WorkAnswered(second_ticket, Ok(WorkAnswer::Identified(identified("张三丰")))));
    assert!(bench.view().header.resident.is_some());
}

fn identify(bench: &mut Fixture) -> session::Ticket {
    let at =
        bench.pending.iter().position(|out| matches!(out, Output::Effect(Effect::StartWork { .. }))).unwrap();
    let Output::Effect(Effect::StartWork { ticket, .. }) = bench.pending.remove(at) else { unreachable!() };
    ticket
}

#[test]
fn journal_above_high_water_refuses_money_and_calls_staff() {
    let platform = Platform::with_services(&[crate::fixture::WATER]);
    let mut bench = Fixture::with_high_water(SharedDisk::default(), platform, 1, 1);
    bench.answer_all(ChargeOutcome::Answered);
    bench.visit(ChargeOutcome::Answered);
    bench.finish_open_work();
    assert!(bench.charges.is_empty());
    assert_eq!(bench.platform.count(|entry| matches!(entry, Entry::HelpRequested { visit: None })), 1);
}

#[test]
fn same_inputs_write_same_bytes() {
    let run = || {
        let mut bench = in_service();
        bench.visit(ChargeOutcome::AnswerLost);
        bench.finish_open_work();
        bench.disk
    };
    assert!(run().lock().all_bytes() == run().lock().all_bytes());
}

#[test]
fn records_wait_for_link_and_arrive_once() {
    let mut bench = in_service();
    let before = bench.platform.entries.len();
    bench.link_up = false;
    bench.visit(ChargeOutcome::Answered);
    for _ in 0..30 {
        bench.advance(60_000);
        bench.answer_all(ChargeOutcome::Answered);
    }
    assert_eq!(bench.platform.entries.len(), before, "no record arrives without a link");
    bench.link_up = true;
    bench.finish_open_work();
    let closed = bench.platform.count(|entry| matches!(entry, Entry::VisitClosed { .. }));
    assert_eq!(closed, 1);
    let (mut seen, all) = (bench.platform.entries.clone(), bench.platform.entries.len());
    seen.dedup();
    assert_eq!(seen.len(), all);
}

#[test]
fn rotten_segment_is_reported_and_blocks_nothing() {
    let mut bench = in_service();
    bench.visit(ChargeOutcome::Answered);
    bench.finish_open_work();
    let Fixture { mut disk, platform, .. } = bench;
    let name = journal::Disk::list(&mut disk).unwrap().remove(0);
    let middle = disk.lock().file_len(&name) / 2;
    disk.lock().flip_bit(&name, middle);
    let mut second = Fixture::start_on(disk, platform, 2);
    second.answer_all(ChargeOutcome::Answered);
    second.visit(ChargeOutcome::Answered);
    second.finish_open_work();
    let reported = |entry: &Entry| matches!(entry, Entry::JournalOpened { damaged_segments: 1, .. });
    assert_eq!(second.platform.count(reported), 1);
    assert!(second.shown_paid, "the next resident pays");
    let (charged, asked) = (&second.platform.charged, &second.platform.charge_requests);
    assert_eq!((charged.len(), asked.len()), (2, 2), "one charge for each resident");
    for order in charged.keys() {
        // The rot may have destroyed an outcome that the platform has stored; then it is inquired and recorded again.
        let paid = |entry: &Entry| matches!(entry, Entry::OrderSettled { order: of, .. } if of == order);
        assert!(second.platform.count(paid) >= 1);
    }
}

#[test]
fn card_in_the_slot_is_asked_for_after_the_log_failed() {
    let mut bench = in_service();
    bench.insert_card();
    bench.answer_all(ChargeOutcome::Answered);
    assert!(matches!(bench.view().body, Body::Menu(_)));
    bench.disk.lock().limit_syncs(Some(0));
    bench.touch(Intent::Help);
    assert!(bench.is_out_of_service());
    bench.disk.lock().limit_syncs(None);
    bench.advance(90_000);
    assert_eq!(bench.view().title, TextId::TakeCardTitle.into());
    bench.advance(600_000);
    assert_eq!(bench.view().title, TextId::TakeCardTitle.into(), "until it is taken");
    bench.event(Event::Card(CardEvent::Removed));
    assert!(matches!(bench.view().body, Body::Welcome(_)));
    // A card that is taken while the log cannot be written is not asked for.
    bench.insert_card();
    bench.disk.lock().limit_syncs(Some(0));
    bench.touch(Intent::Help);
    bench.answer_all(ChargeOutcome::Answered);
    assert!(bench.is_out_of_service());
    bench.event(Event::Card(CardEvent::Removed));
    bench.disk.lock().limit_syncs(None);
    bench.advance(90_000);
    assert!(matches!(bench.view().body, Body::Welcome(_)));
}
