//! The journal under power cuts, full disks and bit rot.

use std::path::Path;

use contract::{CloseReason, Entry, RecordBatch, SecretKey, SignedHead, UnixMs, VisitId, WireRecord};
use faulty_disk::{FaultyDisk, SharedDisk};
use journal::{Disk, JournalConfig, JournalError, JournalLimits, NextRecords, RealDisk, RecoveryReport};

use crate::state::{Journal, VisitList};

pub(crate) const NOW: UnixMs = UnixMs(1_795_000_000_000);

pub(crate) fn config() -> JournalConfig {
    JournalConfig {
        device: "K-VP-0001".parse().unwrap(),
        wrap_key: [9; 16].into(),
        software: "0.1.0".into(),
        configuration: "00".into(),
        limits: JournalLimits::new(1 << 30),
    }
}

/// Values that differ with every call and every seed.
pub(crate) fn entropy(seed: u64) -> impl FnMut() -> [u8; 16] {
    let mut count = 0_u64;
    move || {
        count += 1;
        let hash = contract::sm3(&[&seed.to_be_bytes(), &count.to_be_bytes()]);
        *hash.first_chunk().unwrap()
    }
}

pub(crate) fn open<D: Disk>(disk: D, seed: u64) -> (Journal<D>, RecoveryReport) {
    Journal::open(disk, config(), NOW, &mut entropy(seed)).unwrap()
}

pub(crate) fn entry(n: u64) -> Entry {
    Entry::VisitClosed { visit: VisitId::from_entropy(n.into()), reason: CloseReason::Exit }
}

/// The visits in the journal, in order, over all epochs.
pub(crate) fn visits<D: Disk>(journal: &mut Journal<D>) -> Vec<VisitId> {
    let mut found = Vec::new();
    for epoch in journal.epochs() {
        let mut after = 0;
        while let Some(next) = journal.read_after(epoch, after, 7, 1 << 20).unwrap() {
            let NextRecords::Records(from, records) = next else {
                panic!("records are missing after {after}")
            };
            assert!(from.seq == after && !records.is_empty(), "what is read begins after {after}");
            for record in records {
                after = record.header.seq;
                if let Ok(Entry::VisitClosed { visit, .. }) = Entry::decode(&record.body) {
                    found.push(visit);
                }
            }
        }
    }
    assert_eq!(journal.state(), &VisitList(found.clone()), "the state is what the records fold to");
    found
}

pub(crate) fn expected(count: u64) -> Vec<VisitId> {
    (1..=count).map(|n| VisitId::from_entropy(n.into())).collect()
}

#[test]
fn power_cut_keeps_exactly_the_appended_records() {
    for seed in 0..40 {
        let mut disk = FaultyDisk::new();
        let mut acknowledged = 0;
        for start in 0..4 {
            let (mut journal, report) = open(disk, seed * 100 + start);
            assert_eq!(report.damaged_segments, 0, "a torn tail is not damage");
            assert_eq!(visits(&mut journal), expected(acknowledged), "seed {seed}, start {start}");
            for _ in 0..5 {
                let mut random = entropy(seed * 1000 + start * 10 + acknowledged);
                journal.append(&[entry(acknowledged + 1)], NOW, &mut random).unwrap();
                acknowledged += 1;
            }
            disk = journal.into_parts().0;
            // A write that is never synced, then a power cut.
            let name = disk.list().unwrap().into_iter().max().unwrap();
            disk.append(&name, &[0xAB; 90]).unwrap();
            disk.power_cut(seed * 7 + start);
        }
    }
}

