//! Parses what a printer sends: status bytes, barrier answers, process ids, and unsolicited bytes.
//!
//! The bits are those of Epson's ESC/POS command reference (`DLE EOT`, `GS a`, `GS r`, `GS ( H`). All kinds of answer
//! share one line; fixed bits distinguish them:
//!
//! | answer | bytes | fixed bits |
//! |---|---|---|
//! | `DLE EOT n` | 1 | `0xx1xx10` |
//! | automatic status (`GS a`), not asked for here | 4 | `0xx1xx00`, then three of `0xx0xxxx` |
//! | `GS r 1` | 1 | `0xx0xxxx` |
//! | block, for example `GS ( H` | header `37h`, identifier, data, NUL | – |
//! | XON, XOFF | 1 | `11h`, `13h` |
//! | noise | 1 | the rest |

use serde::{Deserialize, Serialize};

use crate::print_outcome::PrintFailure;

/// Longest block that is kept, in bytes. The blocks that this driver understands have at most 7.
const BLOCK_MAX: usize = 16;

/// Flow control characters, which some ttys pass on as data.
const XON: u8 = 0x11;
const XOFF: u8 = 0x13;

/// Bytes of an automatic status after the first one.
const AUTOMATIC_REST: u8 = 3;

/// One answer of a printer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PrinterAnswer {
    /// The answer to `DLE EOT n`: one status byte.
    RealTimeStatus(u8),
    /// The answer to `GS r 1` (print barrier): the printer has processed everything that was sent before it.
    Barrier,
    /// `37h`, identifier and data, without the NUL at the end.
    Block(Vec<u8>),
    /// A byte that no printer sends: the line is disturbed, or the device is not a printer.
    Noise,
}

/// Splits the byte stream of a printer into answers.
#[derive(Default)]
pub(crate) struct AnswerParser {
    state: AnswerParserState,
}

#[derive(Default)]
enum AnswerParserState {
    #[default]
    Between,
    Automatic(u8),
    Block(Vec<u8>),
}

impl AnswerParser {
    /// Takes one byte and returns the answer that this byte completes.
    pub(crate) fn push(&mut self, byte: u8) -> Option<PrinterAnswer> {
        match std::mem::take(&mut self.state) {
            AnswerParserState::Between => self.begin(byte),
            AnswerParserState::Automatic(left) if byte & 0x90 == 0 => {
                if left > 1 {
                    self.state = AnswerParserState::Automatic(left - 1);
                }
                None
            }
            // Not a continuation of an automatic status, so the byte before was noise.
            AnswerParserState::Automatic(_) => self.begin(byte),
            AnswerParserState::Block(block) if byte == 0 => Some(PrinterAnswer::Block(block)),
            AnswerParserState::Block(mut block) => {
                if block.len() < BLOCK_MAX {
                    block.push(byte);
                    self.state = AnswerParserState::Block(block);
                }
                None
            }
        }
    }

    fn begin(&mut self, byte: u8) -> Option<PrinterAnswer> {
        match byte {
            0x37 => {
                self.state = AnswerParserState::Block(vec![byte]);
                None
            }
            byte if byte & 0x93 == 0x12 => Some(PrinterAnswer::RealTimeStatus(byte)),
            byte if byte & 0x93 == 0x10 => {
                self.state = AnswerParserState::Automatic(AUTOMATIC_REST);
                None
            }
            byte if byte & 0x90 == 0 => Some(PrinterAnswer::Barrier),
            XON | XOFF => None,
            _ => Some(PrinterAnswer::Noise),
        }
    }
}

/// Entry point for the fuzzer: parses any bytes. Returns the number of answers, and the status that the last four
/// real-time answers give. Never panics.
#[must_use]
pub fn parse_answers(bytes: &[u8]) -> (usize, PrinterStatus) {
    let mut parser = AnswerParser::default();
    let (mut count, mut last) = (0, [0; 4]);
    for answer in bytes.iter().filter_map(|&byte| parser.push(byte)) {
        count += 1;
        if let PrinterAnswer::RealTimeStatus(status) = answer {
            last.rotate_left(1);
            let [.., newest] = &mut last;
            *newest = status;
        }
    }
    (count, PrinterStatus::from_answers(last))
}

