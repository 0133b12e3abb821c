//! Hexadecimal text. The digits are computed without branches on their value, because keys are written this way.

/// Lower-case hexadecimal digits.
#[must_use]
pub fn to_hex(bytes: &[u8]) -> String {
    base16ct::lower::encode_string(bytes)
}

/// Upper-case hexadecimal digits, as cards and QR codes write them.
#[must_use]
pub fn to_hex_upper(bytes: &[u8]) -> String {
    base16ct::upper::encode_string(bytes)
}

/// Bytes from exactly `2 * N` hexadecimal digits of either case; `None` for any other text.
#[must_use]
pub fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let read = base16ct::mixed::decode(text, &mut bytes).ok()?.len();
    (read == N).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_round_trips_in_both_cases() {
        let bytes = [0x00, 0x0f, 0x9a, 0xf0, 0xff];
        assert_eq!(to_hex(&bytes), "000f9af0ff");
        assert_eq!(to_hex_upper(&bytes), "000F9AF0FF");
        assert_eq!(from_hex("000f9Af0fF"), Some(bytes));
        assert_eq!(from_hex(""), Some([]));
    }

    #[test]
    fn from_hex_refuses_other_lengths_and_characters() {
        for text in ["", "0", "00", "000", "000000", "+0+0", "0x00", "00 0", "00é", "gg00", "００"] {
            assert_eq!(from_hex::<2>(text), None, "{text}");
        }
    }
}
