//! Print jobs: at most one copy without a copy mark, no receipt lost, no automatic second print (I6).

use contract::{Entry, Form};
use session::{CardEvent, Device, Event, Health, OpenPaper, OpenWork, PrintResult, Trouble};
use view::{Body, Intent, TextId, Verdict};

use crate::bench::Bench;

fn paid_visit(fixture: &mut Bench) -> contract::ReceiptId {
    let order = fixture.charge();
    fixture.paid(order);
    fixture.prints().last().expect("a print effect").0
}

#[test]
fn printed_receipt_offers_no_copy() {
    let mut fixture = Bench::new();
    let receipt = paid_visit(&mut fixture);
    fixture.printed(receipt);
    assert_eq!(fixture.outcome().detail, TextId::PrintedDetail.into());
    assert_eq!(fixture.view().actions.len(), 1);
    fixture.touch(Intent::Other);
    assert_eq!(fixture.prints().len(), 1);
}

#[test]
fn paid_without_paper_offers_receipt_by_phone() {
    let mut fixture = Bench::new();
    fixture.event(Event::Health(Device::Printer, Health::Trouble(Trouble::PaperOut)));
    let order = fixture.charge();
    fixture.paid(order);
    assert!(fixture.prints().is_empty());
    assert_eq!(fixture.outcome().verdict, Verdict::Done);
    assert_eq!(fixture.view().banners[0].title, TextId::PaperOut.into());
    let code = fixture.outcome().code.expect("a receipt code for the phone");
    assert!(code.qr.ends_with(&code.number.replace(' ', "")));

    // After a new roll was inserted, the one copy without a copy mark is printed automatically.
    fixture.event(Event::Health(Device::Printer, Health::Ready));
    assert_eq!(fixture.prints().len(), 1);
    assert_eq!(fixture.prints()[0].2, None);
}

#[test]
fn unconfirmed_print_copies_on_request_with_copy_mark() {
    let mut fixture = Bench::new();
    let receipt = paid_visit(&mut fixture);
    fixture.event(Event::Health(Device::Printer, Health::Trouble(Trouble::PaperOut)));
    fixture.event(Event::Paper(receipt, PrintResult::Unconfirmed));
    fixture.event(Event::Health(Device::Printer, Health::Ready));
    assert_eq!(fixture.prints().len(), 1, "no automatic second print");
    assert_eq!(fixture.view().banners[0].title, TextId::PrintUnsure.into());
    fixture.touch(Intent::Other);
    assert_eq!(fixture.prints()[1].2.as_deref(), Some("补打 第1次"));
    fixture.printed(receipt);
    let copies: Vec<u32> = fixture
        .log
        .iter()
        .filter_map(|e| if let Entry::PrintStarted { copy, .. } = e { Some(*copy) } else { None })
        .collect();
    assert_eq!(copies, [1, 2]);
}

#[test]
fn print_not_started_is_repeated_without_copy_mark() {
    let mut fixture = Bench::new();
    let receipt = paid_visit(&mut fixture);
    fixture.event(Event::Paper(receipt, PrintResult::NotStarted));
    assert_eq!(fixture.prints().len(), 1, "no retry loop against a printer that reports ready");
    fixture.touch(Intent::Other);
    assert_eq!(fixture.prints().len(), 2);
    assert_eq!(fixture.prints()[1].2, None);
}

#[test]
fn unconfirmed_print_copies_are_limited_to_three() {
    let mut fixture = Bench::new();
    let receipt = paid_visit(&mut fixture);
    for _ in 0..10 {
        fixture.event(Event::Paper(receipt, PrintResult::Unconfirmed));
        fixture.touch(Intent::Other);
    }
    assert_eq!(fixture.prints().len(), 3);
}

#[test]
fn leaving_without_paper_abandons_and_records_print_job() {
    let mut fixture = Bench::new();
    fixture.event(Event::Health(Device::Printer, Health::Trouble(Trouble::PaperOut)));
    let order = fixture.charge();
    fixture.paid(order);
    fixture.touch(Intent::Leave);
    assert_eq!(fixture.count(|e| matches!(e, Entry::ReceiptWaived { .. })), 1);
    fixture.event(Event::Health(Device::Printer, Health::Ready));
    assert!(fixture.prints().is_empty(), "the next resident would find the receipt");
}

#[test]
fn print_outcome_after_leaving_is_recorded() {
    let mut fixture = Bench::new();
    let receipt = paid_visit(&mut fixture);
    fixture.touch(Intent::Leave);
    assert_eq!(fixture.outcome().detail, TextId::Printing.into(), "the notice points to the receipt");
    fixture.printed(receipt);
    assert_eq!(fixture.count(|e| matches!(e, Entry::Printed { .. })), 1);
}

#[test]
fn recovery_prints_nothing_automatically() {
    let mut before = Bench::new();
    paid_visit(&mut before);
    let (receipt, content, _) = before.prints()[0].clone();
    let waiting = contract::ReceiptId::from_entropy(9);
    let mut after = Bench::recovered(OpenWork {
        papers: vec![
            OpenPaper { receipt, content: content.clone(), started: Some(1) },
            OpenPaper { receipt: waiting, content, started: None },
        ],
        ..OpenWork::default()
    });
    after.event(Event::Health(Device::Printer, Health::Ready));
    assert!(after.prints().is_empty());
    assert_eq!(after.count(|e| matches!(e, Entry::PrintUnconfirmed { .. })), 1);
    assert_eq!(after.count(|e| matches!(e, Entry::ReceiptWaived { .. })), 1);
}

