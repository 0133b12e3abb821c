//! Redaction of a scanner's line for recordings: the ends of codes and the classes of their characters are kept.

use super::{Hex, Recorder, WireEvent};

/// Records bytes from a scanner, redacted.
pub fn record_bytes(recorder: &Recorder, bytes: &[u8]) {
    if recorder.is_on() {
        recorder.record(WireEvent::In(Hex(mask_classes(bytes))));
    }
}

/// Replaces each byte by one of its class: digit, upper-case letter, lower-case letter, other printable character, high
/// byte. Control bytes and spaces, which separate codes, stay.
#[must_use]
pub fn mask_classes(bytes: &[u8]) -> Vec<u8> {
    bytes
        .iter()
        .map(|byte| match byte {
            b'0'..=b'9' => b'0',
            b'A'..=b'Z' => b'X',
            b'a'..=b'z' => b'x',
            0x21..=0x7E => b'-',
            0x80..=0xFF => 0xFF,
            0x00..=0x20 | 0x7F => *byte,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mask_classes_keeps_length_and_classes() {
        assert_eq!(mask_classes(b"YK1:9F$k\r\n"), b"XX0-0X-x\r\n");
    }
}
