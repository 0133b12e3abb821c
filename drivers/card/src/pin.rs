//! VERIFY and CHANGE PIN.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::apdu::{CardTransport, StatusWord, TransportFault, exchange};
use crate::application::select;

/// What the card says to a PIN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PinOutcome {
    /// 9000: it is the holder's, and where it was to be changed it is.
    Verified,
    /// 63Cx: it is not.
    Wrong {
        /// Tries left.
        tries_left: u8,
    },
    /// 6983: no tries left.
    Locked,
    /// A status word of refusal: no PIN set, or a card that cannot do it. Nothing was changed and no try was used.
    NotPossible,
    /// A status word that says neither yes nor no: it may or may not have done it.
    Unclear,
}

/// Asks the card to check its holder's PIN: ASCII digits, an even number of them from 4 to 12. Sent as
/// packed BCD (`00 20 00 00 Lc …`), as public code for the card does.
///
/// # Errors
/// When the card or the reader goes away: whether a try was used is then not known.
pub fn verify_pin(card: &mut dyn CardTransport, pin: &[u8]) -> Result<PinOutcome, TransportFault> {
    let Some(packed) = packed(pin) else { return Ok(PinOutcome::NotPossible) };
    if select(card)?.is_err() {
        return Ok(PinOutcome::NotPossible);
    }
    let mut command = Zeroizing::new(vec![0x00, 0x20, 0x00, 0x00]);
    command.push(u8::try_from(packed.len()).unwrap_or(0));
    command.extend_from_slice(&packed);
    Ok(outcome(exchange(card, &command, false)?.status))
}

/// Asks the card to take another PIN in place of its holder's: ASCII digits, both as above. Sent as packed BCD with FF
/// between them (`80 5E 01 00 Lc …`), as public code for the card does. A wrong present PIN uses a try.
///
/// # Errors
/// When the card or the reader goes away: whether the PIN was changed is then not known.
pub fn change_pin(
    card: &mut dyn CardTransport,
    old: &[u8],
    new: &[u8],
) -> Result<PinOutcome, TransportFault> {
    let (Some(old), Some(new)) = (packed(old), packed(new)) else { return Ok(PinOutcome::NotPossible) };
    if select(card)?.is_err() {
        return Ok(PinOutcome::NotPossible);
    }
    let length = old.len() + 1 + new.len();
    let mut command = Zeroizing::new(Vec::with_capacity(5 + length));
    command.extend([0x80, 0x5E, 0x01, 0x00, u8::try_from(length).unwrap_or(0)]);
    command.extend_from_slice(&old);
    command.push(0xFF);
    command.extend_from_slice(&new);
    Ok(outcome(exchange(card, &command, false)?.status))
}

/// Sets a PIN anew on a card whose holder has forgotten it or has no tries left: a desk's work, not a kiosk's. `external`
/// is what the card's authority computed for this card's random number, with key 06 (`00 82 00 06 10 …`); then the card
/// takes the new PIN (CHANGE REFERENCE DATA, ISO/IEC 7816-4, `00 24 01 00 Lc …`, ASSUMED to be taken in the clear).
///
/// # Errors
/// When the card or the reader goes away: whether the PIN was set is then not known.
pub fn reset_pin(
    card: &mut dyn CardTransport,
    external: &[u8; 16],
    new: &[u8],
) -> Result<PinOutcome, TransportFault> {
    let Some(new) = packed(new) else { return Ok(PinOutcome::NotPossible) };
    let opens = [&[0x00, 0x82, 0x00, 0x06, 0x10], external.as_slice()].concat();
    if exchange(card, &opens, false)?.status != StatusWord::DONE {
        return Ok(PinOutcome::NotPossible);
    }
    let mut command = Zeroizing::new(Vec::with_capacity(5 + new.len()));
    command.extend([0x00, 0x24, 0x01, 0x00, u8::try_from(new.len()).unwrap_or(0)]);
    command.extend_from_slice(&new);
    Ok(outcome(exchange(card, &command, false)?.status))
}

