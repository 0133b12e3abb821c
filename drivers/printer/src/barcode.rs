//! CODE 128 bar codes (GB/T 18347) as `GS k 73`: encodes the content and checks that it fits the paper.

use crate::receipt::BARCODE_MAX;

/// Modules of one symbol, and of the stop symbol with its termination bar.
const SYMBOL_MODULES: usize = 11;
const STOP_MODULES: usize = 13;

/// Dots per module, larger first. Below 2 (0.25 mm) scanners fail on thermal paper.
const MODULE_DOTS: [u8; 2] = [3, 2];

/// Height of the bars in dots: 10 mm.
const HEIGHT_DOTS: u8 = 80;

/// `GS k 73 n d…` with its settings, or `None` if the content cannot be encoded or does not fit this paper.
pub(crate) fn command(content: &str, width_dots: usize) -> Option<Vec<u8>> {
    let printable = content.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if content.is_empty() || content.len() > BARCODE_MAX || !printable {
        return None;
    }
    let (data, symbols) = data(content.as_bytes());
    // The printer adds the check symbol. The quiet zone of ten modules on each side is the unprintable margin of the
    // paper: 4 mm or more.
    let modules = (symbols + 1) * SYMBOL_MODULES + STOP_MODULES;
    let module_dots = MODULE_DOTS.into_iter().find(|dots| modules * usize::from(*dots) <= width_dots)?;
    let length = u8::try_from(data.len()).ok()?;
    let settings = [0x1D, b'h', HEIGHT_DOTS, 0x1D, b'w', module_dots, 0x1D, b'f', 0, 0x1D, b'H', 2];
    Some([&settings[..], &[0x1D, b'k', 73, length], &data].concat())
}

/// The data of `GS k 73` and the number of symbols, start symbol included. A pair of digits is one symbol of set C,
/// sent as a number. A pair that would form `DLE EOT`, `DLE ENQ` or `DLE DC4` is sent as two characters of set B.
fn data(content: &[u8]) -> (Vec<u8>, usize) {
    let all_digits = content.iter().all(u8::is_ascii_digit) && content.len().is_multiple_of(2);
    if !all_digits {
        let mut data = b"{B".to_vec();
        for &byte in content {
            // An opening brace is sent twice: a single one begins a code set selection of the command.
            data.extend(std::iter::repeat_n(byte, if byte == b'{' { 2 } else { 1 }));
        }
        return (data, content.len() + 1);
    }
    let (mut data, mut symbols, mut in_c) = (b"{C".to_vec(), 1, true);
    for pair in content.chunks(2) {
        let value = pair.iter().fold(0, |value, digit| value * 10 + (digit - b'0'));
        let dangerous = data.last() == Some(&0x10) && matches!(value, 0x04 | 0x05 | 0x14);
        if dangerous == in_c {
            data.extend(if in_c { b"{B" } else { b"{C" });
            symbols += 1;
            in_c = !in_c;
        }
        if in_c {
            data.push(value);
            symbols += 1;
        } else {
            data.extend(pair);
            symbols += 2;
        }
    }
    (data, symbols)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn digits_use_set_c_pairs_and_letters_set_b() {
        assert_eq!(data(b"123456"), (vec![b'{', b'C', 12, 34, 56], 4));
        assert_eq!(data(b"K{1"), (b"{BK{{1".to_vec(), 4));
    }

    #[test]
    fn digits_forming_real_time_command_switch_code_set() {
        assert_eq!(data(b"16047799"), (b"{C\x10{B04{C\x4D\x63".to_vec(), 8));
    }

    #[test]
    fn receipt_number_barcode_fits_both_paper_widths() {
        for number in ["0000000000000001", "1604000000001620"] {
            assert!(command(number, 384).is_some() && command(number, 576).is_some(), "{number}");
        }
        assert!(command("ABCDEFGHIJKLMNOPQRST", 384).is_none());
    }

    #[test]
    fn barcode_of_non_printable_ascii_is_refused() {
        for content in ["", "凭条", "a\u{10}\u{4}", &"1".repeat(BARCODE_MAX + 1)] {
            assert!(command(content, 576).is_none(), "{content:?}");
        }
    }

    proptest! {
        #[test]
        fn barcode_never_contains_real_time_command(content in "([0-9]{2}|16|04|05|20|[ -~]){1,20}") {
            if let Some(bytes) = command(&content, 576) {
                prop_assert!(!bytes.windows(2).any(|pair| matches!(pair, [0x10, 0x04 | 0x05 | 0x14])));
            }
        }
    }
}
