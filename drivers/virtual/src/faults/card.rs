//! Faults of a card: in its answer to reset, at each command, and on the vpcd protocol of its reader.

use super::{ALL, Device, Kind, STATE, Step};

const fn step(name: &'static str, title: &'static str, kinds: &'static [Kind]) -> Step {
    Step { device: Device::Card, name, title, kinds }
}

/// Answer to reset (ISO/IEC 7816-3).
pub static RESET: Step = step("reset", "复位应答", ALL);
/// SELECT by name: the social security application.
pub static SELECT: Step = step("select", "选择应用", ALL);
/// GET RESPONSE after 61xx.
pub static GET_RESPONSE: Step = step("get-response", "取应答数据", ALL);
/// SELECT EF05, the issuer's file.
pub static SELECT_ISSUER: Step = step("select-issuer", "选择发卡文件", ALL);
/// READ RECORD in EF05.
pub static READ_ISSUER: Step = step("read-issuer", "读发卡记录", ALL);
/// SELECT EF06, the holder's file.
pub static SELECT_HOLDER: Step = step("select-holder", "选择持卡人文件", ALL);
/// READ RECORD in EF06.
pub static READ_HOLDER: Step = step("read-holder", "读持卡人记录", ALL);
/// GET CHALLENGE, of a card that requires card authentication.
pub static CHALLENGE: Step = step("challenge", "取随机数", ALL);
/// INTERNAL AUTHENTICATE: the card proves that it is genuine.
pub static INTERNAL: Step = step("internal", "内部认证", ALL);
/// EXTERNAL AUTHENTICATE: the card authority proves itself to the card.
pub static EXTERNAL: Step = step("external", "外部认证", ALL);
/// VERIFY: checks the PIN.
pub static VERIFY: Step = step("verify", "校验密码", ALL);
/// CHANGE PIN (CLA 80 INS 5E): the old and the new PIN.
pub static CHANGE_PIN: Step = step("change-pin", "修改密码", ALL);
/// GET DATA of a staff card: the name under which the site file lists its key.
pub static STAFF_NAME: Step = step("staff-name", "工作人员卡：取名称", ALL);
/// INTERNAL AUTHENTICATE of a staff card: it signs the reader's challenge.
pub static STAFF_PROOF: Step = step("staff-proof", "工作人员卡：签名", ALL);
/// The framing of vpcd's messages: lengths and bodies of the responses to all commands.
pub static FRAME: Step = step(
    "frame",
    "读卡器线路",
    &[Kind::Truncation, Kind::Garbage, Kind::Disconnection, Kind::Delay, Kind::WrongAnswer, Kind::Flood],
);
/// Bad contacts: the card disappears and reappears a moment later, repeatedly.
pub static CONTACTS: Step = step("card-contacts-bounce", "卡片接触不良", STATE);
/// The card is removed in the middle of a reading.
pub static PULLED: Step = step("card-pulled", "读卡中途拔卡", STATE);
/// The readers are disconnected.
pub static READER_GONE: Step = step("reader-gone", "读卡器断开", STATE);

/// All steps and states.
pub static STEPS: &[&Step] = &[
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
    &FRAME,
    &CONTACTS,
    &PULLED,
    &READER_GONE,
];
