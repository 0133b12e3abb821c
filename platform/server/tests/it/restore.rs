//! A platform whose database was restored from a backup charges nobody twice (I1).

use std::path::PathBuf;

use contract::{
    ChangesAnswer, ChargeRequest, ChargeState, Entry, Head, LogEnds, OrderId, ProblemCode, Pseudonym,
    RecordBatch, Settlement, VisitId, VoidReason,
};
use contract::{HttpMethod, routes};
use rusqlite::Connection;
use sandbox::acquirer::AcquirerChargeRequest;
use server::recovery::backup::{BackupError, DatabaseLock, back_up, restore};
use server::recovery::generation_file::GenerationFile;
use server::recovery::{ConfirmRecoveryError, confirm_recovery};
use server::{PeerAnswer, PeerUnreachable, Platform, PlatformReply, PlatformRequest, PlatformSetup};
use tempfile::TempDir;

use crate::charges;
use crate::fixture::{CityFixture, TestKiosk, ZHANG_GUIYING, answer_or_problem, setup};
use crate::records::{self, KioskLog};

/// A city whose platform has a database file and a backup of it.
pub(crate) struct RestorableCity {
    pub(crate) city: CityFixture,
    directory: TempDir,
    setup: fn() -> PlatformSetup,
}

impl RestorableCity {
    pub(crate) fn new() -> Self {
        Self::with(setup)
    }

    pub(crate) fn with(setup: fn() -> PlatformSetup) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut city = Self { city: CityFixture::with(setup()), directory, setup };
        city.start();
        city
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Starts the platform as the program does.
    fn start(&mut self) {
        let path = self.file("platform.db");
        let file = GenerationFile::beside(&path);
        let db = Connection::open(&path).unwrap();
        let (platform, generation) =
            Platform::open_at_generation(db, (self.setup)(), file.read().unwrap()).unwrap();
        file.write(generation).unwrap();
        self.city.platform = platform;
    }

    pub(crate) fn back_up(&self) {
        back_up(&self.file("platform.db"), &self.file("backup.db"), self.city.now).unwrap();
    }

    pub(crate) fn restore(&mut self) {
        self.city.platform = Platform::open(Connection::open_in_memory().unwrap(), (self.setup)()).unwrap();
        restore(&self.file("platform.db"), &self.file("backup.db"), self.city.now).unwrap();
        self.start();
    }

    /// Restores, and gives the recovery all that it waits for.
    pub(crate) fn restore_and_recover(&mut self) {
        self.restore();
        self.run_due_calls();
        for kiosk in [TestKiosk::One, TestKiosk::Two, TestKiosk::Gate] {
            self.send_log(kiosk, &[]);
        }
        self.run_due_calls();
        assert!(!self.is_recovering());
    }

    /// Makes the calls that are due now, twice: some lead to others.
    pub(crate) fn run_due_calls(&mut self) {
        for _ in 0..2 {
            self.city.advance(10_000);
            for call in self.city.platform.due_calls(self.city.now) {
                self.city.complete(PlatformReply::CallPeer(call));
            }
        }
        self.city.platform.due_calls(self.city.now);
    }

    /// A kiosk sends a log with these entries, and a record of now at its end.
    pub(crate) fn send_log(&mut self, kiosk: TestKiosk, entries: &[Entry]) {
        let mut log = KioskLog::new(kiosk, self.city.now.0);
        log.clock = self.city.now;
        let last = Entry::ClockSynchronised { platform: self.city.now, offset_ms: 0 };
        for entry in entries.iter().chain([&last]) {
            log.append_entry(entry);
        }
        records::send(&mut self.city, kiosk, &log.batch(0, entries.len() + 1)).unwrap();
    }

    /// The feed as a kiosk with this position gets it.
    fn changes(&mut self, since: u64, feed: Option<u64>) -> ChangesAnswer {
        let target = routes::changes_target(since, feed);
        let key = TestKiosk::One.key();
        let now = self.city.now;
        let request = PlatformRequest::signed(HttpMethod::Get, target, Vec::new(), "K-1", &key, now);
        let reply = self.city.handle(&request);
        answer_or_problem(&self.city.complete(reply)).unwrap()
    }

    /// A kiosk sends these records of its log, and nothing else.
    fn send(&mut self, kiosk: TestKiosk, batch: &RecordBatch) {
        records::send(&mut self.city, kiosk, batch).unwrap();
    }