#[test]
fn write_torn_at_any_byte_is_cut() {
    let (mut journal, _) = open(FaultyDisk::new(), 1);
    journal.append(&[entry(1)], NOW, &mut entropy(2)).unwrap();
    let base = journal.into_parts().0;
    for room in 0..200 {
        let mut disk = base.clone();
        disk.limit_space(Some(1_000 + room));
        let (mut journal, _) = open(disk, 3);
        let mut count = 1;
        while journal.append(&[entry(count + 1)], NOW, &mut entropy(count + 10)).is_ok() {
            count += 1;
        }
        assert!(
            matches!(journal.append(&[entry(99)], NOW, &mut entropy(5)), Err(JournalError::Poisoned)),
            "after a failed append nothing may be appended"
        );
        let (mut disk, _) = journal.into_parts();
        disk.power_cut(room as u64);
        disk.limit_space(None);
        let (mut journal, report) = open(disk, 4);
        assert_eq!(visits(&mut journal), expected(count), "room {room}");
        assert_eq!(report.damaged_segments, 0);
    }
}

#[test]
fn failed_sync_poisons_journal_until_reopened() {
    let (mut journal, _) = open(FaultyDisk::new(), 1);
    journal.append(&[entry(1)], NOW, &mut entropy(2)).unwrap();
    let (mut disk, _) = journal.into_parts();
    disk.limit_syncs(Some(1));
    let (mut journal, _) = open(disk, 3);
    let failed = journal.append(&[entry(2)], NOW, &mut entropy(4));
    assert!(matches!(failed, Err(JournalError::Disk("sync", _))));
    let (mut disk, _) = journal.into_parts();
    disk.limit_syncs(None);
    let (mut journal, _) = open(disk, 5);
    let found = visits(&mut journal);
    assert!(
        found == expected(1) || found == expected(2),
        "after a failed sync the entry may or may not be durable"
    );
}

#[test]
fn tail_after_failed_sync_is_synced_before_append() {
    for seed in (1..40).step_by(2) {
        let (journal, _) = open(FaultyDisk::new(), 1);
        let (mut disk, _) = journal.into_parts();
        disk.limit_syncs(Some(1));
        let (mut journal, _) = open(disk, 2);
        assert!(journal.append(&[entry(1)], NOW, &mut entropy(3)).is_err());
        let (mut disk, _) = journal.into_parts();
        disk.limit_syncs(None);
        let (mut journal, _) = open(disk, 4);
        let found = visits(&mut journal);
        let (mut disk, _) = journal.into_parts();
        disk.power_cut(seed);
        let (mut journal, report) = open(disk, 5);
        assert_eq!((report.damaged_segments, report.new_epoch), (0, false), "seed {seed}");
        assert_eq!(visits(&mut journal), found, "seed {seed}: recovered records stay");
    }
}

/// A disk with the record of one visit.
pub(crate) fn with_one_visit() -> SharedDisk {
    let shared = SharedDisk::default();
    let (mut journal, _) = open(shared.clone(), 1);
    journal.append(&[entry(1)], NOW, &mut entropy(2)).unwrap();
    shared
}

#[test]
fn openings_whose_sync_failed_leave_no_damage() {
    for seed in 0..40 {
        let shared = with_one_visit();
        // The sync of an append fails, and then that of each attempt to open the journal.
        let (mut journal, _) = open(shared.clone(), 3);
        shared.lock().limit_syncs(Some(0));
        assert!(journal.append(&[entry(2)], NOW, &mut entropy(4)).is_err());
        for attempt in 0..seed % 4 {
            assert!(Journal::open(shared.clone(), config(), NOW, &mut entropy(5 + attempt)).is_err());
        }
        shared.lock().limit_syncs(None);
        let (mut journal, report) = open(shared.clone(), 20);
        assert_eq!((report.damaged_segments, report.new_epoch), (0, false), "seed {seed}");
        let found = visits(&mut journal);
        shared.lock().power_cut(seed);
        let (mut journal, report) = open(shared.clone(), 21);
        assert_eq!(
            (report.damaged_segments, report.new_epoch),
            (0, false),
            "seed {seed}: after the power cut"
        );
        assert_eq!(visits(&mut journal), found, "seed {seed}");
    }
}

