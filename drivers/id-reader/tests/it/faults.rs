//! Faults of the link and the reader: every wait is bounded, no invalid answer is accepted, and the next command works.

use std::time::Duration;

use id_reader::{CardFault, LinkFault, ReaderFault, Refusal};

use crate::far_side::{FarSide, Fault, framed, reading, text};

/// Upper bound for the time of any single command.
const BOUND: Duration = Duration::from_secs(10);

#[test]
fn answer_faults_are_reported_in_time_and_recover() {
    let garbage: Vec<u8> = (0..2000_u32).map(|n| (n * 7 + 3) as u8).collect();
    let preambles = [0xAA, 0xAA, 0xAA, 0x96, 0x69].repeat(300);
    for (fault, expected) in [
        (Fault::Silent, ReaderFault::Mute),
        (Fault::Unplugged, ReaderFault::Link(LinkFault::Gone)),
        (Fault::Instead(garbage), ReaderFault::Garbled),
        (Fault::Instead(preambles), ReaderFault::Garbled),
        (Fault::Checksum, ReaderFault::Garbled),
        (Fault::Truncated(9), ReaderFault::Garbled),
        (Fault::Truncated(3), ReaderFault::Garbled),
        (Fault::Length(1), ReaderFault::Garbled),
        (Fault::Length(-1), ReaderFault::Garbled),
        (Fault::Length(i16::MAX), ReaderFault::Garbled),
        (Fault::Flood, ReaderFault::Garbled),
    ] {
        let scripted = FarSide::new();
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
    for fault in [Fault::Checksum, Fault::Truncated(8), Fault::Length(2), Fault::Instead(vec![0xAA; 50])] {
        let scripted = FarSide::new();
        {
            let mut state = scripted.state();
            (state.fault, state.fault_for) = (Some(fault), 1);
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
        let scripted = FarSide::new();
        scripted.lay(&text());
        scripted.state().fault = Some(Fault::Before(noise.clone()));
        assert_eq!(scripted.reader().find(), Ok(true), "{noise:02X?}");
        assert!(scripted.reader().read().is_ok(), "{noise:02X?}");
    }
}

#[test]
fn slow_line_is_read_completely() {
    let scripted = FarSide::new();
    scripted.lay(&text());
    // 9,600 bit/s.
    scripted.state().fault = Some(Fault::Slow(1));

    assert_eq!(scripted.reader().find(), Ok(true));
    assert!(scripted.reader().read().is_ok());
}

#[test]
fn reader_fault_during_reading_is_not_a_card_fault() {
    for (fault, expected) in [
        (Fault::Silent, ReaderFault::Mute),
        (Fault::Unplugged, ReaderFault::Link(LinkFault::Gone)),
        (Fault::Checksum, ReaderFault::Garbled),
    ] {
        let scripted = FarSide::new();
        scripted.lay(&text());
        scripted.state().fault = Some(fault);
        assert!(scripted.reader().read().err() == Some(CardFault::Reader(expected)));
    }
}

#[test]
fn card_answer_of_wrong_length_is_rejected() {
    let complete = reading(&text());
    for body in [&complete[..complete.len() - 1], &complete[..300], &[&complete[..], &[0]].concat()] {
        let scripted = FarSide::new();
        scripted.lay(&text());
        scripted.state().answers([0x30, 1], body);
        assert!(matches!(scripted.reader().read().err(), Some(CardFault::Reader(ReaderFault::OutOfTurn(_)))));
    }
}

#[test]
fn card_lifted_during_reading_is_unreadable() {
    let scripted = FarSide::new();
    scripted.lay(&text());
    {
        let mut state = scripted.state();
        state.answers([0x30, 1], &[0, 0, 0x41]);
        state.answers_in_turn([0x20, 1], &[&[0, 0, 0x80]]);
    }
    assert!(scripted.reader().read().err() == Some(CardFault::Card(Refusal::Unreadable)));
}
