//! A finger and a stop-watch on an X display: how long until pixels answer a touch.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{
    BUTTON_PRESS_EVENT, BUTTON_RELEASE_EVENT, ConnectionExt as _, ImageFormat, MOTION_NOTIFY_EVENT,
};
use x11rb::protocol::xtest::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;

/// How long a finger stays.
const PRESS: Duration = Duration::from_millis(60);
/// A touch that nothing answers within this is not answered.
const PATIENCE: Duration = Duration::from_secs(5);

/// A finger at one display.
pub struct Finger {
    x: RustConnection,
    root: u32,
}

impl Finger {
    /// At this display, for example `:90`.
    ///
    /// # Errors
    /// When there is none.
    pub fn open(display: &str) -> Result<Self> {
        let (x, screen) = x11rb::connect(Some(display))?;
        let root = x.setup().roots.get(screen).context("the display has no screen")?.root;
        Ok(Self { x, root })
    }

    /// Touches there. From the finger's lifting, which is when a button acts, to the first pixel of the title that
    /// changes for it.
    ///
    /// # Errors
    /// When nothing changes, or the display is gone.
    pub fn touch(&self, (left, top): (i32, i32)) -> Result<Duration> {
        let at = (i16::try_from(left)?, i16::try_from(top)?);
        let before = self.title()?;
        self.send(MOTION_NOTIFY_EVENT, 0, at)?;
        self.send(BUTTON_PRESS_EVENT, 1, at)?;
        std::thread::sleep(PRESS);
        let lifted = Instant::now();
        self.send(BUTTON_RELEASE_EVENT, 1, at)?;
        while self.title()? == before {
            if lifted.elapsed() > PATIENCE {
                bail!("no pixel of the title changed within {} s of a touch", PATIENCE.as_secs());
            }
        }
        Ok(lifted.elapsed())
    }

    fn send(&self, kind: u8, button: u8, (left, top): (i16, i16)) -> Result<()> {
        self.x.xtest_fake_input(kind, button, 0, self.root, left, top, 0)?.check()?;
        Ok(())
    }

    /// The strip of the screen in which the title stands; it holds no clock.
    fn title(&self) -> Result<Vec<u8>> {
        Ok(self.x.get_image(ImageFormat::Z_PIXMAP, self.root, 0, 150, 1000, 100, !0)?.reply()?.data)
    }
}
