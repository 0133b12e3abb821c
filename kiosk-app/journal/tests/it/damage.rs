//! Damage never stops the journal, and costs no state.

use contract::{Entry, UnixMs};
use faulty_disk::{FaultyDisk, SharedDisk};
use journal::{Disk, JournalConfig, NextRecords};

use crate::journal::{NOW, config, entropy, entry, expected, open, visits};
use crate::state::{Journal, VisitList};

/// A disk with this many segments of three visits each; the visits count from 1.
pub(crate) fn with_segments(count: u64) -> FaultyDisk {
    let mut disk = FaultyDisk::new();
    for segment in 0..count {
        let (mut journal, report) = open(disk, segment + 1);
        assert_eq!((report.damaged_segments, report.torn_bytes), (0, 0));
        for visit in 1..=3 {
            let number = segment * 3 + visit;
            journal.append(&[entry(number)], NOW, &mut entropy(number + 100)).unwrap();
        }
        disk = journal.into_parts().0;
    }
    disk
}

pub(crate) fn segment_names(disk: &mut FaultyDisk) -> Vec<String> {
    let mut names = disk.list().unwrap();
    names.sort();
    names
}

/// The numbers of all records of the first epoch that can be delivered, and where records are missing.
fn deliverable<D: Disk>(journal: &mut Journal<D>, epoch: u64) -> (Vec<u64>, Vec<(u64, u64)>) {
    let (mut seqs, mut missing, mut after, mut failures) = (Vec::new(), Vec::new(), 0, 0);
    for _ in 0..100 {
        match journal.read_after(epoch, after, 5, 1 << 20) {
            Ok(Some(NextRecords::Records(from, records))) => {
                assert_eq!(from.seq, after);
                seqs.extend(records.iter().map(|record| record.header.seq));
                after = seqs.last().copied().unwrap();
            }
            Ok(Some(NextRecords::Missing(resumes))) => {
                missing.push((after, resumes.seq));
                after = resumes.seq;
            }
            Ok(None) => break,
            // Tried again, as by the uplink.
            Err(_) => failures += 1,
        }
        assert!(failures < 10, "after {after} nothing is read, and nothing is missing");
    }
    (seqs, missing)
}

#[test]
fn rot_in_any_segment_costs_no_state_and_blocks_no_delivery() {
    for at in 0..4 {
        let mut disk = with_segments(4);
        let name = segment_names(&mut disk).remove(at);
        let middle = disk.file_len(&name) - 250;
        disk.flip_bit(&name, middle);
        let (mut journal, report) = open(disk, 9);
        let first_epoch = journal.epochs()[0];
        // An older segment is read when it is delivered: then the damage is found.
        let (seqs, missing) = deliverable(&mut journal, first_epoch);
        assert!(report.damaged_segments == 1 || journal.needs_new_epoch(), "segment {at}");
        assert!(missing.len() <= 1 && seqs.len() >= 13, "segment {at}: {seqs:?} {missing:?}");
        if journal.needs_new_epoch() {
            journal.begin_epoch(&[], NOW, &mut entropy(20)).unwrap();
        }
        assert_ne!(journal.head().epoch, first_epoch, "segment {at}: a new epoch begins");
        let state = journal.state().clone();
        assert!(state.0.len() >= 10, "segment {at}: {state:?}");
        if at < 3 {
            assert_eq!(state, VisitList(expected(12)), "segment {at}: older segments hold no state");
        }
        // The state survives all further openings, and the damage is not found again.
        let (disk, _) = journal.into_parts();
        let (journal, report) = open(disk, 10);
        assert_eq!((report.damaged_segments, report.new_epoch), (0, false), "segment {at}");
        assert_eq!(journal.state(), &state);
        let (mut disk, _) = journal.into_parts();
        let damaged = segment_names(&mut disk).iter().filter(|name| name.ends_with(".damaged")).count();
        assert_eq!(damaged, 1, "segment {at}: what can be read of it stays");
    }
}

