//! Answers of the security module: which data belongs to which command and status. An answer does not name its command,
//! so only its form distinguishes it from a late answer to the previous command.

use std::fmt;

use crate::command::SamCommand;
use crate::status::SamStatus;
use crate::text::TEXT_LEN;

const PHOTO_LEN: usize = 1024;
/// Possible lengths of the fingerprints in bytes: none, one, two.
const FINGERPRINTS: [usize; 3] = [0, 512, 1024];
/// Bytes of an added address (追加住址): 35 characters.
const ADDRESS_LEN: usize = 70;
const SAM_ID_LEN: usize = 16;
/// Bytes of data after finding and after selecting a card; the data is not used.
const FOUND_LEN: usize = 4;
const SELECTED_LEN: usize = 8;

/// A parsed answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SamAnswer<'a> {
    /// A status without data of its own: a refusal, or the success of a command whose data is not used.
    StatusOnly(SamStatus),
    /// Answer to [`SamCommand::SamId`].
    SamId(SamId),
    /// Answer to [`SamCommand::Read`] and [`SamCommand::ReadWithFingerprints`].
    Card {
        /// 256 bytes, see [`parse_text`](crate::parse_text).
        text: &'a [u8],
        /// 1,024 bytes, undecoded.
        photo: &'a [u8],
        /// 0, 512 or 1,024 bytes.
        fingerprints: &'a [u8],
    },
    /// Answer to [`SamCommand::NewAddress`]: 70 bytes of text.
    Address(&'a [u8]),
}

/// A complete answer that does not belong to the command that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid answer to {command:?}: status {status:?} with {data_len} bytes of data")]
pub struct AnswerMismatch {
    /// The command that was sent.
    pub command: SamCommand,
    /// The status of the answer, if it has one.
    pub status: Option<SamStatus>,
    /// Bytes of data after the status.
    pub data_len: usize,
}

/// Parses the body of a frame, status and data, as the answer to a command.
///
/// # Errors
/// When the body is no answer to this command.
pub fn parse_answer(command: SamCommand, body: &[u8]) -> Result<SamAnswer<'_>, AnswerMismatch> {
    let Some((status, data)) = body.split_first_chunk::<3>() else {
        return Err(AnswerMismatch { command, status: None, data_len: body.len() });
    };
    let status = SamStatus::from_bytes(*status);
    let fault = AnswerMismatch { command, status: Some(status), data_len: data.len() };
    let bare_of = |length| if data.len() == length { Ok(SamAnswer::StatusOnly(status)) } else { Err(fault) };
    match (command, status) {
        (SamCommand::Reset | SamCommand::SamStatus, SamStatus::Done) => bare_of(0),
        (SamCommand::Find, SamStatus::CardFound) => bare_of(FOUND_LEN),
        (SamCommand::Select, SamStatus::Done) => bare_of(SELECTED_LEN),
        (SamCommand::SamId, SamStatus::Done) => {
            <[u8; SAM_ID_LEN]>::try_from(data).map(|id| SamAnswer::SamId(SamId(id))).map_err(|_| fault)
        }
        (SamCommand::Read | SamCommand::ReadWithFingerprints, SamStatus::Done) => {
            parse_card(data, command == SamCommand::ReadWithFingerprints).ok_or(fault)
        }
        (SamCommand::NewAddress, SamStatus::Done) if data.len() == ADDRESS_LEN => {
            Ok(SamAnswer::Address(data))
        }
        // Success in the form of another command: a late answer, or one of another device.
        (_, SamStatus::Done | SamStatus::CardFound) => Err(fault),
        (_, refused) => Ok(SamAnswer::StatusOnly(refused)),
    }
}

/// `text length ‖ photo length (‖ fingerprint length) ‖ text ‖ photo (‖ fingerprints)`, lengths u16 big-endian.
fn parse_card(data: &[u8], with_fingerprints: bool) -> Option<SamAnswer<'_>> {
    let (text_len, data) = split_length(data)?;
    let (photo_len, data) = split_length(data)?;
    let (fingerprints_len, data) = if with_fingerprints { split_length(data)? } else { (0, data) };
    let valid = text_len == TEXT_LEN && photo_len == PHOTO_LEN && FINGERPRINTS.contains(&fingerprints_len);
    let (text, data) = data.split_at_checked(text_len)?;
    let (photo, fingerprints) = data.split_at_checked(photo_len)?;
    (valid && fingerprints.len() == fingerprints_len).then_some(SamAnswer::Card { text, photo, fingerprints })
}

