//! Emulated cards: a social security card's responses to commands, and those of other cards.

use std::sync::Arc;

use contract::SecretKey;

use crate::faults::{Step, card as steps, psam as psam_steps};
use crate::keys::{CardKeys, CityKey, answer, random};
use crate::psam::Psam;
use crate::residents::Resident;

/// AID of the social security application: `sx1.sh.` and 社会保障 in GBK.
const SSSE: &[u8] = b"sx1.sh.\xC9\xE7\xBB\xE1\xB1\xA3\xD5\xCF";
/// AID of the application on staff cards.
const STAFF: &[u8] = b"\xF0YKSTAFF1";
const PIN_TRIES: u8 = 3;
/// RKSSSE: id of the key that authorises reading the holder file of a third-generation card.
const KEY_READ: u8 = 0x0A;
/// Id of the key that authorises setting a new PIN.
const KEY_PIN: u8 = 0x06;

/// An emulated card for an [`EmulatedCardSlot`](crate::card_slot::EmulatedCardSlot).
#[derive(Clone)]
pub struct VirtualCard {
    kind: Kind,
    tries_left: u8,
    application: bool,
    file: Option<File>,
    pending: Vec<u8>,
    /// The last random number of GET CHALLENGE, until EXTERNAL AUTHENTICATE has used it.
    challenge: Option<[u8; 8]>,
    /// Whether EXTERNAL AUTHENTICATE has authorised reading the holder file.
    opened: bool,
    /// Whether EXTERNAL AUTHENTICATE has authorised setting a new PIN.
    open_for_pin: bool,
}

#[derive(Clone)]
enum Kind {
    Social(Box<Social>),
    /// The city's PSAM, for the reader's second slot.
    Psam(Psam),
    /// A bank card: responds, but has no social security application.
    Bank,
    /// A staff card.
    Staff(Box<Staff>),
    /// A card without a chip program: no answer to reset.
    Blank,
}

#[derive(Clone)]
struct Staff {
    name: String,
    key: Arc<SecretKey>,
}

#[derive(Clone)]
struct Social {
    issuer: Vec<(u8, Vec<u8>)>,
    holder: Vec<(u8, Vec<u8>)>,
    pin: Vec<u8>,
    /// Third generation: the holder file requires EXTERNAL AUTHENTICATE.
    guarded: bool,
    keys: CardKeys,
    soul: Soul,
    /// The application is locked: SELECT answers 9303.
    locked: bool,
}

/// How a card behaves in card authentication.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Soul {
    /// Computes cryptograms with its keys.
    Own,
    /// Replays a recorded cryptogram, and accepts every external authentication.
    Recorded([u8; 8]),
    /// Does not respond.
    Deaf,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum File {
    Issuer,
    Holder,
}

/// A defect of a social security card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// No defect.
    None,
    /// The values of the holder records are all FF.
    Garbage,
    /// The values of the holder records are cut to half their length.
    HalfRecord,
    /// The issuer locked the application permanently.
    Locked,
    /// A copy with the right files and wrong keys.
    Cloned,
    /// A copy that replays a cryptogram of the genuine card.
    Recorded,
    /// The card does not respond to card authentication.
    Deaf,
}

impl VirtualCard {
    /// The card of a resident, with the keys of [`CityCardKeys::for_tests`].
    #[must_use]
    pub fn of(resident: &Resident, flaw: Flaw) -> Self {
        Self::of_city(resident, flaw, &CityKey::test())
    }

    /// The city's PSAM.
    #[must_use]
    pub fn psam(city: &CityKey) -> Self {
        Self::new(Kind::Psam(Psam::new(city.clone())))
    }

