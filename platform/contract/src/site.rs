//! 站点配置: what a kiosk is told about the place where it stands. One TOML file, typed and checked.
//!
//! Holds paths, not modes, and no secrets: keys lie in files of their own.

use serde::{Deserialize, Serialize};

use crate::devices::{CardReaderPath, SheetPrinterPath, SignalPath, SiteDevices};
use crate::envelope::EnvelopeKey;
use crate::id::DeviceId;
use crate::service::{Bilingual, Profile};
use crate::sign::PublicKey;

/// Longest file in bytes that is looked at.
const TEXT_MAX: usize = 64 * 1024;

/// The configuration of one kiosk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// The kiosk's name.
    pub device: DeviceId,
    /// The kind of place.
    pub profile: Profile,
    /// The hall's name, as the screen's top line shows it.
    pub hall: Bilingual,
    /// Minutes east of UTC; 480 in all of China.
    #[serde(default = "china")]
    pub utc_offset_minutes: i16,
    /// The platform.
    pub platform: PlatformAddress,
    /// The panel.
    pub screen: ScreenSize,
    /// How long residents are given.
    #[serde(default)]
    pub times: SiteTimes,
    /// The log.
    #[serde(default)]
    pub log: LogLimits,
    /// Which codes are accepted without asking the platform; without it none are.
    #[serde(default)]
    pub codes: Option<CodeRules>,
    /// How a gate judges; only for the profile `gate`.
    #[serde(default)]
    pub gate: Option<GateRules>,
    /// What is built in.
    #[serde(default)]
    pub devices: SiteDevices,
    /// Whose staff cards show how the kiosk stands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub staff: Vec<StaffKey>,
}

/// Where the platform is and whose word it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlatformAddress {
    /// `https://HOST:PORT`, without a path.
    pub url: String,
    /// Beginning of the address by which a phone fetches a receipt; the number is appended.
    pub receipt_url: String,
    /// The public key that signs service documents.
    pub catalogue_key: PublicKey,
    /// The public key that requests are sealed to.
    pub envelope: EnvelopeKey,
}

/// The panel in pixels, as it hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScreenSize {
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
}

/// How long residents are given, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SiteTimes {
    /// Without a touch a visit ends.
    pub idle_s: u16,
    /// The same for those who chose large text.
    pub idle_elder_s: u16,
    /// The countdown shows for this last part of it.
    pub countdown_s: u16,
}

impl Default for SiteTimes {
    fn default() -> Self {
        Self { idle_s: 60, idle_elder_s: 90, countdown_s: 20 }
    }
}

/// How the kiosk judges codes by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeRules {
    /// The city's offline root, which signs the list of issuer keys.
    pub root_key: PublicKey,
    /// The city's letters, with which its codes begin.
    #[serde(default = "chongqing")]
    pub city: String,
    /// An offline code is accepted for this long after it was shown, in seconds: the time a resident needs, and a
    /// relayed picture wants.
    #[serde(default = "fifteen")]
    pub past_s: u8,
    /// And from this long before: what the two clocks may differ by.
    #[serde(default = "fifteen")]
    pub ahead_s: u8,
    /// The kiosk's clock is trusted for this long after the platform's was last heard, in hours.
    #[serde(default = "three_days")]
    pub unsynced_hours: u16,
}

/// How a gate judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GateRules {
    /// 防折返: the same person is let through again only after this long, in seconds; 0 turns it off.
    pub passback_s: u32,
    /// A verdict is shown for this long, in milliseconds; the next code ends it sooner.
    pub verdict_ms: u16,
}

impl Default for GateRules {
    fn default() -> Self {
        Self { passback_s: 300, verdict_ms: 2_500 }
    }
}

/// Bounds of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogLimits {
    /// At this many MiB new money is refused.
    pub high_water_mib: u32,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self { high_water_mib: 512 }
    }
}

/// A staff card that this kiosk knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StaffKey {
    /// What the card calls itself: the number on it, not its holder's name.
    pub name: String,
    /// Its public key.
    pub key: PublicKey,
}

