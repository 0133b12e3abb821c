//! Bodies of views, by shape.

use crate::intent::Intent;
use crate::text::Text;

/// The middle of a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// The ways to begin.
    Welcome(Vec<WayCard>),
    /// What can be done here.
    Menu(Vec<Tile>),
    /// Card PIN.
    Pin(PinPad),
    /// What a resident is asked to agree to.
    Consent(ConsentSheet),
    /// Rows to choose from.
    Rows(Rows),
    /// Labelled values to read.
    Sheet(Vec<Pair>),
    /// An amount to agree to.
    Confirm(Confirm),
    /// How it went, or that it is still going.
    Outcome(Outcome),
    /// A code to scan with the phone.
    Scan(Scan),
    /// A gate's sign: nothing but a verdict, readable from two metres.
    Sign(Sign),
}

/// A code to scan with the phone, and what to do in which order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// Text of the QR code.
    pub qr: String,
    /// What the hands do, one after the other.
    pub steps: Vec<Text>,
}

/// A gate's sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sign {
    /// Its colour and its picture.
    pub light: Light,
    /// The verdict, in a few letters.
    pub word: Text,
    /// Why, or what to do.
    pub detail: Text,
}

/// The lights of a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Light {
    /// It waits for somebody. Blue, with the picture of a phone.
    Ready,
    /// 请通行. Green, with a tick.
    Go,
    /// Not now. Red, with a cross.
    Stop,
    /// A moment. Amber, with an hourglass.
    Wait,
}

/// A way to begin a visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// 居民服务卡 into the slot.
    Card,
    /// 渝快码 before the camera or scanner.
    Code,
    /// 居民身份证 flat on its reader.
    IdCard,
}

/// One way to begin, drawn as what to do with the hands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WayCard {
    /// Which.
    pub way: Way,
    /// The instruction.
    pub title: Text,
    /// How.
    pub detail: Text,
    /// Why it cannot be used now; drawn greyed with this word.
    pub broken: Option<Text>,
}

/// One entry of the menu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Its picture.
    pub icon: Icon,
    /// Its name.
    pub title: Text,
    /// Examples, or why it is greyed.
    pub detail: Text,
    /// Greyed when false; touching it then does nothing.
    pub enabled: bool,
    /// What touching it means.
    pub intent: Intent,
}

/// The PIN pad. Knows how many digits there are, never which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinPad {
    /// Digits entered.
    pub entered: u8,
    /// Digits wanted.
    pub length: u8,
    /// The ten digits in the order of the keys: three rows of three and the one in the middle below.
    pub keys: [u8; 10],
    /// What was wrong last time.
    pub problem: Option<Text>,
}

/// What a resident is asked to agree to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentSheet {
    /// What for.
    pub purpose: Text,
    /// Which data.
    pub items: Vec<Text>,
    /// Who receives it.
    pub recipient: Text,
    /// How long it holds.
    pub duration: Text,
}

/// Rows on one page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows {
    /// The rows of this page.
    pub rows: Vec<RowCard>,
    /// What was chosen, and the sum.
    pub summary: Option<(Text, String)>,
    /// Where this page is, when there are several.
    pub page: Option<Page>,
}

/// Which page of how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// This page, from 0.
    pub at: u16,
    /// How many there are.
    pub of: u16,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowCard {
    /// Its picture.
    pub icon: Icon,
    /// First line.
    pub title: Text,
    /// Second line.
    pub detail: Option<Text>,
    /// At the right.
    pub amount: Option<String>,
    /// Chosen.
    pub chosen: bool,
    /// What touching it means.
    pub intent: Intent,
}

/// A label and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// What it is.
    pub label: Text,
    /// The value, masked where personal.
    pub value: Text,
    /// Drawn large: the one value that the resident came for.
    pub strong: bool,
}

/// An amount to agree to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirm {
    /// `¥1,234.56`.
    pub amount: String,
    /// What for, to whom, how, what then.
    pub pairs: Vec<Pair>,
    /// The ways to pay, when there is a choice.
    pub methods: Vec<MethodCard>,
    /// What the kiosk promises: nothing is charged before the button, never twice.
    pub promise: Text,
}

/// A way to pay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodCard {
    /// Its name.
    pub title: Text,
    /// Chosen.
    pub chosen: bool,
    /// What touching it means.
    pub intent: Intent,
}

/// How it went: one colour, one icon, one word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The kind of outcome.
    pub verdict: Verdict,
    /// The one word or short sentence, for example 已付款.
    pub word: Text,
    /// `¥1,234.56` behind the word.
    pub amount: Option<String>,
    /// What it means and what to do now.
    pub detail: Text,
    /// More to read.
    pub pairs: Vec<Pair>,
    /// How to fetch the receipt without paper.
    pub code: Option<ReceiptCode>,
    /// What the hands do now; drawn large where there is room.
    pub gesture: Option<Gesture>,
}

/// Something to do with the hands, drawn as a picture beside the words that say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Gesture {
    /// Put the card into the slot.
    InsertCard,
    /// Take the card out of the slot.
    TakeCard,
    /// Hold the phone's code to the window.
    ShowCode,
    /// Lay the ID card flat on its reader.
    LayIdCard,
    /// Take the ID card off its reader.
    TakeIdCard,
    /// Take the paper from the printer.
    TakePaper,
    /// Take the sheet from the A4 printer.
    TakeSheet,
}

/// The kinds of outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// The kiosk is at work; a few seconds.
    Working,
    /// Done. Green.
    Done,
    /// Not done, nothing happened. Red.
    Sorry,
    /// Not known yet; being found out. Amber.
    Checking,
    /// Nobody will know: amber, and what to do about it.
    Unclear,
    /// The kiosk or the service is closed.
    Closed,
}

/// A receipt without paper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptCode {
    /// 凭条号, in groups.
    pub number: String,
    /// Text of the QR code by which a phone fetches it.
    pub qr: String,
}

/// Something that must be known besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Banner {
    /// Its colour.
    pub tone: Tone,
    /// Its picture.
    pub icon: Icon,
    /// What it is.
    pub title: Text,
    /// What it means.
    pub detail: Option<Text>,
}

/// Colour of a banner; always with an icon and a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tone {
    /// Green: done.
    Done,
    /// Amber: wait, or take care.
    Wait,
    /// Red: stop.
    Stop,
    /// Blue: good to know.
    Note,
}

/// A picture of one stroke weight.
#[allow(missing_docs)] // the names say all there is
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Icon {
    ArrowLeft,
    Building,
    Bus,
    Card,
    Check,
    Clock,
    Contrast,
    Droplets,
    Exit,
    FileBadge,
    HeartPulse,
    Help,
    Hourglass,
    House,
    Languages,
    Phone,
    Printer,
    Receipt,
    ShieldCheck,
    Ticket,
    TriangleAlert,
    User,
    Wallet,
    Wifi,
    WifiOff,
}
