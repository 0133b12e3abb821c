//! Faults of a serial scanner: in the text of a code, and in its terminator.

use super::{ALL_KINDS, EmulatedDevice, FaultKind, ProtocolStep, STATE_ONLY};

const fn step(name: &'static str, title: &'static str, kinds: &'static [FaultKind]) -> ProtocolStep {
    ProtocolStep { device: EmulatedDevice::Scanner, name, title, kinds }
}

/// The code's text. Delay: a pause in the middle of it. Wrong answer: the text of another code, as after a misread.
pub static TEXT: ProtocolStep = step("text", "码文", ALL_KINDS);
/// The terminator of a code. Silence: none. Wrong answer: another control character.
pub static TERMINATOR: ProtocolStep = step(
    "terminator",
    "结束符",
    &[
        FaultKind::Silence,
        FaultKind::Garbage,
        FaultKind::Disconnection,
        FaultKind::WrongAnswer,
        FaultKind::Flood,
    ],
);
/// The scanner repeats a presented code, as in continuous mode.
pub static REPEATING: ProtocolStep = step("scanner-repeating", "扫码器连续发送", STATE_ONLY);
/// The scanner is disconnected.
pub static UNPLUGGED: ProtocolStep = step("scanner-unplugged", "扫码器断开", STATE_ONLY);

/// All steps and states.
pub static STEPS: &[&ProtocolStep] = &[&TEXT, &TERMINATOR, &REPEATING, &UNPLUGGED];
