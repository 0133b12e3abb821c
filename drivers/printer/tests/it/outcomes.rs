//! The outcome of a receipt, for every fault at every byte.

use printer::{
    Charset, ConfirmationMethod, PrintConfirmation, PrintFailure, PrintOutcome, PrintProgress,
    PrintableReceipt, PrinterProfile, ReceiptBlock, ReceiptPrinter, StatusQuery,
};
use serial_link::LinkFault;

use crate::scripted_printer::{FAULTS, InjectedFault, ScriptedLink, water_bill};

const PRINTED: PrintOutcome = PrintOutcome::Printed { confirmation: PrintConfirmation::Barrier };

fn opened(profile: &PrinterProfile) -> (ScriptedLink, ReceiptPrinter) {
    let link = ScriptedLink::new();
    let printer = ReceiptPrinter::open(Box::new(link.clone()), profile.clone());
    (link, printer)
}

fn generic_80() -> PrinterProfile {
    PrinterProfile::by_name("generic-80").unwrap()
}

fn print(printer: &mut ReceiptPrinter) -> PrintOutcome {
    printer.print(&water_bill(), &mut |_| {})
}

/// A printer that has printed one receipt, so that no data is left over; and the size of a receipt in bytes.
fn in_use(profile: &PrinterProfile) -> (ScriptedLink, ReceiptPrinter, usize) {
    let (link, mut printer) = opened(profile);
    print(&mut printer);
    let state = link.state();
    let head = state.received.windows(4).position(|window| window == b"\x1B@\x1C&").unwrap();
    let length = state.received.len() - head;
    drop(state);
    (link, printer, length)
}

#[test]
fn receipt_with_answered_barrier_is_printed() {
    let (link, mut printer) = opened(&generic_80());

    assert_eq!(print(&mut printer), PRINTED);
    let state = link.state();
    assert_eq!(state.processed_count, state.received.len());
}

#[test]
fn process_id_echo_is_preferred_to_barrier() {
    let (link, mut printer) = opened(&PrinterProfile::by_name("epson-80").unwrap());
    link.state().supports_process_id = true;

    assert_eq!(print(&mut printer), PrintOutcome::Printed { confirmation: PrintConfirmation::ProcessId });
}

#[test]
fn missing_process_id_echo_falls_back_to_barrier() {
    let (_link, mut printer) = opened(&PrinterProfile::by_name("epson-80").unwrap());

    assert_eq!(print(&mut printer), PRINTED);
}

#[test]
fn status_only_printer_with_clean_status_is_received() {
    let (_link, mut printer) =
        opened(&PrinterProfile { confirmation_method: ConfirmationMethod::StatusOnly, ..generic_80() });

    assert_eq!(print(&mut printer), PrintOutcome::Printed { confirmation: PrintConfirmation::Received });
}

#[test]
fn printer_without_answers_is_unconfirmed() {
    let blind = PrinterProfile {
        confirmation_method: ConfirmationMethod::None,
        status_query: StatusQuery::None,
        ..generic_80()
    };
    let (link, mut printer) = opened(&blind);

    assert_eq!(print(&mut printer), PrintOutcome::Unconfirmed(PrintFailure::NoConfirmation));
    assert_eq!(
        link.state().cleared,
        1,
        "only the clear before the first receipt: the printer may still be printing"
    );
}

#[test]
fn fault_before_first_byte_is_not_started() {
    for (fault, failure) in [
        (InjectedFault::PaperOut, PrintFailure::PaperOut),
        (InjectedFault::CoverOpen, PrintFailure::CoverOpen),
        (InjectedFault::CutterStuck, PrintFailure::Jammed),
        (InjectedFault::NotResponding, PrintFailure::NotResponding),
        (InjectedFault::Unplugged, PrintFailure::Disconnected),
    ] {
        let (link, mut printer, _) = in_use(&generic_80());
        link.state().inject_after(0, fault);
        let taken = link.state().received.len();

        assert_eq!(print(&mut printer), PrintOutcome::NotStarted(failure), "{fault:?}");
        assert_eq!(link.state().received.len(), taken, "{fault:?}");
    }
}

#[test]
fn status_reports_fault_and_silent_printer_times_out() {
    let (link, mut printer) = opened(&generic_80());
    assert_eq!(printer.status().unwrap().blocking_failure(), None);

    link.state().inject_after(0, InjectedFault::CoverOpen);
    assert_eq!(printer.status().unwrap().blocking_failure(), Some(PrintFailure::CoverOpen));

    link.state().inject_after(0, InjectedFault::NotResponding);
    assert_eq!(printer.status(), Err(LinkFault::TimedOut));
}

