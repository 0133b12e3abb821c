//! Cards of the fault scenarios, and the screen texts that they wait for.

use view::TextId;

/// No identification method is available.
const CLOSED: TextId = TextId::Closed;
pub(super) const WELCOME: TextId = TextId::WelcomeTitle;
pub(super) const MENU: TextId = TextId::MenuTitle;
/// Resident with a second-generation card.
pub(super) const CARD: &str = "zhang-guiying";
/// Resident whose code is shown.
pub(super) const CODE_RESIDENT: &str = "wang-jianguo";
/// PIN of [`CARD`].
pub(super) const PIN: &str = "730914";
/// Resident with a third-generation card, which requires card authentication.
pub(super) const THIRD_GENERATION_CARD: &str = "wang-jianguo";

/// Texts while a card is read.
pub(super) const CARD_WORKING: &[TextId] = &[TextId::ReadingCard, TextId::Identifying];
/// Texts at the end of a card reading.
pub(super) const CARD_ENDS: &[TextId] = &[
    MENU,
    TextId::CardMute,
    TextId::CardDamaged,
    TextId::CardForeign,
    TextId::CardBlocked,
    TextId::CardUnproven,
    TextId::CardExpired,
    TextId::CardUnknown,
    TextId::CardMismatch,
    TextId::WayBroken,
    WELCOME,
];
pub(super) const ID_WORKING: &[TextId] = &[TextId::ReadingIdCard, TextId::Identifying];
pub(super) const ID_ENDS: &[TextId] = &[
    MENU,
    TextId::IdCardUnread,
    TextId::IdCardDamaged,
    TextId::IdCardForeign,
    TextId::IdCardUnknown,
    TextId::WayBroken,
    WELCOME,
];
pub(super) const PIN_WORKING: &[TextId] = &[TextId::PinCheck];
pub(super) const PIN_ENDS: &[TextId] = &[
    TextId::PinFailed,
    TextId::PinWrong,
    TextId::PinLocked,
    TextId::Paying,
    TextId::Paid,
    TextId::WayBroken,
    WELCOME,
];
/// Resident with a second-generation card whose PIN is changed, the issued PIN, and a new PIN that the kiosk accepts.
pub(super) const PIN_CHANGE_CARD: (&str, &str, &str) = ("ran-guangming", "648205", "580216");
pub(super) const NEW_PIN_WORKING: &[TextId] = &[TextId::ChangePinWorking];
pub(super) const NEW_PIN_ENDS: &[TextId] = &[
    TextId::ChangePinDone,
    TextId::ChangePinUnclear,
    TextId::ChangePinFailed,
    TextId::PinWrong,
    TextId::PinLocked,
    TextId::WayBroken,
    WELCOME,
];
pub(super) const STAFF_ENDS: &[TextId] = &[
    TextId::StaffTitle,
    TextId::CardForeign,
    TextId::CardMute,
    TextId::CardDamaged,
    TextId::WayBroken,
    WELCOME,
];
/// Signs of a gate: waiting, and refusing a forged code.
pub(super) const GATE_WAITING: TextId = TextId::GateReady;
pub(super) const GATE_REFUSED: TextId = TextId::CodeUnknown;
pub(super) const PRINT_WORKING: &[TextId] = &[TextId::Printing];
pub(super) const PRINT_ENDS: &[TextId] = &[
    TextId::Printed,
    TextId::PrintUnsure,
    TextId::PaperOut,
    TextId::CoverOpen,
    TextId::PaperJam,
    TextId::PrintOff,
    TextId::ReceiptByPhone,
];
pub(super) const PRINTER_FAULT: &[TextId] =
    &[TextId::PrintOff, TextId::PaperOut, TextId::CoverOpen, TextId::PaperJam];
pub(super) const CAMERA_FAULT: &[TextId] = &[
    TextId::WayBroken,
    TextId::CodeTooDark,
    TextId::CodeGlare,
    TextId::CodeMoving,
    TextId::CodeTooFar,
    TextId::CodeTooNear,
];
pub(super) const SCAN_ENDS: &[TextId] = &[
    MENU,
    TextId::WayBroken,
    CLOSED,
    TextId::CodeForeign,
    TextId::CodeDamaged,
    TextId::CodeUnknown,
    TextId::CodeUsed,
];
