//! 身份证: the resident identity cards of the demo residents, as their readers give them.

use crate::residents::Resident;

/// Bytes of the text.
const TEXT: usize = 256;
/// Bytes of the photo.
const PHOTO: usize = 1024;

/// What is wrong with a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdFlaw {
    /// Nothing.
    None,
    /// Its last day is over.
    Expired,
    /// The check character of its number is wrong.
    WrongNumber,
    /// It is a card of another kind, which readers find and do not know.
    Foreign,
}

/// A card to lay down.
#[derive(Clone)]
pub struct VirtualIdCard {
    pub(crate) text: Vec<u8>,
    pub(crate) photo: Vec<u8>,
    pub(crate) foreign: bool,
}

impl VirtualIdCard {
    /// The card of a demo resident.
    #[must_use]
    pub fn of(resident: &Resident, flaw: IdFlaw) -> Self {
        let mut number = resident.id_number.clone();
        if flaw == IdFlaw::WrongNumber {
            let other = if number.ends_with('0') { '1' } else { '0' };
            number.pop();
            number.push(other);
        }
        let card = &resident.id_card;
        let (from, to) = match flaw {
            IdFlaw::Expired => ("20060101", "20160101"),
            IdFlaw::None | IdFlaw::WrongNumber | IdFlaw::Foreign => {
                (card.valid_from.as_str(), card.valid_to.as_str())
            }
        };
        let birth = resident.birth_date.replace('-', "");
        let sex = if resident.sex == "male" { "1" } else { "2" };
        // GA 467: so many characters each, then spaces to the end.
        let fields = [
            (resident.name.as_str(), 15),
            (sex, 1),
            (resident.nation.as_str(), 2),
            (birth.as_str(), 8),
            (card.address.as_str(), 35),
            (number.as_str(), 18),
            (card.issuer.as_str(), 15),
            (from, 8),
            (to, 8),
        ];
        let mut text = Vec::with_capacity(TEXT);
        for (words, characters) in fields {
            let units = words.encode_utf16().chain(std::iter::repeat(0x20)).take(characters);
            text.extend(units.flat_map(u16::to_le_bytes));
        }
        while text.len() < TEXT {
            text.extend([0x20, 0x00]);
        }
        Self { text, photo: photo(), foreign: flaw == IdFlaw::Foreign }
    }
}

/// A photo of nobody: bytes that decode to no picture, every value among them.
fn photo() -> Vec<u8> {
    (0_u8..=255).cycle().take(PHOTO).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::residents;
    use std::path::Path;

    fn residents() -> Vec<Resident> {
        residents::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/residents.toml")).unwrap()
    }

    fn words(bytes: &[u8]) -> String {
        let units: Vec<u16> = bytes.chunks(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
        String::from_utf16(&units).unwrap()
    }

    #[test]
    fn every_demo_resident_has_a_card_with_each_field_in_its_place() {
        for one in residents() {
            let card = VirtualIdCard::of(&one, IdFlaw::None);
            assert_eq!((card.text.len(), card.photo.len()), (256, 1024));
            let words = words(&card.text);
            let field = |from: usize, to: usize| {
                words.chars().skip(from).take(to - from).collect::<String>().trim_end().to_owned()
            };
            assert_eq!(field(0, 15), one.name);
            assert_eq!(field(26, 61), one.id_card.address);
            assert_eq!(field(61, 79), one.id_number);
            assert_eq!(field(79, 94), one.id_card.issuer);
            assert_eq!(field(102, 110), one.id_card.valid_to);
            assert_eq!(field(110, 128), "");
        }
    }

    #[test]
    fn each_flaw_is_where_it_should_be() {
        let one = &residents()[0];
        let good = VirtualIdCard::of(one, IdFlaw::None);
        let wrong = VirtualIdCard::of(one, IdFlaw::WrongNumber);
        let differing = good.text.iter().zip(&wrong.text).filter(|(a, b)| a != b).count();
        assert_eq!(differing, 1);
        assert!(words(&VirtualIdCard::of(one, IdFlaw::Expired).text).contains("20160101"));
        assert!(VirtualIdCard::of(one, IdFlaw::Foreign).foreign);
    }
}
