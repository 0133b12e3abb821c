//! Encodes a receipt into ESC/POS commands.
//!
//! The `escpos` crate is used to encode into memory only. Not used: its cut (it sends the function for a full cut),
//! its `writeln` (it feeds by `ESC d`, which some printers treat differently from LF), its cash drawer (two bytes
//! short), its status query (queued behind text) and its ports. When a write fails, `escpos` keeps its queue and
//! sends the head again with the next write; a write to memory cannot fail, and a receipt is encoded anew for each
//! copy.

use std::cell::RefCell;
use std::rc::Rc;

use escpos::driver::Driver;
use escpos::errors::PrinterError;
use escpos::printer::Printer as Encoder;
use escpos::utils::{JustifyMode, Protocol, QRCodeCorrectionLevel, QRCodeModel, QRCodeOption};

use crate::barcode;
use crate::bitmap::{Bitmap, Qr};
use crate::charset::sanitize;
use crate::glyph_rasterizer::{GlyphFault, GlyphRasterizer};
use crate::layout;
use crate::profile::{ConfirmationMethod, Cutter, PrinterProfile, QrMethod};
use crate::receipt::{
    FEED_MAX, Picture, PrintableReceipt, QR_MAX, RECEIPT_BLOCKS_MAX, RECEIPT_CELLS_MAX, ReceiptBlock,
    ReceiptCell, TEXT_MAX, TextAlign, TextSize, TextStyle,
};

/// `FS &`: selects two-byte Chinese characters.
const CHINESE_ON: [u8; 2] = [0x1C, b'&'];

/// `ESC - 1`, `FS - 1`: letters and Chinese characters are underlined by different commands.
const UNDERLINE_ON: [u8; 6] = [0x1B, b'-', 1, 0x1C, b'-', 1];
const UNDERLINE_OFF: [u8; 6] = [0x1B, b'-', 0, 0x1C, b'-', 0];

/// Height of a line of text, in dots.
const LINE_ROWS: usize = 30;

/// `GS r 1`, the print barrier: the printer answers with one byte when it has processed everything before it.
pub(crate) const BARRIER: [u8; 3] = [0x1D, b'r', 1];

/// Longest command that this driver sends, in bytes.
pub(crate) const COMMAND_MAX: usize = 2048;

