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

/// Most cells of one [`Block::Columns`].
pub const CELLS_MAX: usize = 6;

/// Longest content of a bar code, in characters. What fits the paper is less: about 14 letters or 20 digits on 58 mm.
pub const BARCODE_MAX: usize = 40;

/// Most rows of a [`Picture`]: 10 cm at 203 dpi.
pub const PICTURE_ROWS_MAX: u16 = 800;

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
    /// A text with a style of its own.
    Text {
        /// The text.
        text: String,
        /// How it is set.
        style: Style,
        /// Where it stands.
        align: Align,
    },
    /// Cells beside each other, each wrapped in its own columns with one empty column between; at most
    /// [`CELLS_MAX`]. Cells that do not fit the paper beside each other stand below each other.
    Columns(Vec<Cell>),
    /// A picture, centred. One that is wider than the paper is refused.
    Image(Picture),
    /// A CODE 128 bar code with its text below, centred: ASCII letters, digits and signs, at most [`BARCODE_MAX`].
    Barcode(String),
    /// Ends this piece of paper; what follows is on the next. A dashed line where nothing cuts.
    Cut,
}

/// How a text is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Style {
    /// Bold.
    pub bold: bool,
    /// Underlined.
    pub underline: bool,
    /// How large.
    pub size: Size,
}

impl Style {
    /// Standard size, nothing else.
    pub const PLAIN: Self = Self { bold: false, underline: false, size: Size::Normal };
    /// Bold.
    pub const BOLD: Self = Self { bold: true, ..Self::PLAIN };
    /// Bold and double size.
    pub const LARGE: Self = Self { size: Size::Large, ..Self::BOLD };
}

/// How large a text is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Size {
    /// 12 × 24 dots a column.
    #[default]
    Normal,
    /// Twice as high.
    Tall,
    /// Twice as wide.
    Wide,
    /// Twice as wide and as high.
    Large,
}

impl Size {
    /// How many times as wide as the standard font.
    #[must_use]
    pub const fn across(self) -> u8 {
        match self {
            Self::Normal | Self::Tall => 1,
            Self::Wide | Self::Large => 2,
        }
    }

    /// How many times as high.
    #[must_use]
    pub const fn down(self) -> u8 {
        match self {
            Self::Normal | Self::Wide => 1,
            Self::Tall | Self::Large => 2,
        }
    }
}

/// Where a text stands in its columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Align {
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
pub struct Cell {
    /// Its text.
    pub text: String,
    /// Columns it takes; a Chinese character takes two. 0 shares what the others leave.
    pub columns: u8,
    /// Where its text stands.
    pub align: Align,
}

/// A black and white picture: rows of whole bytes, most significant bit left, 1 is black.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "PictureParts", into = "PictureParts")]
pub struct Picture {
    width_dots: u16,
    bits: Vec<u8>,
}

/// A [`Picture`] before it is checked: it comes over a wire.
#[derive(Serialize, Deserialize)]
struct PictureParts {
    width_dots: u16,
    bits: Vec<u8>,
}

impl TryFrom<PictureParts> for Picture {
    type Error = &'static str;

    fn try_from(parts: PictureParts) -> Result<Self, Self::Error> {
        Self::new(parts.width_dots, parts.bits)
            .ok_or("bits of a picture that do not fill its rows, or too many")
    }
}

impl From<Picture> for PictureParts {
    fn from(Picture { width_dots, bits }: Picture) -> Self {
        Self { width_dots, bits }
    }
}

impl Picture {
    /// White, and as large.
    #[must_use]
    pub fn blank(&self) -> Self {
        Self { width_dots: self.width_dots, bits: vec![0; self.bits.len()] }
    }

    /// `None` if the bits do not fill whole rows, or are more than [`PICTURE_ROWS_MAX`] rows.
    #[must_use]
    pub fn new(width_dots: u16, bits: Vec<u8>) -> Option<Self> {
        let row_bytes = usize::from(width_dots.div_ceil(8));
        let rows = bits.len().checked_div(row_bytes)?;
        let sound = bits.len() == rows * row_bytes && rows <= usize::from(PICTURE_ROWS_MAX);
        sound.then_some(Self { width_dots, bits })
    }

    pub(crate) fn width_dots(&self) -> usize {
        usize::from(self.width_dots)
    }

    pub(crate) fn rows(&self) -> usize {
        self.bits.len() / self.row_bytes()
    }

    /// Whether the dot is black; what lies outside is white.
    pub(crate) fn is_black(&self, x: usize, y: usize) -> bool {
        let byte = self.bits.get(y * self.row_bytes() + x / 8);
        x < self.width_dots() && byte.is_some_and(|byte| byte & (0x80 >> (x % 8)) != 0)
    }

    fn row_bytes(&self) -> usize {
        self.width_dots().div_ceil(8)
    }
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
    fn receipt_debug_shows_no_text() {
        let receipt =
            Receipt { blocks: vec![Block::Line("张*三".into())], copy_mark: Some("补打 第2次".into()) };

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