/// Why a site file is not used.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// Longer than any honest file.
    #[error("the site file has {0} bytes, at most {TEXT_MAX} are read")]
    TooLong(usize),
    /// Not TOML of a site.
    #[error("the site file cannot be read")]
    Syntax(#[source] Box<toml::de::Error>),
    /// An address that is none.
    #[error("`{0}` is not an http or https address")]
    Address(String),
    /// A platform that would be spoken to in the open.
    #[error("`{0}` is not https: kiosk and platform speak TLS only")]
    Plain(String),
    /// A panel that cannot hold the views.
    #[error("a panel of {0}×{1} pixels is too small or too large for the views")]
    Screen(u32, u32),
    /// Times that make no sense together.
    #[error("idle times must be 15 s or more, the countdown shorter, and the elder time not the shorter one")]
    Times,
    /// Codes that nobody could show in time, or that a picture could stand for.
    #[error(
        "an offline code must be accepted for 4 to 60 s on either side, and a clock trusted for 1 to 720 hours"
    )]
    Codes,
    /// Rules of a gate where none is, or none where one is, or such that nobody sees the verdict.
    #[error("a gate, and only a gate, has a section `gate`; a verdict is shown for 500 to 10000 ms")]
    Gate,
    /// An A4 printer that is spoken to in another way.
    #[error("`{0}` is not the address of an IPP printer: `ipp://HOST/printers/NAME`")]
    SheetPrinter(String),
    /// A light on a relay that no board has, or two things on one relay.
    #[error("[devices.signal]: `go`, `stop` and `buzzer` are three different relays, 1 to 8")]
    Signal,
    /// A staff card that no card calls itself, or one that is listed twice.
    #[error("[[staff]] `{0}`: a card's name is 1 to 32 letters, digits and hyphens, and stands there once")]
    Staff(String),
    /// Two readers that are one.
    #[error("`{0}` names the reader of the PSAM and that of the residents' cards: give more of each name")]
    Psam(String),
    /// Residents could not begin a visit.
    #[error("a kiosk needs a card reader, a code reader or an ID reader")]
    NoWay,
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
    /// When it is not TOML of a site or does not make sense.
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
        let verdict = 500..=10_000;
        if self.gate.is_some() != (self.profile == Profile::Gate)
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
        if let Some(SheetPrinterPath { url }) = &devices.sheet_printer
            && !url.strip_prefix("ipp://").is_some_and(|rest| rest.contains('/'))
        {
            return Err(SiteError::SheetPrinter(url.clone()));
        }
        if let Some(SignalPath { go, stop, buzzer, .. }) = &devices.signal {
            let mut relays: Vec<u8> = [Some(*go), Some(*stop), *buzzer].into_iter().flatten().collect();
            let count = relays.len();
            relays.sort_unstable();
            relays.dedup();
            if relays.len() != count || !relays.iter().all(|relay| (1..=8).contains(relay)) {
                return Err(SiteError::Signal);
            }
        }
        if devices.card_reader.is_none() && devices.code_reader.is_none() && devices.id_reader.is_none() {
            return Err(SiteError::NoWay);
        }
        if let Some(CardReaderPath { reader, psam: Some(psam), .. }) = &self.devices.card_reader
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
    fn every_site_that_comes_with_the_program_is_sound() {
        for (profile, text) in [
            (Profile::DistrictHall, HALL),
            (Profile::TownshipCenter, include_str!("../../../provisioning/sites/township-center.toml")),
            (Profile::VillagePoint, include_str!("../../../provisioning/sites/village-point.toml")),
            (Profile::Gate, include_str!("../../../provisioning/sites/gate.toml")),
        ] {
            assert_eq!(Site::parse(text).unwrap().profile, profile);
        }
    }

    #[test]
    fn a_staff_card_has_a_name_of_its_own() {
        let key = "04df07dc0b31591dfb63ec895516e5bb4ad05a09c2feba6d496ce523f7303fffcd4add27de09262dc59baf690c0286f05e29948517cc1e069b988e139c00f449c8";
        let staff = |name: &str| format!("\n[[staff]]\nname = \"{name}\"\nkey = \"{key}\"\n");
        let of = |more: &str| Site::parse(&format!("{HALL}{more}"));
        assert_eq!(of(&(staff("S-1") + &staff("S-2"))).unwrap().staff.len(), 2);
        for bad in [staff(""), staff("S 1"), staff("S-1") + &staff("S-1"), staff(&"S".repeat(33))] {
            assert!(matches!(of(&bad), Err(SiteError::Staff(_))), "{bad}");
        }
    }

    #[test]
    fn a_gates_light_hangs_on_relays_that_there_are() {
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
    fn a_scanner_is_set_up_as_most_come_or_as_the_site_says() {
        let gate = include_str!("../../../provisioning/sites/gate.toml");
        let line = |text: &str| {
            let Some(CodeReaderPath::Scanner { line, .. }) = Site::parse(text).unwrap().devices.code_reader
            else {
                panic!("a gate has a scanner");
            };
            line
        };
        assert_eq!(line(gate), ScannerLine::default());

        let told =
            line(&format!("{gate}\nline = {{ end = \"cr-lf\", gap-ms = 200, start = \"\\u0016T\\r\" }}\n"));
        let start = "\u{16}T\r".to_owned();
        assert_eq!(told, ScannerLine { end: ScannerEnd::CrLf, gap_ms: 200, start, stop: String::new() });
    }

    #[test]
    fn a_printer_has_one_line_of_three_kinds() {
        let start = HALL.find("tty = \"/dev/kiosk/receipt\"").unwrap();
        let end = start + HALL[start..].find("baud = 115200").unwrap() + "baud = 115200".len();
        let with = |line: &str| {
            let text = format!("{}{line}{}", &HALL[..start], &HALL[end..]);
            Site::parse(&text).unwrap().devices.printer.unwrap()
        };
        for (line, link) in [
            (
                "tty = \"/dev/ttyS1\"\nbaud = 9600",
                PrinterLink::Serial { tty: "/dev/ttyS1".into(), baud: 9600 },
            ),
            ("usb = \"/dev/usb/lp0\"", PrinterLink::Usb { port: "/dev/usb/lp0".into() }),
            ("address = \"10.0.0.5:9100\"", PrinterLink::Tcp { address: "10.0.0.5:9100".into() }),
        ] {
            let printer = with(line);
            assert_eq!(printer.link, link);
            let text = toml::to_string(&printer).unwrap();
            assert_eq!(toml::from_str::<PrinterPath>(&text).unwrap(), printer, "{text}");
        }
    }

    #[test]
    fn sites_that_make_no_sense_are_refused() {
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
            ("ipp://localhost", "http://localhost", "SheetPrinter"),
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
        assert!(matches!(Site::parse(&HALL[..start]), Err(SiteError::NoWay)));
    }
}
