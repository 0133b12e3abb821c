//! The social security application (SSSE): select, read the issuer's and the holder's records by tag.

use encoding_rs::GB18030;
use zeroize::Zeroizing;

use crate::Refusal;
use crate::apdu::{CardTransport, Response, StatusWord, TransportFault, exchange};
use crate::holder::{Algorithm, CardHolder, Holder, Sex, SocialCard, SpecVersion};
use crate::number::{is_citizen_number, is_date};
use crate::tlv;

/// The application's name: `sx1.sh.` and 社会保障 in GBK.
pub(crate) const SSSE: [u8; 15] =
    [0x73, 0x78, 0x31, 0x2E, 0x73, 0x68, 0x2E, 0xC9, 0xE7, 0xBB, 0xE1, 0xB1, 0xA3, 0xD5, 0xCF];

/// EF05, the issuer's file, and EF06, the holder's.
const EF05: [u8; 2] = [0xEF, 0x05];
const EF06: [u8; 2] = [0xEF, 0x06];

/// Why a card was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadFault {
    /// The card or the reader went away.
    #[error("the card could not be read to its end")]
    Transport(#[from] TransportFault),
    /// The card cannot be used.
    #[error("the card cannot be used: {0:?}")]
    Refused(Refusal),
}

/// Reads the card: select, EF05, EF06, each record by its tag, since a third-generation card has a record
/// (tag 4E) that shifts the numbers.
///
/// # Errors
/// When the card goes away or cannot be used.
pub fn read(card: &mut dyn CardTransport) -> Result<SocialCard, ReadFault> {
    let algorithm = select(card)?.map_err(ReadFault::Refused)?;
    if select_file(card, EF05)? != StatusWord::DONE {
        return Err(ReadFault::Refused(Refusal::Incomplete));
    }
    let identification = hex(&record(card, 0x01, 16)?);
    let version = text(&record(card, 0x03, 4)?)?;
    let version = SpecVersion::parse(&version).ok_or(ReadFault::Refused(Refusal::Garbage))?;
    let issued = date(&record(card, 0x05, 4)?)?.ok_or(ReadFault::Refused(Refusal::Garbage))?;
    let valid_to = date(&record(card, 0x06, 4)?)?;
    let number = text(&record(card, 0x07, 9)?)?;
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(ReadFault::Refused(Refusal::Garbage));
    }
    let holder = holder(card)?;
    Ok(SocialCard { identification, version, algorithm, issued, valid_to, number, holder })
}

/// Selects the application; its FCI names the algorithm.
pub(crate) fn select(card: &mut dyn CardTransport) -> Result<Result<Algorithm, Refusal>, TransportFault> {
    let command = [&[0x00, 0xA4, 0x04, 0x00, 0x0F], SSSE.as_slice()].concat();
    let Response { data, status } = exchange(card, &command, false)?;
    Ok(match status {
        StatusWord::DONE => {
            let proprietary = tlv::ber_find(&data, 0x9F0C).unwrap_or_default();
            // 9F0C holds `86 01 xx` among other objects; a card without it means 01.
            let number = proprietary.windows(3).find(|w| matches!(w, [0x86, 0x01, _]));
            Ok(number.and_then(<[u8]>::last).copied().map_or(Algorithm::Des, Algorithm::from))
        }
        StatusWord::LOCKED => Err(Refusal::Blocked),
        StatusWord { .. } => Err(Refusal::NotSocialSecurity),
    })
}

fn select_file(card: &mut dyn CardTransport, [high, low]: [u8; 2]) -> Result<StatusWord, TransportFault> {
    Ok(exchange(card, &[0x00, 0xA4, 0x00, 0x00, 0x02, high, low], false)?.status)
}

/// READ RECORD by tag (P2 = 00); the answer is the whole record and its value has `length` bytes.
fn record(card: &mut dyn CardTransport, tag: u8, length: usize) -> Result<Zeroizing<Vec<u8>>, ReadFault> {
    match try_record(card, tag, length)? {
        Ok(value) => Ok(value),
        Err(StatusWord { .. }) => Err(ReadFault::Refused(Refusal::Incomplete)),
    }
}

type RecordAnswer = Result<Zeroizing<Vec<u8>>, StatusWord>;

