//! What a journal knows for the uplink: heads, acknowledgements, failures to read, and its size.

use contract::{Chain, Entry, Head, RECORD_BYTES_MAX, UnixMs};
use faulty_disk::{FaultyDisk, SharedDisk};
use journal::{Disk as _, JournalConfig, JournalError, JournalLimits, NextRecords};

use crate::damage::{segment_names, with_segments};
use crate::journal::{NOW, config, entropy, entry, expected, open, visits};
use crate::recovery::{SMALL_SEGMENTS, first_unit_at, with_full_segments};
use crate::state::{Journal, VisitList};

/// A disk with three segments of the same epoch, and the heads after each record.
fn three_segments() -> (FaultyDisk, Vec<Head>) {
    let disk = with_segments(3);
    let (mut journal, _) = open(disk, 20);
    let Ok(Some(NextRecords::Records(from, records))) =
        journal.read_after(journal.head().epoch, 0, 1, 1 << 20)
    else {
        panic!("the journal has records")
    };
    let (mut chain, mut heads) = (Chain::from_head(from), vec![from]);
    let mut next = records;
    while let Some(record) = next.first() {
        chain.push(&record.header, &record.commitment()).unwrap();
        heads.push(chain.head());
        next = match journal.read_after(from.epoch, chain.head().seq, 1, 1 << 20).unwrap() {
            Some(NextRecords::Records(_, records)) => records,
            Some(NextRecords::Missing(_)) => panic!("nothing is missing"),
            None => Vec::new(),
        };
    }
    (journal.into_parts().0, heads)
}

#[test]
fn head_at_each_number_is_that_of_the_chain() {
    let (disk, heads) = three_segments();
    let (mut journal, _) = open(disk, 30);
    let epoch = heads[0].epoch;
    for head in &heads {
        assert_eq!(journal.head_at(epoch, head.seq).unwrap(), Some(*head));
        assert_eq!(journal.head_at(epoch ^ 1, head.seq).unwrap(), None, "there is no such epoch");
    }
    assert_eq!(journal.head_at(epoch, journal.head().seq).unwrap(), Some(journal.head()));
    assert_eq!(journal.head_at(epoch, journal.head().seq + 1).unwrap(), None);
}

#[test]
fn head_before_deleted_records_is_unknown() {
    let (mut disk, heads) = three_segments();
    let oldest = segment_names(&mut disk).remove(0);
    disk.delete(&oldest).unwrap();
    let (mut journal, _) = open(disk, 30);
    let (epoch, oldest) = (heads[0].epoch, journal.before_oldest(heads[0].epoch));
    assert!(oldest > 1);
    for head in &heads {
        let expected = (head.seq >= oldest).then_some(*head);
        assert_eq!(journal.head_at(epoch, head.seq).unwrap(), expected, "number {}", head.seq);
    }
}

#[test]
fn acknowledged_number_is_known_to_the_next_process() {
    let (disk, heads) = three_segments();
    let (mut journal, _) = open(disk, 30);
    let epoch = heads[0].epoch;
    assert_eq!(journal.acknowledged(epoch), None);
    // All of two segments, and a part of the third.
    let last = heads.last().unwrap().seq;
    journal.acknowledge(epoch, last - 1, NOW).unwrap();
    let (journal, _) = open(journal.into_parts().0, 31);
    let known = journal.acknowledged(epoch).unwrap();
    assert!((4..last).contains(&known), "{known} of {last}");
    assert_eq!(journal.acknowledged(epoch ^ 1), None);
}

#[test]
fn segment_is_read_three_times_before_it_is_given_up() {
    let (disk, heads) = three_segments();
    let shared = SharedDisk::default();
    *shared.lock() = disk;
    let (mut journal, _) = open(shared.clone(), 30);
    let oldest = segment_names(&mut shared.lock()).remove(0);
    shared.lock().fail_reads(&oldest);
    let mut read = || journal.read_after(heads[0].epoch, 0, 5, 1 << 20);
    for attempt in 1..=2 {
        assert!(matches!(read(), Err(JournalError::Disk(..))), "attempt {attempt}");
    }
    assert!(matches!(read(), Ok(Some(NextRecords::Missing(_)))));
}

#[test]
fn journal_at_its_high_water_mark_says_so() {
    let open_with = |limit| {
        let config = JournalConfig { limits: JournalLimits::new(limit), ..config() };
        let mut journal = Journal::open(FaultyDisk::new(), config, NOW, &mut entropy(1)).unwrap().0;
        journal.append(&[entry(1)], NOW, &mut entropy(2)).unwrap();
        journal
    };
    let mut disk = open_with(u64::MAX).into_parts().0;
    let stored: u64 = disk.list().unwrap().iter().map(|name| disk.file_len(name) as u64).sum();
    let is_above = |limit| open_with(limit).is_above_high_water();
    assert_eq!([is_above(stored - 1), is_above(stored), is_above(stored + 1)], [true, true, false]);
}

#[test]
fn high_water_mark_counts_segments_of_earlier_lives() {
    let open_with = |limit| {
        let config = JournalConfig { limits: JournalLimits::new(limit), ..config() };
        Journal::open(with_segments(2), config, NOW, &mut entropy(9)).unwrap().0
    };
    let mut disk = open_with(u64::MAX).into_parts().0;
    let stored: u64 = disk.list().unwrap().iter().map(|name| disk.file_len(name) as u64).sum();
    let is_above = |limit| open_with(limit).is_above_high_water();
    assert_eq!([is_above(stored), is_above(stored + 1)], [true, false]);
}

