//! The code camera: reports codes, hints, and previews, and detects a camera that hangs.

use std::time::{Duration, Instant};

use code_reader::{Decoder, Frame, Hold, Look, Preview, SourceError, source};
use device::record::{Recorder, What};
use device::wire::{Answer, CODE_MAX, CameraSetup, Event, Fault, Health, Work};

use crate::desk::{Desk, Gone};

/// A camera without a new frame for this time has stalled.
const STALL: Duration = Duration::from_millis(800);
/// Longest time for decoding one frame.
const BUDGET: Duration = Duration::from_millis(120);
/// Shortest interval between two hints.
const HINT_EVERY: Duration = Duration::from_secs(2);
/// Shortest interval between two previews.
const PREVIEW_EVERY: Duration = Duration::from_millis(120);
/// A code that was not seen for this time is no longer held to the camera.
const HELD_FOR: Duration = Duration::from_millis(1_500);
/// Pause before the camera is opened again.
const PAUSE: Duration = Duration::from_millis(500);

/// Detects a camera that hangs and repeats one picture. A working sensor always has noise, so two pictures are never
/// equal; a hanging camera can send equal pictures on time.
struct Still {
    last: Vec<u8>,
    since: Instant,
    /// The picture was frozen when the last stream was closed: the same picture on the next stream does not prove that the
    /// camera works.
    hung: bool,
}

/// Whether the camera's pictures change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pictures {
    /// The pictures change.
    Change,
    /// Not known yet: the picture is still the one at which the last stream froze.
    May,
    /// The pictures have not changed for [`STALL_TIMEOUT`].
    DoNot,
}

impl Still {
    fn new() -> Self {
        Self { last: Vec::new(), since: Instant::now(), hung: false }
    }

    /// Prepares for a new stream.
    fn begin(&mut self, now: Instant) {
        self.since = now;
        if !self.hung {
            self.last.clear();
        }
    }

    fn take(&mut self, frame: &Frame, now: Instant) -> Pictures {
        let luma = frame.luma();
        // In darkness or glare all pixels may be equal without a hang; that case is reported as a hint.
        let sees_nothing = luma.first().is_some_and(|first| luma.iter().all(|pixel| pixel == first));
        if sees_nothing || luma != self.last {
            self.last.clear();
            self.last.extend_from_slice(luma);
            (self.since, self.hung) = (now, false);
        } else if now.duration_since(self.since) >= STALL {
            self.hung = true;
            return Pictures::DoNot;
        }
        if self.hung { Pictures::May } else { Pictures::Change }
    }
}

/// Runs until the kiosk closes the connection.
pub(crate) fn run(host: &Desk, recorder: &Recorder, path: &str, setup: CameraSetup) {
    // Kept between streams: a code that is still held when the stream restarts is not reported again, and scanning that
    // was switched off stays off.
    let mut watch = Watch {
        setup,
        scanning: true,
        hold: Hold::new(),
        still: Still::new(),
        hinted: None,
        previewed: None,
        held_at: None,
    };
    loop {
        let health = match watch.serve(host, recorder, path) {
            Err(Gone) => return,
            Ok(SourceError::Stalled) => Health::Failed,
            Ok(_) => Health::Absent,
        };
        if watch.preview_ends(host).is_err() || host.health(health).is_err() || host.away(PAUSE).is_err() {
            return;
        }
    }
}

/// State that is kept from frame to frame and from stream to stream.
struct Watch {
    setup: CameraSetup,
    scanning: bool,
    hold: Hold,
    still: Still,
    hinted: Option<Instant>,
    /// Time of the last preview; `None` if the kiosk shows none.
    previewed: Option<Instant>,
    /// Time at which an object like a code was last seen.
    held_at: Option<Instant>,
}

