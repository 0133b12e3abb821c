//! Faults of an ID reader: at each command, on its serial line, and with the card on it.

use super::{ALL_KINDS, EmulatedDevice, FaultKind, ProtocolStep, STATE_ONLY};

const fn step(name: &'static str, title: &'static str, kinds: &'static [FaultKind]) -> ProtocolStep {
    ProtocolStep { device: EmulatedDevice::IdReader, name, title, kinds }
}

/// `12 FF`: request of the security module's number.
pub static SAM_ID: ProtocolStep = step("sam-id", "安全模块号", ALL_KINDS);
/// `20 01`: find a card.
pub static FIND: ProtocolStep = step("find", "寻卡", ALL_KINDS);
/// `20 02`: select the card.
pub static SELECT: ProtocolStep = step("select", "选卡", ALL_KINDS);
/// `30 01`: read the card.
pub static READ: ProtocolStep = step("read", "读卡", ALL_KINDS);
/// Every answer has a wrong checksum.
pub static CHECKSUM: ProtocolStep = step("id-reader-checksum", "身份证阅读器校验和错", STATE_ONLY);
/// The length in every answer is larger than the answer.
pub static LENGTH: ProtocolStep = step("id-reader-length", "身份证阅读器长度错", STATE_ONLY);
/// Every answer is an undocumented status.
pub static UNDOCUMENTED_STATUS: ProtocolStep =
    step("id-reader-foreign-status", "身份证阅读器陌生状态字", STATE_ONLY);
/// Every answer comes in small pieces.
pub static SLOW: ProtocolStep = step("id-reader-slow", "身份证阅读器很慢", STATE_ONLY);
/// The security module reports that its self-test failed.
pub static SELF_TEST: ProtocolStep = step("id-reader-self-test", "身份证阅读器自检失败", STATE_ONLY);
/// The card is removed in the middle of a reading.
pub static CARD_LIFTED: ProtocolStep = step("id-card-lifted", "身份证读到一半拿开", STATE_ONLY);
/// The reader is disconnected.
pub static UNPLUGGED: ProtocolStep = step("id-reader-unplugged", "身份证阅读器断开", STATE_ONLY);

/// All steps and states.
pub static STEPS: &[&ProtocolStep] = &[
    &SAM_ID,
    &FIND,
    &SELECT,
    &READ,
    &CHECKSUM,
    &LENGTH,
    &UNDOCUMENTED_STATUS,
    &SLOW,
    &SELF_TEST,
    &CARD_LIFTED,
    &UNPLUGGED,
];
