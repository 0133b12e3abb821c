//! Paper: at most one unmarked copy, nothing lost, nothing printed twice by itself (I6).

use contract::{Entry, Form};
use session::{CardEvent, Device, Event, Health, OpenPaper, OpenWork, PrintResult, Trouble};
use view::{Body, Intent, TextId, Verdict};

use crate::bench::Bench;

fn paid_visit(bench: &mut Bench) -> contract::ReceiptId {
    let order = bench.charge();
    bench.paid(order);
    bench.prints().last().expect("a print").0
}

#[test]
fn a_printed_receipt_is_done_and_offers_no_copy() {
    let mut bench = Bench::new();
    let receipt = paid_visit(&mut bench);
    bench.printed(receipt);
    assert_eq!(bench.outcome().detail, TextId::PrintedDetail.into());
    assert_eq!(bench.view().actions.len(), 1);
    bench.touch(Intent::Other);
    assert_eq!(bench.prints().len(), 1);
}

#[test]
fn out_of_paper_the_payment_is_said_first_and_the_receipt_is_offered_by_phone() {
    let mut bench = Bench::new();
    bench.event(Event::Health(Device::Printer, Health::Trouble(Trouble::PaperOut)));
    let order = bench.charge();
    bench.paid(order);
    assert!(bench.prints().is_empty());
    assert_eq!(bench.outcome().verdict, Verdict::Done);
    assert_eq!(bench.view().banners[0].title, TextId::PaperOut.into());
    let code = bench.outcome().code.expect("a way without paper");
    assert!(code.qr.ends_with(&code.number.replace(' ', "")));

    // A new roll: the one unmarked copy is printed by itself.
    bench.event(Event::Health(Device::Printer, Health::Ready));
    assert_eq!(bench.prints().len(), 1);
    assert_eq!(bench.prints()[0].2, None);
}

#[test]
fn paper_running_out_in_the_middle_is_unsure_and_a_copy_is_marked_and_only_on_request() {
    let mut bench = Bench::new();
    let receipt = paid_visit(&mut bench);
    bench.event(Event::Health(Device::Printer, Health::Trouble(Trouble::PaperOut)));
    bench.event(Event::Paper(receipt, PrintResult::Unconfirmed));
    bench.event(Event::Health(Device::Printer, Health::Ready));
    assert_eq!(bench.prints().len(), 1, "never by itself");
    assert_eq!(bench.view().banners[0].title, TextId::PrintUnsure.into());
    bench.touch(Intent::Other);
    assert_eq!(bench.prints()[1].2.as_deref(), Some("补打 第1次"));
    bench.printed(receipt);
    let copies: Vec<u32> = bench
        .log
        .iter()
        .filter_map(|e| if let Entry::PrintStarted { copy, .. } = e { Some(*copy) } else { None })
        .collect();
    assert_eq!(copies, [1, 2]);
}

#[test]
fn what_did_not_start_is_still_the_unmarked_copy() {
    let mut bench = Bench::new();
    let receipt = paid_visit(&mut bench);
    bench.event(Event::Paper(receipt, PrintResult::NotStarted));
    assert_eq!(bench.prints().len(), 1, "no loop against a printer that says it is ready");
    bench.touch(Intent::Other);
    assert_eq!(bench.prints().len(), 2);
    assert_eq!(bench.prints()[1].2, None);
}

#[test]
fn copies_are_bounded() {
    let mut bench = Bench::new();
    let receipt = paid_visit(&mut bench);
    for _ in 0..10 {
        bench.event(Event::Paper(receipt, PrintResult::Unconfirmed));
        bench.touch(Intent::Other);
    }
    assert_eq!(bench.prints().len(), 3);
}

#[test]
fn leaving_without_paper_waives_it_on_record() {
    let mut bench = Bench::new();
    bench.event(Event::Health(Device::Printer, Health::Trouble(Trouble::PaperOut)));
    let order = bench.charge();
    bench.paid(order);
    bench.touch(Intent::Leave);
    assert_eq!(bench.count(|e| matches!(e, Entry::ReceiptWaived { .. })), 1);
    bench.event(Event::Health(Device::Printer, Health::Ready));
    assert!(bench.prints().is_empty(), "the next resident would find it");
}

#[test]
fn a_print_under_way_when_the_card_is_taken_ends_on_record() {
    let mut bench = Bench::new();
    let receipt = paid_visit(&mut bench);
    bench.touch(Intent::Leave);
    assert_eq!(bench.outcome().detail, TextId::Printing.into(), "the last words point to the paper");
    bench.printed(receipt);
    assert_eq!(bench.count(|e| matches!(e, Entry::Printed { .. })), 1);
}

