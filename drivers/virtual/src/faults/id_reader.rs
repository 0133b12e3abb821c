//! Faults of an ID reader: at each command, on its serial line, and with the card on it.

use super::{ALL, Device, Kind, STATE, Step};

const fn step(name: &'static str, title: &'static str, kinds: &'static [Kind]) -> Step {
    Step { device: Device::IdReader, name, title, kinds }
}

/// `12 FF`: request of the security module's number.
pub static SAM_ID: Step = step("sam-id", "安全模块号", ALL);
/// `20 01`: find a card.
pub static FIND: Step = step("find", "寻卡", ALL);
/// `20 02`: select the card.
pub static SELECT: Step = step("select", "选卡", ALL);
/// `30 01`: read the card.
pub static READ: Step = step("read", "读卡", ALL);
/// Every answer has a wrong checksum.
pub static CHECKSUM: Step = step("id-reader-checksum", "身份证阅读器校验和错", STATE);
/// The length in every answer is larger than the answer.
pub static LENGTH: Step = step("id-reader-length", "身份证阅读器长度错", STATE);
/// Every answer is an undocumented status.
pub static STATUS: Step = step("id-reader-foreign-status", "身份证阅读器陌生状态字", STATE);
/// Every answer comes in small pieces.
pub static SLOW: Step = step("id-reader-slow", "身份证阅读器很慢", STATE);
/// The security module reports that its self-test failed.
pub static SELF_TEST: Step = step("id-reader-self-test", "身份证阅读器自检失败", STATE);
/// The card is removed in the middle of a reading.
pub static LIFTED: Step = step("id-card-lifted", "身份证读到一半拿开", STATE);
/// The reader is disconnected.
pub static UNPLUGGED: Step = step("id-reader-unplugged", "身份证阅读器断开", STATE);

/// All steps and states.
pub static STEPS: &[&Step] =
    &[&SAM_ID, &FIND, &SELECT, &READ, &CHECKSUM, &LENGTH, &STATUS, &SLOW, &SELF_TEST, &LIFTED, &UNPLUGGED];