impl Watch {
    /// Returns the camera's fault when the camera has to be opened again.
    fn serve(&mut self, host: &Desk, recorder: &Recorder, path: &str) -> Result<SourceError, Gone> {
        let mut frames = match source::open(path, self.setup.exposure) {
            Ok(frames) => frames,
            Err(error) => return Ok(error),
        };
        self.still.begin(Instant::now());
        let mut decoder = Decoder::new();
        let mut size = (0, 0);
        loop {
            while let Some((id, work)) = host.order(Duration::ZERO)? {
                let answer = if let Work::Scan(on) = work {
                    self.scanning = on;
                    Ok(Answer::Scanning(on))
                } else {
                    Err(Fault::NotMine)
                };
                host.answer(id, answer)?;
            }
            let frame = match frames.next(Instant::now() + STALL) {
                Ok(frame) => frame,
                Err(error) => {
                    recorder.note(What::Note(format!("no frame: {error}")));
                    return Ok(error);
                }
            };
            if recorder.is_on() && size != (frame.width(), frame.height()) {
                size = (frame.width(), frame.height());
                recorder.note(What::Note(format!("frames of {} × {}", size.0, size.1)));
            }
            host.beat();
            match self.still.take(&frame, Instant::now()) {
                Pictures::Change => host.health(Health::Ready)?,
                Pictures::May => continue,
                Pictures::DoNot => {
                    recorder.note(What::Note("camera repeats one picture".into()));
                    return Ok(SourceError::Stalled);
                }
            }
            if self.scanning {
                let now = Instant::now();
                let look = decoder.look(&frame, now + BUDGET);
                self.tell(host, &frame, look, now)?;
            } else {
                self.preview_ends(host)?;
            }
        }
    }

    fn tell(&mut self, host: &Desk, frame: &Frame, look: Look, now: Instant) -> Result<(), Gone> {
        if look.near {
            self.held_at = Some(now);
        }
        for code in self.hold.fresh(look.codes, now) {
            if code.len() <= CODE_MAX {
                host.event(Event::Code(code.into()))?;
            }
        }
        if let Some(hint) = look.hint
            && self.hinted.is_none_or(|at| now.duration_since(at) >= HINT_EVERY)
        {
            self.hinted = Some(now);
            host.event(Event::CodeHint(hint))?;
        }
        let held = self.held_at.is_some_and(|at| now.duration_since(at) < HELD_FOR);
        if !held {
            return self.preview_ends(host);
        }
        if self.setup.preview && self.previewed.is_none_or(|at| now.duration_since(at) >= PREVIEW_EVERY) {
            self.previewed = Some(now);
            host.event(Event::Preview(Some(Preview::of(frame))))?;
        }
        Ok(())
    }

    /// Ends the preview: no code is held to the camera any longer, so no person may be shown.
    fn preview_ends(&mut self, host: &Desk) -> Result<(), Gone> {
        match self.previewed.take() {
            Some(_) => host.event(Event::Preview(None)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(luma: &[u8]) -> Frame {
        Frame::new(2, 2, luma.to_vec()).unwrap()
    }

    #[test]
    fn freeze_detector_unchanged_picture_is_frozen_until_it_changes() {
        let mut still = Still::new();
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        let (one, other) = (picture(&[1, 2, 3, 4]), picture(&[1, 2, 3, 5]));
        still.begin(at(0));
        assert_eq!(still.take(&one, at(0)), Pictures::Change);
        assert_eq!(still.take(&one, at(700)), Pictures::Change);
        assert_eq!(still.take(&one, at(800)), Pictures::DoNot);
        still.begin(at(1_300));
        assert_eq!(still.take(&one, at(1_400)), Pictures::May, "on a new stream");
        assert_eq!(still.take(&one, at(2_100)), Pictures::DoNot);
        still.begin(at(2_600));
        assert_eq!(still.take(&one, at(2_700)), Pictures::May);
        assert_eq!(still.take(&other, at(2_800)), Pictures::Change);
        assert_eq!(still.take(&other, at(3_500)), Pictures::Change);
    }

    #[test]
    fn freeze_detector_forgets_picture_of_a_stream_not_frozen() {
        let mut still = Still::new();
        let begun = Instant::now();
        still.begin(begun);
        assert_eq!(still.take(&picture(&[1, 2, 3, 4]), begun), Pictures::Change);
        let later = begun + Duration::from_secs(60);
        still.begin(later);
        assert_eq!(still.take(&picture(&[1, 2, 3, 4]), later), Pictures::Change);
    }

    #[test]
    fn freeze_detector_uniform_picture_is_not_frozen() {
        let mut still = Still::new();
        let begun = Instant::now();
        for ms in [0, 800, 5_000] {
            assert_eq!(still.take(&picture(&[3; 4]), begun + Duration::from_millis(ms)), Pictures::Change);
        }
    }
}
