//! The devices of a kiosk in its site file: paths with udev's stable names, names of PC/SC readers, addresses.

use serde::{Deserialize, Serialize};

/// 外设: the devices that are built in. A service that needs an absent device is never offered.
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
    #[serde(rename = "sheet-printer")]
    pub sheet_printer: Option<SheetPrinterPath>,
    /// The signal of a gate: light and buzzer.
    pub signal: Option<SignalPath>,
}

/// Settings of a gate's light and buzzer on a serial relay board (LCUS).
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

/// Settings of the card reader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CardReaderPath {
    /// Beginning of the reader's PC/SC name.
    pub reader: String,
    /// Beginning of the PC/SC name of the reader that holds the PSAM; without a PSAM the platform authenticates
    /// third-generation cards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub psam: Option<String>,
    /// Policy for cards whose algorithm is older than SM4.
    #[serde(default)]
    pub older_cards: OlderCards,
}

/// Policy for cards whose algorithm is older than SM4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OlderCards {
    /// Such cards are read as far as they can be read without authentication, and never count as authenticated.
    #[default]
    Limit,
    /// Such cards are refused.
    Refuse,
}

/// Settings of the code reader.
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
        /// How the scanner is configured; the defaults of most scanners if absent.
        #[serde(default)]
        line: ScannerLine,
    },
}

/// Configuration of a scanner, as far as the driver must know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ScannerLine {
    /// The suffix that the scanner sends after a code.
    pub end: ScannerEnd,
    /// Milliseconds without a byte after which a code without a suffix is complete, or a code that lacks its suffix
    /// is discarded.
    pub gap_ms: u16,
    /// Command that starts scanning, for example `"\u0016T\r"`; empty if the scanner always scans.
    pub start: String,
    /// Command that stops scanning; empty if there is none.
    pub stop: String,
}

impl Default for ScannerLine {
    fn default() -> Self {
        Self { end: ScannerEnd::Any, gap_ms: 80, start: String::new(), stop: String::new() }
    }
}

/// The suffix that a scanner sends after a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScannerEnd {
    /// CR, LF, both or nothing.
    Any,
    /// Carriage return.
    Cr,
    /// Line feed.
    Lf,
    /// Carriage return, then line feed.
    CrLf,
    /// Tabulator.
    Tab,
    /// End of text (0x03).
    Etx,
    /// No suffix: a pause ends the code.
    Pause,
}

/// Settings of the ID reader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdReaderPath {
    /// Path of the tty.
    pub tty: String,
    /// Bits per second; 115,200 unless the reader is configured otherwise.
    pub baud: u32,
}

/// Settings of the receipt printer: `tty` and `baud`, or `usb`, or `address`; and its `profile`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "PrinterFields", into = "PrinterFields")]
pub struct PrinterPath {
    /// The connection to the printer.
    #[serde(rename = "link")]
    pub link: PrinterLink,
    /// Printer profile, for example `generic-80`.
    pub profile: String,
}

/// Settings of the A4 printer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SheetPrinterPath {
    /// Its IPP address, for example `ipp://localhost:631/printers/a4`.
    pub url: String,
}

/// The connection to a receipt printer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrinterLink {
    /// RS-232, a USB adapter or USB-CDC.
    Serial {
        /// Path of the tty.
        tty: String,
        /// Bits per second.
        baud: u32,
    },
    /// USB printer class.
    Usb {
        /// Path of the device file, `/dev/usb/lpN` or udev's name for it.
        port: String,
    },
    /// TCP.
    Tcp {
        /// `host:port`.
        address: String,
    },
}

/// A [`ReceiptPrinterSettings`] as the site file holds it.
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
