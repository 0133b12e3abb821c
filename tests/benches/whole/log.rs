//! The journal on the real disk: append and recovery.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use contract::{CloseReason, Entry, UnixMs, VisitId, sm3};
use journal::{Checkpoint, Journal, JournalConfig, RealDisk};

use super::{note, report};

const NOW: UnixMs = UnixMs(1_795_000_000_000);
const APPENDS: u64 = 300;
const RECORDS: u64 = 100_000;
/// Records per append while the long journal is written.
const AT_ONCE: u64 = 500;
/// Bytes of a record with header, salt and seal, for the comparison with raw writes.
const RAW_BYTES: usize = 192;

fn open(directory: &Path, seed: u64, checkpoint: Option<Checkpoint>) -> Result<Journal<RealDisk>> {
    let identity = JournalConfig {
        device: "K-BENCH-1".parse()?,
        wrap_key: [9; 16].into(),
        software: "bench".into(),
        configuration: "00".into(),
        high_water: u64::MAX,
    };
    Ok(Journal::open(RealDisk::open(directory)?, identity, checkpoint, NOW, &mut entropy(seed))?.0)
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
    let mut journal = open(directory, 1, None)?;
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

/// Measures the recovery of a journal of many records, without and with a checkpoint, alternately.
pub(super) fn recovery(directory: &Path) -> Result<()> {
    let mut journal = open(directory, 3, None)?;
    let mut random = entropy(4);
    for block in 0..RECORDS / AT_ONCE {
        let entries: Vec<Entry> = (0..AT_ONCE).map(|n| entry(block * AT_ONCE + n)).collect();
        journal.append(&entries, NOW, &mut random)?;
    }
    let checkpoint = journal.checkpoint().encode();
    drop(journal);
    let (mut complete, mut resumed) = (Vec::new(), Vec::new());
    for round in 0..3 {
        let begun = Instant::now();
        open(directory, 10 + round, None)?;
        complete.push(begun.elapsed());
        let begun = Instant::now();
        open(directory, 20 + round, Some(Checkpoint::decode(&checkpoint)?))?;
        resumed.push(begun.elapsed());
    }
    report(&format!("log: recovery of {RECORDS} records"), complete)?;
    report("log: recovery with the checkpoint in the cache", resumed)?;
    fs::remove_dir_all(directory)?;
    Ok(())
}
