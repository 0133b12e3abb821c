//! receiptio, a host that was not written here, judges the virtual printer's status; and this driver prints on it over
//! the network.

use std::fs;
use std::net::SocketAddr;

use printer::{Confirmation, Outcome, Printer, Profile, TcpLink, Why};
use virtual_hardware::paper::WIDTH_80;
use virtual_hardware::printer::{Troubles, VirtualPrinter};

use crate::far_side::water_bill;
use crate::oracles::receiptio;

/// receiptio knows no other port; the address is this test's own.
const ADDRESS: &str = "127.0.0.91:9100";

/// Something that is wrong with a printer.
type Trouble = fn(&mut Troubles);

#[test]
fn receiptio_reads_every_state_of_the_emulator() {
    let place = tempfile::tempdir().unwrap();
    let document = place.path().join("bill.receipt");
    fs::write(&document, "水费缴纳凭条\n合计 | 86.40\n").unwrap();
    let address: SocketAddr = ADDRESS.parse().unwrap();
    let states: [(i32, Trouble); 4] = [
        (0, |_| {}),
        (101, |troubles| troubles.cover_open = true),
        (102, |troubles| troubles.paper_out = true),
        (103, |troubles| troubles.cutter = true),
    ];
    for (code, trouble) in states {
        let far = VirtualPrinter::listen(address, WIDTH_80).unwrap();
        far.set(trouble);

        let judged = receiptio()
            .args(["-d", &address.ip().to_string(), "-p", "generic", "-l", "zh-hans"])
            .arg(&document)
            .output()
            .unwrap();

        let said = String::from_utf8_lossy(&judged.stderr);
        assert_eq!(judged.status.code(), Some(code), "{said}");
        let sheets = far.sheets();
        assert_eq!(sheets.len(), usize::from(code == 0));
        assert!(sheets.iter().all(|sheet| sheet.text.contains("水费缴纳凭条")));
    }
}

fn on_the_network() -> (VirtualPrinter, Printer) {
    let far = VirtualPrinter::listen("127.0.0.1:0".parse().unwrap(), WIDTH_80).unwrap();
    let link = TcpLink::connect(&far.address().unwrap().to_string()).unwrap();
    (far, Printer::open(Box::new(link), Profile::named("generic-80").unwrap()))
}

#[test]
fn receipt_over_tcp_is_printed_once_and_confirmed() {
    let (far, mut printer) = on_the_network();

    let outcome = printer.print(&water_bill(), &mut |_| {});

    assert_eq!(outcome, Outcome::Printed { confirmation: Confirmation::Fence });
    assert_eq!(far.sheets().len(), 1);
}

#[test]
fn paper_out_over_tcp_leaves_no_tail_for_next_roll() {
    let (far, mut printer) = on_the_network();
    far.set(|troubles| troubles.paper_left = Some(150));

    assert_eq!(printer.print(&water_bill(), &mut |_| {}), Outcome::Unconfirmed(Why::PaperOut));

    far.set(|troubles| troubles.paper_out = false);
    printer.relink(Box::new(TcpLink::connect(&far.address().unwrap().to_string()).unwrap()));
    let copy = printer::Receipt { copy_mark: Some("补打 第1次".into()), ..water_bill() };
    let outcome = printer.print(&copy, &mut |_| {});

    assert_eq!(outcome, Outcome::Printed { confirmation: Confirmation::Fence });
    let sheets = far.sheets();
    let last = &sheets.last().unwrap().text;
    assert!(last.starts_with("** 补打 第1次 **"), "{last}");
    let whole = sheets.iter().filter(|sheet| sheet.text.contains("请妥善保管")).count();
    assert_eq!(whole, 1);
}
