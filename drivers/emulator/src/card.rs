//! Emulated cards: a social security card's responses to commands, and those of other cards.

use std::sync::Arc;

use contract::SecretKey;

use crate::card_keys::{CityCardKeys, DerivedCardKeys, authentication_cryptogram, random_bytes};
use crate::demo_residents::BenchResident;
use crate::faults::{ProtocolStep, card as steps, psam as psam_steps};
use crate::psam_chip::PsamChip;

/// AID of the social security application: `sx1.sh.` and 社会保障 in GBK.
const SOCIAL_SECURITY_AID: &[u8] = b"sx1.sh.\xC9\xE7\xBB\xE1\xB1\xA3\xD5\xCF";
/// AID of the application on staff cards.
const STAFF_AID: &[u8] = b"\xF0YKSTAFF1";
const PIN_TRIES_MAX: u8 = 3;
/// RKSSSE: id of the key that authorises reading the holder file of a third-generation card.
const READ_KEY_ID: u8 = 0x0A;
/// Id of the key that authorises setting a new PIN.
const PIN_RESET_KEY_ID: u8 = 0x06;

/// An emulated card for an [`EmulatedCardSlot`](crate::card_slot::EmulatedCardSlot).
#[derive(Clone)]
pub struct EmulatedCard {
    kind: CardKind,
    tries_left: u8,
    application_selected: bool,
    selected_file: Option<SelectedFile>,
    pending_response: Vec<u8>,
    /// The last random number of GET CHALLENGE, until EXTERNAL AUTHENTICATE has used it.
    challenge: Option<[u8; 8]>,
    /// Whether EXTERNAL AUTHENTICATE has authorised reading the holder file.
    read_authorized: bool,
    /// Whether EXTERNAL AUTHENTICATE has authorised setting a new PIN.
    pin_reset_authorized: bool,
}

#[derive(Clone)]
enum CardKind {
    SocialSecurity(Box<SocialSecurityChip>),
    /// The city's PSAM, for the reader's second slot.
    Psam(PsamChip),
    /// A bank card: responds, but has no social security application.
    Bank,
    /// A staff card.
    Staff(Box<StaffChip>),
    /// A card without a chip program: no answer to reset.
    Blank,
}

#[derive(Clone)]
struct StaffChip {
    name: String,
    key: Arc<SecretKey>,
}

#[derive(Clone)]
struct SocialSecurityChip {
    issuer_records: Vec<(u8, Vec<u8>)>,
    holder_records: Vec<(u8, Vec<u8>)>,
    pin: Vec<u8>,
    /// Third generation: the holder file requires EXTERNAL AUTHENTICATE.
    requires_external_auth: bool,
    keys: DerivedCardKeys,
    authentication: AuthenticationBehavior,
    /// The application is locked: SELECT answers 9303.
    application_locked: bool,
}

/// How a card behaves in card authentication.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AuthenticationBehavior {
    /// Computes cryptograms with its keys.
    Genuine,
    /// Replays a recorded cryptogram, and accepts every external authentication.
    Replayed([u8; 8]),
    /// Does not respond.
    Unresponsive,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum SelectedFile {
    Issuer,
    Holder,
}

/// A defect of a social security card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardFlaw {
    /// No defect.
    None,
    /// The values of the holder records are all FF.
    Garbage,
    /// The values of the holder records are cut to half their length.
    TruncatedRecord,
    /// The issuer locked the application permanently.
    ApplicationLocked,
    /// A copy with the right files and wrong keys.
    Cloned,
    /// A copy that replays a cryptogram of the genuine card.
    Replayed,
    /// The card does not respond to card authentication.
    NoAuthentication,
}

impl EmulatedCard {
    /// The card of a resident, with the keys of [`CityCardKeys::for_tests`].
    #[must_use]
    pub fn for_resident(resident: &BenchResident, flaw: CardFlaw) -> Self {
        Self::for_resident_of_city(resident, flaw, &CityCardKeys::for_tests())
    }

    /// The city's PSAM.
    #[must_use]
    pub fn new_psam(city: &CityCardKeys) -> Self {
        Self::new(CardKind::Psam(PsamChip::new(city.clone())))
    }

