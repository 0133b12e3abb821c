//! Money: never twice, never without a record, asked for until known (I1).

use contract::{ChargeState, Entry, ProblemCode, Settlement, VoidReason};
use session::{Answer, CardEvent, Event, Failure, OpenPayment, OpenWork, PinAnswer};
use view::{Body, Intent, TextId, Verdict};

use crate::bench::{Bench, code};

fn void(reason: VoidReason) -> Result<ChargeState, Failure> {
    Ok(ChargeState::Settled { settlement: Settlement::Void { reason } })
}

#[test]
fn a_charge_leaves_only_after_its_intention_is_recorded() {
    let mut bench = Bench::new();
    let order = bench.charge();
    let intended = bench.log.iter().find_map(|entry| match entry {
        Entry::PaymentIntended { order, total, items, .. } => Some((*order, *total, items.len())),
        _ => None,
    });
    let charge = bench.charges()[0];
    assert_eq!(intended, Some((order, charge.total, 1)));
    assert_eq!(charge.total.fen(), 8640);
    assert_eq!(charge.items[0].key, "w-10");
}

#[test]
fn several_bills_are_one_order_of_their_sum_and_no_more_than_allowed() {
    let mut bench = Bench::new();
    bench.by_code(1);
    bench.bills();
    for at in [0, 1, 2] {
        bench.touch(Intent::Toggle(at));
    }
    assert_eq!(bench.view().banners.len(), 1, "the third is one too many, and that is said");
    bench.touch(Intent::Go);
    bench.touch(Intent::Go);
    assert_eq!(bench.charges()[0].total.fen(), 8640 + 8160);
}

#[test]
fn paid_is_recorded_shown_and_printed() {
    let mut bench = Bench::new();
    let order = bench.charge();
    bench.paid(order);
    assert_eq!(bench.outcome().verdict, Verdict::Done);
    assert_eq!(bench.outcome().amount.as_deref(), Some("¥86.40"));
    let kinds: Vec<u8> = bench.log.iter().rev().take(3).map(|entry| entry.kind().0).collect();
    assert_eq!(kinds, [41, 40, 31], "settled, promised, print started");
    assert_eq!(bench.prints().len(), 1);
    assert_eq!(bench.prints()[0].2, None);
}

#[test]
fn a_lost_answer_becomes_inquiries_and_never_a_second_charge() {
    let mut bench = Bench::new();
    let order = bench.charge();
    bench.lost(order);
    assert_eq!(bench.title(), TextId::CheckingTitle);
    for _ in 0..6 {
        bench.wait(60_000);
        if bench.inquiries().len() > 3 {
            break;
        }
        bench.lost(order);
    }
    assert!(bench.inquiries().len() >= 3);
    assert!(bench.inquiries().iter().all(|asked| *asked == order));
    assert_eq!(bench.charges().len(), 1);
}

#[test]
fn a_slow_charge_is_shown_as_being_checked_and_the_resident_may_leave() {
    let mut bench = Bench::new();
    let order = bench.charge();
    assert_eq!(bench.outcome().verdict, Verdict::Working);
    bench.touch(Intent::Leave);
    assert_eq!(bench.outcome().verdict, Verdict::Working, "a touch does not walk away from a charge");
    bench.wait(8_000);
    assert_eq!(bench.outcome().verdict, Verdict::Checking);
    bench.touch(Intent::Go);
    assert_eq!(bench.title(), TextId::ClosingTitle);
    assert_eq!(bench.view().header.who, None);
    bench.paid(order);
    assert_eq!(bench.outcome().verdict, Verdict::Done);
    assert_eq!(bench.prints().len(), 1, "whoever waits for the outcome gets the paper");
}

#[test]
fn the_card_taken_right_after_the_intention_leaves_the_payment_running() {
    let mut bench = Bench::new();
    bench.by_card();
    bench.pay_by_card();
    let order = bench.charges()[0].order;
    bench.event(Event::Card(CardEvent::Removed));
    assert_eq!(bench.title(), TextId::ClosingTitle);
    bench.paid(order);
    assert_eq!(bench.outcome().amount.as_deref(), Some("¥86.40"));
    assert_eq!(bench.count(|e| matches!(e, Entry::PaymentSettled { .. })), 1);
}

#[test]
fn an_outcome_that_comes_when_nobody_is_there_is_kept_for_its_number_and_not_printed() {
    let mut bench = Bench::new();
    let order = bench.charge();
    bench.lost(order);
    bench.touch(Intent::Go);
    bench.wait(31_000);
    assert!(matches!(bench.view().body, Body::Welcome(_)));
    bench.paid(order);
    assert!(bench.prints().is_empty());
    let last: Vec<u8> = bench.log.iter().rev().take(3).map(|entry| entry.kind().0).collect();
    assert_eq!(last, [45, 40, 31], "settled, promised, waived");
    assert!(matches!(bench.view().body, Body::Welcome(_)));
}

#[test]
fn the_next_resident_does_not_see_the_payment_of_the_one_before() {
    let mut bench = Bench::new();
    let order = bench.charge();
    bench.lost(order);
    bench.touch(Intent::Go);
    bench.event(Event::Code(code(2).into_bytes().into()));
    assert_eq!(bench.outcome().word, TextId::Identifying.into());
    bench.paid(order);
    assert_eq!(bench.outcome().word, TextId::Identifying.into());
    assert_eq!(bench.count(|e| matches!(e, Entry::PaymentSettled { .. })), 1);
}

