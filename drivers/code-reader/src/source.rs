//! Opens whatever a site file names as the place where pictures come from.

use std::path::Path;

use crate::camera::Camera;
use crate::frame::{FrameSource, SourceError};
use crate::stream::Y4mStream;

/// What V4L2 devices are called.
const CAMERA_PREFIX: &str = "/dev/video";

/// Opens `/dev/videoN` as a camera; any other path is a file, FIFO or UNIX socket that yields a YUV4MPEG2 stream.
///
/// # Errors
/// [`SourceError::Absent`] if it is not there or does not open, [`SourceError::Camera`] if a camera has no format that
/// is understood here, [`SourceError::Stalled`] if it does not answer.
pub fn open(path: &str) -> Result<Box<dyn FrameSource>, SourceError> {
    match path.strip_prefix(CAMERA_PREFIX).map(str::parse) {
        Some(Ok(index)) => Ok(Box::new(Camera::open(index)?)),
        Some(Err(_)) | None => Ok(Box::new(Y4mStream::open(Path::new(path))?)),
    }
}
