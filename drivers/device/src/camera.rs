//! The code camera: reports codes and hints, and detects a camera that hangs.

use std::time::{Duration, Instant};

use code_reader::{CodeTracker, DecodeResult, Decoder, LumaFrame, SourceError, source};
use device::record::{Recorder, WireEvent};
use device::wire::{CODE_MAX, CameraConfig, DeviceEvent, DeviceFault, DeviceHealth};

use crate::host::{DeviceHost, KioskDisconnected};

/// A camera without a new frame for this time has stalled.
const STALL_TIMEOUT: Duration = Duration::from_millis(800);
/// Longest time for decoding one frame.
const DECODE_BUDGET: Duration = Duration::from_millis(120);
/// Shortest interval between two hints.
const HINT_INTERVAL: Duration = Duration::from_secs(2);
/// Pause before the camera is opened again.
const REOPEN_PAUSE: Duration = Duration::from_millis(500);

/// Detects a camera that hangs and repeats one picture. A working sensor always has noise, so two pictures are never
/// equal; a hanging camera can send equal pictures on time.
struct FreezeDetector {
    last: Vec<u8>,
    since: Instant,
    /// The picture was frozen when the last stream was closed: the same picture on the next stream does not prove that the
    /// camera works.
    frozen: bool,
}

/// Whether the camera's pictures change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PictureChange {
    /// The pictures change.
    Changing,
    /// Not known yet: the picture is still the one at which the last stream froze.
    Undecided,
    /// The pictures have not changed for [`STALL_TIMEOUT`].
    Frozen,
}

impl FreezeDetector {
    fn new() -> Self {
        Self { last: Vec::new(), since: Instant::now(), frozen: false }
    }

    /// Prepares for a new stream.
    fn start_stream(&mut self, now: Instant) {
        self.since = now;
        if !self.frozen {
            self.last.clear();
        }
    }

    fn observe(&mut self, frame: &LumaFrame, now: Instant) -> PictureChange {
        let luma = frame.luma();
        // In darkness or glare all pixels may be equal without a hang; that case is reported as a hint.
        let sees_nothing = luma.first().is_some_and(|first| luma.iter().all(|pixel| pixel == first));
        if sees_nothing || luma != self.last {
            self.last.clear();
            self.last.extend_from_slice(luma);
            (self.since, self.frozen) = (now, false);
        } else if now.duration_since(self.since) >= STALL_TIMEOUT {
            self.frozen = true;
            return PictureChange::Frozen;
        }
        if self.frozen { PictureChange::Undecided } else { PictureChange::Changing }
    }
}

/// Runs until the kiosk closes the connection.
pub(crate) fn run(host: &DeviceHost, recorder: &Recorder, path: &str, setup: CameraConfig) {
    // Kept between streams: a code that is still held when the stream restarts is not reported again.
    let mut watch = CameraWatch {
        setup,
        hold: CodeTracker::new(),
        freeze_detector: FreezeDetector::new(),
        hinted_at: None,
    };
    loop {
        let health = match watch.serve(host, recorder, path) {
            Err(KioskDisconnected) => return,
            Ok(SourceError::Stalled) => DeviceHealth::Failed,
            Ok(_) => DeviceHealth::Absent,
        };
        if host.report_health(health).is_err() || host.refuse_requests(REOPEN_PAUSE).is_err() {
            return;
        }
    }
}

/// State that is kept from frame to frame and from stream to stream.
struct CameraWatch {
    setup: CameraConfig,
    hold: CodeTracker,
    freeze_detector: FreezeDetector,
    hinted_at: Option<Instant>,
}

