//! Properties and capabilities of a printer model: data that the encoder and the driver read.

use std::path::PathBuf;

/// The font for characters that the printer's own font lacks (Debian `fonts-noto-cjk`), and the index of the
/// simplified Chinese face in that collection.
pub(crate) const FONT: (&str, u32) = ("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc", 2);

/// Dots per column of the standard font (12 × 24 dots; a Chinese character is 24 × 24).
pub(crate) const COLUMN_DOTS: u16 = 12;

/// A printer model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrinterProfile {
    /// Printable width in dots; 8 dots per millimetre on the 203 dpi models that these profiles describe.
    pub width_dots: u16,
    /// Columns of the standard font across that width; a Chinese character takes two.
    pub columns: u16,
    /// Which characters the printer's own fonts have.
    pub charset: Charset,
    /// How a receipt ends.
    pub cutter: Cutter,
    /// How QR codes are printed.
    pub qr_method: QrMethod,
    /// Whether the printer answers status queries.
    pub status_query: StatusQuery,
    /// The strongest confirmation that this model gives.
    pub confirmation_method: ConfirmationMethod,
    /// Font for rasterising lines with characters outside `charset`.
    pub font: PathBuf,
    /// Index of the face in `font`, if `font` is a collection.
    pub font_index: u32,
}

/// Which characters the printer's font ROM has. All text is sent in GB 18030.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charset {
    /// GB/T 2312-1980: 6,763 characters of everyday use.
    Gb2312,
    /// GBK 1.0: 21,003 characters.
    Gbk,
    /// The mandatory part of GB 18030-2005: GBK and CJK extension A in four bytes.
    Gb18030,
}

/// How a receipt ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cutter {
    /// No cutter: feed until the text is past the tear bar.
    None {
        /// Lines from the print head to the tear bar.
        feed_lines: u8,
    },
    /// `GS V 66 n`: feed to the cutter and `feed_dots` more, then a partial cut.
    Partial {
        /// `n`, in vertical motion units (a dot on most models).
        feed_dots: u8,
    },
}

/// How QR codes are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QrMethod {
    /// Drawn by the printer, by `GS ( k`.
    Native,
    /// Drawn by this driver and sent as a bitmap by `GS v 0`.
    Raster,
}

/// Whether a printer answers `DLE EOT 1..4`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusQuery {
    /// Real-time status, answered at any time.
    RealTime,
    /// No status queries; the printer is assumed to be ready.
    None,
}

/// The strongest confirmation of printing that a model gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfirmationMethod {
    /// `GS ( H` echoes an id when the data before it has been printed; `GS r 1` works too. Only for models known to
    /// support it: others print its parameters as text.
    ProcessId,
    /// Print barrier: `GS r 1` is answered in order.
    Barrier,
    /// Status only: `DLE EOT` is answered, `GS r 1` is not.
    StatusOnly,
    /// No confirmation: the printer answers nothing.
    None,
}

impl PrinterProfile {
    /// Looks up a profile: `generic-80` and `generic-58` (Chinese desktop and built-in models; the common subset of
    /// the manuals of ZiJiang, Better and Xprinter; not tried on hardware), `epson-80` (TM-T82III and later with
    /// the Chinese font, by Epson's command reference).
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        let (font, font_index) = (PathBuf::from(FONT.0), FONT.1);
        let generic_80 = Self {
            width_dots: 576,
            columns: 48,
            charset: Charset::Gbk,
            cutter: Cutter::Partial { feed_dots: 0 },
            qr_method: QrMethod::Native,
            status_query: StatusQuery::RealTime,
            confirmation_method: ConfirmationMethod::Barrier,
            font,
            font_index,
        };
        match name {
            "generic-80" => Some(generic_80),
            "generic-58" => Some(Self {
                width_dots: 384,
                columns: 32,
                charset: Charset::Gb2312,
                cutter: Cutter::None { feed_lines: 4 },
                qr_method: QrMethod::Raster,
                ..generic_80
            }),
            "epson-80" => Some(Self {
                charset: Charset::Gb18030,
                confirmation_method: ConfirmationMethod::ProcessId,
                ..generic_80
            }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_profile_columns_fit_its_paper() {
        for name in ["generic-80", "generic-58", "epson-80"] {
            let profile = PrinterProfile::by_name(name).unwrap();
            assert!(profile.columns * COLUMN_DOTS <= profile.width_dots, "{name}");
        }
    }

    #[test]
    fn unknown_profile_name_gives_none() {
        assert_eq!(PrinterProfile::by_name("generic-112"), None);
    }
}
