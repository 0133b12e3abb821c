//! The site file: the configuration of a kiosk for the site where it stands. One TOML file, typed and checked.
//!
//! The file has paths, not operating modes, and no secrets: keys are in files of their own.

use serde::{Deserialize, Serialize};

use crate::bilingual::Bilingual;
use crate::devices::{CardReaderSettings, DocumentPrinterSettings, GateSignalSettings, SiteDevices};
use crate::envelope::EnvelopeKey;
use crate::id::KioskId;
use crate::service::SiteProfile;
use sm_crypto::PublicKey;

/// Maximum size in bytes of a site file that is parsed.
const TEXT_MAX: usize = 64 * 1024;
/// Most services that a site puts first: more would put none first.
const FEATURED_MAX: usize = 32;

/// 网点配置: the configuration of one kiosk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// The kiosk's id.
    pub device: KioskId,
    /// The kind of site.
    pub profile: SiteProfile,
    /// The hall's name, as the screen's top line shows it.
    pub hall: Bilingual,
    /// Minutes east of UTC; 480 in all of China.
    #[serde(default = "china")]
    pub utc_offset_minutes: i16,
    /// Ids of the services that residents of this site use most, in order: the menu shows them first. Those that are not offered here are
    /// left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub featured: Vec<String>,
    /// Address and keys of the platform.
    pub platform: PlatformSettings,
    /// Size of the screen.
    pub screen: ScreenSize,
    /// Idle times of a visit.
    #[serde(default)]
    pub times: SiteTimes,
    /// Limits of the journal.
    #[serde(default)]
    pub log: LogLimits,
    /// Rules for codes that are accepted without the platform; if absent, no code is.
    #[serde(default)]
    pub codes: Option<CodeRules>,
    /// Rules of a gate; only for the profile `gate`.
    #[serde(default)]
    pub gate: Option<GateRules>,
    /// The devices that are built in.
    #[serde(default)]
    pub devices: SiteDevices,
    /// The staff cards that open the status view of the kiosk.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub staff: Vec<StaffKey>,
}

/// Address of the platform, and the public keys of its signatures and envelopes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlatformSettings {
    /// `https://HOST:PORT`, without a path.
    pub url: String,
    /// URL prefix from which a phone fetches a receipt; the receipt number is appended.
    pub receipt_url: String,
    /// The public key that signs service documents.
    pub catalogue_key: PublicKey,
    /// The public key that requests are sealed to.
    pub envelope: EnvelopeKey,
}

/// Size of the screen in pixels, as it is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScreenSize {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

/// Idle times of a visit, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SiteTimes {
    /// A visit ends after this time without a touch.
    pub idle_s: u16,
    /// The idle time of a visit in which the resident chose large text.
    pub idle_elder_s: u16,
    /// The countdown is shown for this last part of the idle time.
    pub countdown_s: u16,
}

impl Default for SiteTimes {
    fn default() -> Self {
        Self { idle_s: 60, idle_elder_s: 90, countdown_s: 20 }
    }
}

/// Rules by which the kiosk verifies codes without the platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeRules {
    /// The city's offline root, which signs the list of issuer keys.
    pub root_key: PublicKey,
    /// The city's letters, with which its codes begin.
    #[serde(default = "chongqing")]
    pub city: String,
    /// An offline code is accepted for this long after it was shown, in seconds: long enough for a resident, too short
    /// to relay a picture of the code.
    #[serde(default = "fifteen")]
    pub past_s: u8,
    /// An offline code is accepted this long before its own time, in seconds: the tolerated difference of the two
    /// clocks.
    #[serde(default = "fifteen")]
    pub ahead_s: u8,
    /// The kiosk's clock is trusted for this long after it was last synchronised with the platform's, in hours.
    #[serde(default = "three_days")]
    pub unsynced_hours: u16,
}

/// Rules of a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GateRules {
    /// 防折返 (anti-passback): the same person is admitted again only after this time, in seconds; 0 turns the rule off.
    pub passback_s: u32,
    /// A verdict is shown for this long, in milliseconds; the next code replaces it sooner.
    pub verdict_ms: u16,
}

impl Default for GateRules {
    fn default() -> Self {
        Self { passback_s: 300, verdict_ms: 2_500 }
    }
}

/// Limits of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogLimits {
    /// High-water mark in MiB: at this size of the journal new payments are refused.
    pub high_water_mib: u32,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self { high_water_mib: 512 }
    }
}

