//! A journal that is damaged, behind or restored from a copy, and a platform restored from a backup: service goes on, and what
//! exists is delivered (I2, I7, I8).

use contract::{Entry, Settlement};
use journal::Disk as _;
use view::{Body, LinkStatus};

use crate::fixture::{ChargeOutcome, Fixture, SharedDisk};
use crate::platform::Platform;

/// A copy of the disk as it is now.
fn copy_of(disk: &SharedDisk) -> SharedDisk {
    let copy = SharedDisk::default();
    *copy.lock() = disk.lock().clone();
    copy
}

fn segments(disk: &mut SharedDisk) -> Vec<String> {
    let mut names = disk.list().unwrap();
    names.sort();
    names
}

/// Several lives of a kiosk, each with a visit, of which no record is delivered. Returns its disk and the platform.
fn lives_without_delivery(count: u128) -> (SharedDisk, Platform) {
    let mut bench = Fixture::new();
    for life in 0..count {
        bench.holds_records = true;
        bench.answer_all(ChargeOutcome::Answered);
        bench.visit(ChargeOutcome::Answered);
        let Fixture { engine, disk, platform, .. } = bench;
        drop(engine);
        disk.lock().power_cut(5);
        bench = Fixture::start_on(disk, platform, life + 2);
    }
    let Fixture { disk, platform, .. } = bench;
    (disk, platform)
}

fn closed_visits(platform: &Platform) -> usize {
    platform.count(|entry| matches!(entry, Entry::VisitClosed { .. }))
}

/// A visit is made and delivered: the kiosk serves, and its records arrive.
fn assert_serves(bench: &mut Fixture, context: &str) {
    let before = closed_visits(&bench.platform);
    bench.visit(ChargeOutcome::Answered);
    bench.finish_open_work();
    assert!(matches!(bench.view().body, Body::Welcome(_)), "{context}: not ready");
    assert_eq!(bench.view().header.link, LinkStatus::Online, "{context}: offline");
    assert!(closed_visits(&bench.platform) > before, "{context}: the visit did not arrive");
}

#[test]
fn rot_in_an_unsent_segment_does_not_stop_the_upload() {
    let (mut disk, platform) = lives_without_delivery(4);
    let names = segments(&mut disk);
    for name in &names {
        let disk = copy_of(&disk);
        let end = disk.lock().file_len(name);
        disk.lock().flip_bit(name, end - 200);
        let mut bench = Fixture::start_on(disk, platform.clone(), 90);
        bench.finish_open_work();
        let arrived = closed_visits(&bench.platform);
        assert!(arrived >= 3, "{name}: {arrived} visits arrived");
        assert_serves(&mut bench, name);
        assert!(bench.platform.missing.len() <= 1, "{name}");
    }
}

#[test]
fn unreadable_segment_does_not_stop_service() {
    let (mut disk, platform) = lives_without_delivery(3);
    for name in segments(&mut disk) {
        let disk = copy_of(&disk);
        disk.lock().fail_reads(&name);
        let mut bench = Fixture::start_on(disk, platform.clone(), 90);
        assert!(!bench.is_out_of_service(), "{name}");
        bench.finish_open_work();
        assert_serves(&mut bench, &name);
    }
}

#[test]
fn disk_restored_from_a_copy_forks_once_and_is_delivered() {
    let mut bench = Fixture::new();
    bench.answer_all(ChargeOutcome::Answered);
    bench.visit(ChargeOutcome::Answered);
    bench.finish_open_work();
    let copy = copy_of(&bench.disk);
    for _ in 0..3 {
        bench.visit(ChargeOutcome::Answered);
        bench.finish_open_work();
    }
    let platform = bench.platform.clone();
    let mut restored = Fixture::start_on(copy, platform, 90);
    restored.holds_records = true;
    restored.answer_all(ChargeOutcome::Answered);
    restored.visit(ChargeOutcome::Answered);
    restored.holds_records = false;
    let before = closed_visits(&restored.platform);
    restored.finish_open_work();
    assert_eq!(restored.platform.forks, 1, "each batch of the old epoch would be refused");
    assert_eq!(
        closed_visits(&restored.platform),
        before + 1,
        "the visit that only the copy has arrives once"
    );
    assert_serves(&mut restored, "restored disk");
    assert_eq!(restored.platform.forks, 1);
    // Also for the next process.
    let Fixture { disk, platform, .. } = restored;
    let mut next = Fixture::start_on(disk, platform, 91);
    next.finish_open_work();
    assert_serves(&mut next, "after a restart");
    assert_eq!(next.platform.forks, 1);
}

