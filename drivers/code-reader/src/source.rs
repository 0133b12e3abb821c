//! Opens the frame source that a site file names.

use std::path::{Path, PathBuf};

use crate::camera::{self, Camera};
use crate::frame::{FrameSource, LumaFrame, SourceError};
use crate::luma::{self, PixelFormat};
use crate::stream::Y4mStream;
use crate::y4m::Y4mParser;

pub use crate::camera::{CameraInfo, cameras};

/// Path prefix of V4L2 devices.
const CAMERA_PREFIX: &str = "/dev/video";
/// Prefix of a source that gives a camera by name instead of path.
const NAME_PREFIX: &str = "camera:";

/// Opens a camera: `/dev/videoN`, a link to it (such as udev creates for a certain USB port), or `camera:` and a
/// part of its name. Any other path is a file, FIFO or UNIX socket that yields a YUV4MPEG2 stream. `exposure`:
/// exposure time in 100 µs, for cameras that support it; automatic if `None`.
///
/// # Errors
/// [`SourceError::Absent`] if the source does not exist or cannot be opened, [`SourceError::Camera`] if a camera
/// supports no known format, [`SourceError::Stalled`] if a camera does not answer.
pub fn open(source: &str, exposure: Option<u16>) -> Result<Box<dyn FrameSource>, SourceError> {
    let path = match source.strip_prefix(NAME_PREFIX) {
        Some(name) => camera::find_by_name(name)?,
        None => PathBuf::from(source),
    };
    match camera_index(&path) {
        Some(index) => Ok(Box::new(Camera::open(index, exposure)?)),
        None => Ok(Box::new(Y4mStream::open(&path)?)),
    }
}

/// The number of a V4L2 device; links are resolved.
fn camera_index(path: &Path) -> Option<u32> {
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    path.to_str()?.strip_prefix(CAMERA_PREFIX)?.parse().ok()
}

/// The frames of a complete YUV4MPEG2 stream, up to its end or the first malformed part.
#[must_use]
pub fn y4m_frames(mut bytes: &[u8]) -> Vec<LumaFrame> {
    let mut parser = Y4mParser::new();
    std::iter::from_fn(|| parser.feed(&mut bytes).ok().flatten()).collect()
}

/// Decodes a Motion JPEG frame of a camera; bytes after its end are ignored.
#[must_use]
pub fn jpeg_frame(bytes: &[u8]) -> Option<LumaFrame> {
    luma::unpack(PixelFormat::Mjpeg, 0, 0, bytes)
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
        // The link has no target here, so it is not resolved and has no camera number.
        assert_eq!(camera_index(&link), None);
    }

    #[test]
    fn y4m_frames_stop_at_first_malformed_frame() {
        let stream = b"YUV4MPEG2 W2 H1 Cmono\nFRAME\nabFRAME\ncdFRAUD\nef";
        let frames = y4m_frames(stream);
        assert_eq!(frames.iter().map(LumaFrame::luma).collect::<Vec<_>>(), [b"ab", b"cd"]);
    }
}
