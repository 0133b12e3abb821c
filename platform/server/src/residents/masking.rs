//! Masks names and numbers of residents for screens, because of bystanders.

/// Masks a name for screens: `张*三`, `王*`.
pub(crate) fn masked_name(name: &str) -> String {
    let count = name.chars().count();
    name.chars()
        .enumerate()
        .map(|(at, character)| if at == 0 || (at + 1 == count && count > 2) { character } else { '*' })
        .collect()
}

/// Masks a number except for its ends; a number of at most 6 characters is masked completely.
pub(crate) fn masked_number(number: &str) -> String {
    let count = number.chars().count();
    let kept = if count > 12 { 4 } else { 2 };
    let is_shown = |at: usize| count > 6 && (at < kept || at + kept >= count);
    number.chars().enumerate().map(|(at, digit)| if is_shown(at) { digit } else { '*' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masked_number_keeps_only_its_ends() {
        for (number, shown) in [
            ("500112194803150422", "5001**********0422"),
            ("A10000013", "A1*****13"),
            ("123456", "******"),
            ("", ""),
        ] {
            assert_eq!(masked_number(number), shown);
        }
    }

    #[test]
    fn masked_name_keeps_only_its_ends() {
        for (name, shown) in
            [("王五", "王*"), ("张小三", "张*三"), ("欧阳雪梅", "欧**梅"), ("李", "李"), ("", "")]
        {
            assert_eq!(masked_name(name), shown);
        }
    }
}