#[test]
fn platform_restored_from_a_backup_gets_what_it_lost() {
    let mut bench = Fixture::new();
    bench.answer_all(ChargeOutcome::Answered);
    bench.visit(ChargeOutcome::Answered);
    bench.finish_open_work();
    let backup = bench.platform.clone();
    bench.visit(ChargeOutcome::Answered);
    bench.finish_open_work();
    let entries = bench.platform.entries.len();
    bench.platform = backup;
    assert!(bench.platform.entries.len() < entries);
    assert_serves(&mut bench, "restored platform");
    assert!(bench.platform.entries.len() > entries, "everything is sent again");
    assert_eq!((bench.platform.forks, bench.platform.missing.len()), (0, 0));
}

#[test]
fn restored_feed_with_a_lower_cursor_keeps_the_kiosk_online() {
    let mut bench = Fixture::new();
    bench.answer_all(ChargeOutcome::Answered);
    let more = bench.platform.feed[0].clone();
    bench.platform.feed.extend(std::iter::repeat_n(more, 5));
    bench.finish_open_work();
    bench.platform.feed.truncate(1);
    for _ in 0..20 {
        bench.advance(60_000);
        bench.answer_all(ChargeOutcome::Answered);
        assert_eq!(bench.view().header.link, LinkStatus::Online);
    }
    assert_serves(&mut bench, "restored feed");
}

#[test]
fn open_order_survives_restarts_after_damage() {
    let mut bench = Fixture::new();
    bench.answer_all(ChargeOutcome::Answered);
    bench.link_up = false;
    bench.visit(ChargeOutcome::RequestLost);
    let order = bench.charges[0];
    for full in [true, false, true, false, true] {
        // Each time that it becomes nearly full, a record.
        bench.event(session::Event::JournalNearlyFull(full));
    }
    let Fixture { mut disk, platform, .. } = bench;
    // Rot in the last record but one: it cannot be read, and everything before it can.
    let name = segments(&mut disk).pop().unwrap();
    let end = disk.lock().file_len(&name);
    disk.lock().flip_bit(&name, end - 200);
    for life in 2..5 {
        let second = Fixture::start_on(disk.clone(), platform.clone(), life);
        assert_eq!(second.inquiries, [order], "life {life}");
        drop(second);
        disk.lock().power_cut(3);
    }
    let mut last = Fixture::start_on(disk, platform, 9);
    last.finish_open_work();
    let settled = |entry: &Entry| matches!(entry, Entry::OrderSettled { order: of, settlement: Settlement::Void { .. } } if *of == order);
    assert_eq!(last.platform.count(settled), 1);
}

#[test]
fn quiet_kiosk_sends_both_epochs_to_a_restored_platform() {
    let mut bench = Fixture::new();
    bench.platform.feed_epoch = Some(1);
    bench.finish_open_work();
    let mut backup = bench.platform.clone();
    (backup.feed_epoch, backup.has_whole_log) = (Some(2), false);
    bench.visit(ChargeOutcome::Answered);
    bench.finish_open_work();
    // Rot near the end of the log begins a new epoch.
    let (mut disk, platform) = (bench.disk.clone(), bench.platform.clone());
    drop(bench);
    let name = segments(&mut disk).pop().unwrap();
    let end = disk.lock().file_len(&name);
    disk.lock().flip_bit(&name, end - 200);
    let mut bench = Fixture::start_on(disk, platform, 7);
    bench.visit(ChargeOutcome::Answered);
    bench.finish_open_work();
    assert!(bench.platform.has_whole_log, "the cache was lost, so the log is compared");
    let closed = closed_visits(&bench.platform);
    assert_eq!(closed, 2);

    bench.platform = backup;
    assert_eq!(closed_visits(&bench.platform), 0);
    bench.finish_open_work();
    assert!(bench.platform.has_whole_log, "no record was made, and everything was sent");
    assert!(closed_visits(&bench.platform) >= 1);
    assert_eq!((bench.platform.forks, bench.platform.missing.len()), (0, 0));
    // Known after a restart: nothing is compared again.
    bench.platform.has_whole_log = false;
    let (disk, platform, cached) = (bench.disk.clone(), bench.platform.clone(), bench.cached.clone());
    let mut next = Fixture::with_cache(disk, platform, 8, cached);
    next.finish_open_work();
    assert!(!next.platform.has_whole_log);
}