#[test]
fn read_again_begins_at_its_place() {
    let disk = SharedDisk::default();
    let (mut journal, _) = open(disk.clone(), 1);
    for number in 1..=10 {
        journal.append(&[entry(number)], NOW, &mut entropy(number + 10)).unwrap();
    }
    let epoch = journal.head().epoch;
    let first = journal.read_after(epoch, 5, 4, 1 << 20).unwrap();
    // What comes before is delivered. Its damage does not matter to a batch that is sent again.
    let name = segment_names(&mut disk.lock()).remove(0);
    let place = first_unit_at(&disk.lock().read(&name).unwrap()) + 20;
    disk.lock().flip_bit(&name, place);
    let again = journal.read_after(epoch, 5, 4, 1 << 20).unwrap();
    let Some(NextRecords::Records(from, records)) = &again else { panic!("the records exist") };
    assert_eq!((from.seq, records.len()), (5, 4));
    assert!(again == first);
}

#[test]
fn damaged_current_segment_ends_what_can_be_read() {
    let disk = SharedDisk::default();
    *disk.lock() = with_full_segments(12);
    let config = || JournalConfig { limits: SMALL_SEGMENTS, ..config() };
    let (mut journal, _) = Journal::open(disk.clone(), config(), NOW, &mut entropy(60)).unwrap();
    let count = segment_names(&mut disk.lock()).len();
    let mut last_seq = 0;
    // The segment that is begun because one is full repeats nothing of it.
    while segment_names(&mut disk.lock()).len() == count {
        last_seq = journal.head().seq;
        journal.append(&[entry(50)], NOW, &mut entropy(70 + last_seq)).unwrap();
    }
    let name = segment_names(&mut disk.lock()).pop().unwrap();
    disk.lock().flip_bit(&name, 5);
    let (epoch, mut after) = (journal.head().epoch, 0);
    while let Some(next) = journal.read_after(epoch, after, 10, 1 << 20).unwrap() {
        let NextRecords::Records(_, records) = next else {
            panic!("after {after}, none that exists follows")
        };
        after = records.last().unwrap().header.seq;
    }
    assert_eq!(after, last_seq);
    assert!(journal.needs_new_epoch());
}

#[test]
fn current_segment_that_is_given_up_still_takes_records() {
    let disk = SharedDisk::default();
    *disk.lock() = with_segments(2);
    let (mut journal, _) = open(disk.clone(), 9);
    let (epoch, last_seq) = (journal.head().epoch, journal.head().seq);
    let name = segment_names(&mut disk.lock()).pop().unwrap();
    // A cable fails for a moment.
    disk.lock().flip_bit(&name, 5);
    assert!(journal.read_after(epoch, last_seq - 1, 10, 1 << 20).unwrap().is_none());
    disk.lock().flip_bit(&name, 5);
    assert!(journal.needs_new_epoch());
    // The epoch has not begun when the next visit ends.
    journal.append(&[entry(7)], NOW, &mut entropy(10)).unwrap();
    let (journal, report) = open(disk, 11);
    assert_eq!((report.damaged_segments, report.new_epoch), (0, false));
    assert_eq!(journal.state(), &VisitList(expected(7)));
}

#[test]
fn records_of_an_earlier_epoch_are_delivered_after_restart() {
    let (mut journal, _) = open(FaultyDisk::new(), 1);
    for number in 1..=3 {
        journal.append(&[entry(number)], NOW, &mut entropy(number + 10)).unwrap();
    }
    journal.begin_epoch(&[], NOW, &mut entropy(20)).unwrap();
    journal.append(&[entry(4)], NOW, &mut entropy(21)).unwrap();
    let (mut journal, _) = open(journal.into_parts().0, 30);
    assert_eq!(journal.epochs().len(), 2);
    assert_eq!(visits(&mut journal), expected(4));
}

#[test]
fn longest_record_is_accepted_and_a_longer_one_refused() {
    let of_length = |length: usize| Entry::JournalOpened {
        software: "x".repeat(length),
        configuration: String::new(),
        previous: None,
        torn_bytes: 0,
        damaged_segments: 0,
    };
    let rest = of_length(0).encode().len();
    let (mut journal, _) = open(FaultyDisk::new(), 1);
    let longest = of_length(RECORD_BYTES_MAX - rest);
    assert_eq!(longest.encode().len(), RECORD_BYTES_MAX);
    journal.append(&[longest], NOW, &mut entropy(2)).unwrap();
    let longer = of_length(RECORD_BYTES_MAX - rest + 1);
    let refused = journal.append(&[entry(1), longer], UnixMs(NOW.0 + 1), &mut entropy(3));
    assert!(matches!(refused, Err(JournalError::TooLong(length)) if length == RECORD_BYTES_MAX + 1));
    journal.append(&[entry(2)], NOW, &mut entropy(4)).unwrap();
}

#[test]
fn batch_has_at_most_the_wanted_records_and_bytes() {
    let (mut journal, _) = open(FaultyDisk::new(), 1);
    let entries: Vec<Entry> = (1..=9).map(entry).collect();
    journal.append(&entries, NOW, &mut entropy(2)).unwrap();
    let (epoch, length) = (journal.head().epoch, entry(1).encode().len());
    let mut count = |records: usize, bytes: usize| match journal.read_after(epoch, 1, records, bytes).unwrap()
    {
        Some(NextRecords::Records(_, records)) => records.len(),
        Some(NextRecords::Missing(_)) | None => 0,
    };
    assert_eq!([count(1, usize::MAX), count(4, usize::MAX), count(100, usize::MAX)], [1, 4, 9]);
    assert_eq!([count(100, 3 * length), count(100, 3 * length + 1)], [3, 3]);
    assert_eq!(count(100, 0), 1, "one record, however long");
}