fn split_length(data: &[u8]) -> Option<(usize, &[u8])> {
    let (length, rest) = data.split_first_chunk::<2>()?;
    Some((u16::from_be_bytes(*length).into(), rest))
}

/// Number of the security module (安全模块号): identifies the reader, not a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SamId(pub [u8; SAM_ID_LEN]);

impl fmt::Display for SamId {
    /// The form that the vendors' programs print: `05.01-20131011-0001234567-1234567890`. Its encoding is ASSUMED: two
    /// numbers of 16 bits and three of 32 bits, little endian.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, rest @ ..] = self.0;
        write!(f, "{:02}.{:02}", u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]))?;
        let (numbers, _) = rest.as_chunks::<4>();
        for (number, width) in numbers.iter().zip([8, 10, 10]) {
            write!(f, "-{:0width$}", u32::from_le_bytes(*number))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn body(status: SamStatus, data: &[u8]) -> Vec<u8> {
        [status.to_bytes().as_slice(), data].concat()
    }

    fn reading(lengths: &[u16], bytes: usize) -> Vec<u8> {
        let mut data: Vec<u8> = lengths.iter().flat_map(|length| length.to_be_bytes()).collect();
        data.extend(vec![0x20; bytes]);
        body(SamStatus::Done, &data)
    }

    #[test]
    fn parse_answer_accepts_success_of_its_own_command_only() {
        let answers = [
            (SamCommand::SamStatus, body(SamStatus::Done, &[])),
            (SamCommand::SamId, body(SamStatus::Done, &[7; 16])),
            (SamCommand::Find, body(SamStatus::CardFound, &[0; 4])),
            (SamCommand::Select, body(SamStatus::Done, &[0; 8])),
            (SamCommand::Read, reading(&[256, 1024], 1280)),
            (SamCommand::ReadWithFingerprints, reading(&[256, 1024, 512], 1792)),
            (SamCommand::NewAddress, body(SamStatus::Done, &[0x20; 70])),
        ];
        for (sent, _) in &answers {
            for (answered, answer) in &answers {
                assert_eq!(parse_answer(*sent, answer).is_ok(), sent == answered, "{sent:?} {answered:?}");
            }
        }
    }

    #[test]
    fn parse_answer_splits_a_card_into_its_parts() {
        for fingerprints_len in [0_u16, 512, 1024] {
            let bytes = 1280 + usize::from(fingerprints_len);
            let answer = reading(&[256, 1024, fingerprints_len], bytes);
            let Ok(SamAnswer::Card { text, photo, fingerprints }) =
                parse_answer(SamCommand::ReadWithFingerprints, &answer)
            else {
                panic!("no card")
            };
            assert_eq!(
                (text.len(), photo.len(), fingerprints.len()),
                (256, 1024, usize::from(fingerprints_len))
            );
        }
    }

    #[test]
    fn parse_answer_rejects_invalid_lengths_of_a_card() {
        for (lengths, bytes) in [
            ([256, 1024], 1279),
            ([256, 1024], 1281),
            ([0, 1024], 1024),
            ([256, 0], 256),
            ([65535, 65535], 1280),
            ([1024, 256], 1280),
        ] {
            assert!(parse_answer(SamCommand::Read, &reading(&lengths, bytes)).is_err(), "{lengths:?}");
        }
        assert!(parse_answer(SamCommand::ReadWithFingerprints, &reading(&[256, 1024, 100], 1380)).is_err());
    }

    #[test]
    fn parse_answer_refusal_ignores_data() {
        for data in [&[][..], &[1, 2, 3]] {
            let answer = body(SamStatus::Other([0xDE, 0xAD, 0x99]), data);
            let expected = SamAnswer::StatusOnly(SamStatus::Other([0xDE, 0xAD, 0x99]));
            assert!(parse_answer(SamCommand::Read, &answer) == Ok(expected));
        }
    }

    #[test]
    fn sam_id_displays_in_the_vendors_form() {
        let id = SamId([5, 0, 1, 0, 0x63, 0x26, 0x33, 0x01, 0x87, 0xD6, 0x12, 0, 0xD2, 0x02, 0x96, 0x49]);
        assert_eq!(id.to_string(), "05.01-20129379-0001234567-1234567890");
    }

    proptest! {
        #[test]
        fn parse_answer_arbitrary_body_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..2400), at in 0..SamCommand::ALL.len()) {
            let _ = parse_answer(SamCommand::ALL[at], &bytes);
            let _ = parse_answer(SamCommand::ALL[at], &body(SamStatus::Done, &bytes));
        }
    }
}
