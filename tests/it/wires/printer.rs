//! The receipt printer driver behind an emulated serial line.

use ::printer::{Block, Outcome, Receipt, Why};
use device::wire::{Answer, Attention, DeviceConfig, Fault, Health, PrinterLink, Work};
use system_tests::driver::Driver;
use tempfile::TempDir;
use virtual_hardware::paper::WIDTH_80;
use virtual_hardware::printer::{Troubles, VirtualPrinter};

struct PrinterFixture {
    driver: Driver,
    printer: VirtualPrinter,
    _port: TempDir,
}

impl PrinterFixture {
    fn start() -> Self {
        let port = tempfile::tempdir().unwrap();
        let tty = port.path().join("receipt");
        let printer = VirtualPrinter::plug_in(&tty, WIDTH_80).unwrap();
        let driver = Driver::start(DeviceConfig::ReceiptPrinter {
            link: PrinterLink::Serial { tty: tty.display().to_string(), baud: 115_200 },
            profile: "generic-80".into(),
        })
        .unwrap();
        driver.wait_for_health(Health::Ready).unwrap();
        Self { driver, printer, _port: port }
    }

    fn print(&mut self, word: &str) -> Result<Answer, Fault> {
        let blocks = vec![
            Block::Title("缴费凭条".into()),
            Block::Pair { label: "户名".into(), value: word.into() },
            Block::Amount { label: "实缴".into(), value: "¥86.40".into() },
            Block::Qr("http://platform.invalid/r/1".into()),
        ];
        self.driver.ask(Work::Print(Receipt { blocks, copy_mark: None })).unwrap()
    }

    fn trouble(&self, change: impl FnOnce(&mut Troubles)) {
        self.printer.set(change);
    }
}

#[test]
fn receipt_is_printed_once_and_confirmed() {
    let mut fixture = PrinterFixture::start();
    // A rare character is printed as a bitmap, not replaced.
    let answer = fixture.print("李䶮").unwrap();
    assert!(matches!(answer, Answer::Printed(Outcome::Printed { .. })), "{answer:?}");
    let sheets = fixture.printer.sheets();
    assert_eq!(sheets.len(), 1);
    let text = &sheets[0].text;
    assert!(text.contains("缴费凭条") && text.contains("86.40"), "{text}");
}

#[test]
fn print_without_paper_is_not_started_until_a_new_roll() {
    let mut fixture = PrinterFixture::start();
    fixture.trouble(|troubles| troubles.paper_out = true);
    fixture.driver.wait_for_health(Health::NeedsAttention(Attention::PaperOut)).unwrap();
    assert_eq!(fixture.print("张*英"), Ok(Answer::Printed(Outcome::NotStarted(Why::PaperOut))));
    fixture.trouble(|troubles| troubles.paper_out = false);
    fixture.driver.wait_for_health(Health::Ready).unwrap();
    assert!(fixture.printer.sheets().is_empty());
    assert!(matches!(fixture.print("张*英"), Ok(Answer::Printed(Outcome::Printed { .. }))));
    assert_eq!(fixture.printer.sheets().len(), 1);
}

#[test]
fn printer_that_does_not_respond_never_confirms() {
    let mut fixture = PrinterFixture::start();
    fixture.trouble(|troubles| troubles.mute = true);
    let answer = fixture.print("张*英").unwrap();
    assert!(
        matches!(answer, Answer::Printed(Outcome::NotStarted(_) | Outcome::Unconfirmed(_))),
        "{answer:?}"
    );
    fixture.driver.wait_for_health(Health::NeedsAttention(Attention::Mute)).unwrap();
}
