//! Start, refusal, hang and end of a device process.

use std::io::Write as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use device::framing::{read_version, write_frame, write_version};
use device::wire::{
    DeviceConfig, DeviceFault, DeviceHealth, DeviceWork, FromDevice, PrinterLinkConfig, ScannerConfig,
    Signal, ToDevice,
};

use crate::device_process::DeviceProcess;

/// Environment variable with the socket at which the PC/SC library connects to pcscd.
const PCSCD: &str = "PCSCLITE_CSOCK_NAME";

fn card() -> DeviceConfig {
    DeviceConfig::Card {
        reader: "Virtual PCD 00 00".into(),
        psam: None,
        older: card::OldAlgorithmPolicy::Limit,
    }
}

fn missing_scanner() -> DeviceConfig {
    DeviceConfig::Scanner { tty: "/nowhere/tty".into(), baud: 9_600, line: ScannerConfig::default() }
}

fn pin() -> DeviceWork {
    DeviceWork::VerifyPin(b"730914".to_vec().into())
}

#[test]
fn help_is_printed_and_not_taken_for_a_device_name() {
    let output = Command::new(env!("CARGO_BIN_EXE_kiosk-device")).arg("--help").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("Usage: kiosk-device <NAME>"), "{output:?}");
}

#[test]
fn card_reader_without_pcscd_failed_and_pin_unavailable() {
    let nowhere = Path::new("/nowhere/pcscd");
    let mut device = DeviceProcess::open(card(), &[(PCSCD, nowhere.as_os_str())]);

    assert_eq!(device.next_health(), DeviceHealth::Failed);
    assert_eq!(device.request(7, pin()), Err(DeviceFault::Unavailable));
}

#[test]
fn missing_device_is_absent_and_process_answers_pings() {
    let mut device = DeviceProcess::open(missing_scanner(), &[]);

    assert_eq!(device.next_health(), DeviceHealth::Absent);
    device.send(&ToDevice::Ping(41));
    assert!(matches!(device.receive(), Ok(FromDevice::Pong(41))));
    assert_eq!(device.request(1, DeviceWork::ShowSignal(Signal::Dark)), Err(DeviceFault::Unavailable));
}

#[test]
fn hanging_driver_answers_no_ping_and_ends_with_the_socket() {
    // Given a pcscd that accepts connections and never answers.
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("pcscd");
    let _silent = UnixListener::bind(&socket).unwrap();
    let mut device = DeviceProcess::open(card(), &[(PCSCD, socket.as_os_str())]);

    // When the kiosk pings repeatedly, then after some time no answer comes, although the process runs.
    device.wire.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let unanswered = (1..600).any(|number| {
        device.send(&ToDevice::Ping(number));
        thread::sleep(Duration::from_millis(50));
        device.receive().is_err()
    });
    assert!(unanswered);
    assert!(device.is_running());
    assert!(device.close().success());
}

#[test]
fn process_succeeds_when_the_kiosk_closes_the_socket() {
    let mut device = DeviceProcess::open(missing_scanner(), &[]);
    assert_eq!(device.next_health(), DeviceHealth::Absent);

    assert!(device.close().success());
}

#[test]
fn process_fails_on_other_protocol_version() {
    let mut device = DeviceProcess::start(&[]);
    device.wire.write_all(&[0x7F, 0xFF]).unwrap();

    assert!(!device.wait_for_end().success());
}

#[test]
fn process_fails_on_malformed_message() {
    for garbage in [[0, 0, 0, 1, 0xFF], [0xFF; 5], [0; 5]] {
        let mut device = DeviceProcess::open(missing_scanner(), &[]);
        assert_eq!(device.next_health(), DeviceHealth::Absent);
        device.wire.write_all(&garbage).unwrap();

        assert!(!device.wait_for_end().success(), "{garbage:02X?}");
    }
}

#[test]
fn process_fails_on_message_before_open() {
    let mut device = DeviceProcess::start(&[]);
    write_version(&mut device.wire).unwrap();
    read_version(&mut device.wire).unwrap();
    write_frame(&mut device.wire, &ToDevice::Ping(1)).unwrap();

    assert!(!device.wait_for_end().success());
}

#[test]
fn process_fails_on_unknown_printer_profile() {
    let printer = DeviceConfig::ReceiptPrinter {
        link: PrinterLinkConfig::Serial { tty: "/nowhere/tty".into(), baud: 9_600 },
        profile: "no-such".into(),
    };

    assert!(!DeviceProcess::open(printer, &[]).wait_for_end().success());
}