/// 工作人员卡: a staff card that this kiosk accepts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StaffKey {
    /// The name that the card reports: the number printed on it, not its holder's name.
    pub name: String,
    /// Its public key.
    pub key: PublicKey,
}

/// Why a site file is rejected.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// Longer than the limit.
    #[error("the site file has {0} bytes, at most {TEXT_MAX} are accepted")]
    TooLong(usize),
    /// Not the TOML of a site.
    #[error("the site file is not valid TOML of a site")]
    Syntax(#[source] Box<toml::de::Error>),
    /// The address is not a URL with http or https.
    #[error("`{0}` is not an http or https address")]
    Address(String),
    /// The address of the platform is not encrypted.
    #[error("`{0}` is not https: kiosk and platform communicate over TLS only")]
    Plain(String),
    /// The screen cannot hold the views.
    #[error("a screen of {0}×{1} pixels is too small or too large for the views")]
    Screen(u32, u32),
    /// The idle times contradict each other.
    #[error("idle_s must be 15 or more, countdown_s below idle_s, and idle_elder_s not below idle_s")]
    Times,
    /// The acceptance window is too short to show a code in time, or so long that a picture of a code could be used.
    #[error(
        "[codes]: `past_s` and `ahead_s` must be 4 to 60, `unsynced_hours` 1 to 720, `city` two capital letters"
    )]
    Codes,
    /// Rules of a gate at a kiosk that is no gate, a gate without rules, or a verdict time out of range.
    #[error("a gate, and only a gate, has a section `gate`; a verdict is shown for 500 to 10000 ms")]
    Gate,
    /// The address of the A4 printer is not an IPP address.
    #[error("`{0}` is not the address of an IPP printer: `ipp://HOST/printers/NAME`")]
    DocumentPrinter(String),
    /// A relay number that no board has, or one relay with two functions.
    #[error("[devices.signal]: `go`, `stop` and `buzzer` are three different relays, 1 to 8")]
    Signal,
    /// Too many services to put first, one that is listed twice, or an entry that is no id of a service.
    #[error("`featured`: `{0}` is listed twice, or is no id of a service; at most {FEATURED_MAX} are listed")]
    Featured(String),
    /// A staff card with a malformed name, or one that is listed twice.
    #[error("[[staff]] `{0}`: a card's name is 1 to 32 letters, digits and hyphens, and must be unique")]
    Staff(String),
    /// The names of the two readers match the same reader.
    #[error("`{0}` matches the PSAM's reader and the reader of residents' cards: give longer reader names")]
    Psam(String),
    /// Residents could not begin a visit.
    #[error("a kiosk needs a card reader, a code reader or an ID reader")]
    NoIdentificationDevice,
}

const fn china() -> i16 {
    480
}

fn chongqing() -> String {
    "YK".to_owned()
}

const fn fifteen() -> u8 {
    15
}

const fn three_days() -> u16 {
    72
}

impl Site {
    /// Reads and checks a site file.
    ///
    /// # Errors
    /// When the text is not the TOML of a site, or a check fails.
    pub fn parse(text: &str) -> Result<Self, SiteError> {
        if text.len() > TEXT_MAX {
            return Err(SiteError::TooLong(text.len()));
        }
        let site: Self = toml::from_str(text).map_err(|e| SiteError::Syntax(Box::new(e)))?;
        site.check()?;
        Ok(site)
    }

