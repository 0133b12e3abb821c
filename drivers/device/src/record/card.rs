//! Redaction of a card's commands and answers for recordings.
//!
//! Commands keep their header and length; the data of every command except SELECT becomes zeros. Answers keep their
//! status word. The answer to SELECT describes the application and is kept. A record keeps its tag and length; a valid
//! value is replaced by that of an invented resident, an invalid one by bytes of the same classes, so that a driver in a
//! test comes to the same result.

use zeroize::Zeroizing;

use super::{Hex, Recorder, TransferFault, WireEvent};

/// INS bytes of SELECT, READ RECORD and GET RESPONSE.
const SELECT: u8 = 0xA4;
const READ_RECORD: u8 = 0xB2;
const GET_RESPONSE: u8 = 0xC0;
/// INS bytes of the authentication commands; their data and answers become zeros.
pub(super) const INTERNAL_AUTHENTICATE: u8 = 0x88;
pub(super) const EXTERNAL_AUTHENTICATE: u8 = 0x82;

/// An invented citizen number with a valid check character, and the birth date in it.
const INVENTED_NUMBER: &[u8; 18] = b"11010519491231002X";
const INVENTED_BIRTH: [u8; 4] = [0x19, 0x49, 0x12, 0x31];

/// Records the commands and answers of a card, redacted.
pub struct CardRecorder {
    recorder: Recorder,
    /// INS byte of the command whose answer GET RESPONSE fetches.
    instruction: u8,
}

impl CardRecorder {
    /// Makes a card recorder that writes to `recorder`.
    #[must_use]
    pub fn new(recorder: Recorder) -> Self {
        Self { recorder, instruction: 0 }
    }

    /// Records one exchange. `apdu` and `answer`: the bytes as transferred, not redacted.
    pub fn record_exchange(&mut self, apdu: &[u8], answer: Result<&[u8], TransferFault>) {
        if !self.recorder.is_on() {
            return;
        }
        self.recorder.record(WireEvent::Out(Hex(redact_command(apdu))));
        let ins = apdu.get(1).copied().unwrap_or(0);
        if ins != GET_RESPONSE {
            self.instruction = ins;
        }
        self.recorder.record(match answer {
            Ok(bytes) => WireEvent::In(Hex(redact_response(self.instruction, bytes))),
            Err(reason) => WireEvent::InFailed(reason),
        });
    }
}

/// Replaces personal and secret data of a command by zeros.
#[must_use]
pub fn redact_command(apdu: &[u8]) -> Vec<u8> {
    let mut kept = apdu.to_vec();
    if apdu.get(1) != Some(&SELECT) {
        kept.iter_mut().skip(5).for_each(|byte| *byte = 0);
    }
    kept
}

/// Replaces personal and secret data of an answer to the command with this INS byte.
#[must_use]
pub fn redact_response(ins: u8, answer: &[u8]) -> Vec<u8> {
    let Some((body, status)) = answer.split_last_chunk::<2>() else {
        return vec![0; answer.len()];
    };
    let mut kept = match ins {
        SELECT => body.to_vec(),
        READ_RECORD => redact_record(body),
        _ => vec![0; body.len()],
    };
    kept.extend_from_slice(status);
    kept
}

/// Redacts a record: tag and length stay, the value becomes an invented one.
fn redact_record(body: &[u8]) -> Vec<u8> {
    let Some(([tag, length], value)) = body.split_first_chunk::<2>() else { return mask_classes(body) };
    let invented = match tag {
        // 卡识别码: the area code and the standard's number in its first half are not secret.
        0x01 if value.len() == 16 => [value.get(..8).unwrap_or_default(), &[0x99; 8]].concat(),
        // Kind, version, issuer and dates of the card are not personal.
        0x02..=0x06 => value.to_vec(),
        0x0A if matches!(value, [b'1' | b'2']) => b"1".to_vec(),
        0x0B if matches!(value, [nation] if is_packed(&[*nation])) => vec![0x01],
        0x0C if value.len() == 3 && is_packed(value) => vec![0x50, 0x01, 0x01],
        0x07 if value.len() == 9 && value.iter().all(u8::is_ascii_alphanumeric) => b"A00000000".to_vec(),
        0x08 if is_citizen_number(value) => INVENTED_NUMBER.to_vec(),
        0x09 | 0x4E => redact_name(value),
        0x0D if is_packed_date(value) => INVENTED_BIRTH.to_vec(),
        _ => mask_classes(value),
    };
    [&[*tag, *length], invented.as_slice()].concat()
}

fn is_citizen_number(value: &[u8]) -> bool {
    value.len() == INVENTED_NUMBER.len() && std::str::from_utf8(value).is_ok_and(::card::is_citizen_number)
}

fn is_packed(value: &[u8]) -> bool {
    value.iter().all(|byte| byte >> 4 < 10 && byte & 0x0F < 10)
}

