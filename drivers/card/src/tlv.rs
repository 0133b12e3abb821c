//! The two TLV encodings of the card: SIMPLE-TLV records (ISO/IEC 7816-4, 5.4.4), and BER-TLV in the file control
//! information.

/// Parses a SIMPLE-TLV record into tag and value. The length field has one byte; bytes after the value are an error.
pub(crate) fn parse_simple_tlv(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let [tag, length, rest @ ..] = bytes else { return None };
    (rest.len() == usize::from(*length)).then_some((*tag, rest))
}

/// The value of the first BER-TLV object with the tag `wanted`, searched in constructed objects too, to a depth of 4: a
/// card's FCI is shallow.
pub(crate) fn find_ber_tlv(bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    find_to_depth(bytes, wanted, 4)
}

fn find_to_depth(mut bytes: &[u8], wanted: u16, depth: u8) -> Option<&[u8]> {
    while let [first, ..] = bytes {
        let (tag, rest) = parse_tag(bytes)?;
        let (value, rest) = parse_value(rest)?;
        if tag == wanted {
            return Some(value);
        }
        let constructed = first & 0x20 != 0;
        if constructed
            && depth > 0
            && let Some(found) = find_to_depth(value, wanted, depth - 1)
        {
            return Some(found);
        }
        bytes = rest;
    }
    None
}

fn parse_tag(bytes: &[u8]) -> Option<(u16, &[u8])> {
    match bytes {
        [first, second, rest @ ..] if first & 0x1F == 0x1F && second & 0x80 == 0 => {
            Some((u16::from_be_bytes([*first, *second]), rest))
        }
        [first, rest @ ..] if first & 0x1F != 0x1F => Some((u16::from(*first), rest)),
        _ => None,
    }
}

/// Parses length and value. Accepts the short form and one length byte (81 xx) only: a longer value does not fit into a
/// short response. 80 is the indefinite form, which ISO/IEC 7816-4 forbids.
fn parse_value(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = match bytes {
        [length, rest @ ..] if *length < 0x80 => (usize::from(*length), rest),
        [0x81, length, rest @ ..] if *length >= 0x80 => (usize::from(*length), rest),
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn simple_tlv_requires_exact_length() {
        assert_eq!(parse_simple_tlv(&[9, 2, 0xAA, 0xBB]), Some((9, [0xAA, 0xBB].as_slice())));
        assert_eq!(parse_simple_tlv(&[9, 2, 0xAA]), None);
        assert_eq!(parse_simple_tlv(&[9, 2, 0xAA, 0xBB, 0]), None);
        assert_eq!(parse_simple_tlv(&[9]), None);
    }

    #[test]
    fn ber_tlv_finds_nested_object_and_rejects_indefinite_length() {
        let fci = [0x6F, 0x0B, 0x84, 0x02, 1, 2, 0xA5, 0x05, 0x9F, 0x0C, 0x02, 0x86, 0x03];
        assert_eq!(find_ber_tlv(&fci, 0x9F0C), Some([0x86, 0x03].as_slice()));
        assert_eq!(find_ber_tlv(&fci, 0x84), Some([1, 2].as_slice()));
        assert_eq!(find_ber_tlv(&[0x6F, 0x80, 0x84, 0x01, 1, 0, 0], 0x84), None);
        for cut in 0..fci.len() {
            assert_eq!(find_ber_tlv(&fci[..cut], 0x9F0C), None);
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse_simple_tlv(&bytes);
            let _ = find_ber_tlv(&bytes, 0x9F0C);
        }
    }
}
