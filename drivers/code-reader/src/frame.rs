//! A picture as the decoders want it, and where pictures come from.

use std::fmt;
use std::io;
use std::time::Instant;

use zeroize::Zeroize;

/// Largest width and height of a frame, in pixels.
pub const SIDE_MAX: u32 = 4096;

/// One picture: 8-bit luma, row by row, without padding. Wiped when dropped, since it may show a resident.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    width: u32,
    height: u32,
    luma: Vec<u8>,
}

impl Frame {
    /// Takes a luma plane of `width` × `height` bytes. `None` if the length does not fit, or a side is
    /// zero or above [`SIDE_MAX`].
    #[must_use]
    pub fn new(width: u32, height: u32, luma: Vec<u8>) -> Option<Self> {
        let sides_fit = (1..=SIDE_MAX).contains(&width) && (1..=SIDE_MAX).contains(&height);
        let pixels = usize::try_from(u64::from(width) * u64::from(height)).ok()?;
        (sides_fit && luma.len() == pixels).then_some(Self { width, height, luma })
    }

    /// Pixels in a row.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Rows.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The plane: `width` × `height` bytes, 0 is black.
    #[must_use]
    pub fn luma(&self) -> &[u8] {
        &self.luma
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        self.luma.zeroize();
    }
}

/// Shows the size only.
impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({}×{})", self.width, self.height)
    }
}

/// Where frames come from: a camera or a stream of pictures.
pub trait FrameSource {
    /// The newest frame; older ones that nobody asked for are dropped. Waits for one until `deadline`.
    ///
    /// # Errors
    /// [`SourceError::Stalled`] if none came in time; the source may be asked again. After any other error
    /// it must be opened anew.
    fn next(&mut self, deadline: Instant) -> Result<Frame, SourceError>;
}

/// What can be wrong with a source of frames.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// There is no such camera, file or socket, or it does not open.
    #[error("the picture source does not open: check that the camera is plugged in and the path is right")]
    Absent(#[source] io::Error),
    /// No frame came in time.
    #[error("no picture came in time")]
    Stalled,
    /// The stream ended or the camera was unplugged.
    #[error("the pictures ended: open the source again")]
    Ended,
    /// Reading failed.
    #[error("reading a picture failed: open the source again")]
    Io(#[source] io::Error),
    /// What came is not the promised format.
    #[error("the picture stream is malformed ({0}): check what writes it")]
    Malformed(String),
    /// The camera failed, or gives no format that is understood here.
    #[error("the camera failed ({0}): open it again or replace it")]
    Camera(String),
}
