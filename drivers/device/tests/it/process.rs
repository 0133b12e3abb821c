//! Starting, refusing, hanging and ending.

use std::io::Write as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread;
use std::time::Duration;

use device::framing::{read_version, write_frame, write_version};
use device::wire::{DeviceConfig, Fault, FromDevice, Health, PrinterLink, ScannerLine, ToDevice, Work};

use crate::device_process::DeviceProcess;

/// Where the PC/SC library looks for pcscd.
const PCSCD: &str = "PCSCLITE_CSOCK_NAME";

fn card() -> DeviceConfig {
    DeviceConfig::Card { reader: "Virtual PCD 00 00".into(), psam: None, older: card::OlderCards::Limit }
}

fn missing_scanner() -> DeviceConfig {
    DeviceConfig::Scanner { tty: "/nowhere/tty".into(), baud: 9_600, line: ScannerLine::default() }
}

fn pin() -> Work {
    Work::VerifyPin(b"730914".to_vec().into())
}

#[test]
fn without_pcscd_the_reader_has_failed_and_a_pin_is_refused() {
    let nowhere = Path::new("/nowhere/pcscd");
    let mut device = DeviceProcess::open(card(), &[(PCSCD, nowhere.as_os_str())]);

    assert_eq!(device.health(), Health::Failed);
    assert_eq!(device.ask(7, pin()), Err(Fault::Unavailable));
}

#[test]
fn a_device_that_is_not_there_is_absent_and_its_process_answers_pings() {
    let mut device = DeviceProcess::open(missing_scanner(), &[]);

    assert_eq!(device.health(), Health::Absent);
    device.say(&ToDevice::Ping(41));
    assert!(matches!(device.hear(), Ok(FromDevice::Pong(41))));
    assert_eq!(device.ask(1, Work::Scan(true)), Err(Fault::Unavailable));
}

#[test]
fn a_driver_that_hangs_in_c_answers_no_ping_and_still_ends_with_the_wire() {
    // Given a pcscd that takes connections and never says a word.
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("pcscd");
    let _silent = UnixListener::bind(&socket).unwrap();
    let mut device = DeviceProcess::open(card(), &[(PCSCD, socket.as_os_str())]);

    // When the kiosk pings on and on, then one day no answer comes, though the process is there.
    device.wire.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let mute = (1..600).any(|number| {
        device.say(&ToDevice::Ping(number));
        thread::sleep(Duration::from_millis(50));
        device.hear().is_err()
    });
    assert!(mute);
    assert!(device.runs());
    assert!(device.close().success());
}

#[test]
fn the_process_ends_well_when_the_kiosk_closes_the_wire() {
    let mut device = DeviceProcess::open(missing_scanner(), &[]);
    assert_eq!(device.health(), Health::Absent);

    assert!(device.close().success());
}

#[test]
fn another_version_ends_the_process_with_a_failure() {
    let mut device = DeviceProcess::start(&[]);
    device.wire.write_all(&[0x7F, 0xFF]).unwrap();

    assert!(!device.end().success());
}

#[test]
fn what_is_no_message_ends_the_process_with_a_failure() {
    for garbage in [[0, 0, 0, 1, 0xFF], [0xFF; 5], [0; 5]] {
        let mut device = DeviceProcess::open(missing_scanner(), &[]);
        assert_eq!(device.health(), Health::Absent);
        device.wire.write_all(&garbage).unwrap();

        assert!(!device.end().success(), "{garbage:02X?}");
    }
}

#[test]
fn work_before_the_device_is_named_ends_the_process_with_a_failure() {
    let mut device = DeviceProcess::start(&[]);
    write_version(&mut device.wire).unwrap();
    read_version(&mut device.wire).unwrap();
    write_frame(&mut device.wire, &ToDevice::Ping(1)).unwrap();

    assert!(!device.end().success());
}

#[test]
fn a_printer_profile_that_does_not_exist_ends_the_process_with_a_failure() {
    let printer = DeviceConfig::ReceiptPrinter {
        link: PrinterLink::Serial { tty: "/nowhere/tty".into(), baud: 9_600 },
        profile: "no-such".into(),
    };

    assert!(!DeviceProcess::open(printer, &[]).end().success());
}