    /// The card of a resident, with keys derived from those of this city.
    #[must_use]
    pub fn for_resident_of_city(resident: &BenchResident, flaw: CardFlaw, city: &CityCardKeys) -> Self {
        let card = &resident.card;
        let name = encoding_rs::GB18030.encode(&resident.name).0.into_owned();
        let (first, rest) = name.split_at(name.len().min(30));
        let sex: &[u8] = if resident.sex == "male" { b"1" } else { b"2" };
        let issuer = vec![
            (0x01, packed_bcd(&card.identification, 16)),
            (0x02, b"3".to_vec()),
            (0x03, zero_padded(card.version.as_bytes(), 4)),
            (0x04, packed_bcd("915000000000000000000000", 12)),
            (0x05, packed_bcd(&card.issued, 4)),
            (0x06, packed_bcd(&card.valid_to, 4)),
            (0x07, zero_padded(card.number.as_bytes(), 9)),
        ];
        let mut holder = vec![
            (0x08, zero_padded(resident.id_number.as_bytes(), 18)),
            (0x09, zero_padded(first, 30)),
            (0x0A, sex.to_vec()),
            (0x0B, packed_bcd(&resident.nation, 1)),
            (0x0C, packed_bcd(&resident.birth_place, 3)),
            (0x0D, packed_bcd(&resident.birth_date.replace('-', ""), 4)),
        ];
        if !rest.is_empty() || card.version == "3.00" {
            holder.insert(2, (0x4E, zero_padded(rest, 20)));
        }
        match flaw {
            CardFlaw::None
            | CardFlaw::ApplicationLocked
            | CardFlaw::Cloned
            | CardFlaw::Replayed
            | CardFlaw::NoAuthentication => {}
            CardFlaw::Garbage => holder.iter_mut().for_each(|(_, value)| value.fill(0xFF)),
            CardFlaw::TruncatedRecord => {
                holder.iter_mut().for_each(|(_, value)| value.truncate(value.len() / 2))
            }
        }
        let guarded = card.version == "3.00";
        let locked = flaw == CardFlaw::ApplicationLocked;
        let pin = packed_bcd(&card.pin, card.pin.len().div_ceil(2));
        let identification = packed_bcd(&card.identification, 16).try_into().unwrap_or_default();
        let own = city.derive_for_card(&identification);
        let soul = match flaw {
            // Recorded at a terminal that sent these numbers.
            CardFlaw::Replayed => AuthenticationBehavior::Replayed(authentication_cryptogram(
                &own.internal,
                &[0x11; 8],
                &[0x22; 8],
            )),
            CardFlaw::NoAuthentication => AuthenticationBehavior::Unresponsive,
            CardFlaw::None
            | CardFlaw::Garbage
            | CardFlaw::TruncatedRecord
            | CardFlaw::ApplicationLocked
            | CardFlaw::Cloned => AuthenticationBehavior::Genuine,
        };
        let keys = match flaw {
            CardFlaw::Cloned => CityCardKeys::new(&[0x5A; 32]).derive_for_card(&identification),
            CardFlaw::None
            | CardFlaw::Garbage
            | CardFlaw::TruncatedRecord
            | CardFlaw::ApplicationLocked
            | CardFlaw::Replayed
            | CardFlaw::NoAuthentication => own,
        };
        let social = SocialSecurityChip {
            issuer_records: issuer,
            holder_records: holder,
            pin,
            requires_external_auth: guarded,
            keys,
            authentication: soul,
            application_locked: locked,
        };
        Self::new(CardKind::SocialSecurity(Box::new(social)))
    }

    /// A bank card.
    #[must_use]
    pub fn new_bank_card() -> Self {
        Self::new(CardKind::Bank)
    }

    /// A staff card with this name and key.
    #[must_use]
    pub fn new_staff_card(name: &str, key: Arc<SecretKey>) -> Self {
        Self::new(CardKind::Staff(Box::new(StaffChip { name: name.to_owned(), key })))
    }

    /// A card without a chip program, or one that was inserted upside down.
    #[must_use]
    pub fn new_blank() -> Self {
        Self::new(CardKind::Blank)
    }

    fn new(kind: CardKind) -> Self {
        Self {
            kind,
            tries_left: PIN_TRIES_MAX,
            application_selected: false,
            selected_file: None,
            pending_response: Vec::new(),
            challenge: None,
            read_authorized: false,
            pin_reset_authorized: false,
        }
    }

