//! The text block: 256 bytes of UTF-16LE in one of four layouts, distinguished by the UTF-16 unit at byte 248.
//!
//! | bytes | resident (space) | permit `J` | | foreigner 2017 `I` | | foreigner 2023 `Y` |
//! |---|---|---|---|---|---|---|
//! | 30 | name | name | 120 | English name | 30 | Chinese name |
//! | 2 | sex | sex | 2 | sex | 2 | sex |
//! | 4 | nation | – | 30 | number | 4 | renewals |
//! | 16 | birth | birth | 6 | country | 16 | birth |
//! | 70 | address | address | 30 | Chinese name | 70 | English name |
//! | 36 | number | number | 16 | valid from | 36 | number |
//! | 30 | issuer | issuer | 16 | valid to | 30 | – |
//! | 16 | valid from | valid from | 16 | birth | 16 | valid from |
//! | 16 | valid to | valid to | 4 | version | 16 | valid to |
//! | 36 | – | 18 pass number, 4 issues, 6 – | 8 | authority | 28 | 22 English name (end), 6 country |
//! | | | 2 kind, 6 – | 8 | 2 kind, 6 – | 8 | 2 kind, 6 related |

use zeroize::Zeroizing;

use crate::card::{CitizenIdCard, Foreigner2017, Foreigner2023, IdCard, ResidencePermit, Sex};
use crate::date::{Date, Validity};
use crate::number::{
    birth_date_in, is_citizen_number, is_foreigner_number, is_foreigner_number_2017, is_permit_holder_number,
};
use crate::utf16::decode_field;

/// Length of the text block in bytes.
pub const TEXT_LEN: usize = 256;
/// Offset of the kind of card in all four layouts, in bytes.
const KIND_AT: usize = 248;

/// Why a text block is invalid. Names the field, never its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextFault {
    /// The text block does not have 256 bytes.
    #[error("text of the ID card has {0} bytes instead of {TEXT_LEN}: reader faulty or of another kind")]
    Length(usize),
    /// The kind of card is unknown.
    #[error("unknown kind of ID card ({0:04X}): refer the holder to the service desk")]
    Kind(u16),
    /// The content of a field is invalid.
    #[error("invalid field on the ID card: {0}: refer the holder to the service desk")]
    Field(&'static str),
}

/// Parses a text block: converts every field, and validates dates, numbers and their consistency.
///
/// # Errors
/// When the bytes are no valid text block of one of the four kinds of card.
pub fn parse_text(bytes: &[u8]) -> Result<IdCard, TextFault> {
    if bytes.len() != TEXT_LEN {
        return Err(TextFault::Length(bytes.len()));
    }
    let kind = match bytes.get(KIND_AT..) {
        Some([low, high, ..]) => u16::from_le_bytes([*low, *high]),
        Some(_) | None => return Err(TextFault::Length(bytes.len())),
    };
    let fields = TextFields { rest: bytes };
    match (kind, u8::try_from(kind)) {
        // Padding may be spaces or zeros.
        (_, Ok(b' ' | 0)) => parse_resident(fields).map(IdCard::Resident),
        (_, Ok(b'J')) => parse_permit(fields).map(IdCard::Permit),
        (_, Ok(b'I')) => parse_foreigner_2017(fields).map(IdCard::Foreigner2017),
        (_, Ok(b'Y')) => parse_foreigner_2023(fields).map(IdCard::Foreigner2023),
        (kind, _) => Err(TextFault::Kind(kind)),
    }
}

fn parse_resident(mut fields: TextFields<'_>) -> Result<CitizenIdCard, TextFault> {
    let card = CitizenIdCard {
        name: fields.required_text(30, "name")?,
        sex: fields.sex()?,
        nation: fields.digits(4, "nation")?,
        birth: fields.date("date of birth")?,
        address: fields.text(70, "address")?,
        number: fields.number(36, is_citizen_number)?,
        issuer: fields.impersonal_text(30, "issuer")?,
        valid_from: fields.date("first day")?,
        valid_to: fields.validity()?,
    };
    check_birth_date(&card.number, &card.birth)?;
    check_validity_period(&card.valid_from, &card.valid_to)?;
    Ok(card)
}

