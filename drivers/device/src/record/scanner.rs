//! What of a scanner's line may be recorded: where codes begin and end, and what kind of characters they are made of.

use super::{Hex, Recorder, What};

/// Records bytes from a scanner.
pub fn heard(recorder: &Recorder, bytes: &[u8]) {
    if recorder.is_on() {
        recorder.note(What::In(Hex(classes(bytes))));
    }
}

/// A code's text by its classes: digits, letters, other printable characters, high bytes. What separates codes stays.
#[must_use]
pub fn classes(bytes: &[u8]) -> Vec<u8> {
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
    fn a_code_is_told_only_by_its_length_and_its_characters() {
        assert_eq!(classes(b"YK1:9F$k\r\n"), b"XX0-0X-x\r\n");
    }
}