/// Why a receipt cannot be encoded. No variant contains text of the receipt.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ComposeFault {
    #[error("the receipt is too long to print: shorten what the service prints")]
    TooLong,
    #[error("the code is too long for this paper or holds control characters: change its content")]
    CodeUnfit,
    #[error("a picture is wider than this paper: make it smaller")]
    PictureTooWide,
    #[error("a character cannot be rasterised")]
    Glyph(#[from] GlyphFault),
    #[error("the receipt could not be encoded")]
    Encoder(#[source] PrinterError),
}

/// An encoded receipt, ready to send.
pub(crate) struct EncodedReceipt {
    /// Whole commands in order. A status query may be sent between two commands but not within one: the printer could
    /// take the query for parameters.
    pub(crate) commands: Vec<Vec<u8>>,
    /// The print barrier, sent last: makes the printer report that it has processed the receipt. Empty if the model
    /// has none.
    pub(crate) barrier: Vec<u8>,
    /// Length in lines of text, from which the printing time is estimated.
    pub(crate) lines: u32,
}

impl EncodedReceipt {
    /// Size in bytes, barrier included.
    pub(crate) fn total_bytes(&self) -> usize {
        self.commands.iter().map(Vec::len).sum::<usize>() + self.barrier.len()
    }
}

/// Encodes a receipt for a model. Printers with `GS ( H` echo the process id.
pub(crate) fn compose(
    receipt: &PrintableReceipt,
    profile: &PrinterProfile,
    process_id: ProcessId,
) -> Result<EncodedReceipt, ComposeFault> {
    let mark_too_long = receipt.copy_mark.as_deref().is_some_and(is_too_long);
    if receipt.blocks.len() > RECEIPT_BLOCKS_MAX
        || mark_too_long
        || receipt.blocks.iter().any(ReceiptBlock::is_too_large)
    {
        return Err(ComposeFault::TooLong);
    }
    let mut composer = Composer::new(profile);
    composer.push_command(|encoder| encoder.init()?.custom(&CHINESE_ON))?;
    composer.copy_mark(receipt)?;
    for block in &receipt.blocks {
        composer.block(block)?;
    }
    composer.copy_mark(receipt)?;
    composer.push_command(|encoder| encoder.custom(&receipt_end(profile.cutter)))?;
    Ok(EncodedReceipt {
        commands: composer.commands,
        barrier: barrier(profile.confirmation_method, process_id),
        lines: composer.lines,
    })
}

/// The command that ends a receipt, or a fragment of one: a cut, or a feed to the tear bar.
pub(crate) fn receipt_end(cutter: Cutter) -> Vec<u8> {
    match cutter {
        Cutter::None { feed_lines } => vec![b'\n'; usize::from(feed_lines)],
        Cutter::Partial { feed_dots } => vec![0x1D, b'V', 66, feed_dots],
    }
}

/// Four printable characters that identify a receipt in the printer's echo (`GS ( H`: d1..d4 in 20h..7Eh).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProcessId(pub(crate) [u8; 4]);

impl ProcessId {
    /// The id of the n-th receipt on this line. Ids repeat after 26,000.
    pub(crate) fn nth(n: u32) -> Self {
        let digit = |place: u32| b'0' + u8::try_from(n / place % 10).expect("a digit is below 10");
        Self([b'A' + u8::try_from(n / 1000 % 26).expect("below 26"), digit(100), digit(10), digit(1)])
    }
}

fn barrier(evidence: ConfirmationMethod, ProcessId([d1, d2, d3, d4]): ProcessId) -> Vec<u8> {
    let echo = [0x1D, b'(', b'H', 6, 0, 48, 48, d1, d2, d3, d4];
    match evidence {
        ConfirmationMethod::ProcessId => [&echo[..], &BARRIER[..]].concat(),
        ConfirmationMethod::Barrier => BARRIER.to_vec(),
        ConfirmationMethod::StatusOnly | ConfirmationMethod::None => Vec::new(),
    }
}

impl ReceiptBlock {
    fn texts(&self) -> Vec<&str> {
        match self {
            Self::Title(text) | Self::Line(text) | Self::Notice(text) | Self::Text { text, .. } => vec![text],
            Self::Pair { label, value } | Self::Amount { label, value } => vec![label, value],
            Self::Columns(cells) => cells.iter().map(|cell| cell.text.as_str()).collect(),
            // Codes and pictures have separate limits.
            Self::Qr(_) | Self::Barcode(_) | Self::Image(_) | Self::Rule | Self::Feed(_) | Self::Cut => {
                Vec::new()
            }
        }
    }

    fn is_too_large(&self) -> bool {
        let crowded = matches!(self, Self::Columns(cells) if cells.len() > RECEIPT_CELLS_MAX);
        crowded || self.texts().into_iter().any(is_too_long)
    }
}

fn is_too_long(text: &str) -> bool {
    text.chars().count() > TEXT_MAX
}

/// A driver for the `escpos` crate that collects the bytes in memory.
#[derive(Clone, Default)]
struct MemoryDriver(Rc<RefCell<Vec<u8>>>);

impl Driver for MemoryDriver {
    fn name(&self) -> String {
        "memory".to_owned()
    }

    fn write(&self, data: &[u8]) -> Result<(), PrinterError> {
        self.0.borrow_mut().extend_from_slice(data);
        Ok(())
    }

    fn read(&self, _: &mut [u8]) -> Result<usize, PrinterError> {
        Ok(0)
    }

    fn flush(&self) -> Result<(), PrinterError> {
        Ok(())
    }
}

struct Composer<'a> {
    profile: &'a PrinterProfile,
    encoder: Encoder<MemoryDriver>,
    memory: MemoryDriver,
    /// Opened when the first line needs it; reading the font is slow.
    rasterizer: Option<GlyphRasterizer>,
    commands: Vec<Vec<u8>>,
    lines: u32,
}

impl<'a> Composer<'a> {
    fn new(profile: &'a PrinterProfile) -> Self {
        let memory = MemoryDriver::default();
        let protocol = Protocol::new(escpos::utils::Encoder::new(encoding_rs::GB18030));
        let encoder = Encoder::new(memory.clone(), protocol, None);
        Self { profile, encoder, memory, rasterizer: None, commands: Vec::new(), lines: 0 }
    }

