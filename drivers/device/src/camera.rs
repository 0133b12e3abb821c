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

/// Runs until the kiosk is gone.
pub(crate) fn run(desk: &Desk, recorder: &Recorder, path: &str, setup: CameraSetup) {
    // Outlives the stream: a code that is still held when the stream is back is not reported again, and who was told
    // not to look does not look.
    let mut watch =
        Watch { setup, scanning: true, hold: Hold::new(), hinted: None, previewed: None, held_at: None };
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
        let mut decoder = Decoder::new();
        let mut size = (0, 0);
        loop {
            while let Some((ticket, work)) = desk.order(Duration::ZERO)? {
                let answer = match work {
                    Work::Scan(on) => {
                        self.scanning = on;
                        Ok(Answer::Scanning(on))
                    }
                    Work::VerifyPin(_)
                    | Work::Authenticate(_)
                    | Work::Print(_)
                    | Work::PrintSheet(_)
                    | Work::Signal(_) => Err(Fault::NotMine),
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
            desk.health(Health::Ready)?;
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
