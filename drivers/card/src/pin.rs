//! PIN commands: VERIFY, CHANGE PIN, and setting a PIN anew.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::apdu::{CardTransport, StatusWord, TransportFault, exchange};
use crate::application::select_application;

/// Result of a PIN command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PinOutcome {
    /// 9000: the PIN is correct; a requested change is done.
    Verified,
    /// 63Cx: the PIN is wrong.
    Wrong {
        /// Number of tries left.
        tries_left: u8,
    },
    /// 6983: no tries left.
    Locked,
    /// A status word of refusal: no PIN is set, or the card does not support the command. The card was not changed, and no
    /// try was used.
    NotPossible,
    /// Unknown outcome: the status word does not tell whether the card executed the command.
    Unknown,
}

/// Verifies the holder's PIN. `pin`: 4, 6, 8, 10 or 12 ASCII digits. Sent as packed BCD (`00 20 00 00 Lc …`), as public
/// programs do.
///
/// # Errors
/// When the card is removed or the reader disconnected: whether a try was used is then unknown.
pub fn verify_pin(card: &mut dyn CardTransport, pin: &[u8]) -> Result<PinOutcome, TransportFault> {
    let Some(packed) = pack_bcd(pin) else { return Ok(PinOutcome::NotPossible) };
    if select_application(card)?.is_err() {
        return Ok(PinOutcome::NotPossible);
    }
    let mut command = Zeroizing::new(vec![0x00, 0x20, 0x00, 0x00]);
    command.push(u8::try_from(packed.len()).unwrap_or(0));
    command.extend_from_slice(&packed);
    Ok(pin_outcome(exchange(card, &command, false)?.status))
}

/// Changes the holder's PIN. `old`, `new`: 4, 6, 8, 10 or 12 ASCII digits each. Sent as packed BCD with FF between them
/// (`80 5E 01 00 Lc …`), as public programs do. A wrong present PIN uses a try.
///
/// # Errors
/// When the card is removed or the reader disconnected: whether the PIN was changed is then unknown.
pub fn change_pin(
    card: &mut dyn CardTransport,
    old: &[u8],
    new: &[u8],
) -> Result<PinOutcome, TransportFault> {
    let (Some(old), Some(new)) = (pack_bcd(old), pack_bcd(new)) else { return Ok(PinOutcome::NotPossible) };
    if select_application(card)?.is_err() {
        return Ok(PinOutcome::NotPossible);
    }
    let length = old.len() + 1 + new.len();
    let mut command = Zeroizing::new(Vec::with_capacity(5 + length));
    command.extend([0x80, 0x5E, 0x01, 0x00, u8::try_from(length).unwrap_or(0)]);
    command.extend_from_slice(&old);
    command.push(0xFF);
    command.extend_from_slice(&new);
    Ok(pin_outcome(exchange(card, &command, false)?.status))
}

/// Sets a PIN anew on a card whose holder has forgotten it or has no tries left: a function of a service desk, not of a
/// kiosk. `external`: the cryptogram that the card's authority computed over this card's random number with key 06
/// (`00 82 00 06 10 …`). After it the card accepts the new PIN (CHANGE REFERENCE DATA, ISO/IEC 7816-4,
/// `00 24 01 00 Lc …`, ASSUMED to be accepted in the clear).
///
/// # Errors
/// When the card is removed or the reader disconnected: whether the PIN was set is then unknown.
pub fn reset_pin(
    card: &mut dyn CardTransport,
    external: &[u8; 16],
    new: &[u8],
) -> Result<PinOutcome, TransportFault> {
    let Some(new) = pack_bcd(new) else { return Ok(PinOutcome::NotPossible) };
    let opens = [&[0x00, 0x82, 0x00, 0x06, 0x10], external.as_slice()].concat();
    if exchange(card, &opens, false)?.status != StatusWord::DONE {
        return Ok(PinOutcome::NotPossible);
    }
    let mut command = Zeroizing::new(Vec::with_capacity(5 + new.len()));
    command.extend([0x00, 0x24, 0x01, 0x00, u8::try_from(new.len()).unwrap_or(0)]);
    command.extend_from_slice(&new);
    Ok(pin_outcome(exchange(card, &command, false)?.status))
}

