//! Faults of a PSAM in the reader's second slot.

use super::{ALL_KINDS, EmulatedDevice, FaultKind, ProtocolStep, STATE_ONLY};

const fn step(name: &'static str, title: &'static str, kinds: &'static [FaultKind]) -> ProtocolStep {
    ProtocolStep { device: EmulatedDevice::Psam, name, title, kinds }
}

/// Answer to reset (ISO/IEC 7816-3).
pub static RESET: ProtocolStep = step("reset", "复位应答", ALL_KINDS);
/// SELECT: the social security application.
pub static SELECT: ProtocolStep = step("select", "选择应用", ALL_KINDS);
/// INIT_FOR_DESCRYPT: derives a card's key.
pub static INIT: ProtocolStep = step("init", "分散密钥", ALL_KINDS);
/// DES CRYPT: computes with the derived key.
pub static CRYPT: ProtocolStep = step("crypt", "加密计算", ALL_KINDS);
/// The PSAM was removed.
pub static PSAM_REMOVED: ProtocolStep = step("psam-gone", "PSAM 卡被取走", STATE_ONLY);

/// All steps and states.
pub static STEPS: &[&ProtocolStep] = &[&RESET, &SELECT, &INIT, &CRYPT, &PSAM_REMOVED];
