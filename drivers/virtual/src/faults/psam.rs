//! Faults of a PSAM in the reader's second slot.

use super::{ALL, Device, Kind, STATE, Step};

const fn step(name: &'static str, title: &'static str, kinds: &'static [Kind]) -> Step {
    Step { device: Device::Psam, name, title, kinds }
}

/// Answer to reset (ISO/IEC 7816-3).
pub static RESET: Step = step("reset", "复位应答", ALL);
/// SELECT: the social security application.
pub static SELECT: Step = step("select", "选择应用", ALL);
/// INIT_FOR_DESCRYPT: derives a card's key.
pub static INIT: Step = step("init", "分散密钥", ALL);
/// DES CRYPT: computes with the derived key.
pub static CRYPT: Step = step("crypt", "加密计算", ALL);
/// The PSAM was removed.
pub static GONE: Step = step("psam-gone", "PSAM 卡被取走", STATE);

/// All steps and states.
pub static STEPS: &[&Step] = &[&RESET, &SELECT, &INIT, &CRYPT, &GONE];
