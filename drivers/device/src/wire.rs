//! The protocol between the kiosk and a device process: framed, typed messages over one socket pair.
//!
//! A frame is `length: u32 big-endian (1..=FRAME_MAX)` followed by that many bytes of postcard. Both
//! sides start by sending their [`VERSION`]; a different version ends the connection. All sizes are bounded: a
//! frame whose length exceeds [`FRAME_MAX`] is refused before any byte of its content is stored.
//!
//! The kiosk sends [`ToDevice`], the device process sends [`FromDevice`]. The kiosk trusts a message of the device
//! process no more than the device itself.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Version of this protocol. Both programs come from one package, so there is no negotiation.
pub const VERSION: u16 = 4;

/// Largest frame in bytes: an A4 document of a few pages is much smaller.
pub const FRAME_MAX: usize = 8 * 1024 * 1024;

/// Number of one request; chosen by the kiosk, repeated in the answer.
pub type RequestId = u64;

/// The device that a process drives, and the path or name under which the device is found. Devices are distinguished by
/// paths only; there are no modes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum DeviceConfig {
    /// A PC/SC reader.
    Card {
        /// The reader's PC/SC name begins with this, for example `Virtual PCD 00 00`.
        reader: String,
        /// Beginning of the PC/SC name of the reader that holds the PSAM. Without it the kiosk is asked to authenticate
        /// cards, by [`DeviceEvent::CardNeedsAuthentication`].
        psam: Option<String>,
        /// Policy for cards whose algorithm is older than SM4.
        older: card::OldAlgorithmPolicy,
    },
    /// A camera that residents hold a code to.
    Camera {
        /// `/dev/videoN` or a link to it, `camera:` and a part of its name, or a path (file, FIFO or UNIX socket) that
        /// yields a YUV4MPEG2 stream.
        source: String,
        /// Settings of the camera.
        setup: CameraConfig,
    },
    /// A serial or USB-CDC code scanner.
    Scanner {
        /// Path of the tty.
        tty: String,
        /// Bits per second.
        baud: u32,
        /// Settings of the scanner.
        line: ScannerConfig,
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
        /// The link to the printer.
        link: PrinterLinkConfig,
        /// Name of a printer profile of the `printer` crate, for example `generic-80`.
        profile: String,
    },
    /// An A4 printer.
    #[serde(rename = "sheet-printer")]
    DocumentPrinter {
        /// Its IPP address, for example `ipp://127.0.0.1/printers/a4`.
        url: String,
    },
    /// A gate's light and buzzer on a relay board.
    Signal {
        /// Path of the tty.
        tty: String,
        /// Bits per second.
        baud: u32,
        /// Wiring of the relays.
        relays: Relays,
    },
}

/// Relay numbers of a gate's lights and buzzer; a board's first relay is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relays {
    /// The green light.
    pub go: u8,
    /// The red light.
    pub stop: u8,
    /// The buzzer, if there is one.
    pub buzzer: Option<u8>,
}

/// State of a gate's lights; the buzzer sounds once when the state is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Signal {
    /// Both lights off, no tone.
    Dark,
    /// Green, and one long tone.
    Go,
    /// Red, and three short tones.
    Stop,
}

/// The link to a receipt printer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PrinterLinkConfig {
    /// A serial line: RS-232, a USB adapter or USB-CDC.
    Serial {
        /// Path of the tty.
        tty: String,
        /// Bits per second.
        baud: u32,
    },
    /// USB printer class: `/dev/usb/lpN` or a link that udev makes to it.
    Usb {
        /// Path of the device file.
        port: String,
    },
    /// TCP.
    Tcp {
        /// `host:port`; the port is usually 9100.
        address: String,
    },
}

/// Settings of a camera.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CameraConfig {
    /// Exposure time in units of 100 µs, for a camera that lets it be set; `None`: the camera's automatic exposure.
    pub exposure: Option<u16>,
}

/// Settings of a code scanner: what it sends after a code, and the command that starts it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ScannerConfig {
    /// The line end that the scanner sends after a code.
    pub end: code_reader::LineEnd,
    /// Milliseconds without a byte that complete a code, or make it invalid, see [`code_reader::LineEnd`].
    pub gap_ms: u16,
    /// Command that starts scanning, also sent when the scanner is plugged in; empty for a scanner that always scans.
    pub start: Vec<u8>,
}

impl Default for ScannerConfig {
    fn default() -> Self {
        Self { end: code_reader::LineEnd::Any, gap_ms: 80, start: Vec::new() }
    }
}

/// Message from the kiosk to the device process.
#[derive(Serialize, Deserialize)]
pub enum ToDevice {
    /// The first message after the version.
    Open(DeviceConfig),
    /// A request; exactly one [`FromDevice::Answer`] follows unless the process dies.
    Request(RequestId, DeviceWork),
    /// Request for a [`FromDevice::Pong`], which proves that the process and its driver thread are alive.
    Ping(u64),
}

