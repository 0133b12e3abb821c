//! Bodies of views, one type per shape.

use crate::entry_pad::EntryPad;
use crate::intent::Intent;
use crate::text::Text;

/// The body of a view, between banners and actions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// The sign-in methods.
    Welcome(Vec<SignInCard>),
    /// The services and actions that can be chosen.
    Menu(Vec<Tile>),
    /// Entry of the card's PIN.
    Pin(PinPad),
    /// Entry of a number, an amount or a date, which the resident reads and checks.
    Entry(EntryPad),
    /// Request for the resident's consent.
    Consent(ConsentForm),
    /// Selectable rows.
    Rows(Rows),
    /// Labelled values, without a choice.
    Details(Vec<LabelledValue>),
    /// An amount to confirm.
    Confirm(Confirm),
    /// The outcome of an action, or that it is still in progress.
    Outcome(Outcome),
    /// A code to scan with the phone.
    Scan(Scan),
    /// A gate's sign: only a verdict, readable from two metres.
    Sign(GateSign),
}

/// A QR code for the resident's phone, with instructions in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// Text of the QR code.
    pub qr: String,
    /// Instructions, in order.
    pub steps: Vec<Text>,
}

/// A gate's sign: light, verdict, and detail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateSign {
    /// The light: colour and icon of the sign.
    pub light: Light,
    /// The verdict in a few characters.
    pub headline: Text,
    /// The reason, or what to do.
    pub detail: Text,
}

/// The states of a gate's light.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Light {
    /// Waiting for a resident. Blue, with the icon of a phone.
    Ready,
    /// 请通行. Green, with a tick.
    Go,
    /// Not admitted. Red, with a cross.
    Stop,
    /// Check in progress. Amber, with an hourglass.
    Wait,
}

/// A sign-in method (认证方式): how a resident begins a visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SignInMethod {
    /// Insert the 居民服务卡 into the slot.
    Card,
    /// Show the 渝快码 to the camera or scanner.
    Code,
    /// Place the 居民身份证 flat on its reader.
    IdCard,
}

/// A sign-in method, drawn with the gesture that it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignInCard {
    /// The sign-in method.
    pub method: SignInMethod,
    /// Instruction for the gesture.
    pub title: Text,
    /// Details of the instruction.
    pub detail: Text,
    /// Why the method cannot be used now; it is then drawn greyed with this text.
    pub unavailable: Option<Text>,
}

/// One tile of the menu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Icon of the tile.
    pub icon: Icon,
    /// Name of the service or action.
    pub title: Text,
    /// Examples, or why the tile is greyed.
    pub detail: Text,
    /// Whether the tile can be touched; drawn greyed otherwise.
    pub enabled: bool,
    /// Whether a touch opens further tiles, not a service.
    pub opens_list: bool,
    /// Intent of a touch on the tile.
    pub intent: Intent,
}

/// The PIN pad. Contains the number of entered digits, never the digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinPad {
    /// Number of digits entered.
    pub entered: u8,
    /// Number of digits expected.
    pub length: u8,
    /// The ten digits in the order of the keys: three rows of three, then the key in the middle below.
    pub keys: [u8; 10],
    /// Why the last PIN was not accepted.
    pub problem: Option<Text>,
}

/// A request for the resident's consent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentForm {
    /// Purpose of the consent.
    pub purpose: Text,
    /// The data items that are used.
    pub items: Vec<Text>,
    /// The recipient of the data.
    pub recipient: Text,
    /// Validity of the consent.
    pub duration: Text,
}

/// Selectable rows of one page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows {
    /// Rows of this page.
    pub rows: Vec<RowCard>,
    /// Text about the selection, and its sum.
    pub summary: Option<(Text, String)>,
    /// Number of this page, when there are several.
    pub page: Option<Page>,
}

/// Position of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Index of this page, from 0.
    pub index: u16,
    /// Number of pages.
    pub count: u16,
}

/// One selectable row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowCard {
    /// Icon of the row.
    pub icon: Icon,
    /// First line of the row.
    pub title: Text,
    /// Second line of the row.
    pub detail: Option<Text>,
    /// Amount at the right, for example `¥1,234.56`.
    pub amount: Option<String>,
    /// Whether the row is selected.
    pub chosen: bool,
    /// Whether a touch shows the whole row, instead of selecting it.
    pub opens: bool,
    /// Intent of a touch on the row.
    pub intent: Intent,
}

