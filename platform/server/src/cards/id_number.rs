//! Check of citizen ID numbers (公民身份号码, GB 11643-1999): length and check character only, not region or date.

/// Weight of each digit, from the left (GB 11643-1999).
const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
/// Check character for each remainder modulo 11.
const CHECK: [char; 11] = ['1', '0', 'X', '9', '8', '7', '6', '5', '4', '3', '2'];

/// Whether the text has 17 digits and their check character.
pub(super) fn is_id_number(text: &str) -> bool {
    let characters: Vec<char> = text.chars().collect();
    let Some((check, digits)) = characters.split_last() else { return false };
    let digits: Option<Vec<u32>> = digits.iter().map(|digit| digit.to_digit(10)).collect();
    let Some(digits) = digits.filter(|digits| digits.len() == WEIGHTS.len()) else { return false };
    let sum: u32 = digits.iter().zip(WEIGHTS).map(|(digit, weight)| digit * weight).sum();
    let remainder = usize::try_from(sum % 11).unwrap_or(usize::MAX);
    CHECK.get(remainder) == Some(check)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_number_requires_length_and_matching_check_character() {
        // The last number is the example of the standard.
        for good in ["500112194803150422", "500103197510023312", "11010519491231002X"] {
            assert!(is_id_number(good), "{good}");
        }
        for bad in [
            "",
            "50010319751002331X",
            "11010519491231002x",
            "500112194803150423",
            "50011219480315042",
            "5001121948031504222",
            "50011219480315042２",
        ] {
            assert!(!is_id_number(bad), "{bad}");
        }
    }
}
