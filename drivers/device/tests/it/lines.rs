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
    Attention, CODE_MAX, DeviceAnswer, DeviceConfig, DeviceEvent, DeviceFault, DeviceHealth, DeviceWork,
    PrinterLinkConfig, ScannerConfig, Signal,
};
use id_reader::IdReadRefusal;
use printer::{PrintConfirmation, PrintFailure, PrintOutcome, PrintableReceipt, ReceiptBlock};
use rustix::pty::{OpenptFlags, openpt, ptsname, unlockpt};
use tempfile::TempDir;

use crate::device_process::DeviceProcess;

/// Longer than any step of a test takes on a busy machine.
const LONG: Duration = Duration::from_secs(60);

/// Answers to `DLE EOT 4`; the first is also the good answer to `DLE EOT 1` to `3`.
const FINE: u8 = 0x12;
const PAPER_LOW: u8 = 0x1E;
const PAPER_OUT: u8 = 0x72;

/// A serial port of the kiosk into which a device can be plugged: a path that links to a pseudo-terminal.
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

    /// Plugs a device in; returns the device's end of the line, which no child process inherits.
    fn plug_in(&self) -> File {
        let device_end = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        unlockpt(&device_end).unwrap();
        let name = ptsname(&device_end, Vec::new()).unwrap();
        if self.path().is_symlink() {
            std::fs::remove_file(self.path()).unwrap();
        }
        symlink(name.to_str().unwrap(), self.path()).unwrap();
        device_end.into()
    }

    fn tty(&self) -> String {
        self.path().to_str().unwrap().into()
    }

    fn scanner(&self) -> DeviceProcess {
        self.scanner_with(ScannerConfig::default())
    }

    fn scanner_with(&self, line: ScannerConfig) -> DeviceProcess {
        DeviceProcess::open(DeviceConfig::Scanner { tty: self.tty(), baud: 115_200, line }, &[])
    }

    fn id_reader(&self) -> DeviceProcess {
        DeviceProcess::open(DeviceConfig::IdReader { tty: self.tty(), baud: 115_200 }, &[])
    }

    fn printer(&self) -> DeviceProcess {
        let profile = "generic-80".into();
        let config = DeviceConfig::ReceiptPrinter {
            link: PrinterLinkConfig::Serial { tty: self.tty(), baud: 115_200 },
            profile,
        };
        DeviceProcess::open(config, &[])
    }
}

fn receipt() -> DeviceWork {
    DeviceWork::PrintReceipt(PrintableReceipt {
        blocks: vec![ReceiptBlock::Title("缴费凭条".into())],
        copy_mark: None,
    })
}

#[test]
fn scanner_reports_codes_with_and_without_line_end() {
    let jack = Jack::new();
    let mut scanner = jack.plug_in();
    let mut device = jack.scanner();
    assert_eq!(device.next_health(), DeviceHealth::Ready);

    scanner.write_all(b"A1\r\nB2\rC3").unwrap();

    assert_eq!(device.next_code(), b"A1");
    assert_eq!(device.next_code(), b"B2");
    assert_eq!(device.next_code(), b"C3");
}

#[test]
fn scanner_drops_invalid_code_and_reports_the_next() {
    let jack = Jack::new();
    let mut scanner = jack.plug_in();
    let mut device =
        jack.scanner_with(ScannerConfig { end: LineEnd::Lf, gap_ms: 5_000, ..ScannerConfig::default() });
    assert_eq!(device.next_health(), DeviceHealth::Ready);

    scanner.write_all(&vec![b'x'; CODE_MAX * 3]).unwrap();
    scanner.write_all(b"\nnext\n\xFF\x00\xFE\n").unwrap();

    assert_eq!(device.next_code(), b"next");
    // The driver does not interpret a code.
    assert_eq!(device.next_code(), b"\xFF\x00\xFE");
}

#[test]
fn scanner_reports_a_repeated_code_once() {
    let jack = Jack::new();
    let mut scanner = jack.plug_in();
    let mut device = jack.scanner();
    assert_eq!(device.next_health(), DeviceHealth::Ready);

    scanner.write_all(b"one\rone\rone\rtwo\r").unwrap();

    assert_eq!(device.next_code(), b"one");
    assert_eq!(device.next_code(), b"two");
}