#[test]
fn rot_in_the_last_record_of_an_earlier_segment_costs_nothing() {
    let mut disk = with_segments(3);
    let name = segment_names(&mut disk).remove(1);
    let last = disk.file_len(&name) - 1;
    disk.flip_bit(&name, last);
    let (mut journal, report) = open(disk, 9);
    assert_eq!((report.damaged_segments, report.new_epoch), (0, false));
    // The next segment repeats it.
    assert_eq!(visits(&mut journal), expected(9));
}

#[test]
fn unreadable_segment_is_set_aside_and_service_goes_on() {
    for at in 0..3 {
        let mut disk = with_segments(3);
        let name = segment_names(&mut disk).remove(at);
        disk.fail_reads(&name);
        let (mut journal, report) = open(disk, 9);
        assert_eq!((report.damaged_segments, report.new_epoch), (1, true), "segment {at}");
        let expected_state = if at == 2 { expected(6) } else { expected(9) };
        assert_eq!(journal.state(), &VisitList(expected_state), "segment {at}");
        let epoch = journal.epochs()[0];
        let (seqs, missing) = deliverable(&mut journal, epoch);
        assert_eq!(missing.len(), usize::from(at < 2), "segment {at}: {seqs:?} {missing:?}");
        journal.append(&[entry(50)], NOW, &mut entropy(51)).unwrap();
    }
}

#[test]
fn segment_that_cannot_be_read_any_more_is_missing() {
    let shared = SharedDisk::default();
    *shared.lock() = with_segments(3);
    let name = segment_names(&mut shared.lock()).remove(1);
    let (mut journal, report) = Journal::open(shared.clone(), config(), NOW, &mut entropy(9)).unwrap();
    assert!(!report.new_epoch);
    shared.lock().fail_reads(&name);
    let epoch = journal.head().epoch;
    let (seqs, missing) = deliverable(&mut journal, epoch);
    assert!(missing.len() == 1 && seqs.len() > 6, "{seqs:?} {missing:?}");
    assert!(journal.needs_new_epoch());
    assert_eq!(journal.state(), &VisitList(expected(9)));
}

#[test]
fn what_a_damaged_segment_repeated_is_read_from_the_one_before() {
    for (at, place) in [(1, 5), (1, 200), (2, 200), (3, 200)] {
        let disk = SharedDisk::default();
        *disk.lock() = with_segments(3);
        let (mut journal, report) = open(disk.clone(), 9);
        assert!(!report.new_epoch);
        let name = segment_names(&mut disk.lock()).remove(at);
        disk.lock().flip_bit(&name, place);
        let epoch = journal.head().epoch;
        let (seqs, _) = deliverable(&mut journal, epoch);
        let first =
            name.split(['-', '.']).nth(2).map(|number| u64::from_str_radix(number, 16).unwrap()).unwrap();
        assert!(seqs.contains(&first), "segment {at}, byte {place}: {first} is not in {seqs:?}");
    }
}

#[test]
fn missing_records_end_where_the_next_can_be_read() {
    for place in [5, 200, 300, 400] {
        let mut disk = with_segments(4);
        let names = segment_names(&mut disk);
        let end_of_first = disk.file_len(&names[0]) - 250;
        disk.flip_bit(&names[0], end_of_first);
        // Of the second segment nothing is left, or its head alone.
        disk.flip_bit(&names[1], place);
        let (mut journal, _) = open(disk, 9);
        let epoch = journal.epochs()[0];
        let mut after = 0;
        let resumes = loop {
            match journal.read_after(epoch, after, 100, 1 << 20).unwrap().unwrap() {
                NextRecords::Records(from, records) => {
                    assert_eq!(from.seq, after);
                    after = records.last().unwrap().header.seq;
                }
                NextRecords::Missing(resumes) => break resumes,
            }
        };
        let next = journal.read_after(epoch, resumes.seq, 100, 1 << 20).unwrap();
        assert!(
            matches!(next, Some(NextRecords::Records(..))),
            "byte {place}: nothing follows {}",
            resumes.seq
        );
    }
}

#[test]
fn missing_segment_begins_a_new_epoch() {
    let mut disk = with_segments(3);
    let names = segment_names(&mut disk);
    disk.delete(&names[1]).unwrap();
    let (mut journal, report) = open(disk, 9);
    assert_eq!((report.damaged_segments, report.new_epoch), (1, true));
    assert_eq!(journal.state(), &VisitList(expected(9)));
    let epoch = journal.epochs()[0];
    assert_eq!(deliverable(&mut journal, epoch).1.len(), 1);
}

