//! The frame type that the decoders take, and the trait of frame sources.

use std::fmt;
use std::io;
use std::time::Instant;

use zeroize::Zeroize;

/// Largest width and height of a frame, in pixels.
pub const SIDE_MAX: u32 = 4096;

/// One picture: 8-bit luma, row by row, without padding. Wiped on drop, since it may show a resident.
#[derive(Clone, PartialEq, Eq)]
pub struct LumaFrame {
    width: u32,
    height: u32,
    luma: Vec<u8>,
}

impl LumaFrame {
    /// Creates a frame from a luma plane of `width` × `height` bytes. `None` if the length does not match, or a
    /// side is 0 or above [`SIDE_MAX`].
    #[must_use]
    pub fn new(width: u32, height: u32, luma: Vec<u8>) -> Option<Self> {
        let sides_fit = (1..=SIDE_MAX).contains(&width) && (1..=SIDE_MAX).contains(&height);
        let pixels = usize::try_from(u64::from(width) * u64::from(height)).ok()?;
        (sides_fit && luma.len() == pixels).then_some(Self { width, height, luma })
    }

    /// Width in pixels.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The luma plane: `width` × `height` bytes, 0 is black.
    #[must_use]
    pub fn luma(&self) -> &[u8] {
        &self.luma
    }
}

impl Drop for LumaFrame {
    fn drop(&mut self) {
        self.luma.zeroize();
    }
}

/// Shows the size only.
impl fmt::Debug for LumaFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({}×{})", self.width, self.height)
    }
}

/// A source of frames: a camera or a stream of pictures.
pub trait FrameSource {
    /// Returns the newest frame and drops older ones. Waits for a frame until `deadline`.
    ///
    /// # Errors
    /// [`SourceError::Stalled`] if no frame came in time; `next` may be called again. After any other error the
    /// source must be opened again.
    fn next(&mut self, deadline: Instant) -> Result<LumaFrame, SourceError>;
}

/// Why a source gives no frame.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The camera, file or socket does not exist or cannot be opened.
    #[error("the picture source cannot be opened: check that the camera is plugged in and the path is right")]
    Absent(#[source] io::Error),
    /// No frame came in time.
    #[error("no picture came in time")]
    Stalled,
    /// The stream ended or the camera was unplugged.
    #[error("the picture source ended: open it again")]
    Ended,
    /// Reading failed.
    #[error("reading a picture failed: open the source again")]
    Io(#[source] io::Error),
    /// The data does not have the declared format.
    #[error("the picture stream is malformed ({0}): check the program that writes it")]
    Malformed(String),
    /// The camera failed, or supports no known format.
    #[error("the camera failed ({0}): open it again or replace it")]
    Camera(String),
}
