//! Reading of cards, and refusal of cards.

use id_reader::{IdCard, IdCardFault, IdReadRefusal, IdReaderFault, SamStatus};

use crate::scripted_reader::{ScriptedReader, framed, photo, reading_answer, resident_text};

#[test]
fn card_is_found_selected_and_read_once() {
    let scripted = ScriptedReader::new();
    let mut reader = scripted.reader();
    assert_eq!(reader.find(), Ok(false));

    scripted.place_card(&resident_text());
    assert_eq!(reader.find(), Ok(true));
    let reading = reader.read().ok().unwrap();

    let IdCard::Resident(card) = &reading.card else { panic!("no resident's card") };
    assert_eq!((card.name.as_str(), card.number.as_str()), ("张三丰", "500103199003070017"));
    assert_eq!(*reading.photo, photo());
    assert_eq!(scripted.state().commands, [[0x20, 1], [0x20, 1], [0x20, 2], [0x30, 1]]);
}

#[test]
fn added_address_is_read_or_absent() {
    let scripted = ScriptedReader::new();
    scripted.state().set_answer([0x30, 0x03], &[0, 0, 0x91]);
    assert_eq!(scripted.reader().new_address(), Ok(None));

    let words: Vec<u8> = "重庆市渝北区龙溪街道".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut answer = [&[0, 0, 0x90], words.as_slice()].concat();
    answer.resize(3 + 70, 0);
    scripted.state().set_answer([0x30, 0x03], &answer);
    assert_eq!(scripted.reader().new_address().unwrap().unwrap().as_str(), "重庆市渝北区龙溪街道");
}

#[test]
fn sam_status_number_and_reset_are_reported() {
    let scripted = ScriptedReader::new();
    let mut reader = scripted.reader();
    assert_eq!(reader.sam_status(), Ok(()));
    scripted.state().set_answer([0x12, 0xFF], &[&[0, 0, 0x90][..], &[1; 16]].concat());
    assert_eq!(reader.sam_id().unwrap().0, [1; 16]);
    scripted.state().set_answer([0x10, 0xFF], &[0, 0, 0x90]);
    assert_eq!(reader.reset(), Ok(()));

    for (sw3, status) in [(0x60, SamStatus::SelfTestFailed), (0x66, SamStatus::NotAuthorised)] {
        scripted.state().set_answer([0x11, 0xFF], &[0, 0, sw3]);
        assert_eq!(reader.sam_status(), Err(IdReaderFault::Refused(status)));
    }
}

#[test]
fn failed_reading_is_repeated_after_finding_the_card() {
    let scripted = ScriptedReader::new();
    scripted.place_card(&resident_text());
    scripted.state().set_answers([0x30, 0x01], &[&[0, 0, 0x41], &reading_answer(&resident_text())]);

    assert!(scripted.reader().read().is_ok());
    assert_eq!(scripted.state().commands, [[0x20, 2], [0x30, 1], [0x20, 1], [0x20, 2], [0x30, 1]]);
}

#[test]
fn refusals_have_a_reason_after_bounded_attempts() {
    for (command, body, expected, attempts) in [
        ([0x20, 2], [0, 0, 0x81], IdReadRefusal::Unreadable, 3),
        ([0x30, 1], [0, 0, 0x41], IdReadRefusal::Unreadable, 3),
        ([0x30, 1], [0, 0, 0x31], IdReadRefusal::NotAccepted, 3),
        ([0x30, 1], [0, 0, 0x32], IdReadRefusal::NotAccepted, 3),
        ([0x30, 1], [0, 0, 0x33], IdReadRefusal::NotAccepted, 3),
        ([0x20, 2], [0, 0, 0x40], IdReadRefusal::NotAnIdCard, 1),
        ([0x30, 1], [0x6A, 0x82, 0x00], IdReadRefusal::Unreadable, 3),
    ] {
        let scripted = ScriptedReader::new();
        scripted.place_card(&resident_text());
        scripted.state().set_answer(command, &body);

        assert!(scripted.reader().read().err() == Some(IdCardFault::Card(expected)), "{body:02X?}");
        let sent = scripted.state().commands.iter().filter(|sent| **sent == command).count();
        assert_eq!(sent, attempts, "{body:02X?}");
    }
}

#[test]
fn lifted_card_is_not_read_again() {
    let scripted = ScriptedReader::new();
    scripted.place_card(&resident_text());
    scripted.state().set_answer([0x30, 1], &[0, 0, 0x41]);
    scripted.state().set_answer([0x20, 1], &[0, 0, 0x80]);

    assert!(scripted.reader().read().err() == Some(IdCardFault::Card(IdReadRefusal::Unreadable)));
    assert_eq!(scripted.state().commands, [[0x20, 2], [0x30, 1], [0x20, 1]]);
}

#[test]
fn invalid_text_and_unknown_kind_are_distinguished() {
    let mut wrong_check = resident_text();
    wrong_check[122 + 34] ^= 1;
    let mut unknown_kind = resident_text();
    unknown_kind[248] = b'K';
    for (text, expected) in
        [(wrong_check, IdReadRefusal::InvalidData), (unknown_kind, IdReadRefusal::NotAnIdCard)]
    {
        let scripted = ScriptedReader::new();
        scripted.place_card(&text);
        assert!(scripted.reader().read().err() == Some(IdCardFault::Card(expected)));
    }
}

#[test]
fn late_answer_is_not_taken_for_the_next() {
    let scripted = ScriptedReader::new();
    scripted.place_card(&resident_text());
    // The answer arrives before the next command: it is discarded.
    scripted.state().send_unsolicited(&framed(&[0, 0, 0x80]));
    assert_eq!(scripted.reader().find(), Ok(true));
    // The answer arrives in place of the expected one: its form does not match.
    scripted.state().set_answer([0x20, 0x01], &reading_answer(&resident_text()));
    assert!(matches!(scripted.reader().find(), Err(IdReaderFault::UnexpectedAnswer(_))));
}
