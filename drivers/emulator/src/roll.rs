//! The roll of a receipt printer: renders printouts as text and as picture.

use std::io::Cursor;
use std::path::PathBuf;

use ab_glyph::{Font as _, FontVec, PxScale, ScaleFont as _, point};
use image::{GrayImage, ImageFormat, Luma};

/// Dots across 80 mm paper at 203 dpi.
pub const WIDTH_80_MM_DOTS: u32 = 576;
/// Dots across 58 mm paper.
pub const WIDTH_58_MM_DOTS: u32 = 384;
/// Height of a line of single-height text in dots.
const LINE_HEIGHT_DOTS: u32 = 30;
/// Width of a column of single-width text; a Chinese character takes two.
const COLUMN_WIDTH_DOTS: u32 = 12;
const INK: Luma<u8> = Luma([24]);
const WHITE: Luma<u8> = Luma([250]);

/// One piece of paper that was cut off.
#[derive(Clone)]
pub struct Printout {
    /// The text, one line per printed line; a QR code is `[QR text]`, a raster image `[picture]`.
    pub text: String,
    /// The picture, PNG.
    pub png: Vec<u8>,
}

/// The paper under the print head since the last cut.
pub struct Roll {
    picture: GrayImage,
    text: String,
    font: FontVec,
    width_dots: u32,
    printed_dots: u32,
}

/// How a line of text is printed.
#[derive(Clone, Copy, Default)]
#[allow(clippy::struct_excessive_bools)] // independent switches of a device
pub struct PrintoutStyle {
    /// Bold (double strike).
    pub bold: bool,
    /// Underlined.
    pub underline: bool,
    /// White on black.
    pub reverse: bool,
    /// Double width.
    pub double_width: bool,
    /// Double height.
    pub double_height: bool,
    /// Centred.
    pub centred: bool,
    /// Right aligned.
    pub right: bool,
}

impl Roll {
    /// A new roll; `width` is in dots.
    ///
    /// # Errors
    /// When the font is not installed.
    pub fn new(width: u32) -> anyhow::Result<Self> {
        let path = PathBuf::from("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc");
        let bytes = std::fs::read(&path)
            .map_err(|error| anyhow::anyhow!("{}: {error}: install fonts-noto-cjk", path.display()))?;
        // Face 2 of the collection is the Simplified Chinese one.
        let font = FontVec::try_from_vec_and_index(bytes, 2)?;
        Ok(Self {
            picture: GrayImage::new(0, 0),
            text: String::new(),
            font,
            width_dots: width,
            printed_dots: 0,
        })
    }

    /// Whether no text was printed since the last cut.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// Length of the paper since the last cut, in dots.
    #[must_use]
    pub const fn printed_dots(&self) -> u32 {
        self.printed_dots
    }

    fn extend(&mut self, rows: u32) {
        let mut taller = GrayImage::from_pixel(self.width_dots, self.printed_dots + rows, WHITE);
        image::imageops::replace(&mut taller, &self.picture, 0, 0);
        self.picture = taller;
        self.printed_dots += rows;
    }

    /// Prints a line of text.
    pub fn print_line(&mut self, text: &str, style: PrintoutStyle) {
        self.text.push_str(text.trim_end());
        self.text.push('\n');
        let top = self.printed_dots;
        let (across, down) = (1 + u32::from(style.double_width), 1 + u32::from(style.double_height));
        self.extend(LINE_HEIGHT_DOTS * down);
        let columns = |c: char| if c.is_ascii() { 1 } else { 2 };
        let cell = COLUMN_WIDTH_DOTS * across;
        let wide = text.chars().map(columns).sum::<u32>() * cell;
        let spare = self.width_dots.saturating_sub(wide);
        let left = match (style.centred, style.right) {
            (true, _) => spare / 2,
            (false, true) => spare,
            (false, false) => 0,
        };
        let mut x = left;
        for letter in text.chars() {
            let advance = columns(letter) * cell;
            self.draw_glyph(letter, (x, top), (advance, 2 * COLUMN_WIDTH_DOTS * down), style);
            x += advance;
        }
        if style.underline {
            self.fill_rect((left, top + 26 * down), (wide, 2));
        }
        if style.reverse {
            for (x, y) in
                (top..top + LINE_HEIGHT_DOTS * down).flat_map(|y| (left..left + wide).map(move |x| (x, y)))
            {
                if let Some(pixel) = self.picture.get_pixel_mut_checked(x, y) {
                    *pixel = if *pixel == INK { WHITE } else { INK };
                }
            }
        }
    }

