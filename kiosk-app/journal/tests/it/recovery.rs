//! Recovery of journals that were cut, that others wrote, or whose segments do not follow each other.

use std::path::Path;

use contract::{Entry, UnixMs};
use faulty_disk::FaultyDisk;
use journal::{Disk as _, JournalConfig, JournalLimits, JournalState};
use serde::{Deserialize, Serialize};

use crate::damage::{segment_names, with_segments};
use crate::journal::{NOW, config, entropy, entry, expected, open, visits, with_one_visit};
use crate::state::{Journal, VisitList};

/// A segment is full after a few records.
pub(crate) const SMALL_SEGMENTS: JournalLimits = JournalLimits { high_water: 1 << 30, segment_bytes: 1_500 };

/// A disk with the segments that one life filled with this many visits. None repeats records of another.
pub(crate) fn with_full_segments(visits: u64) -> FaultyDisk {
    let config = JournalConfig { limits: SMALL_SEGMENTS, ..config() };
    let (mut journal, _) = Journal::open(FaultyDisk::new(), config, NOW, &mut entropy(1)).unwrap();
    for number in 1..=visits {
        journal.append(&[entry(number)], NOW, &mut entropy(number + 10)).unwrap();
    }
    journal.into_parts().0
}

/// Where the first unit of a segment begins: after the head of 120 bytes, and the snapshot with its length and checksum.
pub(crate) fn first_unit_at(segment: &[u8]) -> usize {
    let length = u32::from_be_bytes(segment[120..124].try_into().unwrap());
    120 + 4 + length as usize + 4
}

/// Leaves the first bytes of a file only.
fn cut(disk: &mut FaultyDisk, name: &str, length: usize) {
    let bytes = disk.read(name).unwrap();
    disk.delete(name).unwrap();
    disk.create(name).unwrap();
    disk.append(name, &bytes[..length]).unwrap();
    disk.sync(name).unwrap();
}

/// A rotten length of the snapshot looks like a file that ends too early. What follows it shows that the segment was finished.
#[test]
fn rotten_bit_of_a_finished_segment_is_no_cut() {
    let (mut journal, _) = open(FaultyDisk::new(), 1);
    for visit in 11..=13 {
        journal.append(&[entry(visit)], NOW, &mut entropy(visit)).unwrap();
    }
    let mut disk = journal.into_parts().0;
    let (mut journal, _) = open(disk, 2);
    for visit in 1..=3 {
        journal.append(&[entry(visit)], NOW, &mut entropy(100 + visit)).unwrap();
    }
    let head = journal.head();
    disk = journal.into_parts().0;
    let name = segment_names(&mut disk).pop().unwrap();
    for at in 0..disk.file_len(&name) {
        let mut rotten = disk.backup();
        rotten.flip_bit(&name, at);
        let (journal, report) = open(rotten, 3);
        // Only the last unit may be taken for an unfinished write; the record of the opening is in its place.
        assert!(report.new_epoch || journal.head().seq >= head.seq, "byte {at}: {report:?}");
    }
}

#[test]
fn segment_cut_while_it_was_begun_costs_nothing() {
    let shared = with_one_visit();
    drop(open(shared.clone(), 3));
    let base = shared.lock().clone();
    let name = segment_names(&mut base.clone()).pop().unwrap();
    let whole = base.file_len(&name);
    let (mut torn, mut whole_at) = (0, Vec::new());
    for length in 0..=whole {
        let mut disk = base.clone();
        cut(&mut disk, &name, length);
        let (mut journal, report) = open(disk, 4);
        assert_eq!((report.damaged_segments, report.new_epoch), (0, false), "{length} bytes");
        assert_eq!(visits(&mut journal), expected(1), "{length} bytes");
        // Every byte of what is not whole is reported.
        if report.torn_bytes == 0 {
            whole_at.push(length);
        } else {
            assert_eq!(report.torn_bytes, torn + 1, "{length} bytes");
        }
        torn = report.torn_bytes;
    }
    // The file is empty, its first unit is whole, or both units are.
    assert_eq!((whole_at.len(), whole_at[0], whole_at[2]), (3, 0, whole));
}

