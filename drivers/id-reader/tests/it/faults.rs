//! Faults of the link and the reader: every wait is bounded, no invalid answer is accepted, and the next command works.

use std::time::Duration;

use id_reader::{IdCardFault, IdReadRefusal, IdReaderFault};
use serial_link::LinkFault;

use crate::scripted_reader::{AnswerFault, ScriptedReader, framed, reading_answer, resident_text};

/// Upper bound for the time of any single command.
const BOUND: Duration = Duration::from_secs(10);

#[test]
fn answer_faults_are_reported_in_time_and_recover() {
    let garbage: Vec<u8> = (0..2000_u32).map(|n| (n * 7 + 3) as u8).collect();
    let preambles = [0xAA, 0xAA, 0xAA, 0x96, 0x69].repeat(300);
    for (fault, expected) in [
        (AnswerFault::Silent, IdReaderFault::NotResponding),
        (AnswerFault::Unplugged, IdReaderFault::Link(LinkFault::Gone)),
        (AnswerFault::Instead(garbage), IdReaderFault::Garbled),
        (AnswerFault::Instead(preambles), IdReaderFault::Garbled),
        (AnswerFault::Checksum, IdReaderFault::Garbled),
        (AnswerFault::Truncated(9), IdReaderFault::Garbled),
        (AnswerFault::Truncated(3), IdReaderFault::Garbled),
        (AnswerFault::Length(1), IdReaderFault::Garbled),
        (AnswerFault::Length(-1), IdReaderFault::Garbled),
        (AnswerFault::Length(i16::MAX), IdReaderFault::Garbled),
        (AnswerFault::Flood, IdReaderFault::Garbled),
    ] {
        let scripted = ScriptedReader::new();
        let mut reader = scripted.reader();
        let begun = scripted.state().now();
        scripted.state().fault = Some(fault.clone());
        assert_eq!(reader.find(), Err(expected), "{fault:?}");
        assert!(scripted.state().now() - begun < BOUND, "{fault:?}");

        scripted.state().fault = None;
        assert_eq!(reader.find(), Ok(false), "{fault:?}");
    }
}

#[test]
fn command_is_repeated_after_a_garbled_answer() {
    for fault in [
        AnswerFault::Checksum,
        AnswerFault::Truncated(8),
        AnswerFault::Length(2),
        AnswerFault::Instead(vec![0xAA; 50]),
    ] {
        let scripted = ScriptedReader::new();
        {
            let mut state = scripted.state();
            (state.fault, state.fault_answers) = (Some(fault), 1);
        }
        assert_eq!(scripted.reader().find(), Ok(false));
        assert_eq!(scripted.state().commands.len(), 2);
    }
}

#[test]
fn noise_before_an_answer_is_skipped() {
    for noise in [
        vec![0x00],
        vec![0xAA, 0xAA],
        vec![0xAA, 0xAA, 0xAA, 0x96, 0xFF],
        // Beginnings of frames that never end, or that end inside the valid answer.
        vec![0xAA, 0xAA, 0xAA, 0x96, 0x69, 0x05, 0x08],
        vec![0xAA, 0xAA, 0xAA, 0x96, 0x69, 0x00, 0x06],
        framed(&[0; 30])[..20].to_vec(),
    ] {
        let scripted = ScriptedReader::new();
        scripted.place_card(&resident_text());
        scripted.state().fault = Some(AnswerFault::Before(noise.clone()));
        assert_eq!(scripted.reader().find(), Ok(true), "{noise:02X?}");
        assert!(scripted.reader().read().is_ok(), "{noise:02X?}");
    }
}

#[test]
fn slow_line_is_read_completely() {
    let scripted = ScriptedReader::new();
    scripted.place_card(&resident_text());
    // 9,600 bit/s.
    scripted.state().fault = Some(AnswerFault::Slow(1));

    assert_eq!(scripted.reader().find(), Ok(true));
    assert!(scripted.reader().read().is_ok());
}

#[test]
fn reader_fault_during_reading_is_not_a_card_fault() {
    for (fault, expected) in [
        (AnswerFault::Silent, IdReaderFault::NotResponding),
        (AnswerFault::Unplugged, IdReaderFault::Link(LinkFault::Gone)),
        (AnswerFault::Checksum, IdReaderFault::Garbled),
    ] {
        let scripted = ScriptedReader::new();
        scripted.place_card(&resident_text());
        scripted.state().fault = Some(fault);
        assert!(scripted.reader().read().err() == Some(IdCardFault::Reader(expected)));
    }
}

#[test]
fn card_answer_of_wrong_length_is_rejected() {
    let complete = reading_answer(&resident_text());
    for body in [&complete[..complete.len() - 1], &complete[..300], &[&complete[..], &[0]].concat()] {
        let scripted = ScriptedReader::new();
        scripted.place_card(&resident_text());
        scripted.state().set_answer([0x30, 1], body);
        assert!(matches!(
            scripted.reader().read().err(),
            Some(IdCardFault::Reader(IdReaderFault::UnexpectedAnswer(_)))
        ));
    }
}

#[test]
fn card_lifted_during_reading_is_unreadable() {
    let scripted = ScriptedReader::new();
    scripted.place_card(&resident_text());
    {
        let mut state = scripted.state();
        state.set_answer([0x30, 1], &[0, 0, 0x41]);
        state.set_answers([0x20, 1], &[&[0, 0, 0x80]]);
    }
    assert!(scripted.reader().read().err() == Some(IdCardFault::Card(IdReadRefusal::Unreadable)));
}