#[test]
fn open_with_other_key_reads_nothing() {
    let disk = with_segments(1);
    let other = JournalConfig { wrap_key: [8; 16].into(), ..config() };
    let (journal, report) = Journal::open(disk, other, NOW, &mut entropy(3)).unwrap();
    assert_eq!((report.damaged_segments, report.new_epoch), (1, true));
    assert_eq!(journal.state(), &VisitList::default());
}

#[test]
fn records_of_one_append_are_kept_or_lost_together() {
    let (journal, _) = open(FaultyDisk::new(), 1);
    let base = journal.into_parts().0;
    let mut kept = 0;
    for room in 0..900 {
        let mut disk = base.clone();
        let (mut journal, _) = open(disk, 2);
        disk = journal.into_parts().0;
        disk.limit_space(Some(room));
        (journal, _) = match Journal::open(disk.clone(), config(), NOW, &mut entropy(3)) {
            Ok(opened) => opened,
            Err(_) => continue,
        };
        let all = [entry(1), entry(2), entry(3)];
        if journal.append(&all, NOW, &mut entropy(4)).is_ok() {
            continue;
        }
        let (mut disk, _) = journal.into_parts();
        disk.limit_space(None);
        disk.power_cut(room as u64);
        let (mut journal, report) = open(disk, 5);
        assert_eq!(report.damaged_segments, 0, "room {room}");
        let found = visits(&mut journal);
        assert!(found.is_empty() || found == expected(3), "room {room}: {found:?}");
        kept += 1;
    }
    assert!(kept > 100, "{kept}");
}

#[test]
fn retention_runs_by_the_platforms_clock() {
    const DAY_MS: u64 = 86_400_000;
    let platform = |days: u64| UnixMs(1_000_000_000_000 + days * DAY_MS);
    // The kiosk's clock was years ahead while a segment was written.
    let (mut journal, _) = open(FaultyDisk::new(), 1);
    journal.append(&[entry(1)], UnixMs(NOW.0 * 2), &mut entropy(2)).unwrap();
    let (disk, _) = journal.into_parts();
    let (mut journal, _) = open(disk, 3);
    let (epoch, head) = (journal.head().epoch, journal.head());
    journal.acknowledge(epoch, head.seq - 3, platform(0)).unwrap();
    journal.acknowledge(epoch, head.seq - 3, platform(20)).unwrap();
    assert_eq!(journal.before_oldest(epoch), 0, "not acknowledged");
    journal.acknowledge(epoch, head.seq, platform(20)).unwrap();
    assert_eq!(journal.before_oldest(epoch), 0, "not old enough");
    // The time of the acknowledgement survives a restart.
    let (disk, _) = journal.into_parts();
    let (journal, _) = open(disk, 4);
    let (disk, _) = journal.into_parts();
    let (mut journal, _) = open(disk, 5);
    journal.acknowledge(epoch, head.seq, platform(27)).unwrap();
    assert_eq!(journal.before_oldest(epoch), 0, "kept for seven days");
    let upto = journal.head().seq;
    journal.acknowledge(epoch, upto, platform(28)).unwrap();
    assert!(journal.before_oldest(epoch) > 0, "and then deleted");
    assert_eq!(journal.state(), &VisitList(expected(1)));
}

#[test]
fn segments_of_earlier_epochs_are_deleted_within_one_life() {
    let mut disk = with_segments(2);
    let name = segment_names(&mut disk).remove(1);
    disk.fail_reads(&name);
    let (mut journal, report) = open(disk, 9);
    assert!(report.new_epoch);
    let old = journal.epochs()[0];
    let day = |day: u64| UnixMs(NOW.0 + day * 86_400_000);
    let upto = journal.last_seq(old);
    journal.acknowledge(old, upto, day(0)).unwrap();
    journal.acknowledge(journal.head().epoch, 1, day(8)).unwrap();
    assert_eq!(journal.epochs(), [journal.head().epoch]);
}

