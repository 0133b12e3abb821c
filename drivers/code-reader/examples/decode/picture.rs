//! Reads pictures from files.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use code_reader::LumaFrame;
use image::{DynamicImage, RgbImage, RgbaImage};
use image_webp::WebPDecoder;

/// Reads a picture as luma; transparent pixels are white.
pub(crate) fn read(path: &Path) -> Option<LumaFrame> {
    let bytes = fs::read(path).ok()?;
    let picture = webp(&bytes).or_else(|| image::load_from_memory(&bytes).ok())?;
    let luma = picture.to_luma_alpha8();
    let on_white = |pixel: &image::LumaA<u8>| {
        let [luma, alpha] = pixel.0.map(u32::from);
        u8::try_from((luma * alpha + 255 * (255 - alpha)) / 255).unwrap_or(u8::MAX)
    };
    LumaFrame::new(luma.width(), luma.height(), luma.pixels().map(on_white).collect())
}

/// A WebP picture. The product decodes no WebP, so the crate `image` is built without it.
fn webp(bytes: &[u8]) -> Option<DynamicImage> {
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).ok()?;
    let (width, height) = decoder.dimensions();
    let mut pixels = vec![0; decoder.output_buffer_size()?];
    decoder.read_image(&mut pixels).ok()?;
    if decoder.has_alpha() {
        RgbaImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgba8)
    } else {
        RgbImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgb8)
    }
}

/// Escapes a text for one line of a table: line feed, carriage return, tab and backslash as `\n \r \t \\`.
pub(crate) fn escaped(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t")
}