#[test]
fn openings_on_a_full_disk_leave_one_unfinished_file() {
    let shared = with_one_visit();
    for attempt in 0..4 {
        shared.lock().limit_space(Some(50));
        assert!(Journal::open(shared.clone(), config(), NOW, &mut entropy(5 + attempt)).is_err());
        assert_eq!(segment_names(&mut shared.lock()).len(), 2, "attempt {attempt}");
    }
    shared.lock().limit_space(None);
    let (mut journal, report) = open(shared, 20);
    assert_eq!((report.damaged_segments, report.torn_bytes), (0, 50));
    assert_eq!(visits(&mut journal), expected(1));
}

#[test]
fn cut_segment_before_a_damaged_one_is_set_aside() {
    let mut disk = with_segments(3);
    let names = segment_names(&mut disk);
    disk.fail_reads(&names[2]);
    let kept = disk.read(&names[1]).unwrap()[..60].to_vec();
    cut(&mut disk, &names[1], 60);
    let (journal, report) = open(disk, 9);
    // It was whole once, because another one followed it. So it is damage, and no opening that failed.
    assert_eq!((report.damaged_segments, report.new_epoch), (2, true));
    assert_eq!(journal.state(), &VisitList(expected(3)));
    let bytes = journal.into_parts().0.all_bytes();
    assert!(bytes.windows(60).any(|window| window == kept), "it is evidence");
}

#[test]
fn snapshot_between_damaged_segments_keeps_the_state() {
    let mut disk = with_segments(3);
    let names = segment_names(&mut disk);
    disk.fail_reads(&names[0]);
    disk.fail_reads(&names[2]);
    let first_unit = first_unit_at(&disk.read(&names[1]).unwrap());
    cut(&mut disk, &names[1], first_unit + 20);
    let (journal, report) = open(disk, 9);
    assert!(report.new_epoch);
    // The first unit of the segment is the third visit.
    assert_eq!(journal.state(), &VisitList(expected(2)));
}

#[test]
fn journal_of_another_kiosk_is_not_taken_over() {
    let other = JournalConfig { device: "K-VP-0002".parse().unwrap(), ..config() };
    let (mut journal, _) = Journal::open(FaultyDisk::new(), other, NOW, &mut entropy(1)).unwrap();
    journal.append(&[entry(1)], NOW, &mut entropy(2)).unwrap();
    let (journal, report) = open(journal.into_parts().0, 3);
    assert_eq!((report.damaged_segments, report.new_epoch), (1, true));
    assert_eq!(journal.state(), &VisitList::default());
    assert_eq!(journal.head().device, config().device);
}

/// A state whose snapshots have another form than those of [`VisitList`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct VisitCount(u64);

impl JournalState for VisitCount {
    fn apply(&mut self, entry: &Entry, _time: UnixMs) {
        self.0 += u64::from(matches!(entry, Entry::VisitClosed { .. }));
    }
}

#[test]
fn state_is_folded_from_records_if_no_snapshot_is_readable() {
    let opened = journal::Journal::<VisitCount, _>::open(with_segments(3), config(), NOW, &mut entropy(9));
    let (journal, report) = opened.unwrap();
    assert_eq!((report.damaged_segments, report.new_epoch), (3, true));
    assert_eq!(journal.state(), &VisitCount(9), "each record counts once, repeated or not");
}

#[test]
fn gap_between_segments_of_version_1_begins_a_new_epoch() {
    let mut disk = FaultyDisk::new();
    let old = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/v1");
    for file in std::fs::read_dir(old).unwrap().flatten() {
        let name = file.file_name().into_string().unwrap();
        disk.create(&name).unwrap();
        disk.append(&name, &std::fs::read(file.path()).unwrap()).unwrap();
        disk.sync(&name).unwrap();
    }
    let first = segment_names(&mut disk).remove(0);
    let length = disk.file_len(&first) - 1;
    cut(&mut disk, &first, length);
    let (journal, report) = open(disk, 9);
    assert_eq!((report.damaged_segments, report.new_epoch), (1, true));
    let mut read = expected(6);
    read.remove(2);
    assert_eq!(journal.state(), &VisitList(read), "the last visit of the first segment is lost");
}

#[test]
fn skipped_ordinal_between_whole_segments_is_no_damage() {
    let mut disk = with_full_segments(12);
    let name = segment_names(&mut disk).pop().unwrap();
    disk.rename(&name, &name.replacen(&name[..10], "0000000099", 1)).unwrap();
    let (mut journal, report) = open(disk, 60);
    assert_eq!((report.damaged_segments, report.new_epoch), (0, false));
    assert_eq!(visits(&mut journal), expected(12));
}
