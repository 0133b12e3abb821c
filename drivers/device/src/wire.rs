//! The wire between the kiosk and a device process: framed, typed messages over one socket pair.
//!
//! A frame is `length: u32 big-endian (1..=FRAME_MAX)` followed by that many bytes of postcard. Both
//! sides start by sending their [`VERSION`]; a different one ends the connection. Everything bounded: a
//! frame that claims more than [`FRAME_MAX`] is refused before a byte of it is kept.
//!
//! The kiosk sends [`ToDevice`], the device process sends [`FromDevice`]. The kiosk's side never trusts
//! what it reads here more than it would trust the device itself.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Version of this wire. Both programs come from one package, so there is no negotiation.
pub const VERSION: u16 = 3;

/// Largest frame in bytes: a preview picture or an A4 document of a few pages.
pub const FRAME_MAX: usize = 8 * 1024 * 1024;

/// Names one piece of work; chosen by the kiosk, echoed in the answer.
pub type Ticket = u64;

/// What a device process is to drive, and where it finds the device. Paths, not modes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum DeviceConfig {
    /// A PC/SC reader.
    Card {
        /// The reader's PC/SC name begins with this, for example `Virtual PCD 00 00`.
        reader: String,
        /// The same of the reader that the PSAM lies in; none: the kiosk is asked, by
        /// [`Event::CardNeedsAuthority`].
        psam: Option<String>,
        /// What is done with cards whose algorithm is older than SM4.
        older: card::OlderCards,
    },
    /// A camera that residents hold a code to.
    Camera {
        /// `/dev/videoN` or a link to it, `camera:` and a part of its name, or a path (file, FIFO or UNIX socket) that
        /// yields a YUV4MPEG2 stream.
        source: String,
        /// How it is set up.
        setup: CameraSetup,
    },
    /// A serial or USB-CDC code scanner.
    Scanner {
        /// Path of the tty.
        tty: String,
        /// Bits per second.
        baud: u32,
        /// How it is set up.
        line: ScannerLine,
    },
    /// A reader of resident identity cards on a serial line.
    IdReader {
        /// Path of the tty.
        tty: String,
        /// Bits per second.
        baud: u32,
    },
    /// A receipt printer.
    ReceiptPrinter {
        /// Where it is.
        link: PrinterLink,
        /// Name of a printer profile of the `printer` crate, for example `generic-80`.
        profile: String,
    },
    /// An A4 printer.
    SheetPrinter {
        /// Its IPP address, for example `ipp://127.0.0.1/printers/a4`.
        url: String,
    },
    /// A gate's light and buzzer on a relay board.
    Signal {
        /// Path of the tty.
        tty: String,
        /// Bits per second.
        baud: u32,
        /// What hangs on which relay.
        relays: Relays,
    },
}

/// What hangs on which relay of a board; the first is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relays {
    /// The green light.
    pub go: u8,
    /// The red light.
    pub stop: u8,
    /// The buzzer, if there is one.
    pub buzzer: Option<u8>,
}

/// What a gate's light says, and its buzzer once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Signal {
    /// Nothing.
    Dark,
    /// Green, and one long tone.
    Go,
    /// Red, and three short ones.
    Stop,
}

/// Where a receipt printer is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PrinterLink {
    /// RS-232, a USB adapter or USB-CDC.
    Serial {
        /// Path of the tty.
        tty: String,
        /// Bits per second.
        baud: u32,
    },
    /// USB's printer class: `/dev/usb/lpN` or udev's name for it.
    Usb {
        /// Path of the port.
        port: String,
    },
    /// The network.
    Tcp {
        /// `host:port`; the port is 9100 as a rule.
        address: String,
    },
}

/// How a camera is set up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CameraSetup {
    /// Exposure in 100 µs, of a camera that lets it be set; its own choice if `None`.
    pub exposure: Option<u16>,
    /// Whether the kiosk shows what the camera sees: then [`Event::Preview`] is sent.
    pub preview: bool,
}

/// How a code scanner is set up: what it sends behind a code, and what it wants to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ScannerLine {
    /// What comes behind a code.
    pub end: code_reader::LineEnd,
    /// Milliseconds without a byte that end a code, or spoil it, as [`code_reader::LineEnd`] says.
    pub gap_ms: u16,
    /// Sent to make it look for codes, when it is plugged in too; empty if it always does.
    pub start: Vec<u8>,
    /// Sent to make it stop.
    pub stop: Vec<u8>,
}

impl Default for ScannerLine {
    fn default() -> Self {
        Self { end: code_reader::LineEnd::Any, gap_ms: 80, start: Vec::new(), stop: Vec::new() }
    }
}

/// Kiosk → device process.
#[derive(Serialize, Deserialize)]
pub enum ToDevice {
    /// The first message after the version.
    Open(DeviceConfig),
    /// Do this; exactly one [`FromDevice::Answer`] follows unless the process dies.
    Do(Ticket, Work),
    /// The answer to this ticket is no longer wanted. Best effort.
    Cancel(Ticket),
    /// Answer with [`FromDevice::Pong`]: the process and its driver thread are alive.
    Ping(u64),
}

