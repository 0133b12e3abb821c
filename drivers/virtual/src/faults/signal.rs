//! Faults of a gate's relay board, which accepts commands and sends nothing.

use super::{Device, Kind, STATE, Step};

const fn step(name: &'static str, title: &'static str, kinds: &'static [Kind]) -> Step {
    Step { device: Device::Signal, name, title, kinds }
}

/// The board accepts no bytes, so that its line's buffer fills up.
pub static STALLED: Step = step("signal-stalled", "继电器板不收数据", STATE);
/// The board sends bytes continuously, which no real board does.
pub static BABBLING: Step = step("signal-babbling", "继电器板不停发送", STATE);
/// The board is disconnected.
pub static UNPLUGGED: Step = step("signal-unplugged", "继电器板断开", STATE);

/// All steps and states.
pub static STEPS: &[&Step] = &[&STALLED, &BABBLING, &UNPLUGGED];