#[test]
fn openings_that_a_power_cut_follows_leave_no_damage() {
    for seed in 0..60 {
        let shared = with_one_visit();
        for attempt in 0..=seed % 4 {
            shared.lock().limit_syncs(Some(0));
            assert!(Journal::open(shared.clone(), config(), NOW, &mut entropy(5 + attempt)).is_err());
            shared.lock().limit_syncs(None);
            if seed % 5 == attempt {
                shared.lock().power_cut(seed * 7 + attempt);
            }
        }
        shared.lock().power_cut(seed);
        let (mut journal, report) = open(shared.clone(), 20);
        assert_eq!((report.damaged_segments, report.new_epoch), (0, false), "seed {seed}");
        assert_eq!(visits(&mut journal), expected(1), "seed {seed}");
    }
}

/// Where a segment directly follows another, the other one ends where it begins. Otherwise it is read as a whole.
#[test]
fn lives_without_work_leave_no_gap_between_segments() {
    let mut disk = with_one_visit();
    for seed in 10..14 {
        disk = open(disk, seed).0.into_parts().0;
    }

    let mut names = disk.list().unwrap();
    names.sort();
    let ordinals: Vec<&str> = names.iter().filter_map(|name| name.split('-').next()).collect();
    assert_eq!(ordinals, ["0000000000", "0000000001"]);
}

#[test]
fn full_segment_is_followed_by_a_new_one() {
    let config = || JournalConfig {
        limits: JournalLimits { segment_bytes: 1_500, ..JournalLimits::new(1 << 30) },
        ..config()
    };
    let (mut journal, _) = Journal::open(FaultyDisk::new(), config(), NOW, &mut entropy(1)).unwrap();
    for number in 1..=20 {
        journal.append(&[entry(number)], NOW, &mut entropy(number + 10)).unwrap();
    }
    let tomorrow = UnixMs(NOW.0 + 86_400_000);
    journal.append(&[entry(21)], tomorrow, &mut entropy(40)).unwrap();
    let by_size_and_day = visits(&mut journal);
    let mut disk = journal.into_parts().0;
    let lengths: Vec<usize> = disk.list().unwrap().iter().map(|name| disk.file_len(name)).collect();
    assert!(lengths.len() > 3 && lengths.iter().all(|length| *length < 3_500), "{lengths:?}");
    let (mut journal, report) = Journal::open(disk, config(), tomorrow, &mut entropy(50)).unwrap();
    assert!(!report.new_epoch && report.replayed_records < 10, "{report:?}");
    assert_eq!((visits(&mut journal), by_size_and_day), (expected(21), expected(21)));
}

#[test]
fn read_records_form_valid_contiguous_batches() {
    let (mut journal, _) = open(FaultyDisk::new(), 1);
    for n in 1..=30 {
        journal.append(&[entry(n), entry(n + 100)], NOW, &mut entropy(n)).unwrap();
    }
    let key = SecretKey::from_bytes(&[3; 32]).unwrap();
    let (mut after, mut last) = (0, None);
    while let Some(NextRecords::Records(from, records)) =
        journal.read_after(journal.head().epoch, after, 8, 2_000).unwrap()
    {
        assert_eq!(from.seq, after);
        assert!(last.is_none_or(|head| head == from), "batches join without a gap");
        let mut chain = contract::Chain::from_head(from);
        for record in &records {
            chain.push(&record.header, &record.commitment()).unwrap();
        }
        after = chain.head().seq;
        last = Some(chain.head());
        let batch = RecordBatch {
            from,
            records: records.iter().map(|record| WireRecord::from_record(record).unwrap()).collect(),
            to: SignedHead { head: chain.head(), signature: key.sign(&chain.head().to_be_signed()) },
            missing: None,
            log: None,
        };
        batch.verify_chain().unwrap();
    }
    assert_eq!(last, Some(journal.head()));
    assert_eq!(after, 61);
}