#[test]
fn abandoned_epoch_is_set_aside_and_not_deleted() {
    let (mut journal, _) = open(with_segments(2), 9);
    let old = journal.head().epoch;
    let day = |day: u64| UnixMs(NOW.0 + day * 86_400_000);
    journal.begin_epoch(&[entry(60)], NOW, &mut entropy(10)).unwrap();
    journal.abandon_epoch(old, day(0)).unwrap();
    assert_eq!(journal.epochs()[0], old, "kept for the platform that may be restored");
    journal.acknowledge(journal.head().epoch, 1, day(8)).unwrap();
    assert_eq!(journal.epochs(), [journal.head().epoch]);
    let state = journal.state().clone();
    assert_eq!(state.0.len(), 7);
    let (disk, _) = journal.into_parts();
    let whole = with_segments(2).all_bytes().len();
    assert!(disk.all_bytes().len() > whole, "set aside, not deleted");
}

#[test]
fn damage_begins_one_epoch_and_not_one_at_each_opening() {
    for (at, is_header) in [(0, true), (1, true), (2, true), (3, true), (1, false), (2, false), (3, false)] {
        let mut disk = with_segments(4);
        let name = segment_names(&mut disk).remove(at);
        let place = if is_header { 5 } else { disk.file_len(&name) - 250 };
        disk.flip_bit(&name, place);
        let mut reports = Vec::new();
        for life in 20..24 {
            let (mut journal, report) = open(disk, life);
            for epoch in journal.epochs() {
                deliverable(&mut journal, epoch);
            }
            let found = report.damaged_segments > 0 || journal.needs_new_epoch();
            if journal.needs_new_epoch() {
                journal.begin_epoch(&[], NOW, &mut entropy(life + 40)).unwrap();
            }
            reports.push(found);
            disk = journal.into_parts().0;
        }
        assert_eq!(reports, [true, false, false, false], "segment {at}, header: {is_header}");
    }
}

/// What a disk refuses.
fn failures() -> [fn(&mut FaultyDisk, bool); 2] {
    [|disk, fails| disk.limit_syncs(fails.then_some(0)), |disk, fails| disk.limit_space(fails.then_some(0))]
}

#[test]
fn damage_is_found_again_if_its_new_epoch_was_not_written() {
    let places = [(0, true), (1, true), (2, true), (3, true), (1, false), (2, false), (3, false)];
    for (fail, (at, is_header)) in failures().into_iter().flat_map(|fail| places.map(|place| (fail, place))) {
        let disk = SharedDisk::default();
        *disk.lock() = with_segments(4);
        let name = segment_names(&mut disk.lock()).remove(at);
        let place = if is_header { 5 } else { disk.lock().file_len(&name) - 250 };
        disk.lock().flip_bit(&name, place);
        fail(&mut disk.lock(), true);
        assert!(Journal::open(disk.clone(), config(), NOW, &mut entropy(20)).is_err());
        fail(&mut disk.lock(), false);
        let (mut journal, report) = open(disk, 21);
        let epochs = journal.epochs();
        for epoch in &epochs {
            deliverable(&mut journal, *epoch);
        }
        // A write whose sync failed can be read, and is repeated.
        let is_repeated = !report.new_epoch && epochs.len() == 2;
        let found = report.damaged_segments > 0 || journal.needs_new_epoch() || is_repeated;
        assert!(found, "segment {at}, header: {is_header}");
    }
}

#[test]
fn damage_found_at_run_time_is_found_again_after_a_failed_epoch() {
    let places = [(0, true), (1, true), (2, true), (1, false), (2, false), (3, false)];
    for (fail, (at, is_header)) in failures().into_iter().flat_map(|fail| places.map(|place| (fail, place))) {
        let disk = SharedDisk::default();
        *disk.lock() = with_segments(4);
        let (mut journal, report) = open(disk.clone(), 9);
        assert!(!report.new_epoch);
        let name = segment_names(&mut disk.lock()).remove(at);
        let place = if is_header { 5 } else { disk.lock().file_len(&name) - 250 };
        disk.lock().flip_bit(&name, place);
        let epoch = journal.head().epoch;
        deliverable(&mut journal, epoch);
        assert!(journal.needs_new_epoch(), "segment {at}, header: {is_header}");
        fail(&mut disk.lock(), true);
        assert!(journal.begin_epoch(&[], NOW, &mut entropy(10)).is_err());
        fail(&mut disk.lock(), false);
        let (mut journal, report) = open(disk, 21);
        deliverable(&mut journal, epoch);
        let found = report.damaged_segments > 0 || journal.needs_new_epoch();
        assert!(found, "segment {at}, header: {is_header}");
    }
}

