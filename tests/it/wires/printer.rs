//! A receipt printer behind a tty.

use ::printer::{Block, Outcome, Receipt, Why};
use device::wire::{Answer, Attention, DeviceConfig, Fault, Health, PrinterLink, Work};
use system_tests::driver::Driver;
use tempfile::TempDir;
use virtual_hardware::paper::WIDTH_80;
use virtual_hardware::printer::{Troubles, VirtualPrinter};

struct Rig {
    driver: Driver,
    printer: VirtualPrinter,
    _port: TempDir,
}

impl Rig {
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
fn what_is_printed_comes_out_as_one_sheet_and_is_confirmed() {
    let mut rig = Rig::start();
    // The rare character is drawn, not replaced.
    let answer = rig.print("李䶮").unwrap();
    assert!(matches!(answer, Answer::Printed(Outcome::Printed { .. })), "{answer:?}");
    let sheets = rig.printer.sheets();
    assert_eq!(sheets.len(), 1);
    let text = &sheets[0].text;
    assert!(text.contains("缴费凭条") && text.contains("86.40"), "{text}");
}

#[test]
fn without_paper_nothing_is_begun_and_a_new_roll_is_noticed() {
    let mut rig = Rig::start();
    rig.trouble(|troubles| troubles.paper_out = true);
    rig.driver.wait_for_health(Health::NeedsAttention(Attention::PaperOut)).unwrap();
    assert_eq!(rig.print("张*英"), Ok(Answer::Printed(Outcome::NotStarted(Why::PaperOut))));
    rig.trouble(|troubles| troubles.paper_out = false);
    rig.driver.wait_for_health(Health::Ready).unwrap();
    assert!(rig.printer.sheets().is_empty());
    assert!(matches!(rig.print("张*英"), Ok(Answer::Printed(Outcome::Printed { .. }))));
    assert_eq!(rig.printer.sheets().len(), 1);
}

#[test]
fn a_mute_printer_never_counts_as_having_printed() {
    let mut rig = Rig::start();
    rig.trouble(|troubles| troubles.mute = true);
    let answer = rig.print("张*英").unwrap();
    assert!(
        matches!(answer, Answer::Printed(Outcome::NotStarted(_) | Outcome::Unconfirmed(_))),
        "{answer:?}"
    );
    rig.driver.wait_for_health(Health::NeedsAttention(Attention::Mute)).unwrap();
}
