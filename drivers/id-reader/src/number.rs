//! The numbers on cards: the form of GB 11643-1999, and the regions by which the kinds are distinguished.

use crate::date::Date;

/// First two digits of region codes (GB/T 2260): provinces, autonomous regions, municipalities.
const PROVINCES: [&str; 31] = [
    "11", "12", "13", "14", "15", "21", "22", "23", "31", "32", "33", "34", "35", "36", "37", "41", "42",
    "43", "44", "45", "46", "50", "51", "52", "53", "54", "61", "62", "63", "64", "65",
];

/// Region codes in the number of a residence permit's holder (港澳台居民居住证申领发放办法, 2018, article 6): Hong Kong,
/// Macau, Taiwan.
const PERMIT_REGIONS: [&str; 3] = ["810000", "820000", "830000"];

/// Whether the text is a citizen number (公民身份号码, GB 11643-1999): a region code in the form of GB/T 2260, an existing
/// date of birth, a sequence number, and the check character. Regions are not looked up: regions change, numbers do not.
#[must_use]
pub fn is_citizen_number(text: &str) -> bool {
    let province = text.get(..2).is_some_and(|province| PROVINCES.contains(&province));
    let county = text.get(2..6).is_some_and(|county| county != "0000");
    province && county && citizen_number::is_valid(text)
}

/// Whether the text is the number of a holder of the residence permit (港澳台居民居住证).
#[must_use]
pub fn is_permit_holder_number(text: &str) -> bool {
    text.get(..6).is_some_and(|region| PERMIT_REGIONS.contains(&region)) && citizen_number::is_valid(text)
}

/// Whether the text is the number of a foreigner's card of 2023: 9, the province that accepted the application, the
/// country as three digits, then the fields of GB 11643 from the date of birth.
#[must_use]
pub fn is_foreigner_number(text: &str) -> bool {
    text.starts_with('9')
        && text.get(1..3).is_some_and(|province| PROVINCES.contains(&province))
        && citizen_number::is_valid(text)
}

/// Whether the text is the number of a foreigner's card of 2017: three letters of the country, twelve digits.
pub(crate) fn is_foreigner_number_2017(text: &str) -> bool {
    let (country, digits) = (text.get(..3).unwrap_or_default(), text.get(3..).unwrap_or_default());
    text.len() == 15
        && country.bytes().all(|byte| byte.is_ascii_uppercase())
        && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// The date of birth in a number of 18 characters.
pub(crate) fn birth_date_in(number: &str) -> Option<Date> {
    Date::parse(number.get(6..14)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn is_citizen_number_accepts_the_standards_examples() {
        assert!(is_citizen_number("11010519491231002X"));
        assert!(is_citizen_number("440524188001010014"));
        assert!(!is_citizen_number("110105194912310021"));
    }

    #[test]
    fn is_citizen_number_rejects_regions_that_do_not_exist() {
        for region in ["000000", "990105", "110000", "810000"] {
            assert!(!is_citizen_number(&checked(&format!("{region}19900307001"))), "{region}");
        }
    }

    #[test]
    fn each_number_matches_one_kind_only() {
        let numbers = ["500103199003070017", "810000199003070011", "911840199003070011"]
            .map(|text| checked(&text[..17]));
        for (at, number) in numbers.iter().enumerate() {
            let kinds =
                [is_citizen_number(number), is_permit_holder_number(number), is_foreigner_number(number)];
            assert_eq!(kinds.map(usize::from).iter().sum::<usize>(), 1, "{number}");
            assert!(kinds[at], "{number}");
        }
    }

    #[test]
    fn is_foreigner_number_2017_requires_letters_and_digits() {
        assert!(is_foreigner_number_2017("FRA110090030711"));
        for wrong in
            ["fra110090030711", "FRA11009003071", "FR1110090030711", "FRA11009003071X", "法兰西11009", ""]
        {
            assert!(!is_foreigner_number_2017(wrong), "{wrong}");
        }
    }

    fn checked(digits: &str) -> String {
        (b"0123456789X")
            .iter()
            .map(|c| format!("{digits}{}", char::from(*c)))
            .find(|text| citizen_number::is_valid(text))
            .unwrap()
    }

    proptest! {
        #[test]
        fn number_checks_arbitrary_text_never_panic(text: String) {
            let _ = is_citizen_number(&text);
            let _ = is_permit_holder_number(&text);
            let _ = is_foreigner_number(&text);
            let _ = is_foreigner_number_2017(&text);
        }
    }
}
