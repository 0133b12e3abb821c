//! Touches an X display and measures the latency from a touch to the first changed pixel.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{
    BUTTON_PRESS_EVENT, BUTTON_RELEASE_EVENT, ConnectionExt as _, ImageFormat, MOTION_NOTIFY_EVENT,
};
use x11rb::protocol::xtest::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;

/// Duration of a press.
const PRESS_DURATION: Duration = Duration::from_millis(60);
/// Longest latency that is waited for.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection to an X display that sends touches and reads pixels.
pub struct Pointer {
    connection: RustConnection,
    root: u32,
}

impl Pointer {
    /// Opens this display, for example `:90`.
    ///
    /// # Errors
    /// When the display cannot be opened.
    pub fn open(display: &str) -> Result<Self> {
        let (x, screen) = x11rb::connect(Some(display))?;
        let root = x.setup().roots.get(screen).context("the display has no screen")?.root;
        Ok(Self { connection: x, root })
    }

    /// Touches at this position in pixels. Returns the time from the release, at which a button acts, to the first
    /// changed pixel of the title.
    ///
    /// # Errors
    /// When no pixel changes in time, or the connection is lost.
    pub fn touch_and_time(&self, (left, top): (i32, i32)) -> Result<Duration> {
        let at = (i16::try_from(left)?, i16::try_from(top)?);
        let before = self.capture_title()?;
        self.send_input(MOTION_NOTIFY_EVENT, 0, at)?;
        self.send_input(BUTTON_PRESS_EVENT, 1, at)?;
        std::thread::sleep(PRESS_DURATION);
        let lifted = Instant::now();
        self.send_input(BUTTON_RELEASE_EVENT, 1, at)?;
        while self.capture_title()? == before {
            if lifted.elapsed() > RESPONSE_TIMEOUT {
                bail!("no pixel of the title changed within {} s of a touch", RESPONSE_TIMEOUT.as_secs());
            }
        }
        Ok(lifted.elapsed())
    }

    fn send_input(&self, kind: u8, button: u8, (left, top): (i16, i16)) -> Result<()> {
        self.connection.xtest_fake_input(kind, button, 0, self.root, left, top, 0)?.check()?;
        Ok(())
    }

    /// The strip of the screen that holds the title; it contains no clock.
    fn capture_title(&self) -> Result<Vec<u8>> {
        Ok(self.connection.get_image(ImageFormat::Z_PIXMAP, self.root, 0, 150, 1000, 100, !0)?.reply()?.data)
    }
}