    /// A kiosk states the ends of its log to the platform of this feed.
    fn state_ends(&mut self, kiosk: TestKiosk, feed: Option<u64>, logs: &[&KioskLog]) {
        let heads: Vec<Head> = logs.iter().map(|log| log.end()).collect();
        let last = usize::try_from(heads.last().unwrap().seq).unwrap();
        let ends = LogEnds { feed: feed.unwrap(), heads };
        let batch = RecordBatch { log: Some(ends), ..logs.last().unwrap().batch(last, last) };
        self.send(kiosk, &batch);
    }

    pub(crate) fn is_recovering(&mut self) -> bool {
        self.city.page("/admin").1.contains("数据库由备份恢复")
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
        let booked = city.departments.bookings_of(&item.key);
        assert_eq!((booked.len(), booked[0].amount), (1, item.amount.fen()));
    }
    assert!(city.page("/admin/orders").1.contains(&format!(r#""total_fen":{}"#, request.total.fen())));
}

#[test]
fn unknown_order_has_no_answer_without_the_acquirer() {
    let mut city = CityFixture::new();
    let request = city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
    let inquiry = contract::InquiryRequest { order: request.order };
    for result in [Err(PeerUnreachable), Ok(PeerAnswer::unsigned(500, Vec::new()))] {
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
    let city = &mut restorable.city;
    let lost = city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
    let second = city.charge_request(TestKiosk::Two, ZHANG_GUIYING, 0);
    restorable.back_up();
    let city = &mut restorable.city;
    assert!(is_paid(&city.charge(TestKiosk::One, &lost)));
    restorable.restore();
    // The second charge stands for one that a platform without this protection has made.
    let city = &mut restorable.city;
    let item = &second.items[0];
    let charge = AcquirerChargeRequest {
        order: second.order.to_string(),
        total: item.amount.fen(),
        account: "resident-1".into(),
        method: "card-account".into(),
        bills: vec![item.key.clone()],
        amounts: vec![item.amount.fen()],
        terminal: "K-2".into(),
    };
    city.acquirer.charge(&charge, true, city.now.0).unwrap();
    restorable.run_due_calls();
    let city = &mut restorable.city;
    assert!(is_paid(&city.inquire(TestKiosk::One, lost.order)));
    assert!(is_paid(&city.inquire(TestKiosk::Two, second.order)));
    assert!(city.page("/admin").1.contains("refund one of them"));
}

/// A platform that is restored to a time when an order was on its way to the acquirer, which then declined or charged it. Another
/// order for the same bill was charged since. Returns the city and the two orders.
fn restored_to_an_order_on_its_way(is_charged: bool) -> (RestorableCity, ChargeRequest, ChargeRequest) {
    let mut restorable = RestorableCity::new();
    let city = &mut restorable.city;
    let first = city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
    let call = charges::charge_until_acquirer_call(city, TestKiosk::One, &first);
    restorable.back_up();
    let city = &mut restorable.city;
    let sent: AcquirerChargeRequest = serde_json::from_slice(&call.body).unwrap();
    // Declined: the platform learns it and releases the bill. Charged: as if it had released the bill without asking.
    city.acquirer.charge(&sent, is_charged, city.now.0).unwrap();
    let second = city.charge_request(TestKiosk::Two, ZHANG_GUIYING, 0);
    let order = second.order.to_string();
    let charge = AcquirerChargeRequest { order, terminal: "K-2".into(), ..sent };
    city.acquirer.charge(&charge, true, city.now.0).unwrap();
    restorable.restore_and_recover();
    restorable.city.run_background_jobs();
    (restorable, first, second)
}

#[test]
fn lost_order_is_booked_although_another_was_on_its_way() {
    let (mut restorable, first, second) = restored_to_an_order_on_its_way(false);
    let city = &mut restorable.city;
    assert_eq!(city.inquire(TestKiosk::One, first.order), void(VoidReason::Declined));
    let booked = city.departments.bookings_of(&second.items[0].key);
    assert_eq!(booked.len(), 1);
    assert_eq!(booked[0].order, second.order.to_string());
    assert!(!city.page("/admin").1.contains("refund one of them"));
    let again = city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
    let again = ChargeRequest { items: first.items, total: first.total, ..again };
    assert_eq!(city.charge(TestKiosk::One, &again), Err(ProblemCode::BillSettled));
}

#[test]
fn charged_order_on_its_way_in_the_backup_is_an_incident() {
    let (mut restorable, first, second) = restored_to_an_order_on_its_way(true);
    let city = &mut restorable.city;
    assert!(is_paid(&city.inquire(TestKiosk::One, first.order)));
    assert!(is_paid(&city.inquire(TestKiosk::Two, second.order)));
    assert_eq!(city.departments.bookings_of(&second.items[0].key).len(), 1);
    assert!(city.page("/admin").1.contains("refund one of them"));
}

#[test]
fn charge_backup_restore_recovery_and_charge_again() {
    let mut restorable = RestorableCity::new();
    let city = &mut restorable.city;
    let before = city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
    let paid_before = city.charge(TestKiosk::One, &before);
    assert!(is_paid(&paid_before));
    restorable.back_up();
    let city = &mut restorable.city;
    let lost = city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
    let paid_lost = city.charge(TestKiosk::One, &lost);
    assert!(is_paid(&paid_lost));

    restorable.restore();
    assert!(restorable.is_recovering());
    let city = &mut restorable.city;
    assert_eq!(city.inquire(TestKiosk::One, before.order), paid_before);
    assert_eq!(city.inquire(TestKiosk::One, lost.order), paid_lost, "paid, never void");
    let key = city.visit_by_card(TestKiosk::Two, ZHANG_GUIYING).key.clone();
    let rows = city.bills(TestKiosk::Two, &key);
    let early = crate::fixture::order_for(OrderId::from_entropy(70), key.clone(), &rows[..1]);
    assert_eq!(city.charge(TestKiosk::Two, &early), Err(ProblemCode::Unavailable));
    // The kiosk inquires about an order without an answer, and this one was never charged.
    assert_eq!(city.inquire(TestKiosk::Two, early.order), void(VoidReason::Fenced));

    restorable.run_due_calls();
    assert!(restorable.is_recovering(), "the kiosks' logs are not there");
    restorable.send_log(TestKiosk::One, &[]);
    restorable.send_log(TestKiosk::Two, &[]);
    restorable.run_due_calls();
    assert!(restorable.is_recovering(), "one kiosk is missing");
    restorable.send_log(TestKiosk::Gate, &[]);
    restorable.run_due_calls();
    assert!(!restorable.is_recovering());

    let city = &mut restorable.city;
    let later = ChargeRequest { order: OrderId::from_entropy(71), ..early };
    assert!(is_paid(&city.charge(TestKiosk::Two, &later)));
    let twice = ChargeRequest { order: OrderId::from_entropy(72), key, ..lost.clone() };
    assert_eq!(city.charge(TestKiosk::Two, &twice), Err(ProblemCode::BillSettled));
    city.run_background_jobs();
    for request in [before, lost, later] {
        assert_eq!(city.orders_charged_for(&request.items[0].key), [request.order.to_string()]);
        assert_eq!(city.departments.bookings_of(&request.items[0].key).len(), 1);
    }
    // The recovery is over also for the next start.
    restorable.start();
    assert!(!restorable.is_recovering());
}

#[test]
fn listed_charge_is_known_before_the_kiosk_inquires() {
    let mut restorable = RestorableCity::new();
    restorable.back_up();
    let city = &mut restorable.city;
    let lost = city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
    assert!(is_paid(&city.charge(TestKiosk::One, &lost)));
    restorable.restore_and_recover();
    assert!(restorable.city.page("/admin/orders").1.contains(&lost.order.to_string()));
}

#[test]
fn order_in_a_log_has_its_outcome_before_recovery_ends() {
    let mut restorable = RestorableCity::new();
    restorable.back_up();
    let city = &mut restorable.city;
    let request = city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
    restorable.restore();
    restorable.run_due_calls();
    let created = Entry::OrderCreated {
        order: request.order,
        visit: VisitId::from_entropy(1),
        resident: Pseudonym::from_entropy(1),
        service: "water.pay".into(),
        items: request.items.clone(),
        total: request.total,
        method: request.method,
    };
    restorable.send_log(TestKiosk::One, &[created]);
    restorable.send_log(TestKiosk::Two, &[]);
    restorable.send_log(TestKiosk::Gate, &[]);
    // The acquirer does not answer the inquiry.
    restorable.city.advance(10_000);
    let calls = restorable.city.platform.due_calls(restorable.city.now);
    assert_eq!(calls.len(), 1);
    restorable.city.resume(&calls[0], Err(PeerUnreachable));
    assert!(restorable.is_recovering());
    restorable.run_due_calls();
    assert!(!restorable.is_recovering());
    // The charge request was held back in the network until now.
    assert_eq!(restorable.city.charge(TestKiosk::One, &request), void(VoidReason::Fenced));
    assert!(restorable.city.orders_charged_for(&request.items[0].key).is_empty());
}

#[test]
fn operator_confirms_missing_kiosks_only_after_the_deadline() {
    let mut restorable = RestorableCity::new();
    restorable.back_up();
    restorable.restore();
    restorable.run_due_calls();
    let db = Connection::open(restorable.file("platform.db")).unwrap();
    let now = restorable.city.now;
    assert!(matches!(confirm_recovery(&db, now), Err(ConfirmRecoveryError::TooEarly(_))));
    confirm_recovery(&db, now.plus_ms(2 * 3_600_000)).unwrap();
    restorable.run_due_calls();
    assert!(!restorable.is_recovering());
    assert!(matches!(confirm_recovery(&db, now), Err(ConfirmRecoveryError::NotRecovering)));
}

#[test]
fn refusal_after_a_restore_is_said_only_when_fenced() {
    let mut restorable = RestorableCity::new();
    restorable.back_up();
    let city = &mut restorable.city;
    let lost = city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
    restorable.restore_and_recover();
    // The charge left before the restore and arrives at the acquirer after the recovery.
    let city = &mut restorable.city;
    let item = &lost.items[0];
    let charge = AcquirerChargeRequest {
        order: lost.order.to_string(),
        total: item.amount.fen(),
        account: "resident-1".into(),
        method: "card-account".into(),
        bills: vec![item.key.clone()],
        amounts: vec![item.amount.fen()],
        terminal: "K-1".into(),
    };
    city.acquirer.charge(&charge, true, city.now.0).unwrap();
    // The visit is not known any more, which would be a final refusal.
    assert!(is_paid(&city.charge(TestKiosk::One, &lost)));
    let unsent = ChargeRequest { order: OrderId::from_entropy(98), ..lost };
    assert_eq!(city.charge(TestKiosk::One, &unsent), Err(ProblemCode::VisitExpired));
}

#[test]
fn changed_backup_or_running_platform_prevents_a_restore() {
    let restorable = RestorableCity::new();
    restorable.back_up();
    let (db, backup) = (restorable.file("platform.db"), restorable.file("backup.db"));
    let now = restorable.city.now;
    assert!(matches!(back_up(&db, &backup, now), Err(BackupError::Exists(_))));
    let lock = DatabaseLock::take(&db).unwrap();
    assert!(matches!(restore(&db, &backup, now), Err(BackupError::InUse(_))));
    drop(lock);
    let whole = std::fs::read(&backup).unwrap();
    let mut rotten = whole.clone();
    rotten[whole.len() / 2] ^= 1;
    for bad in [&rotten[..], &whole[..whole.len() - 1], &[]] {
        std::fs::write(&backup, bad).unwrap();
        assert!(matches!(restore(&db, &backup, now), Err(BackupError::Changed(_))));
    }
    assert_eq!(GenerationFile::beside(&db).read().unwrap(), Some(1), "nothing has changed");
    std::fs::write(&backup, whole).unwrap();
    let restored = restore(&db, &backup, now).unwrap();
    assert_eq!((restored.generation, restored.aside.unwrap().exists()), (2, true));
    std::fs::remove_file(restorable.file("backup.db.manifest")).unwrap();
    assert!(matches!(restore(&db, &backup, now), Err(BackupError::NoManifest(_))));
}

#[test]
fn database_without_its_generation_file_recovers() {
    let mut restorable = RestorableCity::new();
    assert!(!restorable.is_recovering());
    std::fs::remove_file(restorable.file("platform.db.generation")).unwrap();
    restorable.start();
    assert!(restorable.is_recovering());
    restorable.start();
    assert!(restorable.is_recovering());
}

#[test]
fn restored_feed_has_another_epoch_also_at_the_same_cursor() {
    let mut restorable = RestorableCity::new();
    restorable.back_up();
    let before = restorable.changes(0, None);
    assert!(before.feed.is_some() && !before.items.is_empty());
    assert_eq!(
        restorable.changes(before.cursor, before.feed),
        ChangesAnswer { items: vec![], ..before.clone() }
    );
    restorable.start();
    assert_eq!(restorable.changes(0, None).feed, before.feed, "a start is no restore");

    restorable.restore();
    let restored = restorable.changes(before.cursor, before.feed);
    assert_eq!((restored.items.len(), restored.cursor), (0, 0), "the cursor is of another feed");
    assert!(restored.feed.is_some() && restored.feed != before.feed);
    let again = restorable.changes(0, restored.feed);
    assert_eq!((again.items.len(), again.feed), (before.items.len(), restored.feed));
    // A kiosk of version 2 is answered by its cursor.
    assert_eq!(restorable.changes(before.cursor, None).cursor, before.cursor);
}

#[test]
fn copy_without_its_generation_file_has_another_feed_epoch() {
    let mut restorable = RestorableCity::new();
    let mut epochs = vec![restorable.changes(0, None).feed];
    for _ in 0..2 {
        std::fs::remove_file(restorable.file("platform.db.generation")).unwrap();
        restorable.start();
        epochs.push(restorable.changes(0, None).feed);
    }
    epochs.dedup();
    assert_eq!(epochs.len(), 3, "also during a recovery");
}

#[test]
fn quiet_kiosk_returns_by_stating_the_ends_of_its_log() {
    let mut restorable = RestorableCity::new();
    let before = restorable.changes(0, None).feed;
    let kiosks = [TestKiosk::One, TestKiosk::Two, TestKiosk::Gate];
    let logs = kiosks.map(|kiosk| KioskLog::new(kiosk, 1).with_closed_visits(3));
    for (kiosk, log) in kiosks.iter().zip(&logs) {
        restorable.send(*kiosk, &log.batch(0, 2));
    }
    restorable.back_up();
    for (kiosk, log) in kiosks.iter().zip(&logs) {
        restorable.send(*kiosk, &log.batch(2, 3));
    }
    restorable.restore();
    restorable.run_due_calls();
    let feed = restorable.changes(0, None).feed;
    for (kiosk, log) in kiosks.iter().zip(&logs) {
        restorable.state_ends(*kiosk, feed, &[log]);
    }
    restorable.run_due_calls();
    assert!(restorable.is_recovering(), "the last records are missing");
    for (kiosk, log) in kiosks.iter().zip(&logs) {
        restorable.send(*kiosk, &log.batch(2, 3));
        restorable.state_ends(*kiosk, before, &[log]);
    }
    restorable.run_due_calls();
    assert!(restorable.is_recovering(), "stated to the platform before the restore");
    for (kiosk, log) in kiosks.iter().zip(&logs) {
        restorable.state_ends(*kiosk, feed, &[log]);
    }
    restorable.run_due_calls();
    assert!(!restorable.is_recovering());
}

#[test]
fn kiosk_whose_earlier_epoch_is_incomplete_has_not_returned() {
    for states_ends in [false, true] {
        let mut restorable = RestorableCity::new();
        let old = KioskLog::new(TestKiosk::One, 1).with_closed_visits(3);
        restorable.send(TestKiosk::One, &old.batch(0, 2));
        restorable.back_up();
        restorable.send(TestKiosk::One, &old.batch(2, 3));
        restorable.restore();
        restorable.run_due_calls();
        restorable.send_log(TestKiosk::Two, &[]);
        restorable.send_log(TestKiosk::Gate, &[]);
        let feed = restorable.changes(0, None).feed;
        let mut new = KioskLog::new(TestKiosk::One, 2);
        new.clock = restorable.city.now;
        new.open_after(old.end());
        new.append_entry(&Entry::ClockSynchronised { platform: new.clock, offset_ms: 0 });
        restorable.send(TestKiosk::One, &new.batch(0, 2));
        if states_ends {
            restorable.state_ends(TestKiosk::One, feed, &[&old, &new]);
        }
        restorable.run_due_calls();
        assert!(restorable.is_recovering(), "the end of the earlier epoch is missing");
        restorable.send(TestKiosk::One, &old.batch(2, 3));
        if states_ends {
            restorable.state_ends(TestKiosk::One, feed, &[&old, &new]);
        } else {
            new.append_entry(&Entry::ClockSynchronised { platform: new.clock, offset_ms: 0 });
            restorable.send(TestKiosk::One, &new.batch(2, 3));
        }
        restorable.run_due_calls();
        assert!(!restorable.is_recovering());
    }
}
