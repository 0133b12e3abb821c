//! ESC/POS as a device parses it: the length of commands, and the bytes of status responses.

use crate::printer::PrinterFaults;

/// Number of bytes at the end that begin an incomplete real-time command.
pub(crate) fn partial_command_len(bytes: &[u8]) -> usize {
    let forget = [0x10, 0x14, 0x08, 0x01, 0x03, 0x14, 0x01, 0x06, 0x02, 0x08];
    let is_begun = |length: &usize| match bytes.get(bytes.len() - length..) {
        Some([0x10] | [0x10, 0x04 | 0x05]) => true,
        Some(tail) => forget.starts_with(tail),
        None => false,
    };
    (1..forget.len().min(bytes.len() + 1)).rev().find(is_begun).unwrap_or(0)
}

/// The four bytes of an automatic status (Epson ESC/POS, `GS a`).
pub(crate) fn automatic_status(troubles: PrinterFaults) -> Vec<u8> {
    let bit = |is: bool, bit: u8| if is { bit } else { 0 };
    let offline = troubles.paper_out || troubles.cover_open || troubles.cutter_jammed;
    let first = 0x10 | bit(offline, 0x08) | bit(troubles.cover_open, 0x20);
    vec![first, bit(troubles.cutter_jammed, 0x08), bit(troubles.paper_out, 0x0C), 0x00]
}

/// Length in bytes of the command or character at the front; `None` while it is incomplete.
pub(crate) fn command_len(bytes: &[u8], kanji: bool) -> Option<usize> {
    let whole = |length: usize| (bytes.len() >= length).then_some(length);
    match bytes {
        [] => None,
        [0x1B, b'@', ..] | [0x1C, b'&' | b'.', ..] => whole(2),
        [0x1B | 0x1C | 0x1D | 0x10] | [0x1D, b'V' | b'(' | b'v'] => None,
        [0x1D, b'V', 65 | 66 | 97 | 98, ..] => whole(4),
        [0x1D, b'(', _, low, high, ..] => whole(5 + usize::from(u16::from_le_bytes([*low, *high]))),
        [0x1D, b'(', ..] => None,
        [0x1D, b'v', b'0', _, xl, xh, yl, yh, ..] => {
            let rows = usize::from(u16::from_le_bytes([*yl, *yh]));
            whole(8 + usize::from(u16::from_le_bytes([*xl, *xh])) * rows)
        }
        [0x1D, b'v', ..] => None,
        [0x1D, b'k', 65..=78, length, ..] => whole(4 + usize::from(*length)),
        [0x1D, b'k', _, data @ ..] => data.iter().position(|byte| *byte == 0).map(|end| 4 + end),
        [0x1D, b'k'] => None,
        [0x1B, b'c', ..] => whole(4),
        [
            0x1B,
            b'J' | b'!' | b'a' | b'd' | b'E' | b'-' | b'G' | b'M' | b't' | b'R' | b'3' | b'{' | b'V' | b' ',
            ..,
        ]
        | [0x1D, b'!' | b'B' | b'r' | b'a' | b'I' | b'b' | b'H' | b'h' | b'w' | b'V' | b'f', ..]
        | [0x1C, b'!' | b'-' | b'C' | b'W', ..] => whole(3),
        [0x1D, b'L' | b'W' | b'P', ..] | [0x1B, b'$' | b'\\', ..] | [0x1C, b'S', ..] => whole(4),
        [0x1B | 0x1C | 0x1D | 0x10, ..] => whole(2),
        // The byte after a lead byte has not arrived yet.
        [0x81..=0xFE] if kanji => None,
        // GB18030: a lead byte is followed by one more, or by three when that is a digit.
        [0x81..=0xFE, 0x30..=0x39, ..] if kanji => whole(4),
        [0x81..=0xFE, ..] if kanji => whole(2),
        [_, ..] => Some(1),
    }
}

/// `DLE EOT n` (Epson ESC/POS, real-time status).
pub(crate) const fn realtime_status(n: u8, troubles: PrinterFaults) -> u8 {
    let offline = troubles.paper_out || troubles.cover_open || troubles.cutter_jammed;
    match n {
        1 => 0x12 | if offline { 0x08 } else { 0 },
        2 => {
            0x12 | if troubles.cover_open { 0x04 } else { 0 }
                | if troubles.paper_out { 0x20 } else { 0 }
                | if troubles.cutter_jammed { 0x40 } else { 0 }
        }
        3 => 0x12 | if troubles.cutter_jammed { 0x08 } else { 0 },
        _ => 0x12 | if troubles.paper_out { 0x6C } else { 0 },
    }
}
