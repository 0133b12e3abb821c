//! Opens whatever a site file names as the place where pictures come from.

use std::path::{Path, PathBuf};

use crate::camera::{self, Camera};
use crate::frame::{Frame, FrameSource, SourceError};
use crate::luma::{self, Packing};
use crate::stream::Y4mStream;
use crate::y4m::Y4mParser;

pub use crate::camera::{CameraFound, cameras};

/// What V4L2 devices are called.
const CAMERA_PREFIX: &str = "/dev/video";
/// What names a camera by its name, not its path.
const NAME_PREFIX: &str = "camera:";

/// Opens a camera: `/dev/videoN`, a link to it (as udev makes for the one behind a certain socket), or `camera:` and a
/// part of its name. Any other path is a file, FIFO or UNIX socket that yields a YUV4MPEG2 stream. `exposure`:
/// of a camera that lets it be set, in 100 µs; its own choice if `None`.
///
/// # Errors
/// [`SourceError::Absent`] if it is not there or does not open, [`SourceError::Camera`] if a camera has no format that
/// is understood here, [`SourceError::Stalled`] if it does not answer.
pub fn open(source: &str, exposure: Option<u16>) -> Result<Box<dyn FrameSource>, SourceError> {
    let path = match source.strip_prefix(NAME_PREFIX) {
        Some(name) => camera::named(name)?,
        None => PathBuf::from(source),
    };
    match camera_index(&path) {
        Some(index) => Ok(Box::new(Camera::open(index, exposure)?)),
        None => Ok(Box::new(Y4mStream::open(&path)?)),
    }
}

/// The number of a V4L2 device, behind however many links.
fn camera_index(path: &Path) -> Option<u32> {
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    path.to_str()?.strip_prefix(CAMERA_PREFIX)?.parse().ok()
}

/// The frames of a YUV4MPEG2 stream that is here as a whole, up to its end or to what is malformed in it.
#[must_use]
pub fn y4m_frames(mut bytes: &[u8]) -> Vec<Frame> {
    let mut parser = Y4mParser::new();
    std::iter::from_fn(|| parser.feed(&mut bytes).ok().flatten()).collect()
}

/// A camera's frame in Motion JPEG; what follows its end is ignored.
#[must_use]
pub fn jpeg_frame(bytes: &[u8]) -> Option<Frame> {
    luma::unpack(Packing::Mjpeg, 0, 0, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn camera_index_is_parsed_from_device_path() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("camera");
        std::os::unix::fs::symlink("/dev/video9999", &link).unwrap();
        assert_eq!(camera_index(Path::new("/dev/video0")), Some(0));
        assert_eq!(camera_index(Path::new("/dev/videos/clip.y4m")), None);
        assert_eq!(camera_index(folder.path()), None);
        // It leads nowhere here, so it is taken for what it is.
        assert_eq!(camera_index(&link), None);
    }

    #[test]
    fn y4m_frames_stop_at_first_malformed_frame() {
        let stream = b"YUV4MPEG2 W2 H1 Cmono\nFRAME\nabFRAME\ncdFRAUD\nef";
        let frames = y4m_frames(stream);
        assert_eq!(frames.iter().map(Frame::luma).collect::<Vec<_>>(), [b"ab", b"cd"]);
    }
}
