//! Fixed texts and their languages.

use std::collections::BTreeMap;
use std::fmt;

use crate::Lang;
use crate::entry_pad::EnteredText;

macro_rules! text_ids {
    ($($name:ident = $key:literal,)*) => {
        /// Id of a fixed text. The variants are named by their use; the texts are in `assets/lang`, under the key of
        /// each variant.
        #[allow(missing_docs)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum TextId {
            $($name,)*
        }

        impl TextId {
            /// All ids, in the order of declaration.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The key in the language files; also the name of the voice clip.
            #[must_use]
            pub const fn key(self) -> &'static str {
                match self {
                    $(Self::$name => $key,)*
                }
            }
        }
    };
}

text_ids! {
    LinkOnline = "link.online",
    StaffTitle = "staff.title",
    StaffLead = "staff.lead",
    StaffLogFull = "staff.log-full",
    StaffKiosk = "staff.kiosk",
    StaffLink = "staff.link",
    StaffCardReader = "staff.card-reader",
    StaffIdReader = "staff.id-reader",
    StaffCodeReader = "staff.code-reader",
    StaffPrinter = "staff.printer",
    StaffSheetPrinter = "staff.sheet-printer",
    StaffPayments = "staff.payments",
    StaffPapers = "staff.papers",
    StaffWell = "staff.well",
    StaffUnknown = "staff.unknown",
    StaffGone = "staff.gone",
    StaffPaperOut = "staff.paper-out",
    StaffSheetsOut = "staff.sheets-out",
    StaffCoverOpen = "staff.cover-open",
    StaffJammed = "staff.jammed",
    LinkOffline = "link.offline",
    FootBack = "foot.back",
    FootHome = "foot.home",
    FootHelp = "foot.help",
    FootTakeCard = "foot.take-card",
    FootExit = "foot.exit",
    FootOtherLanguage = "foot.other-language",
    FootElder = "foot.elder",
    FootStandard = "foot.standard",
    SecondsLeft = "seconds-left",
    StillHere = "still-here",
    HelpCalled = "help.called",
    HelpCalledDetail = "help.called.detail",
    HelpQueued = "help.queued",
    HelpQueuedDetail = "help.queued.detail",
    WelcomeTitle = "welcome.title",
    WelcomeLead = "welcome.lead",
    WayCardTitle = "way.card.title",
    WayCardDetail = "way.card.detail",
    WayIdCardTitle = "way.id-card.title",
    WayIdCardDetail = "way.id-card.detail",
    WayCodeTitle = "way.code.title",
    WayCodeDetail = "way.code.detail",
    WayBroken = "way.broken",
    WayNeedsLink = "way.needs-link",
    ExplainCard = "explain.card",
    ExplainIdCard = "explain.id-card",
    ExplainCode = "explain.code",
    CodeTooFar = "code.too-far",
    CodeTooNear = "code.too-near",
    CodeTooDark = "code.too-dark",
    CodeGlare = "code.glare",
    CodeMoving = "code.moving",
    ReadingCard = "reading.card",
    ReadingCardDetail = "reading.card.detail",
    ReadingIdCard = "reading.id-card",
    ReadingIdCardDetail = "reading.id-card.detail",
    Identifying = "identifying",
    IdentifyingDetail = "identifying.detail",
    Querying = "querying",
    QueryingDetail = "querying.detail",
    SorryTitle = "sorry.title",
    SorryIdCardTitle = "sorry.id-card.title",
    SorryCodeTitle = "sorry.code.title",
    CardForeign = "card.foreign",
    CardForeignDetail = "card.foreign.detail",
    CardMute = "card.mute",
    CardMuteDetail = "card.mute.detail",
    CardDamaged = "card.damaged",
    CardDamagedDetail = "card.damaged.detail",
    CardBlocked = "card.blocked",
    CardBlockedDetail = "card.blocked.detail",
    CardUnproven = "card.unproven",
    CardUnprovenDetail = "card.unproven.detail",
    CardExpired = "card.expired",
    CardExpiredDetail = "card.expired.detail",
    CardUnknown = "card.unknown",
    CardUnknownDetail = "card.unknown.detail",
    CardStopped = "card.stopped",
    CardStoppedDetail = "card.stopped.detail",
    CardMismatch = "card.mismatch",
    CardMismatchDetail = "card.mismatch.detail",
    IdCardForeign = "id-card.foreign",
    IdCardForeignDetail = "id-card.foreign.detail",
    IdCardUnread = "id-card.unread",
    IdCardUnreadDetail = "id-card.unread.detail",
    IdCardDamaged = "id-card.damaged",
    IdCardDamagedDetail = "id-card.damaged.detail",
    IdCardExpired = "id-card.expired",
    IdCardExpiredDetail = "id-card.expired.detail",
    IdCardUnknown = "id-card.unknown",
    IdCardUnknownDetail = "id-card.unknown.detail",
    CodeForeign = "code.foreign",
    CodeForeignDetail = "code.foreign.detail",
    CodeOtherCity = "code.other-city",
    CodeOtherCityDetail = "code.other-city.detail",
    CodeDamaged = "code.damaged",
    CodeDamagedDetail = "code.damaged.detail",
    CodeUsed = "code.used",
    CodeUsedDetail = "code.used.detail",
    CodeExpired = "code.expired",
    CodeExpiredDetail = "code.expired.detail",
    CodeUnknown = "code.unknown",
    CodeUnknownDetail = "code.unknown.detail",
    CodeRevoked = "code.revoked",
    CodeRevokedDetail = "code.revoked.detail",
    CodeStale = "code.stale",
    CodeStaleDetail = "code.stale.detail",
    CodeEarly = "code.early",
    CodeEarlyDetail = "code.early.detail",
    CodeNeedsLink = "code.needs-link",
    CodeNeedsLinkDetail = "code.needs-link.detail",
    ClockDoubt = "clock.doubt",
    ClockDoubtDetail = "clock.doubt.detail",
    WayCodeOffline = "way.code.offline",
    WhoByCode = "who.by-code",
    MenuLeadOffline = "menu.lead.offline",
    TileCodeAgain = "tile.code-again",
    TileNeedsPhone = "tile.needs-phone",
    TileNeedsPin = "tile.needs-pin",
    TileNeedsCard = "tile.needs-card",
    TileOpensToday = "tile.opens-today",
    TileOpensMonday = "tile.opens-monday",
    TileOpensTuesday = "tile.opens-tuesday",
    TileOpensWednesday = "tile.opens-wednesday",
    TileOpensThursday = "tile.opens-thursday",
    TileOpensFriday = "tile.opens-friday",
    TileOpensSaturday = "tile.opens-saturday",
    TileOpensSunday = "tile.opens-sunday",
    ProveTitle = "prove.title",
    ProveLead = "prove.lead",
    ProveStepScan = "prove.step.scan",
    ProveStepAgree = "prove.step.agree",
    ProveStepShow = "prove.step.show",
    ProveCheck = "prove.check",
    ProveShowsCode = "prove.shows-code",
    ProveOtherPhone = "prove.other-phone",
    ProveWrong = "prove.wrong",
    ProveNotNow = "prove.not-now",
    ProvePinLead = "prove.pin.lead",
    ProvePinLockedDetail = "prove.pin.locked.detail",
    ProvePinFailedDetail = "prove.pin.failed.detail",
    GateReady = "gate.ready",
    GateReadyDetail = "gate.ready.detail",
    GateReadyBothDetail = "gate.ready.both.detail",
    GateTap = "gate.tap",
    GateTapDetail = "gate.tap.detail",
    GateGo = "gate.go",
    GateGoDetail = "gate.go.detail",
    GateStop = "gate.stop",
    GateWait = "gate.wait",
    GateWaitDetail = "gate.wait.detail",
    GatePassback = "gate.passback",
    GateCardOffline = "gate.card-offline",
    NoLink = "no-link",
    NoLinkDetail = "no-link.detail",
    Nonsense = "nonsense",
    NonsenseDetail = "nonsense.detail",
    VisitExpired = "visit.expired",
    VisitExpiredDetail = "visit.expired.detail",
    NotPermitted = "not-permitted",
    NotPermittedDetail = "not-permitted.detail",
    PrintTooLong = "print.too-long",
    PrintTooLongDetail = "print.too-long.detail",
    MenuTitle = "menu.title",
    MenuLead = "menu.lead",
    MenuChecking = "menu.checking",
    MenuCheckingDetail = "menu.checking.detail",
    MenuMore = "menu.more",
    MenuLookups = "menu.lookups",
    SceneLiving = "scene.living",
    SceneMedical = "scene.medical",
    SceneSocialInsurance = "scene.social-insurance",
    SceneCard = "scene.card",
    SceneHall = "scene.hall",
    SceneTax = "scene.tax",
    SceneFines = "scene.fines",
    SceneTransport = "scene.transport",
    SceneCertificates = "scene.certificates",
    SceneCommunity = "scene.community",
    SceneCulture = "scene.culture",
    SceneIdentity = "scene.identity",
    ShowNext = "show.next",
    ShowList = "show.list",
    TileNeedsLink = "tile.needs-link",
    TileNeedsLevel = "tile.needs-level",
    TileNeedsPaper = "tile.needs-paper",
    PinTitle = "pin.title",
    PinLead = "pin.lead",
    PinWrong = "pin.wrong",
    PinErase = "pin.erase",
    PinGo = "pin.go",
    PinCheck = "pin.check",
    PinLocked = "pin.locked",
    PinLockedDetail = "pin.locked.detail",
    PinFailed = "pin.failed",
    PinFailedDetail = "pin.failed.detail",
    ChangePinOld = "change-pin.old",
    ChangePinNew = "change-pin.new",
    ChangePinNewLead = "change-pin.new.lead",
    ChangePinAgain = "change-pin.again",
    ChangePinSame = "change-pin.same",
    ChangePinWeak = "change-pin.weak",
    ChangePinDiffers = "change-pin.differs",
    ChangePinWorking = "change-pin.working",
    ChangePinDone = "change-pin.done",
    ChangePinDoneDetail = "change-pin.done.detail",
    ChangePinFailed = "change-pin.failed",
    ChangePinFailedDetail = "change-pin.failed.detail",
    ChangePinUnclear = "change-pin.unclear",
    ChangePinUnclearDetail = "change-pin.unclear.detail",
    ConsentTitle = "consent.title",
    ConsentLead = "consent.lead",
    ConsentPurpose = "consent.purpose",
    ConsentItems = "consent.items",
    ConsentRecipient = "consent.recipient",
    ConsentDuration = "consent.duration",
    ConsentThisVisit = "consent.this-visit",
    ConsentDays = "consent.days",
    ConsentAgree = "consent.agree",
    ConsentDecline = "consent.decline",
    ConsentDeclined = "consent.declined",
    AskNext = "ask.next",
    AskMissing = "ask.missing",
    AskAtLeast = "ask.at-least",
    AskAtMost = "ask.at-most",
    AskErase = "ask.erase",
    AskNoSuchDate = "ask.no-such-date",
    AskTooEarly = "ask.too-early",
    AskTooLate = "ask.too-late",
    AskIdBirth = "ask.id-birth",
    AskIdCheck = "ask.id-check",
    AskPhoneStart = "ask.phone-start",
    AskAgain = "ask.again",
    ScanHold = "scan.hold",
    ScanHoldDetail = "scan.hold.detail",
    ScanType = "scan.type",
    ScanInstead = "scan.instead",
    ScanAgain = "scan.again",
    ScanCheck = "scan.check",
    ScanCheckLead = "scan.check.lead",
    ScanNumber = "scan.number",
    ScanText = "scan.text",
    ScanResidentCode = "scan.resident-code",
    ScanWrong = "scan.wrong",
    ScanOff = "scan.off",
    ScanOffDetail = "scan.off.detail",
    ScanOffType = "scan.off.type",
    Refused = "refused",
    TicketTaking = "ticket.taking",
    TicketTakingDetail = "ticket.taking.detail",
    TicketUnclearTitle = "ticket.unclear.title",
    TicketUnclear = "ticket.unclear",
    TicketUnclearDetail = "ticket.unclear.detail",
    TicketLeftDetail = "ticket.left.detail",
    SubmitGo = "submit.go",
    Submitted = "submit.done",
    SubmissionNumber = "submit.number",
    SubmissionMatter = "submit.matter",
    SubmittedOffline = "submit.offline",
    SubmittedOfflineDetail = "submit.offline.detail",
    SubmitImpossible = "submit.impossible",
    SubmitImpossibleDetail = "submit.impossible.detail",
    RowsSummary = "rows.summary",
    RowsSummaryItems = "rows.summary.items",
    RowsMaxItems = "rows.max.items",
    RowsGo = "rows.go",
    RowsMax = "rows.max",
    RowsPrevious = "rows.previous",
    RowsNext = "rows.next",
    RowsPage = "rows.page",
    SheetPrint = "sheet.print",
    SheetDone = "sheet.done",
    SheetAge = "sheet.age",
    NothingTitle = "nothing.title",
    BackToMenu = "back-to-menu",
    TryAgain = "try-again",
    ConfirmTitle = "confirm.title",
    ConfirmWhat = "confirm.what",
    ConfirmPayee = "confirm.payee",
    ConfirmMethod = "confirm.method",
    ConfirmNext = "confirm.next",
    ConfirmNextPin = "confirm.next.pin",
    ConfirmNextPrint = "confirm.next.print",
    ConfirmPromise = "confirm.promise",
    ConfirmGo = "confirm.go",
    MethodCardAccount = "method.card-account",
    MethodResidentCode = "method.resident-code",
    NoMethod = "no-method",
    NoMethodDetail = "no-method.detail",
    MoneyOff = "money-off",
    MoneyOffDetail = "money-off.detail",
    Paying = "paying",
    PayingDetail = "paying.detail",
    PaidTitle = "paid.title",
    Paid = "paid",
    PaidDetail = "paid.detail",
    NotPaidTitle = "not-paid.title",
    NotPaid = "not-paid",
    NotPaidDeclined = "not-paid.declined",
    NotPaidFenced = "not-paid.fenced",
    NotPaidBusy = "not-paid.busy",
    NotPaidSettled = "not-paid.settled",
    NotPaidChanged = "not-paid.changed",
    NotPaidOther = "not-paid.other",
    CheckingTitle = "checking.title",
    Checking = "checking",
    CheckingDetail = "checking.detail",
    CheckingLeave = "checking.leave",
    CheckingGo = "checking.go",
    Amount = "amount",
    OrderNumber = "order-number",
    ClosingTitle = "closing.title",
    ClosingPinTitle = "closing.pin.title",
    Printing = "printing",
    PrintingDetail = "printing.detail",
    PrintedTitle = "printed.title",
    Printed = "printed",
    PrintedDetail = "printed.detail",
    SheetPrinting = "sheet.printing",
    SheetPrintingDetail = "sheet.printing.detail",
    SheetPrinted = "sheet.printed",
    SheetPrintedDetail = "sheet.printed.detail",
    SheetUnsure = "sheet.unsure",
    SheetUnsureDetail = "sheet.unsure.detail",
    SheetPaperOut = "sheet.paper-out",
    SheetOff = "sheet.off",
    SheetOffDetail = "sheet.off.detail",
    PrintOff = "print.off",
    PrintOffDetail = "print.off.detail",
    PaperOut = "paper.out",
    PaperOutDetail = "paper.out.detail",
    CoverOpen = "cover.open",
    PaperJam = "paper.jam",
    PrintUnsure = "print.unsure",
    PrintUnsureDetail = "print.unsure.detail",
    PrintAgain = "print.again",
    NoPaperNeeded = "no-paper-needed",
    ReceiptByPhone = "receipt.by-phone",
    ReceiptByPhoneDetail = "receipt.by-phone.detail",
    CopyMark = "copy-mark",
    Finish = "finish",
    TakeCardTitle = "take-card.title",
    TakeCard = "take-card",
    TakeCardDetail = "take-card.detail",
    TakeIdCardTitle = "take-id-card.title",
    TakeIdCard = "take-id-card",
    TakeIdCardDetail = "take-id-card.detail",
    ClosedTitle = "closed.title",
    Closed = "closed",
    ClosedRecovering = "closed.recovering",
    ClosedDevices = "closed.devices",
    StepConsent = "step.consent",
    StepAsk = "step.ask",
    StepScan = "step.scan",
    StepSubmit = "step.submit",
    StepShow = "step.show",
    StepShowCode = "step.show-code",
    StepChoose = "step.choose",
    StepPin = "step.pin",
    StepPay = "step.pay",
    StepPrint = "step.print",
    StepSheet = "step.sheet",
    ReceiptPayment = "receipt.payment",
    ReceiptNumber = "receipt.number",
    ReceiptTime = "receipt.time",
    ReceiptPlace = "receipt.place",
    ReceiptKiosk = "receipt.kiosk",
    ReceiptPayee = "receipt.payee",
    ReceiptMethod = "receipt.method",
    ReceiptReference = "receipt.reference",
    ReceiptTotal = "receipt.total",
    ReceiptFoot = "receipt.foot",
    SheetNumber = "sheet.number",
    SheetFoot = "sheet.foot",
    ReceiptName = "receipt.name",
    ReceiptIdNumber = "receipt.id-number",
}

