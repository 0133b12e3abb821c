//! The check of the citizen number (公民身份号码) of GB 11643-1999: 17 digits, of which the seventh to the fourteenth are an
//! existing date of birth, and the check character of ISO 7064 MOD 11-2.
//!
//! Numbers of the same form are on residence permits and on foreigners' cards. Region codes are not checked here: who
//! distinguishes the kinds does that. Nothing is looked up, and whether a number was ever issued is not known.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing))]

/// Length of a number in characters, all of them ASCII.
const LEN: usize = 18;
/// Weight of each digit, from the left: powers of 2 modulo 11.
const WEIGHTS: [usize; LEN - 1] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
/// Check character for each remainder modulo 11.
const CHECK_CHARACTERS: &[u8; 11] = b"10X98765432";

/// Whether the text is a number of the form of GB 11643: digits, date of birth and check character. The check character `X`
/// is in upper case only.
#[must_use]
pub fn is_valid(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (Some(digits), Some(check), LEN) = (bytes.get(..LEN - 1), bytes.last(), bytes.len()) else {
        return false;
    };
    if !digits.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let sum: usize =
        digits.iter().zip(WEIGHTS).map(|(digit, weight)| usize::from(digit - b'0') * weight).sum();
    CHECK_CHARACTERS.get(sum % CHECK_CHARACTERS.len()) == Some(check) && text.get(6..14).is_some_and(is_date)
}

/// Whether the text is `YYYYMMDD` of an existing day in the years 1800 to 2199, the form of every date in numbers and on
/// cards.
#[must_use]
pub fn is_date(text: &str) -> bool {
    if text.len() != 8 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    let number = |range| text.get(range).and_then(|digits: &str| digits.parse::<u16>().ok());
    let (Some(year), Some(month), Some(day)) = (number(0..4), number(4..6), number(6..8)) else {
        return false;
    };
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return false,
    };
    (1800..2200).contains(&year) && (1..=days).contains(&day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn is_valid_accepts_the_standards_examples() {
        assert!(is_valid("11010519491231002X"));
        assert!(is_valid("440524188001010014"));
        // Invented residents.
        assert!(is_valid("500112194803150422"));
        assert!(is_valid("500103197510023312"));
    }

    #[test]
    fn is_valid_rejects_wrong_check_character_date_and_form() {
        for wrong in [
            "110105194912310021",
            "50010319751002331X",
            "500112194803150423",
            // A date that does not exist, with its valid check character.
            "110105194913310021",
            "11010519491231002x",
            "1101051949123100",
            "11010519491231002",
            "11010519491231002X ",
            "5001121948031504222",
            "50011219480315042２",
            "１１０１０５",
            "",
        ] {
            assert!(!is_valid(wrong), "{wrong}");
        }
    }

    #[test]
    fn is_date_rejects_days_that_do_not_exist() {
        for day in ["20240229", "20000229", "18000101", "21991231"] {
            assert!(is_date(day), "{day}");
        }
        for wrong in [
            "20230229",
            "19000229",
            "20241301",
            "20240431",
            "20240400",
            "00000000",
            "2024022",
            "202402290",
            "+2240229",
            "17991231",
            "22000101",
            "",
            "２０２４０２２９",
            "2024 229",
        ] {
            assert!(!is_date(wrong), "{wrong}");
        }
    }

    /// The number with these 17 digits.
    fn complete(digits: &str) -> Option<String> {
        "0123456789X".chars().map(|check| format!("{digits}{check}")).find(|text| is_valid(text))
    }

    const DATE: &str = "(18|19|20|21)[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|1[0-9]|2[0-8])";

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text: String) {
            let _ = is_valid(&text);
            let _ = is_date(&text);
        }

        #[test]
        fn seventeen_digits_with_a_date_have_one_check_character(
            region in "[0-9]{6}", birth in DATE, sequence in "[0-9]{3}",
        ) {
            let digits = format!("{region}{birth}{sequence}");
            let valid = "0123456789X".chars().filter(|check| is_valid(&format!("{digits}{check}"))).count();
            prop_assert_eq!(valid, 1);
        }

        #[test]
        fn one_changed_digit_is_detected(
            region in "[0-9]{6}", birth in DATE, at in 0..17_usize, by in 1..10_u8,
        ) {
            let mut bytes = complete(&format!("{region}{birth}001")).unwrap().into_bytes();
            bytes[at] = b'0' + (bytes[at] - b'0' + by) % 10;
            prop_assert!(!is_valid(std::str::from_utf8(&bytes).unwrap()));
        }

        #[test]
        fn two_exchanged_digits_are_detected(region in "[0-9]{6}", birth in DATE, at in 0..16_usize) {
            let mut bytes = complete(&format!("{region}{birth}017")).unwrap().into_bytes();
            prop_assume!(bytes[at] != bytes[at + 1]);
            bytes.swap(at, at + 1);
            prop_assert!(!is_valid(std::str::from_utf8(&bytes).unwrap()));
        }
    }
}
