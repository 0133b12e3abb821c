//! Monochrome bitmaps, one bit per dot, sent by `GS v 0`.

use qrcode::{Color, EcLevel, QrCode};

/// Rows in one `GS v 0`. Short commands keep the padding short that ends an interrupted one.
const BAND_ROWS: usize = 24;

/// Quiet zone of a QR code on each side, in modules (ISO/IEC 18004, 9.1).
const QUIET_MODULES: usize = 4;

/// Widest QR code in dots: 45 mm at 203 dpi. Larger ones only waste paper.
const QR_DOTS_MAX: usize = 360;

/// Dots per module. Below 3 (0.375 mm) phones begin to fail on thermal paper; above 8 nothing improves.
const MODULE_DOTS: std::ops::RangeInclusive<usize> = 3..=8;

/// A bitmap: one bit per dot, rows of whole bytes, most significant bit left, 1 is black.
pub(crate) struct Bitmap {
    row_bytes: usize,
    bits: Vec<u8>,
}

impl Bitmap {
    /// Creates a white bitmap. The width is rounded up to whole bytes.
    pub(crate) fn white(width_dots: usize, rows: usize) -> Self {
        let row_bytes = width_dots.div_ceil(8);
        Self { row_bytes, bits: vec![0; row_bytes * rows] }
    }

    /// Makes a dot black. Coordinates outside the bitmap are ignored.
    pub(crate) fn set_black(&mut self, x: usize, y: usize) {
        if x / 8 >= self.row_bytes {
            return;
        }
        if let Some(byte) = self.bits.get_mut(y * self.row_bytes + x / 8) {
            *byte |= 0x80 >> (x % 8);
        }
    }

    /// The bitmap as commands `GS v 0 m=0 xL xH yL yH d…`, one per band. Each must be sent whole.
    pub(crate) fn commands(&self) -> Vec<Vec<u8>> {
        let [x_low, x_high, ..] = self.row_bytes.to_le_bytes();
        self.bits
            .chunks(BAND_ROWS * self.row_bytes)
            .map(|band| {
                let [y_low, y_high, ..] = (band.len() / self.row_bytes).to_le_bytes();
                let mut command = vec![0x1D, b'v', b'0', 0, x_low, x_high, y_low, y_high];
                command.extend_from_slice(band);
                break_real_time_commands(&mut command);
                command
            })
            .collect()
    }
}

/// Breaks every `DLE EOT`, `DLE ENQ` and `DLE DC4` inside a bitmap by one black dot: printers execute real-time
/// commands anywhere in the data (Epson, notes on real-time commands). A final DLE is broken too: together with the
/// DLE of the status query that follows, it could make a printer miss the query.
fn break_real_time_commands(command: &mut [u8]) {
    const DOT: u8 = 0x08;
    let mut after_dle = false;
    for byte in &mut *command {
        if after_dle && matches!(*byte, 0x04 | 0x05 | 0x14) {
            *byte |= DOT;
        }
        after_dle = *byte == 0x10;
    }
    if let Some(last @ 0x10) = command.last_mut() {
        *last |= DOT;
    }
}

/// Dots per module for a QR code with `modules` per side, or `None` if the code does not fit the paper.
fn module_dots(modules: usize, width_dots: usize) -> Option<usize> {
    let side = modules + 2 * QUIET_MODULES;
    let (smallest, largest) = (*MODULE_DOTS.start(), *MODULE_DOTS.end());
    let wanted = (width_dots.min(QR_DOTS_MAX) / side).clamp(smallest, largest);
    (wanted * side <= width_dots).then_some(wanted)
}

/// A QR code as horizontal runs of dark modules: first column, row, length. The side includes the quiet zone.
pub(crate) struct Runs {
    pub(crate) side_modules: u32,
    pub(crate) dark: Vec<(u32, u32, u32)>,
}

/// A QR code with error correction level M, scaled for this paper.
pub(crate) struct Qr {
    code: QrCode,
    /// Dots per module.
    pub(crate) module_dots: usize,
}

