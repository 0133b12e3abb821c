//! Payments: never charged twice, never without a record, inquired until the outcome is known (I1).

use contract::{ChargeState, Entry, OrderId, ProblemCode, Settlement, UnreportedOrder, VisitId, VoidReason};
use session::{CardEvent, DeviceKind, DeviceState, Event, Failure, PinAnswer, WorkAnswer};
use view::{Body, Intent, OutcomeKind, TextId};

use crate::fixture::{Fixture, WATER, code};

fn void(reason: VoidReason) -> Result<ChargeState, Failure> {
    Ok(ChargeState::Settled { settlement: Settlement::Void { reason } })
}

#[test]
fn charge_is_sent_after_order_is_recorded() {
    let mut fixture = Fixture::new();
    let order = fixture.charge();
    let created = fixture.log.iter().find_map(|entry| match entry {
        Entry::OrderCreated { order, total, items, .. } => Some((*order, *total, items.len())),
        _ => None,
    });
    let charge = fixture.charges()[0];
    assert_eq!(created, Some((order, charge.total, 1)));
    assert_eq!(charge.total.fen(), 8640);
    assert_eq!(charge.items[0].key, "w-10");
}

#[test]
fn several_bills_form_one_order_up_to_the_limit() {
    let mut fixture = Fixture::new();
    fixture.begin_by_code(1);
    fixture.open_bills();
    for at in [0, 1, 2] {
        fixture.touch(Intent::ToggleRow(at));
    }
    assert_eq!(fixture.view().banners.len(), 1, "the limit is shown at the third bill");
    fixture.touch(Intent::Primary);
    fixture.touch(Intent::Primary);
    assert_eq!(fixture.charges()[0].total.fen(), 8640 + 8160);
}

#[test]
fn paid_order_is_recorded_shown_and_printed() {
    let mut fixture = Fixture::new();
    let order = fixture.charge();
    fixture.settle_as_paid(order);
    assert_eq!(fixture.shown_outcome().kind, OutcomeKind::Done);
    assert_eq!(fixture.shown_outcome().amount.as_deref(), Some("¥86.40"));
    let kinds: Vec<u8> = fixture.log.iter().rev().take(3).map(|entry| entry.kind().0).collect();
    assert_eq!(kinds, [41, 40, 31], "settled, issued, print started");
    assert_eq!(fixture.prints().len(), 1);
    assert_eq!(fixture.prints()[0].2, None);
}

#[test]
fn charge_without_answer_is_inquired_never_repeated() {
    let mut fixture = Fixture::new();
    let order = fixture.charge();
    fixture.lose_answer(order);
    assert_eq!(fixture.title(), TextId::CheckingTitle);
    for _ in 0..6 {
        fixture.wait(60_000);
        if fixture.inquiries().len() > 3 {
            break;
        }
        fixture.lose_answer(order);
    }
    assert!(fixture.inquiries().len() >= 3);
    assert!(fixture.inquiries().iter().all(|asked| *asked == order));
    assert_eq!(fixture.charges().len(), 1);
}

#[test]
fn slow_charge_is_shown_as_checking_and_can_be_left() {
    let mut fixture = Fixture::new();
    let order = fixture.charge();
    assert_eq!(fixture.shown_outcome().kind, OutcomeKind::Working);
    fixture.touch(Intent::EndVisit);
    assert_eq!(fixture.shown_outcome().kind, OutcomeKind::Working, "a touch must not leave a charge");
    fixture.wait(8_000);
    assert_eq!(fixture.shown_outcome().kind, OutcomeKind::Checking);
    fixture.touch(Intent::Primary);
    assert_eq!(fixture.title(), TextId::ClosingTitle);
    assert_eq!(fixture.view().header.resident, None);
    fixture.settle_as_paid(order);
    assert_eq!(fixture.shown_outcome().kind, OutcomeKind::Done);
    assert_eq!(fixture.prints().len(), 1, "the receipt is printed while the notice is shown");
}

