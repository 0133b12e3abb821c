use super::*;
use crate::paper::WIDTH_80;

fn printer(troubles: Troubles, faults: &Faults) -> State {
    State { troubles, ..State::new(Roll::new(WIDTH_80).unwrap(), faults.clone()) }
}

fn take(state: &mut State, bytes: &[u8]) -> Vec<u8> {
    state.take(bytes).into_iter().flat_map(|bent| bent.bytes).collect()
}

fn run(bytes: &[u8], troubles: Troubles) -> (Vec<Sheet>, Vec<u8>) {
    let mut state = printer(troubles, &Faults::default());
    let answers = take(&mut state, bytes);
    (state.sheets, answers)
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
fn a_chinese_receipt_is_cut_off_whole_and_its_fences_are_answered() {
    let (sheets, answers) = run(&receipt(), Troubles::default());
    assert_eq!(sheets.len(), 1);
    assert!(sheets[0].text.contains("李䶮 𠮷田") && sheets[0].text.contains("[QR hi]"), "{}", sheets[0].text);
    assert_eq!(answers, [0x37, 0x22, 1, 2, 3, 4, 0x00, 0x00]);
    let picture = image::load_from_memory(&sheets[0].png).unwrap().to_luma8();
    let mut found = rqrr::PreparedImage::prepare(picture);
    assert_eq!(found.detect_grids()[0].decode().unwrap().1, "hi");
}

#[test]
fn status_bytes_are_those_of_the_manual() {
    let ask = [0x10, 4, 1, 0x10, 4, 2, 0x10, 4, 3, 0x10, 4, 4];
    assert_eq!(run(&ask, Troubles::default()).1, [0x12, 0x12, 0x12, 0x12]);
    let out = Troubles { paper_out: true, ..Troubles::default() };
    assert_eq!(run(&ask, out).1, [0x1A, 0x32, 0x12, 0x7E]);
    let open = Troubles { cover_open: true, ..Troubles::default() };
    assert_eq!(run(&ask, open).1, [0x1A, 0x16, 0x12, 0x12]);
    let mute = Troubles { mute: true, ..Troubles::default() };
    assert!(run(&ask, mute).1.is_empty());
}

#[test]
fn a_question_that_comes_in_two_pieces_is_answered() {
    let mut state = printer(Troubles::default(), &Faults::default());
    assert!(take(&mut state, &[b'a', 0x10]).is_empty());
    assert!(take(&mut state, &[0x04]).is_empty());
    assert_eq!(take(&mut state, &[0x01, 0x10, 0x14, 0x08]), [0x12]);
    assert_eq!(take(&mut state, &[0x01, 0x03, 0x14, 0x01, 0x06, 0x02, 0x08]), [0x37, 0x25, 0x00]);
}

#[test]
fn an_automatic_status_comes_when_asked_for_and_at_each_change() {
    let mut state = printer(Troubles::default(), &Faults::default());
    assert_eq!(take(&mut state, &[0x1D, b'a', 255]), [0x10, 0, 0, 0]);
    assert!(take(&mut state, b"x\n").is_empty());
    state.troubles.cover_open = true;
    assert_eq!(take(&mut state, &[]), [0x38, 0, 0, 0]);
}

#[test]
fn without_paper_nothing_comes_out_and_no_fence_is_answered_until_there_is_a_new_roll() {
    let mut state = printer(Troubles { paper_out: true, ..Troubles::default() }, &Faults::default());
    assert!(take(&mut state, &receipt()).is_empty());
    assert!(state.sheets.is_empty());
    state.troubles.paper_out = false;
    assert_eq!(take(&mut state, &[]).len(), 8);
    assert_eq!(state.sheets.len(), 1);
}

#[test]
fn a_roll_that_ends_in_the_middle_leaves_half_a_receipt_and_no_answer() {
    let mut state = printer(Troubles { paper_left: Some(20), ..Troubles::default() }, &Faults::default());
    assert!(take(&mut state, &receipt()).is_empty());
    assert_eq!(state.sheets.len(), 1);
    assert!(state.sheets[0].text.contains("缴费凭条") && !state.sheets[0].text.contains("86.40"));
    assert_eq!(take(&mut state, &[0x10, 4, 4]), [0x7E]);
}

fn spoilt(fault: &str) -> (State, Vec<Bent>) {
    let faults = Faults::default();
    faults.switch(fault, true).unwrap();
    let mut state = printer(Troubles::default(), &faults);
    let said = state.take(&receipt());
    assert!(faults.met(fault).is_some(), "{fault}");
    (state, said)
}

#[test]
fn a_roll_that_ends_by_name_is_a_new_one_when_the_switch_is_off() {
    let (mut state, _) = spoilt("paper-ends");
    take(&mut state, &b"\n".repeat(20));
    assert_eq!(take(&mut state, &[0x10, 4, 4]), [0x7E]);
    state.faults.clear();
    assert_eq!(take(&mut state, &[0x10, 4, 4]), [0x12]);
}

#[test]
fn a_cutter_that_is_blocked_keeps_the_paper_and_says_so() {
    let (mut state, _) = spoilt("printer-cut-wrong-answer");
    assert!(state.sheets.is_empty());
    assert_eq!(take(&mut state, &[0x10, 4, 1, 0x10, 4, 3]), [0x1A, 0x1A]);
    state.faults.clear();
    // And goes on with what waited.
    assert_eq!(take(&mut state, &[0x10, 4, 3]).first(), Some(&0x12));
}

#[test]
fn a_fence_is_spoilt_in_each_of_its_ways() {
    let last = |fault| spoilt(fault).1.pop().unwrap();
    assert_eq!(last("printer-fence-wrong-answer").bytes, [0x0C]);
    assert!(last("printer-fence-silence").bytes.is_empty());
    assert!(last("printer-fence-flood").bytes.len() > crate::faults::FLOOD);
    assert_eq!(last("printer-fence-delay").wait, LATE);
    assert!(last("printer-fence-disconnection").leaves);
    assert!(!Wire(Arc::new(Mutex::new(spoilt("printer-fence-disconnection").0))).is_there());
}

#[test]
fn a_printer_that_takes_no_more_bytes_in_mid_receipt_prints_no_more() {
    let (state, said) = spoilt("printer-body-silence");
    assert!(said.is_empty() && state.sheets.is_empty());
    assert!(!Wire(Arc::new(Mutex::new(state))).listens());
}
