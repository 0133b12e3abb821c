//! A V4L2 camera, through `nokhwa`.
//!
//! `nokhwa` waits for a frame without a time-out, so a thread of its own waits, and hands over the newest frame through
//! one slot. A thread that hangs in the driver cannot be ended from here: it goes with the process, which the
//! kiosk kills and starts again when a camera stalls. Raw frames are taken and unpacked here, since the conversions
//! of `nokhwa` go by way of RGB. Written against `nokhwa` 0.10.11; not yet run on hardware.

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

use crate::frame::{Frame, FrameSource, SourceError};
use crate::luma::{self, Packing};

/// A camera that does not open within this has hung.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);

/// Frames that cannot be unpacked in a row before a camera counts as broken: the first ones often are.
const BAD_FRAMES_MAX: u32 = 30;

/// The sizes asked for, best first: 1280×720 reads a code of 45 modules at 20 cm, more costs time.
const SIZES: [(u32, u32); 3] = [(1280, 720), (1920, 1080), (640, 480)];

/// The frame rate asked for.
const FRAME_RATE: u32 = 30;

/// The formats asked for. JPEG first: at 1280×720 USB 2 carries it at full rate, raw pictures at 10 a second.
const FORMATS: [FrameFormat; 6] = [
    FrameFormat::MJPEG,
    FrameFormat::NV12,
    FrameFormat::YUYV,
    FrameFormat::GRAY,
    FrameFormat::RAWRGB,
    FrameFormat::RAWBGR,
];

/// Controls of V4L2 (`linux/v4l2-controls.h`) that `nokhwa` has no name for, and what is asked for: mains light of 50 Hz,
/// and the frame rate kept where a camera would rather expose longer, since a moving code is worse than a dark one.
const POWER_LINE_FREQUENCY: u128 = 0x0098_0918;
const POWER_LINE_50_HZ: i64 = 1;
const EXPOSURE_AUTO_PRIORITY: u128 = 0x009A_0903;
const EXPOSURE_KEEPS_FRAME_RATE: i64 = 0;
const EXPOSURE_AUTO: u128 = 0x009A_0901;
const EXPOSURE_MANUAL: i64 = 1;
/// In 100 µs.
const EXPOSURE_ABSOLUTE: u128 = 0x009A_0902;

/// A camera that is plugged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CameraFound {
    /// `/dev/videoN`. One camera may have several, of which the first gives pictures.
    pub path: PathBuf,
    /// What it calls itself.
    pub name: String,
}

/// The cameras that are plugged in, by path.
///
/// # Errors
/// [`SourceError::Camera`] if the system cannot tell.
pub fn cameras() -> Result<Vec<CameraFound>, SourceError> {
    let found =
        nokhwa::query(ApiBackend::Video4Linux).map_err(|error| SourceError::Camera(error.to_string()))?;
    let mut numbered: Vec<(u32, String)> = found
        .iter()
        .filter_map(|camera| Some((camera.index().as_index().ok()?, camera.human_name())))
        .collect();
    numbered.sort();
    let found = |(number, name)| CameraFound { path: format!("/dev/video{number}").into(), name };
    Ok(numbered.into_iter().map(found).collect())
}

/// The path of the first camera whose name contains this.
pub(crate) fn named(name: &str) -> Result<PathBuf, SourceError> {
    let found = cameras()?.into_iter().find(|camera| camera.name.contains(name));
    let absent =
        || SourceError::Absent(io::Error::new(io::ErrorKind::NotFound, "no camera has this in its name"));
    found.map(|camera| camera.path).ok_or_else(absent)
}

/// A camera whose frames are being captured.
pub(crate) struct Camera {
    slot: Arc<Slot>,
}

#[derive(Default)]
struct Slot {
    content: Mutex<Content>,
    changed: Condvar,
}

#[derive(Default)]
struct Content {
    newest: Option<Frame>,
    /// Why capturing ended.
    ended: Option<String>,
    /// Nobody takes frames any more.
    abandoned: bool,
}