fn parse_permit(mut fields: TextFields<'_>) -> Result<ResidencePermit, TextFault> {
    let card = ResidencePermit {
        name: fields.required_text(30, "name")?,
        sex: fields.sex()?,
        birth: {
            fields.skip(4);
            fields.date("date of birth")?
        },
        address: fields.text(70, "address")?,
        number: fields.number(36, is_permit_holder_number)?,
        issuer: fields.impersonal_text(30, "issuer")?,
        valid_from: fields.date("first day")?,
        valid_to: fields.validity()?,
        pass_number: fields.text(18, "pass number")?,
        issues: fields.digits(4, "number of issues")?,
    };
    check_birth_date(&card.number, &card.birth)?;
    check_validity_period(&card.valid_from, &card.valid_to)?;
    Ok(card)
}

fn parse_foreigner_2017(mut fields: TextFields<'_>) -> Result<Foreigner2017, TextFault> {
    let card = Foreigner2017 {
        english_name: fields.required_text(120, "English name")?,
        sex: fields.sex()?,
        number: fields.number(30, is_foreigner_number_2017)?,
        country: fields.country()?,
        chinese_name: fields.text(30, "Chinese name")?,
        valid_from: fields.date("first day")?,
        valid_to: fields.validity()?,
        birth: fields.date("date of birth")?,
        version: fields.impersonal_text(4, "version")?,
        authority: fields.impersonal_text(8, "authority")?,
    };
    check_validity_period(&card.valid_from, &card.valid_to)?;
    Ok(card)
}

fn parse_foreigner_2023(mut fields: TextFields<'_>) -> Result<Foreigner2023, TextFault> {
    let chinese_name = fields.text(30, "Chinese name")?;
    let sex = fields.sex()?;
    let renewals = fields.digits(4, "number of renewals")?;
    let birth = fields.date("date of birth")?;
    let begin = fields.take_bytes(70);
    let number = fields.number(36, is_foreigner_number)?;
    fields.skip(30);
    let valid_from = fields.date("first day")?;
    let valid_to = fields.validity()?;
    // One name in two fields: a space at the end of the first field belongs to the name when the second field continues
    // it.
    let joined = Zeroizing::new([begin, fields.take_bytes(22)].concat());
    let english_name =
        decode_field(&joined).filter(|name| !name.is_empty()).ok_or(TextFault::Field("English name"))?;
    let country = fields.country()?;
    fields.skip(2);
    let related = fields.impersonal_text(6, "related item")?;
    check_birth_date(&number, &birth)?;
    check_validity_period(&valid_from, &valid_to)?;
    Ok(Foreigner2023 {
        chinese_name,
        sex,
        renewals,
        birth,
        english_name,
        number,
        valid_from,
        valid_to,
        country,
        related,
    })
}

fn check_birth_date(number: &str, birth: &Date) -> Result<(), TextFault> {
    if birth_date_in(number).as_ref() == Some(birth) {
        Ok(())
    } else {
        Err(TextFault::Field("date of birth"))
    }
}

fn check_validity_period(from: &Date, to: &Validity) -> Result<(), TextFault> {
    match to {
        Validity::Until(last) if last < from => Err(TextFault::Field("last day")),
        Validity::Until(_) | Validity::LongTerm => Ok(()),
    }
}

/// Takes the fields of a text block in order.
struct TextFields<'a> {
    rest: &'a [u8],
}

