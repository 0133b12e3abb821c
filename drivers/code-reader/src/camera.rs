//! A V4L2 camera, through `nokhwa`.
//!
//! `nokhwa` waits for a frame without a timeout, so a capture thread waits and stores the latest frame for the
//! reader. A thread that hangs in the driver cannot be stopped: it ends with the process, which the kiosk kills and
//! restarts when a camera stalls. Raw frames are unpacked by this crate, since the conversions of `nokhwa` go
//! through RGB. Written for `nokhwa` 0.10.11; not yet run on hardware.

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nokhwa::NokhwaError;
use nokhwa::utils::{
    ApiBackend, CameraFormat, CameraIndex, ControlValueSetter, FrameFormat, KnownCameraControl,
    RequestedFormat, RequestedFormatType, Resolution,
};

use crate::frame::{FrameSource, LumaFrame, SourceError};
use crate::luma::{self, PixelFormat};

/// Timeout for opening a camera.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);

/// Consecutive frames that cannot be unpacked before the camera counts as failed. The first frames are often broken.
const BAD_FRAMES_MAX: u32 = 30;

/// Requested frame sizes, best first. 1280×720 reads a code of 45 modules at 20 cm; larger frames cost more time.
const SIZES: [(u32, u32); 3] = [(1280, 720), (1920, 1080), (640, 480)];

/// Requested frame rate, in frames per second.
const FRAME_RATE: u32 = 30;

/// Requested formats, best first. JPEG first: at 1280×720 USB 2 transfers it at full rate, raw pictures at 10 per
/// second.
const FORMATS: [FrameFormat; 6] = [
    FrameFormat::MJPEG,
    FrameFormat::NV12,
    FrameFormat::YUYV,
    FrameFormat::GRAY,
    FrameFormat::RAWRGB,
    FrameFormat::RAWBGR,
];

/// V4L2 controls (`linux/v4l2-controls.h`) without a name in `nokhwa`, and the requested values: mains frequency 50
/// Hz, and constant frame rate instead of longer exposure, since a blurred code is worse than a dark one.
const POWER_LINE_FREQUENCY: u128 = 0x0098_0918;
const POWER_LINE_50_HZ: i64 = 1;
const EXPOSURE_AUTO_PRIORITY: u128 = 0x009A_0903;
const EXPOSURE_KEEPS_FRAME_RATE: i64 = 0;
const EXPOSURE_AUTO: u128 = 0x009A_0901;
const EXPOSURE_MANUAL: i64 = 1;
/// Exposure time, unit 100 µs.
const EXPOSURE_ABSOLUTE: u128 = 0x009A_0902;

/// A connected camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CameraInfo {
    /// `/dev/videoN`. A camera may have several device files, of which the first gives pictures.
    pub path: PathBuf,
    /// Name that the camera reports.
    pub name: String,
}

/// The connected cameras, sorted by number.
///
/// # Errors
/// [`SourceError::Camera`] if the system cannot list them.
pub fn cameras() -> Result<Vec<CameraInfo>, SourceError> {
    let found =
        nokhwa::query(ApiBackend::Video4Linux).map_err(|error| SourceError::Camera(error.to_string()))?;
    let mut numbered: Vec<(u32, String)> = found
        .iter()
        .filter_map(|camera| Some((camera.index().as_index().ok()?, camera.human_name())))
        .collect();
    numbered.sort();
    let found = |(number, name)| CameraInfo { path: format!("/dev/video{number}").into(), name };
    Ok(numbered.into_iter().map(found).collect())
}

/// The path of the first camera whose name contains `name`.
pub(crate) fn find_by_name(name: &str) -> Result<PathBuf, SourceError> {
    let found = cameras()?.into_iter().find(|camera| camera.name.contains(name));
    let absent = || {
        SourceError::Absent(io::Error::new(
            io::ErrorKind::NotFound,
            "no connected camera has a name that contains the configured text",
        ))
    };
    found.map(|camera| camera.path).ok_or_else(absent)
}

/// A camera whose frames are being captured.
pub(crate) struct Camera {
    latest: Arc<LatestFrame>,
}

#[derive(Default)]
struct LatestFrame {
    state: Mutex<LatestFrameState>,
    changed: Condvar,
}

#[derive(Default)]
struct LatestFrameState {
    newest: Option<LumaFrame>,
    /// Why capturing ended.
    ended: Option<String>,
    /// The reader was dropped; the capture thread must end.
    abandoned: bool,
}

