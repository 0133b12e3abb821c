//! Devices on serial lines.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use code_reader::LineEnd;
use device::wire::{
    Answer, Attention, CODE_MAX, DeviceConfig, Event, Fault, Health, PrinterLink, ScannerLine, Work,
};
use id_reader::Refusal;
use printer::{Block, Confirmation, Outcome, Receipt, Why};
use rustix::pty::{OpenptFlags, openpt, ptsname, unlockpt};
use tempfile::TempDir;

use crate::device_process::DeviceProcess;

/// Longer than anything here takes on a busy machine.
const LONG: Duration = Duration::from_secs(60);

/// Answers to `DLE EOT 4`; the first is the good answer to the other three questions, too.
const FINE: u8 = 0x12;
const PAPER_LOW: u8 = 0x1E;
const PAPER_OUT: u8 = 0x72;

/// A socket in the kiosk's case, into which something can be plugged.
struct Jack {
    directory: TempDir,
}

impl Jack {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("tty")
    }

    /// Plugs a device in; this is its own end of the line, and no child process inherits it.
    fn plug_in(&self) -> File {
        let far = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        unlockpt(&far).unwrap();
        let name = ptsname(&far, Vec::new()).unwrap();
        if self.path().is_symlink() {
            std::fs::remove_file(self.path()).unwrap();
        }
        symlink(name.to_str().unwrap(), self.path()).unwrap();
        far.into()
    }

    fn tty(&self) -> String {
        self.path().to_str().unwrap().into()
    }

    fn scanner(&self) -> DeviceProcess {
        self.scanner_with(ScannerLine::default())
    }

    fn scanner_with(&self, line: ScannerLine) -> DeviceProcess {
        DeviceProcess::open(DeviceConfig::Scanner { tty: self.tty(), baud: 115_200, line }, &[])
    }

    fn id_reader(&self) -> DeviceProcess {
        DeviceProcess::open(DeviceConfig::IdReader { tty: self.tty(), baud: 115_200 }, &[])
    }

    fn printer(&self) -> DeviceProcess {
        let profile = "generic-80".into();
        let config = DeviceConfig::ReceiptPrinter {
            link: PrinterLink::Serial { tty: self.tty(), baud: 115_200 },
            profile,
        };
        DeviceProcess::open(config, &[])
    }
}

fn receipt() -> Work {
    Work::Print(Receipt { blocks: vec![Block::Title("缴费凭条".into())], copy_mark: None })
}

#[test]
fn each_scanned_code_arrives_once_with_or_without_an_end_of_line() {
    let jack = Jack::new();
    let mut scanner = jack.plug_in();
    let mut device = jack.scanner();
    assert_eq!(device.health(), Health::Ready);

    scanner.write_all(b"A1\r\nB2\rC3").unwrap();

    assert_eq!(device.code(), b"A1");
    assert_eq!(device.code(), b"B2");
    assert_eq!(device.code(), b"C3");
}

#[test]
fn what_is_no_code_is_dropped_to_its_end_and_the_next_one_arrives() {
    let jack = Jack::new();
    let mut scanner = jack.plug_in();
    let mut device =
        jack.scanner_with(ScannerLine { end: LineEnd::Lf, gap_ms: 5_000, ..ScannerLine::default() });
    assert_eq!(device.health(), Health::Ready);

    scanner.write_all(&vec![b'x'; CODE_MAX * 3]).unwrap();
    scanner.write_all(b"\nnext\n\xFF\x00\xFE\n").unwrap();

    assert_eq!(device.code(), b"next");
    // What it means is not the driver's business.
    assert_eq!(device.code(), b"\xFF\x00\xFE");
}

#[test]
fn a_code_on_a_stand_is_reported_once_however_often_it_is_sent() {
    let jack = Jack::new();
    let mut scanner = jack.plug_in();
    let mut device = jack.scanner();
    assert_eq!(device.health(), Health::Ready);

    scanner.write_all(b"one\rone\rone\rtwo\r").unwrap();

    assert_eq!(device.code(), b"one");
    assert_eq!(device.code(), b"two");
}

