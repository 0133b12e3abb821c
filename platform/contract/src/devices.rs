//! The devices of a kiosk in its site file: paths with udev's stable names, names of PC/SC readers, addresses.

use serde::{Deserialize, Serialize};

/// 外设: the devices that are built in. A service that needs an absent device is never offered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct SiteDevices {
    /// A card slot.
    pub card_reader: Option<CardReaderSettings>,
    /// A camera or a scanner for codes.
    pub code_reader: Option<CodeReaderSettings>,
    /// A reader of resident identity cards.
    pub id_reader: Option<IdReaderSettings>,
    /// A receipt printer.
    pub printer: Option<ReceiptPrinterSettings>,
    /// An A4 printer.
    #[serde(rename = "sheet-printer")]
    pub document_printer: Option<DocumentPrinterSettings>,
    /// The signal of a gate: light and buzzer.
    pub signal: Option<GateSignalSettings>,
}

/// Settings of a gate's light and buzzer on a serial relay board (LCUS).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct GateSignalSettings {
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
pub struct CardReaderSettings {
    /// Beginning of the reader's PC/SC name.
    pub reader: String,
    /// Beginning of the PC/SC name of the reader that holds the PSAM; without a PSAM the platform authenticates
    /// third-generation cards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub psam: Option<String>,
    /// Policy for cards whose algorithm is older than SM4.
    #[serde(default)]
    pub older_cards: LegacyCardPolicy,
}

/// Policy for cards whose algorithm is older than SM4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LegacyCardPolicy {
    /// Such cards are read as far as they can be read without authentication, and never count as authenticated.
    #[default]
    Limit,
    /// Such cards are refused.
    Refuse,
}

/// Settings of the code reader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", tag = "kind")]
pub enum CodeReaderSettings {
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
        line: ScannerSettings,
    },
}

/// Configuration of a scanner, as far as the driver must know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ScannerSettings {
    /// The suffix that the scanner sends after a code.
    pub end: ScannerSuffix,
    /// Milliseconds without a byte after which a code without a suffix is complete, or a code that lacks its suffix
    /// is discarded.
    pub gap_ms: u16,
    /// Command that starts scanning, for example `"\u0016T\r"`; empty if the scanner always scans.
    pub start: String,
    /// Command that stops scanning. Accepted in site files and not sent: a kiosk never stops its scanner.
    pub stop: String,
}

impl Default for ScannerSettings {
    fn default() -> Self {
        Self { end: ScannerSuffix::Any, gap_ms: 80, start: String::new(), stop: String::new() }
    }
}

/// The suffix that a scanner sends after a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScannerSuffix {
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
pub struct IdReaderSettings {
    /// Path of the tty.
    pub tty: String,
    /// Bits per second; 115,200 unless the reader is configured otherwise.
    pub baud: u32,
}

/// Settings of the receipt printer: `tty` and `baud`, or `usb`, or `address`; and its `profile`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "ReceiptPrinterFields", into = "ReceiptPrinterFields")]
pub struct ReceiptPrinterSettings {
    /// The connection to the printer.
    #[serde(rename = "link")]
    pub connection: PrinterConnection,
    /// Printer profile, for example `generic-80`.
    pub profile: String,
}

/// Settings of the A4 printer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentPrinterSettings {
    /// Its IPP address, for example `ipp://localhost:631/printers/a4`.
    pub url: String,
}

/// The connection to a receipt printer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrinterConnection {
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
struct ReceiptPrinterFields {
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

impl TryFrom<ReceiptPrinterFields> for ReceiptPrinterSettings {
    type Error = &'static str;

    fn try_from(fields: ReceiptPrinterFields) -> Result<Self, Self::Error> {
        let link = match (fields.tty, fields.baud, fields.usb, fields.address) {
            (Some(tty), Some(baud), None, None) => PrinterConnection::Serial { tty, baud },
            (None, None, Some(port), None) => PrinterConnection::Usb { port },
            (None, None, None, Some(address)) => PrinterConnection::Tcp { address },
            _ => return Err("a printer has either `tty` and `baud`, or `usb`, or `address`"),
        };
        Ok(Self { connection: link, profile: fields.profile })
    }
}

impl From<ReceiptPrinterSettings> for ReceiptPrinterFields {
    fn from(ReceiptPrinterSettings { connection: link, profile }: ReceiptPrinterSettings) -> Self {
        let none = Self { tty: None, baud: None, usb: None, address: None, profile };
        match link {
            PrinterConnection::Serial { tty, baud } => Self { tty: Some(tty), baud: Some(baud), ..none },
            PrinterConnection::Usb { port } => Self { usb: Some(port), ..none },
            PrinterConnection::Tcp { address } => Self { address: Some(address), ..none },
        }
    }
}
