//! What a line or a reader may do wrong: every wait ends, nothing is believed, and the next question works.

use std::time::Duration;

use id_reader::{CardFault, LinkFault, ReaderFault, Refusal};

use crate::far_side::{FarSide, Fault, framed, reading, text};

/// Longer than any single question may take.
const BOUND: Duration = Duration::from_secs(10);

#[test]
fn every_fault_of_an_answer_is_named_bounded_and_over_with_its_cause() {
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
        let far = FarSide::new();
        let mut reader = far.reader();
        let begun = far.state().now();
        far.state().fault = Some(fault.clone());
        assert_eq!(reader.find(), Err(expected), "{fault:?}");
        assert!(far.state().now() - begun < BOUND, "{fault:?}");

        far.state().fault = None;
        assert_eq!(reader.find(), Ok(false), "{fault:?}");
    }
}

#[test]
fn an_answer_that_was_garbled_once_is_asked_for_again() {
    for fault in [Fault::Checksum, Fault::Truncated(8), Fault::Length(2), Fault::Instead(vec![0xAA; 50])] {
        let far = FarSide::new();
        {
            let mut state = far.state();
            (state.fault, state.fault_for) = (Some(fault), 1);
        }
        assert_eq!(far.reader().find(), Ok(false));
        assert_eq!(far.state().commands.len(), 2);
    }
}

#[test]
fn noise_before_an_answer_is_skipped() {
    for noise in [
        vec![0x00],
        vec![0xAA, 0xAA],
        vec![0xAA, 0xAA, 0xAA, 0x96, 0xFF],
        // The beginnings of frames that never end, or whose end is the true answer.
        vec![0xAA, 0xAA, 0xAA, 0x96, 0x69, 0x05, 0x08],
        vec![0xAA, 0xAA, 0xAA, 0x96, 0x69, 0x00, 0x06],
        framed(&[0; 30])[..20].to_vec(),
    ] {
        let far = FarSide::new();
        far.lay(&text());
        far.state().fault = Some(Fault::Before(noise.clone()));
        assert_eq!(far.reader().find(), Ok(true), "{noise:02X?}");
        assert!(far.reader().read().is_ok(), "{noise:02X?}");
    }
}

#[test]
fn a_slow_line_is_waited_for() {
    let far = FarSide::new();
    far.lay(&text());
    // 9,600 bit/s.
    far.state().fault = Some(Fault::Slow(1));

    assert_eq!(far.reader().find(), Ok(true));
    assert!(far.reader().read().is_ok());
}

#[test]
fn a_reader_that_fails_while_it_reads_is_not_taken_for_a_bad_card() {
    for (fault, expected) in [
        (Fault::Silent, ReaderFault::Mute),
        (Fault::Unplugged, ReaderFault::Link(LinkFault::Gone)),
        (Fault::Checksum, ReaderFault::Garbled),
    ] {
        let far = FarSide::new();
        far.lay(&text());
        far.state().fault = Some(fault);
        assert!(far.reader().read().err() == Some(CardFault::Reader(expected)));
    }
}

#[test]
fn a_reading_that_is_cut_or_of_another_length_is_no_card() {
    let whole = reading(&text());
    for body in [&whole[..whole.len() - 1], &whole[..300], &[&whole[..], &[0]].concat()] {
        let far = FarSide::new();
        far.lay(&text());
        far.state().answers([0x30, 1], body);
        assert!(matches!(far.reader().read().err(), Some(CardFault::Reader(ReaderFault::OutOfTurn(_)))));
    }
}

#[test]
fn a_card_lifted_in_mid_reading_ends_the_reading() {
    let far = FarSide::new();
    far.lay(&text());
    {
        let mut state = far.state();
        state.answers([0x30, 1], &[0, 0, 0x41]);
        state.answers_in_turn([0x20, 1], &[&[0, 0, 0x80]]);
    }
    assert!(far.reader().read().err() == Some(CardFault::Card(Refusal::Unreadable)));
}