    /// Encodes commands that must be sent without a status query between them.
    fn push_command(
        &mut self,
        encode: impl FnOnce(&mut Encoder<MemoryDriver>) -> Result<&mut Encoder<MemoryDriver>, PrinterError>,
    ) -> Result<(), ComposeFault> {
        encode(&mut self.encoder).and_then(Encoder::print).map_err(ComposeFault::Encoder)?;
        self.commands.push(self.memory.0.take());
        Ok(())
    }

    fn copy_mark(&mut self, receipt: &PrintableReceipt) -> Result<(), ComposeFault> {
        match &receipt.copy_mark {
            Some(mark) => self.wrapped(&format!("** {mark} **"), TextAlign::Center, TextStyle::LARGE),
            None => Ok(()),
        }
    }

    fn block(&mut self, block: &ReceiptBlock) -> Result<(), ComposeFault> {
        match block {
            ReceiptBlock::Title(text) => self.wrapped(text, TextAlign::Center, TextStyle::LARGE),
            ReceiptBlock::Line(text) => self.wrapped(text, TextAlign::Left, TextStyle::PLAIN),
            ReceiptBlock::Notice(text) => self.wrapped(text, TextAlign::Center, TextStyle::BOLD),
            ReceiptBlock::Text { text, style, align } => self.wrapped(text, *align, *style),
            ReceiptBlock::Pair { label, value } => self.pair(label, value, TextStyle::PLAIN),
            ReceiptBlock::Amount { label, value } => self.pair(label, value, TextStyle::LARGE),
            ReceiptBlock::Columns(cells) => self.row(cells),
            ReceiptBlock::Rule => {
                self.line(&"-".repeat(self.columns(TextStyle::PLAIN)), TextAlign::Left, TextStyle::PLAIN)
            }
            ReceiptBlock::Feed(lines) => self.feed((*lines).min(FEED_MAX)),
            ReceiptBlock::Qr(content) => self.qr(content),
            ReceiptBlock::Barcode(content) => self.barcode(content),
            ReceiptBlock::Image(picture) => self.image(picture),
            ReceiptBlock::Cut => self.cut(),
        }
    }

    fn columns(&self, style: TextStyle) -> usize {
        usize::from(self.profile.columns) / usize::from(style.size.width_factor())
    }

    fn wrapped(&mut self, text: &str, align: TextAlign, style: TextStyle) -> Result<(), ComposeFault> {
        layout::wrap(&sanitize(text), self.columns(style))
            .iter()
            .try_for_each(|line| self.line(line, align, style))
    }

    fn pair(&mut self, label: &str, value: &str, style: TextStyle) -> Result<(), ComposeFault> {
        layout::pair(&sanitize(label), &sanitize(value), self.columns(style))
            .iter()
            .try_for_each(|line| self.line(line, TextAlign::Left, style))
    }

    fn row(&mut self, cells: &[ReceiptCell]) -> Result<(), ComposeFault> {
        let fitted: Vec<_> =
            cells.iter().map(|cell| (sanitize(&cell.text), usize::from(cell.columns), cell.align)).collect();
        match layout::row(&fitted, self.columns(TextStyle::PLAIN)) {
            Some(lines) => {
                lines.iter().try_for_each(|line| self.line(line, TextAlign::Left, TextStyle::PLAIN))
            }
            None => {
                fitted.iter().try_for_each(|(text, _, align)| self.wrapped(text, *align, TextStyle::PLAIN))
            }
        }
    }

    fn feed(&mut self, lines: u8) -> Result<(), ComposeFault> {
        self.lines += u32::from(lines);
        self.push_command(|encoder| encoder.custom(&vec![b'\n'; usize::from(lines)]))
    }

    fn cut(&mut self) -> Result<(), ComposeFault> {
        match self.profile.cutter {
            Cutter::Partial { .. } => {
                self.push_command(|encoder| encoder.custom(&receipt_end(self.profile.cutter)))
            }
            Cutter::None { .. } => {
                let dashes = "- ".repeat(self.columns(TextStyle::PLAIN) / 2);
                self.line(dashes.trim_end(), TextAlign::Left, TextStyle::PLAIN)
            }
        }
    }

