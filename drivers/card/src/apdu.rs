//! Command and response APDUs (ISO/IEC 7816-4), and their exchange over T=0 or T=1.

use zeroize::Zeroizing;

/// Longest short response in bytes: 256 bytes of data and the status word.
pub(crate) const RESPONSE_MAX: usize = 258;
/// Greatest number of APDUs for one command, with GET RESPONSE and repeats for a wrong Le: a card that requests more is
/// faulty.
const ROUNDS_MAX: usize = 8;

/// The link to a card: sends one command APDU, receives one response APDU.
pub trait CardTransport {
    /// Sends a command and appends the response, status word included, to `response`.
    ///
    /// # Errors
    /// When no complete response arrives.
    fn transmit(&mut self, command: &[u8], response: &mut Vec<u8>) -> Result<(), TransportFault>;
}

/// Why no response arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportFault {
    /// The card was removed, or lost its power.
    #[error("card removed or without power")]
    CardLost,
    /// The reader was disconnected, or the PC/SC service ended.
    #[error("card reader disconnected or PC/SC service ended")]
    ReaderLost,
}

/// Status word: SW1 and SW2 (ISO/IEC 7816-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusWord {
    /// SW1, the first byte.
    pub sw1: u8,
    /// SW2, the second byte.
    pub sw2: u8,
}

impl StatusWord {
    /// 9000: normal processing.
    pub const DONE: Self = Self { sw1: 0x90, sw2: 0x00 };
    /// 6982: security status not satisfied.
    pub const SECURITY: Self = Self { sw1: 0x69, sw2: 0x82 };
    /// 6983: authentication method blocked.
    pub const BLOCKED: Self = Self { sw1: 0x69, sw2: 0x83 };
    /// 6A82: file or application not found.
    pub const NO_FILE: Self = Self { sw1: 0x6A, sw2: 0x82 };
    /// 6A83: record not found.
    pub const NO_RECORD: Self = Self { sw1: 0x6A, sw2: 0x83 };
    /// 9303: application permanently locked.
    pub const LOCKED: Self = Self { sw1: 0x93, sw2: 0x03 };
}

/// A response APDU: its data and its status word.
pub(crate) struct ResponseApdu {
    pub(crate) data: Zeroizing<Vec<u8>>,
    pub(crate) status: StatusWord,
}

/// Sends a command and follows 61xx (GET RESPONSE) and 6Cxx (the right Le), within bounds.
///
/// `command`: CLA INS P1 P2 [Lc data] [Le]; when it ends in Le, `has_le` says so.
pub(crate) fn exchange(
    card: &mut dyn CardTransport,
    command: &[u8],
    has_le: bool,
) -> Result<ResponseApdu, TransportFault> {
    let mut next = Zeroizing::new(command.to_vec());
    let mut has_le = has_le;
    // Capacity for the longest data and one more response: growing the buffer would leave copies in freed memory.
    let mut data = Zeroizing::new(Vec::with_capacity(2 * RESPONSE_MAX));
    for _ in 0..ROUNDS_MAX {
        let mut raw = Zeroizing::new(Vec::with_capacity(RESPONSE_MAX));
        card.transmit(&next, &mut raw)?;
        // A reader may report success without data while its card is removed: fewer than two bytes are no response.
        let Some((body, [sw1, sw2])) = raw.split_last_chunk::<2>() else {
            return Err(TransportFault::CardLost);
        };
        let status = StatusWord { sw1: *sw1, sw2: *sw2 };
        data.extend_from_slice(body);
        if data.len() > RESPONSE_MAX {
            return Ok(ResponseApdu {
                data: Zeroizing::default(),
                status: StatusWord { sw1: 0x67, sw2: 0x00 },
            });
        }
        match status.sw1 {
            0x61 => {
                next = Zeroizing::new(vec![0x00, 0xC0, 0x00, 0x00, status.sw2]);
                has_le = true;
            }
            0x6C if has_le => {
                if let Some(le) = next.last_mut() {
                    *le = status.sw2;
                }
            }
            _ => return Ok(ResponseApdu { data, status }),
        }
    }
    Ok(ResponseApdu { data: Zeroizing::default(), status: StatusWord { sw1: 0x6F, sw2: 0x00 } })
}

#[cfg(test)]
pub(crate) mod script {
    use super::{CardTransport, TransportFault};

    /// A card with scripted responses; an unexpected command gets 6D00.
    pub(crate) struct ScriptedCard {
        pub(crate) answers: Vec<(Vec<u8>, Vec<u8>)>,
        pub(crate) sent: Vec<Vec<u8>>,
        /// Index of the command at which the card is removed.
        pub(crate) removed_at: Option<usize>,
    }

    impl ScriptedCard {
        pub(crate) fn new(answers: Vec<(Vec<u8>, Vec<u8>)>) -> Self {
            Self { answers, sent: Vec::new(), removed_at: None }
        }
    }

    impl CardTransport for ScriptedCard {
        fn transmit(&mut self, command: &[u8], response: &mut Vec<u8>) -> Result<(), TransportFault> {
            self.sent.push(command.to_vec());
            if self.removed_at.is_some_and(|at| self.sent.len() > at) {
                return Ok(()); // as vpcd does: success without data
            }
            let answer = self.answers.iter().find(|(expected, _)| expected == command);
            response.extend_from_slice(answer.map_or(&[0x6D, 0x00], |(_, answer)| answer));
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::script::ScriptedCard;
    use super::*;

    #[test]
    fn exchange_follows_61xx_and_6cxx() {
        let mut card = ScriptedCard::new(vec![
            (vec![0, 0xB2, 1, 0, 0], vec![0x6C, 3]),
            (vec![0, 0xB2, 1, 0, 3], vec![0x61, 5]),
            (vec![0, 0xC0, 0, 0, 5], vec![0x6C, 3]),
            (vec![0, 0xC0, 0, 0, 3], vec![7, 8, 9, 0x90, 0]),
        ]);
        let response = exchange(&mut card, &[0, 0xB2, 1, 0, 0], true).unwrap();
        assert_eq!((response.data.as_slice(), response.status), ([7, 8, 9].as_slice(), StatusWord::DONE));
        assert_eq!(card.sent.len(), 4);
    }

    #[test]
    fn exchange_gives_up_on_endless_61xx() {
        let mut card = ScriptedCard::new(vec![
            (vec![0, 0xA4, 4, 0], vec![0x61, 5]),
            (vec![0, 0xC0, 0, 0, 5], vec![0x61, 5]),
        ]);
        assert_ne!(exchange(&mut card, &[0, 0xA4, 4, 0], false).unwrap().status, StatusWord::DONE);
        assert!(card.sent.len() <= ROUNDS_MAX);
    }

    #[test]
    fn exchange_does_not_correct_le_of_a_command_without_le() {
        let mut card = ScriptedCard::new(vec![(vec![0, 0x20, 0, 0, 1, 0x12], vec![0x6C, 3])]);
        let response = exchange(&mut card, &[0, 0x20, 0, 0, 1, 0x12], false).unwrap();
        assert_eq!(response.status, StatusWord { sw1: 0x6C, sw2: 3 });
        assert_eq!(card.sent.len(), 1);
    }

    #[test]
    fn exchange_response_below_two_bytes_means_card_lost() {
        for answer in [vec![], vec![0x90]] {
            let mut card = ScriptedCard::new(vec![(vec![0, 0x84, 0, 0, 8], answer)]);
            let fault = exchange(&mut card, &[0, 0x84, 0, 0, 8], true).err();
            assert_eq!(fault, Some(TransportFault::CardLost));
        }
    }
}