    /// Draws one character in its cell.
    fn draw_glyph(
        &mut self,
        letter: char,
        (left, top): (u32, u32),
        (width, height): (u32, u32),
        style: PrintoutStyle,
    ) {
        let glyph = self.font.glyph_id(letter);
        #[allow(clippy::cast_precision_loss)] // dots of a receipt
        let (left, top, width, height) = (left as f32, top as f32, width as f32, height as f32);
        let em = if letter.is_ascii() { 2.0 * width } else { width };
        let full = self.font.height_unscaled() / self.font.units_per_em().unwrap_or(1000.0);
        let scale = PxScale { x: em * full, y: height * full };
        let own = self.font.as_scaled(scale).h_advance(glyph);
        // Characters of a printer's ROM fit their cells, so wider glyphs are narrowed.
        let narrowing = (width / own.max(1.0)).min(1.0);
        let (scale, own) = (PxScale { x: scale.x * narrowing, ..scale }, own * narrowing);
        let at = point(left + (width - own) / 2.0, top + height * 0.9);
        let Some(outline) = self.font.outline_glyph(glyph.with_scale_and_position(scale, at)) else { return };
        let bounds = outline.px_bounds();
        let picture = &mut self.picture;
        outline.draw(|dx, dy, coverage| {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // inside the picture
            let (px, py) = ((bounds.min.x.max(0.0) as u32) + dx, (bounds.min.y.max(0.0) as u32) + dy);
            for strike in 0..=u32::from(style.bold) {
                if coverage > 0.45
                    && let Some(pixel) = picture.get_pixel_mut_checked(px + strike, py)
                {
                    *pixel = INK;
                }
            }
        });
    }

    /// Feeds the paper by `lines` lines of single height.
    pub fn feed(&mut self, lines: u32) {
        self.extend(lines.min(40) * LINE_HEIGHT_DOTS);
    }

    /// Prints a QR code with this content, `module` dots per module.
    pub fn print_qr(&mut self, content: &[u8], module: u32) {
        let Ok(code) = qrcode::QrCode::new(content) else { return };
        let side = u32::try_from(code.width()).unwrap_or(0);
        let module = module.clamp(2, 12).min(self.width_dots / side.max(1));
        let top = self.printed_dots + 8;
        self.extend(side * module + 16);
        let left = self.width_dots.saturating_sub(side * module) / 2;
        for (at, colour) in code.to_colors().into_iter().enumerate() {
            let at = u32::try_from(at).unwrap_or(0);
            if colour == qrcode::Color::Dark {
                self.fill_square(left + at % side * module, top + at / side * module, module);
            }
        }
        self.text.push_str(&format!("[QR {}]\n", String::from_utf8_lossy(content)));
    }

    /// Prints a centred bar code: modules from left to right, `module` dots each, `height` dots high; optional text
    /// below.
    pub fn print_barcode(&mut self, modules: &[bool], module: u32, height: u32, text: Option<&str>) {
        let wide = u32::try_from(modules.len()).unwrap_or(u32::MAX).saturating_mul(module);
        let (left, top) = (self.width_dots.saturating_sub(wide) / 2, self.printed_dots);
        self.extend(height + 6);
        for (at, _) in modules.iter().enumerate().filter(|(_, black)| **black) {
            self.fill_rect((left + u32::try_from(at).unwrap_or(0) * module, top), (module, height));
        }
        if let Some(text) = text {
            self.print_line(text, PrintoutStyle { centred: true, ..PrintoutStyle::default() });
        }
    }

    fn fill_square(&mut self, x: u32, y: u32, side: u32) {
        self.fill_rect((x, y), (side, side));
    }

    fn fill_rect(&mut self, (x, y): (u32, u32), (width, height): (u32, u32)) {
        for (dy, dx) in (0..height).flat_map(|dy| (0..width).map(move |dx| (dy, dx))) {
            if let Some(pixel) = self.picture.get_pixel_mut_checked(x + dx, y + dy) {
                *pixel = INK;
            }
        }
    }

    /// Prints a raster image: rows of `stride` bytes, one bit per dot, most significant bit first.
    pub fn print_raster(&mut self, stride: usize, bits: &[u8]) {
        if stride == 0 {
            return;
        }
        let top = self.printed_dots;
        self.extend(u32::try_from(bits.len() / stride).unwrap_or(0));
        for (row, line) in bits.chunks_exact(stride).enumerate() {
            for (column, byte) in line.iter().enumerate() {
                for bit in (0..8).filter(|bit| byte & (0x80 >> bit) != 0) {
                    let x = u32::try_from(column * 8 + bit).unwrap_or(u32::MAX);
                    let y = top + u32::try_from(row).unwrap_or(0);
                    if let Some(pixel) = self.picture.get_pixel_mut_checked(x, y) {
                        *pixel = INK;
                    }
                }
            }
        }
        self.text.push_str("[picture]\n");
    }

    /// Cuts the paper; `None` if nothing was printed on it.
    pub fn cut(&mut self) -> Option<Printout> {
        self.extend(LINE_HEIGHT_DOTS);
        let picture = std::mem::take(&mut self.picture);
        let text = std::mem::take(&mut self.text);
        self.printed_dots = 0;
        if text.trim().is_empty() {
            return None;
        }
        let mut framed = GrayImage::from_pixel(picture.width() + 48, picture.height() + 48, WHITE);
        image::imageops::replace(&mut framed, &picture, 24, 24);
        let mut png = Cursor::new(Vec::new());
        framed.write_to(&mut png, ImageFormat::Png).ok()?;
        Some(Printout { text, png: png.into_inner() })
    }
}