fn outcome(status: StatusWord) -> PinOutcome {
    match status {
        StatusWord::DONE => PinOutcome::Verified,
        StatusWord::BLOCKED | StatusWord { sw1: 0x63, sw2: 0xC0 } => PinOutcome::Locked,
        StatusWord { sw1: 0x63, sw2 } if sw2 & 0xF0 == 0xC0 => PinOutcome::Wrong { tries_left: sw2 & 0x0F },
        // ISO/IEC 7816-4, 5.6: 63 refuses a verification, 64 says that memory is as it was, 67 to 6F that the command is
        // not taken; 93 and 94 are the refusals of JR/T 0025. 62 and 65 warn that memory may have changed.
        StatusWord { sw1: 0x63 | 0x64 | 0x67..=0x6F | 0x93 | 0x94, .. } => PinOutcome::NotPossible,
        StatusWord { .. } => PinOutcome::Unclear,
    }
}

fn packed(pin: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let sound =
        (4..=12).contains(&pin.len()) && pin.len().is_multiple_of(2) && pin.iter().all(u8::is_ascii_digit);
    let bytes = pin.chunks_exact(2).map(|pair| match pair {
        [high, low] => (high & 0x0F) << 4 | (low & 0x0F),
        _ => 0,
    });
    sound.then(|| Zeroizing::new(bytes.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apdu::script::Script;
    use crate::application::SSSE;

    #[test]
    fn each_status_word_has_its_meaning_and_the_digits_are_packed() {
        for (answer, outcome) in [
            ([0x90, 0x00], PinOutcome::Verified),
            ([0x63, 0xC2], PinOutcome::Wrong { tries_left: 2 }),
            ([0x63, 0xC0], PinOutcome::Locked),
            ([0x69, 0x83], PinOutcome::Locked),
            ([0x69, 0x85], PinOutcome::NotPossible),
        ] {
            let select = [&[0x00, 0xA4, 0x04, 0x00, 0x0F], SSSE.as_slice()].concat();
            let verify = vec![0x00, 0x20, 0x00, 0x00, 0x03, 0x73, 0x09, 0x14];
            let mut card = Script::new(vec![(select, vec![0x90, 0x00]), (verify, answer.to_vec())]);
            assert_eq!(verify_pin(&mut card, b"730914"), Ok(outcome));
        }
    }

    #[test]
    fn a_change_sends_both_and_each_status_word_has_its_meaning() {
        for (answer, outcome) in [
            ([0x90, 0x00], PinOutcome::Verified),
            ([0x63, 0xC1], PinOutcome::Wrong { tries_left: 1 }),
            ([0x69, 0x83], PinOutcome::Locked),
            ([0x6D, 0x00], PinOutcome::NotPossible),
            ([0x94, 0x03], PinOutcome::NotPossible),
            ([0x65, 0x81], PinOutcome::Unclear),
            ([0x12, 0x34], PinOutcome::Unclear),
        ] {
            let select = [&[0x00, 0xA4, 0x04, 0x00, 0x0F], SSSE.as_slice()].concat();
            let change = vec![0x80, 0x5E, 0x01, 0x00, 0x07, 0x73, 0x09, 0x14, 0xFF, 0x58, 0x42, 0x16];
            let mut card = Script::new(vec![(select, vec![0x90, 0x00]), (change, answer.to_vec())]);
            assert_eq!(change_pin(&mut card, b"730914", b"584216"), Ok(outcome));
        }
        let mut card = Script::new(Vec::new());
        assert_eq!(change_pin(&mut card, b"730914", b"58421"), Ok(PinOutcome::NotPossible));
        assert!(card.sent.is_empty());
    }

    #[test]
    fn a_pin_is_set_anew_only_on_a_card_that_was_opened_for_it() {
        let opens = [&[0x00, 0x82, 0x00, 0x06, 0x10][..], &[7; 16]].concat();
        let sets = vec![0x00, 0x24, 0x01, 0x00, 0x03, 0x58, 0x42, 0x16];
        let mut card = Script::new(vec![(opens.clone(), vec![0x90, 0x00]), (sets, vec![0x90, 0x00])]);
        assert_eq!(reset_pin(&mut card, &[7; 16], b"584216"), Ok(PinOutcome::Verified));
        let mut card = Script::new(vec![(opens, vec![0x63, 0x00])]);
        assert_eq!(reset_pin(&mut card, &[7; 16], b"584216"), Ok(PinOutcome::NotPossible));
        assert_eq!(card.sent.len(), 1);
    }

    #[test]
    fn what_is_no_pin_never_reaches_the_card() {
        let mut card = Script::new(Vec::new());
        for no_pin in [b"".as_slice(), b"123", b"12345", b"12a456", b"12345678901234"] {
            assert_eq!(verify_pin(&mut card, no_pin), Ok(PinOutcome::NotPossible));
        }
        assert!(card.sent.is_empty());
    }
}
