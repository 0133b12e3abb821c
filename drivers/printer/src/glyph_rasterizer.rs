//! Rasterises lines of text, for characters that the printer's own font lacks.

use std::path::Path;

use ab_glyph::{Font, FontVec, PxScale, ScaleFont, point};

use crate::bitmap::Bitmap;
use crate::layout;
use crate::profile::COLUMN_DOTS;
use crate::receipt::TextStyle;

/// Height of a character cell in dots, as in the printers' standard font.
const CELL_ROWS: usize = 24;

/// White rows below a line. They make a rasterised line as high as the default line spacing of 1/6 inch.
const LEADING_ROWS: usize = 6;

/// Distance of the baseline from the top of the cell, in ems, as Chinese fonts place the ideographic box.
const BASELINE_EM: f32 = 0.88;

/// Coverage from which a dot is black. Below one half, to keep the thin strokes of a 24-dot character.
const COVERAGE_MIN: f32 = 0.4;

/// Why a line cannot be rasterised.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GlyphFault {
    #[error("the font for rare characters cannot be read: install fonts-noto-cjk or set the profile's font")]
    Unreadable(#[source] std::io::Error),
    #[error("the font for rare characters has an unsupported format: check the profile's font")]
    Unusable(#[source] ab_glyph::InvalidFont),
    #[error("the font for rare characters lacks a character of this receipt")]
    NoGlyph,
}

/// The cell that one character is drawn into, in dots.
struct GlyphCell {
    left: usize,
    dots: usize,
    rows: usize,
    strike_count: usize,
}

/// Draws lines of text with an opened font.
pub(crate) struct GlyphRasterizer {
    font: FontVec,
}

impl GlyphRasterizer {
    pub(crate) fn open(path: &Path, index: u32) -> Result<Self, GlyphFault> {
        let bytes = std::fs::read(path).map_err(GlyphFault::Unreadable)?;
        let font = FontVec::try_from_vec_and_index(bytes, index).map_err(GlyphFault::Unusable)?;
        Ok(Self { font })
    }

    /// Draws a line on a bitmap as wide as the paper. `left_columns` is the distance from the left edge, in columns
    /// of the size of `style`.
    pub(crate) fn draw(
        &self,
        text: &str,
        width_dots: usize,
        style: TextStyle,
        left_columns: usize,
    ) -> Result<Bitmap, GlyphFault> {
        let column_dots = usize::from(COLUMN_DOTS) * usize::from(style.size.width_factor());
        let cell_rows = CELL_ROWS * usize::from(style.size.height_factor());
        let mut bitmap = Bitmap::white(width_dots, cell_rows + LEADING_ROWS);
        let mut column = left_columns;
        for c in text.chars() {
            let columns = layout::width(c);
            let cell = GlyphCell {
                left: column * column_dots,
                dots: columns * column_dots,
                rows: cell_rows,
                // Bold is drawn as printers without a bold font do: twice, one dot apart.
                strike_count: if style.bold { 2 } else { 1 },
            };
            self.draw_glyph(&mut bitmap, c, &cell)?;
            column += columns;
        }
        if style.underline {
            for (y, x) in [cell_rows + 1, cell_rows + 2]
                .into_iter()
                .flat_map(|y| (left_columns * column_dots..column * column_dots).map(move |x| (y, x)))
            {
                bitmap.set_black(x, y);
            }
        }
        Ok(bitmap)
    }

    /// Draws one character into its cell: narrowed if the glyph is wider than the cell, stretched for tall or wide
    /// cells.
    fn draw_glyph(&self, bitmap: &mut Bitmap, c: char, cell: &GlyphCell) -> Result<(), GlyphFault> {
        let id = self.font.glyph_id(c);
        if id.0 == 0 {
            return Err(GlyphFault::NoGlyph);
        }
        let (left, cell_dots, em) = (dots(cell.left), dots(cell.dots), dots(cell.rows));
        // ab_glyph scales by the font's full height; the cell height is the em.
        let height_per_em = self.font.height_unscaled() / self.font.units_per_em().unwrap_or(1000.0);
        // The cell of a Chinese character is square in normal and double size, but not when only tall or only wide.
        let stretch = cell_dots / (em * if layout::width(c) == 2 { 1.0 } else { 0.5 });
        let scale = PxScale { x: em * height_per_em * stretch, y: em * height_per_em };
        let advance = self.font.as_scaled(scale).h_advance(id);
        let narrowing = if advance > cell_dots { cell_dots / advance } else { 1.0 };
        let scale = PxScale { x: scale.x * narrowing, y: scale.y };
        let place = point(left + (cell_dots - advance * narrowing) / 2.0, em * BASELINE_EM);
        let Some(outline) = self.font.outline_glyph(id.with_scale_and_position(scale, place)) else {
            return Ok(()); // a space
        };
        let bounds = outline.px_bounds();
        outline.draw(|x, y, coverage| {
            let dot = (offset_dot(bounds.min.x, x), offset_dot(bounds.min.y, y));
            if let (true, (Some(x), Some(y))) = (coverage >= COVERAGE_MIN, dot) {
                for strike in 0..cell.strike_count {
                    bitmap.set_black(x + strike, y);
                }
            }
        });
        Ok(())
    }
}

/// A number of dots as `f32`. Paper is at most a few hundred dots wide, far below where `f32` loses whole numbers.
fn dots(count: usize) -> f32 {
    u16::try_from(count).map_or(f32::MAX, f32::from)
}

/// The dot `offset` right of or below `origin`, or `None` if it lies outside the bitmap.
fn offset_dot(origin: f32, offset: u32) -> Option<usize> {
    // The bounds of an outline are whole numbers; the cast saturates, which is intended.
    #[expect(clippy::cast_possible_truncation)]
    let origin = origin as i64;
    usize::try_from(origin + i64::from(offset)).ok()
}