/// What a device can be asked to do.
#[derive(Serialize, Deserialize)]
pub enum Work {
    /// VERIFY the card holder's PIN on the card that lies in the reader: ASCII digits.
    VerifyPin(Zeroizing<Vec<u8>>),
    /// Let that card take another PIN: ASCII digits, both.
    ChangePin {
        /// The present one.
        old: Zeroizing<Vec<u8>>,
        /// The one from now on.
        new: Zeroizing<Vec<u8>>,
    },
    /// Go on with the card of [`Event::CardNeedsAuthority`]: what its authority answered, or none: nobody vouches for it,
    /// and it is read in part. [`Event::CardRead`] or [`Event::CardRefused`] follows.
    Authenticate(Option<card::AuthAnswer>),
    /// Print one receipt, whole.
    Print(printer::Receipt),
    /// Print one A4 document, whole.
    PrintSheet(printer::A4),
    /// Look for codes, or stop looking (the lamp goes out, no code is reported).
    Scan(bool),
    /// Show this until something else is to be shown.
    Signal(Signal),
}

/// Device process → kiosk.
#[derive(Serialize, Deserialize)]
pub enum FromDevice {
    /// The state of the device changed (sent once at the start too).
    Health(Health),
    /// Something happened at the device.
    Event(Event),
    /// The outcome of [`ToDevice::Do`].
    Answer(Ticket, Result<Answer, Fault>),
    /// Answer to [`ToDevice::Ping`].
    Pong(u64),
}

/// Whether a device can be used, and what somebody must do if not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Health {
    /// Ready for work.
    Ready,
    /// At work.
    Busy,
    /// Works again when a person has done this.
    NeedsAttention(Attention),
    /// The device is not there.
    Absent,
    /// The device is there and does not work.
    Failed,
}

/// What a person must do at the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Attention {
    /// Put in a new paper roll.
    PaperOut,
    /// Paper will be out soon; printing still works.
    PaperLow,
    /// Close the cover.
    CoverOpen,
    /// Clear the cutter or the paper path.
    Jammed,
    /// Put in a new toner cartridge.
    TonerOut,
    /// Toner will be out soon; printing still works.
    TonerLow,
    /// It does not answer: check power and cable.
    Mute,
}

/// What happens at a device by itself.
#[derive(Serialize, Deserialize)]
pub enum Event {
    /// A card was put into the slot; its reading has begun.
    CardInserted,
    /// The card is of the third generation and gives its holder to an authority only. Its reading waits for
    /// [`Work::Authenticate`], [`AUTHORITY_MS`] at most.
    CardNeedsAuthority(Box<card::AuthRequest>),
    /// The social security card was read, wholly or in part.
    CardRead(Box<card::SocialCard>),
    /// The card that lies in the reader cannot be used, and why.
    CardRefused(card::Refusal),
    /// The card that lies in the reader is a staff card, and this is its proof; instead of the two before.
    StaffCard(Box<card::StaffProof>),
    /// The card was taken.
    CardRemoved,
    /// A code was read: its text as bytes, at most [`CODE_MAX`].
    Code(Zeroizing<Vec<u8>>),
    /// What the camera sees, for a word of help on the screen.
    CodeHint(code_reader::Hint),
    /// A card was laid on the ID reader; its reading has begun, and ends with one of the next two.
    IdCardSeen,
    /// The ID card was read.
    IdCardRead(Box<IdHolder>),
    /// The card on the ID reader cannot be used, and why.
    IdCardRefused(id_reader::Refusal),
    /// What the camera sees while something like a code is held to it; `None` when that ends, and nothing of it may be
    /// shown or kept.
    Preview(Option<code_reader::Preview>),
}

/// What the kiosk needs of an ID card. The rest of it, address and photo among it, does not leave the
/// device process. No `Debug`; wiped on drop.
#[derive(Serialize, Deserialize)]
pub struct IdHolder {
    /// The holder's number, checked.
    pub number: Zeroizing<String>,
    /// The holder's name.
    pub name: Zeroizing<String>,
    /// The card's last day, `YYYYMMDD`; absent where it is 长期.
    pub valid_to: Option<String>,
}

/// A card waits so many milliseconds for its authority's answer; longer than the kiosk does. Then it is read in part.
pub const AUTHORITY_MS: u64 = 12_000;

/// Longest code text in bytes (QR version 40-L, byte mode, is 2,953).
pub const CODE_MAX: usize = 4096;

/// Outcome of a [`Work`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// Of [`Work::VerifyPin`] and [`Work::ChangePin`].
    Pin(card::PinOutcome),
    /// Of [`Work::Authenticate`]: the card was there and its reading has come to an end.
    Authenticated,
    /// Of [`Work::Print`] and [`Work::PrintSheet`].
    Printed(printer::Outcome),
    /// Of [`Work::Scan`].
    Scanning(bool),
    /// Of [`Work::Signal`].
    Signalled,
}

/// Why work was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fault {
    /// The device is not there or does not answer.
    Unavailable,
    /// There is no card in the reader, or it was taken meanwhile.
    NoCard,
    /// This device cannot do this work.
    NotMine,
    /// Another piece of work is not finished.
    Busy,
}
