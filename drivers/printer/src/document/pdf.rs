//! Renders an A4 document as PDF, with an embedded subset of the fonts.

use std::path::Path;
use std::sync::Arc;

use ab_glyph::{Font as _, FontRef};
use krilla::Document;
use krilla::color::luma;
use krilla::geom::{PathBuilder, Point, Rect};
use krilla::metadata::Metadata;
use krilla::num::NormalizedF32;
use krilla::page::PageSettings;
use krilla::paint::{Fill, FillRule, Stroke};
use krilla::surface::Surface;
use krilla::text::{Font, TextDirection};

use crate::document::A4Document;
use crate::document::fault::PdfFault;
use crate::document::pages::{self, Measure, PAGE, PageItem};
use crate::profile::FONT;

/// The bold face beside the regular one (Debian `fonts-noto-cjk`).
const BOLD: &str = "/usr/share/fonts/opentype/noto/NotoSansCJK-Bold.ttc";

/// The regular and bold fonts, loaded. 20 MB each: kept while a document is printed, not while the printer is idle.
pub struct DocumentFonts {
    regular: FontFace,
    bold: FontFace,
}

struct FontFace {
    bytes: Arc<Vec<u8>>,
    font: Font,
}

impl DocumentFonts {
    /// Loads the system fonts.
    ///
    /// # Errors
    /// [`PdfFault::FontUnreadable`] if they are not installed, [`PdfFault::FontUnusable`] if they cannot be parsed.
    pub fn load_system() -> Result<Self, PdfFault> {
        let (path, index) = FONT;
        Ok(Self {
            regular: FontFace::read(Path::new(path), index)?,
            bold: FontFace::read(Path::new(BOLD), index)?,
        })
    }

    fn face(&self, bold: bool) -> &FontFace {
        if bold { &self.bold } else { &self.regular }
    }
}

impl FontFace {
    fn read(path: &Path, index: u32) -> Result<Self, PdfFault> {
        let bytes = Arc::new(std::fs::read(path).map_err(PdfFault::FontUnreadable)?);
        let font = Font::new(Arc::clone(&bytes).into(), index).ok_or(PdfFault::FontUnusable)?;
        Ok(Self { bytes, font })
    }

    fn outlines(&self) -> Result<FontRef<'_>, PdfFault> {
        FontRef::try_from_slice_and_index(&self.bytes, FONT.1).map_err(|_| PdfFault::FontUnusable)
    }
}

struct FontWidths<'a> {
    regular: FontRef<'a>,
    bold: FontRef<'a>,
}

impl Measure for FontWidths<'_> {
    fn width(&self, c: char, bold: bool) -> usize {
        let font = if bold { &self.bold } else { &self.regular };
        let em = font.units_per_em().unwrap_or(1000.0);
        // Font units are small integers.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let width = (font.h_advance_unscaled(font.glyph_id(c)) * 1000.0 / em) as usize;
        width
    }
}

/// Renders a document. Returns the PDF and its number of pages. The same document always gives the same bytes.
///
/// # Errors
/// If the document is too long, or the font lacks one of its characters.
pub fn render_pdf(document: &A4Document, fonts: &DocumentFonts) -> Result<(Vec<u8>, usize), PdfFault> {
    let widths = FontWidths { regular: fonts.regular.outlines()?, bold: fonts.bold.outlines()? };
    let pages = pages::lay_out(document, &widths)?;
    let mut pdf_document = Document::new();
    pdf_document.set_metadata(Metadata::new().title(document.title.clone()).language("zh-CN".to_owned()));
    for marks in &pages {
        let settings =
            PageSettings::from_wh(PAGE.0, PAGE.1).ok_or_else(|| PdfFault::Writer("page size".into()))?;
        let mut page = pdf_document.start_page_with(settings);
        let mut surface = page.surface();
        for mark in marks {
            draw(&mut surface, mark, fonts, &widths)?;
        }
        surface.finish();
        page.finish();
    }
    let bytes = pdf_document.finish().map_err(|error| PdfFault::Writer(error.to_string()))?;
    Ok((bytes, pages.len()))
}

fn draw(
    surface: &mut Surface<'_>,
    mark: &PageItem,
    fonts: &DocumentFonts,
    widths: &FontWidths<'_>,
) -> Result<(), PdfFault> {
    match mark {
        PageItem::Text { x, y, size, bold, grey, text } => {
            let outlines = if *bold { &widths.bold } else { &widths.regular };
            if text.chars().any(|c| outlines.glyph_id(c).0 == 0) {
                return Err(PdfFault::NoGlyph);
            }
            fill(surface, *grey);
            let font = fonts.face(*bold).font.clone();
            surface.draw_text(Point::from_xy(*x, *y), font, *size, text, false, TextDirection::LeftToRight);
        }
        PageItem::Box { x, y, width, height, grey } => {
            fill(surface, *grey);
            let mut path = PathBuilder::new();
            if let Some(rect) = Rect::from_xywh(*x, *y, *width, *height) {
                path.push_rect(rect);
            }
            if let Some(path) = path.finish() {
                surface.draw_path(&path);
            }
        }
        PageItem::Line { from, to } => {
            surface.set_fill(None);
            surface.set_stroke(Some(Stroke {
                width: 0.6,
                paint: luma::Color::new(110).into(),
                ..Stroke::default()
            }));
            let mut path = PathBuilder::new();
            path.move_to(from.0, from.1);
            path.line_to(to.0, to.1);
            if let Some(path) = path.finish() {
                surface.draw_path(&path);
            }
        }
    }
    Ok(())
}

fn fill(surface: &mut Surface<'_>, grey: u8) {
    surface.set_stroke(None);
    let paint = luma::Color::new(grey).into();
    surface.set_fill(Some(Fill { paint, opacity: NormalizedF32::ONE, rule: FillRule::NonZero }));
}
