//! receiptio, an independent host program, checks the status answers of the printer emulator; this driver prints on
//! the emulator over TCP.

use std::fs;
use std::net::SocketAddr;

use emulator::printer::{EmulatedPrinter, PrinterFaults};
use emulator::roll::WIDTH_80_MM_DOTS;
use printer::{PrintConfirmation, PrintFailure, PrintOutcome, PrinterProfile, ReceiptPrinter, TcpLink};

use crate::oracles::receiptio;
use crate::scripted_printer::water_bill;

/// receiptio supports port 9100 only; no other test uses this loopback address.
const ADDRESS: &str = "127.0.0.91:9100";

/// Sets a fault of the emulated printer.
type SetFault = fn(&mut PrinterFaults);

#[test]
fn receiptio_reads_every_state_of_the_emulator() {
    let place = tempfile::tempdir().unwrap();
    let document = place.path().join("bill.receipt");
    fs::write(&document, "水费缴纳凭条\n合计 | 86.40\n").unwrap();
    let address: SocketAddr = ADDRESS.parse().unwrap();
    let states: [(i32, SetFault); 4] = [
        (0, |_| {}),
        (101, |troubles| troubles.cover_open = true),
        (102, |troubles| troubles.paper_out = true),
        (103, |troubles| troubles.cutter_jammed = true),
    ];
    for (code, set_fault) in states {
        let emulator = EmulatedPrinter::listen(address, WIDTH_80_MM_DOTS).unwrap();
        emulator.set_faults(set_fault);

        let output = receiptio()
            .args(["-d", &address.ip().to_string(), "-p", "generic", "-l", "zh-hans"])
            .arg(&document)
            .output()
            .unwrap();

        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{message}");
        let pieces = emulator.printouts();
        assert_eq!(pieces.len(), usize::from(code == 0));
        assert!(pieces.iter().all(|piece| piece.text.contains("水费缴纳凭条")));
    }
}

fn on_the_network() -> (EmulatedPrinter, ReceiptPrinter) {
    let emulator = EmulatedPrinter::listen("127.0.0.1:0".parse().unwrap(), WIDTH_80_MM_DOTS).unwrap();
    let link = TcpLink::connect(&emulator.address().unwrap().to_string()).unwrap();
    (emulator, ReceiptPrinter::open(Box::new(link), PrinterProfile::by_name("generic-80").unwrap()))
}

#[test]
fn receipt_over_tcp_is_printed_once_and_confirmed() {
    let (emulator, mut printer) = on_the_network();

    let outcome = printer.print(&water_bill(), &mut |_| {});

    assert_eq!(outcome, PrintOutcome::Printed { confirmation: PrintConfirmation::Barrier });
    assert_eq!(emulator.printouts().len(), 1);
}

#[test]
fn paper_out_over_tcp_leaves_no_tail_for_next_roll() {
    let (emulator, mut printer) = on_the_network();
    emulator.set_faults(|troubles| troubles.paper_left_dots = Some(150));

    assert_eq!(printer.print(&water_bill(), &mut |_| {}), PrintOutcome::Unconfirmed(PrintFailure::PaperOut));

    emulator.set_faults(|troubles| troubles.paper_out = false);
    printer.relink(Box::new(TcpLink::connect(&emulator.address().unwrap().to_string()).unwrap()));
    let copy = printer::PrintableReceipt { copy_mark: Some("补打 第1次".into()), ..water_bill() };
    let outcome = printer.print(&copy, &mut |_| {});

    assert_eq!(outcome, PrintOutcome::Printed { confirmation: PrintConfirmation::Barrier });
    let pieces = emulator.printouts();
    let last = &pieces.last().unwrap().text;
    assert!(last.starts_with("** 补打 第1次 **"), "{last}");
    let whole = pieces.iter().filter(|piece| piece.text.contains("请妥善保管")).count();
    assert_eq!(whole, 1);
}
