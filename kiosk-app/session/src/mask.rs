//! Masking: which parts of a name and ID number are visible on a screen or a receipt (I3).

/// `张*三`; of two characters only the first is kept, of three or more only the first and the last.
pub(crate) fn name(full: &str) -> String {
    let letters: Vec<char> = full.trim().chars().collect();
    match letters.as_slice() {
        [] => String::new(),
        [only] => only.to_string(),
        [first, _] => format!("{first}*"),
        [first, middle @ .., last] => format!("{first}{}{last}", "*".repeat(middle.len())),
    }
}

/// `5001**********1234`: the first and last four of an ID number.
pub(crate) fn id_number(full: &str) -> String {
    let digits: Vec<char> = full.chars().collect();
    match (digits.first_chunk::<4>(), digits.last_chunk::<4>()) {
        (Some(head), Some(tail)) if digits.len() >= 12 => {
            let (head, tail): (String, String) = (head.iter().collect(), tail.iter().collect());
            format!("{head}{}{tail}", "*".repeat(digits.len() - 8))
        }
        _ => "*".repeat(digits.len()),
    }
}

/// `138****5678`: the first three and last four digits of a mobile phone number.
pub(crate) fn phone_number(full: &str) -> String {
    match (full.get(..3), full.get(7..)) {
        (Some(head), Some(tail)) if full.len() == 11 => format!("{head}****{tail}"),
        _ => "*".repeat(full.chars().count()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_masked_keeps_at_most_first_and_last() {
        for (full, shown) in [
            ("张三丰", "张*丰"),
            ("李四", "李*"),
            ("欧阳娜娜", "欧**娜"),
            ("𠮷田", "𠮷*"),
            ("阿依古丽·买买提", "阿******提"),
            ("", ""),
        ] {
            assert_eq!(name(full), shown);
        }
    }

    #[test]
    fn id_number_masked_keeps_four_and_four_or_none() {
        assert_eq!(id_number("500101199001011234"), "5001**********1234");
        assert_eq!(id_number("1234567"), "*******");
    }
}