#[test]
fn card_removed_during_charge_keeps_payment_running() {
    let mut fixture = Fixture::new();
    fixture.begin_by_card();
    fixture.pay_by_card();
    let order = fixture.charges()[0].order;
    fixture.event(Event::Card(CardEvent::Removed));
    assert_eq!(fixture.title(), TextId::ClosingTitle);
    fixture.settle_as_paid(order);
    assert_eq!(fixture.shown_outcome().amount.as_deref(), Some("¥86.40"));
    assert_eq!(fixture.count(|e| matches!(e, Entry::OrderSettled { .. })), 1);
}

#[test]
fn paid_after_visit_is_recorded_and_not_printed() {
    let mut fixture = Fixture::new();
    let order = fixture.charge();
    fixture.lose_answer(order);
    fixture.touch(Intent::Primary);
    fixture.wait(31_000);
    assert!(matches!(fixture.view().body, Body::Welcome(_)));
    fixture.settle_as_paid(order);
    assert!(fixture.prints().is_empty());
    let last: Vec<u8> = fixture.log.iter().rev().take(3).map(|entry| entry.kind().0).collect();
    assert_eq!(last, [45, 40, 31], "settled, issued, abandoned");
    assert!(matches!(fixture.view().body, Body::Welcome(_)));
}

#[test]
fn payment_of_previous_resident_is_not_shown() {
    let mut fixture = Fixture::new();
    let order = fixture.charge();
    fixture.lose_answer(order);
    fixture.touch(Intent::Primary);
    fixture.event(Event::CodeScanned(code(2).into_bytes().into()));
    assert_eq!(fixture.shown_outcome().headline, TextId::Identifying.into());
    fixture.settle_as_paid(order);
    assert_eq!(fixture.shown_outcome().headline, TextId::Identifying.into());
    assert_eq!(fixture.count(|e| matches!(e, Entry::OrderSettled { .. })), 1);
}

#[test]
fn second_outcome_of_order_is_ignored() {
    let mut fixture = Fixture::new();
    let order = fixture.charge();
    fixture.settle_as_paid(order);
    fixture.event(Event::PaymentAnswered(order, void(VoidReason::Fenced)));
    fixture.settle_as_paid(order);
    assert_eq!(fixture.count(|e| matches!(e, Entry::OrderSettled { .. })), 1);
    assert_eq!(fixture.prints().len(), 1);
}

#[test]
fn final_charge_refusals_void_order_and_show_reason() {
    for (code, detail) in [
        (ProblemCode::BillBusy, TextId::NotPaidBusy),
        (ProblemCode::BillSettled, TextId::NotPaidSettled),
        (ProblemCode::BillChanged, TextId::NotPaidChanged),
    ] {
        let mut fixture = Fixture::new();
        let order = fixture.charge();
        fixture.event(Event::PaymentAnswered(order, Err(Failure::Problem(code))));
        assert_eq!(fixture.shown_outcome().kind, OutcomeKind::NotDone);
        assert_eq!(fixture.shown_outcome().detail, detail.into());
        assert!(fixture.prints().is_empty());
    }
}

#[test]
fn each_refusal_of_a_charge_is_final_or_inquired() {
    let is_final = [
        (ProblemCode::BillBusy, true),
        (ProblemCode::BillSettled, true),
        (ProblemCode::BillChanged, true),
        (ProblemCode::OrderConflict, false),
        (ProblemCode::CodeUsed, false),
        (ProblemCode::CodeExpired, false),
        (ProblemCode::CodeUnknown, false),
        (ProblemCode::CodeRevoked, false),
        (ProblemCode::ChallengeFailed, false),
        (ProblemCode::CardUnknown, false),
        (ProblemCode::CardStopped, true),
        (ProblemCode::CardMismatch, false),
        (ProblemCode::ResidentUnknown, false),
        (ProblemCode::VisitExpired, true),
        (ProblemCode::ConsentMissing, false),
        (ProblemCode::NotOffered, true),
        (ProblemCode::LevelTooLow, true),
        (ProblemCode::DeviceUnknown, false),
        (ProblemCode::Malformed, false),
        (ProblemCode::Unavailable, false),
    ];
    for (code, is_final) in is_final {
        let mut fixture = Fixture::new();
        let order = fixture.charge();
        fixture.event(Event::PaymentAnswered(order, Err(Failure::Problem(code))));
        let refused = Settlement::Void { reason: VoidReason::Refused(code) };
        let voided =
            |e: &Entry| matches!(e, Entry::OrderSettled { settlement, .. } if *settlement == refused);
        assert_eq!(fixture.count(voided), usize::from(is_final), "{code:?}");
        fixture.wait(1_500);
        assert_eq!(fixture.inquiries().len(), usize::from(!is_final), "{code:?}");
        assert_eq!((fixture.charges().len(), fixture.prints().len()), (1, 0), "{code:?}");
    }
}