#[test]
fn a_scanner_is_triggered_when_it_is_plugged_in_and_told_to_stop() {
    let (start, stop) = (b"\x16T\r".to_vec(), b"\x16U\r".to_vec());
    let jack = Jack::new();
    let mut scanner = jack.plug_in();
    let line = ScannerLine { start: start.clone(), stop: stop.clone(), ..ScannerLine::default() };
    let mut device = jack.scanner_with(line);
    assert_eq!(device.health(), Health::Ready);
    let heard = |scanner: &mut File| {
        let mut bytes = [0; 3];
        scanner.read_exact(&mut bytes).unwrap();
        bytes.to_vec()
    };
    assert_eq!(heard(&mut scanner), start);

    assert_eq!(device.ask(1, Work::Scan(false)), Ok(Answer::Scanning(false)));
    assert_eq!(heard(&mut scanner), stop);
    scanner.write_all(b"nobody asked\r").unwrap();

    // Plugged in again, it does as it was told last.
    drop(scanner);
    assert_eq!(device.health(), Health::Absent);
    let mut scanner = jack.plug_in();
    assert_eq!(device.health(), Health::Ready);
    assert_eq!(heard(&mut scanner), stop);
    assert_eq!(device.ask(2, Work::Scan(true)), Ok(Answer::Scanning(true)));
    assert_eq!(heard(&mut scanner), start);
    scanner.write_all(b"asked\r").unwrap();
    assert_eq!(device.code(), b"asked");
}

#[test]
fn a_scanner_prints_nothing_and_checks_no_pin() {
    let jack = Jack::new();
    let _scanner = jack.plug_in();
    let mut device = jack.scanner();
    assert_eq!(device.health(), Health::Ready);

    assert_eq!(device.ask(1, receipt()), Err(Fault::NotMine));
    assert_eq!(device.ask(2, Work::VerifyPin(b"730914".to_vec().into())), Err(Fault::NotMine));
    assert_eq!(device.ask(3, Work::Scan(false)), Ok(Answer::Scanning(false)));
}

#[test]
fn an_unplugged_scanner_is_absent_and_works_when_it_is_back() {
    let jack = Jack::new();
    let scanner = jack.plug_in();
    let mut device = jack.scanner();
    assert_eq!(device.health(), Health::Ready);

    drop(scanner);
    assert_eq!(device.health(), Health::Absent);

    let mut scanner = jack.plug_in();
    assert_eq!(device.health(), Health::Ready);
    scanner.write_all(b"again\r").unwrap();
    assert_eq!(device.code(), b"again");
}

#[test]
fn a_mute_printer_is_reported_and_a_receipt_for_it_has_not_begun() {
    let jack = Jack::new();
    let _printer = jack.plug_in();
    let mut device = jack.printer();

    assert_eq!(device.health(), Health::NeedsAttention(Attention::Mute));
    assert_eq!(device.ask(5, receipt()), Ok(Answer::Printed(Outcome::NotStarted(Why::Mute))));
    assert_eq!(device.ask(6, Work::Scan(true)), Err(Fault::NotMine));
}

/// Answers of an ID reader to `find`: nothing there, a card; to `select`: failed.
const NO_CARD: [u8; 11] = [0xAA, 0xAA, 0xAA, 0x96, 0x69, 0x00, 0x04, 0x00, 0x00, 0x80, 0x84];
const CARD: [u8; 15] = [0xAA, 0xAA, 0xAA, 0x96, 0x69, 0x00, 0x08, 0x00, 0x00, 0x9F, 0, 0, 0, 0, 0x97];
const NOT_SELECTED: [u8; 11] = [0xAA, 0xAA, 0xAA, 0x96, 0x69, 0x00, 0x04, 0x00, 0x00, 0x81, 0x85];

/// The plate of an ID reader, as the test sees it.
#[derive(Default)]
struct Plate {
    /// Something lies on it that is no card.
    lies: AtomicBool,
    /// Looks for a card since it was cleared.
    looks: AtomicU32,
}

