//! A4 documents: the content of the PDF, checked by poppler; the outcome of a job, checked by CUPS' own virtual
//! printer.

use std::fs;
use std::process::Command;
use std::thread;

use emulator::document_printer::{PAPER_OUT_COMMAND, PRINT_COMMAND};
use printer::{
    A4Document, DocumentBlock, DocumentCode, DocumentFonts, DocumentPrinter, DocumentPrinterFault, PdfFault,
    PrintConfirmation, PrintFailure, PrintOutcome, parse_ipp_response, render_pdf,
};
use proptest::prelude::*;

use crate::cups;
use crate::oracles::{page_picture, read_codes};

pub(crate) fn insurance_proof() -> A4Document {
    let row = |label: &str, value: &str| DocumentBlock::Row { label: label.into(), value: value.into() };
    A4Document {
        title: "社会保险个人参保证明".into(),
        blocks: vec![
            row("姓名", "张*䶮"),
            row("公民身份号码", "5001**********1234"),
            row(
                "参保单位",
                "重庆市渝北区某某机械制造有限公司㛃𠮷分公司，地址在龙溪街道人民路一百二十八号附一号",
            ),
            row("参保状态", "正常参保"),
            DocumentBlock::Text("以上信息来自社会保险经办系统，按本人同意查询。".into()),
            DocumentBlock::Table {
                head: vec!["险种".into(), "起始年月".into(), "累计月数".into()],
                rows: vec![
                    vec!["城镇企业职工基本养老保险".into(), "2009年07月".into(), "197".into()],
                    vec!["失业保险".into(), "2009年07月".into(), "197".into()],
                ],
            },
        ],
        code: Some(DocumentCode {
            content: "https://example.invalid/v/YB2026?c=7F3A".into(),
            caption: "扫码核验真伪，有效期三个月".into(),
        }),
        foot: vec![
            ("打印时间".into(), "2026-11-23 10:20:31".into()),
            ("终端编号".into(), "K-DH-0001".into()),
        ],
        copy_mark: Some("补打 第1次".into()),
    }
}

fn fonts() -> DocumentFonts {
    DocumentFonts::load_system().unwrap()
}

/// Runs a program of poppler on a PDF and returns its output.
fn poppler(program: &str, bytes: &[u8], arguments: &[&str]) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    let output = Command::new(program).arg(file.path()).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn pdf_contains_all_text_and_embeds_fonts() {
    let (bytes, pages) = render_pdf(&insurance_proof(), &fonts()).unwrap();

    assert_eq!(pages, 1);
    assert!(bytes.len() < 200_000, "{} bytes", bytes.len());
    // Cells are wrapped, so white space is ignored.
    let text: String = poppler("pdftotext", &bytes, &["-"]).split_whitespace().collect();
    for part in [
        "社会保险个人参保证明",
        "张*䶮",
        "5001**********1234",
        "㛃𠮷分公司",
        "险种",
        "失业保险",
        "197",
        "2026-11-2310:20:31",
        "K-DH-0001",
        "补打第1次",
        "扫码核验真伪",
        "1/1",
    ] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    let fonts = poppler("pdffonts", &bytes, &[]);
    let faces: Vec<&str> = fonts.lines().skip(2).collect();
    assert!(!faces.is_empty());
    for face in faces {
        let columns: Vec<&str> = face.split_whitespace().rev().take(5).collect();
        // Columns from the right: object, generation, uni, sub, emb.
        assert_eq!(columns[2..], ["yes", "yes", "yes"], "{face}");
    }
}

#[test]
fn verification_code_on_page_is_readable() {
    let (bytes, _) = render_pdf(&insurance_proof(), &fonts()).unwrap();

    assert_eq!(read_codes(&page_picture(&bytes)), ["QR-Code:https://example.invalid/v/YB2026?c=7F3A"]);
}

#[test]
fn same_document_gives_same_pdf_bytes() {
    assert_eq!(
        render_pdf(&insurance_proof(), &fonts()).unwrap().0,
        render_pdf(&insurance_proof(), &fonts()).unwrap().0
    );
}

#[test]
fn long_table_breaks_page_and_repeats_header() {
    let mut document = insurance_proof();
    let rows = (1..=60).map(|month| vec![format!("第{month}行"), "2026年".into(), "86.40".into()]).collect();
    document
        .blocks
        .push(DocumentBlock::Table { head: vec!["账目".into(), "年".into(), "金额".into()], rows });

    let (bytes, pages) = render_pdf(&document, &fonts()).unwrap();

    let text = poppler("pdftotext", &bytes, &["-"]);
    assert_eq!(pages, 3);
    assert_eq!(text.matches("账目").count(), 3);
    assert!((1..=60).all(|row| text.contains(&format!("第{row}行"))), "{text}");
}

