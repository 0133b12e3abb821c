//! A gate's lights and buzzer on a serial relay board.
//!
//! The common boards (LCUS: a CH340 and one to eight relays) take a command of four bytes for each relay, at 9,600 bit/s:
//! `A0 ‖ relay from 1 ‖ 1 on, 0 off ‖ sum of the three`, and send no answer. So a burnt-out lamp is not detected; an
//! unplugged board is.

use std::time::{Duration, Instant};

use device::wire::{DeviceAnswer, DeviceFault, DeviceHealth, DeviceWork, Relays, Signal};
use serial_link::{FlowControl, Link as _, LinkFault, SerialLink};

use crate::host::{DeviceHost, KioskDisconnected};

/// Time-out of a write: a working line takes four bytes at once.
const WRITE_TIMEOUT: Duration = Duration::from_millis(500);
/// Interval at which the state is written again without a request: the board may have lost its power meanwhile, and an
/// unplugged board is detected by the write.
const REFRESH_INTERVAL: Duration = Duration::from_secs(1);
/// Time for which the lights go out before the next state, so that two equal states in a row are seen as two.
const BLINK_PAUSE: Duration = Duration::from_millis(80);
/// Pause before the serial line is opened again.
const REOPEN_PAUSE: Duration = Duration::from_secs(1);
/// Durations of tone, silence, tone, and so on. *Go* has one long tone, *stop* three short ones: the two cannot be
/// confused by a person who does not see the lights.
const GO_TONES: &[Duration] = &[Duration::from_millis(250)];
const SHORT_TONE: Duration = Duration::from_millis(90);
const STOP_TONES: &[Duration] = &[SHORT_TONE, SHORT_TONE, SHORT_TONE, SHORT_TONE, SHORT_TONE];

/// The remaining tones and silences, and when the present one ends.
struct Tones {
    left: &'static [Duration],
    until: Instant,
}

impl Tones {
    const fn pattern(signal: Signal) -> &'static [Duration] {
        match signal {
            Signal::Dark => &[],
            Signal::Go => GO_TONES,
            Signal::Stop => STOP_TONES,
        }
    }

    fn start(signal: Signal, now: Instant) -> Self {
        let left = Self::pattern(signal);
        Self { left, until: now + left.first().copied().unwrap_or_default() }
    }

    /// Advances to the tone or silence at `now`; returns whether the buzzer sounds.
    fn advance(&mut self, now: Instant) -> bool {
        while now >= self.until
            && let [_, rest @ ..] = self.left
        {
            self.left = rest;
            self.until += rest.first().copied().unwrap_or_default();
        }
        // A sequence has an odd length and begins with a tone: an odd number left is a tone, an even number a silence.
        self.left.len() % 2 == 1
    }

    /// Time until the buzzer changes, or until the state is written again.
    fn until_change(&self, now: Instant) -> Duration {
        if self.left.is_empty() { REFRESH_INTERVAL } else { self.until.saturating_duration_since(now) }
    }
}

/// Runs until the kiosk closes the connection.
pub(crate) fn run(host: &DeviceHost, tty: &str, baud: u32, relays: Relays) {
    while serve(host, tty, baud, relays).is_ok() {
        if host.report_health(DeviceHealth::Absent).is_err() || host.refuse_requests(REOPEN_PAUSE).is_err() {
            return;
        }
    }
}

/// Returns `Ok` when the board is unplugged.
fn serve(host: &DeviceHost, tty: &str, baud: u32, relays: Relays) -> Result<(), KioskDisconnected> {
    let Ok(mut link) = SerialLink::open(tty, baud, FlowControl::None) else { return Ok(()) };
    let mut shown = Signal::Dark;
    let mut tones = Tones::start(shown, Instant::now());
    loop {
        let sounds = tones.advance(Instant::now());
        if write_relays(&mut link, relays, shown, sounds).is_err() {
            return Ok(());
        }
        host.report_health(DeviceHealth::Ready)?;
        if let Some((id, work)) = host.next_request(tones.until_change(Instant::now()))? {
            let answer = if let DeviceWork::ShowSignal(signal) = work {
                if write_relays(&mut link, relays, Signal::Dark, false).is_err() {
                    host.send_answer(id, Err(DeviceFault::Unavailable))?;
                    return Ok(());
                }
                std::thread::sleep(BLINK_PAUSE);
                (shown, tones) = (signal, Tones::start(signal, Instant::now()));
                Ok(DeviceAnswer::SignalShown)
            } else {
                Err(DeviceFault::Unsupported)
            };
            host.send_answer(id, answer)?;
        }
    }
}

/// Writes the state of every relay.
fn write_relays(
    link: &mut SerialLink,
    relays: Relays,
    signal: Signal,
    sounds: bool,
) -> Result<(), LinkFault> {
    let wanted = [
        (Some(relays.go), signal == Signal::Go),
        (Some(relays.stop), signal == Signal::Stop),
        (relays.buzzer, sounds),
    ];
    for (relay, on) in wanted {
        if let Some(relay) = relay {
            link.write_all(&relay_command(relay, on), WRITE_TIMEOUT)?;
        }
    }
    Ok(())
}

fn relay_command(relay: u8, on: bool) -> [u8; 4] {
    const HEAD: u8 = 0xA0;
    [HEAD, relay, u8::from(on), HEAD.wrapping_add(relay).wrapping_add(u8::from(on))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relay_command_matches_data_sheet() {
        assert_eq!(relay_command(1, true), [0xA0, 0x01, 0x01, 0xA2]);
        assert_eq!(relay_command(1, false), [0xA0, 0x01, 0x00, 0xA1]);
        assert_eq!(relay_command(2, true), [0xA0, 0x02, 0x01, 0xA3]);
    }

    #[test]
    fn go_has_one_tone_stop_three_dark_none() {
        for (signal, expected) in [(Signal::Dark, 0), (Signal::Go, 1), (Signal::Stop, 3)] {
            let begun = Instant::now();
            let mut tones = Tones::start(signal, begun);
            let (mut tones_count, mut before) = (0, false);
            for ms in 0..2_000 {
                let sounds = tones.advance(begun + Duration::from_millis(ms));
                tones_count += u32::from(sounds && !before);
                before = sounds;
            }
            assert_eq!((tones_count, before), (expected, false), "{signal:?}");
        }
    }

    #[test]
    fn tones_past_their_end_are_silent() {
        let begun = Instant::now();
        let mut tones = Tones::start(Signal::Stop, begun);
        assert!(!tones.advance(begun + Duration::from_secs(60)));
        assert_eq!(tones.until_change(begun + Duration::from_secs(60)), REFRESH_INTERVAL);
    }
}