impl<'a> TextFields<'a> {
    fn take_bytes(&mut self, bytes: usize) -> &'a [u8] {
        let (front, rest) = self.rest.split_at_checked(bytes).unwrap_or_default();
        self.rest = rest;
        front
    }

    fn skip(&mut self, bytes: usize) {
        self.take_bytes(bytes);
    }

    fn text(&mut self, bytes: usize, name: &'static str) -> Result<Zeroizing<String>, TextFault> {
        decode_field(self.take_bytes(bytes)).ok_or(TextFault::Field(name))
    }

    fn required_text(&mut self, bytes: usize, name: &'static str) -> Result<Zeroizing<String>, TextFault> {
        let text = self.text(bytes, name)?;
        if text.is_empty() { Err(TextFault::Field(name)) } else { Ok(text) }
    }

    /// A field that holds no personal data.
    fn impersonal_text(&mut self, bytes: usize, name: &'static str) -> Result<String, TextFault> {
        self.text(bytes, name).map(|text| text.as_str().to_owned())
    }

    fn number(&mut self, bytes: usize, is_number: fn(&str) -> bool) -> Result<Zeroizing<String>, TextFault> {
        let text = self.text(bytes, "number")?;
        if is_number(&text) { Ok(text) } else { Err(TextFault::Field("number")) }
    }

    /// A field filled with digits.
    fn digits(&mut self, bytes: usize, name: &'static str) -> Result<String, TextFault> {
        let text = self.impersonal_text(bytes, name)?;
        let all = text.len() == bytes / 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        if all { Ok(text) } else { Err(TextFault::Field(name)) }
    }

    fn country(&mut self) -> Result<String, TextFault> {
        let text = self.impersonal_text(6, "country")?;
        let letters = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase());
        if letters { Ok(text) } else { Err(TextFault::Field("country")) }
    }

    fn sex(&mut self) -> Result<Sex, TextFault> {
        match self.impersonal_text(2, "sex")?.as_str() {
            "0" => Ok(Sex::Unknown),
            "1" => Ok(Sex::Male),
            "2" => Ok(Sex::Female),
            "9" => Ok(Sex::Unspecified),
            _ => Err(TextFault::Field("sex")),
        }
    }

    fn date(&mut self, name: &'static str) -> Result<Date, TextFault> {
        Date::parse(&self.text(16, name)?).ok_or(TextFault::Field(name))
    }

    fn validity(&mut self) -> Result<Validity, TextFault> {
        Validity::parse(&self.text(16, "last day")?).ok_or(TextFault::Field("last day"))
    }
}

#[cfg(test)]
pub(crate) mod samples {
    use crate::utf16::encode_padded;