impl Qr {
    pub(crate) fn new(content: &str, width_dots: usize) -> Option<Self> {
        let code = QrCode::with_error_correction_level(content, EcLevel::M).ok()?;
        let module_dots = module_dots(code.width(), width_dots)?;
        Some(Self { code, module_dots })
    }

    /// The dark modules of a code as runs, for vector output. `None` if the content is too long.
    pub(crate) fn runs(content: &str) -> Option<Runs> {
        let code = QrCode::with_error_correction_level(content, EcLevel::M).ok()?;
        let modules = code.width();
        let side_modules = u32::try_from(modules + 2 * QUIET_MODULES).ok()?;
        let mut dark: Vec<(u32, u32, u32)> = Vec::new();
        for (index, color) in code.to_colors().into_iter().enumerate() {
            let place = |at: usize| u32::try_from(at + QUIET_MODULES).unwrap_or(u32::MAX);
            let (column, row) = (place(index % modules), place(index / modules));
            match dark.last_mut() {
                _ if color == Color::Light => {}
                Some((first, same, length)) if *same == row && *first + *length == column => *length += 1,
                Some(_) | None => dark.push((column, row, 1)),
            }
        }
        Some(Runs { side_modules, dark })
    }

    /// Draws the code centred on the paper, with its quiet zone.
    pub(crate) fn draw(&self, width_dots: usize) -> Bitmap {
        let modules = self.code.width();
        let side_dots = (modules + 2 * QUIET_MODULES) * self.module_dots;
        let left = (width_dots.saturating_sub(side_dots)) / 2;
        let mut bitmap = Bitmap::white(width_dots, side_dots);
        for (index, color) in self.code.to_colors().into_iter().enumerate() {
            if color == Color::Light {
                continue;
            }
            let (column, row) = (index % modules + QUIET_MODULES, index / modules + QUIET_MODULES);
            for y in 0..self.module_dots {
                for x in 0..self.module_dots {
                    bitmap.set_black(left + column * self.module_dots + x, row * self.module_dots + y);
                }
            }
        }
        bitmap
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn has_real_time_command(bytes: &[u8]) -> bool {
        bytes.windows(2).any(|pair| matches!(pair, [0x10, 0x04 | 0x05 | 0x14]))
    }

    #[test]
    fn bitmap_is_split_into_bands_of_24_rows() {
        let mut bitmap = Bitmap::white(20, 30);
        bitmap.set_black(0, 0);
        bitmap.set_black(18, 29);

        let commands = bitmap.commands();

        assert_eq!(commands.len(), 2);
        assert_eq!(commands[0][..9], [0x1D, b'v', b'0', 0, 3, 0, 24, 0, 0x80]);
        assert_eq!(commands[1][..8], [0x1D, b'v', b'0', 0, 3, 0, 6, 0]);
        assert_eq!(commands[1].last(), Some(&0x20));
    }

    #[test]
    fn dot_outside_bitmap_changes_nothing() {
        let mut bitmap = Bitmap::white(16, 2);
        bitmap.set_black(16, 0);
        bitmap.set_black(0, 2);

        assert!(bitmap.bits.iter().all(|&byte| byte == 0));
    }

    #[test]
    fn qr_code_too_wide_for_paper_is_refused() {
        assert!(Qr::new(&"x".repeat(1_000), 384).is_none());
        assert!(Qr::new(&"x".repeat(crate::QR_MAX), 384).is_some());
    }

    proptest! {
        #[test]
        fn bitmap_command_never_contains_real_time_command(bits in proptest::collection::vec(prop_oneof![Just(0x10u8), Just(0x04), Just(0x05), Just(0x14), any::<u8>()], 72..720)) {
            let rows = bits.len() / 72;
            let bitmap = Bitmap { row_bytes: 72, bits: bits[..rows * 72].to_vec() };

            for command in bitmap.commands() {
                prop_assert!(!has_real_time_command(&command));
                prop_assert!(command.last() != Some(&0x10));
            }
        }
    }
}
