//! Redaction of a printer's line for recordings: all commands and all answers are kept, and the layout of a receipt.
//!
//! Text becomes `x`, a picture white, the content of a QR code `x`, each of the same length. The requested receipt is
//! recorded as one of the same layout: a Chinese character for a Chinese character, a digit for a digit. So a driver in a
//! test that prints that receipt sends exactly the recorded stream, after redaction.

use std::time::Instant;

use printer::{PrintableReceipt, ReceiptBlock, ReceiptCell};

use super::link::LinkTape;
use super::{Hex, Recorder, TransferFault, WireEvent};

/// Records the bytes on a printer's link.
pub struct PrinterTape {
    recorder: Recorder,
    stream: StreamRedactor,
}

impl PrinterTape {
    /// The tape of a link that was opened now.
    #[must_use]
    pub fn new(recorder: Recorder) -> Self {
        recorder.record_opened();
        Self { recorder, stream: StreamRedactor::default() }
    }
}

impl LinkTape for PrinterTape {
    fn record_sent(&mut self, sent: Result<&[u8], TransferFault>) {
        if self.recorder.is_on() {
            self.recorder.record(match sent {
                Ok(bytes) => WireEvent::Out(Hex(self.stream.redact(bytes))),
                Err(fault) => WireEvent::OutFailed(fault),
            });
        }
    }

    fn record_received(&mut self, at: Instant, received: Result<&[u8], TransferFault>) {
        if self.recorder.is_on() {
            let event = match received {
                Ok(bytes) => WireEvent::In(Hex(bytes.to_vec())),
                Err(fault) => WireEvent::InFailed(fault),
            };
            self.recorder.record_at(at, event);
        }
    }
}

/// Parses the driver's commands, and redacts the text and the pictures between them.
#[derive(Clone, Default)]
pub struct StreamRedactor {
    /// The bytes of an incomplete command; empty within text.
    command: Vec<u8>,
    /// Remaining bytes of a picture or code, and the byte that replaces each of them.
    masked_bytes: usize,
    mask: u8,
}

/// Longest command in bytes, without its data.
const COMMAND_MAX: usize = 16;

impl StreamRedactor {
    /// Redacts the next bytes of the stream; their number stays.
    pub fn redact(&mut self, bytes: &[u8]) -> Vec<u8> {
        bytes.iter().map(|byte| self.redact_byte(*byte)).collect()
    }

    fn redact_byte(&mut self, byte: u8) -> u8 {
        if self.masked_bytes > 0 {
            self.masked_bytes -= 1;
            return self.mask;
        }
        if self.command.is_empty() && byte >= 0x20 {
            return b'x';
        }
        self.command.push(byte);
        match self.command.as_slice() {
            // Commands followed by data: store the content of a QR code, print a picture.
            [0x1D, b'(', b'k', low, high, 0x31, 0x50, _] => {
                let data = usize::from(u16::from_le_bytes([*low, *high])).saturating_sub(3);
                (self.masked_bytes, self.mask) = (data, b'x');
                self.command.clear();
            }
            [0x1D, b'v', b'0', _, xl, xh, yl, yh] => {
                let rows = usize::from(u16::from_le_bytes([*yl, *yh]));
                (self.masked_bytes, self.mask) = (usize::from(u16::from_le_bytes([*xl, *xh])) * rows, 0);
                self.command.clear();
            }
            command if is_complete(command) => self.command.clear(),
            _ => {}
        }
        byte
    }
}

/// Whether a command of this driver is complete. An unknown command is complete after its first byte: the bytes after it
/// are redacted as text.
fn is_complete(command: &[u8]) -> bool {
    let length = match command {
        [0x1B | 0x1C | 0x1D | 0x10] => return false,
        [0x1B, b'@', ..] | [0x1C, b'&' | b'.', ..] => 2,
        [0x1B, b'a' | b'd' | b'E' | b'!' | b'-' | b'G' | b't', ..]
        | [0x1D, b'!' | b'r' | b'a' | b'B', ..]
        | [0x10, 0x04 | 0x05, ..] => 3,
        [0x1D, b'V', 65 | 66, ..] => 4,
        [0x1D, b'V', _] => 3,
        [0x1D, b'V'] => return false,
        [0x10, 0x14, ..] => 10,
        [0x1D, b'(', _, low, high, ..] => 5 + usize::from(u16::from_le_bytes([*low, *high])),
        [0x1D, b'(', ..] | [0x1D, b'v', ..] => COMMAND_MAX,
        _ => 1,
    };
    command.len() >= length.min(COMMAND_MAX)
}