#[test]
fn a_second_outcome_of_one_order_is_ignored() {
    let mut bench = Bench::new();
    let order = bench.charge();
    bench.paid(order);
    bench.event(Event::Payment(order, void(VoidReason::Fenced)));
    bench.paid(order);
    assert_eq!(bench.count(|e| matches!(e, Entry::PaymentSettled { .. })), 1);
    assert_eq!(bench.prints().len(), 1);
}

#[test]
fn refusals_before_anything_was_charged_are_final_and_say_so() {
    for (code, detail) in [
        (ProblemCode::BillBusy, TextId::NotPaidBusy),
        (ProblemCode::BillSettled, TextId::NotPaidSettled),
        (ProblemCode::BillChanged, TextId::NotPaidChanged),
    ] {
        let mut bench = Bench::new();
        let order = bench.charge();
        bench.event(Event::Payment(order, Err(Failure::Problem(code))));
        assert_eq!(bench.outcome().verdict, Verdict::Sorry);
        assert_eq!(bench.outcome().detail, detail.into());
        assert!(bench.prints().is_empty());
    }
}

#[test]
fn a_refusal_in_answer_to_an_inquiry_settles_nothing() {
    let mut bench = Bench::new();
    let order = bench.charge();
    bench.lost(order);
    bench.wait(1_500);
    bench.event(Event::Payment(order, Err(Failure::Problem(ProblemCode::BillBusy))));
    assert_eq!(bench.count(|e| matches!(e, Entry::PaymentSettled { .. })), 0);
    assert_eq!(bench.outcome().verdict, Verdict::Checking);
}

#[test]
fn declined_and_fenced_are_told_apart() {
    for (reason, detail) in
        [(VoidReason::Declined, TextId::NotPaidDeclined), (VoidReason::Fenced, TextId::NotPaidFenced)]
    {
        let mut bench = Bench::new();
        let order = bench.charge();
        bench.event(Event::Payment(order, void(reason)));
        assert_eq!(bench.outcome().detail, detail.into());
    }
}

#[test]
fn after_a_crash_an_open_order_is_inquired_and_never_charged() {
    let mut before = Bench::new();
    let order = before.charge();
    let charge = before.charges()[0].clone();
    let mut after = Bench::recovered(OpenWork {
        payments: vec![OpenPayment {
            order,
            visit: contract::VisitId::from_entropy(1),
            service: "water.pay".into(),
            items: charge.items,
            total: charge.total,
            method: charge.method,
        }],
        visit: Some(contract::VisitId::from_entropy(1)),
        ..OpenWork::default()
    });
    assert_eq!(after.inquiries(), [order]);
    assert!(matches!(after.log[0], Entry::VisitClosed { .. }));
    after.lost(order);
    after.wait(5_000);
    assert_eq!(after.inquiries(), [order, order]);
    after.paid(order);
    after.wait(300_000);
    assert_eq!(after.inquiries().len(), 2);
    assert!(after.charges().is_empty());
    assert_eq!(after.count(|e| matches!(e, Entry::PaymentSettled { .. })), 1);
}

#[test]
fn with_the_log_nearly_full_new_money_is_refused_and_open_orders_go_on() {
    let mut bench = Bench::new();
    let order = bench.charge();
    bench.lost(order);
    bench.touch(Intent::Home);
    bench.event(Event::LogNearlyFull(true));
    bench.bills();
    bench.touch(Intent::Toggle(0));
    bench.touch(Intent::Go);
    assert_eq!(bench.outcome().word, TextId::MoneyOff.into());
    assert_eq!(bench.charges().len(), 1);
    assert_eq!(bench.count(|e| matches!(e, Entry::HelpCalled { .. })), 1);
    bench.paid(order);
    assert_eq!(bench.count(|e| matches!(e, Entry::PaymentSettled { .. })), 1);
}

#[test]
fn a_wrong_pin_says_how_many_tries_are_left_and_charges_nothing() {
    let mut bench = Bench::new();
    bench.by_card();
    bench.bills();
    for intent in [Intent::Toggle(0), Intent::Go, Intent::Go] {
        bench.touch(intent);
    }
    let enter = |bench: &mut Bench| {
        for digit in [6, 5, 4, 3, 2, 1] {
            bench.touch(Intent::Digit(digit));
        }
        bench.touch(Intent::Go);
        bench.work().0
    };
    let ticket = enter(&mut bench);
    bench.event(Event::Answer(ticket, Ok(Answer::Pin(PinAnswer::Wrong { tries_left: 2 }))));
    match bench.view().body {
        Body::Pin(pad) => assert!(pad.problem.is_some() && pad.entered == 0),
        other => panic!("{other:?}"),
    }
    let ticket = enter(&mut bench);
    bench.event(Event::Answer(ticket, Ok(Answer::Pin(PinAnswer::Locked))));
    assert_eq!(bench.outcome().word, TextId::PinLocked.into());
    assert!(bench.charges().is_empty());
}