/// A label and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelledValue {
    /// Label of the value.
    pub label: Text,
    /// The value, masked if it is personal.
    pub value: Text,
    /// Whether the value is drawn large: the main value of the view.
    pub emphasized: bool,
}

/// An amount to confirm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirm {
    /// The amount, for example `¥1,234.56`.
    pub amount: String,
    /// Purpose, payee, method, and what happens next.
    pub pairs: Vec<LabelledValue>,
    /// The payment methods, when there is a choice.
    pub methods: Vec<PaymentMethodCard>,
    /// The assurance to the resident: nothing is charged before the button is touched, and never twice.
    pub promise: Text,
}

/// A payment method that can be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentMethodCard {
    /// Name of the payment method.
    pub title: Text,
    /// Whether the method is selected.
    pub chosen: bool,
    /// Intent of a touch on the method.
    pub intent: Intent,
}

/// The outcome of an action: one colour, one icon, one word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The kind of outcome.
    pub kind: OutcomeKind,
    /// Headline: one word or short sentence, for example 已付款.
    pub headline: Text,
    /// Amount after the headline, for example `¥1,234.56`.
    pub amount: Option<String>,
    /// Explanation, and what to do now.
    pub detail: Text,
    /// Further labelled values.
    pub pairs: Vec<LabelledValue>,
    /// QR code for fetching the receipt without paper.
    pub code: Option<ReceiptCode>,
    /// Gesture that is expected now; drawn large where there is room.
    pub gesture: Option<Gesture>,
}

/// An expected gesture, drawn as a picture beside the text that describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Gesture {
    /// Insert the card into the slot.
    InsertCard,
    /// Remove the card from the slot.
    TakeCard,
    /// Hold the phone's code to the window.
    ShowCode,
    /// Hold the code of a paper to the window.
    ShowPaper,
    /// Place the ID card flat on its reader.
    PlaceIdCard,
    /// Remove the ID card from its reader.
    TakeIdCard,
    /// Take the paper from the printer.
    TakePaper,
    /// Take the A4 document from the document printer.
    TakeSheet,
}

/// The kinds of outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OutcomeKind {
    /// In progress; takes a few seconds.
    Working,
    /// Nothing happens until the resident does what the view says. Blue.
    Awaiting,
    /// Done. Green.
    Done,
    /// Not done, and nothing happened. Red.
    NotDone,
    /// Outcome not known yet; being checked. Amber.
    Checking,
    /// Outcome unknown and cannot be determined. Amber, with what to do about it.
    Unknown,
    /// Answered, and there is nothing to go on with: nothing was found, or the department refuses. Neutral.
    NothingToDo,
    /// The kiosk or the service is closed.
    Closed,
}

/// A receipt that a phone can fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptCode {
    /// Receipt number (凭条号), in groups.
    pub number: String,
    /// Text of the QR code by which a phone fetches it.
    pub qr: String,
}

/// An additional notice above the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Banner {
    /// Colour of the banner.
    pub tone: Tone,
    /// Icon of the banner.
    pub icon: Icon,
    /// Subject of the notice.
    pub title: Text,
    /// Explanation of the notice.
    pub detail: Option<Text>,
}

/// Colour of a banner; always shown together with an icon and a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tone {
    /// Green: done.
    Done,
    /// Amber: wait, or take care.
    Wait,
    /// Red: stop.
    Stop,
    /// Blue: information.
    Note,
}

/// An icon; all have the same stroke weight.
#[allow(missing_docs)] // the names describe the pictures
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Icon {
    ArrowLeft,
    Building,
    Bus,
    Card,
    Check,
    ChevronRight,
    Clock,
    Contrast,
    Droplets,
    Exit,
    FileBadge,
    HeartPulse,
    Help,
    Hourglass,
    House,
    IdCard,
    Landmark,
    Languages,
    Phone,
    Printer,
    Receipt,
    ShieldCheck,
    Ticket,
    TriangleAlert,
    User,
    Users,
    Wallet,
    Wifi,
    WifiOff,
}
