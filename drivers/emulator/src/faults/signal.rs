//! Faults of a gate's relay board, which accepts commands and sends nothing.

use super::{EmulatedDevice, FaultKind, ProtocolStep, STATE_ONLY};

const fn step(name: &'static str, title: &'static str, kinds: &'static [FaultKind]) -> ProtocolStep {
    ProtocolStep { device: EmulatedDevice::Signal, name, title, kinds }
}

/// The board accepts no bytes, so that its line's buffer fills up.
pub static STALLED: ProtocolStep = step("signal-stalled", "继电器板不收数据", STATE_ONLY);
/// The board sends bytes continuously, which no real board does.
pub static UNSOLICITED_BYTES: ProtocolStep = step("signal-babbling", "继电器板不停发送", STATE_ONLY);
/// The board is disconnected.
pub static UNPLUGGED: ProtocolStep = step("signal-unplugged", "继电器板断开", STATE_ONLY);

/// All steps and states.
pub static STEPS: &[&ProtocolStep] = &[&STALLED, &UNSOLICITED_BYTES, &UNPLUGGED];