#[test]
fn refusal_of_inquiry_does_not_settle_order() {
    let mut fixture = Fixture::new();
    let order = fixture.charge();
    fixture.lose_answer(order);
    fixture.wait(1_500);
    fixture.event(Event::PaymentAnswered(order, Err(Failure::Problem(ProblemCode::BillBusy))));
    assert_eq!(fixture.count(|e| matches!(e, Entry::OrderSettled { .. })), 0);
    assert_eq!(fixture.shown_outcome().kind, OutcomeKind::Checking);
}

#[test]
fn declined_and_fenced_orders_show_distinct_texts() {
    for (reason, detail) in
        [(VoidReason::Declined, TextId::NotPaidDeclined), (VoidReason::Fenced, TextId::NotPaidFenced)]
    {
        let mut fixture = Fixture::new();
        let order = fixture.charge();
        fixture.event(Event::PaymentAnswered(order, void(reason)));
        assert_eq!(fixture.shown_outcome().detail, detail.into());
    }
}

#[test]
fn recovery_inquires_open_order_and_never_charges() {
    let mut before = Fixture::new();
    let order = before.charge();
    let mut after = Fixture::recovered(before.folded);
    assert_eq!(after.inquiries(), [order]);
    assert!(matches!(after.log[0], Entry::VisitClosed { .. }));
    after.lose_answer(order);
    after.wait(5_000);
    assert_eq!(after.inquiries(), [order, order]);
    after.settle_as_paid(order);
    after.wait(300_000);
    assert_eq!(after.inquiries().len(), 2);
    assert!(after.charges().is_empty());
    assert_eq!(after.count(|e| matches!(e, Entry::OrderSettled { .. })), 1);
}

#[test]
fn unknown_unreported_order_is_recovered_and_gets_its_receipt() {
    let mut fixture = Fixture::new();
    let own = fixture.charge();
    fixture.lose_answer(own);
    let lost = OrderId::from_entropy(99);
    let charged = fixture.charges()[0].clone();
    let of = |order| UnreportedOrder {
        order,
        visit: VisitId::from_entropy(98),
        items: charged.items.clone(),
        total: charged.total,
        method: charged.method,
    };
    let orders = vec![of(own), of(lost)];
    fixture.event(Event::OrdersReconciled { orders: orders.clone(), is_complete: false });
    let recovered = |fixture: &Fixture| fixture.count(|e| matches!(e, Entry::OrderRecovered { .. }));
    assert_eq!((recovered(&fixture), fixture.inquiries()), (1, vec![lost]));
    assert_eq!(fixture.count(|e| *e == Entry::OrdersReconciled), 0);
    // Listed again while it is not settled.
    fixture.event(Event::OrdersReconciled { orders, is_complete: true });
    assert_eq!((recovered(&fixture), fixture.count(|e| *e == Entry::OrdersReconciled)), (1, 1));
    let shown = fixture.view();
    fixture.settle_as_paid(lost);
    assert_eq!(fixture.view(), shown, "the resident who is there now did not pay it");
    let receipt = |e: &Entry| matches!(e, Entry::ReceiptIssued { order: Some(order), .. } if *order == lost);
    assert_eq!((fixture.count(receipt), fixture.prints().len()), (1, 0), "to be fetched, not printed");
    assert!(fixture.charges().len() == 1);
}

