//! Page layout of an A4 document: position of each text, rule and module. Unit: points (1/72 inch) from the top left
//! corner of the page.

use crate::bitmap::Qr;
use crate::charset::sanitize;
use crate::document::fault::PdfFault;
use crate::document::{
    A4Document, DOCUMENT_BLOCKS_MAX, DocumentBlock, DocumentCode, PAGES_MAX, TABLE_CELLS_MAX, TABLE_ROWS_MAX,
};
use crate::layout::wrap_measured;
use crate::receipt::{QR_MAX, TEXT_MAX};

/// A4 page size: 210 × 297 mm.
pub(super) const PAGE: (f32, f32) = (595.28, 841.89);

/// 20 mm on every side: printable on every laser printer, and room for punched holes.
const MARGIN: f32 = 56.7;
const WIDTH: f32 = PAGE.0 - 2.0 * MARGIN;

const TITLE_SIZE: f32 = 22.0;
const TEXT_SIZE: f32 = 11.5;
const SMALL_SIZE: f32 = 9.0;

/// Longest copy mark in characters: it stands beside the title on one line.
const COPY_MARK_MAX: usize = 20;

/// Distance between two baselines, in multiples of the font size.
const LEADING: f32 = 1.5;
/// Distance between a rule and the text beside it.
const PADDING: f32 = 6.0;
/// Width of the label cell of a row.
const LABEL_WIDTH: f32 = 120.0;
/// Distance of the baseline from the top of a line, in multiples of the font size, as Chinese fonts place the
/// ideographic box.
const BASELINE: f32 = 0.88;
/// Side of the verification code with its quiet zone: 32 mm.
const CODE_SIDE: f32 = 90.0;

/// One drawn element of a page.
#[derive(Debug, PartialEq)]
pub(super) enum PageItem {
    /// A text whose baseline begins at `x`, `y`.
    Text { x: f32, y: f32, size: f32, bold: bool, grey: u8, text: String },
    /// A filled rectangle.
    Box { x: f32, y: f32, width: f32, height: f32, grey: u8 },
    /// A hairline.
    Line { from: (f32, f32), to: (f32, f32) },
}

/// Measures the width of text.
pub(super) trait Measure {
    /// Width of a character, in thousandths of the font size.
    fn width(&self, c: char, bold: bool) -> usize;
}

/// Lays out a document: the elements of each page.
///
/// # Errors
/// [`PdfFault::TooLong`] beyond the limits, [`PdfFault::CodeUnfit`] if the verification code cannot be encoded.
pub(super) fn lay_out(document: &A4Document, measure: &dyn Measure) -> Result<Vec<Vec<PageItem>>, PdfFault> {
    if is_too_large(document) {
        return Err(PdfFault::TooLong);
    }
    let mut setter = PageLayout { measure, pages: vec![Vec::new()], y: MARGIN };
    setter.title(&document.title)?;
    let mut in_rows = false;
    for block in &document.blocks {
        let is_row = matches!(block, DocumentBlock::Row { .. });
        if in_rows && !is_row {
            setter.y += PADDING;
        }
        in_rows = is_row;
        match block {
            DocumentBlock::Row { label, value } => setter.row(label, value)?,
            DocumentBlock::Text(text) => setter.paragraph(text)?,
            DocumentBlock::Table { head, rows } => setter.table(head, rows)?,
            DocumentBlock::Space => setter.y += TEXT_SIZE,
        }
    }
    setter.footer(document)?;
    setter.margins(document);
    Ok(setter.pages)
}

fn is_too_large(document: &A4Document) -> bool {
    let long = |text: &String| text.chars().count() > TEXT_MAX;
    let block = |block: &DocumentBlock| match block {
        DocumentBlock::Row { label, value } => long(label) || long(value),
        DocumentBlock::Text(text) => long(text),
        DocumentBlock::Table { head, rows } => {
            let crowded = |cells: &Vec<String>| cells.len() > TABLE_CELLS_MAX || cells.iter().any(long);
            head.is_empty() || crowded(head) || rows.len() > TABLE_ROWS_MAX || rows.iter().any(crowded)
        }
        DocumentBlock::Space => false,
    };
    document.blocks.len() > DOCUMENT_BLOCKS_MAX
        || document.foot.len() > TABLE_CELLS_MAX
        || long(&document.title)
        || document.copy_mark.as_ref().is_some_and(|mark| mark.chars().count() > COPY_MARK_MAX)
        || document.code.as_ref().is_some_and(|code| long(&code.caption))
        || document.foot.iter().any(|(label, value)| long(label) || long(value))
        || document.blocks.iter().any(block)
}

/// Places elements from top to bottom and begins new pages.
struct PageLayout<'a> {
    measure: &'a dyn Measure,
    pages: Vec<Vec<PageItem>>,
    /// Lower edge of the used part of the current page.
    y: f32,
}