#[test]
fn unprintable_document_is_refused() {
    let with = |change: fn(&mut A4Document)| {
        let mut document = insurance_proof();
        change(&mut document);
        render_pdf(&document, &fonts()).unwrap_err()
    };

    let fault = with(|document| document.blocks.push(DocumentBlock::Text("\u{E000}".into())));
    assert!(matches!(fault, PdfFault::NoGlyph));
    let fault = with(|document| document.blocks = vec![DocumentBlock::Text("长".repeat(601))]);
    assert!(matches!(fault, PdfFault::TooLong));
    let fault = with(|document| document.blocks = vec![DocumentBlock::Text("长".repeat(600)); 200]);
    assert!(matches!(fault, PdfFault::TooLong));
    let fault = with(|document| document.code.as_mut().unwrap().content = "x".repeat(601));
    assert!(matches!(fault, PdfFault::CodeUnfit));
}

#[test]
fn cups_prints_document_and_counts_sheets() {
    cups::run_in_namespaces("documents::cups_prints_document_and_counts_sheets", || {
        let (cups, _place) = cups::start(PRINT_COMMAND);
        let printer = DocumentPrinter::for_address(&cups.address()).unwrap();
        assert_eq!(printer.status(&mut |_| {}).unwrap().blocking_failure(), None);

        let outcome = printer.print(&insurance_proof(), &mut |_| {});

        assert_eq!(outcome, PrintOutcome::Printed { confirmation: PrintConfirmation::SheetsCounted });
        assert!(
            cups.tray().jobs().unwrap() == [render_pdf(&insurance_proof(), &fonts()).unwrap().0],
            "another file, or none"
        );
    });
}

#[test]
fn job_waiting_for_paper_prints_after_refill() {
    cups::run_in_namespaces("documents::job_waiting_for_paper_prints_after_refill", || {
        let (cups, _place) = cups::start(PAPER_OUT_COMMAND);
        let printer = DocumentPrinter::for_address(&cups.address()).unwrap();

        let outcome = thread::scope(|scope| {
            let printing = scope.spawn(|| printer.print(&insurance_proof(), &mut |_| {}));
            cups::wait("the empty tray", || {
                DocumentPrinter::for_address(&cups.address()).unwrap().status(&mut |_| {}).unwrap().tray_empty
            });
            cups.refill_paper().unwrap();
            printing.join().unwrap()
        });

        assert_eq!(outcome, PrintOutcome::Printed { confirmation: PrintConfirmation::SheetsCounted });
    });
}

#[test]
fn job_without_paper_is_cancelled_and_unconfirmed() {
    cups::run_in_namespaces("documents::job_without_paper_is_cancelled_and_unconfirmed", || {
        let (cups, _place) = cups::start(PAPER_OUT_COMMAND);
        let printer = DocumentPrinter::for_address(&cups.address()).unwrap();
        let mut reports = 0;

        let outcome = printer.print(&insurance_proof(), &mut |_| reports += 1);

        assert_eq!(outcome, PrintOutcome::Unconfirmed(PrintFailure::PaperOut));
        assert!(reports > 20, "too few progress reports for the heartbeat: {reports}");
        assert_eq!(cups.tray().jobs().unwrap().len(), 1);
    });
}

#[test]
fn unreachable_printer_is_not_started() {
    cups::run_in_namespaces("documents::unreachable_printer_is_not_started", || {
        let (mut cups, _place) = cups::start(PRINT_COMMAND);
        let printer = DocumentPrinter::for_address(&cups.address()).unwrap();
        cups.stop().unwrap();

        assert!(matches!(printer.status(&mut |_| {}), Err(DocumentPrinterFault::Unreachable)));
        assert_eq!(
            printer.print(&insurance_proof(), &mut |_| {}),
            PrintOutcome::NotStarted(PrintFailure::Disconnected)
        );
    });
}

#[test]
fn invalid_address_is_refused() {
    for address in ["http://127.0.0.1/printers/a4", "a4", "ipps://127.0.0.1/", ""] {
        assert!(
            matches!(DocumentPrinter::for_address(address), Err(DocumentPrinterFault::Address(_))),
            "{address}"
        );
    }
}

#[test]
fn nested_ipp_collections_do_not_exhaust_stack() {
    let mut answer = vec![1, 1, 0, 0, 0, 0, 0, 1, 4];
    let attribute = |tag: u8, name: &[u8], value: &[u8]| {
        let length = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap().to_be_bytes();
        [&[tag][..], &length(name), name, &length(value), value].concat()
    };
    answer.extend(attribute(0x34, b"x", b""));
    while answer.len() < 40_000 {
        answer.extend(attribute(0x4A, b"", b"m"));
        answer.extend(attribute(0x34, b"", b""));
    }
    while answer.len() < 65_000 {
        answer.extend(attribute(0x37, b"", b""));
    }
    answer.push(3);

    // The main thread of a device process has a stack of 8 MiB, this test thread 2 MiB.
    let _ = parse_ipp_response(&answer);
}

proptest! {
    #[test]
    fn any_ipp_response_is_parsed_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), valid_head in any::<bool>()) {
        let head: &[u8] = if valid_head { &[1, 1, 0, 0, 0, 0, 0, 1, 4, 0x23, 0, 13] } else { &[] };
        let _ = parse_ipp_response(&[head, &bytes].concat());
    }
}