    /// Prints one line that fits the paper: as text, or rasterised if the printer's font lacks one of its characters.
    fn line(&mut self, text: &str, align: TextAlign, style: TextStyle) -> Result<(), ComposeFault> {
        self.lines += u32::from(style.size.height_factor());
        if !text.chars().all(|c| self.profile.charset.covers(c)) {
            return self.drawn_line(text, align, style);
        }
        self.push_command(|encoder| {
            match align {
                TextAlign::Left => {}
                TextAlign::Center => drop(encoder.justify(JustifyMode::CENTER)?),
                TextAlign::Right => drop(encoder.justify(JustifyMode::RIGHT)?),
            }
            if style.bold {
                encoder.bold(true)?;
            }
            if style.underline {
                encoder.custom(&UNDERLINE_ON)?;
            }
            if style.size != TextSize::Normal {
                encoder.size(style.size.width_factor(), style.size.height_factor())?;
            }
            encoder.write(text)?.custom(b"\n")?;
            if style.size != TextSize::Normal {
                encoder.reset_size()?;
            }
            if style.underline {
                encoder.custom(&UNDERLINE_OFF)?;
            }
            if style.bold {
                encoder.bold(false)?;
            }
            if align != TextAlign::Left {
                encoder.justify(JustifyMode::LEFT)?;
            }
            Ok(encoder)
        })
    }

    fn drawn_line(&mut self, text: &str, align: TextAlign, style: TextStyle) -> Result<(), ComposeFault> {
        let spare = self.columns(style).saturating_sub(layout::text_width(text));
        let left_columns = match align {
            TextAlign::Left => 0,
            TextAlign::Center => spare / 2,
            TextAlign::Right => spare,
        };
        let rasterizer = match self.rasterizer.take() {
            Some(rasterizer) => rasterizer,
            None => GlyphRasterizer::open(&self.profile.font, self.profile.font_index)?,
        };
        let width_dots = usize::from(self.profile.width_dots);
        let drawn = rasterizer.draw(text, width_dots, style, left_columns);
        self.rasterizer = Some(rasterizer);
        self.commands.append(&mut drawn?.commands());
        Ok(())
    }

    fn image(&mut self, picture: &Picture) -> Result<(), ComposeFault> {
        let width_dots = usize::from(self.profile.width_dots);
        let left = width_dots.checked_sub(picture.width_dots()).ok_or(ComposeFault::PictureTooWide)? / 2;
        let mut bitmap = Bitmap::white(width_dots, picture.rows());
        for (y, x) in (0..picture.rows()).flat_map(|y| (0..picture.width_dots()).map(move |x| (y, x))) {
            if picture.is_black(x, y) {
                bitmap.set_black(left + x, y);
            }
        }
        self.lines += u32::try_from(picture.rows() / LINE_ROWS).unwrap_or(u32::MAX);
        self.commands.append(&mut bitmap.commands());
        Ok(())
    }

    fn barcode(&mut self, content: &str) -> Result<(), ComposeFault> {
        let bars =
            barcode::command(content, usize::from(self.profile.width_dots)).ok_or(ComposeFault::CodeUnfit)?;
        // Bars of 10 mm and the text line below them.
        self.lines += 4;
        self.push_command(|encoder| {
            encoder.justify(JustifyMode::CENTER)?.custom(&bars)?.custom(b"\n")?.justify(JustifyMode::LEFT)
        })
    }

    fn qr(&mut self, content: &str) -> Result<(), ComposeFault> {
        let width_dots = usize::from(self.profile.width_dots);
        if content.len() > QR_MAX || content.chars().any(char::is_control) {
            return Err(ComposeFault::CodeUnfit);
        }
        let qr = Qr::new(content, width_dots).ok_or(ComposeFault::CodeUnfit)?;
        // A QR code is at most 45 mm high: about 12 lines.
        self.lines += 12;
        match self.profile.qr_method {
            QrMethod::Raster => {
                self.commands.append(&mut qr.draw(width_dots).commands());
                Ok(())
            }
            QrMethod::Native => {
                let module_dots = u8::try_from(qr.module_dots).expect("at most 8 dots");
                let option = QRCodeOption::new(QRCodeModel::Model2, module_dots, QRCodeCorrectionLevel::M);
                self.push_command(|encoder| {
                    encoder.justify(JustifyMode::CENTER)?.qrcode_option(content, option)?;
                    encoder.custom(b"\n")?.justify(JustifyMode::LEFT)
                })
            }
        }
    }
}
