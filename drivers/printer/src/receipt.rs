//! The content of a receipt, independent of how a printer encodes it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Most blocks of one receipt. Longer ones are refused as [`crate::PrintFailure::Unprintable`].
pub const RECEIPT_BLOCKS_MAX: usize = 128;

/// Longest text of one block, in characters.
pub const TEXT_MAX: usize = 600;

/// Longest content of a QR code, in bytes. Also keeps the length field of `GS ( k` from looking like a
/// real-time command (`10 04`).
pub const QR_MAX: usize = 600;

/// Most lines that one [`ReceiptBlock::Feed`] feeds the paper.
pub const FEED_MAX: u8 = 20;

/// Most cells of one [`ReceiptBlock::Columns`].
pub const RECEIPT_CELLS_MAX: usize = 6;

/// Longest content of a bar code, in characters. Less fits narrow paper: about 14 letters or 20 digits on 58 mm.
pub const BARCODE_MAX: usize = 40;

/// Most rows of a [`Picture`]: 10 cm at 203 dpi.
pub const PICTURE_ROWS_MAX: u16 = 800;

/// One whole receipt (凭条). The caller masks personal data; control characters are printed as spaces.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrintableReceipt {
    /// From top to bottom; at most [`RECEIPT_BLOCKS_MAX`].
    pub blocks: Vec<ReceiptBlock>,
    /// Copy mark, printed large at head and foot of every copy but the first, for example `补打 第2次`.
    pub copy_mark: Option<String>,
}

/// One part of a receipt. Texts that do not fit a line are wrapped, never truncated.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReceiptBlock {
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
    /// A rule across the paper.
    Rule,
    /// A pair in double size and bold: the amount that the receipt is about.
    Amount {
        /// For example `实缴`.
        label: String,
        /// For example `¥86.40`.
        value: String,
    },
    /// A QR code with this content, centred; at most [`QR_MAX`] bytes.
    Qr(String),
    /// A number of empty lines; more than [`FEED_MAX`] count as [`FEED_MAX`].
    Feed(u8),
    /// Centred and bold: text that the resident should not overlook.
    Notice(String),
    /// A text with an explicit style.
    Text {
        /// The text.
        text: String,
        /// Weight, underline and size.
        style: TextStyle,
        /// Horizontal alignment on the line.
        align: TextAlign,
    },
    /// Cells side by side, each wrapped in its own columns, with one empty column between; at most
    /// [`RECEIPT_CELLS_MAX`]. Cells that do not fit the paper side by side are set below each other.
    Columns(Vec<ReceiptCell>),
    /// A picture, centred. A picture wider than the paper is refused.
    Image(Picture),
    /// A CODE 128 bar code with its text below, centred: ASCII letters, digits and signs, at most [`BARCODE_MAX`].
    Barcode(String),
    /// Cuts the paper; the following blocks are on the next piece. A dashed line on models without a cutter.
    Cut,
}

/// Weight, underline and size of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextStyle {
    /// Whether the text is bold.
    pub bold: bool,
    /// Whether the text is underlined.
    pub underline: bool,
    /// Character size.
    pub size: TextSize,
}

impl TextStyle {
    /// Normal size, neither bold nor underlined.
    pub const PLAIN: Self = Self { bold: false, underline: false, size: TextSize::Normal };
    /// Normal size, bold.
    pub const BOLD: Self = Self { bold: true, ..Self::PLAIN };
    /// Double size, bold.
    pub const LARGE: Self = Self { size: TextSize::Large, ..Self::BOLD };
}

/// Character size of a text (`GS !`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TextSize {
    /// 12 × 24 dots per column.
    #[default]
    Normal,
    /// Twice as high.
    Tall,
    /// Twice as wide.
    Wide,
    /// Twice as wide and as high.
    Large,
}

impl TextSize {
    /// Width in multiples of the standard font.
    #[must_use]
    pub const fn width_factor(self) -> u8 {
        match self {
            Self::Normal | Self::Tall => 1,
            Self::Wide | Self::Large => 2,
        }
    }

