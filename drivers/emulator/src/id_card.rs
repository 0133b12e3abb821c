//! Emulated resident ID cards of the demo residents: the data that ID readers return.

use crate::demo_residents::BenchResident;

/// Bytes of the text fields.
const TEXT_BYTES: usize = 256;
/// Bytes of the photo.
const PHOTO_BYTES: usize = 1024;

/// A defect of an ID card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdCardFlaw {
    /// No defect.
    None,
    /// The card has expired.
    Expired,
    /// The check character of the ID number is wrong.
    WrongNumber,
    /// A card of another kind, which the reader finds but does not recognise.
    OtherDocument,
}

/// An emulated resident ID card. 身份证.
#[derive(Clone)]
pub struct EmulatedIdCard {
    pub(crate) text: Vec<u8>,
    pub(crate) photo: Vec<u8>,
    pub(crate) is_other_document: bool,
}

impl EmulatedIdCard {
    /// The ID card of a demo resident.
    #[must_use]
    pub fn for_resident(resident: &BenchResident, flaw: IdCardFlaw) -> Self {
        let mut number = resident.id_number.clone();
        if flaw == IdCardFlaw::WrongNumber {
            let other = if number.ends_with('0') { '1' } else { '0' };
            number.pop();
            number.push(other);
        }
        let card = &resident.id_card;
        let (from, to) = match flaw {
            IdCardFlaw::Expired => ("20060101", "20160101"),
            IdCardFlaw::None | IdCardFlaw::WrongNumber | IdCardFlaw::OtherDocument => {
                (card.valid_from.as_str(), card.valid_to.as_str())
            }
        };
        let birth = resident.birth_date.replace('-', "");
        let sex = if resident.sex == "male" { "1" } else { "2" };
        // GA 467: the number of UTF-16 characters of each field, padded with spaces.
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
        let mut text = Vec::with_capacity(TEXT_BYTES);
        for (words, characters) in fields {
            let units = words.encode_utf16().chain(std::iter::repeat(0x20)).take(characters);
            text.extend(units.flat_map(u16::to_le_bytes));
        }
        while text.len() < TEXT_BYTES {
            text.extend([0x20, 0x00]);
        }
        Self { text, photo: placeholder_photo(), is_other_document: flaw == IdCardFlaw::OtherDocument }
    }
}

/// Placeholder photo: bytes of all values that do not decode to a picture.
fn placeholder_photo() -> Vec<u8> {
    (0_u8..=255).cycle().take(PHOTO_BYTES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo_residents;
    use std::path::Path;

    fn residents() -> Vec<BenchResident> {
        demo_residents::read_residents(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/residents.toml"),
        )
        .unwrap()
    }

    fn words(bytes: &[u8]) -> String {
        let units: Vec<u16> = bytes.chunks(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
        String::from_utf16(&units).unwrap()
    }

    #[test]
    fn id_card_of_each_demo_resident_has_fields_in_place() {
        for one in residents() {
            let card = EmulatedIdCard::for_resident(&one, IdCardFlaw::None);
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
    fn id_card_flaw_changes_only_its_field() {
        let one = &residents()[0];
        let good = EmulatedIdCard::for_resident(one, IdCardFlaw::None);
        let wrong = EmulatedIdCard::for_resident(one, IdCardFlaw::WrongNumber);
        let differing = good.text.iter().zip(&wrong.text).filter(|(a, b)| a != b).count();
        assert_eq!(differing, 1);
        assert!(words(&EmulatedIdCard::for_resident(one, IdCardFlaw::Expired).text).contains("20160101"));
        assert!(EmulatedIdCard::for_resident(one, IdCardFlaw::OtherDocument).is_other_document);
    }
}