    /// Power-on or reset: clears selections and authorisations, keeps the PIN tries.
    pub fn reset(&mut self) {
        self.application_selected = false;
        self.selected_file = None;
        self.pending_response.clear();
        self.challenge = None;
        self.read_authorized = false;
        self.pin_reset_authorized = false;
        if let CardKind::Psam(psam) = &mut self.kind {
            psam.reset();
        }
    }

    /// Answer to reset (ISO/IEC 7816-3); the single byte 00 for a blank card. Social security cards: T=0 with 13
    /// historical bytes.
    #[must_use]
    pub fn atr(&self) -> Vec<u8> {
        match self.kind {
            CardKind::SocialSecurity(_) => {
                b"\x3B\x6D\x00\x00\x00\x81\x54\x43\x80\x86\x45\x00\x00\x58\x01\xAB\xCD".to_vec()
            }
            CardKind::Psam(_) => b"\x3B\x69\x00\x00\x50\x53\x41\x4D\x00\x00\x00\x00\x01".to_vec(),
            CardKind::Staff(_) => b"\x3B\x67\x00\x00YKSTAFF".to_vec(),
            CardKind::Bank => {
                b"\x3B\x6E\x00\x00\x00\x31\xC0\x71\xC6\x65\x01\xB0\x01\x03\x37\x83\x90\x00".to_vec()
            }
            CardKind::Blank => vec![0x00],
        }
    }