#[test]
fn printed_service_data_masks_name_and_id_number() {
    let mut fixture = Bench::new();
    fixture.by_card();
    fixture.open("参保证明");
    fixture.touch(Intent::Go);
    fixture.answer_rows(&[&[("months", "36")]]);
    assert!(matches!(fixture.view().body, Body::Sheet(_)));
    fixture.touch(Intent::Go);
    let receipt = format!("{:?}", fixture.prints()[0].1);
    assert!(receipt.contains("张*丰") && receipt.contains("5001**********1239") && receipt.contains("36"));
    assert!(!receipt.contains(crate::bench::NAME) && !receipt.contains(crate::bench::ID_NUMBER));
    fixture.event(Event::Card(CardEvent::Removed));
    assert!(matches!(fixture.view().body, Body::Welcome(_)));
}

#[test]
fn printer_fault_shows_banner_until_ready() {
    let mut fixture = Bench::new();
    let shows_banner =
        |fixture: &Bench, title: TextId| fixture.view().banners.iter().any(|one| one.title == title.into());
    for (fault, title) in [
        (Trouble::PaperOut, TextId::PaperOut),
        (Trouble::CoverOpen, TextId::CoverOpen),
        (Trouble::Jammed, TextId::PaperJam),
        (Trouble::Gone, TextId::TileNeedsPaper),
    ] {
        fixture.event(Event::Health(Device::Printer, Health::Trouble(fault)));
        assert!(shows_banner(&fixture, title), "{fault:?} on the idle screen");
        fixture.event(Event::Health(Device::Printer, Health::Ready));
        assert!(!shows_banner(&fixture, title), "{fault:?} was cleared");
    }
    fixture.by_card();
    fixture.event(Event::Health(Device::Printer, Health::Trouble(Trouble::Gone)));
    assert!(shows_banner(&fixture, TextId::TileNeedsPaper), "in the menu");
}

/// A kiosk with a ready A4 printer, after a resident requested the printout of a proof.
fn requested_a4_proof() -> Bench {
    let mut fixture = Bench::with_sheet_printer();
    fixture.event(Event::Health(Device::SheetPrinter, Health::Ready));
    fixture.by_code(1);
    fixture.open("参保证明");
    fixture.touch(Intent::Go);
    fixture.answer_rows(&[&[("months", "36")]]);
    fixture.touch(Intent::Go);
    fixture
}

#[test]
fn a4_document_with_ready_printer_prints_on_a4() {
    let mut fixture = requested_a4_proof();
    assert_eq!(fixture.printed_on(), [Form::Sheet]);
    assert_eq!(fixture.outcome().detail, TextId::SheetPrintingDetail.into());
    let receipt = fixture.prints()[0].0;
    fixture.printed(receipt);
    assert_eq!(fixture.outcome().detail, TextId::SheetPrintedDetail.into());
}

#[test]
fn a4_printer_fault_shows_banner_and_prints_on_roll() {
    let mut fixture = Bench::with_sheet_printer();
    fixture.event(Event::Health(Device::SheetPrinter, Health::Trouble(Trouble::PaperOut)));
    assert_eq!(fixture.view().banners[0].title, TextId::SheetPaperOut.into());
    fixture.by_card();
    fixture.open("参保证明");
    fixture.touch(Intent::Go);
    fixture.answer_rows(&[&[("months", "36")]]);
    fixture.touch(Intent::Go);
    assert_eq!(fixture.printed_on(), [Form::Receipt]);
    assert_eq!(fixture.outcome().detail, TextId::PrintingDetail.into());
}

#[test]
fn a4_document_reprint_is_marked_only_if_unconfirmed() {
    let mut fixture = requested_a4_proof();
    let receipt = fixture.prints()[0].0;
    fixture.event(Event::Health(Device::SheetPrinter, Health::Trouble(Trouble::PaperOut)));
    fixture.event(Event::Paper(receipt, PrintResult::NotStarted));
    assert_eq!(fixture.view().banners[0].title, TextId::SheetPaperOut.into());
    assert_eq!(fixture.printed_on().len(), 1, "no automatic print on another printer");
    fixture.touch(Intent::Other);
    assert_eq!(fixture.printed_on(), [Form::Sheet, Form::Receipt]);
    assert_eq!(fixture.prints()[1].2, None, "the first copy was not printed");

    let mut fixture = requested_a4_proof();
    let receipt = fixture.prints()[0].0;
    fixture.event(Event::Paper(receipt, PrintResult::Unconfirmed));
    assert_eq!(fixture.view().banners[0].title, TextId::SheetUnsure.into());
    fixture.touch(Intent::Other);
    assert_eq!(fixture.prints()[1].2.as_deref(), Some("补打 第1次"));
}

#[test]
fn two_printers_print_in_parallel() {
    let mut fixture = requested_a4_proof();
    fixture.touch(Intent::Home);
    let order = fixture.charge_in_this_visit();
    fixture.paid(order);
    assert_eq!(fixture.printed_on(), [Form::Sheet, Form::Receipt], "the printers do not wait for each other");
}
