//! The journal on the real disk: append and recovery.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use contract::{CloseReason, Entry, UnixMs, VisitId, sm3};
use journal::{JournalConfig, JournalState, RealDisk};
use serde::{Deserialize, Serialize};

use super::{note, report};

const NOW: UnixMs = UnixMs(1_795_000_000_000);
const APPENDS: u64 = 300;
const RECORDS: u64 = 100_000;
/// Records per append while the long journal is written.
const AT_ONCE: u64 = 500;
/// Bytes of a record with header, salt and seal, for the comparison with raw writes.
const RAW_BYTES: usize = 192;

/// What is folded here: the number of visits. The state of a kiosk is small, too.
#[derive(Clone, Default, Serialize, Deserialize)]
struct VisitCount(u64);

impl JournalState for VisitCount {
    fn apply(&mut self, _entry: &Entry, _time: UnixMs) {
        self.0 += 1;
    }
}

type Journal = journal::Journal<VisitCount, RealDisk>;

fn open(directory: &Path, seed: u64) -> Result<Journal> {
    let identity = JournalConfig {
        device: "K-BENCH-1".parse()?,
        wrap_key: [9; 16].into(),
        software: "bench".into(),
        configuration: "00".into(),
        high_water: u64::MAX,
    };
    Ok(Journal::open(RealDisk::open(directory)?, identity, NOW, &mut entropy(seed))?.0)
}

/// Different at every call and for every seed, as real entropy.
fn entropy(seed: u64) -> impl FnMut() -> [u8; 16] {
    let mut count = 0_u64;
    move || {
        count += 1;
        let mut bytes = [0; 16];
        for (to, from) in bytes.iter_mut().zip(sm3(&[&seed.to_be_bytes(), &count.to_be_bytes()])) {
            *to = from;
        }
        bytes
    }
}

fn entry(n: u64) -> Entry {
    Entry::VisitClosed { visit: VisitId::from_entropy(n.into()), reason: CloseReason::Exit }
}

/// Compares a durable record with a raw write and `fdatasync` of as many bytes, alternately on the same disk.
pub(super) fn append(directory: &Path) -> Result<()> {
    let mut journal = open(directory, 1)?;
    let mut raw = File::options().create(true).append(true).open(directory.join("raw"))?;
    let (mut journal_times, mut raw_times) = (Vec::new(), Vec::new());
    let mut random = entropy(2);
    for n in 0..APPENDS {
        let begun = Instant::now();
        journal.append(&[entry(n)], NOW, &mut random)?;
        journal_times.push(begun.elapsed());
        let begun = Instant::now();
        raw.write_all(&[0; RAW_BYTES])?;
        raw.sync_data()?;
        raw_times.push(begun.elapsed());
    }
    let total = |times: &[Duration]| times.iter().sum::<Duration>().as_secs_f64();
    let ratio = total(&journal_times) / total(&raw_times);
    report("log: one durable record", journal_times)?;
    report("disk: raw write and fdatasync of as much", raw_times)?;
    note("log: time relative to the raw write", &format!("× {ratio:.2}"))
}

/// Measures the opening of a journal of many records in many segments: after a crash, when the newest segment must be read, and
/// after a short life.
pub(super) fn recovery(directory: &Path) -> Result<()> {
    let mut journal = open(directory, 3)?;
    let mut random = entropy(4);
    for block in 0..RECORDS / AT_ONCE {
        let entries: Vec<Entry> = (0..AT_ONCE).map(|n| entry(block * AT_ONCE + n)).collect();
        journal.append(&entries, NOW, &mut random)?;
    }
    drop(journal);
    let begun = Instant::now();
    open(directory, 10)?;
    report(&format!("log: first opening with {RECORDS} records"), vec![begun.elapsed()])?;
    let mut times = Vec::new();
    for round in 0..5 {
        let begun = Instant::now();
        open(directory, 20 + round)?;
        times.push(begun.elapsed());
    }
    report(&format!("log: further openings with {RECORDS} records"), times)?;
    fs::remove_dir_all(directory)?;
    Ok(())
}
