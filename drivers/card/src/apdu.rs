//! Commands and answers (ISO/IEC 7816-4), and the exchange of one over T=0 or T=1.

use zeroize::Zeroizing;

/// Longest short answer: 256 bytes and the status word.
pub(crate) const RESPONSE_MAX: usize = 258;
/// GET RESPONSE and wrong-Le repeats for one command: a card that asks for more is not sound.
const ROUNDS_MAX: usize = 8;

/// The wire to a card: one command APDU out, one response APDU back.
pub trait CardTransport {
    /// Sends a command and appends the answer, status word included, to `response`.
    ///
    /// # Errors
    /// When no whole answer comes.
    fn transmit(&mut self, command: &[u8], response: &mut Vec<u8>) -> Result<(), TransportFault>;
}

/// Why no answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportFault {
    /// The card was taken, or lost its power.
    #[error("the card is gone")]
    CardGone,
    /// The reader or the PC/SC service is gone.
    #[error("the reader is gone")]
    ReaderGone,
}

/// SW1 and SW2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusWord {
    /// The first byte.
    pub sw1: u8,
    /// The second byte.
    pub sw2: u8,
}

impl StatusWord {
    /// 9000: done.
    pub const DONE: Self = Self { sw1: 0x90, sw2: 0x00 };
    /// 6982: security status not satisfied.
    pub const SECURITY: Self = Self { sw1: 0x69, sw2: 0x82 };
    /// 6983: authentication method blocked.
    pub const BLOCKED: Self = Self { sw1: 0x69, sw2: 0x83 };
    /// 6A82: file or application not found.
    pub const NO_FILE: Self = Self { sw1: 0x6A, sw2: 0x82 };
    /// 6A83: record not found.
    pub const NO_RECORD: Self = Self { sw1: 0x6A, sw2: 0x83 };
    /// 9303: application locked for ever.
    pub const LOCKED: Self = Self { sw1: 0x93, sw2: 0x03 };
}

/// An answer: its data and its status word.
pub(crate) struct Response {
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
) -> Result<Response, TransportFault> {
    let mut next = Zeroizing::new(command.to_vec());
    let mut has_le = has_le;
    // Room for all that is kept and one answer more: growing would leave copies behind in freed memory.
    let mut data = Zeroizing::new(Vec::with_capacity(2 * RESPONSE_MAX));
    for _ in 0..ROUNDS_MAX {
        let mut raw = Zeroizing::new(Vec::with_capacity(RESPONSE_MAX));
        card.transmit(&next, &mut raw)?;
        // A reader whose card goes may report success with nothing: fewer than two bytes is no answer.
        let Some((body, [sw1, sw2])) = raw.split_last_chunk::<2>() else {
            return Err(TransportFault::CardGone);
        };
        let status = StatusWord { sw1: *sw1, sw2: *sw2 };
        data.extend_from_slice(body);
        if data.len() > RESPONSE_MAX {
            return Ok(Response { data: Zeroizing::default(), status: StatusWord { sw1: 0x67, sw2: 0x00 } });
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
            _ => return Ok(Response { data, status }),
        }
    }
    Ok(Response { data: Zeroizing::default(), status: StatusWord { sw1: 0x6F, sw2: 0x00 } })
}

#[cfg(test)]
pub(crate) mod script {
    use super::{CardTransport, TransportFault};

    /// A card that answers by rote; anything unexpected gets 6D00.
    pub(crate) struct Script {
        pub(crate) answers: Vec<(Vec<u8>, Vec<u8>)>,
        pub(crate) sent: Vec<Vec<u8>>,
        /// The card goes at this command.
        pub(crate) gone_at: Option<usize>,
    }

    impl Script {
        pub(crate) fn new(answers: Vec<(Vec<u8>, Vec<u8>)>) -> Self {
            Self { answers, sent: Vec::new(), gone_at: None }
        }
    }

    impl CardTransport for Script {
        fn transmit(&mut self, command: &[u8], response: &mut Vec<u8>) -> Result<(), TransportFault> {
            self.sent.push(command.to_vec());
            if self.gone_at.is_some_and(|at| self.sent.len() > at) {
                return Ok(()); // as vpcd does: success with nothing
            }
            let answer = self.answers.iter().find(|(expected, _)| expected == command);
            response.extend_from_slice(answer.map_or(&[0x6D, 0x00], |(_, answer)| answer));
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::script::Script;
    use super::*;

    #[test]
    fn t0_detours_lead_to_the_same_answer() {
        let mut card = Script::new(vec![
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
    fn a_card_that_always_asks_for_more_is_left() {
        let mut card =
            Script::new(vec![(vec![0, 0xA4, 4, 0], vec![0x61, 5]), (vec![0, 0xC0, 0, 0, 5], vec![0x61, 5])]);
        assert_ne!(exchange(&mut card, &[0, 0xA4, 4, 0], false).unwrap().status, StatusWord::DONE);
        assert!(card.sent.len() <= ROUNDS_MAX);
    }

    #[test]
    fn a_wrong_length_is_not_put_over_the_data_of_a_command_without_le() {
        let mut card = Script::new(vec![(vec![0, 0x20, 0, 0, 1, 0x12], vec![0x6C, 3])]);
        let response = exchange(&mut card, &[0, 0x20, 0, 0, 1, 0x12], false).unwrap();
        assert_eq!(response.status, StatusWord { sw1: 0x6C, sw2: 3 });
        assert_eq!(card.sent.len(), 1);
    }

    #[test]
    fn an_empty_or_one_byte_answer_means_the_card_is_gone() {
        for answer in [vec![], vec![0x90]] {
            let mut card = Script::new(vec![(vec![0, 0x84, 0, 0, 8], answer)]);
            let fault = exchange(&mut card, &[0, 0x84, 0, 0, 8], true).err();
            assert_eq!(fault, Some(TransportFault::CardGone));
        }
    }
}