impl Plate {
    /// Clears it, and waits until its driver must have noticed.
    fn clear(&self) {
        self.lies.store(false, Ordering::Relaxed);
        self.looks.store(0, Ordering::Relaxed);
        let until = Instant::now() + LONG;
        while self.looks.load(Ordering::Relaxed) < 4 {
            assert!(Instant::now() < until, "the driver looks no more");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// An ID reader; unplugged when its plate is dropped.
fn id_reader(mut line: File, plate: &Arc<Plate>) -> JoinHandle<()> {
    let plate = Arc::downgrade(plate);
    thread::spawn(move || {
        while let Some(plate) = plate.upgrade() {
            let mut command = [0; 10];
            line.read_exact(&mut command).unwrap();
            let find = command[7..9] == [0x20, 0x01];
            let answer = match (find, plate.lies.load(Ordering::Relaxed)) {
                (true, true) => CARD.as_slice(),
                (false, true) => &NOT_SELECTED,
                (_, false) => &NO_CARD,
            };
            line.write_all(answer).unwrap();
            plate.looks.fetch_add(u32::from(find), Ordering::Relaxed);
        }
    })
}

#[test]
fn what_lies_on_an_id_reader_and_is_no_card_is_seen_and_refused_once() {
    let jack = Jack::new();
    let plate = Arc::<Plate>::default();
    let reader = id_reader(jack.plug_in(), &plate);
    let mut device = jack.id_reader();
    assert_eq!(device.health(), Health::Ready);
    assert_eq!(device.ask(1, Work::Scan(true)), Err(Fault::NotMine));

    for _ in 0..2 {
        plate.clear();
        plate.lies.store(true, Ordering::Relaxed);
        assert!(matches!(device.event(), Event::IdCardSeen));
        assert!(matches!(device.event(), Event::IdCardRefused(Refusal::Unreadable)));
    }

    drop(plate);
    reader.join().unwrap();
    assert_eq!(device.health(), Health::Absent);
}

#[test]
fn a_mute_id_reader_is_reported_and_works_when_another_is_plugged_in() {
    let jack = Jack::new();
    let mute = jack.plug_in();
    let mut device = jack.id_reader();
    assert_eq!(device.health(), Health::NeedsAttention(Attention::Mute));

    drop(mute);
    assert_eq!(device.health(), Health::Absent);
    let plate = Arc::<Plate>::default();
    let _reader = id_reader(jack.plug_in(), &plate);
    assert_eq!(device.health(), Health::Ready);
}

/// A printer that answers `DLE EOT n` with paper as told, and `GS r 1`; switched off when the paper is dropped.
fn printer(mut line: File, paper: &Arc<AtomicU8>) -> JoinHandle<()> {
    let sensor = Arc::downgrade(paper);
    thread::spawn(move || {
        let mut last = [0; 3];
        while let Some(paper) = sensor.upgrade() {
            // Comes back once a second: an idle printer is asked as often.
            let mut byte = [0];
            line.read_exact(&mut byte).unwrap();
            last = [last[1], last[2], byte[0]];
            let answer = match last {
                [0x10, 0x04, 4] => paper.load(Ordering::Relaxed),
                [0x10, 0x04, 1..=3] => FINE,
                [0x1D, b'r', 1] => 0,
                _ => continue,
            };
            line.write_all(&[answer]).unwrap();
        }
    })
}

#[test]
fn the_paper_of_an_idle_printer_is_watched() {
    let jack = Jack::new();
    let paper = Arc::new(AtomicU8::new(FINE));
    let printer = printer(jack.plug_in(), &paper);
    let mut device = jack.printer();
    assert_eq!(device.health(), Health::Ready);

    paper.store(PAPER_OUT, Ordering::Relaxed);
    assert_eq!(device.health(), Health::NeedsAttention(Attention::PaperOut));
    paper.store(PAPER_LOW, Ordering::Relaxed);
    assert_eq!(device.health(), Health::NeedsAttention(Attention::PaperLow));
    paper.store(FINE, Ordering::Relaxed);
    assert_eq!(device.health(), Health::Ready);

    drop(paper);
    printer.join().unwrap();
    assert_eq!(device.health(), Health::Absent);
}

#[test]
fn a_receipt_is_answered_with_what_became_of_it() {
    let jack = Jack::new();
    let paper = Arc::new(AtomicU8::new(FINE));
    let _printer = printer(jack.plug_in(), &paper);
    let mut device = jack.printer();
    assert_eq!(device.health(), Health::Ready);

    let printed = Outcome::Printed { confirmation: Confirmation::Fence };
    assert_eq!(device.ask(1, receipt()), Ok(Answer::Printed(printed)));

    paper.store(PAPER_OUT, Ordering::Relaxed);
    let not_started = Outcome::NotStarted(Why::PaperOut);
    assert_eq!(device.ask(2, receipt()), Ok(Answer::Printed(not_started)));
}
