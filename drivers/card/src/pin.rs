//! VERIFY PIN.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::apdu::{CardTransport, StatusWord, TransportFault, exchange};
use crate::application::select;

/// What the card says to a PIN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PinOutcome {
    /// 9000: it is the holder's.
    Verified,
    /// 63Cx: it is not.
    Wrong {
        /// Tries left.
        tries_left: u8,
    },
    /// 6983: no tries left.
    Locked,
    /// Something else: no PIN set, or a card that cannot do it. No try was used.
    NotPossible,
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
    let status = exchange(card, &command, false)?.status;
    Ok(match status {
        StatusWord::DONE => PinOutcome::Verified,
        StatusWord::BLOCKED | StatusWord { sw1: 0x63, sw2: 0xC0 } => PinOutcome::Locked,
        StatusWord { sw1: 0x63, sw2 } if sw2 & 0xF0 == 0xC0 => PinOutcome::Wrong { tries_left: sw2 & 0x0F },
        StatusWord { .. } => PinOutcome::NotPossible,
    })
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
    fn what_is_no_pin_never_reaches_the_card() {
        let mut card = Script::new(Vec::new());
        for no_pin in [b"".as_slice(), b"123", b"12345", b"12a456", b"12345678901234"] {
            assert_eq!(verify_pin(&mut card, no_pin), Ok(PinOutcome::NotPossible));
        }
        assert!(card.sent.is_empty());
    }
}
