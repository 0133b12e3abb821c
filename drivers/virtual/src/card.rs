//! A virtual card: what a social security card answers to commands, and what other cards do.

use crate::faults::{Step, card as steps};
use crate::residents::Resident;

/// The application's name: `sx1.sh.` and 社会保障 in GBK.
const SSSE: &[u8] = b"sx1.sh.\xC9\xE7\xBB\xE1\xB1\xA3\xD5\xCF";
const PIN_TRIES: u8 = 3;

/// A card that can be put into a slot.
#[derive(Clone)]
pub struct VirtualCard {
    kind: Kind,
    tries_left: u8,
    application: bool,
    file: Option<File>,
    pending: Vec<u8>,
}

#[derive(Clone)]
enum Kind {
    Social(Box<Social>),
    /// A bank card: answers, and knows no such application.
    Bank,
    /// Nothing on the chip: it never answers to power.
    Blank,
}

#[derive(Clone)]
struct Social {
    issuer: Vec<(u8, Vec<u8>)>,
    holder: Vec<(u8, Vec<u8>)>,
    pin: Vec<u8>,
    /// Third generation: the holder's file is for authorities only.
    guarded: bool,
    /// The application answers 9303 and nothing else.
    locked: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum File {
    Issuer,
    Holder,
}

/// What is wrong with a social security card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Nothing.
    None,
    /// A record holds bytes that are no record.
    Garbage,
    /// A record ends half way.
    HalfRecord,
    /// Its issuer locked the application for ever.
    Locked,
}

impl VirtualCard {
    /// The card of a resident.
    #[must_use]
    pub fn of(resident: &Resident, flaw: Flaw) -> Self {
        let card = &resident.card;
        let name = encoding_rs::GB18030.encode(&resident.name).0.into_owned();
        let (first, rest) = name.split_at(name.len().min(30));
        let sex: &[u8] = if resident.sex == "male" { b"1" } else { b"2" };
        let issuer = vec![
            (0x01, packed(&card.identification, 16)),
            (0x02, b"3".to_vec()),
            (0x03, filled(card.version.as_bytes(), 4)),
            (0x04, packed("915000000000000000000000", 12)),
            (0x05, packed(&card.issued, 4)),
            (0x06, packed(&card.valid_to, 4)),
            (0x07, filled(card.number.as_bytes(), 9)),
        ];
        let mut holder = vec![
            (0x08, filled(resident.id_number.as_bytes(), 18)),
            (0x09, filled(first, 30)),
            (0x0A, sex.to_vec()),
            (0x0B, packed(&resident.nation, 1)),
            (0x0C, packed(&resident.birth_place, 3)),
            (0x0D, packed(&resident.birth_date.replace('-', ""), 4)),
        ];
        if !rest.is_empty() || card.version == "3.00" {
            holder.insert(2, (0x4E, filled(rest, 20)));
        }
        match flaw {
            Flaw::None | Flaw::Locked => {}
            Flaw::Garbage => holder.iter_mut().for_each(|(_, value)| value.fill(0xFF)),
            Flaw::HalfRecord => holder.iter_mut().for_each(|(_, value)| value.truncate(value.len() / 2)),
        }
        let guarded = card.version == "3.00";
        let locked = flaw == Flaw::Locked;
        let pin = packed(&card.pin, card.pin.len().div_ceil(2));
        Self::new(Kind::Social(Box::new(Social { issuer, holder, pin, guarded, locked })))
    }

    /// A bank card.
    #[must_use]
    pub fn bank() -> Self {
        Self::new(Kind::Bank)
    }

    /// A card without a chip program, or one that lies upside down.
    #[must_use]
    pub fn blank() -> Self {
        Self::new(Kind::Blank)
    }

    fn new(kind: Kind) -> Self {
        Self { kind, tries_left: PIN_TRIES, application: false, file: None, pending: Vec::new() }
    }

    /// Power comes on, or the reset line is pulled: selections are forgotten, PIN tries are not.
    pub fn reset(&mut self) {
        self.application = false;
        self.file = None;
        self.pending.clear();
    }