#[test]
fn scanner_receives_start_whenever_plugged_in() {
    let start = b"\x16T\r".to_vec();
    let jack = Jack::new();
    let mut scanner = jack.plug_in();
    let line = ScannerConfig { start: start.clone(), ..ScannerConfig::default() };
    let mut device = jack.scanner_with(line);
    assert_eq!(device.next_health(), DeviceHealth::Ready);
    let command = |scanner: &mut File| {
        let mut bytes = [0; 3];
        scanner.read_exact(&mut bytes).unwrap();
        bytes.to_vec()
    };
    assert_eq!(command(&mut scanner), start);

    drop(scanner);
    assert_eq!(device.next_health(), DeviceHealth::Absent);
    let mut scanner = jack.plug_in();
    assert_eq!(device.next_health(), DeviceHealth::Ready);
    assert_eq!(command(&mut scanner), start);
    scanner.write_all(b"scanning\r").unwrap();
    assert_eq!(device.next_code(), b"scanning");
}

#[test]
fn scanner_refuses_print_and_pin_requests() {
    let jack = Jack::new();
    let _scanner = jack.plug_in();
    let mut device = jack.scanner();
    assert_eq!(device.next_health(), DeviceHealth::Ready);

    assert_eq!(device.request(1, receipt()), Err(DeviceFault::Unsupported));
    assert_eq!(
        device.request(2, DeviceWork::VerifyPin(b"730914".to_vec().into())),
        Err(DeviceFault::Unsupported)
    );
    assert_eq!(device.request(3, DeviceWork::ShowSignal(Signal::Go)), Err(DeviceFault::Unsupported));
}

#[test]
fn scanner_unplugged_is_absent_and_works_when_replugged() {
    let jack = Jack::new();
    let scanner = jack.plug_in();
    let mut device = jack.scanner();
    assert_eq!(device.next_health(), DeviceHealth::Ready);

    drop(scanner);
    assert_eq!(device.next_health(), DeviceHealth::Absent);

    let mut scanner = jack.plug_in();
    assert_eq!(device.next_health(), DeviceHealth::Ready);
    scanner.write_all(b"again\r").unwrap();
    assert_eq!(device.next_code(), b"again");
}

#[test]
fn printer_not_responding_is_reported_and_starts_no_receipt() {
    let jack = Jack::new();
    let _printer = jack.plug_in();
    let mut device = jack.printer();

    assert_eq!(device.next_health(), DeviceHealth::NeedsAttention(Attention::NotResponding));
    assert_eq!(
        device.request(5, receipt()),
        Ok(DeviceAnswer::Printed(PrintOutcome::NotStarted(PrintFailure::NotResponding)))
    );
    assert_eq!(device.request(6, DeviceWork::ShowSignal(Signal::Dark)), Err(DeviceFault::Unsupported));
}

/// Answers of an ID reader to `find`: no card, a card; to `select`: failed.
const NO_CARD: [u8; 11] = [0xAA, 0xAA, 0xAA, 0x96, 0x69, 0x00, 0x04, 0x00, 0x00, 0x80, 0x84];
const CARD: [u8; 15] = [0xAA, 0xAA, 0xAA, 0x96, 0x69, 0x00, 0x08, 0x00, 0x00, 0x9F, 0, 0, 0, 0, 0x97];
const NOT_SELECTED: [u8; 11] = [0xAA, 0xAA, 0xAA, 0x96, 0x69, 0x00, 0x04, 0x00, 0x00, 0x81, 0x85];

/// The surface of an ID reader, shared between the test and the scripted reader.
#[derive(Default)]
struct Plate {
    /// An object that is not a card lies on the reader.
    occupied: AtomicBool,
    /// Number of polls for a card since the plate was cleared.
    polls: AtomicU32,
}

