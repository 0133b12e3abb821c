//! Orders whose outcome their kiosk has not recorded: it may have lost its records of them, and asks.

use contract::{
    ChargeRequest, ChargeState, Entry, HttpMethod, OrderId, PrintForm, ProblemCode, Receipt, ReceiptId,
    Settlement, UnixMs, UnreportedOrder, UnreportedOrdersAnswer, VisitId, VoidReason, routes,
};
use server::PlatformRequest;

use crate::fixture::{CityFixture, TestKiosk, ZHANG_GUIYING, answer_or_problem};
use crate::records::{self, KioskLog};
use crate::restore::RestorableCity;

fn list(city: &mut CityFixture, kiosk: TestKiosk) -> Result<UnreportedOrdersAnswer, ProblemCode> {
    let path = routes::UNREPORTED_ORDERS.path;
    let (id, key) = (kiosk.name(), kiosk.key());
    let request = PlatformRequest::signed(HttpMethod::Get, path, Vec::new(), id, &key, city.now);
    let reply = city.handle(&request);
    answer_or_problem(&city.complete(reply))
}

fn listed(city: &mut CityFixture, kiosk: TestKiosk) -> Vec<OrderId> {
    let answer = list(city, kiosk).unwrap();
    assert!(!answer.more);
    answer.orders.iter().map(|order| order.order).collect()
}

/// A charged order of the first kiosk.
fn charged(city: &mut CityFixture) -> ChargeRequest {
    let request = city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
    city.charge(TestKiosk::One, &request).unwrap();
    request
}

fn record(city: &mut CityFixture, epoch: u64, entries: &[Entry]) {
    let mut log = KioskLog::new(TestKiosk::One, epoch);
    for entry in entries {
        log.append_entry(entry);
    }
    records::send(city, TestKiosk::One, &log.batch(0, entries.len())).unwrap();
}

fn paid(order: OrderId) -> Entry {
    let settlement = Settlement::Paid { reference: "A".into(), at: UnixMs(1) };
    Entry::OrderSettled { order, settlement }
}

fn receipt(order: OrderId) -> Entry {
    let content = Receipt { title: "t".into(), lines: Vec::new(), number: String::new(), code: None };
    Entry::ReceiptIssued {
        receipt: ReceiptId::from_entropy(1),
        visit: VisitId::from_entropy(2),
        order: Some(order),
        content,
        form: PrintForm::Receipt,
    }
}

#[test]
fn charged_order_is_listed_for_its_kiosk_with_its_content() {
    let mut city = CityFixture::new();
    assert_eq!(listed(&mut city, TestKiosk::One), []);
    let request = charged(&mut city);
    let answer = list(&mut city, TestKiosk::One).unwrap();
    assert_eq!((answer.more, answer.now), (false, city.now));
    let [UnreportedOrder { order, items, total, method, .. }] = answer.orders.as_slice() else {
        panic!("{} orders", answer.orders.len());
    };
    assert_eq!(
        (order, items, total, method),
        (&request.order, &request.items, &request.total, &request.method)
    );
    assert_eq!(listed(&mut city, TestKiosk::Two), [], "of another kiosk");
    // A repeated request is answered, and the order is listed once.
    city.charge(TestKiosk::One, &request).unwrap();
    assert_eq!(listed(&mut city, TestKiosk::One), [request.order]);
}

#[test]
fn paid_order_is_reported_with_its_receipt() {
    let mut city = CityFixture::new();
    let order = charged(&mut city).order;
    record(&mut city, 1, &[paid(order)]);
    assert_eq!(listed(&mut city, TestKiosk::One), [order], "the receipt may be lost");
    record(&mut city, 2, &[receipt(order)]);
    assert_eq!(listed(&mut city, TestKiosk::One), []);
    city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
    assert_eq!(listed(&mut city, TestKiosk::One), []);
}

#[test]
fn order_is_reported_by_a_record_that_is_stated_again() {
    let mut city = CityFixture::new();
    let order = charged(&mut city).order;
    let record_again = Box::new(receipt(order));
    let restated = Entry::Restated { epoch: 1, seq: 1, time: UnixMs(1), record: record_again };
    record(&mut city, 2, &[restated]);
    assert_eq!(listed(&mut city, TestKiosk::One), []);
}

#[test]
fn void_order_is_reported_with_its_outcome() {
    let mut city = CityFixture::new();
    let order = charged(&mut city).order;
    let settlement = Settlement::Void { reason: VoidReason::Declined };
    record(&mut city, 1, &[Entry::OrderSettled { order, settlement }]);
    assert_eq!(listed(&mut city, TestKiosk::One), []);
}

#[test]
fn refused_order_and_record_of_another_kiosk_change_nothing() {
    let mut city = CityFixture::new();
    let mut refused = city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
    refused.items[0].payee = "别家".into();
    assert_eq!(city.charge(TestKiosk::One, &refused), Err(ProblemCode::BillChanged));
    assert_eq!(listed(&mut city, TestKiosk::One), [], "nothing was charged");
    let order = charged(&mut city).order;
    let mut log = KioskLog::new(TestKiosk::Two, 1);
    log.append_entry(&receipt(order));
    records::send(&mut city, TestKiosk::Two, &log.batch(0, 1)).unwrap();
    assert_eq!(listed(&mut city, TestKiosk::One), [order]);
}

#[test]
fn list_is_unavailable_while_the_platform_recovers() {
    let mut restorable = RestorableCity::new();
    let order = charged(&mut restorable.city).order;
    restorable.back_up();
    record(&mut restorable.city, 1, &[paid(order), receipt(order)]);
    restorable.restore();
    // It has forgotten that the order is reported.
    assert_eq!(list(&mut restorable.city, TestKiosk::One), Err(ProblemCode::Unavailable));
}

#[test]
fn late_charge_request_of_a_reported_order_is_not_listed() {
    let mut restorable = RestorableCity::new();
    let request = restorable.city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
    restorable.back_up();
    let void = Settlement::Void { reason: VoidReason::Fenced };
    let fenced = ChargeState::Settled { settlement: void.clone() };
    assert_eq!(restorable.city.inquire(TestKiosk::One, request.order), Ok(fenced.clone()));
    restorable.restore_and_recover();
    // The kiosk sends its log again, and then its first charge request arrives at last.
    record(&mut restorable.city, 1, &[Entry::OrderSettled { order: request.order, settlement: void }]);
    assert_eq!(restorable.city.charge(TestKiosk::One, &request), Ok(fenced));
    assert_eq!(listed(&mut restorable.city, TestKiosk::One), []);
}