#[test]
fn read_after_is_independent_of_earlier_reads() {
    let entries: Vec<Entry> = (1..=12).map(entry).collect();
    let mut disk = FaultyDisk::new();
    for start in 1..=3 {
        let (mut journal, _) = open(disk, start);
        // One unit, three, or twelve.
        for unit in entries.chunks([12, 4, 1][start as usize - 1]) {
            journal.append(unit, NOW, &mut entropy(start + 10)).unwrap();
        }
        disk = journal.into_parts().0;
    }
    let read = |journal: &mut Journal<FaultyDisk>, after: u64| match journal
        .read_after(journal.head().epoch, after, 4, 1 << 20)
        .unwrap()
    {
        Some(NextRecords::Records(from, records)) => {
            Some((from, records.iter().map(|record| record.header.seq).collect::<Vec<_>>()))
        }
        Some(NextRecords::Missing(_)) => panic!("nothing is missing"),
        None => None,
    };
    let fresh = || open(disk.clone(), 9).0;
    let last = fresh().head().seq;
    for (first, second) in
        (0..=last).step_by(5).flat_map(|first| (0..=last).map(move |second| (first, second)))
    {
        let expected = read(&mut fresh(), second);
        let begins = expected.as_ref().map(|(from, seqs)| (from.seq, seqs[0]));
        assert_eq!(begins, (second < last).then_some((second, second + 1)));
        let mut journal = fresh();
        read(&mut journal, first);
        assert_eq!(read(&mut journal, second), expected, "after {first}, then {second}");
    }
}

#[test]
fn real_disk_is_encrypted_and_recovers_all_records() {
    let dir = tempfile::tempdir().unwrap();
    let name = "张三丰";
    {
        let (mut journal, _) = open(RealDisk::open(dir.path()).unwrap(), 1);
        let secret = Entry::ConsentDeclined { visit: VisitId::from_entropy(1), service: name.into() };
        journal.append(&[secret], NOW, &mut entropy(2)).unwrap();
        journal.append(&[entry(1)], NOW, &mut entropy(3)).unwrap();
    }
    let (mut journal, report) = open(RealDisk::open(dir.path()).unwrap(), 3);
    assert_eq!(report, RecoveryReport { replayed_records: 3, ..RecoveryReport::default() });
    assert_eq!(visits(&mut journal), expected(1));
    for file in std::fs::read_dir(dir.path()).unwrap().flatten() {
        if file.file_type().unwrap().is_file() {
            let bytes = std::fs::read(file.path()).unwrap();
            assert!(!bytes.windows(name.len()).any(|window| window == name.as_bytes()));
            let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata().unwrap().permissions());
            assert_eq!(mode & 0o777, 0o600);
        }
    }
}

/// `tests/v1` is the log of two lives of a kiosk whose software wrote version 1. If this fails, do not change the files: such
/// logs are on the disks of kiosks.
#[test]
fn log_of_version_1_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let old = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/v1");
    for file in std::fs::read_dir(old).unwrap().flatten() {
        std::fs::copy(file.path(), dir.path().join(file.file_name())).unwrap();
    }
    for life in 0..3 {
        let (mut journal, report) = open(RealDisk::open(dir.path()).unwrap(), 9 + life);
        assert_eq!((report.damaged_segments, report.torn_bytes, report.new_epoch), (0, 0, false));
        assert_eq!(visits(&mut journal), expected(6 + life));
        journal.append(&[entry(7 + life)], NOW, &mut entropy(20 + life)).unwrap();
    }
}

#[test]
fn files_that_are_not_segments_are_ignored() {
    let mut disk = FaultyDisk::new();
    for name in ["lost+found", "notes.txt", "0000000001.seg"] {
        disk.create(name).unwrap();
    }
    let (journal, report) = open(disk, 1);
    assert_eq!(report, RecoveryReport { new_epoch: true, ..RecoveryReport::default() });
    assert_eq!(journal.into_parts().0.list().unwrap().len(), 4);
}
