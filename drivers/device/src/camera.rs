//! A camera that residents hold a code to.

use std::time::{Duration, Instant};

use code_reader::{Decoder, Frame, Hold, Look, Preview, SourceError, source};
use device::record::{Recorder, What};
use device::wire::{Answer, CODE_MAX, CameraSetup, Event, Fault, Health, Work};

use crate::desk::{Desk, Gone};

/// A camera without a frame for so long has stalled.
const STALL: Duration = Duration::from_millis(800);
/// Decoding may take this long for one frame.
const BUDGET: Duration = Duration::from_millis(120);
/// A hint is repeated no sooner.
const HINT_EVERY: Duration = Duration::from_secs(2);
/// A preview follows another no sooner.
const PREVIEW_EVERY: Duration = Duration::from_millis(120);
/// A code that was not seen for so long is held to the camera no more.
const HELD_FOR: Duration = Duration::from_millis(1_500);
/// Before the camera is opened again.
const PAUSE: Duration = Duration::from_millis(500);

/// Whether pictures still change. A sensor is never quiet: one picture again and again comes from a camera that hangs,
/// however punctually it sends it.
struct Still {
    last: Vec<u8>,
    since: Instant,
    /// It hung when its stream was closed: the same picture on the next one is no news.
    hung: bool,
}

/// What a picture says of its camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pictures {
    /// They change.
    Change,
    /// They may.
    May,
    /// They do not.
    DoNot,
}

impl Still {
    fn new() -> Self {
        Self { last: Vec::new(), since: Instant::now(), hung: false }
    }

    /// A stream begins.
    fn begin(&mut self, now: Instant) {
        self.since = now;
        if !self.hung {
            self.last.clear();
        }
    }

    fn take(&mut self, frame: &Frame, now: Instant) -> Pictures {
        let luma = frame.luma();
        // In the dark, or blinded, a sensor may see nothing at all, and that is said otherwise.
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

/// Runs until the kiosk is gone.
pub(crate) fn run(desk: &Desk, recorder: &Recorder, path: &str, setup: CameraSetup) {
    // Outlives the stream: a code that is still held when the stream is back is not reported again, and who was told
    // not to look does not look.
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
        let health = match watch.serve(desk, recorder, path) {
            Err(Gone) => return,
            Ok(SourceError::Stalled) => Health::Failed,
            Ok(_) => Health::Absent,
        };
        if watch.preview_ends(desk).is_err() || desk.health(health).is_err() || desk.away(PAUSE).is_err() {
            return;
        }
    }
}

/// What is known from one frame to the next.
struct Watch {
    setup: CameraSetup,
    scanning: bool,
    hold: Hold,
    still: Still,
    hinted: Option<Instant>,
    /// When the last preview went out; `None` if the kiosk shows none.
    previewed: Option<Instant>,
    /// When something like a code was last seen.
    held_at: Option<Instant>,
}

impl Watch {
    /// Comes back with what is wrong with the camera.
    fn serve(&mut self, desk: &Desk, recorder: &Recorder, path: &str) -> Result<SourceError, Gone> {
        let mut frames = match source::open(path, self.setup.exposure) {
            Ok(frames) => frames,
            Err(error) => return Ok(error),
        };
        self.still.begin(Instant::now());
        let mut decoder = Decoder::new();
        let mut size = (0, 0);
        loop {
            while let Some((ticket, work)) = desk.order(Duration::ZERO)? {
                let answer = if let Work::Scan(on) = work {
                    self.scanning = on;
                    Ok(Answer::Scanning(on))
                } else {
                    Err(Fault::NotMine)
                };
                desk.answer(ticket, answer)?;
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
            desk.beat();
            match self.still.take(&frame, Instant::now()) {
                Pictures::Change => desk.health(Health::Ready)?,
                Pictures::May => continue,
                Pictures::DoNot => {
                    recorder.note(What::Note("the same picture again and again".into()));
                    return Ok(SourceError::Stalled);
                }
            }
            if self.scanning {
                let now = Instant::now();
                let look = decoder.look(&frame, now + BUDGET);
                self.tell(desk, &frame, look, now)?;
            } else {
                self.preview_ends(desk)?;
            }
        }
    }

    fn tell(&mut self, desk: &Desk, frame: &Frame, look: Look, now: Instant) -> Result<(), Gone> {
        if look.near {
            self.held_at = Some(now);
        }
        for code in self.hold.fresh(look.codes, now) {
            if code.len() <= CODE_MAX {
                desk.event(Event::Code(code.into()))?;
            }
        }
        if let Some(hint) = look.hint
            && self.hinted.is_none_or(|at| now.duration_since(at) >= HINT_EVERY)
        {
            self.hinted = Some(now);
            desk.event(Event::CodeHint(hint))?;
        }
        let held = self.held_at.is_some_and(|at| now.duration_since(at) < HELD_FOR);
        if !held {
            return self.preview_ends(desk);
        }
        if self.setup.preview && self.previewed.is_none_or(|at| now.duration_since(at) >= PREVIEW_EVERY) {
            self.previewed = Some(now);
            desk.event(Event::Preview(Some(Preview::of(frame))))?;
        }
        Ok(())
    }

    /// Nobody holds a code to the camera any more: then nobody is shown.
    fn preview_ends(&mut self, desk: &Desk) -> Result<(), Gone> {
        match self.previewed.take() {
            Some(_) => desk.event(Event::Preview(None)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(of: &[u8]) -> Frame {
        Frame::new(2, 2, of.to_vec()).unwrap()
    }

    #[test]
    fn the_same_picture_for_long_enough_is_a_camera_that_hangs_until_another_comes() {
        let mut still = Still::new();
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        let (one, other) = (picture(&[1, 2, 3, 4]), picture(&[1, 2, 3, 5]));
        still.begin(at(0));
        assert_eq!(still.take(&one, at(0)), Pictures::Change);
        assert_eq!(still.take(&one, at(700)), Pictures::Change);
        assert_eq!(still.take(&one, at(800)), Pictures::DoNot);
        still.begin(at(1_300));
        assert_eq!(still.take(&one, at(1_400)), Pictures::May, "on a stream that was opened anew");
        assert_eq!(still.take(&one, at(2_100)), Pictures::DoNot);
        still.begin(at(2_600));
        assert_eq!(still.take(&one, at(2_700)), Pictures::May);
        assert_eq!(still.take(&other, at(2_800)), Pictures::Change);
        assert_eq!(still.take(&other, at(3_500)), Pictures::Change);
    }

    #[test]
    fn a_stream_that_ended_otherwise_is_forgotten() {
        let mut still = Still::new();
        let begun = Instant::now();
        still.begin(begun);
        assert_eq!(still.take(&picture(&[1, 2, 3, 4]), begun), Pictures::Change);
        let later = begun + Duration::from_secs(60);
        still.begin(later);
        assert_eq!(still.take(&picture(&[1, 2, 3, 4]), later), Pictures::Change);
    }

    #[test]
    fn a_sensor_that_sees_nothing_is_not_taken_for_one_that_hangs() {
        let mut still = Still::new();
        let begun = Instant::now();
        for ms in [0, 800, 5_000] {
            assert_eq!(still.take(&picture(&[3; 4]), begun + Duration::from_millis(ms)), Pictures::Change);
        }
    }
}
