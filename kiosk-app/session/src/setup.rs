//! Configuration of a kiosk: its site, equipment, time limits, services and texts.

use std::collections::BTreeMap;
use std::sync::Arc;

use contract::{Bilingual, CodeRules, DeviceId, GateRules, Method, Profile, ServiceDocument, StaffKey};
use view::Texts;

/// Configuration of a [`Kiosk`](crate::Kiosk), fixed for its lifetime.
pub struct Setup {
    /// Id of the kiosk.
    pub device: DeviceId,
    /// Profile of the site.
    pub profile: Profile,
    /// Name of the hall.
    pub hall: Bilingual,
    /// Minutes east of UTC.
    pub utc_offset_minutes: i16,
    /// Beginning of the address by which a phone fetches a receipt; its number is appended.
    pub receipt_url: String,
    /// Installed devices: an identification method or step without its device is never offered.
    pub has: Equipment,
    /// Rules by which codes are judged without the platform; absent: none are judged.
    pub codes: Option<CodeRules>,
    /// Rules of a gate; present: this kiosk is a gate.
    pub gate: Option<GateRules>,
    /// Time limits.
    pub times: Times,
    /// Keys of the staff cards that open the staff view.
    pub staff: Vec<StaffKey>,
    /// The fixed texts, for receipts.
    pub texts: Arc<Texts>,
}

/// Which devices a kiosk has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // independent facts, not a state
pub struct Equipment {
    /// A card slot.
    pub card_reader: bool,
    /// A camera or scanner.
    pub code_reader: bool,
    /// An ID card reader.
    pub id_reader: bool,
    /// A receipt printer.
    pub printer: bool,
    /// An A4 document printer.
    pub sheet_printer: bool,
}

/// Time limits in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// A visit ends after this time without a touch.
    pub idle_ms: u64,
    /// A visit in the elder theme ends after this time without a touch.
    pub idle_elder_ms: u64,
    /// The countdown is shown for this last part of the idle time.
    pub countdown_ms: u64,
    /// Limit for reading a card.
    pub read_ms: u64,
    /// Limit for one answer of the platform or of the card.
    pub answer_ms: u64,
    /// A charge that takes longer is shown as being checked.
    pub charge_ms: u64,
    /// Notices about a payment or a PIN change after a visit are shown this long.
    pub closing_ms: u64,
    /// Refusals, code hints and the reminder to take an ID card are shown this long.
    pub notice_ms: u64,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            idle_ms: 60_000,
            idle_elder_ms: 90_000,
            countdown_ms: 20_000,
            read_ms: 10_000,
            answer_ms: 10_000,
            charge_ms: 8_000,
            closing_ms: 30_000,
            notice_ms: 8_000,
        }
    }
}

/// The services in force here, by id. Every document was validated and its signature verified.
#[derive(Clone, Default)]
pub struct Catalogue {
    /// Cursor of the feed at which this catalogue was in force.
    pub cursor: u64,
    /// The service documents.
    pub services: BTreeMap<String, Arc<ServiceDocument>>,
}

impl Catalogue {
    /// The services that a site of this profile offers, in the order of the menu: by scene, then id.
    pub(crate) fn offered(&self, profile: Profile) -> Vec<Arc<ServiceDocument>> {
        let mut offered: Vec<_> =
            self.services.values().filter(|doc| doc.profiles.contains(&profile)).cloned().collect();
        offered.sort_by(|a, b| (a.scene, &a.id).cmp(&(b.scene, &b.id)));
        offered
    }
}

/// True when a payment method is possible in a visit with this identification method.
pub(crate) const fn method_works(method: Method, identified_by: contract::Way) -> bool {
    match (method, identified_by) {
        (Method::CardAccount, contract::Way::Card) | (Method::ResidentCode, contract::Way::Code) => true,
        // A wallet needs the phone's payment page, which no service of this platform offers yet.
        (Method::CardAccount | Method::ResidentCode | Method::Wallet, _) => false,
    }
}