    type FieldList = Vec<(&'static str, usize)>;

    pub(crate) fn parse_resident() -> FieldList {
        vec![
            ("张三丰", 30),
            ("1", 2),
            ("01", 4),
            ("19900307", 16),
            ("重庆市渝中区人民路二三二号", 70),
            ("500103199003070017", 36),
            ("重庆市公安局渝中区分局", 30),
            ("20200101", 16),
            ("20400101", 16),
            ("", 36),
        ]
    }

    pub(crate) fn parse_permit() -> FieldList {
        vec![
            ("陈大文", 30),
            ("1", 2),
            ("", 4),
            ("19900307", 16),
            ("重庆市渝中区人民路二三二号", 70),
            ("810000199003070015", 36),
            ("重庆市公安局渝中区分局", 30),
            ("20200101", 16),
            ("20250101", 16),
            ("H01234567", 18),
            ("01", 4),
            ("", 6),
            ("J", 2),
            ("", 6),
        ]
    }

    pub(crate) fn parse_foreigner_2017() -> FieldList {
        vec![
            ("DUPONT, MARIE CLAIRE", 120),
            ("2", 2),
            ("FRA500090030711", 30),
            ("FRA", 6),
            ("杜玛丽", 30),
            ("20200101", 16),
            ("20300101", 16),
            ("19900307", 16),
            ("01", 4),
            ("5000", 8),
            ("I", 2),
            ("", 6),
        ]
    }

    pub(crate) fn parse_foreigner_2023() -> FieldList {
        vec![
            ("杜玛丽", 30),
            ("2", 2),
            ("01", 4),
            ("19900307", 16),
            ("DUPONT MONTMORENCY, MARIE CLAIRE A", 70),
            ("950250199003070029", 36),
            ("", 30),
            ("20240101", 16),
            ("20340101", 16),
            ("LOISE", 22),
            ("FRA", 6),
            ("Y", 2),
            ("", 6),
        ]
    }

    pub(crate) fn block(fields: &[(&str, usize)]) -> Vec<u8> {
        fields.iter().flat_map(|(text, bytes)| encode_padded(text, *bytes)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::samples::{block, parse_foreigner_2017, parse_foreigner_2023, parse_permit, parse_resident};
    use super::*;
    use proptest::prelude::*;

    fn fault(fields: &[(&str, usize)]) -> Option<TextFault> {
        parse_text(&block(fields)).err()
    }

    #[test]
    fn parse_text_reads_a_resident_card() {
        let Ok(IdCard::Resident(card)) = parse_text(&block(&parse_resident())) else {
            panic!("no resident's card")
        };
        assert_eq!((card.name.as_str(), card.nation.as_str(), card.sex), ("张三丰", "01", Sex::Male));
        assert_eq!(card.number.as_str(), "500103199003070017");
        assert_eq!(card.address.as_str(), "重庆市渝中区人民路二三二号");
        assert_eq!(
            (card.issuer.as_str(), card.birth.to_yyyymmdd()),
            ("重庆市公安局渝中区分局", "19900307".into())
        );
        assert!(card.valid_to == Validity::parse("20400101").unwrap());
    }

    #[test]
    fn parse_text_reads_a_permit() {
        let parsed = parse_text(&block(&parse_permit())).unwrap_or_else(|fault| panic!("{fault}"));
        assert_eq!((parsed.name(), parsed.number()), ("陈大文", "810000199003070015"));
        let IdCard::Permit(card) = parsed else { panic!("no permit") };
        assert_eq!((card.pass_number.as_str(), card.issues.as_str()), ("H01234567", "01"));
    }

    #[test]
    fn parse_text_reads_a_foreigner_card_of_2017() {
        let parsed = parse_text(&block(&parse_foreigner_2017())).unwrap_or_else(|fault| panic!("{fault}"));
        assert_eq!((parsed.name(), parsed.number()), ("杜玛丽", "FRA500090030711"));
        let IdCard::Foreigner2017(card) = parsed else { panic!("no card of 2017") };
        assert_eq!((card.english_name.as_str(), card.country.as_str()), ("DUPONT, MARIE CLAIRE", "FRA"));
        assert_eq!((card.version.as_str(), card.authority.as_str(), card.sex), ("01", "5000", Sex::Female));
    }

    #[test]
    fn parse_text_reads_a_foreigner_card_of_2023_and_joins_name() {
        let parsed = parse_text(&block(&parse_foreigner_2023())).unwrap_or_else(|fault| panic!("{fault}"));
        assert_eq!(parsed.number(), "950250199003070029");
        let IdCard::Foreigner2023(card) = parsed else { panic!("no card of 2023") };
        assert_eq!(card.english_name.as_str(), "DUPONT MONTMORENCY, MARIE CLAIRE A LOISE");
        assert_eq!((card.renewals.as_str(), card.related.as_str()), ("01", ""));
    }

    #[test]
    fn name_is_english_without_a_chinese_name() {
        let mut fields = parse_foreigner_2017();
        fields[4].0 = "";
        assert_eq!(parse_text(&block(&fields)).ok().unwrap().name(), "DUPONT, MARIE CLAIRE");
    }

    #[test]
    fn parse_text_accepts_long_term_and_supplementary_characters() {
        let mut fields = parse_resident();
        fields[0].0 = "𠮷田·䶮";
        fields[8].0 = "长期";
        let card = parse_text(&block(&fields)).ok().unwrap();
        assert_eq!(card.name(), "𠮷田·䶮");
        assert!(*card.valid_to() == Validity::LongTerm);
    }

    #[test]
    fn parse_text_names_the_invalid_field() {
        for (at, text, named) in [
            (0, "", "name"),
            (0, "张\u{7}三", "name"),
            (1, "男", "sex"),
            (1, "", "sex"),
            (2, "1", "nation"),
            (3, "19900230", "date of birth"),
            // An existing day that differs from the number's.
            (3, "19900308", "date of birth"),
            (5, "500103199003070011", "number"),
            (5, "810000199003070015", "number"),
            (5, "50010319900307001", "number"),
            (7, "", "first day"),
            (8, "长期有效", "last day"),
            (8, "20191231", "last day"),
        ] {
            let mut fields = parse_resident();
            fields[at].0 = text;
            assert_eq!(fault(&fields), Some(TextFault::Field(named)), "{named}");
        }
    }

    #[test]
    fn parse_text_reports_an_unknown_kind() {
        let mut fields = parse_permit();
        fields[12].0 = "K";
        assert_eq!(fault(&fields), Some(TextFault::Kind(u16::from(b'K'))));
        fields[12].0 = "国";
        assert_eq!(fault(&fields), Some(TextFault::Kind(0x56FD)));
    }

    #[test]
    fn parse_text_rejects_every_other_length() {
        let whole = block(&parse_resident());
        for length in (0..TEXT_LEN).chain([TEXT_LEN + 1, 1024]) {
            let mut bytes = whole.clone();
            bytes.resize(length, 0x20);
            assert_eq!(parse_text(&bytes).err(), Some(TextFault::Length(length)));
        }
    }

    #[test]
    fn text_fault_does_not_hold_card_data() {
        let mut fields = parse_resident();
        fields[5].0 = "500103199003070011";
        assert!(!format!("{:?} {}", fault(&fields), fault(&fields).unwrap()).contains("19900307"));
    }

    proptest! {
        #[test]
        fn parse_text_arbitrary_bytes_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300), kind in "[ JIYK]") {
            let _ = parse_text(&bytes);
            let mut whole = bytes;
            whole.resize(TEXT_LEN, 0x20);
            whole[KIND_AT..KIND_AT + 2].copy_from_slice(&[kind.as_bytes()[0], 0]);
            let _ = parse_text(&whole);
        }

        #[test]
        fn changed_byte_never_yields_another_number(which in 0..4_usize, at in 0..TEXT_LEN, by in 1..=255_u8) {
            let fields = [parse_resident(), parse_permit(), parse_foreigner_2017(), parse_foreigner_2023()];
            let mut bytes = block(&fields[which]);
            let number = parse_text(&bytes).ok().unwrap().number().to_owned();
            bytes[at] ^= by;
            if let Ok(card) = parse_text(&bytes) && which != 2 {
                prop_assert_eq!(card.number(), number);
            }
        }

        #[test]
        fn resident_text_round_trips(name in "[一-龥𠮷𠀀·]{1,7}", address in "[一-龥0-9a-z]{0,35}", long in any::<bool>()) {
            let until = if long { "长期" } else { "20400101" };
            let fields = [
                (name.as_str(), 30), ("2", 2), ("54", 4), ("19900307", 16), (address.as_str(), 70),
                ("500103199003070017", 36), ("重庆市公安局", 30), ("20200101", 16), (until, 16), ("", 36),
            ];
            let Ok(IdCard::Resident(card)) = parse_text(&block(&fields)) else { panic!("no resident's card") };
            prop_assert_eq!((card.name.as_str(), card.address.as_str()), (name.as_str(), address.as_str()));
        }
    }
}