#[test]
fn fault_at_any_byte_is_never_reported_as_printed() {
    let (_, _, length) = in_use(&generic_80());
    // The second barrier asks about a receipt that has been printed: its loss is covered elsewhere.
    for fault in FAULTS {
        for offset in 0..length - 3 {
            let (link, mut printer, _) = in_use(&generic_80());
            let mark = link.state().received.len();
            link.state().inject_after(offset, fault);

            let outcome = print(&mut printer);

            let reached = link.state().received.len() > mark;
            match outcome {
                PrintOutcome::Printed { .. } => {
                    panic!("{fault:?} at {offset}: printed without a barrier answer")
                }
                PrintOutcome::NotStarted(_) => assert!(!reached, "{fault:?} at {offset}: bytes were sent"),
                PrintOutcome::Unconfirmed(_) => assert!(reached, "{fault:?} at {offset}: no byte was sent"),
            }
        }
    }
}

/// Invariant I6, at every byte and with every fault: printing again by the rules gives at most one whole receipt
/// without a copy mark, and a receipt that is reported as printed was printed whole.
#[test]
fn fault_at_any_byte_leaves_at_most_one_unmarked_receipt() {
    let (link, _, length) = in_use(&generic_80());
    let whole = {
        let taken = &link.state().received;
        // It ends with two barriers of three bytes.
        taken[taken.len() - length..taken.len() - 6].to_vec()
    };
    let copies = |link: &ScriptedLink| {
        link.state().printed.windows(whole.len()).filter(|window| *window == whole.as_slice()).count()
    };
    let marked = PrintableReceipt { copy_mark: Some("补打 第1次".into()), ..water_bill() };
    for fault in FAULTS {
        for offset in 0..length - 3 {
            let (link, mut printer, _) = in_use(&generic_80());
            let before = copies(&link);
            link.state().inject_after(offset, fault);
            let first = print(&mut printer);
            if matches!(first, PrintOutcome::Printed { .. }) {
                assert_eq!(copies(&link), before + 1, "{fault:?} at {offset}: reported as printed");
            }

            link.state().clear_fault();
            printer.relink(Box::new(link.clone()));
            let second = match first {
                PrintOutcome::Printed { .. } => first,
                PrintOutcome::NotStarted(_) => print(&mut printer),
                PrintOutcome::Unconfirmed(_) => printer.print(&marked, &mut |_| {}),
            };

            assert!(matches!(second, PrintOutcome::Printed { .. }), "{fault:?} at {offset}: {second:?}");
            assert!(copies(&link) <= before + 1, "{fault:?} at {offset}");
        }
    }
}

#[test]
fn noisy_line_is_never_reported_as_printed() {
    for seed in 0..2_000 {
        let link = ScriptedLink::new().with_noise(seed);
        let mut printer = ReceiptPrinter::open(Box::new(link.clone()), generic_80());
        print(&mut printer);
        link.state().inject_after(50, InjectedFault::NoisyLine);

        let outcome = print(&mut printer);

        assert!(matches!(outcome, PrintOutcome::Unconfirmed(_)), "{seed}: {outcome:?}");
    }
}

/// A line that loses power twice during a barrier sends two NULs: as many as two barrier answers.
#[test]
fn surplus_barrier_answers_are_no_confirmation() {
    let (link, mut printer, length) = in_use(&generic_80());
    link.state().supports_barrier = false;
    let mut confirming = 0;

    let outcome = printer.print(&water_bill(), &mut |progress| {
        if progress == PrintProgress::Confirming {
            confirming += 1;
            if confirming == 2 {
                link.state().send_unrequested(&[0, 0, 0]);
            }
        }
    });

    assert!(length > 0);
    assert_eq!(outcome, PrintOutcome::Unconfirmed(PrintFailure::NoConfirmation));
}

/// A documented limitation: without a process id, nothing shows that the printer has lost the beginning of the
/// receipt.
#[test]
fn fast_printer_restart_mid_receipt_is_not_noticed() {
    let (link, mut printer, _) = in_use(&generic_80());
    link.state().inject_after(100, InjectedFault::Resets);

    assert_eq!(print(&mut printer), PRINTED);
}

