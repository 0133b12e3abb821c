//! Print jobs: at most one copy without a copy mark, no receipt lost, no automatic second print (I6).

use contract::{Entry, PrintForm};
use session::{CardEvent, DeviceKind, DeviceState, Event, FaultReason, PrintResult};
use view::{Body, Intent, OutcomeKind, TextId};

use crate::fixture::{Fixture, PROOF};

fn paid_visit(fixture: &mut Fixture) -> contract::ReceiptId {
    let order = fixture.charge();
    fixture.settle_as_paid(order);
    fixture.prints().last().expect("a print effect").0
}

#[test]
fn printed_receipt_offers_no_copy() {
    let mut fixture = Fixture::new();
    let receipt = paid_visit(&mut fixture);
    fixture.finish_print(receipt);
    assert_eq!(fixture.shown_outcome().detail, TextId::PrintedDetail.into());
    assert_eq!(fixture.view().actions.len(), 1);
    fixture.touch(Intent::Secondary);
    assert_eq!(fixture.prints().len(), 1);
}

#[test]
fn paid_without_paper_offers_receipt_by_phone() {
    let mut fixture = Fixture::new();
    fixture.event(Event::DeviceStateChanged(
        DeviceKind::ReceiptPrinter,
        DeviceState::Faulty(FaultReason::PaperOut),
    ));
    let order = fixture.charge();
    fixture.settle_as_paid(order);
    assert!(fixture.prints().is_empty());
    assert_eq!(fixture.shown_outcome().kind, OutcomeKind::Done);
    assert_eq!(fixture.view().banners[0].title, TextId::PaperOut.into());
    let code = fixture.shown_outcome().code.expect("a receipt code for the phone");
    assert!(!code.qr.contains(&code.number.replace(' ', "")), "the number opens nothing");

    // After a new roll was inserted, the one copy without a copy mark is printed automatically.
    fixture.event(Event::DeviceStateChanged(DeviceKind::ReceiptPrinter, DeviceState::Ready));
    assert_eq!(fixture.prints().len(), 1);
    assert_eq!(fixture.prints()[0].2, None);
}

#[test]
fn unconfirmed_print_copies_on_request_with_copy_mark() {
    let mut fixture = Fixture::new();
    let receipt = paid_visit(&mut fixture);
    fixture.event(Event::DeviceStateChanged(
        DeviceKind::ReceiptPrinter,
        DeviceState::Faulty(FaultReason::PaperOut),
    ));
    fixture.event(Event::PrintFinished(receipt, PrintResult::Unconfirmed));
    fixture.event(Event::DeviceStateChanged(DeviceKind::ReceiptPrinter, DeviceState::Ready));
    assert_eq!(fixture.prints().len(), 1, "no automatic second print");
    assert_eq!(fixture.view().banners[0].title, TextId::PrintUnsure.into());
    fixture.touch(Intent::Secondary);
    assert_eq!(fixture.prints()[1].2.as_deref(), Some("补打 第1次"));
    fixture.finish_print(receipt);
    let copies: Vec<u32> = fixture
        .log
        .iter()
        .filter_map(|e| if let Entry::PrintStarted { copy, .. } = e { Some(*copy) } else { None })
        .collect();
    assert_eq!(copies, [1, 2]);
}

#[test]
fn print_not_started_is_repeated_without_copy_mark() {
    let mut fixture = Fixture::new();
    let receipt = paid_visit(&mut fixture);
    fixture.event(Event::PrintFinished(receipt, PrintResult::NotStarted));
    assert_eq!(fixture.prints().len(), 1, "no retry loop against a printer that reports ready");
    fixture.touch(Intent::Secondary);
    assert_eq!(fixture.prints().len(), 2);
    assert_eq!(fixture.prints()[1].2, None);
}

#[test]
fn unconfirmed_print_copies_are_limited_to_three() {
    let mut fixture = Fixture::new();
    let receipt = paid_visit(&mut fixture);
    for _ in 0..10 {
        fixture.event(Event::PrintFinished(receipt, PrintResult::Unconfirmed));
        fixture.touch(Intent::Secondary);
    }
    assert_eq!(fixture.prints().len(), 3);
}

#[test]
fn leaving_without_paper_abandons_and_records_print_job() {
    let mut fixture = Fixture::new();
    fixture.event(Event::DeviceStateChanged(
        DeviceKind::ReceiptPrinter,
        DeviceState::Faulty(FaultReason::PaperOut),
    ));
    let order = fixture.charge();
    fixture.settle_as_paid(order);
    fixture.touch(Intent::EndVisit);
    assert_eq!(fixture.count(|e| matches!(e, Entry::PrintAbandoned { .. })), 1);
    fixture.event(Event::DeviceStateChanged(DeviceKind::ReceiptPrinter, DeviceState::Ready));
    assert!(fixture.prints().is_empty(), "the next resident would find the receipt");
}