impl LatestFrame {
    fn with<T>(&self, act: impl FnOnce(&mut LatestFrameState) -> T) -> T {
        // A panic while the lock is held leaves no inconsistent state.
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Camera {
    pub(crate) fn open(index: u32, exposure: Option<u16>) -> Result<Self, SourceError> {
        let slot = Arc::new(LatestFrame::default());
        let (opened, answer) = mpsc::sync_channel(1);
        let capture_slot = Arc::clone(&slot);
        std::thread::Builder::new()
            .name("capture".to_owned())
            .spawn(move || capture(index, exposure, &opened, &capture_slot))
            .map_err(SourceError::Io)?;
        match answer.recv_timeout(OPEN_TIMEOUT) {
            Ok(Ok(())) => Ok(Self { latest: slot }),
            Ok(Err(error)) => Err(error),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                slot.with(|content| content.abandoned = true);
                Err(SourceError::Stalled)
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(SourceError::Ended),
        }
    }
}

impl FrameSource for Camera {
    fn next(&mut self, deadline: Instant) -> Result<LumaFrame, SourceError> {
        let content = self.latest.state.lock().unwrap_or_else(PoisonError::into_inner);
        let left = deadline.saturating_duration_since(Instant::now());
        let (mut content, _) = self
            .latest
            .changed
            .wait_timeout_while(content, left, |content| content.newest.is_none() && content.ended.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        match (content.newest.take(), content.ended.clone()) {
            (Some(frame), _) => Ok(frame),
            (None, Some(reason)) => Err(SourceError::Camera(reason)),
            (None, None) => Err(SourceError::Stalled),
        }
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.latest.with(|content| content.abandoned = true);
    }
}

/// The capture thread: opens the camera, reports the result, and stores frames until the camera fails or the reader
/// is dropped.
fn capture(
    index: u32,
    exposure: Option<u16>,
    opened: &SyncSender<Result<(), SourceError>>,
    slot: &LatestFrame,
) {
    let mut camera = match open_stream(index, exposure) {
        Ok(camera) => camera,
        Err(error) => {
            let error = SourceError::Absent(io::Error::other(error.to_string()));
            // Fails only if the opener has stopped waiting.
            let _ = opened.send(Err(error));
            return;
        }
    };
    let _ = opened.send(Ok(()));
    let mut bad_frames = 0;
    let reason = loop {
        let format = camera.camera_format();
        let frame = match camera.frame_raw() {
            Ok(data) => luma::unpack(packing(format.format()), format.width(), format.height(), &data),
            Err(error) => break error.to_string(),
        };
        bad_frames = if frame.is_some() { 0 } else { bad_frames + 1 };
        if bad_frames > BAD_FRAMES_MAX {
            break "too many consecutive frames that do not match the format".to_owned();
        }
        let abandoned = slot.with(|content| {
            if frame.is_some() {
                content.newest = frame;
            }
            content.abandoned
        });
        if abandoned {
            return;
        }
        slot.changed.notify_one();
    };
    slot.with(|content| content.ended = Some(reason));
    slot.changed.notify_one();
}

/// Opens the camera with the best size and format that it supports. They are tried one by one: `nokhwa` finds no
/// closest match if a format lacks the requested size.
fn open_stream(index: u32, exposure: Option<u16>) -> Result<nokhwa::Camera, NokhwaError> {
    let requests = SIZES.iter().flat_map(|&(width, height)| {
        FORMATS.iter().map(move |&format| {
            let request = CameraFormat::new(Resolution::new(width, height), format, FRAME_RATE);
            RequestedFormatType::Closest(request)
        })
    });
    let index = CameraIndex::Index(index);
    let mut last = None;
    for request in requests.chain([RequestedFormatType::None]) {
        match nokhwa::Camera::new(index.clone(), RequestedFormat::with_formats(request, &FORMATS)) {
            Ok(mut camera) => {
                set_controls(&mut camera, exposure);
                camera.open_stream()?;
                tracing::info!(format = %camera.camera_format(), "camera opened");
                return Ok(camera);
            }
            Err(error @ NokhwaError::OpenDeviceError(..)) => return Err(error),
            Err(error) => last = Some(error),
        }
    }
    Err(last.expect("at least one request was tried"))
}

/// Sets the camera controls. A control that the camera rejects keeps its value.
fn set_controls(camera: &mut nokhwa::Camera, exposure: Option<u16>) {
    let mut requests =
        vec![(POWER_LINE_FREQUENCY, POWER_LINE_50_HZ), (EXPOSURE_AUTO_PRIORITY, EXPOSURE_KEEPS_FRAME_RATE)];
    if let Some(exposure) = exposure {
        requests.extend([(EXPOSURE_AUTO, EXPOSURE_MANUAL), (EXPOSURE_ABSOLUTE, exposure.into())]);
    }
    for (control, value) in requests {
        let control = KnownCameraControl::Other(control);
        if let Err(error) = camera.set_camera_control(control, ControlValueSetter::Integer(value)) {
            tracing::debug!(%control, value, %error, "camera rejected control: value unchanged");
        }
    }
}

fn packing(format: FrameFormat) -> PixelFormat {
    match format {
        FrameFormat::MJPEG => PixelFormat::Mjpeg,
        FrameFormat::YUYV => PixelFormat::Yuyv,
        FrameFormat::NV12 => PixelFormat::Nv12,
        FrameFormat::GRAY => PixelFormat::Gray,
        FrameFormat::RAWRGB => PixelFormat::Rgb,
        FrameFormat::RAWBGR => PixelFormat::Bgr,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_camera_is_absent() {
        assert!(matches!(Camera::open(9_999, None).err(), Some(SourceError::Absent(_))));
        assert!(matches!(find_by_name("a name that no camera has").err(), Some(SourceError::Absent(_))));
    }
}