fn pin_outcome(status: StatusWord) -> PinOutcome {
    match status {
        StatusWord::DONE => PinOutcome::Verified,
        StatusWord::BLOCKED | StatusWord { sw1: 0x63, sw2: 0xC0 } => PinOutcome::Locked,
        StatusWord { sw1: 0x63, sw2 } if sw2 & 0xF0 == 0xC0 => PinOutcome::Wrong { tries_left: sw2 & 0x0F },
        // ISO/IEC 7816-4, 5.6: 63 refuses a verification, 64 says that memory is unchanged, 67 to 6F that the command is
        // not accepted; 93 and 94 are the refusals of JR/T 0025. 62 and 65 warn that memory may have changed.
        StatusWord { sw1: 0x63 | 0x64 | 0x67..=0x6F | 0x93 | 0x94, .. } => PinOutcome::NotPossible,
        StatusWord { .. } => PinOutcome::Unknown,
    }
}

fn pack_bcd(pin: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let valid =
        (4..=12).contains(&pin.len()) && pin.len().is_multiple_of(2) && pin.iter().all(u8::is_ascii_digit);
    let bytes = pin.chunks_exact(2).map(|pair| match pair {
        [high, low] => (high & 0x0F) << 4 | (low & 0x0F),
        _ => 0,
    });
    valid.then(|| Zeroizing::new(bytes.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apdu::script::ScriptedCard;
    use crate::application::SSSE_AID;

    #[test]
    fn verify_pin_packs_digits_and_maps_status_words() {
        for (answer, outcome) in [
            ([0x90, 0x00], PinOutcome::Verified),
            ([0x63, 0xC2], PinOutcome::Wrong { tries_left: 2 }),
            ([0x63, 0xC0], PinOutcome::Locked),
            ([0x69, 0x83], PinOutcome::Locked),
            ([0x69, 0x85], PinOutcome::NotPossible),
        ] {
            let select = [&[0x00, 0xA4, 0x04, 0x00, 0x0F], SSSE_AID.as_slice()].concat();
            let verify = vec![0x00, 0x20, 0x00, 0x00, 0x03, 0x73, 0x09, 0x14];
            let mut card = ScriptedCard::new(vec![(select, vec![0x90, 0x00]), (verify, answer.to_vec())]);
            assert_eq!(verify_pin(&mut card, b"730914"), Ok(outcome));
        }
    }

    #[test]
    fn change_pin_sends_both_pins_and_maps_status_words() {
        for (answer, outcome) in [
            ([0x90, 0x00], PinOutcome::Verified),
            ([0x63, 0xC1], PinOutcome::Wrong { tries_left: 1 }),
            ([0x69, 0x83], PinOutcome::Locked),
            ([0x6D, 0x00], PinOutcome::NotPossible),
            ([0x94, 0x03], PinOutcome::NotPossible),
            ([0x65, 0x81], PinOutcome::Unknown),
            ([0x12, 0x34], PinOutcome::Unknown),
        ] {
            let select = [&[0x00, 0xA4, 0x04, 0x00, 0x0F], SSSE_AID.as_slice()].concat();
            let change = vec![0x80, 0x5E, 0x01, 0x00, 0x07, 0x73, 0x09, 0x14, 0xFF, 0x58, 0x42, 0x16];
            let mut card = ScriptedCard::new(vec![(select, vec![0x90, 0x00]), (change, answer.to_vec())]);
            assert_eq!(change_pin(&mut card, b"730914", b"584216"), Ok(outcome));
        }
        let mut card = ScriptedCard::new(Vec::new());
        assert_eq!(change_pin(&mut card, b"730914", b"58421"), Ok(PinOutcome::NotPossible));
        assert!(card.sent.is_empty());
    }

    #[test]
    fn reset_pin_requires_external_authentication() {
        let opens = [&[0x00, 0x82, 0x00, 0x06, 0x10][..], &[7; 16]].concat();
        let sets = vec![0x00, 0x24, 0x01, 0x00, 0x03, 0x58, 0x42, 0x16];
        let mut card = ScriptedCard::new(vec![(opens.clone(), vec![0x90, 0x00]), (sets, vec![0x90, 0x00])]);
        assert_eq!(reset_pin(&mut card, &[7; 16], b"584216"), Ok(PinOutcome::Verified));
        let mut card = ScriptedCard::new(vec![(opens, vec![0x63, 0x00])]);
        assert_eq!(reset_pin(&mut card, &[7; 16], b"584216"), Ok(PinOutcome::NotPossible));
        assert_eq!(card.sent.len(), 1);
    }

    #[test]
    fn verify_pin_malformed_pin_is_not_sent() {
        let mut card = ScriptedCard::new(Vec::new());
        for no_pin in [b"".as_slice(), b"123", b"12345", b"12a456", b"12345678901234"] {
            assert_eq!(verify_pin(&mut card, no_pin), Ok(PinOutcome::NotPossible));
        }
        assert!(card.sent.is_empty());
    }
}