#[test]
fn print_outcome_after_leaving_is_recorded() {
    let mut fixture = Fixture::new();
    let receipt = paid_visit(&mut fixture);
    fixture.touch(Intent::EndVisit);
    assert_eq!(fixture.shown_outcome().detail, TextId::Printing.into(), "the notice points to the receipt");
    fixture.finish_print(receipt);
    assert_eq!(fixture.count(|e| matches!(e, Entry::Printed { .. })), 1);
}

#[test]
fn recovery_prints_nothing_automatically() {
    let mut before = Fixture::new();
    paid_visit(&mut before);
    let (_, content, _) = before.prints()[0].clone();
    let at = contract::UnixMs(before.wall());
    let mut durable = before.folded;
    let receipt = contract::ReceiptId::from_entropy(9);
    let visit = contract::VisitId::from_entropy(8);
    let form = contract::PrintForm::Receipt;
    durable.apply(&Entry::ReceiptIssued { receipt, visit, order: None, content, form }, at);
    let mut after = Fixture::recovered(durable);
    after.event(Event::DeviceStateChanged(DeviceKind::ReceiptPrinter, DeviceState::Ready));
    assert!(after.prints().is_empty());
    assert_eq!(after.count(|e| matches!(e, Entry::PrintUnconfirmed { .. })), 1);
    assert_eq!(after.count(|e| matches!(e, Entry::PrintAbandoned { .. })), 1);
}

#[test]
fn printed_service_data_masks_name_and_id_number() {
    let mut fixture = Fixture::new();
    fixture.begin_by_card();
    fixture.open("参保证明");
    fixture.touch(Intent::Primary);
    fixture.answer_rows(&[&[("months", "36")]]);
    assert!(matches!(fixture.view().body, Body::Details(_)));
    fixture.touch(Intent::Primary);
    let receipt = format!("{:?}", fixture.prints()[0].1);
    assert!(receipt.contains("张*丰") && receipt.contains("5001**********1239") && receipt.contains("36"));
    assert!(!receipt.contains(crate::fixture::NAME) && !receipt.contains(crate::fixture::ID_NUMBER));
    fixture.event(Event::Card(CardEvent::Removed));
    assert!(matches!(fixture.view().body, Body::Welcome(_)));
}

#[test]
fn printer_fault_shows_banner_until_ready() {
    let mut fixture = Fixture::new();
    let shows_banner =
        |fixture: &Fixture, title: TextId| fixture.view().banners.iter().any(|one| one.title == title.into());
    for (fault, title) in [
        (FaultReason::PaperOut, TextId::PaperOut),
        (FaultReason::CoverOpen, TextId::CoverOpen),
        (FaultReason::Jammed, TextId::PaperJam),
        (FaultReason::Unavailable, TextId::TileNeedsPaper),
    ] {
        fixture.event(Event::DeviceStateChanged(DeviceKind::ReceiptPrinter, DeviceState::Faulty(fault)));
        assert!(shows_banner(&fixture, title), "{fault:?} on the idle screen");
        fixture.event(Event::DeviceStateChanged(DeviceKind::ReceiptPrinter, DeviceState::Ready));
        assert!(!shows_banner(&fixture, title), "{fault:?} was cleared");
    }
    fixture.begin_by_card();
    fixture.event(Event::DeviceStateChanged(
        DeviceKind::ReceiptPrinter,
        DeviceState::Faulty(FaultReason::Unavailable),
    ));
    assert!(shows_banner(&fixture, TextId::TileNeedsPaper), "in the menu");
}

/// A kiosk with a ready A4 printer, after a resident requested the printout of a proof.
fn requested_a4_proof() -> Fixture {
    let mut fixture = Fixture::with_sheet_printer();
    fixture.event(Event::DeviceStateChanged(DeviceKind::DocumentPrinter, DeviceState::Ready));
    fixture.begin_by_code(1);
    fixture.open("参保证明");
    fixture.touch(Intent::Primary);
    fixture.answer_rows(&[&[("months", "36")]]);
    fixture.touch(Intent::Primary);
    fixture
}

#[test]
fn a4_document_with_ready_printer_prints_on_a4() {
    let mut fixture = requested_a4_proof();
    assert_eq!(fixture.printed_on(), [PrintForm::A4Document]);
    assert_eq!(fixture.shown_outcome().detail, TextId::SheetPrintingDetail.into());
    let receipt = fixture.prints()[0].0;
    fixture.finish_print(receipt);
    assert_eq!(fixture.shown_outcome().detail, TextId::SheetPrintedDetail.into());
}

#[test]
fn a4_printer_fault_shows_banner_and_prints_on_roll() {
    let mut fixture = Fixture::with_sheet_printer();
    fixture.event(Event::DeviceStateChanged(
        DeviceKind::DocumentPrinter,
        DeviceState::Faulty(FaultReason::PaperOut),
    ));
    assert_eq!(fixture.view().banners[0].title, TextId::SheetPaperOut.into());
    fixture.begin_by_card();
    fixture.open("参保证明");
    fixture.touch(Intent::Primary);
    fixture.answer_rows(&[&[("months", "36")]]);
    fixture.touch(Intent::Primary);
    assert_eq!(fixture.printed_on(), [PrintForm::Receipt]);
    assert_eq!(fixture.shown_outcome().detail, TextId::PrintingDetail.into());
}