#[test]
fn order_recovered_in_its_own_visit_is_not_printed_again() {
    for printed in [false, true] {
        let mut fixture = Fixture::new();
        let order = fixture.charge();
        fixture.settle_as_paid(order);
        let (receipt, ..) = fixture.prints()[0].clone();
        if printed {
            fixture.finish_print(receipt);
        }
        // The records of the outcome rotted before they were sent, and the resident is still here.
        let charged = fixture.charges()[0].clone();
        let (visit, items) = (VisitId::from_entropy(98), charged.items.clone());
        let lost = UnreportedOrder { order, visit, items, total: charged.total, method: charged.method };
        fixture.event(Event::OrdersReconciled { orders: vec![lost], is_complete: false });
        let shown = fixture.view();
        fixture.settle_as_paid(order);
        if !printed {
            fixture.finish_print(receipt);
        }
        fixture.event(Event::DeviceStateChanged(DeviceKind::ReceiptPrinter, DeviceState::Unknown));
        fixture.event(Event::DeviceStateChanged(DeviceKind::ReceiptPrinter, DeviceState::Ready));
        assert_eq!(fixture.prints().len(), 1, "printed before: {printed}");
        assert!(!printed || fixture.view().body == shown.body, "the outcome was shown before");
        let issued = |e: &Entry| matches!(e, Entry::ReceiptIssued { .. });
        assert_eq!(fixture.count(issued), 2, "the log has it again");
        // A copy that the resident asks for has the copy mark.
        fixture.touch(Intent::Secondary);
        assert!(fixture.prints().iter().skip(1).all(|(_, _, mark)| mark.is_some()));
    }
}

#[test]
fn journal_nearly_full_refuses_new_orders_only() {
    let mut fixture = Fixture::new();
    let order = fixture.charge();
    fixture.lose_answer(order);
    fixture.touch(Intent::Home);
    fixture.event(Event::JournalNearlyFull(true));
    fixture.open_bills();
    fixture.touch(Intent::ToggleRow(0));
    fixture.touch(Intent::Primary);
    assert_eq!(fixture.shown_outcome().headline, TextId::MoneyOff.into());
    assert_eq!(fixture.charges().len(), 1);
    assert_eq!(fixture.count(|e| matches!(e, Entry::HelpRequested { .. })), 1);
    fixture.settle_as_paid(order);
    assert_eq!(fixture.count(|e| matches!(e, Entry::OrderSettled { .. })), 1);
}

#[test]
fn payment_pin_wrong_or_locked_charges_nothing() {
    let mut fixture = Fixture::new();
    fixture.begin_by_card();
    fixture.open_bills();
    for intent in [Intent::ToggleRow(0), Intent::Primary, Intent::Primary] {
        fixture.touch(intent);
    }
    let enter = |fixture: &mut Fixture| {
        for digit in [6, 5, 4, 3, 2, 1] {
            fixture.touch(Intent::PinDigit(digit));
        }
        fixture.touch(Intent::Primary);
        fixture.pending_work().0
    };
    let ticket = enter(&mut fixture);
    fixture.event(Event::WorkAnswered(ticket, Ok(WorkAnswer::Pin(PinAnswer::Wrong { tries_left: 2 }))));
    match fixture.view().body {
        Body::Pin(pad) => assert!(pad.problem.is_some() && pad.entered == 0),
        other => panic!("{other:?}"),
    }
    let ticket = enter(&mut fixture);
    fixture.event(Event::WorkAnswered(ticket, Ok(WorkAnswer::Pin(PinAnswer::Locked))));
    assert_eq!(fixture.shown_outcome().headline, TextId::PinLocked.into());
    assert!(fixture.charges().is_empty());
}

/// A visit whose payment is being checked, left for the menu.
fn menu_while_checking(fixture: &mut Fixture) -> contract::OrderId {
    let order = fixture.charge();
    fixture.lose_answer(order);
    assert_eq!(fixture.title(), TextId::CheckingTitle);
    fixture.touch(Intent::Home);
    assert_eq!(fixture.title(), TextId::MenuTitle);
    order
}