impl Plate {
    /// Clears the plate, and waits until the driver must have detected it.
    fn clear(&self) {
        self.occupied.store(false, Ordering::Relaxed);
        self.polls.store(0, Ordering::Relaxed);
        let until = Instant::now() + LONG;
        while self.polls.load(Ordering::Relaxed) < 4 {
            assert!(Instant::now() < until, "driver no longer polls for a card");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// A scripted ID reader; unplugged when its plate is dropped.
fn id_reader(mut line: File, plate: &Arc<Plate>) -> JoinHandle<()> {
    let plate = Arc::downgrade(plate);
    thread::spawn(move || {
        while let Some(plate) = plate.upgrade() {
            let mut command = [0; 10];
            line.read_exact(&mut command).unwrap();
            let find = command[7..9] == [0x20, 0x01];
            let answer = match (find, plate.occupied.load(Ordering::Relaxed)) {
                (true, true) => CARD.as_slice(),
                (false, true) => &NOT_SELECTED,
                (_, false) => &NO_CARD,
            };
            line.write_all(answer).unwrap();
            plate.polls.fetch_add(u32::from(find), Ordering::Relaxed);
        }
    })
}

#[test]
fn id_reader_refuses_an_object_that_is_no_card_once() {
    let jack = Jack::new();
    let plate = Arc::<Plate>::default();
    let reader = id_reader(jack.plug_in(), &plate);
    let mut device = jack.id_reader();
    assert_eq!(device.next_health(), DeviceHealth::Ready);
    assert_eq!(device.request(1, DeviceWork::ShowSignal(Signal::Dark)), Err(DeviceFault::Unsupported));

    for _ in 0..2 {
        plate.clear();
        plate.occupied.store(true, Ordering::Relaxed);
        assert!(matches!(device.next_event(), DeviceEvent::IdCardDetected));
        assert!(matches!(device.next_event(), DeviceEvent::IdCardRefused(IdReadRefusal::Unreadable)));
    }

    drop(plate);
    reader.join().unwrap();
    assert_eq!(device.next_health(), DeviceHealth::Absent);
}

#[test]
fn id_reader_not_responding_is_reported_until_replaced() {
    let jack = Jack::new();
    let silent = jack.plug_in();
    let mut device = jack.id_reader();
    assert_eq!(device.next_health(), DeviceHealth::NeedsAttention(Attention::NotResponding));

    drop(silent);
    assert_eq!(device.next_health(), DeviceHealth::Absent);
    let plate = Arc::<Plate>::default();
    let _reader = id_reader(jack.plug_in(), &plate);
    assert_eq!(device.next_health(), DeviceHealth::Ready);
}

/// A scripted printer that answers `DLE EOT n` with the state of `paper`, and `GS r 1`; switched off when `paper` is
/// dropped.
fn printer(mut line: File, paper: &Arc<AtomicU8>) -> JoinHandle<()> {
    let sensor = Arc::downgrade(paper);
    thread::spawn(move || {
        let mut last = [0; 3];
        while let Some(paper) = sensor.upgrade() {
            // Returns at least once a second: an idle printer is polled at that interval.
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
fn printer_idle_reports_paper_state_changes() {
    let jack = Jack::new();
    let paper = Arc::new(AtomicU8::new(FINE));
    let printer = printer(jack.plug_in(), &paper);
    let mut device = jack.printer();
    assert_eq!(device.next_health(), DeviceHealth::Ready);

    paper.store(PAPER_OUT, Ordering::Relaxed);
    assert_eq!(device.next_health(), DeviceHealth::NeedsAttention(Attention::PaperOut));
    paper.store(PAPER_LOW, Ordering::Relaxed);
    assert_eq!(device.next_health(), DeviceHealth::NeedsAttention(Attention::PaperLow));
    paper.store(FINE, Ordering::Relaxed);
    assert_eq!(device.next_health(), DeviceHealth::Ready);

    drop(paper);
    printer.join().unwrap();
    assert_eq!(device.next_health(), DeviceHealth::Absent);
}

#[test]
fn receipt_request_is_answered_with_its_outcome() {
    let jack = Jack::new();
    let paper = Arc::new(AtomicU8::new(FINE));
    let _printer = printer(jack.plug_in(), &paper);
    let mut device = jack.printer();
    assert_eq!(device.next_health(), DeviceHealth::Ready);

    let printed = PrintOutcome::Printed { confirmation: PrintConfirmation::Barrier };
    assert_eq!(device.request(1, receipt()), Ok(DeviceAnswer::Printed(printed)));

    paper.store(PAPER_OUT, Ordering::Relaxed);
    let not_started = PrintOutcome::NotStarted(PrintFailure::PaperOut);
    assert_eq!(device.request(2, receipt()), Ok(DeviceAnswer::Printed(not_started)));
}