/// A text in a view: fixed, fixed with values filled in, or data.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Text {
    /// Fixed text.
    Id(TextId),
    /// Fixed text with values for the placeholders `{0}`, `{1}`, ….
    With(TextId, Vec<String>),
    /// Data shown unchanged: already in the language of the view, already masked.
    Data(String),
    /// What the resident entered or scanned, shown unchanged and wiped on drop.
    Entered(EnteredText),
}

impl From<TextId> for Text {
    fn from(id: TextId) -> Self {
        Self::Id(id)
    }
}

/// Prints only the length of data, because it may be personal.
impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id:?}"),
            Self::With(id, values) => write!(f, "{id:?}({} values)", values.len()),
            Self::Data(data) => write!(f, "Data({} characters)", data.chars().count()),
            Self::Entered(entered) => write!(f, "{entered:?}"),
        }
    }
}

/// Why the language files are refused.
#[derive(Debug, thiserror::Error)]
pub enum TextsError {
    /// A file is not a TOML table of strings.
    #[error("the language file for {0:?} is not a TOML table of strings")]
    Syntax(Lang, #[source] Box<toml::de::Error>),
    /// A key has no text.
    #[error("the language file for {0:?} has no text for `{1}`")]
    Missing(Lang, &'static str),
    /// A key is not used by any [`TextId`].
    #[error("the language file for {0:?} has the unknown key `{1}`")]
    Unknown(Lang, String),
    /// The languages have different placeholders.
    #[error("the languages have different placeholders for `{0}`")]
    Placeholders(&'static str),
}

/// The fixed texts of all languages, complete by construction.
pub struct Texts {
    zh: BTreeMap<TextId, String>,
    en: BTreeMap<TextId, String>,
}

impl Texts {
    /// Reads the language files.
    ///
    /// # Errors
    /// When a file is not TOML, a key is missing or unknown, or the languages have different placeholders.
    pub fn parse(zh: &str, en: &str) -> Result<Self, TextsError> {
        let texts = Self { zh: parse_language(Lang::Zh, zh)?, en: parse_language(Lang::En, en)? };
        for id in TextId::ALL {
            if placeholders(texts.pattern(Lang::Zh, *id)) != placeholders(texts.pattern(Lang::En, *id)) {
                return Err(TextsError::Placeholders(id.key()));
            }
        }
        Ok(texts)
    }

    /// The texts that are compiled into the program.
    #[must_use]
    pub fn built_in() -> Self {
        Self::parse(
            include_str!("../../../assets/lang/zh.toml"),
            include_str!("../../../assets/lang/en.toml"),
        )
        .expect("a test parses the same files")
    }

    /// Renders a text in a language, with its values filled in.
    #[must_use]
    pub fn render(&self, lang: Lang, text: &Text) -> String {
        match text {
            Text::Id(id) => self.pattern(lang, *id).to_owned(),
            Text::With(id, values) => {
                let mut rendered = self.pattern(lang, *id).to_owned();
                for (at, value) in values.iter().enumerate() {
                    rendered = rendered.replace(&format!("{{{at}}}"), value);
                }
                rendered
            }
            Text::Data(data) => data.clone(),
            Text::Entered(entered) => entered.as_str().to_owned(),
        }
    }

    fn pattern(&self, lang: Lang, id: TextId) -> &str {
        let words = match lang {
            Lang::Zh => &self.zh,
            Lang::En => &self.en,
        };
        words.get(&id).map_or("", String::as_str)
    }
}

fn parse_language(lang: Lang, file: &str) -> Result<BTreeMap<TextId, String>, TextsError> {
    let mut raw: BTreeMap<String, String> =
        toml::from_str(file).map_err(|e| TextsError::Syntax(lang, Box::new(e)))?;
    let mut words = BTreeMap::new();
    for id in TextId::ALL {
        let text = raw.remove(id.key()).ok_or(TextsError::Missing(lang, id.key()))?;
        words.insert(*id, text);
    }
    match raw.into_keys().next() {
        Some(key) => Err(TextsError::Unknown(lang, key)),
        None => Ok(words),
    }
}

/// Number of the placeholders `{0}` … `{9}` that a pattern contains.
fn placeholders(pattern: &str) -> usize {
    (0..10).filter(|at| pattern.contains(&format!("{{{at}}}"))).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_texts_exist_in_both_languages() {
        let texts = Texts::built_in();
        let left = Text::With(TextId::SecondsLeft, vec!["20".into()]);
        assert_eq!(texts.render(Lang::Zh, &left), "20 秒后返回首页");
        assert_eq!(texts.render(Lang::En, &TextId::Paid.into()), "Paid");
    }

    #[test]
    fn parse_refuses_missing_unknown_and_mismatched_keys() {
        let (zh, en) =
            (include_str!("../../../assets/lang/zh.toml"), include_str!("../../../assets/lang/en.toml"));
        assert!(matches!(
            Texts::parse(&zh.replace("\"paid\" =", "\"pade\" ="), en),
            Err(TextsError::Missing(Lang::Zh, "paid"))
        ));
        assert!(matches!(
            Texts::parse(zh, &format!("{en}\n\"more\" = \"x\"\n")),
            Err(TextsError::Unknown(Lang::En, _))
        ));
        assert!(matches!(
            Texts::parse(zh, &en.replace("{0} chosen", "chosen")),
            Err(TextsError::Placeholders("rows.summary"))
        ));
    }

    #[test]
    fn debug_of_text_hides_data() {
        assert_eq!(format!("{:?}", Text::Data("张*三".into())), "Data(3 characters)");
        let with = Text::With(TextId::MenuLead, vec!["张*三".into()]);
        assert!(!format!("{with:?}").contains('张'));
    }
}
