//! Appends records to a journal in a real directory, damages its file as a power cut does, and opens it again.
//!
//! `cargo run -p journal --example recover_journal`. The directory is temporary and deleted at the end.

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use contract::{CloseReason, Entry, UnixMs, VisitId};
use journal::{JournalConfig, JournalLimits, JournalState, NextRecords, RealDisk, RecoveryReport};
use serde::{Deserialize, Serialize};

/// The time comes with each call: the journal reads no clock.
const NOW: UnixMs = UnixMs(1_795_000_000_000);
const RECORDS_MAX: usize = 100;
const BYTES_MAX: usize = 1 << 20;

/// What this example folds its records to: how many visits were closed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct VisitCount(u64);

impl JournalState for VisitCount {
    fn apply(&mut self, entry: &Entry, _time: UnixMs) {
        self.0 += u64::from(matches!(entry, Entry::VisitClosed { .. }));
    }
}

type Journal = journal::Journal<VisitCount, RealDisk>;

fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    println!("first start: the directory is empty");
    let (mut journal, report) = open(directory.path())?;
    print_state(&mut journal, &report)?;

    // Returns only when the records are durable: one write and one `fdatasync` for both.
    let closed = |visit, reason| Entry::VisitClosed { visit: VisitId::from_entropy(visit), reason };
    journal.append(&[closed(1, CloseReason::Exit), closed(2, CloseReason::TimedOut)], NOW, &mut entropy())?;
    println!("\ntwo records appended in one call");
    print_records(&mut journal)?;
    drop(journal);

    // A power cut in the middle of a write leaves a part of it. Here the end of the last record is cut off.
    let segment = segments(directory.path())?.pop().ok_or("no segment")?;
    let length = fs::metadata(&segment)?.len();
    OpenOptions::new().write(true).open(&segment)?.set_len(length - 5)?;
    println!("\npower cut: the last 5 of {length} bytes are missing");

    println!("\nsecond start: of the torn write nothing is kept, everything before it is");
    let (mut journal, report) = open(directory.path())?;
    print_state(&mut journal, &report)?;
    drop(journal);

    // A changed byte in front of intact records is no power cut: the disk, or somebody, changed the file.
    let segment = segments(directory.path())?.pop().ok_or("no segment")?;
    let mut journal = open(directory.path())?.0;
    journal.append(&[closed(3, CloseReason::Exit)], NOW, &mut entropy())?;
    drop(journal);
    let mut bytes = fs::read(&segment)?;
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    fs::write(&segment, bytes)?;
    println!("\nbyte {middle} of an earlier segment changed");

    println!("\nthird start: the state comes from the newest segment, so it is whole");
    let (mut journal, report) = open(directory.path())?;
    print_state(&mut journal, &report)?;
    println!("a new epoch is needed: {}", journal.needs_new_epoch());
    Ok(())
}

fn open(directory: &Path) -> Result<(Journal, RecoveryReport), Box<dyn Error>> {
    let config = JournalConfig {
        device: "K-VP-0001".parse()?,
        wrap_key: [9; 16].into(),
        software: "0.1.0".into(),
        configuration: "00".into(),
        limits: JournalLimits::new(1 << 30),
    };
    Ok(Journal::open(RealDisk::open(directory)?, config, NOW, &mut entropy())?)
}

/// Random bytes for keys and salts also come with each call; the kiosk takes them from the operating system.
fn entropy() -> impl FnMut() -> [u8; 16] {
    || {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
        bytes
    }
}

fn print_state(journal: &mut Journal, report: &RecoveryReport) -> Result<(), Box<dyn Error>> {
    println!("{report:#?}\n{:?}", journal.state());
    print_records(journal)
}

/// Prints all records, read in the way of the uplink.
fn print_records(journal: &mut Journal) -> Result<(), Box<dyn Error>> {
    for epoch in journal.epochs() {
        let mut after = journal.before_oldest(epoch);
        while let Some(next) = journal.read_after(epoch, after, RECORDS_MAX, BYTES_MAX)? {
            match next {
                NextRecords::Records(_, records) => {
                    for record in records {
                        after = record.header.seq;
                        let body = String::from_utf8_lossy(&record.body);
                        println!("  epoch {epoch:016x} record {after}: {body}");
                    }
                }
                NextRecords::Missing(resumes) => {
                    println!("  epoch {epoch:016x} records {} to {}: missing", after + 1, resumes.seq);
                    after = resumes.seq;
                }
            }
        }
    }
    Ok(())
}

/// The files of the segments, oldest first.
fn segments(directory: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut files =
        fs::read_dir(directory)?.map(|file| Ok(file?.path())).collect::<std::io::Result<Vec<_>>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "seg"));
    files.sort();
    Ok(files)
}