fn has_checking_banner(fixture: &Fixture) -> bool {
    let words = view::Text::With(TextId::MenuChecking, vec!["¥86.40".into()]);
    fixture.view().banners.iter().any(|banner| banner.title == words)
}

#[test]
fn payment_left_for_the_menu_is_shown_there_until_known() {
    let mut fixture = Fixture::new();
    let order = menu_while_checking(&mut fixture);
    assert!(has_checking_banner(&fixture));
    fixture.settle_as_paid(order);
    assert_eq!(fixture.title(), TextId::PaidTitle);
    assert_eq!(fixture.shown_outcome().amount.as_deref(), Some("¥86.40"));
    assert_eq!(fixture.prints().len(), 1, "the receipt is printed while the visit lasts");
    fixture.touch(Intent::Primary);
    assert_eq!(fixture.title(), TextId::MenuTitle);
    assert!(!has_checking_banner(&fixture));
}

#[test]
fn outcome_known_during_another_service_is_shown_after_it() {
    let mut fixture = Fixture::new();
    let order = menu_while_checking(&mut fixture);
    fixture.open("水费缴纳");
    fixture.event(Event::PaymentAnswered(order, void(VoidReason::Declined)));
    assert_eq!(fixture.shown_outcome().kind, OutcomeKind::Working, "the query goes on");
    fixture.answer_rows(&[]);
    fixture.touch(Intent::Primary);
    assert_eq!(fixture.title(), TextId::NotPaidTitle);
    fixture.touch(Intent::Primary);
    assert_eq!(fixture.title(), TextId::MenuTitle, "it is shown once");
}

#[test]
fn payment_left_for_the_menu_is_in_the_last_notice() {
    let mut fixture = Fixture::new();
    let order = menu_while_checking(&mut fixture);
    fixture.touch(Intent::EndVisit);
    assert_eq!(fixture.title(), TextId::ClosingTitle);
    assert_eq!(fixture.shown_outcome().kind, OutcomeKind::Checking);
    fixture.settle_as_paid(order);
    assert_eq!(fixture.shown_outcome().kind, OutcomeKind::Done);
    assert_eq!(fixture.prints().len(), 1);
}

#[test]
fn unseen_outcome_is_in_the_last_notice() {
    let mut fixture = Fixture::new();
    let order = menu_while_checking(&mut fixture);
    fixture.open_bills();
    fixture.event(Event::PaymentAnswered(order, void(VoidReason::Declined)));
    fixture.touch(Intent::EndVisit);
    assert_eq!(fixture.title(), TextId::ClosingTitle);
    assert_eq!(fixture.shown_outcome().headline, TextId::NotPaid.into());
}

#[test]
fn order_too_long_for_a_record_is_not_created() {
    let mut fixture = Fixture::new();
    let service = WATER.replace("max = 2", "max = 255");
    assert_ne!(service, WATER);
    fixture.offer(&service);
    fixture.begin_by_code(1);
    fixture.open("水费缴纳");
    // Each value is as long as the platform may answer, and each of its characters takes two bytes in a record.
    let long = "\"".repeat(200);
    let keys: Vec<String> = (0..200).map(|at| format!("{at}{long}")[..200].to_owned()).collect();
    let rows: Vec<[(&str, &str); 4]> = keys
        .iter()
        .map(|key| [("bill", &**key), ("payee", &long), ("period", &long), ("amount", "1")])
        .collect();
    fixture.answer_rows(&rows.iter().map(<[_; 4]>::as_slice).collect::<Vec<_>>());
    for row in 0..200 {
        fixture.touch(Intent::ToggleRow(row));
    }
    fixture.touch(Intent::Primary);
    fixture.touch(Intent::Primary);
    assert_eq!(fixture.shown_outcome().headline, TextId::Nonsense.into());
    assert!(fixture.charges().is_empty() && fixture.count(|e| matches!(e, Entry::OrderCreated { .. })) == 0);
}
