//! A platform whose database was restored from a backup charges nobody twice (I1).

use contract::routes;
use contract::{ChargeState, OrderId, ProblemCode, Settlement, VoidReason};
use rusqlite::Connection;
use server::{PeerAnswer, PeerUnreachable, Platform, PlatformReply};
use tempfile::TempDir;

use crate::fixture::{CityFixture, TestKiosk, ZHANG_GUIYING, answer_or_problem, setup};

/// A city whose platform has a database file, of which copies can be made.
struct RestorableCity {
    city: CityFixture,
    directory: TempDir,
}

impl RestorableCity {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let db = Connection::open(directory.path().join("platform.db")).unwrap();
        Self { city: CityFixture::with_database(db, setup()), directory }
    }

    fn back_up(&self) {
        let db = Connection::open(self.directory.path().join("platform.db")).unwrap();
        let copy = self.directory.path().join("backup.db");
        db.execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
    }

    /// Continues with the database of the backup.
    fn restore(&mut self) {
        let db = Connection::open(self.directory.path().join("backup.db")).unwrap();
        self.city.platform = Platform::open(db, setup()).unwrap();
    }
}

fn is_paid(state: &Result<ChargeState, ProblemCode>) -> bool {
    matches!(state, Ok(ChargeState::Settled { settlement: Settlement::Paid { .. } }))
}

fn void(reason: VoidReason) -> Result<ChargeState, ProblemCode> {
    Ok(ChargeState::Settled { settlement: Settlement::Void { reason } })
}

#[test]
fn order_lost_by_a_restore_is_paid_not_void_and_booked() {
    let mut restorable = RestorableCity::new();
    restorable.back_up();
    let city = &mut restorable.city;
    let key = city.visit_by_card(TestKiosk::One, ZHANG_GUIYING).key.clone();
    let rows = city.bills(TestKiosk::One, &key);
    let request = crate::fixture::order_for(OrderId::from_entropy(7), key, &rows[..2]);
    let paid = city.charge(TestKiosk::One, &request);
    assert!(is_paid(&paid));

    restorable.restore();
    let city = &mut restorable.city;
    assert_eq!(city.inquire(TestKiosk::One, request.order), paid);
    assert_eq!(city.inquire(TestKiosk::One, request.order), paid);
    assert_eq!(city.charge(TestKiosk::One, &request), paid);
    let again = city.charge_request(TestKiosk::Two, ZHANG_GUIYING, 0);
    assert_ne!(again.items[0].key, request.items[0].key, "the paid bill is not listed");
    city.run_background_jobs();
    for item in &request.items {
        assert_eq!(city.orders_charged_for(&item.key), [request.order.to_string()]);
        let booked = city.bookings_of(&item.key);
        assert_eq!((booked.len(), booked[0].amount), (1, item.amount.fen()));
    }
    assert!(city.page("/admin/orders").1.contains(&format!(r#""total_fen":{}"#, request.total.fen())));
}

#[test]
fn unknown_order_has_no_answer_without_the_acquirer() {
    let mut city = CityFixture::new();
    let request = city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
    let inquiry = contract::InquiryRequest { order: request.order };
    for result in [Err(PeerUnreachable), Ok(PeerAnswer { status: 500, body: Vec::new() })] {
        let message = city.signed_post(TestKiosk::One, routes::INQUIRIES.path, &inquiry);
        let PlatformReply::CallPeer(call) = city.handle(&message) else {
            panic!("the acquirer must be called")
        };
        let PlatformReply::Answer(response) = city.resume(&call, result) else { panic!("an answer") };
        assert_eq!(answer_or_problem::<ChargeState>(&response), Err(ProblemCode::Unavailable));
    }
    assert_eq!(city.inquire(TestKiosk::One, request.order), void(VoidReason::Fenced));
    assert_eq!(city.charge(TestKiosk::One, &request), void(VoidReason::Fenced));
    assert!(city.orders_charged_for(&request.items[0].key).is_empty());
}

#[test]
fn order_of_another_kiosk_is_entered_but_not_answered() {
    let mut restorable = RestorableCity::new();
    restorable.back_up();
    let city = &mut restorable.city;
    let request = city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
    let paid = city.charge(TestKiosk::One, &request);
    restorable.restore();
    let city = &mut restorable.city;
    assert_eq!(city.inquire(TestKiosk::Two, request.order), Err(ProblemCode::OrderConflict));
    assert_eq!(city.inquire(TestKiosk::One, request.order), paid);
}

#[test]
fn bill_charged_by_two_orders_is_an_incident_after_a_restore() {
    let mut restorable = RestorableCity::new();
    restorable.back_up();
    let city = &mut restorable.city;
    let lost = city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
    assert!(is_paid(&city.charge(TestKiosk::One, &lost)));
    // The second charge stands for one that a platform without this protection has made.
    restorable.restore();
    let city = &mut restorable.city;
    let second = city.charge_request(TestKiosk::Two, ZHANG_GUIYING, 0);
    assert!(is_paid(&city.charge(TestKiosk::Two, &second)));
    assert!(is_paid(&city.inquire(TestKiosk::One, lost.order)));
    assert!(city.page("/admin").1.contains("refund one of them"));
}