/// A receipt of the same layout without its content.
#[must_use]
pub fn redact_receipt(receipt: &PrintableReceipt) -> PrintableReceipt {
    let block = |block: &ReceiptBlock| match block {
        ReceiptBlock::Title(text) => ReceiptBlock::Title(redact_text(text)),
        ReceiptBlock::Line(text) => ReceiptBlock::Line(redact_text(text)),
        ReceiptBlock::Notice(text) => ReceiptBlock::Notice(redact_text(text)),
        ReceiptBlock::Pair { label, value } => {
            ReceiptBlock::Pair { label: redact_text(label), value: redact_text(value) }
        }
        ReceiptBlock::Amount { label, value } => {
            ReceiptBlock::Amount { label: redact_text(label), value: redact_text(value) }
        }
        ReceiptBlock::Qr(content) => ReceiptBlock::Qr(redact_text(content)),
        ReceiptBlock::Text { text, style, align } => {
            ReceiptBlock::Text { text: redact_text(text), style: *style, align: *align }
        }
        ReceiptBlock::Columns(cells) => ReceiptBlock::Columns(
            cells.iter().map(|cell| ReceiptCell { text: redact_text(&cell.text), ..cell.clone() }).collect(),
        ),
        ReceiptBlock::Image(picture) => ReceiptBlock::Image(picture.blank()),
        ReceiptBlock::Barcode(content) => ReceiptBlock::Barcode(redact_text(content)),
        ReceiptBlock::Rule => ReceiptBlock::Rule,
        ReceiptBlock::Cut => ReceiptBlock::Cut,
        ReceiptBlock::Feed(lines) => ReceiptBlock::Feed(*lines),
    };
    PrintableReceipt {
        blocks: receipt.blocks.iter().map(block).collect(),
        copy_mark: receipt.copy_mark.as_deref().map(redact_text),
    }
}

/// Replaces each character by one of its class; line breaks and fonts depend on the class only.
fn redact_text(text: &str) -> String {
    text.chars()
        .map(|one| {
            let mut buffer = [0; 4];
            match one {
                '0'..='9' => '0',
                'A'..='Z' => 'X',
                'a'..='z' => 'x',
                ' '..='~' | '·' | '¥' | '，' | '。' | '：' | '（' | '）' => one,
                // Characters of GB 2312, of GBK, and of four bytes in GB 18030: a printer has the first, perhaps the
                // second.
                _ => match encoding_rs::GB18030.encode(one.encode_utf8(&mut buffer)).0.as_ref() {
                    [0xA1..=0xF7, 0xA1..=0xFE] => '某',
                    [_, _] => '镕',
                    _ => '𠮷',
                },
            }
        })
        .collect()
}

/// The redacted request to print a receipt, for a recording.
#[must_use]
pub fn print_request(receipt: &PrintableReceipt) -> WireEvent {
    WireEvent::Request(serde_json::to_value(redact_receipt(receipt)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn redact_masks_text_and_pictures_and_keeps_commands() {
        let mut bytes = vec![0x1B, b'@', 0x1C, b'&', 0x1B, b'a', 1, 0x1D, b'!', 0x11];
        bytes.extend_from_slice(&encoding_rs::GB18030.encode("李䶮\n¥86.40\n").0);
        let qr =
            [0x1D, b'(', b'k', 5, 0, 0x31, 0x50, 0x30, b'h', b'i', 0x1D, b'(', b'k', 3, 0, 0x31, 0x51, 0x30];
        bytes.extend_from_slice(&qr);
        bytes.extend([0x1D, b'v', b'0', 0, 2, 0, 2, 0, 9, 9, 9, 9, b'A', b'\n']);
        let end = [0x1D, b'V', 66, 0, 0x10, 0x04, 1, 0x1D, b'r', 1];
        bytes.extend_from_slice(&end);
        let kept = StreamRedactor::default().redact(&bytes);
        let mut expected = bytes.clone();
        let (text, code) = (10..10 + 4, bytes.len() - end.len() - 14 - qr.len());
        expected[text].fill(b'x');
        let amount = 15..code - 1;
        expected[amount].fill(b'x');
        expected[code + 8..code + 10].fill(b'x');
        let picture = bytes.len() - end.len() - 6;
        expected[picture..picture + 4].fill(0);
        expected[picture + 4] = b'x';
        assert_eq!(kept, expected, "{kept:02X?}");
    }

    #[test]
    fn redact_is_independent_of_chunk_boundaries() {
        let bytes = [0x1B, b'@', b'h', b'i', 0x1D, b'v', b'0', 0, 1, 0, 3, 0, 7, 7, 7, b'!', 0x10, 0x04, 2];
        let whole = StreamRedactor::default().redact(&bytes);
        for cut in 0..bytes.len() {
            let mut stream = StreamRedactor::default();
            let parts = [stream.redact(&bytes[..cut]), stream.redact(&bytes[cut..])].concat();
            assert_eq!(parts, whole);
        }
    }

    #[test]
    fn redact_receipt_keeps_only_the_layout() {
        let receipt = PrintableReceipt {
            blocks: vec![
                ReceiptBlock::Pair { label: "户名".into(), value: "李䶮 A12".into() },
                ReceiptBlock::Rule,
            ],
            copy_mark: Some("补打 第1次".into()),
        };
        let shape = redact_receipt(&receipt);
        let Some(ReceiptBlock::Pair { label, value }) = shape.blocks.first() else { panic!("a pair") };
        assert_eq!((label.as_str(), value.as_str()), ("某某", "某镕 X00"));
        assert_eq!(shape.copy_mark.as_deref(), Some("某某 某0某"));
    }

    proptest! {
        #[test]
        fn redact_keeps_the_number_of_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            prop_assert_eq!(StreamRedactor::default().redact(&bytes).len(), bytes.len());
        }
    }
}
