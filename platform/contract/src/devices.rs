//! What is built into a kiosk, and where: paths that udev keeps stable, names of readers, addresses.

use serde::{Deserialize, Serialize};

/// What is built in; what is absent is never offered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct SiteDevices {
    /// A card slot.
    pub card_reader: Option<CardReaderPath>,
    /// A camera or a scanner for codes.
    pub code_reader: Option<CodeReaderPath>,
    /// A reader of resident identity cards.
    pub id_reader: Option<IdReaderPath>,
    /// A receipt printer.
    pub printer: Option<PrinterPath>,
    /// An A4 printer.
    pub sheet_printer: Option<SheetPrinterPath>,
    /// A gate's light and buzzer.
    pub signal: Option<SignalPath>,
}

/// Where a gate's light and buzzer are: a serial relay board (LCUS).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SignalPath {
    /// Path of the tty.
    pub tty: String,
    /// Bits per second; 9,600 as a rule.
    pub baud: u32,
    /// Relay of the green light, from 1.
    pub go: u8,
    /// Relay of the red light.
    pub stop: u8,
    /// Relay of the buzzer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buzzer: Option<u8>,
}

/// Where the card slot is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CardReaderPath {
    /// Beginning of the reader's PC/SC name.
    pub reader: String,
    /// The same of the reader that the PSAM lies in; without one the platform vouches for third-generation cards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub psam: Option<String>,
    /// What is done with cards whose algorithm is older than SM4.
    #[serde(default)]
    pub older_cards: OlderCards,
}

/// What is done with cards whose algorithm is older than SM4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OlderCards {
    /// They are read as far as they let anybody, and never prove anything.
    #[default]
    Limit,
    /// They are refused.
    Refuse,
}

/// Where codes are read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", tag = "kind")]
pub enum CodeReaderPath {
    /// A camera.
    Camera {
        /// `/dev/videoN` or a link to it, `camera:` and a part of its name, or a file, FIFO or UNIX socket that yields
        /// a YUV4MPEG2 stream.
        source: String,
        /// Exposure in 100 µs; the camera's own choice if absent.
        #[serde(default)]
        exposure: Option<u16>,
    },
    /// A serial or USB-CDC scanner.
    Scanner {
        /// Path of the tty.
        tty: String,
        /// Bits per second.
        baud: u32,
        /// How it is set up; as most come, if absent.
        #[serde(default)]
        line: ScannerLine,
    },
}

/// How a scanner is set up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ScannerLine {
    /// What it sends behind a code.
    pub end: ScannerEnd,
    /// Milliseconds without a byte that end a code without an end, or spoil one that should have one.
    pub gap_ms: u16,
    /// What makes it look for codes, for example `"\u0016T\r"`; empty if it always does.
    pub start: String,
    /// What makes it stop.
    pub stop: String,
}

impl Default for ScannerLine {
    fn default() -> Self {
        Self { end: ScannerEnd::Any, gap_ms: 80, start: String::new(), stop: String::new() }
    }
}

/// What a scanner sends behind a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScannerEnd {
    /// CR, LF, both or nothing.
    Any,
    /// Carriage return.
    Cr,
    /// Line feed.
    Lf,
    /// Both, in this order.
    CrLf,
    /// Tabulator.
    Tab,
    /// End of text (0x03).
    Etx,
    /// Nothing: a pause.
    Pause,
}

/// Where ID cards are laid down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdReaderPath {
    /// Path of the tty.
    pub tty: String,
    /// Bits per second; 115200 unless the reader was set otherwise.
    pub baud: u32,
}

/// Where the receipt printer is: `tty` and `baud`, or `usb`, or `address`; and its `profile`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "PrinterFields", into = "PrinterFields")]
pub struct PrinterPath {
    /// Its line.
    pub link: PrinterLink,
    /// Printer profile, for example `generic-80`.
    pub profile: String,
}

/// Where the A4 printer is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SheetPrinterPath {
    /// Its IPP address, for example `ipp://localhost:631/printers/a4`.
    pub url: String,
}

/// A receipt printer's line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrinterLink {
    /// RS-232, a USB adapter or USB-CDC.
    Serial {
        /// Path of the tty.
        tty: String,
        /// Bits per second.
        baud: u32,
    },
    /// USB's printer class.
    Usb {
        /// Path of the port, `/dev/usb/lpN` or udev's name for it.
        port: String,
    },
    /// The network.
    Tcp {
        /// `host:port`.
        address: String,
    },
}

/// A [`PrinterPath`] as the file has it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PrinterFields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tty: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    baud: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    usb: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    profile: String,
}

impl TryFrom<PrinterFields> for PrinterPath {
    type Error = &'static str;

    fn try_from(fields: PrinterFields) -> Result<Self, Self::Error> {
        let link = match (fields.tty, fields.baud, fields.usb, fields.address) {
            (Some(tty), Some(baud), None, None) => PrinterLink::Serial { tty, baud },
            (None, None, Some(port), None) => PrinterLink::Usb { port },
            (None, None, None, Some(address)) => PrinterLink::Tcp { address },
            _ => return Err("a printer has either `tty` and `baud`, or `usb`, or `address`"),
        };
        Ok(Self { link, profile: fields.profile })
    }
}

impl From<PrinterPath> for PrinterFields {
    fn from(PrinterPath { link, profile }: PrinterPath) -> Self {
        let none = Self { tty: None, baud: None, usb: None, address: None, profile };
        match link {
            PrinterLink::Serial { tty, baud } => Self { tty: Some(tty), baud: Some(baud), ..none },
            PrinterLink::Usb { port } => Self { usb: Some(port), ..none },
            PrinterLink::Tcp { address } => Self { address: Some(address), ..none },
        }
    }
}