#[test]
fn a4_document_reprint_is_marked_only_if_unconfirmed() {
    let mut fixture = requested_a4_proof();
    let receipt = fixture.prints()[0].0;
    fixture.event(Event::DeviceStateChanged(
        DeviceKind::DocumentPrinter,
        DeviceState::Faulty(FaultReason::PaperOut),
    ));
    fixture.event(Event::PrintFinished(receipt, PrintResult::NotStarted));
    assert_eq!(fixture.view().banners[0].title, TextId::SheetPaperOut.into());
    assert_eq!(fixture.printed_on().len(), 1, "no automatic print on another printer");
    fixture.touch(Intent::Secondary);
    assert_eq!(fixture.printed_on(), [PrintForm::A4Document, PrintForm::Receipt]);
    assert_eq!(fixture.prints()[1].2, None, "the first copy was not printed");

    let mut fixture = requested_a4_proof();
    let receipt = fixture.prints()[0].0;
    fixture.event(Event::PrintFinished(receipt, PrintResult::Unconfirmed));
    assert_eq!(fixture.view().banners[0].title, TextId::SheetUnsure.into());
    fixture.touch(Intent::Secondary);
    assert_eq!(fixture.prints()[1].2.as_deref(), Some("补打 第1次"));
}

#[test]
fn two_printers_print_in_parallel() {
    let mut fixture = requested_a4_proof();
    fixture.touch(Intent::Home);
    let order = fixture.charge_in_this_visit();
    fixture.settle_as_paid(order);
    assert_eq!(
        fixture.printed_on(),
        [PrintForm::A4Document, PrintForm::Receipt],
        "the printers do not wait for each other"
    );
}

/// The service with three fields more, which are printed like the first.
fn with_four_fields(service: &str) -> String {
    let first = r#"months = { type = "text", zh = "缴费月数", en = "Months" }"#;
    let more = ["b", "c", "d"].map(|name| first.replacen("months", name, 1)).join(", ");
    service
        .replacen(first, &format!("{first}, {more}"), 1)
        .replace(r#"show = ["months"]"#, r#"show = ["months", "b", "c", "d"]"#)
}

#[test]
fn printout_too_long_for_a_record_is_not_issued() {
    let mut fixture = Fixture::new();
    let service = PROOF.replace("personal = true", "personal = true\nmany = true");
    assert_ne!(service, PROOF);
    fixture.offer(&service);
    fixture.begin_by_code(1);
    fixture.open("参保证明");
    fixture.touch(Intent::Primary);
    let long = "社".repeat(200);
    let row: &[(&str, &str)] = &[("months", &long)];
    // 200 rows of 600 bytes fit.
    fixture.answer_rows(&[row; 200]);
    fixture.touch(Intent::Primary);
    assert_eq!(fixture.count(|e| matches!(e, Entry::ReceiptIssued { .. })), 1, "120,000 bytes fit");
    let quotes = "\"".repeat(200);
    fixture.touch(Intent::Primary);
    fixture.offer(&with_four_fields(&service));
    fixture.open("参保证明");
    fixture.touch(Intent::Primary);
    // Four fields of 200 quotation marks, each of which is written as two bytes.
    let row = ["months", "b", "c", "d"].map(|field| (field, quotes.as_str()));
    fixture.answer_rows(&[row.as_slice(); 200]);
    fixture.touch(Intent::Primary);
    assert_eq!(fixture.shown_outcome().headline, TextId::PrintTooLong.into());
    assert_eq!(fixture.count(|e| matches!(e, Entry::ReceiptIssued { .. })), 1);
    fixture.touch(Intent::Primary);
    assert_eq!(fixture.title(), TextId::MenuTitle);
}

#[test]
fn form_and_printer_of_a_receipt_survive_a_restart() {
    let mut fixture = Fixture::new();
    fixture.event(Event::DeviceStateChanged(DeviceKind::ReceiptPrinter, DeviceState::Ready));
    fixture.begin_by_code(1);
    fixture.open("参保证明");
    fixture.touch(Intent::Primary);
    fixture.answer_rows(&[&[("months", "3")]]);
    fixture.touch(Intent::Primary);
    // There is no A4 printer: the document is printed on the roll, and the record says so.
    let forms = |entry: &Entry| match entry {
        Entry::ReceiptIssued { form, .. } => Some((Some(*form), None)),
        Entry::PrintStarted { printer, .. } => Some((None, *printer)),
        _ => None,
    };
    let recorded: Vec<_> = fixture.log.iter().filter_map(forms).collect();
    assert_eq!(recorded, [(Some(PrintForm::A4Document), None), (None, Some(PrintForm::Receipt))]);
}