impl Slot {
    fn with<T>(&self, act: impl FnOnce(&mut Content) -> T) -> T {
        // A panic while holding the lock leaves nothing half done here.
        act(&mut self.content.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Camera {
    pub(crate) fn open(index: u32, exposure: Option<u16>) -> Result<Self, SourceError> {
        let slot = Arc::new(Slot::default());
        let (opened, answer) = mpsc::sync_channel(1);
        let capture_slot = Arc::clone(&slot);
        std::thread::Builder::new()
            .name("capture".to_owned())
            .spawn(move || capture(index, exposure, &opened, &capture_slot))
            .map_err(SourceError::Io)?;
        match answer.recv_timeout(OPEN_TIMEOUT) {
            Ok(Ok(())) => Ok(Self { slot }),
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
    fn next(&mut self, deadline: Instant) -> Result<Frame, SourceError> {
        let content = self.slot.content.lock().unwrap_or_else(PoisonError::into_inner);
        let left = deadline.saturating_duration_since(Instant::now());
        let (mut content, _) = self
            .slot
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
        self.slot.with(|content| content.abandoned = true);
    }
}

/// The capture thread: opens, says so, and fills the slot until the camera ends or nobody wants more.
fn capture(index: u32, exposure: Option<u16>, opened: &SyncSender<Result<(), SourceError>>, slot: &Slot) {
    let mut camera = match open_stream(index, exposure) {
        Ok(camera) => camera,
        Err(error) => {
            let error = SourceError::Absent(io::Error::other(error.to_string()));
            // Nobody waits any more: then nobody wants to know.
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
            break "it sends frames that are not what its format says".to_owned();
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

/// Opens with the best of the sizes and formats that the camera has. They have to be tried one by one: `nokhwa`
/// finds nothing close to a size that a format lacks.
fn open_stream(index: u32, exposure: Option<u16>) -> Result<nokhwa::Camera, NokhwaError> {
    let wishes = SIZES.iter().flat_map(|&(width, height)| {
        FORMATS.iter().map(move |&format| {
            let wish = CameraFormat::new(Resolution::new(width, height), format, FRAME_RATE);
            RequestedFormatType::Closest(wish)
        })
    });
    let index = CameraIndex::Index(index);
    let mut last = None;
    for wish in wishes.chain([RequestedFormatType::None]) {
        match nokhwa::Camera::new(index.clone(), RequestedFormat::with_formats(wish, &FORMATS)) {
            Ok(mut camera) => {
                set_controls(&mut camera, exposure);
                camera.open_stream()?;
                tracing::info!(format = %camera.camera_format(), "the camera is open");
                return Ok(camera);
            }
            Err(error @ NokhwaError::OpenDeviceError(..)) => return Err(error),
            Err(error) => last = Some(error),
        }
    }
    Err(last.expect("at least one wish was tried"))
}

/// Sets what the camera lets be set; one that refuses is used as it is.
fn set_controls(camera: &mut nokhwa::Camera, exposure: Option<u16>) {
    let mut wishes =
        vec![(POWER_LINE_FREQUENCY, POWER_LINE_50_HZ), (EXPOSURE_AUTO_PRIORITY, EXPOSURE_KEEPS_FRAME_RATE)];
    if let Some(exposure) = exposure {
        wishes.extend([(EXPOSURE_AUTO, EXPOSURE_MANUAL), (EXPOSURE_ABSOLUTE, exposure.into())]);
    }
    for (control, value) in wishes {
        let control = KnownCameraControl::Other(control);
        if let Err(error) = camera.set_camera_control(control, ControlValueSetter::Integer(value)) {
            tracing::debug!(%control, value, %error, "the camera keeps its own");
        }
    }
}

fn packing(format: FrameFormat) -> Packing {
    match format {
        FrameFormat::MJPEG => Packing::Mjpeg,
        FrameFormat::YUYV => Packing::Yuyv,
        FrameFormat::NV12 => Packing::Nv12,
        FrameFormat::GRAY => Packing::Gray,
        FrameFormat::RAWRGB => Packing::Rgb,
        FrameFormat::RAWBGR => Packing::Bgr,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_camera_is_absent() {
        assert!(matches!(Camera::open(9_999, None).err(), Some(SourceError::Absent(_))));
        assert!(matches!(named("a name that no camera has").err(), Some(SourceError::Absent(_))));
    }
}