    /// Answer to reset; empty for a card that does not answer. T=0 with 13 historical bytes.
    #[must_use]
    pub fn atr(&self) -> Vec<u8> {
        match self.kind {
            Kind::Social(_) => {
                b"\x3B\x6D\x00\x00\x00\x81\x54\x43\x80\x86\x45\x00\x00\x58\x01\xAB\xCD".to_vec()
            }
            Kind::Bank => {
                b"\x3B\x6E\x00\x00\x00\x31\xC0\x71\xC6\x65\x01\xB0\x01\x03\x37\x83\x90\x00".to_vec()
            }
            Kind::Blank => vec![0x00],
        }
    }

    /// At which step of its protocol this command finds the card.
    #[must_use]
    pub fn step(&self, apdu: &[u8]) -> Option<&'static Step> {
        match (apdu, self.file) {
            ([_, 0xA4, 0x04, ..], _) => Some(&steps::SELECT),
            ([_, 0xA4, _, _, 0x02, 0xEF, 0x05, ..], _) => Some(&steps::SELECT_ISSUER),
            ([_, 0xA4, _, _, 0x02, 0xEF, 0x06, ..], _) => Some(&steps::SELECT_HOLDER),
            ([_, 0xC0, ..], _) => Some(&steps::GET_RESPONSE),
            ([_, 0xB2, ..], Some(File::Issuer)) => Some(&steps::READ_ISSUER),
            ([_, 0xB2, ..], Some(File::Holder)) => Some(&steps::READ_HOLDER),
            ([_, 0x20, ..], _) => Some(&steps::VERIFY),
            _ => None,
        }
    }

    /// One command APDU; gives the response APDU.
    pub fn answer(&mut self, apdu: &[u8]) -> Vec<u8> {
        let [cla, ins, p1, p2, body @ ..] = apdu else { return vec![0x67, 0x00] };
        if cla & 0xFC != 0 {
            return vec![0x6E, 0x00];
        }
        match ins {
            0xA4 => self.select(*p1, body),
            0xC0 => {
                let mut response = std::mem::take(&mut self.pending);
                response.extend([0x90, 0x00]);
                response
            }
            0xB2 => self.read_record(*p1, *p2, body),
            0x20 => self.verify(body),
            0x84 => {
                let length = usize::from(body.first().copied().unwrap_or(8)).min(16);
                let mut response: Vec<u8> = (1..=16).take(length).collect();
                response.extend([0x90, 0x00]);
                response
            }
            _ => vec![0x6D, 0x00],
        }
    }

    fn select(&mut self, p1: u8, body: &[u8]) -> Vec<u8> {
        let data = match body {
            [length, data @ ..] => data.get(..usize::from(*length)).unwrap_or_default(),
            [] => &[],
        };
        let Kind::Social(social) = &self.kind else { return vec![0x6A, 0x82] };
        match (p1, data) {
            (0x04, name) if name == SSSE && social.locked => vec![0x93, 0x03],
            (0x04, name) if name == SSSE => {
                self.application = true;
                self.file = None;
                let mut inner = vec![0x84, 0x0F];
                inner.extend_from_slice(SSSE);
                inner.extend([0xA5, 0x06, 0x9F, 0x0C, 0x03, 0x86, 0x01, 0x03]);
                let mut fci = vec![0x6F, u8::try_from(inner.len()).unwrap_or(0)];
                fci.extend(inner);
                // T=0: the data is fetched with GET RESPONSE.
                let length = u8::try_from(fci.len()).unwrap_or(0);
                self.pending = fci;
                vec![0x61, length]
            }
            (0x00 | 0x02, [0xEF, 0x05]) if self.application => {
                self.file = Some(File::Issuer);
                vec![0x90, 0x00]
            }
            (0x00 | 0x02, [0xEF, 0x06]) if self.application => {
                if social.guarded {
                    return vec![0x69, 0x82];
                }
                self.file = Some(File::Holder);
                vec![0x90, 0x00]
            }
            _ => vec![0x6A, 0x82],
        }
    }

    fn read_record(&self, p1: u8, p2: u8, body: &[u8]) -> Vec<u8> {
        let Kind::Social(social) = &self.kind else { return vec![0x6D, 0x00] };
        let records = match self.file {
            Some(File::Issuer) => &social.issuer,
            Some(File::Holder) => &social.holder,
            None => return vec![0x69, 0x86],
        };
        let found = match p2 {
            0x00 => records.iter().find(|(tag, _)| *tag == p1),
            0x04 => usize::from(p1).checked_sub(1).and_then(|at| records.get(at)),
            _ => return vec![0x6A, 0x86],
        };
        let Some((tag, value)) = found else { return vec![0x6A, 0x83] };
        let mut record = vec![*tag, u8::try_from(value.len()).unwrap_or(0)];
        record.extend_from_slice(value);
        let length = u8::try_from(record.len()).unwrap_or(0);
        if body.first() != Some(&length) {
            return vec![0x6C, length];
        }
        record.extend([0x90, 0x00]);
        record
    }

    fn verify(&mut self, body: &[u8]) -> Vec<u8> {
        let Kind::Social(social) = &self.kind else { return vec![0x6D, 0x00] };
        if self.tries_left == 0 {
            return vec![0x69, 0x83];
        }
        let presented = body.split_first().map_or(&[] as &[u8], |(_, pin)| pin);
        if presented == social.pin.as_slice() {
            self.tries_left = PIN_TRIES;
            return vec![0x90, 0x00];
        }
        self.tries_left -= 1;
        vec![0x63, 0xC0 | self.tries_left]
    }
}

