//! Client of an X display: screenshots and touches.

use std::io::Cursor;

use anyhow::{Context as _, Result};
use image::{ImageFormat, RgbImage};
use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{BUTTON_PRESS_EVENT, BUTTON_RELEASE_EVENT};
use x11rb::protocol::xproto::{ConnectionExt as _, ImageFormat as XImageFormat, MOTION_NOTIFY_EVENT};
use x11rb::protocol::xtest::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;

/// A kiosk's X display.
pub struct XDisplay {
    connection: RustConnection,
    root: u32,
    width: u16,
    height: u16,
}

impl XDisplay {
    /// Opens the display, for example `:90`.
    ///
    /// # Errors
    /// When the display cannot be opened.
    pub fn open(name: &str) -> Result<Self> {
        let (connection, screen) = x11rb::connect(Some(name)).with_context(|| format!("X display {name}"))?;
        let screen = connection.setup().roots.get(screen).context("the display has no screen")?;
        let (root, width, height) = (screen.root, screen.width_in_pixels, screen.height_in_pixels);
        Ok(Self { connection, root, width, height })
    }

    /// Screenshot as the X server holds it: blue, green, red and one unused byte for each pixel.
    ///
    /// # Errors
    /// When the connection to the X server is lost.
    pub fn capture_pixels(&self) -> Result<Vec<u8>> {
        let (width, height) = (self.width, self.height);
        let request =
            self.connection.get_image(XImageFormat::Z_PIXMAP, self.root, 0, 0, width, height, !0)?;
        Ok(request.reply()?.data)
    }

    /// The picture of a screenshot of this display.
    ///
    /// # Errors
    /// When it has another size.
    pub fn picture(&self, pixels: &[u8]) -> Result<RgbImage> {
        let mut rgb = Vec::with_capacity(pixels.len() / 4 * 3);
        for pixel in pixels.chunks_exact(4) {
            if let [blue, green, red, _] = pixel {
                rgb.extend([*red, *green, *blue]);
            }
        }
        RgbImage::from_raw(self.width.into(), self.height.into(), rgb)
            .context("the X server sent a picture of an unexpected size")
    }

    /// Screenshot.
    ///
    /// # Errors
    /// When the connection to the X server is lost.
    pub fn capture(&self) -> Result<RgbImage> {
        self.picture(&self.capture_pixels()?)
    }

    /// Screenshot as PNG.
    ///
    /// # Errors
    /// When the connection to the X server is lost, or the picture cannot be encoded.
    pub fn capture_png(&self) -> Result<Vec<u8>> {
        Self::encode_png(&self.capture()?)
    }

    /// A screenshot as PNG.
    ///
    /// # Errors
    /// When the picture cannot be encoded.
    pub fn encode_png(picture: &RgbImage) -> Result<Vec<u8>> {
        let mut png = Cursor::new(Vec::new());
        picture.write_to(&mut png, ImageFormat::Png)?;
        Ok(png.into_inner())
    }

    /// Touches the screen at this position in pixels.
    ///
    /// # Errors
    /// When the connection to the X server is lost, or it lacks the XTEST extension.
    pub fn tap(&self, x: i16, y: i16) -> Result<()> {
        for (kind, button) in [(MOTION_NOTIFY_EVENT, 0), (BUTTON_PRESS_EVENT, 1), (BUTTON_RELEASE_EVENT, 1)] {
            self.connection.xtest_fake_input(kind, button, 0, self.root, x, y, 0)?.check()?;
            // 30 ms is as long as a very quick touch; a press and a release within one frame would not count as one.
            std::thread::sleep(std::time::Duration::from_millis(30));
        }
        Ok(())
    }
}
