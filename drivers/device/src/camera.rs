//! A camera that residents hold a code to.

use std::time::{Duration, Instant};

use code_reader::{Decoder, Hold, SourceError, source};
use device::wire::{Answer, CODE_MAX, Event, Fault, Health, Work};

use crate::desk::{Desk, Gone};

/// A camera without a frame for so long has stalled.
const STALL: Duration = Duration::from_millis(1_500);
/// Decoding may take this long for one frame.
const BUDGET: Duration = Duration::from_millis(120);
/// A hint is repeated no sooner.
const HINT_EVERY: Duration = Duration::from_secs(2);
/// Before the camera is opened again.
const PAUSE: Duration = Duration::from_millis(500);

/// Runs until the kiosk is gone.
pub(crate) fn run(desk: &Desk, path: &str) {
    // Outlives the stream: a code that is still held when the stream is back is not reported again.
    let mut hold = Hold::new();
    loop {
        let health = match serve(desk, path, &mut hold) {
            Err(Gone) => return,
            Ok(SourceError::Stalled) => Health::Failed,
            Ok(_) => Health::Absent,
        };
        if desk.health(health).is_err() || desk.away(PAUSE).is_err() {
            return;
        }
    }
}

/// Comes back with what is wrong with the camera.
fn serve(desk: &Desk, path: &str, hold: &mut Hold) -> Result<SourceError, Gone> {
    let mut frames = match source::open(path) {
        Ok(frames) => frames,
        Err(error) => return Ok(error),
    };
    let mut decoder = Decoder::new();
    let (mut scanning, mut hinted) = (true, None::<Instant>);
    loop {
        while let Some((ticket, work)) = desk.order(Duration::ZERO)? {
            let answer = match work {
                Work::Scan(on) => {
                    scanning = on;
                    Ok(Answer::Scanning(on))
                }
                Work::VerifyPin(_) | Work::Print(_) => Err(Fault::NotMine),
            };
            desk.answer(ticket, answer)?;
        }
        let frame = match frames.next(Instant::now() + STALL) {
            Ok(frame) => frame,
            Err(error) => return Ok(error),
        };
        desk.beat();
        desk.health(Health::Ready)?;
        if !scanning {
            continue;
        }
        let now = Instant::now();
        let look = decoder.look(&frame, now + BUDGET);
        for code in hold.fresh(look.codes, now) {
            if code.len() <= CODE_MAX {
                desk.event(Event::Code(code.into()))?;
            }
        }
        if let Some(hint) = look.hint
            && hinted.is_none_or(|at| now.duration_since(at) >= HINT_EVERY)
        {
            hinted = Some(now);
            desk.event(Event::CodeHint(hint))?;
        }
    }
}
