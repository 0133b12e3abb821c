//! A gate's light and buzzer behind a serial relay board.
//!
//! The boards that are sold everywhere (a CH340 and one to eight relays, LCUS) take four bytes a relay, at 9,600 bit/s:
//! `A0 ‖ relay from 1 ‖ 1 on, 0 off ‖ sum of the three`, and say nothing. So a lamp that has burnt out is not seen here;
//! a board that was unplugged is.

use std::time::{Duration, Instant};

use device::wire::{Answer, Fault, Health, Relays, Signal, Work};
use serialport::SerialPort;

use crate::desk::{Desk, Gone};

/// Four bytes are taken at once by any line that works.
const SENDING: Duration = Duration::from_millis(500);
/// How often a board without orders is told again what stands: it may have lost its power meanwhile, and one that was
/// unplugged is found so.
const AGAIN: Duration = Duration::from_secs(1);
/// So long a light goes out for the next verdict that is the same as the last: somebody else is meant.
const BLINK: Duration = Duration::from_millis(80);
/// Before the line is opened again.
const PAUSE: Duration = Duration::from_secs(1);
/// One long tone for *go*; three short ones for *stop*, which cannot be taken for it from behind a pillar.
const GO_TONES: &[Duration] = &[Duration::from_millis(250)];
const SHORT: Duration = Duration::from_millis(90);
const STOP_TONES: &[Duration] = &[SHORT, SHORT, SHORT, SHORT, SHORT];

/// The tones that are still to come: tone, silence, tone, and so on, and when the present one ends.
struct Tones {
    left: &'static [Duration],
    until: Instant,
}

impl Tones {
    const fn of(signal: Signal) -> &'static [Duration] {
        match signal {
            Signal::Dark => &[],
            Signal::Go => GO_TONES,
            Signal::Stop => STOP_TONES,
        }
    }

    fn begin(signal: Signal, now: Instant) -> Self {
        let left = Self::of(signal);
        Self { left, until: now + left.first().copied().unwrap_or_default() }
    }

    /// Whether it sounds now; goes on to the next when its time has come.
    fn sounds(&mut self, now: Instant) -> bool {
        while now >= self.until
            && let [_, rest @ ..] = self.left
        {
            self.left = rest;
            self.until += rest.first().copied().unwrap_or_default();
        }
        // Of five the odd ones are silent; of one there is none.
        self.left.len() % 2 == 1
    }

    /// How long nothing changes.
    fn rest(&self, now: Instant) -> Duration {
        if self.left.is_empty() { AGAIN } else { self.until.saturating_duration_since(now) }
    }
}

/// Runs until the kiosk is gone.
pub(crate) fn run(desk: &Desk, tty: &str, baud: u32, relays: Relays) {
    while serve(desk, tty, baud, relays).is_ok() {
        if desk.health(Health::Absent).is_err() || desk.away(PAUSE).is_err() {
            return;
        }
    }
}

/// Comes back with `Ok` when the board is unplugged.
fn serve(desk: &Desk, tty: &str, baud: u32, relays: Relays) -> Result<(), Gone> {
    let Ok(mut port) = serialport::new(tty, baud).timeout(SENDING).open() else { return Ok(()) };
    let mut shown = Signal::Dark;
    let mut tones = Tones::begin(shown, Instant::now());
    loop {
        let sounds = tones.sounds(Instant::now());
        if set(port.as_mut(), relays, shown, sounds).is_err() {
            return Ok(());
        }
        desk.health(Health::Ready)?;
        if let Some((ticket, work)) = desk.order(tones.rest(Instant::now()))? {
            let answer = if let Work::Signal(signal) = work {
                if set(port.as_mut(), relays, Signal::Dark, false).is_err() {
                    desk.answer(ticket, Err(Fault::Unavailable))?;
                    return Ok(());
                }
                std::thread::sleep(BLINK);
                (shown, tones) = (signal, Tones::begin(signal, Instant::now()));
                Ok(Answer::Signalled)
            } else {
                Err(Fault::NotMine)
            };
            desk.answer(ticket, answer)?;
        }
    }
}

/// Brings every relay to where it should be.
fn set(port: &mut dyn SerialPort, relays: Relays, signal: Signal, sounds: bool) -> std::io::Result<()> {
    let wanted = [
        (Some(relays.go), signal == Signal::Go),
        (Some(relays.stop), signal == Signal::Stop),
        (relays.buzzer, sounds),
    ];
    for (relay, on) in wanted {
        if let Some(relay) = relay {
            port.write_all(&command(relay, on))?;
        }
    }
    Ok(())
}

fn command(relay: u8, on: bool) -> [u8; 4] {
    const HEAD: u8 = 0xA0;
    [HEAD, relay, u8::from(on), HEAD.wrapping_add(relay).wrapping_add(u8::from(on))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_those_of_the_boards_data_sheet() {
        assert_eq!(command(1, true), [0xA0, 0x01, 0x01, 0xA2]);
        assert_eq!(command(1, false), [0xA0, 0x01, 0x00, 0xA1]);
        assert_eq!(command(2, true), [0xA0, 0x02, 0x01, 0xA3]);
    }

    #[test]
    fn go_sounds_once_and_stop_three_times_and_dark_not_at_all() {
        for (signal, expected) in [(Signal::Dark, 0), (Signal::Go, 1), (Signal::Stop, 3)] {
            let begun = Instant::now();
            let mut tones = Tones::begin(signal, begun);
            let (mut heard, mut before) = (0, false);
            for ms in 0..2_000 {
                let sounds = tones.sounds(begun + Duration::from_millis(ms));
                heard += u32::from(sounds && !before);
                before = sounds;
            }
            assert_eq!((heard, before), (expected, false), "{signal:?}");
        }
    }

    #[test]
    fn who_looks_late_hears_nothing_that_is_over() {
        let begun = Instant::now();
        let mut tones = Tones::begin(Signal::Stop, begun);
        assert!(!tones.sounds(begun + Duration::from_secs(60)));
        assert_eq!(tones.rest(begun + Duration::from_secs(60)), AGAIN);
    }
}
