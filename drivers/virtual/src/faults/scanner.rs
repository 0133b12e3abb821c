//! What can go wrong at a serial scanner: in the text of a code, and in what ends it.

use super::{ALL, Device, Kind, STATE, Step};

const fn step(name: &'static str, title: &'static str, kinds: &'static [Kind]) -> Step {
    Step { device: Device::Scanner, name, title, kinds }
}

/// The code's text. Delay: a pause in the middle of it. A wrong answer: the text of another code, as after a misread.
pub static TEXT: Step = step("text", "码文", ALL);
/// What ends a code. Silence: nothing does. A wrong answer: another control character.
pub static TERMINATOR: Step = step(
    "terminator",
    "结束符",
    &[Kind::Silence, Kind::Garbage, Kind::Disconnection, Kind::WrongAnswer, Kind::Flood],
);
/// It sends the code it holds again and again, as one left in continuous mode does.
pub static REPEATING: Step = step("scanner-repeating", "扫码器连续发送", STATE);
/// It is unplugged.
pub static UNPLUGGED: Step = step("scanner-unplugged", "扫码器断开", STATE);

/// All of them.
pub static STEPS: &[&Step] = &[&TEXT, &TERMINATOR, &REPEATING, &UNPLUGGED];
