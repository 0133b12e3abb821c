//! What can go wrong at a gate's relay board, which takes commands and never says anything.

use super::{Device, Kind, STATE, Step};

const fn step(name: &'static str, title: &'static str, kinds: &'static [Kind]) -> Step {
    Step { device: Device::Signal, name, title, kinds }
}

/// It takes no bytes: its line is full before long.
pub static STALLED: Step = step("signal-stalled", "继电器板不收数据", STATE);
/// It sends bytes all the time, which no such board does.
pub static BABBLING: Step = step("signal-babbling", "继电器板不停发送", STATE);
/// It is unplugged.
pub static UNPLUGGED: Step = step("signal-unplugged", "继电器板断开", STATE);

/// All of them.
pub static STEPS: &[&Step] = &[&STALLED, &BABBLING, &UNPLUGGED];
