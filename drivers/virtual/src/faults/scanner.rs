//! Faults of a serial scanner: in the text of a code, and in its terminator.

use super::{ALL, Device, Kind, STATE, Step};

const fn step(name: &'static str, title: &'static str, kinds: &'static [Kind]) -> Step {
    Step { device: Device::Scanner, name, title, kinds }
}

/// The code's text. Delay: a pause in the middle of it. Wrong answer: the text of another code, as after a misread.
pub static TEXT: Step = step("text", "码文", ALL);
/// The terminator of a code. Silence: none. Wrong answer: another control character.
pub static TERMINATOR: Step = step(
    "terminator",
    "结束符",
    &[Kind::Silence, Kind::Garbage, Kind::Disconnection, Kind::WrongAnswer, Kind::Flood],
);
/// The scanner repeats a presented code, as in continuous mode.
pub static REPEATING: Step = step("scanner-repeating", "扫码器连续发送", STATE);
/// The scanner is disconnected.
pub static UNPLUGGED: Step = step("scanner-unplugged", "扫码器断开", STATE);

/// All steps and states.
pub static STEPS: &[&Step] = &[&TEXT, &TERMINATOR, &REPEATING, &UNPLUGGED];
