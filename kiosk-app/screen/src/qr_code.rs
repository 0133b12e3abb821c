//! QR codes as images.

use slint::{Image, Rgb8Pixel, SharedPixelBuffer};

/// Width of the quiet zone in modules (ISO/IEC 18004: four).
const QUIET: usize = 4;

/// Draws a QR code with one pixel per module; the view scales it without smoothing. Empty when the text is too long.
pub(crate) fn qr_image(text: &str) -> Image {
    let Ok(code) = qrcode::QrCode::new(text) else { return Image::default() };
    let width = code.width();
    let side = width + 2 * QUIET;
    let Ok(pixels) = u32::try_from(side) else { return Image::default() };
    let mut buffer = SharedPixelBuffer::<Rgb8Pixel>::new(pixels, pixels);
    let colours = code.to_colors();
    for (at, pixel) in buffer.make_mut_slice().iter_mut().enumerate() {
        let inside = |place: usize| place.checked_sub(QUIET).filter(|place| *place < width);
        let dark = inside(at % side)
            .zip(inside(at / side))
            .is_some_and(|(x, y)| colours.get(y * width + x) == Some(&qrcode::Color::Dark));
        let light = if dark { 0 } else { 255 };
        *pixel = Rgb8Pixel { r: light, g: light, b: light };
    }
    Image::from_rgb8(buffer)
}