fn try_record(card: &mut dyn CardTransport, tag: u8, length: usize) -> Result<RecordAnswer, ReadFault> {
    let Response { data, status } = exchange(card, &[0x00, 0xB2, tag, 0x00, 0x00], true)?;
    if status != StatusWord::DONE {
        return Ok(Err(status));
    }
    match tlv::record(&data) {
        Some((found, value)) if found == tag && value.len() == length => {
            Ok(Ok(Zeroizing::new(value.to_vec())))
        }
        Some((found, _)) if found == tag => Err(ReadFault::Refused(Refusal::Incomplete)),
        Some(_) | None => Err(ReadFault::Refused(Refusal::Garbage)),
    }
}

fn holder(card: &mut dyn CardTransport) -> Result<Holder, ReadFault> {
    match select_file(card, EF06)? {
        StatusWord::DONE => {}
        StatusWord::SECURITY => return Ok(Holder::NeedsAuthority),
        StatusWord { .. } => return Err(ReadFault::Refused(Refusal::Incomplete)),
    }
    let id_number = match try_record(card, 0x08, 18)? {
        Ok(value) => text(&value)?,
        Err(StatusWord::SECURITY) => return Ok(Holder::NeedsAuthority),
        Err(StatusWord { .. }) => return Err(ReadFault::Refused(Refusal::Incomplete)),
    };
    if !is_citizen_number(&id_number) {
        return Err(ReadFault::Refused(Refusal::Garbage));
    }
    let mut name_bytes = Zeroizing::new(Vec::with_capacity(30 + 20));
    name_bytes.extend_from_slice(&trimmed(&record(card, 0x09, 30)?));
    match try_record(card, 0x4E, 20)? {
        Ok(extension) => name_bytes.extend_from_slice(&trimmed(&extension)),
        // Old cards have no extension: 6A83, or a neighbour of it. Half a name is nobody's name.
        Err(StatusWord { sw1: 0x6A, .. }) => {}
        Err(StatusWord { .. }) => return Err(ReadFault::Refused(Refusal::Incomplete)),
    }
    let name = decoded(&name_bytes)?;
    let sex = record(card, 0x0A, 1)?;
    let birth = date(&record(card, 0x0D, 4)?)?;
    let agrees = birth.is_none_or(|birth| id_number.get(6..14) == Some(birth.as_str()));
    if name.is_empty() || !agrees {
        return Err(ReadFault::Refused(Refusal::Garbage));
    }
    let sex = match sex.as_slice() {
        [b'1'] => Sex::Male,
        [b'2'] => Sex::Female,
        _ => Sex::Other,
    };
    Ok(Holder::Read(CardHolder { id_number, name, sex }))
}

fn hex(bytes: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 2));
    for byte in bytes {
        for digit in [byte >> 4, byte & 0x0F] {
            text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0').to_ascii_uppercase());
        }
    }
    text
}

/// An `an` field: GB18030, filled with zeros (some issuers fill with spaces).
fn trimmed(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    let end = bytes.iter().rposition(|b| !matches!(b, 0x00 | 0x20 | 0xFF)).map_or(0, |last| last + 1);
    Zeroizing::new(bytes.get(..end).unwrap_or_default().to_vec())
}

fn text(bytes: &[u8]) -> Result<Zeroizing<String>, ReadFault> {
    decoded(&trimmed(bytes))
}

fn decoded(bytes: &[u8]) -> Result<Zeroizing<String>, ReadFault> {
    let text = GB18030.decode_without_bom_handling_and_without_replacement(bytes);
    let text = text.filter(|text| !text.chars().any(char::is_control));
    text.map(|text| Zeroizing::new(text.into_owned())).ok_or(ReadFault::Refused(Refusal::Garbage))
}