    /// Height in multiples of the standard font.
    #[must_use]
    pub const fn height_factor(self) -> u8 {
        match self {
            Self::Normal | Self::Wide => 1,
            Self::Tall | Self::Large => 2,
        }
    }
}

/// Horizontal alignment of a text in its columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TextAlign {
    /// At the left edge.
    #[default]
    Left,
    /// In the middle.
    Center,
    /// At the right edge.
    Right,
}

/// One cell of a row.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptCell {
    /// The text of the cell.
    pub text: String,
    /// Width in columns; a Chinese character takes two. 0 shares the rest with other cells of width 0.
    pub columns: u8,
    /// Alignment of the text within the cell.
    pub align: TextAlign,
}

/// A black and white picture: rows of whole bytes, most significant bit left, 1 is black.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "PictureParts", into = "PictureParts")]
pub struct Picture {
    width_dots: u16,
    bits: Vec<u8>,
}

/// A [`Picture`] before its size is checked; received from another process.
#[derive(Serialize, Deserialize)]
struct PictureParts {
    width_dots: u16,
    bits: Vec<u8>,
}

impl TryFrom<PictureParts> for Picture {
    type Error = &'static str;

    fn try_from(parts: PictureParts) -> Result<Self, Self::Error> {
        Self::new(parts.width_dots, parts.bits)
            .ok_or("the bits of the picture do not fill whole rows, or there are too many rows")
    }
}

impl From<Picture> for PictureParts {
    fn from(Picture { width_dots, bits }: Picture) -> Self {
        Self { width_dots, bits }
    }
}

impl Picture {
    /// A white picture of the same size.
    #[must_use]
    pub fn blank(&self) -> Self {
        Self { width_dots: self.width_dots, bits: vec![0; self.bits.len()] }
    }

    /// Checks the size. `None` if the bits do not fill whole rows, or for more than [`PICTURE_ROWS_MAX`] rows.
    #[must_use]
    pub fn new(width_dots: u16, bits: Vec<u8>) -> Option<Self> {
        let row_bytes = usize::from(width_dots.div_ceil(8));
        let rows = bits.len().checked_div(row_bytes)?;
        let size_is_valid = bits.len() == rows * row_bytes && rows <= usize::from(PICTURE_ROWS_MAX);
        size_is_valid.then_some(Self { width_dots, bits })
    }

    pub(crate) fn width_dots(&self) -> usize {
        usize::from(self.width_dots)
    }

    pub(crate) fn rows(&self) -> usize {
        self.bits.len() / self.row_bytes()
    }

    /// Whether a dot is black. Dots outside the picture are white.
    pub(crate) fn is_black(&self, x: usize, y: usize) -> bool {
        let byte = self.bits.get(y * self.row_bytes() + x / 8);
        x < self.width_dots() && byte.is_some_and(|byte| byte & (0x80 >> (x % 8)) != 0)
    }

    fn row_bytes(&self) -> usize {
        self.width_dots().div_ceil(8)
    }
}

/// Shows the number of blocks only: a receipt contains personal data.
impl fmt::Debug for PrintableReceipt {
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
    fn receipt_debug_shows_no_text() {
        let receipt = PrintableReceipt {
            blocks: vec![ReceiptBlock::Line("张*三".into())],
            copy_mark: Some("补打 第2次".into()),
        };

        let shown = format!("{receipt:?}");

        assert!(!shown.contains('张') && !shown.contains("补打"), "{shown}");
    }

    #[test]
    fn picture_with_partial_rows_is_refused() {
        assert!(Picture::new(12, vec![0xFF; 4]).is_some_and(|picture| picture.rows() == 2));
        assert!(Picture::new(12, vec![0; 3]).is_none());
        assert!(Picture::new(0, vec![0; 3]).is_none());
        assert!(Picture::new(8, vec![0; usize::from(PICTURE_ROWS_MAX) + 1]).is_none());
    }

    #[test]
    fn picture_bits_beyond_width_are_white() {
        let picture = Picture::new(12, vec![0xFF, 0xFF]).unwrap();

        assert!(picture.is_black(11, 0) && !picture.is_black(12, 0) && !picture.is_black(0, 1));
    }
}