/// Status of a receipt printer, as the printer reports it. All fields false: ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "independent bits of a device")]
pub struct PrinterStatus {
    /// The printer does not print now, for one of the reasons below or for one that it does not report.
    pub offline: bool,
    /// The cover is open.
    pub cover_open: bool,
    /// The paper has run out.
    pub paper_out: bool,
    /// The paper is near its end; printing still works.
    pub paper_low: bool,
    /// The cutter or another moving part is blocked.
    pub jammed: bool,
    /// The print head is too hot; the printer recovers automatically.
    pub overheated: bool,
    /// Unrecoverable error: a power cycle does not clear it.
    pub failed: bool,
}

impl PrinterStatus {
    /// Decodes the answers to `DLE EOT` 1 (printer), 2 (offline cause), 3 (error cause) and 4 (paper sensor).
    pub(crate) fn from_answers([printer, offline, error, paper]: [u8; 4]) -> Self {
        Self {
            offline: printer & 0x08 != 0,
            cover_open: offline & 0x04 != 0,
            paper_out: offline & 0x20 != 0 || paper & 0x60 != 0,
            paper_low: paper & 0x0C != 0,
            jammed: error & 0x0C != 0,
            overheated: error & 0x40 != 0,
            // The second term: an error is reported and no cause.
            failed: error & 0x20 != 0 || offline & 0x40 != 0 && error & 0x6C == 0,
        }
    }

    /// The condition that prevents printing; of several, the one that staff must clear first.
    #[must_use]
    pub fn blocking_failure(&self) -> Option<PrintFailure> {
        [
            (self.failed, PrintFailure::Failed),
            (self.jammed, PrintFailure::Jammed),
            (self.cover_open, PrintFailure::CoverOpen),
            (self.paper_out, PrintFailure::PaperOut),
            (self.overheated, PrintFailure::Overheated),
            (self.offline, PrintFailure::Offline),
        ]
        .into_iter()
        .find_map(|(applies, failure)| applies.then_some(failure))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn answers(bytes: &[u8]) -> Vec<PrinterAnswer> {
        let mut parser = AnswerParser::default();
        bytes.iter().filter_map(|&byte| parser.push(byte)).collect()
    }

    #[test]
    fn status_bytes_map_to_most_urgent_failure() {
        for (bytes, expected) in [
            ([0x12, 0x12, 0x12, 0x12], None),
            ([0x1A, 0x32, 0x12, 0x7E], Some(PrintFailure::PaperOut)),
            ([0x1A, 0x16, 0x12, 0x12], Some(PrintFailure::CoverOpen)),
            ([0x1A, 0x52, 0x1A, 0x12], Some(PrintFailure::Jammed)),
            ([0x1A, 0x52, 0x32, 0x12], Some(PrintFailure::Failed)),
            ([0x1A, 0x52, 0x52, 0x12], Some(PrintFailure::Overheated)),
            ([0x12, 0x52, 0x12, 0x12], Some(PrintFailure::Failed)),
            ([0x1A, 0x1A, 0x12, 0x12], Some(PrintFailure::Offline)),
        ] {
            assert_eq!(PrinterStatus::from_answers(bytes).blocking_failure(), expected, "{bytes:02X?}");
        }
    }

    #[test]
    fn paper_low_is_reported_and_does_not_block() {
        let status = PrinterStatus::from_answers([0x12, 0x12, 0x12, 0x1E]);

        assert!(status.paper_low);
        assert_eq!(status.blocking_failure(), None);
    }

    #[test]
    fn automatic_status_is_skipped_not_taken_for_barrier() {
        assert_eq!(
            answers(&[0x18, 0x00, 0x0F, 0x00, 0x12, 0x03]),
            [PrinterAnswer::RealTimeStatus(0x12), PrinterAnswer::Barrier]
        );
    }

    #[test]
    fn echoed_process_id_is_one_block_not_a_barrier() {
        assert_eq!(answers(b"\x37\x22A001\x00"), [PrinterAnswer::Block(b"\x37\x22A001".to_vec())]);
    }

    #[test]
    fn flow_control_is_ignored_and_noise_is_reported() {
        assert_eq!(answers(&[0x11, 0x13]), []);
        assert_eq!(
            answers(&[0xFF, 0x80, 0x91]),
            [PrinterAnswer::Noise, PrinterAnswer::Noise, PrinterAnswer::Noise]
        );
    }

    #[test]
    fn unterminated_block_is_dropped_at_its_size_limit() {
        let mut bytes = vec![0x37];
        bytes.extend([b'x'; BLOCK_MAX]);
        bytes.push(0x12);

        assert_eq!(answers(&bytes), [PrinterAnswer::RealTimeStatus(0x12)]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            prop_assert!(answers(&bytes).len() <= bytes.len());
        }
    }
}