/// `cn`: packed decimal (or hexadecimal), filled with F.
fn packed(digits: &str, length: usize) -> Vec<u8> {
    let mut nibbles =
        digits.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok()).unwrap_or(0xF));
    (0..length).map(|_| nibbles.next().unwrap_or(0xF) << 4 | nibbles.next().unwrap_or(0xF)).collect()
}

/// `an`: left aligned, filled with zeros.
fn filled(bytes: &[u8], length: usize) -> Vec<u8> {
    let mut field = bytes.to_vec();
    field.resize(length, 0);
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resident(version: &str) -> Resident {
        let toml = include_str!("../../../assets/residents.toml");
        #[derive(serde::Deserialize)]
        struct File {
            resident: Vec<Resident>,
        }
        let mut one = toml::from_str::<File>(toml).unwrap().resident.remove(0);
        one.card.version = version.into();
        one
    }

    fn select(card: &mut VirtualCard) -> Vec<u8> {
        card.answer(&[&[0x00, 0xA4, 0x04, 0x00, 0x0F], SSSE].concat())
    }

    #[test]
    fn a_second_generation_card_gives_its_records_by_tag_after_the_right_le() {
        let mut card = VirtualCard::of(&resident("2.00"), Flaw::None);
        let [0x61, length] = select(&mut card)[..] else { panic!("61xx") };
        let fci = card.answer(&[0x00, 0xC0, 0x00, 0x00, length]);
        assert_eq!(fci.first(), Some(&0x6F));
        assert_eq!(card.answer(&[0x00, 0xA4, 0x00, 0x00, 0x02, 0xEF, 0x06]), [0x90, 0x00]);
        assert_eq!(card.answer(&[0x00, 0xB2, 0x08, 0x00, 0x00]), [0x6C, 20]);
        let record = card.answer(&[0x00, 0xB2, 0x08, 0x00, 20]);
        assert_eq!((record[0], record[1], record.len()), (0x08, 18, 22));
        assert_eq!(card.answer(&[0x00, 0xB2, 0x4E, 0x00, 0x00]), [0x6A, 0x83]);
    }

    #[test]
    fn a_third_generation_card_keeps_its_holder_to_itself() {
        let mut card = VirtualCard::of(&resident("3.00"), Flaw::None);
        select(&mut card);
        assert_eq!(card.answer(&[0x00, 0xA4, 0x00, 0x00, 0x02, 0xEF, 0x06]), [0x69, 0x82]);
    }

    #[test]
    fn the_pin_counter_counts_survives_a_reset_and_locks() {
        let mut card = VirtualCard::of(&resident("2.00"), Flaw::None);
        let wrong = [0x00, 0x20, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00];
        let right = [0x00, 0x20, 0x00, 0x00, 0x03, 0x73, 0x09, 0x14];
        assert_eq!(card.answer(&wrong), [0x63, 0xC2]);
        assert_eq!(card.answer(&right), [0x90, 0x00]);
        for left in [2, 1, 0] {
            assert_eq!(card.answer(&wrong), [0x63, 0xC0 | left]);
            card.reset();
        }
        assert_eq!(card.answer(&right), [0x69, 0x83]);
    }

    #[test]
    fn a_bank_card_answers_and_knows_no_such_application() {
        assert_eq!(select(&mut VirtualCard::bank()), [0x6A, 0x82]);
    }
}
