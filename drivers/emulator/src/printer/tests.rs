use super::*;
use crate::roll::WIDTH_80_MM_DOTS;

fn printer(troubles: PrinterFaults, faults: &FaultSwitches) -> PrinterState {
    PrinterState {
        faults_set: troubles,
        ..PrinterState::new(Roll::new(WIDTH_80_MM_DOTS).unwrap(), faults.clone())
    }
}

fn take(state: &mut PrinterState, bytes: &[u8]) -> Vec<u8> {
    state.receive(bytes).into_iter().flat_map(|bent| bent.bytes).collect()
}

fn run(bytes: &[u8], troubles: PrinterFaults) -> (Vec<Printout>, Vec<u8>) {
    let mut state = printer(troubles, &FaultSwitches::default());
    let answers = take(&mut state, bytes);
    (state.printouts, answers)
}

fn receipt() -> Vec<u8> {
    let mut bytes = vec![0x1B, b'@', 0x1C, b'&'];
    bytes.extend_from_slice(&encoding_rs::GB18030.encode("缴费凭条 李䶮 𠮷田\n¥86.40\n").0);
    bytes.extend([
        0x1D, b'(', b'k', 5, 0, 0x31, 0x50, 0x30, b'h', b'i', 0x1D, b'(', b'k', 3, 0, 0x31, 0x51, 0x30,
    ]);
    bytes.extend([0x1D, b'V', 66, 3, 0x1D, b'(', b'H', 6, 0, 0x30, 0x30, 1, 2, 3, 4, 0x1D, b'r', 1]);
    bytes
}

#[test]
fn chinese_receipt_is_cut_and_print_barriers_are_answered() {
    let (sheets, answers) = run(&receipt(), PrinterFaults::default());
    assert_eq!(sheets.len(), 1);
    assert!(sheets[0].text.contains("李䶮 𠮷田") && sheets[0].text.contains("[QR hi]"), "{}", sheets[0].text);
    assert_eq!(answers, [0x37, 0x22, 1, 2, 3, 4, 0x00, 0x00]);
    let picture = image::load_from_memory(&sheets[0].png).unwrap().to_luma8();
    let mut found = rqrr::PreparedImage::prepare(picture);
    assert_eq!(found.detect_grids()[0].decode().unwrap().1, "hi");
}

#[test]
fn realtime_status_bytes_match_manual() {
    let ask = [0x10, 4, 1, 0x10, 4, 2, 0x10, 4, 3, 0x10, 4, 4];
    assert_eq!(run(&ask, PrinterFaults::default()).1, [0x12, 0x12, 0x12, 0x12]);
    let no_paper = PrinterFaults { paper_out: true, ..PrinterFaults::default() };
    assert_eq!(run(&ask, no_paper).1, [0x1A, 0x32, 0x12, 0x7E]);
    let open = PrinterFaults { cover_open: true, ..PrinterFaults::default() };
    assert_eq!(run(&ask, open).1, [0x1A, 0x16, 0x12, 0x12]);
    let unresponsive = PrinterFaults { unresponsive: true, ..PrinterFaults::default() };
    assert!(run(&ask, unresponsive).1.is_empty());
}

#[test]
fn realtime_command_in_two_pieces_is_answered() {
    let mut state = printer(PrinterFaults::default(), &FaultSwitches::default());
    assert!(take(&mut state, &[b'a', 0x10]).is_empty());
    assert!(take(&mut state, &[0x04]).is_empty());
    assert_eq!(take(&mut state, &[0x01, 0x10, 0x14, 0x08]), [0x12]);
    assert_eq!(take(&mut state, &[0x01, 0x03, 0x14, 0x01, 0x06, 0x02, 0x08]), [0x37, 0x25, 0x00]);
}

#[test]
fn automatic_status_is_sent_when_enabled_and_on_change() {
    let mut state = printer(PrinterFaults::default(), &FaultSwitches::default());
    assert_eq!(take(&mut state, &[0x1D, b'a', 255]), [0x10, 0, 0, 0]);
    assert!(take(&mut state, b"x\n").is_empty());
    state.faults_set.cover_open = true;
    assert_eq!(take(&mut state, &[]), [0x38, 0, 0, 0]);
}

#[test]
fn paper_out_holds_receipt_and_barrier_until_new_roll() {
    let mut state =
        printer(PrinterFaults { paper_out: true, ..PrinterFaults::default() }, &FaultSwitches::default());
    assert!(take(&mut state, &receipt()).is_empty());
    assert!(state.printouts.is_empty());
    state.faults_set.paper_out = false;
    assert_eq!(take(&mut state, &[]).len(), 8);
    assert_eq!(state.printouts.len(), 1);
}

#[test]
fn roll_end_mid_receipt_gives_half_printout_and_no_answer() {
    let mut state = printer(
        PrinterFaults { paper_left_dots: Some(20), ..PrinterFaults::default() },
        &FaultSwitches::default(),
    );
    assert!(take(&mut state, &receipt()).is_empty());
    assert_eq!(state.printouts.len(), 1);
    assert!(state.printouts[0].text.contains("缴费凭条") && !state.printouts[0].text.contains("86.40"));
    assert_eq!(take(&mut state, &[0x10, 4, 4]), [0x7E]);
}

fn receipt_with_fault(fault: &str) -> (PrinterState, Vec<FaultyResponse>) {
    let faults = FaultSwitches::default();
    faults.set_active(fault, true).unwrap();
    let mut state = printer(PrinterFaults::default(), &faults);
    let responses = state.receive(&receipt());
    assert!(faults.time_since_hit(fault).is_some(), "{fault}");
    (state, responses)
}

#[test]
fn fault_paper_ends_switched_off_inserts_new_roll() {
    let (mut state, _) = receipt_with_fault("paper-ends");
    take(&mut state, &b"\n".repeat(20));
    assert_eq!(take(&mut state, &[0x10, 4, 4]), [0x7E]);
    state.fault_switches.clear_all();
    assert_eq!(take(&mut state, &[0x10, 4, 4]), [0x12]);
}

#[test]
fn jammed_cutter_keeps_paper_and_reports_error() {
    let (mut state, _) = receipt_with_fault("printer-cut-wrong-answer");
    assert!(state.printouts.is_empty());
    assert_eq!(take(&mut state, &[0x10, 4, 1, 0x10, 4, 3]), [0x1A, 0x1A]);
    state.fault_switches.clear_all();
    // The printer continues with the buffered data.
    assert_eq!(take(&mut state, &[0x10, 4, 3]).first(), Some(&0x12));
}

#[test]
fn print_barrier_applies_each_fault_kind() {
    let last = |fault| receipt_with_fault(fault).1.pop().unwrap();
    assert_eq!(last("printer-fence-wrong-answer").bytes, [0x0C]);
    assert!(last("printer-fence-silence").bytes.is_empty());
    assert!(last("printer-fence-flood").bytes.len() > crate::faults::FLOOD_BYTES);
    assert_eq!(last("printer-fence-delay").delay, LATE_DELAY);
    assert!(last("printer-fence-disconnection").disconnects);
    assert!(
        !PrinterLine(Arc::new(Mutex::new(receipt_with_fault("printer-fence-disconnection").0)))
            .is_connected()
    );
}

#[test]
fn printer_stalled_mid_receipt_accepts_and_prints_nothing() {
    let (state, responses) = receipt_with_fault("printer-body-silence");
    assert!(responses.is_empty() && state.printouts.is_empty());
    assert!(!PrinterLine(Arc::new(Mutex::new(state))).accepts_input());
}
