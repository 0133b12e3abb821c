//! The receipt printer driver behind an emulated serial line.

use ::printer::{PrintFailure, PrintOutcome, PrintableReceipt, ReceiptBlock};
use device::wire::{
    Attention, DeviceAnswer, DeviceConfig, DeviceFault, DeviceHealth, DeviceWork, PrinterLinkConfig,
};
use emulator::printer::{EmulatedPrinter, PrinterFaults};
use emulator::roll::WIDTH_80_MM_DOTS;
use system_tests::driver_process::DriverProcess;
use tempfile::TempDir;

struct PrinterFixture {
    driver: DriverProcess,
    printer: EmulatedPrinter,
    _port: TempDir,
}

impl PrinterFixture {
    fn start() -> Self {
        let port = tempfile::tempdir().unwrap();
        let tty = port.path().join("receipt");
        let printer = EmulatedPrinter::open_pty(&tty, WIDTH_80_MM_DOTS).unwrap();
        let driver = DriverProcess::start(DeviceConfig::ReceiptPrinter {
            link: PrinterLinkConfig::Serial { tty: tty.display().to_string(), baud: 115_200 },
            profile: "generic-80".into(),
        })
        .unwrap();
        driver.wait_for_health(DeviceHealth::Ready).unwrap();
        Self { driver, printer, _port: port }
    }

    fn print(&mut self, word: &str) -> Result<DeviceAnswer, DeviceFault> {
        let blocks = vec![
            ReceiptBlock::Title("缴费凭条".into()),
            ReceiptBlock::Pair { label: "户名".into(), value: word.into() },
            ReceiptBlock::Amount { label: "实缴".into(), value: "¥86.40".into() },
            ReceiptBlock::Qr("http://platform.invalid/r/1".into()),
        ];
        self.driver.request(DeviceWork::PrintReceipt(PrintableReceipt { blocks, copy_mark: None })).unwrap()
    }

    fn inject_fault(&self, change: impl FnOnce(&mut PrinterFaults)) {
        self.printer.set_faults(change);
    }
}

#[test]
fn receipt_is_printed_once_and_confirmed() {
    let mut fixture = PrinterFixture::start();
    // A rare character is printed as a bitmap, not replaced.
    let answer = fixture.print("李䶮").unwrap();
    assert!(matches!(answer, DeviceAnswer::Printed(PrintOutcome::Printed { .. })), "{answer:?}");
    let sheets = fixture.printer.printouts();
    assert_eq!(sheets.len(), 1);
    let text = &sheets[0].text;
    assert!(text.contains("缴费凭条") && text.contains("86.40"), "{text}");
}

#[test]
fn print_without_paper_is_not_started_until_a_new_roll() {
    let mut fixture = PrinterFixture::start();
    fixture.inject_fault(|troubles| troubles.paper_out = true);
    fixture.driver.wait_for_health(DeviceHealth::NeedsAttention(Attention::PaperOut)).unwrap();
    assert_eq!(
        fixture.print("张*英"),
        Ok(DeviceAnswer::Printed(PrintOutcome::NotStarted(PrintFailure::PaperOut)))
    );
    fixture.inject_fault(|troubles| troubles.paper_out = false);
    fixture.driver.wait_for_health(DeviceHealth::Ready).unwrap();
    assert!(fixture.printer.printouts().is_empty());
    assert!(matches!(fixture.print("张*英"), Ok(DeviceAnswer::Printed(PrintOutcome::Printed { .. }))));
    assert_eq!(fixture.printer.printouts().len(), 1);
}

#[test]
fn printer_that_does_not_respond_never_confirms() {
    let mut fixture = PrinterFixture::start();
    fixture.inject_fault(|troubles| troubles.unresponsive = true);
    let answer = fixture.print("张*英").unwrap();
    assert!(
        matches!(answer, DeviceAnswer::Printed(PrintOutcome::NotStarted(_) | PrintOutcome::Unconfirmed(_))),
        "{answer:?}"
    );
    fixture.driver.wait_for_health(DeviceHealth::NeedsAttention(Attention::NotResponding)).unwrap();
}