#[test]
fn damage_found_at_run_time_begins_one_epoch() {
    // The segment of number 4 is the current one.
    let places = (0..5).flat_map(|at| [(at, 5), (at, 250)]).filter(|place| *place != (0, 250));
    // A visit may end before the epoch begins. Its record goes into the current segment.
    for ((at, place), is_appended) in places.flat_map(|place| [(place, false), (place, true)]) {
        let what = format!("segment {at}, byte {place}, appended: {is_appended}");
        let disk = SharedDisk::default();
        *disk.lock() = with_segments(4);
        let (mut journal, _) = open(disk.clone(), 9);
        let name = segment_names(&mut disk.lock()).remove(at);
        let is_header = place == 5;
        let place = if is_header { 5 } else { disk.lock().file_len(&name) - place };
        disk.lock().flip_bit(&name, place);
        let old = journal.head().epoch;
        deliverable(&mut journal, old);
        assert!(journal.needs_new_epoch(), "{what}");
        if is_appended {
            journal.append(&[entry(13)], NOW, &mut entropy(11)).unwrap();
        }
        journal.begin_epoch(&[], NOW, &mut entropy(10)).unwrap();
        let stem = name.split('.').next().unwrap();
        let is_listed = segment_names(&mut disk.lock()).iter().any(|name| name.starts_with(stem));
        assert_eq!(is_listed, !is_header, "{what}: a part of it can be read, or it is set aside");
        deliverable(&mut journal, old);
        assert!(!journal.needs_new_epoch(), "{what}: found again");
        drop(journal);
        for life in 20..22 {
            let (mut journal, report) = open(disk.clone(), life);
            for epoch in journal.epochs() {
                deliverable(&mut journal, epoch);
            }
            assert!(!report.new_epoch && !journal.needs_new_epoch(), "{what}: found again in life {life}");
            let count = if is_appended { 13 } else { 12 };
            assert_eq!(journal.state(), &VisitList(expected(count)), "{what}");
        }
    }
}

#[test]
fn unit_of_a_failed_sync_is_restated_in_the_epoch_after_damage() {
    for seed in 0..20 {
        let disk = SharedDisk::default();
        *disk.lock() = with_segments(2);
        let (mut journal, _) = open(disk.clone(), 9);
        disk.lock().limit_syncs(Some(0));
        assert!(journal.append(&[entry(7)], NOW, &mut entropy(10)).is_err());
        disk.lock().limit_syncs(None);
        // Damage elsewhere begins a new epoch, whose state has the unit.
        let name = segment_names(&mut disk.lock()).remove(0);
        disk.lock().fail_reads(&name);
        let (journal, report) = open(disk.clone(), 11);
        assert!(report.new_epoch);
        assert_eq!(journal.state(), &VisitList(expected(7)));
        // Its bytes in the segment of the old epoch are lost: the failed sync was reported once.
        disk.lock().power_cut(seed);
        let (mut journal, _) = open(disk.clone(), 12);
        let epoch = journal.head().epoch;
        let Ok(Some(NextRecords::Records(_, records))) = journal.read_after(epoch, 0, 100, 1 << 20) else {
            panic!("seed {seed}: the epoch has no records")
        };
        let entries: Vec<Entry> = records.iter().map(|one| Entry::decode(&one.body).unwrap()).collect();
        let Entry::JournalOpened { previous: Some(previous), .. } = &entries[0] else {
            panic!("seed {seed}: {:?}", entries[0])
        };
        let restated = |one: &Entry| matches!(one, Entry::Restated { epoch, seq, record, .. } if (*epoch, *seq) == (previous.epoch, previous.seq) && **record == entry(7));
        assert!(entries.iter().any(restated), "seed {seed}: {entries:?}");
    }
}
