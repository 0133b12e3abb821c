//! Reads pictures from files.

use std::path::Path;

use code_reader::LumaFrame;

/// Reads a picture as luma; transparent pixels are white.
pub(crate) fn read(path: &Path) -> Option<LumaFrame> {
    let picture = image::ImageReader::open(path).ok()?.with_guessed_format().ok()?.decode().ok()?;
    let luma = picture.to_luma_alpha8();
    let on_white = |pixel: &image::LumaA<u8>| {
        let [luma, alpha] = pixel.0.map(u32::from);
        u8::try_from((luma * alpha + 255 * (255 - alpha)) / 255).unwrap_or(u8::MAX)
    };
    LumaFrame::new(luma.width(), luma.height(), luma.pixels().map(on_white).collect())
}

/// Escapes a text for one line of a table: line feed, carriage return, tab and backslash as `\n \r \t \\`.
pub(crate) fn escaped(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t")
}