/// The wrapped lines of one cell and their weight.
struct CellLines {
    lines: Vec<String>,
    bold: bool,
}

impl PageLayout<'_> {
    fn push_item(&mut self, mark: PageItem) {
        if let Some(page) = self.pages.last_mut() {
            page.push(mark);
        }
    }

    /// Ensures that `height` fits on the current page; begins a new page if it does not. Returns whether it began
    /// one.
    fn ensure_space(&mut self, height: f32) -> Result<bool, PdfFault> {
        // The last line of each page is reserved for the page number.
        if self.y + height <= PAGE.1 - MARGIN - SMALL_SIZE * LEADING || self.y <= MARGIN {
            return Ok(false);
        }
        if self.pages.len() >= PAGES_MAX {
            return Err(PdfFault::TooLong);
        }
        self.pages.push(Vec::new());
        self.y = MARGIN;
        Ok(true)
    }

    fn lines(&self, text: &str, size: f32, width: f32, bold: bool) -> CellLines {
        let limit = thousandths(width / size);
        let lines = wrap_measured(&sanitize(text), limit, &|c| self.measure.width(c, bold));
        CellLines { lines, bold }
    }

    fn width(&self, text: &str, size: f32, bold: bool) -> f32 {
        let thousandths: usize = text.chars().map(|c| self.measure.width(c, bold)).sum();
        u32::try_from(thousandths).map_or(f32::MAX, |width| points(width) * size / 1000.0)
    }

    fn text(&mut self, x: f32, top: f32, size: f32, bold: bool, text: &str) {
        self.push_item(PageItem::Text {
            x,
            y: top + size * BASELINE,
            size,
            bold,
            grey: 0,
            text: text.to_owned(),
        });
    }

    fn title(&mut self, title: &str) -> Result<(), PdfFault> {
        for line in self.lines(title, TITLE_SIZE, WIDTH, true).lines {
            self.ensure_space(TITLE_SIZE * LEADING)?;
            let x = MARGIN + (WIDTH - self.width(&line, TITLE_SIZE, true)) / 2.0;
            let top = self.y;
            self.text(x, top, TITLE_SIZE, true, &line);
            self.y += TITLE_SIZE * LEADING;
        }
        self.y += TEXT_SIZE;
        Ok(())
    }

    fn paragraph(&mut self, text: &str) -> Result<(), PdfFault> {
        for line in self.lines(text, TEXT_SIZE, WIDTH, false).lines {
            self.ensure_space(TEXT_SIZE * LEADING)?;
            let top = self.y;
            self.text(MARGIN, top, TEXT_SIZE, false, &line);
            self.y += TEXT_SIZE * LEADING;
        }
        self.y += PADDING;
        Ok(())
    }

    fn row(&mut self, label: &str, value: &str) -> Result<(), PdfFault> {
        let widths = [LABEL_WIDTH, WIDTH - LABEL_WIDTH];
        let cells = [
            self.lines(label, TEXT_SIZE, widths[0] - 2.0 * PADDING, false),
            self.lines(value, TEXT_SIZE, widths[1] - 2.0 * PADDING, false),
        ];
        self.ensure_space(height(&cells))?;
        self.cells(&cells, &widths, Some(0));
        Ok(())
    }

    fn table(&mut self, head: &[String], rows: &[Vec<String>]) -> Result<(), PdfFault> {
        let share = WIDTH / points(u32::try_from(head.len()).unwrap_or(u32::MAX));
        let widths = vec![share; head.len()];
        let set =
            |setter: &Self, text: &str, bold| setter.lines(text, TEXT_SIZE, share - 2.0 * PADDING, bold);
        let heads: Vec<CellLines> = head.iter().map(|text| set(self, text, true)).collect();
        self.ensure_space(height(&heads) * 2.0)?;
        self.cells(&heads, &widths, None);
        for row in rows {
            let cells: Vec<CellLines> =
                (0..head.len()).map(|at| set(self, row.get(at).map_or("", String::as_str), false)).collect();
            if self.ensure_space(height(&cells))? {
                self.cells(&heads, &widths, None);
            }
            self.cells(&cells, &widths, Some(head.len()));
        }
        self.y += PADDING;
        Ok(())
    }

    /// Ruled cells side by side. Shades the cell `shaded`, or all cells if it is `None`.
    fn cells(&mut self, cells: &[CellLines], widths: &[f32], shaded: Option<usize>) {
        let (top, height) = (self.y, height(cells));
        let mut x = MARGIN;
        for (at, (cell, &width)) in cells.iter().zip(widths).enumerate() {
            if shaded.is_none_or(|shaded| shaded == at) {
                self.push_item(PageItem::Box { x, y: top, width, height, grey: 238 });
            }
            for (line, text) in cell.lines.iter().enumerate() {
                let down = points(u32::try_from(line).unwrap_or(u32::MAX)) * TEXT_SIZE * LEADING;
                self.text(x + PADDING, top + PADDING + down, TEXT_SIZE, cell.bold, text);
            }
            let corners =
                [(x, top), (x + width, top), (x + width, top + height), (x, top + height), (x, top)];
            for pair in corners.windows(2) {
                if let [from, to] = *pair {
                    self.push_item(PageItem::Line { from, to });
                }
            }
            x += width;
        }
        self.y += height;
    }

    /// The footer: code on the left, labels and values beside it, together on one page.
    fn footer(&mut self, document: &A4Document) -> Result<(), PdfFault> {
        let left = document.code.as_ref().map_or(0.0, |_| CODE_SIDE + 2.0 * PADDING);
        let mut lines = Vec::new();
        for (label, value) in &document.foot {
            lines.extend(self.lines(&format!("{label}：{value}"), TEXT_SIZE, WIDTH - left, false).lines);
        }
        let caption =
            document.code.as_ref().map(|code| self.lines(&code.caption, SMALL_SIZE, WIDTH, false).lines);
        let beside = points(u32::try_from(lines.len()).unwrap_or(u32::MAX)) * TEXT_SIZE * LEADING;
        let below = caption.as_ref().map_or(0.0, |lines| {
            points(u32::try_from(lines.len()).unwrap_or(u32::MAX)) * SMALL_SIZE * LEADING
        });
        let code_height = if document.code.is_some() { CODE_SIDE + below } else { 0.0 };
        self.y += 2.0 * PADDING;
        self.ensure_space(beside.max(code_height))?;
        let top = self.y;
        if let Some(code) = &document.code {
            self.code(code, top)?;
            for (at, line) in caption.into_iter().flatten().enumerate() {
                let down = points(u32::try_from(at).unwrap_or(u32::MAX)) * SMALL_SIZE * LEADING;
                self.text(MARGIN, top + CODE_SIDE + down, SMALL_SIZE, false, &line);
            }
        }
        for (at, line) in lines.iter().enumerate() {
            let down = points(u32::try_from(at).unwrap_or(u32::MAX)) * TEXT_SIZE * LEADING;
            self.text(MARGIN + left, top + PADDING + down, TEXT_SIZE, false, line);
        }
        self.y = top + beside.max(code_height);
        Ok(())
    }

    fn code(&mut self, code: &DocumentCode, top: f32) -> Result<(), PdfFault> {
        if code.content.len() > QR_MAX || code.content.chars().any(char::is_control) {
            return Err(PdfFault::CodeUnfit);
        }
        let runs = Qr::runs(&code.content).ok_or(PdfFault::CodeUnfit)?;
        let side = CODE_SIDE / points(runs.side_modules);
        for (column, row, modules) in runs.dark {
            let (x, y) = (MARGIN + points(column) * side, top + points(row) * side);
            self.push_item(PageItem::Box { x, y, width: points(modules) * side, height: side, grey: 0 });
        }
        Ok(())
    }

    /// Adds to every page its number and the copy mark.
    fn margins(&mut self, document: &A4Document) {
        let count = self.pages.len();
        let mark = document.copy_mark.as_deref().map(sanitize);
        let mark_width = mark.as_deref().map_or(0.0, |mark| self.width(mark, TEXT_SIZE, true));
        let numbers: Vec<(String, f32)> = (1..=count)
            .map(|number| format!("{number} / {count}"))
            .map(|text| (self.width(&text, SMALL_SIZE, false), text))
            .map(|(width, text)| (text, width))
            .collect();
        for (page, (number, width)) in self.pages.iter_mut().zip(numbers) {
            let (x, y) = ((PAGE.0 - width) / 2.0, PAGE.1 - MARGIN);
            page.push(PageItem::Text { x, y, size: SMALL_SIZE, bold: false, grey: 90, text: number });
            if let Some(text) = mark.clone() {
                let (x, y) = (PAGE.0 - MARGIN - mark_width, MARGIN - PADDING);
                page.push(PageItem::Text { x, y, size: TEXT_SIZE, bold: true, grey: 0, text });
            }
        }
    }
}

fn height(cells: &[CellLines]) -> f32 {
    let lines = cells.iter().map(|cell| cell.lines.len()).max().unwrap_or(1);
    points(u32::try_from(lines).unwrap_or(u32::MAX)) * TEXT_SIZE * LEADING + 2.0 * PADDING
        - TEXT_SIZE * (LEADING - 1.0)
}

/// A small integer as `f32`.
fn points(count: u32) -> f32 {
    u16::try_from(count).map_or(f32::MAX, f32::from)
}

/// A positive ratio in thousandths, rounded down.
fn thousandths(ratio: f32) -> usize {
    // The cast saturates, which is intended.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let whole = (ratio * 1000.0) as usize;
    whole
}