fn is_packed_date(value: &[u8]) -> bool {
    value.len() == 4 && is_packed(value)
}

/// Redacts a name: the number of characters, the bytes of each character and the padding stay.
fn redact_name(value: &[u8]) -> Vec<u8> {
    let end = value.iter().rposition(|byte| !matches!(byte, 0x00 | 0x20 | 0xFF)).map_or(0, |last| last + 1);
    let (text, padding) = value.split_at(end);
    let decoded = encoding_rs::GB18030
        .decode_without_bom_handling_and_without_replacement(text)
        .map(|text| Zeroizing::new(text.into_owned()));
    let Some(decoded) = decoded.filter(|text| !text.chars().any(char::is_control)) else {
        return mask_classes(value);
    };
    let invented: String = decoded
        .chars()
        .map(|one| {
            let mut buffer = [0; 4];
            match encoding_rs::GB18030.encode(one.encode_utf8(&mut buffer)).0.len() {
                1 => 'x',
                2 => '某',
                _ => '𠮷',
            }
        })
        .collect();
    [&encoding_rs::GB18030.encode(&invented).0, padding].concat()
}

/// Replaces each byte by one of its class: digit, letter, high byte, control byte, other. Padding bytes stay.
fn mask_classes(bytes: &[u8]) -> Vec<u8> {
    bytes
        .iter()
        .map(|byte| match byte {
            b'0'..=b'9' => b'0',
            b'A'..=b'Z' | b'a'..=b'z' => b'x',
            0x00 | 0x20 | 0xFF => *byte,
            0x80..=0xFE => 0xA1,
            0x01..=0x1F | 0x7F => 0x01,
            _ => b'?',
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record_of(tag: u8, value: &[u8]) -> Vec<u8> {
        [&[tag, value.len() as u8], value, &[0x90, 0x00]].concat()
    }

    #[test]
    fn redact_command_pin_becomes_zeros() {
        let verify = [0x00, 0x20, 0x00, 0x00, 0x03, 0x73, 0x09, 0x14];
        assert_eq!(redact_command(&verify), [0x00, 0x20, 0x00, 0x00, 0x03, 0, 0, 0]);
        let change = [0x80, 0x5E, 0x01, 0x00, 0x07, 0x73, 0x09, 0x14, 0xFF, 0x11, 0x22, 0x33];
        assert!(redact_command(&change)[5..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn redact_response_holder_becomes_invented_of_same_length() {
        let number = record_of(0x08, b"500112194803150422");
        assert_eq!(redact_response(READ_RECORD, &number), record_of(0x08, INVENTED_NUMBER));
        let name = encoding_rs::GB18030.encode("欧阳雪梅").0.into_owned();
        let mut value = name.clone();
        value.resize(30, 0);
        let kept = redact_response(READ_RECORD, &record_of(0x09, &value));
        assert_eq!(kept.len(), 34);
        let text = encoding_rs::GB18030.decode_without_bom_handling(&kept[2..10]).0.into_owned();
        assert_eq!(text, "某某某某");
        assert_eq!(kept[10..32], [0; 22]);
    }

    #[test]
    fn redact_response_invalid_record_stays_invalid() {
        let wrong_check_digit = b"500112194803150421";
        let kept = redact_response(READ_RECORD, &record_of(0x08, wrong_check_digit));
        assert!(!is_citizen_number(&kept[2..20]));
        let no_date = redact_response(READ_RECORD, &record_of(0x0D, &[0x19, 0x9A, 0x12, 0x31]));
        assert!(!is_packed_date(&no_date[2..6]));
        assert_eq!(redact_response(READ_RECORD, &[0x6A, 0x83]), [0x6A, 0x83]);
        assert_eq!(redact_response(READ_RECORD, &[0x41]), [0]);
    }

    #[test]
    fn card_recorder_switched_off_keeps_nothing() {
        let mut tape = CardRecorder::new(Recorder::off());
        tape.instruction = 0;
        tape.record_exchange(&[0x00, 0xB2, 0x08, 0x00, 0x00], Ok(&[0x61, 0x14]));
        // While recording is off nothing is kept, not even the instruction.
        assert_eq!(tape.instruction, 0);
    }

    proptest! {
        #[test]
        fn redact_response_keeps_length_and_status(
            ins in any::<u8>(),
            answer in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let kept = redact_response(ins, &answer);
            prop_assert_eq!(kept.len(), answer.len());
            if answer.len() >= 2 {
                prop_assert_eq!(&kept[kept.len() - 2..], &answer[answer.len() - 2..]);
            }
        }

        #[test]
        fn redact_command_keeps_header_and_length(apdu in proptest::collection::vec(any::<u8>(), 0..300)) {
            let kept = redact_command(&apdu);
            prop_assert_eq!(kept.len(), apdu.len());
            prop_assert_eq!(&kept[..apdu.len().min(5)], &apdu[..apdu.len().min(5)]);
        }
    }
}