/// A request to a device.
#[derive(Serialize, Deserialize)]
pub enum DeviceWork {
    /// VERIFY the card holder's PIN on the card in the reader: ASCII digits.
    VerifyPin(Zeroizing<Vec<u8>>),
    /// Change the PIN of the card in the reader: both PINs are ASCII digits.
    ChangePin {
        /// The present PIN.
        old: Zeroizing<Vec<u8>>,
        /// The new PIN.
        new: Zeroizing<Vec<u8>>,
    },
    /// Resume reading the card of [`DeviceEvent::CardNeedsAuthentication`] with the answer of its authority. `None`: no
    /// authority answered, and the card is read in part. [`DeviceEvent::CardRead`] or [`DeviceEvent::CardRefused`]
    /// follows.
    Authenticate(Option<card::AuthAnswer>),
    /// Print one complete receipt.
    PrintReceipt(printer::PrintableReceipt),
    /// Print one complete A4 document.
    PrintDocument(printer::A4Document),
    /// Show this state of a gate's lights until the next request.
    ShowSignal(Signal),
}

/// Message from the device process to the kiosk.
#[derive(Serialize, Deserialize)]
pub enum FromDevice {
    /// The device's health changed (also sent once at the start).
    Health(DeviceHealth),
    /// An event at the device.
    Event(DeviceEvent),
    /// The result of [`ToDevice::Request`].
    Answer(RequestId, Result<DeviceAnswer, DeviceFault>),
    /// Answer to [`ToDevice::Ping`].
    Pong(u64),
}

/// Whether a device can be used, and what a person must do if not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceHealth {
    /// Ready for requests.
    Ready,
    /// Executing a request.
    Busy,
    /// Works again once a person has done this.
    NeedsAttention(Attention),
    /// The device is not connected.
    Absent,
    /// The device is connected and does not work.
    Failed,
}

/// What a person must do at the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Attention {
    /// Put in a new paper roll.
    PaperOut,
    /// Add paper soon: the paper is low, printing still works.
    PaperLow,
    /// Close the cover.
    CoverOpen,
    /// Clear the cutter or the paper path.
    Jammed,
    /// Put in a new toner cartridge.
    TonerOut,
    /// Replace the toner cartridge soon: the toner is low, printing still works.
    TonerLow,
    /// Check power and cable: the device does not respond.
    NotResponding,
}

/// An event at a device that no request caused.
#[derive(Serialize, Deserialize)]
pub enum DeviceEvent {
    /// A card was put into the slot; its reading has begun.
    CardInserted,
    /// The card is of the third generation and requires authentication before its holder's file can be read. Its reading
    /// waits for [`DeviceWork::Authenticate`], at most [`AUTHORITY_TIMEOUT_MS`].
    CardNeedsAuthentication(Box<card::AuthRequest>),
    /// The social security card was read, completely or in part.
    CardRead(Box<card::SocialCard>),
    /// The card in the reader cannot be used, and why.
    CardRefused(card::CardReadRefusal),
    /// The card in the reader is a staff card, and this is its proof. Sent instead of [`DeviceEvent::CardRead`] or
    /// [`DeviceEvent::CardRefused`].
    StaffCard(Box<card::StaffCardProof>),
    /// The card was removed.
    CardRemoved,
    /// A code was read: its text as bytes, at most [`CODE_MAX`] bytes.
    Code(Zeroizing<Vec<u8>>),
    /// Why no code can be read from the camera's picture, for a hint on the screen.
    CodeHint(code_reader::ScanHint),
    /// A card was placed on the ID reader; its reading has begun, and ends with [`DeviceEvent::IdCardRead`] or
    /// [`DeviceEvent::IdCardRefused`].
    IdCardDetected,
    /// The ID card was read.
    IdCardRead(Box<IdCardHolder>),
    /// The card on the ID reader cannot be used, and why.
    IdCardRefused(id_reader::IdReadRefusal),
}

/// The data of an ID card that the kiosk needs. All other data, such as address and photo, does not leave the device
/// process. No `Debug`; wiped on drop.
#[derive(Serialize, Deserialize)]
pub struct IdCardHolder {
    /// The holder's number; its form and check character are valid.
    pub number: Zeroizing<String>,
    /// The holder's name.
    pub name: Zeroizing<String>,
    /// The last day of validity, `YYYYMMDD`; absent if the card is valid without limit (长期).
    pub valid_to: Option<String>,
}

/// Longest time in milliseconds that a card's reading waits for its authority's answer; longer than the kiosk's own
/// limit. After it the card is read in part.
pub const AUTHORITY_TIMEOUT_MS: u64 = 12_000;

/// Longest code text in bytes (QR version 40-L, byte mode, is 2,953).
pub const CODE_MAX: usize = 4096;

/// Result of a [`DeviceWork`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceAnswer {
    /// Result of [`DeviceWork::VerifyPin`] and [`DeviceWork::ChangePin`].
    Pin(card::PinOutcome),
    /// Result of [`DeviceWork::Authenticate`]: the card was present and its reading has ended.
    Authenticated,
    /// Result of [`DeviceWork::PrintReceipt`] and [`DeviceWork::PrintDocument`].
    Printed(printer::PrintOutcome),
    /// Result of [`DeviceWork::ShowSignal`].
    SignalShown,
}

/// Why a request was not executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceFault {
    /// The device is not connected or does not respond.
    Unavailable,
    /// There is no card in the reader, or it was removed during the request.
    NoCard,
    /// This device does not support this request.
    Unsupported,
    /// Another request is not finished.
    Busy,
}
