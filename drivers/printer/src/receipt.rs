//! The document model: what a receipt says, without a word on how a printer draws it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Most blocks one receipt may have; a longer one is refused as [`crate::Why::Unprintable`].
pub const BLOCKS_MAX: usize = 128;

/// Longest text of one block, in characters.
pub const TEXT_MAX: usize = 600;

/// Longest content of a QR code, in bytes. Also keeps the length field of `GS ( k` from looking like a
/// real-time command (`10 04`).
pub const QR_MAX: usize = 600;

/// Most lines that one [`Block::Feed`] moves the paper.
pub const FEED_MAX: u8 = 20;

/// One receipt (凭条), whole. Texts are masked by the caller; control characters in them are drawn as spaces.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// From head to foot; at most [`BLOCKS_MAX`].
    pub blocks: Vec<Block>,
    /// Printed large at head and foot if this is not the first copy, for example `补打 第2次`.
    pub copy_mark: Option<String>,
}

/// One part of a receipt. Texts that do not fit a line are wrapped, never cut.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Block {
    /// Centred, double size, bold.
    Title(String),
    /// Plain text from the left edge.
    Line(String),
    /// A label at the left edge and its value at the right one.
    Pair {
        /// For example `户号`.
        label: String,
        /// For example `10023345`.
        value: String,
    },
    /// A line across the paper.
    Rule,
    /// As a pair, double size and bold: the sum that the receipt is about.
    Amount {
        /// For example `实缴`.
        label: String,
        /// For example `¥86.40`.
        value: String,
    },
    /// A QR code with this content, centred; at most [`QR_MAX`] bytes.
    Qr(String),
    /// This many empty lines; more than [`FEED_MAX`] count as that.
    Feed(u8),
    /// Centred and bold: what the resident should not overlook.
    Notice(String),
}

/// Shows the shape only: a receipt carries personal data.
impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipt")
            .field("blocks", &self.blocks.len())
            .field("copy", &self.copy_mark.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_of_a_receipt_shows_no_text() {
        let receipt =
            Receipt { blocks: vec![Block::Line("张*三".into())], copy_mark: Some("补打 第2次".into()) };

        let shown = format!("{receipt:?}");

        assert!(!shown.contains('张') && !shown.contains("补打"), "{shown}");
    }
}