impl CameraWatch {
    /// Returns the camera's fault when the camera has to be opened again.
    fn serve(
        &mut self,
        host: &DeviceHost,
        recorder: &Recorder,
        path: &str,
    ) -> Result<SourceError, KioskDisconnected> {
        let mut frames = match source::open(path, self.setup.exposure) {
            Ok(frames) => frames,
            Err(error) => return Ok(error),
        };
        self.freeze_detector.start_stream(Instant::now());
        let mut decoder = Decoder::new();
        let mut size = (0, 0);
        loop {
            while let Some((id, _)) = host.next_request(Duration::ZERO)? {
                host.send_answer(id, Err(DeviceFault::Unsupported))?;
            }
            let frame = match frames.next(Instant::now() + STALL_TIMEOUT) {
                Ok(frame) => frame,
                Err(error) => {
                    recorder.record(WireEvent::Note(format!("no frame: {error}")));
                    return Ok(error);
                }
            };
            if recorder.is_on() && size != (frame.width(), frame.height()) {
                size = (frame.width(), frame.height());
                recorder.record(WireEvent::Note(format!("frames of {} × {}", size.0, size.1)));
            }
            host.heartbeat();
            match self.freeze_detector.observe(&frame, Instant::now()) {
                PictureChange::Changing => host.report_health(DeviceHealth::Ready)?,
                PictureChange::Undecided => continue,
                PictureChange::Frozen => {
                    recorder.record(WireEvent::Note("camera repeats one picture".into()));
                    return Ok(SourceError::Stalled);
                }
            }
            let now = Instant::now();
            let look = decoder.decode(&frame, now + DECODE_BUDGET);
            self.report(host, look, now)?;
        }
    }

    fn report(
        &mut self,
        host: &DeviceHost,
        look: DecodeResult,
        now: Instant,
    ) -> Result<(), KioskDisconnected> {
        for code in self.hold.new_codes(look.codes, now) {
            if code.len() <= CODE_MAX {
                host.send_event(DeviceEvent::Code(code.into()))?;
            }
        }
        if let Some(hint) = look.hint
            && self.hinted_at.is_none_or(|at| now.duration_since(at) >= HINT_INTERVAL)
        {
            self.hinted_at = Some(now);
            host.send_event(DeviceEvent::CodeHint(hint))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(luma: &[u8]) -> LumaFrame {
        LumaFrame::new(2, 2, luma.to_vec()).unwrap()
    }

    #[test]
    fn freeze_detector_unchanged_picture_is_frozen_until_it_changes() {
        let mut still = FreezeDetector::new();
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        let (one, other) = (picture(&[1, 2, 3, 4]), picture(&[1, 2, 3, 5]));
        still.start_stream(at(0));
        assert_eq!(still.observe(&one, at(0)), PictureChange::Changing);
        assert_eq!(still.observe(&one, at(700)), PictureChange::Changing);
        assert_eq!(still.observe(&one, at(800)), PictureChange::Frozen);
        still.start_stream(at(1_300));
        assert_eq!(still.observe(&one, at(1_400)), PictureChange::Undecided, "on a new stream");
        assert_eq!(still.observe(&one, at(2_100)), PictureChange::Frozen);
        still.start_stream(at(2_600));
        assert_eq!(still.observe(&one, at(2_700)), PictureChange::Undecided);
        assert_eq!(still.observe(&other, at(2_800)), PictureChange::Changing);
        assert_eq!(still.observe(&other, at(3_500)), PictureChange::Changing);
    }

    #[test]
    fn freeze_detector_forgets_picture_of_a_stream_not_frozen() {
        let mut still = FreezeDetector::new();
        let begun = Instant::now();
        still.start_stream(begun);
        assert_eq!(still.observe(&picture(&[1, 2, 3, 4]), begun), PictureChange::Changing);
        let later = begun + Duration::from_secs(60);
        still.start_stream(later);
        assert_eq!(still.observe(&picture(&[1, 2, 3, 4]), later), PictureChange::Changing);
    }

    #[test]
    fn freeze_detector_uniform_picture_is_not_frozen() {
        let mut still = FreezeDetector::new();
        let begun = Instant::now();
        for ms in [0, 800, 5_000] {
            assert_eq!(
                still.observe(&picture(&[3; 4]), begun + Duration::from_millis(ms)),
                PictureChange::Changing
            );
        }
    }
}
