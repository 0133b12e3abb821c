//! Decoding of text fields: UTF-16, little endian, padded.

use zeroize::Zeroizing;

/// The text of a field without the padding at its end: spaces, ideographic spaces or zeros.
///
/// `None` for half a surrogate pair, an odd number of bytes, or characters that no card holds: control characters,
/// noncharacters.
pub(crate) fn decode_field(bytes: &[u8]) -> Option<Zeroizing<String>> {
    if !bytes.len().is_multiple_of(2) {
        return None;
    }
    let units = bytes.chunks_exact(2).map(|pair| match pair {
        [low, high] => u16::from_le_bytes([*low, *high]),
        _ => 0,
    });
    // Capacity for the longest form, three bytes for each unit: growing the buffer would leave copies in freed memory.
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() / 2 * 3));
    for unit in char::decode_utf16(units) {
        text.push(unit.ok()?);
    }
    let length = text.trim_end_matches([' ', '\u{3000}', '\0']).len();
    text.truncate(length);
    let valid = |c: char| !c.is_control() && c != '\u{FEFF}' && u32::from(c) & 0xFFFE != 0xFFFE;
    text.chars().all(valid).then_some(text)
}

#[cfg(test)]
pub(crate) fn encode_padded(text: &str, bytes: usize) -> Vec<u8> {
    let mut units: Vec<u16> = text.encode_utf16().collect();
    assert!(units.len() * 2 <= bytes, "{text}");
    units.resize(bytes / 2, u16::from(b' '));
    units.into_iter().flat_map(u16::to_le_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn field_padding_is_removed_and_inner_spaces_stay() {
        for (padded_with, expected) in
            [("张 三  ", "张 三"), ("李䶮\u{3000}\u{3000}", "李䶮"), ("𠮷田\0\0", "𠮷田"), ("   ", "")]
        {
            let bytes: Vec<u8> = padded_with.encode_utf16().flat_map(u16::to_le_bytes).collect();
            assert_eq!(decode_field(&bytes).unwrap().as_str(), expected);
        }
    }

    #[test]
    fn field_rejects_characters_that_no_card_holds() {
        // Half a surrogate pair, at the beginning and at the end of the field.
        assert!(decode_field(&[0x42, 0xD8, 0x20, 0x00]).is_none());
        assert!(decode_field(&[0x20, 0x00, 0x42, 0xD8]).is_none());
        assert!(decode_field(&[0xB7, 0xDF]).is_none());
        assert!(decode_field(&[0x20]).is_none());
        for text in ["\u{1B}[2J", "a\0b", "a\nb", "\u{FEFF}a", "\u{FFFE}", "\u{1FFFF}"] {
            let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            assert!(decode_field(&bytes).is_none(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn field_arbitrary_bytes_stay_within_capacity(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Some(text) = decode_field(&bytes) {
                prop_assert!(text.len() <= bytes.len() / 2 * 3);
            }
        }

        #[test]
        fn field_round_trips(text in "[一-龥𠮷𠀀a-zA-Z0-9·]{0,15}") {
            let read = decode_field(&encode_padded(&text, 70)).unwrap();
            prop_assert_eq!(read.as_str(), text.as_str());
        }
    }
}
