//! The citizen number (公民身份号码) of GB 11643-1999.

/// Whether the text is a citizen number: 17 digits with an existing date of birth, and the check character
/// of ISO 7064 MOD 11-2.
#[must_use]
pub fn is_citizen_number(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (Some(digits), Some(check), 18) = (bytes.get(..17), bytes.get(17), bytes.len()) else { return false };
    if !digits.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let sum: u32 = digits.iter().zip(weights).map(|(digit, weight)| u32::from(digit - b'0') * weight).sum();
    let expected = b"10X98765432".get(usize::try_from(sum % 11).unwrap_or(0)).copied().unwrap_or(0);
    *check == expected && text.get(6..14).is_some_and(is_date)
}

/// Whether the text is `YYYYMMDD` of an existing day.
pub(crate) fn is_date(text: &str) -> bool {
    let number = |range| text.get(range).and_then(|digits: &str| digits.parse::<u32>().ok());
    let (Some(year), Some(month), Some(day)) = (number(0..4), number(4..6), number(6..8)) else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return false,
    };
    text.len() == 8
        && text.bytes().all(|b| b.is_ascii_digit())
        && (1800..=2200).contains(&year)
        && (1..=days).contains(&day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_citizen_number_requires_check_character_and_birth_date() {
        // The standard's own two examples.
        assert!(is_citizen_number("11010519491231002X"));
        assert!(is_citizen_number("440524188001010014"));
        for wrong in [
            "110105194912310021",
            "11010519491331002X",
            "11010519491231002x",
            "",
            "1101051949123100",
            "１１０１０５",
            "11010519491231002X ",
        ] {
            assert!(!is_citizen_number(wrong), "{wrong}");
        }
    }

    #[test]
    fn is_date_rejects_days_that_do_not_exist() {
        assert!(is_date("20240229"));
        for wrong in
            ["20230229", "20241301", "20240431", "00000000", "2024022", "202402290", "+2240229", "17991231"]
        {
            assert!(!is_date(wrong), "{wrong}");
        }
    }
}