#[test]
fn after_a_crash_nothing_is_printed_by_itself() {
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
fn a_record_is_printed_masked() {
    let mut bench = Bench::new();
    bench.by_card();
    bench.open("参保证明");
    bench.touch(Intent::Go);
    bench.answer_rows(&[&[("months", "36")]]);
    assert!(matches!(bench.view().body, Body::Sheet(_)));
    bench.touch(Intent::Go);
    let receipt = format!("{:?}", bench.prints()[0].1);
    assert!(receipt.contains("张*丰") && receipt.contains("5001**********1239") && receipt.contains("36"));
    assert!(!receipt.contains(crate::bench::NAME) && !receipt.contains(crate::bench::ID_NUMBER));
    bench.event(Event::Card(CardEvent::Removed));
    assert!(matches!(bench.view().body, Body::Welcome(_)));
}

#[test]
fn a_printer_that_cannot_print_is_said_before_anybody_chooses_and_no_longer_than_it_holds() {
    let mut bench = Bench::new();
    let said =
        |bench: &Bench, title: TextId| bench.view().banners.iter().any(|one| one.title == title.into());
    for (trouble, title) in [
        (Trouble::PaperOut, TextId::PaperOut),
        (Trouble::CoverOpen, TextId::CoverOpen),
        (Trouble::Jammed, TextId::PaperJam),
        (Trouble::Gone, TextId::TileNeedsPaper),
    ] {
        bench.event(Event::Health(Device::Printer, Health::Trouble(trouble)));
        assert!(said(&bench, title), "{trouble:?} on the welcome view");
        bench.event(Event::Health(Device::Printer, Health::Ready));
        assert!(!said(&bench, title), "{trouble:?} is over");
    }
    bench.by_card();
    bench.event(Event::Health(Device::Printer, Health::Trouble(Trouble::Gone)));
    assert!(said(&bench, TextId::TileNeedsPaper), "in the menu");
}

/// A kiosk with an A4 printer that works, and a resident whose proof has just been asked for on paper.
fn proof_on_a_sheet() -> Bench {
    let mut bench = Bench::with_sheet_printer();
    bench.event(Event::Health(Device::SheetPrinter, Health::Ready));
    bench.by_code(1);
    bench.open("参保证明");
    bench.touch(Intent::Go);
    bench.answer_rows(&[&[("months", "36")]]);
    bench.touch(Intent::Go);
    bench
}

#[test]
fn a_proof_comes_out_on_a_sheet_where_there_is_an_a4_printer() {
    let mut bench = proof_on_a_sheet();
    assert_eq!(bench.printed_on(), [Form::Sheet]);
    assert_eq!(bench.outcome().detail, TextId::SheetPrintingDetail.into());
    let receipt = bench.prints()[0].0;
    bench.printed(receipt);
    assert_eq!(bench.outcome().detail, TextId::SheetPrintedDetail.into());
}

#[test]
fn a_proof_comes_out_on_the_roll_where_no_a4_printer_works_and_that_is_said_before() {
    let mut bench = Bench::with_sheet_printer();
    bench.event(Event::Health(Device::SheetPrinter, Health::Trouble(Trouble::PaperOut)));
    assert_eq!(bench.view().banners[0].title, TextId::SheetPaperOut.into());
    bench.by_card();
    bench.open("参保证明");
    bench.touch(Intent::Go);
    bench.answer_rows(&[&[("months", "36")]]);
    bench.touch(Intent::Go);
    assert_eq!(bench.printed_on(), [Form::Receipt]);
    assert_eq!(bench.outcome().detail, TextId::PrintingDetail.into());
}

#[test]
fn a_sheet_that_was_not_begun_can_be_had_on_the_roll_and_one_in_doubt_is_a_marked_copy() {
    let mut bench = proof_on_a_sheet();
    let receipt = bench.prints()[0].0;
    bench.event(Event::Health(Device::SheetPrinter, Health::Trouble(Trouble::PaperOut)));
    bench.event(Event::Paper(receipt, PrintResult::NotStarted));
    assert_eq!(bench.view().banners[0].title, TextId::SheetPaperOut.into());
    assert_eq!(bench.printed_on().len(), 1, "never by itself on another printer");
    bench.touch(Intent::Other);
    assert_eq!(bench.printed_on(), [Form::Sheet, Form::Receipt]);
    assert_eq!(bench.prints()[1].2, None, "nothing was on paper");

    let mut bench = proof_on_a_sheet();
    let receipt = bench.prints()[0].0;
    bench.event(Event::Paper(receipt, PrintResult::Unconfirmed));
    assert_eq!(bench.view().banners[0].title, TextId::SheetUnsure.into());
    bench.touch(Intent::Other);
    assert_eq!(bench.prints()[1].2.as_deref(), Some("补打 第1次"));
}

#[test]
fn two_printers_work_side_by_side() {
    let mut bench = proof_on_a_sheet();
    bench.touch(Intent::Home);
    let order = bench.charge_in_this_visit();
    bench.paid(order);
    assert_eq!(bench.printed_on(), [Form::Sheet, Form::Receipt], "neither waits for the other");
}