    /// The protocol step of the card's answer to reset.
    #[must_use]
    pub const fn reset_step(&self) -> &'static ProtocolStep {
        match self.kind {
            CardKind::Psam(_) => &psam_steps::RESET,
            CardKind::SocialSecurity(_) | CardKind::Staff(_) | CardKind::Bank | CardKind::Blank => {
                &steps::RESET
            }
        }
    }

    /// Whether a resident inserts and removes this card; a PSAM stays in the reader.
    pub(crate) const fn is_held_by_resident(&self) -> bool {
        !matches!(self.kind, CardKind::Psam(_))
    }

    /// The protocol step of this command in the card's current state.
    #[must_use]
    pub fn protocol_step(&self, apdu: &[u8]) -> Option<&'static ProtocolStep> {
        match (&self.kind, apdu) {
            (CardKind::Psam(_), _) => return PsamChip::protocol_step(apdu),
            (CardKind::Staff(_), [_, 0xCA, ..]) => return Some(&steps::STAFF_NAME),
            (CardKind::Staff(_), [_, 0x88, ..]) => return Some(&steps::STAFF_PROOF),
            _ => {}
        }
        match (apdu, self.selected_file) {
            ([_, 0xA4, 0x04, ..], _) => Some(&steps::SELECT),
            ([_, 0xA4, _, _, 0x02, 0xEF, 0x05, ..], _) => Some(&steps::SELECT_ISSUER),
            ([_, 0xA4, _, _, 0x02, 0xEF, 0x06, ..], _) => Some(&steps::SELECT_HOLDER),
            ([_, 0xC0, ..], _) => Some(&steps::GET_RESPONSE),
            ([_, 0xB2, ..], Some(SelectedFile::Issuer)) => Some(&steps::READ_ISSUER),
            ([_, 0xB2, ..], Some(SelectedFile::Holder)) => Some(&steps::READ_HOLDER),
            ([_, 0x84, ..], _) => Some(&steps::CHALLENGE),
            ([_, 0x88, ..], _) => Some(&steps::INTERNAL),
            ([_, 0x82, ..], _) => Some(&steps::EXTERNAL),
            ([_, 0x20, ..], _) => Some(&steps::VERIFY),
            ([0x80, 0x5E, ..], _) => Some(&steps::CHANGE_PIN),
            _ => None,
        }
    }

    /// Executes a command APDU and returns the response APDU; empty if the card does not respond.
    pub fn respond(&mut self, apdu: &[u8]) -> Vec<u8> {
        let [cla, ins, p1, p2, body @ ..] = apdu else { return vec![0x67, 0x00] };
        if let (CardKind::Psam(psam), false) = (&mut self.kind, *ins == 0xC0) {
            let (data, status) = psam.respond(apdu);
            return if data.is_empty() { status.to_vec() } else { self.defer_response(data) };
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
                let mut response = std::mem::take(&mut self.pending_response);
                response.extend([0x90, 0x00]);
                response
            }
            0xB2 => self.read_record(*p1, *p2, body),
            0x20 => self.verify(body),
            0x84 => self.get_challenge(body),
            0x88 => self.internal_authenticate(body),
            0xCA => self.get_staff_name(),
            0x82 => self.external_authenticate(*p2, body),
            0x24 if *p1 == 0x01 => self.reset_pin(body),
            _ => vec![0x6D, 0x00],
        }
    }

    /// T=0: answers 61xx and keeps the data for GET RESPONSE.
    fn defer_response(&mut self, data: Vec<u8>) -> Vec<u8> {
        let length = u8::try_from(data.len()).unwrap_or(0);
        self.pending_response = data;
        vec![0x61, length]
    }

    fn get_challenge(&mut self, body: &[u8]) -> Vec<u8> {
        let challenge = random_bytes::<16>();
        self.challenge = challenge.first_chunk::<8>().copied();
        let length = usize::from(body.first().copied().unwrap_or(8)).min(16);
        let mut response: Vec<u8> = challenge.into_iter().take(length).collect();
        response.extend([0x90, 0x00]);
        response
    }

    fn internal_authenticate(&mut self, body: &[u8]) -> Vec<u8> {
        let social = match &self.kind {
            CardKind::SocialSecurity(social) => social,
            CardKind::Staff(staff) if self.application_selected => {
                let Some((0x20, challenge)) = body.split_first() else { return vec![0x67, 0x00] };
                let signed = [b"staff-card/1\0".as_slice(), challenge].concat();
                let signature = staff.key.sign(&signed).0.to_vec();
                return self.defer_response(signature);
            }
            CardKind::Staff(_) | CardKind::Psam(_) | CardKind::Bank | CardKind::Blank => {
                return vec![0x6D, 0x00];
            }
        };
        let Some((0x10, numbers)) = body.split_first() else { return vec![0x67, 0x00] };
        let ([factor, source], []) = numbers.as_chunks::<8>() else { return vec![0x67, 0x00] };
        match social.authentication {
            _ if !self.application_selected => vec![0x69, 0x85],
            AuthenticationBehavior::Genuine => {
                let cryptogram = authentication_cryptogram(&social.keys.internal, factor, source);
                self.defer_response(cryptogram.to_vec())
            }
            AuthenticationBehavior::Replayed(cryptogram) => self.defer_response(cryptogram.to_vec()),
            AuthenticationBehavior::Unresponsive => Vec::new(),
        }
    }

    fn external_authenticate(&mut self, key: u8, body: &[u8]) -> Vec<u8> {
        let challenge = self.challenge.take();
        let CardKind::SocialSecurity(social) = &self.kind else { return vec![0x6D, 0x00] };
        if ![READ_KEY_ID, PIN_RESET_KEY_ID].contains(&key) {
            return vec![0x6A, 0x88];
        }
        let own = if key == READ_KEY_ID { social.keys.external } else { social.keys.pin };
        let Some((0x10, numbers)) = body.split_first() else { return vec![0x67, 0x00] };
        let ([cryptogram, factor], []) = numbers.as_chunks::<8>() else { return vec![0x67, 0x00] };
        let accepted = match (social.authentication, challenge) {
            (AuthenticationBehavior::Unresponsive, _) => return Vec::new(),
            (AuthenticationBehavior::Replayed(_), _) => true,
            (AuthenticationBehavior::Genuine, None) => return vec![0x69, 0x85],
            (AuthenticationBehavior::Genuine, Some(challenge)) => {
                authentication_cryptogram(&own, factor, &challenge) == *cryptogram
            }
        };
        if key == READ_KEY_ID {
            self.read_authorized = accepted;
        } else {
            self.pin_reset_authorized = accepted;
        }
        if accepted { vec![0x90, 0x00] } else { vec![0x63, 0x00] }
    }

    fn select(&mut self, p1: u8, body: &[u8]) -> Vec<u8> {
        let data = match body {
            [length, data @ ..] => data.get(..usize::from(*length)).unwrap_or_default(),
            [] => &[],
        };
        let social = match &self.kind {
            CardKind::Staff(_) if p1 == 0x04 && data == STAFF_AID => {
                self.application_selected = true;
                return vec![0x90, 0x00];
            }
            CardKind::SocialSecurity(social) => social,
            CardKind::Psam(_) | CardKind::Bank | CardKind::Staff(_) | CardKind::Blank => {
                return vec![0x6A, 0x82];
            }
        };
        match (p1, data) {
            (0x04, name) if name == SOCIAL_SECURITY_AID && social.application_locked => vec![0x93, 0x03],
            (0x04, name) if name == SOCIAL_SECURITY_AID => {
                self.application_selected = true;
                self.selected_file = None;
                self.read_authorized = false;
                let mut inner = vec![0x84, 0x0F];
                inner.extend_from_slice(SOCIAL_SECURITY_AID);
                inner.extend([0xA5, 0x06, 0x9F, 0x0C, 0x03, 0x86, 0x01, 0x03]);
                let mut fci = vec![0x6F, u8::try_from(inner.len()).unwrap_or(0)];
                fci.extend(inner);
                self.defer_response(fci)
            }
            (0x00 | 0x02, [0xEF, 0x05]) if self.application_selected => {
                self.selected_file = Some(SelectedFile::Issuer);
                vec![0x90, 0x00]
            }
            (0x00 | 0x02, [0xEF, 0x06]) if self.application_selected => {
                if social.requires_external_auth && !self.read_authorized {
                    return vec![0x69, 0x82];
                }
                self.selected_file = Some(SelectedFile::Holder);
                vec![0x90, 0x00]
            }
            _ => vec![0x6A, 0x82],
        }
    }

    fn read_record(&self, p1: u8, p2: u8, body: &[u8]) -> Vec<u8> {
        let CardKind::SocialSecurity(social) = &self.kind else { return vec![0x6D, 0x00] };
        let records = match self.selected_file {
            Some(SelectedFile::Issuer) => &social.issuer_records,
            Some(SelectedFile::Holder) => &social.holder_records,
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
        let CardKind::SocialSecurity(social) = &self.kind else { return vec![0x6D, 0x00] };
        if self.tries_left == 0 {
            return vec![0x69, 0x83];
        }
        let presented = body.split_first().map_or(&[] as &[u8], |(_, pin)| pin);
        if presented == social.pin.as_slice() {
            self.tries_left = PIN_TRIES_MAX;
            return vec![0x90, 0x00];
        }
        self.tries_left -= 1;
        vec![0x63, 0xC0 | self.tries_left]
    }
}