    fn check(&self) -> Result<(), SiteError> {
        for address in [&self.platform.url, &self.platform.receipt_url] {
            let rest = address.strip_prefix("http://").or_else(|| address.strip_prefix("https://"));
            if rest.is_none_or(|rest| rest.is_empty() || rest.contains(char::is_whitespace)) {
                return Err(SiteError::Address(address.clone()));
            }
        }
        if !self.platform.url.starts_with("https://") {
            return Err(SiteError::Plain(self.platform.url.clone()));
        }
        let sides = 480..=4096;
        let ScreenSize { width, height } = self.screen;
        if !sides.contains(&width) || !sides.contains(&height) {
            return Err(SiteError::Screen(width, height));
        }
        let times = self.times;
        if times.idle_s < 15 || times.countdown_s >= times.idle_s || times.idle_elder_s < times.idle_s {
            return Err(SiteError::Times);
        }
        if let Some(codes) = &self.codes {
            let window = 4..=60;
            let letters = codes.city.len() == 2 && codes.city.bytes().all(|b| b.is_ascii_uppercase());
            if !window.contains(&codes.past_s)
                || !window.contains(&codes.ahead_s)
                || !(1..=720).contains(&codes.unsynced_hours)
                || !letters
            {
                return Err(SiteError::Codes);
            }
        }
        for (at, id) in self.featured.iter().enumerate() {
            let is_id = !id.is_empty()
                && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.');
            if !is_id || at >= FEATURED_MAX || self.featured.iter().take(at).any(|other| other == id) {
                return Err(SiteError::Featured(id.clone()));
            }
        }
        let verdict = 500..=10_000;
        if self.gate.is_some() != (self.profile == SiteProfile::Gate)
            || self.gate.is_some_and(|gate| !verdict.contains(&gate.verdict_ms))
        {
            return Err(SiteError::Gate);
        }
        for (at, StaffKey { name, .. }) in self.staff.iter().enumerate() {
            let is_name = (1..=32).contains(&name.len())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            if !is_name || self.staff.iter().take(at).any(|other| other.name == *name) {
                return Err(SiteError::Staff(name.clone()));
            }
        }
        let devices = &self.devices;
        if let Some(DocumentPrinterSettings { url }) = &devices.document_printer
            && !url.strip_prefix("ipp://").is_some_and(|rest| rest.contains('/'))
        {
            return Err(SiteError::DocumentPrinter(url.clone()));
        }
        if let Some(GateSignalSettings { go, stop, buzzer, .. }) = &devices.signal {
            let mut relays: Vec<u8> = [Some(*go), Some(*stop), *buzzer].into_iter().flatten().collect();
            let count = relays.len();
            relays.sort_unstable();
            relays.dedup();
            if relays.len() != count || !relays.iter().all(|relay| (1..=8).contains(relay)) {
                return Err(SiteError::Signal);
            }
        }
        if devices.card_reader.is_none() && devices.code_reader.is_none() && devices.id_reader.is_none() {
            return Err(SiteError::NoIdentificationDevice);
        }
        if let Some(CardReaderSettings { reader, psam: Some(psam), .. }) = &self.devices.card_reader
            && (reader.starts_with(psam.as_str()) || psam.starts_with(reader.as_str()))
        {
            return Err(SiteError::Psam(psam.clone()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::*;

    const HALL: &str = include_str!("../../../provisioning/sites/district-hall.toml");

    #[test]
    fn every_shipped_site_file_is_valid() {
        for (profile, text) in [
            (SiteProfile::DistrictHall, HALL),
            (SiteProfile::TownshipCenter, include_str!("../../../provisioning/sites/township-center.toml")),
            (SiteProfile::VillagePoint, include_str!("../../../provisioning/sites/village-point.toml")),
            (SiteProfile::Gate, include_str!("../../../provisioning/sites/gate.toml")),
        ] {
            assert_eq!(Site::parse(text).unwrap().profile, profile);
        }
    }

    #[test]
    fn featured_services_are_optional_unique_and_bounded() {
        let line_at = HALL.find("featured = ").unwrap();
        let end = line_at + HALL[line_at..].find(']').unwrap() + 1;
        let with = |line: &str| Site::parse(&format!("{}{line}{}", &HALL[..line_at], &HALL[end..]));
        assert_eq!(with("").unwrap().featured, [""; 0]);
        let two = with(r#"featured = ["water.pay", "resident-medical.pay"]"#).unwrap();
        assert_eq!(two.featured, ["water.pay", "resident-medical.pay"]);
        let many: Vec<String> = (0..33).map(|at| format!("service.s{at}")).collect();
        for bad in [
            r#"featured = ["water.pay", "water.pay"]"#.to_owned(),
            r#"featured = ["Water bill"]"#.to_owned(),
            r#"featured = [""]"#.to_owned(),
            format!("featured = {many:?}"),
        ] {
            assert!(matches!(with(&bad), Err(SiteError::Featured(_))), "{bad}");
        }
    }

    #[test]
    fn staff_card_name_must_be_valid_and_unique() {
        let key = "04df07dc0b31591dfb63ec895516e5bb4ad05a09c2feba6d496ce523f7303fffcd4add27de09262dc59baf690c0286f05e29948517cc1e069b988e139c00f449c8";
        let staff = |name: &str| format!("\n[[staff]]\nname = \"{name}\"\nkey = \"{key}\"\n");
        let site_with = |more: &str| Site::parse(&format!("{HALL}{more}"));
        assert_eq!(site_with(&(staff("S-1") + &staff("S-2"))).unwrap().staff.len(), 2);
        for bad in [staff(""), staff("S 1"), staff("S-1") + &staff("S-1"), staff(&"S".repeat(33))] {
            assert!(matches!(site_with(&bad), Err(SiteError::Staff(_))), "{bad}");
        }
    }

    #[test]
    fn gate_signal_needs_distinct_relays_from_1_to_8() {
        let gate = include_str!("../../../provisioning/sites/gate.toml");
        for (from, to) in [
            ("go = 1", "go = 0"),
            ("go = 1", "go = 9"),
            ("stop = 2", "stop = 1"),
            ("buzzer = 3", "buzzer = 2"),
        ] {
            let text = gate.replacen(from, to, 1);
            assert_ne!(text, gate, "{from}");
            assert!(matches!(Site::parse(&text), Err(SiteError::Signal)), "{to}");
        }
        assert!(Site::parse(&gate.replacen("buzzer = 3\n", "", 1)).is_ok());
    }

    #[test]
    fn scanner_settings_default_or_come_from_the_site_file() {
        let gate = include_str!("../../../provisioning/sites/gate.toml");
        let line = |text: &str| {
            let Some(CodeReaderSettings::Scanner { line, .. }) =
                Site::parse(text).unwrap().devices.code_reader
            else {
                panic!("a gate has a scanner");
            };
            line
        };
        assert_eq!(line(gate), ScannerSettings::default());

        let configured =
            line(&format!("{gate}\nline = {{ end = \"cr-lf\", gap-ms = 200, start = \"\\u0016T\\r\" }}\n"));
        let start = "\u{16}T\r".to_owned();
        assert_eq!(
            configured,
            ScannerSettings { end: ScannerSuffix::CrLf, gap_ms: 200, start, stop: String::new() }
        );
    }

    #[test]
    fn receipt_printer_has_exactly_one_connection() {
        let start = HALL.find("tty = \"/dev/kiosk/receipt\"").unwrap();
        let end = start + HALL[start..].find("baud = 115200").unwrap() + "baud = 115200".len();
        let with = |line: &str| {
            let text = format!("{}{line}{}", &HALL[..start], &HALL[end..]);
            Site::parse(&text).unwrap().devices.printer.unwrap()
        };
        for (line, link) in [
            (
                "tty = \"/dev/ttyS1\"\nbaud = 9600",
                PrinterConnection::Serial { tty: "/dev/ttyS1".into(), baud: 9600 },
            ),
            ("usb = \"/dev/usb/lp0\"", PrinterConnection::Usb { port: "/dev/usb/lp0".into() }),
            ("address = \"10.0.0.5:9100\"", PrinterConnection::Tcp { address: "10.0.0.5:9100".into() }),
        ] {
            let printer = with(line);
            assert_eq!(printer.connection, link);
            let text = toml::to_string(&printer).unwrap();
            assert_eq!(toml::from_str::<ReceiptPrinterSettings>(&text).unwrap(), printer, "{text}");
        }
    }

    #[test]
    fn sites_with_contradictions_are_refused() {
        for (from, to, expected) in [
            ("id = 1", "id = 300", "Syntax"),
            ("width = 1080", "width = 10", "Screen"),
            ("idle_s = 60", "idle_s = 5", "Times"),
            ("countdown_s = 20", "countdown_s = 60", "Times"),
            ("past_s = 15", "past_s = 61", "Codes"),
            ("unsynced_hours = 72", "unsynced_hours = 0", "Codes"),
            ("[codes]", "[gate]\npassback_s = 5\n[codes]", "Gate"),
            ("https://platform", "http://platform", "Plain"),
            ("https://platform", "ftp://platform", "Address"),
            ("ipp://localhost", "http://localhost", "DocumentPrinter"),
            ("hall = ", "hail = ", "Syntax"),
            ("profile = \"generic-80\"", "profile = \"generic-80\"\nmock = true", "Syntax"),
            ("baud = 115200", "", "Syntax"),
            ("psam = \"Generic USB SAM Reader\"", "psam = \"Generic USB\"", "Psam"),
            ("baud = 115200", "baud = 115200\naddress = \"10.0.0.5:9100\"", "Syntax"),
        ] {
            let text = HALL.replacen(from, to, 1);
            assert_ne!(text, HALL, "{from}");
            let error = format!("{:?}", Site::parse(&text).unwrap_err());
            assert!(error.starts_with(expected), "{from}: {error}");
        }
        let start = HALL.find("[devices.card-reader]").unwrap();
        assert!(matches!(Site::parse(&HALL[..start]), Err(SiteError::NoIdentificationDevice)));
    }
}
