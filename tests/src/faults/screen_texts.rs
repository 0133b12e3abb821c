//! Cards of the fault scenarios, and the screen texts that they wait for.

/// No identification method is available.
const CLOSED: &str = "本机暂时不能办理";
pub(super) const WELCOME: &str = "请选择一种方式开始";
pub(super) const MENU: &str = "您想办什么";
/// Resident with a second-generation card.
pub(super) const CARD: &str = "zhang-guiying";
/// Resident whose code is shown.
pub(super) const CODE_RESIDENT: &str = "wang-jianguo";
/// PIN of [`CARD`].
pub(super) const PIN: &str = "730914";
/// Resident with a third-generation card, which requires card authentication.
pub(super) const THIRD_GENERATION_CARD: &str = "wang-jianguo";

/// Texts while a card is read.
pub(super) const CARD_WORKING: &[&str] = &["正在读卡", "正在核对身份"];
/// Texts at the end of a card reading.
pub(super) const CARD_ENDS: &[&str] = &[
    MENU,
    "读不到卡",
    "卡内信息不完整",
    "这不是社会保障卡",
    "这张社保卡已锁定",
    "这张卡没有通过验证",
    "这张卡已过有效期",
    "没有查到这张卡",
    "卡内信息与登记的不一致",
    "暂时不能用",
    WELCOME,
];
pub(super) const ID_WORKING: &[&str] = &["正在读身份证", "正在核对身份"];
pub(super) const ID_ENDS: &[&str] = &[
    MENU,
    "身份证没有读出来",
    "身份证信息有误",
    "这不是身份证",
    "没有查到您的登记信息",
    "暂时不能用",
    WELCOME,
];
pub(super) const PIN_WORKING: &[&str] = &["正在核对密码"];
pub(super) const PIN_ENDS: &[&str] =
    &["密码没有核对成", "密码不对", "密码已锁定", "正在付款", "已付款", "暂时不能用", WELCOME];
/// Resident with a second-generation card whose PIN is changed, the issued PIN, and a new PIN that the kiosk accepts.
pub(super) const PIN_CHANGE_CARD: (&str, &str, &str) = ("ran-guangming", "648205", "580216");
pub(super) const NEW_PIN_WORKING: &[&str] = &["正在修改密码"];
pub(super) const NEW_PIN_ENDS: &[&str] =
    &["密码已修改", "不能确定密码改了没有", "密码没有修改", "密码不对", "密码已锁定", "暂时不能用", WELCOME];
pub(super) const STAFF_ENDS: &[&str] =
    &["本机状态", "这不是社会保障卡", "读不到卡", "卡内信息不完整", "暂时不能用", WELCOME];
/// Signs of a gate: waiting, and refusing a forged code.
pub(super) const GATE_WAITING: &str = "请亮码";
pub(super) const GATE_REFUSED: &str = "这个码不是渝快办发的";
pub(super) const PRINT_WORKING: &[&str] = &["正在打印凭条"];
pub(super) const PRINT_ENDS: &[&str] = &[
    "凭条已打印",
    "凭条可能没有打完整",
    "凭条纸用完了",
    "打印机盖子没有关好",
    "打印机卡纸了",
    "打印机暂时不能用",
    "没有纸也能拿到凭条",
];
pub(super) const PRINTER_FAULT: &[&str] =
    &["打印机暂时不能用", "凭条纸用完了", "打印机盖子没有关好", "打印机卡纸了"];
pub(super) const CAMERA_FAULT: &[&str] =
    &["暂时不能用", "请调亮手机屏幕", "屏幕有反光", "请拿稳手机", "请再靠近一点", "请再远一点"];
pub(super) const SCAN_ENDS: &[&str] =
    &[MENU, "暂时不能用", CLOSED, "这不是渝快码", "这个码不完整", "这个码不是渝快办发的", "这个码已经用过"];
