//! Benchmark of the journal on a real disk: `cargo bench -p journal --bench log`, a part of `cargo xtask bench`.
//!
//! The directory is below `target/`, so that it is on the disk of the repository and not in memory.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use contract::{
    CloseReason, Confirmation, Entry, Evidence, IdentificationMethod, Level, Money, OrderId, OrderItem,
    PaymentMethod, PrintForm, Pseudonym, Receipt, ReceiptId, ReceiptLine, Settlement, UnixMs, VisitId, sm3,
    to_hex,
};
use journal::{JournalConfig, JournalLimits, JournalState, RealDisk};
use serde::{Deserialize, Serialize};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const NOW: UnixMs = UnixMs(1_795_000_000_000);
const APPENDS: u64 = 300;
/// Visits whose records are measured.
const VISITS: u64 = 100;
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
        limits: JournalLimits::new(u64::MAX),
    };
    Ok(Journal::open(RealDisk::open(directory)?, identity, NOW, &mut entropy(seed))?.0)
}

fn main() -> Result<()> {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    append(&directory.path().join("append"))?;
    visit(&directory.path().join("visit"))?;
    recovery(&directory.path().join("recovery"))
}

/// Prints one line: measurement, number of samples, median, maximum.
fn report(what: &str, mut times: Vec<Duration>) -> Result<()> {
    times.sort();
    let ms = |time: Option<&Duration>| time.map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0);
    let (median, worst) = (ms(times.get(times.len() / 2)), ms(times.last()));
    writeln!(io::stdout(), "{what:<52} n={:<4} median {median:>9.2} ms  worst {worst:>9.2} ms", times.len())?;
    Ok(())
}

/// Prints a line with one value.
fn note(what: &str, figure: &str) -> Result<()> {
    writeln!(io::stdout(), "{what:<52} {figure}")?;
    Ok(())
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
fn append(directory: &Path) -> Result<()> {
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

/// The records of a visit by code with a payment, as the kiosk appends them.
fn visit_records(n: u64) -> Result<Vec<Vec<Entry>>> {
    let id = |kind: u128| kind << 64 | u128::from(n);
    let (visit, order, receipt) =
        (VisitId::from_entropy(id(1)), OrderId::from_entropy(id(2)), ReceiptId::from_entropy(id(3)));
    let (total, method) = (Money::from_fen(8640)?, PaymentMethod::ResidentCode);
    let (service, label) = ("living.water".to_owned(), "水费缴纳 2026年10月".to_owned());
    let item = OrderItem {
        key: format!("w-{n}"),
        label: label.clone(),
        payee: "重庆市自来水有限公司".into(),
        amount: total,
    };
    let pair = |label: &str, value: &str| ReceiptLine::Pair(label.into(), value.into());
    let number = receipt.number("K-BENCH-1".parse()?);
    let content = Receipt {
        title: "缴费凭条".into(),
        lines: vec![
            pair(&label, "¥86.40"),
            pair("收款单位", &item.payee),
            ReceiptLine::Rule,
            ReceiptLine::Amount("合计 ¥86.40".into()),
            pair("支付方式", "渝快码支付"),
            pair("交易号", "A000000000001"),
            ReceiptLine::Rule,
            pair("凭条号", &number),
            pair("时间", "2026-11-23 09:30:12"),
            pair("地点", "渝北区政务服务大厅"),
            pair("终端", "K-BENCH-1"),
            ReceiptLine::Text("请保留凭条".into()),
        ],
        code: Some(format!("https://platform.invalid/r/{receipt}")),
        number,
    };
    let settlement = Settlement::Paid { reference: "A000000000001".into(), at: NOW };
    let evidence = Evidence::TokenConsumed;
    let resident = Pseudonym::from_entropy(id(4));
    let identified = Entry::Identified {
        visit,
        resident,
        method: IdentificationMethod::Code,
        evidence,
        level: Level::Recognised,
    };
    let queried = Entry::Queried {
        visit,
        service: service.clone(),
        call: "water.bills".into(),
        consent: None,
        rows: 3,
    };
    Ok(vec![
        vec![Entry::CodeUsed { visit, code_hash: to_hex(&sm3(&[&n.to_be_bytes()])), until: Some(NOW) }],
        vec![identified],
        vec![queried],
        vec![Entry::OrderCreated { order, visit, resident, service, items: vec![item], total, method }],
        vec![
            Entry::OrderSettled { order, settlement },
            Entry::ReceiptIssued { receipt, visit, order: Some(order), content, form: PrintForm::Receipt },
            Entry::PrintStarted { receipt, copy: 1, printer: None },
        ],
        vec![Entry::Printed { receipt, copy: 1, confirmation: Confirmation::BarrierAnswered }],
        vec![entry(n)],
    ])
}

/// Measures what one visit with a payment takes on the disk.
fn visit(directory: &Path) -> Result<()> {
    let mut journal = open(directory, 5)?;
    let mut random = entropy(6);
    let bytes = || -> Result<u64> {
        fs::read_dir(directory)?.try_fold(0, |sum, file| Ok(sum + file?.metadata()?.len()))
    };
    let before = bytes()?;
    for n in 0..VISITS {
        for entries in visit_records(n)? {
            journal.append(&entries, NOW, &mut random)?;
        }
    }
    let bytes = (bytes()? - before) / VISITS;
    note("log: bytes on the disk of a visit with a payment", &format!("{bytes} B in 9 records"))?;
    fs::remove_dir_all(directory)?;
    Ok(())
}

/// Measures the opening of a journal of many records in many segments: after a crash, when the newest segment must be read, and
/// after a short life.
fn recovery(directory: &Path) -> Result<()> {
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