#[test]
fn interrupted_receipt_reports_the_printer_failure() {
    for (fault, failure) in [
        (InjectedFault::PaperOut, PrintFailure::PaperOut),
        (InjectedFault::CoverOpen, PrintFailure::CoverOpen),
        (InjectedFault::CutterStuck, PrintFailure::Jammed),
        (InjectedFault::NotResponding, PrintFailure::NotResponding),
        (InjectedFault::NotRespondingWithNul, PrintFailure::NotResponding),
        (InjectedFault::Unplugged, PrintFailure::Disconnected),
        (InjectedFault::Stalled, PrintFailure::Stalled),
    ] {
        let (link, mut printer, _) = in_use(&generic_80());
        link.state().inject_after(100, fault);

        assert_eq!(print(&mut printer), PrintOutcome::Unconfirmed(failure), "{fault:?}");
    }
}

#[test]
fn unanswered_barrier_is_unconfirmed() {
    let (link, mut printer) = opened(&generic_80());
    link.state().supports_barrier = false;

    assert_eq!(print(&mut printer), PrintOutcome::Unconfirmed(PrintFailure::NoConfirmation));
}

#[test]
fn interrupted_receipt_is_cleared_now_and_before_next() {
    let (link, mut printer, _) = in_use(&generic_80());
    link.state().inject_after(100, InjectedFault::PaperOut);
    let cleared = link.state().cleared;

    print(&mut printer);

    assert_eq!(link.state().cleared, cleared + 1, "the rest must not be printed on the new roll");
    link.state().clear_fault();
    let mark = link.state().received.len();
    assert_eq!(print(&mut printer), PRINTED);
    assert_eq!(link.state().cleared, cleared + 2);
    let taken = link.state().received_since(mark);
    let end_of_nuls = taken.iter().position(|&byte| byte != 0).unwrap();
    assert!(end_of_nuls >= 2048, "an interrupted command is ended first");
    assert!(
        taken[end_of_nuls..].starts_with(b"\x1B@\x1DVB\x00\x1B@"),
        "the fragment is cut off before the receipt begins"
    );
}

#[test]
fn receipt_is_sent_once_for_every_fault() {
    for fault in FAULTS {
        let (link, mut printer, length) = in_use(&generic_80());
        let mark = link.state().received.len();
        link.state().inject_after(length - 5, fault);

        print(&mut printer);

        let taken = link.state().received_since(mark);
        let heads = taken.windows(4).filter(|window| window == b"\x1B@\x1C&").count();
        assert_eq!(heads, 1, "{fault:?}");
    }
}

#[test]
fn unsolicited_status_bytes_are_no_confirmation() {
    let (link, mut printer, _) = in_use(&generic_80());
    // A printer configured for automatic status sends four bytes on every change.
    link.state().send_unrequested(&[0x18, 0x00, 0x00, 0x0F, 0x11, 0x13]);
    link.state().supports_barrier = false;

    assert_eq!(print(&mut printer), PrintOutcome::Unconfirmed(PrintFailure::NoConfirmation));
}

#[test]
fn unprintable_receipt_sends_no_byte() {
    let no_font = PrinterProfile { font: "/nonexistent".into(), charset: Charset::Gb2312, ..generic_80() };
    let (link, mut printer) = opened(&no_font);
    let mut receipt = water_bill();
    receipt.blocks.push(ReceiptBlock::Line("𠮷".into()));

    assert_eq!(printer.print(&receipt, &mut |_| {}), PrintOutcome::NotStarted(PrintFailure::Unprintable));
    assert!(link.state().received.is_empty());
}

#[test]
fn progress_rises_to_total_then_confirms() {
    let (_link, mut printer, length) = in_use(&generic_80());
    let mut seen = Vec::new();

    printer.print(&water_bill(), &mut |progress| seen.push(progress));

    assert_eq!(seen.first(), Some(&PrintProgress::QueryingStatus));
    assert_eq!(seen.last(), Some(&PrintProgress::Confirming));
    let sent: Vec<usize> = seen
        .iter()
        .filter_map(|progress| match progress {
            PrintProgress::Sending { sent_bytes, total_bytes } => {
                // The second barrier is not part of the receipt.
                assert_eq!(*total_bytes, length - 3);
                Some(*sent_bytes)
            }
            PrintProgress::QueryingStatus | PrintProgress::Confirming => None,
        })
        .collect();
    assert!(sent.is_sorted() && sent.last() < Some(&length), "{sent:?}");
}
