//! Orders whose records are lost: the platform is asked for them, and each gets its outcome and its receipt (I1, I6).

use contract::{Entry, OrderId, Settlement, UnixMs};
use engine::{InputEvent, Output, UplinkAnswer};
use journal::Disk as _;

use crate::fixture::{ChargeOutcome, Fixture, SharedDisk};
use crate::platform::Platform;

/// A kiosk that ended after it had charged an order, of which no record is delivered. Returns its disk, the platform and the
/// order.
fn life_with_an_unsent_order(charge: ChargeOutcome) -> (SharedDisk, Platform, OrderId) {
    let mut bench = Fixture::new();
    bench.answer_all(ChargeOutcome::Answered);
    bench.holds_records = true;
    bench.visit(charge);
    let order = bench.charges[0];
    let Fixture { engine, disk, platform, .. } = bench;
    drop(engine);
    disk.lock().power_cut(5);
    (disk, platform, order)
}

/// The newest segment, and its length.
fn newest_segment(disk: &mut SharedDisk) -> (String, usize) {
    let name = disk.list().unwrap().into_iter().max().unwrap();
    let length = disk.lock().file_len(&name);
    (name, length)
}

fn count_paid(platform: &Platform, of: OrderId) -> usize {
    let paid = |entry: &Entry| matches!(entry, Entry::OrderSettled { order, settlement: Settlement::Paid { .. } } if *order == of);
    platform.count(paid)
}

fn count_receipts(platform: &Platform, of: OrderId) -> usize {
    platform.count(|entry| matches!(entry, Entry::ReceiptIssued { order: Some(order), .. } if *order == of))
}

#[test]
fn charged_order_has_outcome_and_receipt_wherever_rot_is() {
    let mut recovered = 0;
    for charge in [ChargeOutcome::Answered, ChargeOutcome::AnswerLost] {
        let (mut original, platform, order) = life_with_an_unsent_order(charge);
        let (name, length) = newest_segment(&mut original);
        for at in (0..length).step_by(61) {
            let disk = SharedDisk::default();
            *disk.lock() = original.lock().clone();
            disk.lock().flip_bit(&name, at);
            let mut bench = Fixture::start_on(disk, platform.clone(), 9);
            bench.finish_open_work();
            let found = (
                bench.platform.charged[&order],
                count_paid(&bench.platform, order),
                count_receipts(&bench.platform, order),
            );
            assert_eq!(found, (1, 1, 1), "{charge:?}, rot at {at} of {length}: charged, paid, receipts");
            recovered += bench.platform.count(|entry| matches!(entry, Entry::OrderRecovered { .. }));
        }
    }
    assert!(recovered > 10, "{recovered} times the order was lost");
}

#[test]
fn platform_is_asked_until_no_charge_can_be_late() {
    let mut bench = Fixture::new();
    bench.finish_open_work();
    bench.advance(20 * 60_000);
    bench.finish_open_work();
    for _ in 0..10 {
        bench.advance(180_000);
        bench.finish_open_work();
    }
    let reconciled = |bench: &Fixture| bench.platform.count(|entry| *entry == Entry::OrdersReconciled);
    assert_eq!(reconciled(&bench), 1);
    let asked = bench.platform.reconciliations;
    assert!((3..20).contains(&asked), "{asked} times");
    bench.visit(ChargeOutcome::Answered);
    bench.finish_open_work();
    let Fixture { disk, platform, .. } = bench;
    let mut next = Fixture::start_on(disk, platform, 3);
    for _ in 0..10 {
        next.advance(180_000);
        next.finish_open_work();
    }
    assert_eq!(next.platform.reconciliations, asked, "nothing is missing after an orderly start");
    assert_eq!(next.platform.count(|entry| matches!(entry, Entry::OrderRecovered { .. })), 0);
}

#[test]
fn order_settled_since_the_request_is_not_recovered() {
    let mut bench = Fixture::new();
    bench.answer_all(ChargeOutcome::Answered);
    let is_request = |out: &Output| matches!(out, Output::Reconcile);
    for _ in 0..20 {
        if bench.pending.iter().any(is_request) {
            break;
        }
        bench.answer_all(ChargeOutcome::Answered);
        bench.advance(30_000);
    }
    let request = bench.pending.iter().position(is_request).expect("the platform is asked");
    bench.pending.remove(request);
    // The platform makes its list when the order is charged, and the answer comes when its outcome is recorded.
    bench.holds_records = true;
    bench.visit(ChargeOutcome::Answered);
    let list = bench.platform.unreported(UnixMs(1));
    assert_eq!(list.orders.len(), 1);
    bench.turn(InputEvent::Uplink(UplinkAnswer::UnreportedOrders(Ok(list))));
    bench.holds_records = false;
    bench.finish_open_work();
    assert_eq!(bench.platform.count(|entry| matches!(entry, Entry::OrderRecovered { .. })), 0);
    assert_eq!(bench.platform.count(|entry| matches!(entry, Entry::OrderSettled { .. })), 1);
}