    /// The card of a resident, with keys derived from those of this city.
    #[must_use]
    pub fn of_city(resident: &Resident, flaw: Flaw, city: &CityKey) -> Self {
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
            Flaw::None | Flaw::Locked | Flaw::Cloned | Flaw::Recorded | Flaw::Deaf => {}
            Flaw::Garbage => holder.iter_mut().for_each(|(_, value)| value.fill(0xFF)),
            Flaw::HalfRecord => holder.iter_mut().for_each(|(_, value)| value.truncate(value.len() / 2)),
        }
        let guarded = card.version == "3.00";
        let locked = flaw == Flaw::Locked;
        let pin = packed(&card.pin, card.pin.len().div_ceil(2));
        let identification = packed(&card.identification, 16).try_into().unwrap_or_default();
        let own = city.of_card(&identification);
        let soul = match flaw {
            // Recorded at a terminal that sent these numbers.
            Flaw::Recorded => Soul::Recorded(answer(&own.internal, &[0x11; 8], &[0x22; 8])),
            Flaw::Deaf => Soul::Deaf,
            Flaw::None | Flaw::Garbage | Flaw::HalfRecord | Flaw::Locked | Flaw::Cloned => Soul::Own,
        };
        let keys = match flaw {
            Flaw::Cloned => CityKey::new(&[0x5A; 32]).of_card(&identification),
            Flaw::None | Flaw::Garbage | Flaw::HalfRecord | Flaw::Locked | Flaw::Recorded | Flaw::Deaf => own,
        };
        let social = Social { issuer, holder, pin, guarded, keys, soul, locked };
        Self::new(Kind::Social(Box::new(social)))
    }

    /// A bank card.
    #[must_use]
    pub fn bank() -> Self {
        Self::new(Kind::Bank)
    }

    /// A staff card with this name and key.
    #[must_use]
    pub fn staff(name: &str, key: Arc<SecretKey>) -> Self {
        Self::new(Kind::Staff(Box::new(Staff { name: name.to_owned(), key })))
    }

    /// A card without a chip program, or one that was inserted upside down.
    #[must_use]
    pub fn blank() -> Self {
        Self::new(Kind::Blank)
    }

    fn new(kind: Kind) -> Self {
        Self {
            kind,
            tries_left: PIN_TRIES,
            application: false,
            file: None,
            pending: Vec::new(),
            challenge: None,
            opened: false,
            open_for_pin: false,
        }
    }

    /// Power-on or reset: clears selections and authorisations, keeps the PIN tries.
    pub fn reset(&mut self) {
        self.application = false;
        self.file = None;
        self.pending.clear();
        self.challenge = None;
        self.opened = false;
        self.open_for_pin = false;
        if let Kind::Psam(psam) = &mut self.kind {
            psam.reset();
        }
    }

    /// Answer to reset (ISO/IEC 7816-3); the single byte 00 for a blank card. Social security cards: T=0 with 13
    /// historical bytes.
    #[must_use]
    pub fn atr(&self) -> Vec<u8> {
        match self.kind {
            Kind::Social(_) => {
                b"\x3B\x6D\x00\x00\x00\x81\x54\x43\x80\x86\x45\x00\x00\x58\x01\xAB\xCD".to_vec()
            }
            Kind::Psam(_) => b"\x3B\x69\x00\x00\x50\x53\x41\x4D\x00\x00\x00\x00\x01".to_vec(),
            Kind::Staff(_) => b"\x3B\x67\x00\x00YKSTAFF".to_vec(),
            Kind::Bank => {
                b"\x3B\x6E\x00\x00\x00\x31\xC0\x71\xC6\x65\x01\xB0\x01\x03\x37\x83\x90\x00".to_vec()
            }
            Kind::Blank => vec![0x00],
        }
    }

    /// The protocol step of the card's answer to reset.
    #[must_use]
    pub const fn reset_step(&self) -> &'static Step {
        match self.kind {
            Kind::Psam(_) => &psam_steps::RESET,
            Kind::Social(_) | Kind::Staff(_) | Kind::Bank | Kind::Blank => &steps::RESET,
        }
    }

    /// Whether a resident inserts and removes this card; a PSAM stays in the reader.
    pub(crate) const fn is_in_hand(&self) -> bool {
        !matches!(self.kind, Kind::Psam(_))
    }

    /// The protocol step of this command in the card's current state.
    #[must_use]
    pub fn step(&self, apdu: &[u8]) -> Option<&'static Step> {
        match (&self.kind, apdu) {
            (Kind::Psam(_), _) => return Psam::step(apdu),
            (Kind::Staff(_), [_, 0xCA, ..]) => return Some(&steps::STAFF_NAME),
            (Kind::Staff(_), [_, 0x88, ..]) => return Some(&steps::STAFF_PROOF),
            _ => {}
        }
        match (apdu, self.file) {
            ([_, 0xA4, 0x04, ..], _) => Some(&steps::SELECT),
            ([_, 0xA4, _, _, 0x02, 0xEF, 0x05, ..], _) => Some(&steps::SELECT_ISSUER),
            ([_, 0xA4, _, _, 0x02, 0xEF, 0x06, ..], _) => Some(&steps::SELECT_HOLDER),
            ([_, 0xC0, ..], _) => Some(&steps::GET_RESPONSE),
            ([_, 0xB2, ..], Some(File::Issuer)) => Some(&steps::READ_ISSUER),
            ([_, 0xB2, ..], Some(File::Holder)) => Some(&steps::READ_HOLDER),
            ([_, 0x84, ..], _) => Some(&steps::CHALLENGE),
            ([_, 0x88, ..], _) => Some(&steps::INTERNAL),
            ([_, 0x82, ..], _) => Some(&steps::EXTERNAL),
            ([_, 0x20, ..], _) => Some(&steps::VERIFY),
            ([0x80, 0x5E, ..], _) => Some(&steps::CHANGE_PIN),
            _ => None,
        }
    }

    /// Executes a command APDU and returns the response APDU; empty if the card does not respond.
    pub fn answer(&mut self, apdu: &[u8]) -> Vec<u8> {
        let [cla, ins, p1, p2, body @ ..] = apdu else { return vec![0x67, 0x00] };
        if let (Kind::Psam(psam), false) = (&mut self.kind, *ins == 0xC0) {
            let (data, status) = psam.answer(apdu);
            return if data.is_empty() { status.to_vec() } else { self.later(data) };
        }
        if (*cla, *ins) == (0x80, 0x5E) {
            return self.change_pin(body);
        }
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
            0x84 => self.draw(body),
            0x88 => self.internal_authenticate(body),
            0xCA => self.staff_name(),
            0x82 => self.external_authenticate(*p2, body),
            0x24 if *p1 == 0x01 => self.set_pin(body),
            _ => vec![0x6D, 0x00],
        }
    }

    /// T=0: answers 61xx and keeps the data for GET RESPONSE.
    fn later(&mut self, data: Vec<u8>) -> Vec<u8> {
        let length = u8::try_from(data.len()).unwrap_or(0);
        self.pending = data;
        vec![0x61, length]
    }

    fn draw(&mut self, body: &[u8]) -> Vec<u8> {
        let challenge = random::<16>();
        self.challenge = challenge.first_chunk::<8>().copied();
        let length = usize::from(body.first().copied().unwrap_or(8)).min(16);
        let mut response: Vec<u8> = challenge.into_iter().take(length).collect();
        response.extend([0x90, 0x00]);
        response
    }

    fn internal_authenticate(&mut self, body: &[u8]) -> Vec<u8> {
        let social = match &self.kind {
            Kind::Social(social) => social,
            Kind::Staff(staff) if self.application => {
                let Some((0x20, challenge)) = body.split_first() else { return vec![0x67, 0x00] };
                let signed = [b"staff-card/1\0".as_slice(), challenge].concat();
                let signature = staff.key.sign(&signed).0.to_vec();
                return self.later(signature);
            }
            Kind::Staff(_) | Kind::Psam(_) | Kind::Bank | Kind::Blank => return vec![0x6D, 0x00],
        };
        let Some((0x10, numbers)) = body.split_first() else { return vec![0x67, 0x00] };
        let ([factor, source], []) = numbers.as_chunks::<8>() else { return vec![0x67, 0x00] };
        match social.soul {
            _ if !self.application => vec![0x69, 0x85],
            Soul::Own => {
                let cryptogram = answer(&social.keys.internal, factor, source);
                self.later(cryptogram.to_vec())
            }
            Soul::Recorded(cryptogram) => self.later(cryptogram.to_vec()),
            Soul::Deaf => Vec::new(),
        }
    }

    fn external_authenticate(&mut self, key: u8, body: &[u8]) -> Vec<u8> {
        let challenge = self.challenge.take();
        let Kind::Social(social) = &self.kind else { return vec![0x6D, 0x00] };
        if ![KEY_READ, KEY_PIN].contains(&key) {
            return vec![0x6A, 0x88];
        }
        let own = if key == KEY_READ { social.keys.external } else { social.keys.pin };
        let Some((0x10, numbers)) = body.split_first() else { return vec![0x67, 0x00] };
        let ([cryptogram, factor], []) = numbers.as_chunks::<8>() else { return vec![0x67, 0x00] };
        let accepted = match (social.soul, challenge) {
            (Soul::Deaf, _) => return Vec::new(),
            (Soul::Recorded(_), _) => true,
            (Soul::Own, None) => return vec![0x69, 0x85],
            (Soul::Own, Some(challenge)) => answer(&own, factor, &challenge) == *cryptogram,
        };
        if key == KEY_READ {
            self.opened = accepted;
        } else {
            self.open_for_pin = accepted;
        }
        if accepted { vec![0x90, 0x00] } else { vec![0x63, 0x00] }
    }

    fn select(&mut self, p1: u8, body: &[u8]) -> Vec<u8> {
        let data = match body {
            [length, data @ ..] => data.get(..usize::from(*length)).unwrap_or_default(),
            [] => &[],
        };
        let social = match &self.kind {
            Kind::Staff(_) if p1 == 0x04 && data == STAFF => {
                self.application = true;
                return vec![0x90, 0x00];
            }
            Kind::Social(social) => social,
            Kind::Psam(_) | Kind::Bank | Kind::Staff(_) | Kind::Blank => return vec![0x6A, 0x82],
        };
        match (p1, data) {
            (0x04, name) if name == SSSE && social.locked => vec![0x93, 0x03],
            (0x04, name) if name == SSSE => {
                self.application = true;
                self.file = None;
                self.opened = false;
                let mut inner = vec![0x84, 0x0F];
                inner.extend_from_slice(SSSE);
                inner.extend([0xA5, 0x06, 0x9F, 0x0C, 0x03, 0x86, 0x01, 0x03]);
                let mut fci = vec![0x6F, u8::try_from(inner.len()).unwrap_or(0)];
                fci.extend(inner);
                self.later(fci)
            }
            (0x00 | 0x02, [0xEF, 0x05]) if self.application => {
                self.file = Some(File::Issuer);
                vec![0x90, 0x00]
            }
            (0x00 | 0x02, [0xEF, 0x06]) if self.application => {
                if social.guarded && !self.opened {
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

impl VirtualCard {
    fn staff_name(&mut self) -> Vec<u8> {
        match &self.kind {
            Kind::Staff(staff) if self.application => {
                let name = staff.name.clone().into_bytes();
                self.later(name)
            }
            Kind::Staff(_) | Kind::Social(_) | Kind::Psam(_) | Kind::Bank | Kind::Blank => vec![0x6D, 0x00],
        }
    }

    /// CHANGE REFERENCE DATA with new data only: needs an authorisation by EXTERNAL AUTHENTICATE, which it uses up.
    fn set_pin(&mut self, body: &[u8]) -> Vec<u8> {
        let opened = std::mem::take(&mut self.open_for_pin);
        let Kind::Social(social) = &mut self.kind else { return vec![0x6D, 0x00] };
        match body.split_first() {
            _ if !opened => vec![0x69, 0x82],
            Some((length, new)) if usize::from(*length) == new.len() && !new.is_empty() => {
                social.pin = new.to_vec();
                self.tries_left = PIN_TRIES;
                vec![0x90, 0x00]
            }
            Some(_) | None => vec![0x67, 0x00],
        }
    }

    fn change_pin(&mut self, body: &[u8]) -> Vec<u8> {
        let Some((length, both)) = body.split_first() else { return vec![0x67, 0x00] };
        let mut parts = both.splitn(2, |byte| *byte == 0xFF);
        let (Some(old), Some(new)) = (parts.next(), parts.next()) else { return vec![0x67, 0x00] };
        if usize::from(*length) != both.len() || new.is_empty() {
            return vec![0x67, 0x00];
        }
        let checked = self.verify(&[&[u8::try_from(old.len()).unwrap_or(0)], old].concat());
        if let (Kind::Social(social), [0x90, 0x00]) = (&mut self.kind, checked.as_slice()) {
            social.pin = new.to_vec();
        }
        checked
    }
}

/// Format `cn`: packed decimal (or hexadecimal) digits, padded with F.
fn packed(digits: &str, length: usize) -> Vec<u8> {
    let mut nibbles =
        digits.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok()).unwrap_or(0xF));
    (0..length).map(|_| nibbles.next().unwrap_or(0xF) << 4 | nibbles.next().unwrap_or(0xF)).collect()
}

/// Format `an`: left aligned, padded with zeros.
fn filled(bytes: &[u8], length: usize) -> Vec<u8> {
    let mut field = bytes.to_vec();
    field.resize(length, 0);
    field
}

#[cfg(test)]
mod tests;
