//! Faults of a card: in its answer to reset, at each command, and on the vpcd protocol of its reader.

use super::{ALL_KINDS, EmulatedDevice, FaultKind, ProtocolStep, STATE_ONLY};

const fn step(name: &'static str, title: &'static str, kinds: &'static [FaultKind]) -> ProtocolStep {
    ProtocolStep { device: EmulatedDevice::Card, name, title, kinds }
}

/// Answer to reset (ISO/IEC 7816-3).
pub static RESET: ProtocolStep = step("reset", "复位应答", ALL_KINDS);
/// SELECT by name: the social security application.
pub static SELECT: ProtocolStep = step("select", "选择应用", ALL_KINDS);
/// GET RESPONSE after 61xx.
pub static GET_RESPONSE: ProtocolStep = step("get-response", "取应答数据", ALL_KINDS);
/// SELECT EF05, the issuer's file.
pub static SELECT_ISSUER: ProtocolStep = step("select-issuer", "选择发卡文件", ALL_KINDS);
/// READ RECORD in EF05.
pub static READ_ISSUER: ProtocolStep = step("read-issuer", "读发卡记录", ALL_KINDS);
/// SELECT EF06, the holder's file.
pub static SELECT_HOLDER: ProtocolStep = step("select-holder", "选择持卡人文件", ALL_KINDS);
/// READ RECORD in EF06.
pub static READ_HOLDER: ProtocolStep = step("read-holder", "读持卡人记录", ALL_KINDS);
/// GET CHALLENGE, of a card that requires card authentication.
pub static CHALLENGE: ProtocolStep = step("challenge", "取随机数", ALL_KINDS);
/// INTERNAL AUTHENTICATE: the card proves that it is genuine.
pub static INTERNAL: ProtocolStep = step("internal", "内部认证", ALL_KINDS);
/// EXTERNAL AUTHENTICATE: the card authority proves itself to the card.
pub static EXTERNAL: ProtocolStep = step("external", "外部认证", ALL_KINDS);
/// VERIFY: checks the PIN.
pub static VERIFY: ProtocolStep = step("verify", "校验密码", ALL_KINDS);
/// CHANGE PIN (CLA 80 INS 5E): the old and the new PIN.
pub static CHANGE_PIN: ProtocolStep = step("change-pin", "修改密码", ALL_KINDS);
/// GET DATA of a staff card: the name under which the site file lists its key.
pub static STAFF_NAME: ProtocolStep = step("staff-name", "工作人员卡：取名称", ALL_KINDS);
/// INTERNAL AUTHENTICATE of a staff card: it signs the reader's challenge.
pub static STAFF_PROOF: ProtocolStep = step("staff-proof", "工作人员卡：签名", ALL_KINDS);
/// The framing of vpcd's messages: lengths and bodies of the responses to all commands.
pub static READER_FRAME: ProtocolStep = step(
    "frame",
    "读卡器线路",
    &[
        FaultKind::Truncation,
        FaultKind::Garbage,
        FaultKind::Disconnection,
        FaultKind::Delay,
        FaultKind::WrongAnswer,
        FaultKind::Flood,
    ],
);
/// Bad contacts: the card disappears and reappears a moment later, repeatedly.
pub static CONTACT_BOUNCE: ProtocolStep = step("card-contacts-bounce", "卡片接触不良", STATE_ONLY);
/// The card is removed in the middle of a reading.
pub static CARD_PULLED: ProtocolStep = step("card-pulled", "读卡中途拔卡", STATE_ONLY);
/// The readers are disconnected.
pub static READER_DISCONNECTED: ProtocolStep = step("reader-gone", "读卡器断开", STATE_ONLY);

/// All steps and states.
pub static STEPS: &[&ProtocolStep] = &[
    &RESET,
    &SELECT,
    &GET_RESPONSE,
    &SELECT_ISSUER,
    &READ_ISSUER,
    &SELECT_HOLDER,
    &READ_HOLDER,
    &CHALLENGE,
    &INTERNAL,
    &EXTERNAL,
    &VERIFY,
    &CHANGE_PIN,
    &STAFF_NAME,
    &STAFF_PROOF,
    &READER_FRAME,
    &CONTACT_BOUNCE,
    &CARD_PULLED,
    &READER_DISCONNECTED,
];