/// A `cn` date: packed `YYYYMMDD`; all zeros or all F is *not set*.
fn date(bytes: &[u8]) -> Result<Option<String>, ReadFault> {
    if bytes.iter().all(|b| *b == 0xFF) || bytes.iter().all(|b| *b == 0) {
        return Ok(None);
    }
    let digits = hex(bytes);
    if is_date(&digits) { Ok(Some(digits.to_string())) } else { Err(ReadFault::Refused(Refusal::Garbage)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apdu::script::Script;
    use proptest::prelude::*;

    fn an(text: &str, length: usize) -> Vec<u8> {
        let mut bytes = GB18030.encode(text).0.into_owned();
        bytes.resize(length, 0);
        bytes
    }

    fn answer(tag: u8, value: Vec<u8>) -> (Vec<u8>, Vec<u8>) {
        let mut record = vec![tag, value.len() as u8];
        record.extend(value);
        record.extend([0x90, 0x00]);
        (vec![0x00, 0xB2, tag, 0x00, 0x00], record)
    }

    fn fci() -> Vec<u8> {
        let mut inner = vec![0x84, 0x0F];
        inner.extend(SSSE);
        inner.extend([0xA5, 0x06, 0x9F, 0x0C, 0x03, 0x86, 0x01, 0x03]);
        let mut fci = vec![0x6F, inner.len() as u8];
        fci.extend(inner);
        fci.extend([0x90, 0x00]);
        fci
    }

    /// A 2.00 card of an invented person.
    fn card(name: &str) -> Script {
        let identification =
            [0x50, 0x01, 0x12, 0xD1, 0x56, 0, 0, 0x05, 0x99, 0x11, 0x01, 0x45, 0xFF, 0xFF, 0xFF, 0xFF];
        let encoded = GB18030.encode(name).0.into_owned();
        let (head, tail) = encoded.split_at(encoded.len().min(30));
        let fill = |bytes: &[u8], length| {
            let mut bytes = bytes.to_vec();
            bytes.resize(length, 0);
            bytes
        };
        let mut answers = vec![
            ([&[0x00, 0xA4, 0x04, 0x00, 0x0F], SSSE.as_slice()].concat(), fci()),
            (vec![0x00, 0xA4, 0x00, 0x00, 0x02, 0xEF, 0x05], vec![0x90, 0x00]),
            (vec![0x00, 0xA4, 0x00, 0x00, 0x02, 0xEF, 0x06], vec![0x90, 0x00]),
            answer(0x01, identification.to_vec()),
            answer(0x03, an("2.00", 4)),
            answer(0x05, vec![0x20, 0x21, 0x06, 0x01]),
            answer(0x06, vec![0x20, 0x36, 0x06, 0x01]),
            answer(0x07, an("A12345678", 9)),
            answer(0x08, an("11010519491231002X", 18)),
            answer(0x09, fill(head, 30)),
            answer(0x0A, an("2", 1)),
            answer(0x0D, vec![0x19, 0x49, 0x12, 0x31]),
        ];
        answers.push(if tail.is_empty() {
            (vec![0x00, 0xB2, 0x4E, 0x00, 0x00], vec![0x6A, 0x83])
        } else {
            answer(0x4E, fill(tail, 20))
        });
        Script::new(answers)
    }

    fn set(card: &mut Script, tag: u8, answer: Vec<u8>) {
        let at = card.answers.iter().position(|(command, _)| command[..3] == [0x00, 0xB2, tag]).unwrap();
        card.answers[at].1 = answer;
    }

    #[test]
    fn a_second_generation_card_reads_wholly_in_thirteen_commands() {
        let mut script = card("欧阳雪梅");
        let read = read(&mut script).ok().unwrap();
        assert_eq!(read.version, SpecVersion::V2);
        assert_eq!(read.algorithm, Algorithm::Sm4);
        assert_eq!(read.number.as_str(), "A12345678");
        assert_eq!((read.issued.as_str(), read.valid_to.as_deref()), ("20210601", Some("20360601")));
        assert_eq!(read.identification.len(), 32);
        let Holder::Read(holder) = read.holder else { panic!("the holder") };
        assert_eq!(holder.name.as_str(), "欧阳雪梅");
        assert_eq!(holder.id_number.as_str(), "11010519491231002X");
        assert!(holder.sex == Sex::Female);
        assert_eq!(script.sent.len(), 13);
    }

    #[test]
    fn long_and_rare_names_come_whole() {
        for name in ["李䶮", "𠮷田", "阿依古丽·买买提·吐尔逊江·阿不都热合曼"] {
            let Ok(SocialCard { holder: Holder::Read(holder), .. }) = read(&mut card(name)) else {
                panic!("{name}")
            };
            assert_eq!(holder.name.as_str(), name);
        }
    }

    #[test]
    fn a_third_generation_card_without_authority_is_partly_readable() {
        for refusing in [vec![0x00, 0xA4, 0x00, 0x00, 0x02, 0xEF, 0x06], vec![0x00, 0xB2, 0x08, 0x00, 0x00]] {
            let mut script = card("王建国");
            set(&mut script, 0x03, answer(0x03, an("3.00", 4)).1);
            let at = script.answers.iter().position(|(command, _)| *command == refusing).unwrap();
            script.answers[at].1 = vec![0x69, 0x82];
            let read = read(&mut script).ok().unwrap();
            assert_eq!(read.version, SpecVersion::V3);
            assert!(matches!(read.holder, Holder::NeedsAuthority));
        }
    }

    #[test]
    fn other_cards_and_bad_records_are_refused_with_the_reason() {
        let refused = |bend: fn(&mut Script)| {
            let mut script = card("张三");
            bend(&mut script);
            match read(&mut script) {
                Err(ReadFault::Refused(refusal)) => refusal,
                other => panic!("{:?}", other.err()),
            }
        };
        assert_eq!(refused(|c| c.answers[0].1 = vec![0x6A, 0x82]), Refusal::NotSocialSecurity);
        assert_eq!(refused(|c| c.answers[0].1 = vec![0x93, 0x03]), Refusal::Blocked);
        assert_eq!(refused(|c| set(c, 0x07, vec![0x6A, 0x83])), Refusal::Incomplete);
        assert_eq!(refused(|c| set(c, 0x09, vec![0x09, 0x02, 0xC9, 0xE7, 0x90, 0x00])), Refusal::Incomplete);
        assert_eq!(refused(|c| set(c, 0x09, vec![0xDE, 0xAD, 0xBE, 0xEF, 0x90, 0x00])), Refusal::Garbage);
        assert_eq!(refused(|c| set(c, 0x03, answer(0x03, an("9.99", 4)).1)), Refusal::Garbage);
        assert_eq!(refused(|c| set(c, 0x08, answer(0x08, an("110105194912310021", 18)).1)), Refusal::Garbage);
        assert_eq!(refused(|c| set(c, 0x0D, answer(0x0D, vec![0x19, 0x50, 0x01, 0x01]).1)), Refusal::Garbage);
        assert_eq!(refused(|c| set(c, 0x4E, vec![0x65, 0x81])), Refusal::Incomplete);
        let no_text = |c: &mut Script| {
            let mut name = vec![0x41; 30];
            name[4] = 0xFF;
            set(c, 0x09, answer(0x09, name).1);
        };
        assert_eq!(refused(no_text), Refusal::Garbage);
    }

    #[test]
    fn a_record_cut_anywhere_is_never_read() {
        let long = "阿依古丽·买买提·吐尔逊江·阿不都热合曼";
        let whole = card(long).answers;
        for (at, (command, answer)) in whole.iter().enumerate().skip(3) {
            let body = &answer[..answer.len() - 2];
            for cut in 0..body.len() {
                let mut script = card(long);
                script.answers[at].1 = [&body[..cut], &[0x90, 0x00]].concat();
                assert!(
                    matches!(read(&mut script), Err(ReadFault::Refused(_))),
                    "{command:02X?} cut at {cut}"
                );
                script.answers[at].1 = body[..cut].to_vec();
                assert!(read(&mut script).is_err(), "{command:02X?} cut at {cut}, without a status word");
            }
        }
    }

    #[test]
    fn the_card_taken_at_any_command_is_gone_and_never_garbage() {
        for at in 0..13 {
            let mut script = card("张三");
            script.gone_at = Some(at);
            assert_eq!(read(&mut script).err(), Some(ReadFault::Transport(TransportFault::CardGone)));
        }
    }

    proptest! {
        #[test]
        fn a_card_that_answers_anything_never_panics(
            answers in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 1..20),
        ) {
            struct Liar(Vec<Vec<u8>>, usize);
            impl CardTransport for Liar {
                fn transmit(&mut self, _: &[u8], response: &mut Vec<u8>) -> Result<(), TransportFault> {
                    self.1 += 1;
                    response.extend_from_slice(&self.0[self.1 % self.0.len()]);
                    if self.1.is_multiple_of(2) { response.extend([0x90, 0x00]); }
                    Ok(())
                }
            }
            let _ = read(&mut Liar(answers, 0)).is_ok();
        }
    }
}