impl EmulatedCard {
    fn get_staff_name(&mut self) -> Vec<u8> {
        match &self.kind {
            CardKind::Staff(staff) if self.application_selected => {
                let name = staff.name.clone().into_bytes();
                self.defer_response(name)
            }
            CardKind::Staff(_)
            | CardKind::SocialSecurity(_)
            | CardKind::Psam(_)
            | CardKind::Bank
            | CardKind::Blank => vec![0x6D, 0x00],
        }
    }

    /// CHANGE REFERENCE DATA with new data only: needs an authorisation by EXTERNAL AUTHENTICATE, which it uses up.
    fn reset_pin(&mut self, body: &[u8]) -> Vec<u8> {
        let opened = std::mem::take(&mut self.pin_reset_authorized);
        let CardKind::SocialSecurity(social) = &mut self.kind else { return vec![0x6D, 0x00] };
        match body.split_first() {
            _ if !opened => vec![0x69, 0x82],
            Some((length, new)) if usize::from(*length) == new.len() && !new.is_empty() => {
                social.pin = new.to_vec();
                self.tries_left = PIN_TRIES_MAX;
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
        if let (CardKind::SocialSecurity(social), [0x90, 0x00]) = (&mut self.kind, checked.as_slice()) {
            social.pin = new.to_vec();
        }
        checked
    }
}

/// Format `cn`: packed decimal (or hexadecimal) digits, padded with F.
fn packed_bcd(digits: &str, length: usize) -> Vec<u8> {
    let mut nibbles =
        digits.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok()).unwrap_or(0xF));
    (0..length).map(|_| nibbles.next().unwrap_or(0xF) << 4 | nibbles.next().unwrap_or(0xF)).collect()
}

/// Format `an`: left aligned, padded with zeros.
fn zero_padded(bytes: &[u8], length: usize) -> Vec<u8> {
    let mut field = bytes.to_vec();
    field.resize(length, 0);
    field
}

#[cfg(test)]
mod tests;
