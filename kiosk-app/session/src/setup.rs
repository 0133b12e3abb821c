//! What a kiosk is set up with: its site, its times, its services, its words.

use std::collections::BTreeMap;
use std::sync::Arc;

use contract::{Bilingual, CodeRules, DeviceId, GateRules, Method, Profile, ServiceDocument, StaffKey};
use view::Texts;

/// Fixed for the life of a [`Kiosk`](crate::Kiosk).
pub struct Setup {
    /// The kiosk's name.
    pub device: DeviceId,
    /// Where it stands.
    pub profile: Profile,
    /// The hall's name.
    pub hall: Bilingual,
    /// Minutes east of UTC.
    pub utc_offset_minutes: i16,
    /// Beginning of the address by which a phone fetches a receipt; its number is appended.
    pub receipt_url: String,
    /// What is built in: a way or a step whose device is not is never offered.
    pub has: Equipment,
    /// How codes are judged without the platform; none are when it is absent.
    pub codes: Option<CodeRules>,
    /// How a gate judges; the kiosk is one when it is there.
    pub gate: Option<GateRules>,
    /// How long things may take.
    pub times: Times,
    /// Whose staff cards show how the kiosk stands.
    pub staff: Vec<StaffKey>,
    /// The fixed words, for receipts.
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
    /// A reader of ID cards.
    pub id_reader: bool,
    /// A receipt printer.
    pub printer: bool,
    /// An A4 printer.
    pub sheet_printer: bool,
}

/// How long things may take, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Without a touch a visit ends.
    pub idle_ms: u64,
    /// The same in the elder theme.
    pub idle_elder_ms: u64,
    /// The countdown shows for this last part of it.
    pub countdown_ms: u64,
    /// Reading a card.
    pub read_ms: u64,
    /// One answer of the platform.
    pub answer_ms: u64,
    /// A charge that takes longer is shown as being checked.
    pub charge_ms: u64,
    /// Last words after a visit stay this long.
    pub closing_ms: u64,
    /// What went wrong at the welcome view stays this long.
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

/// The services in force here, by id. Every document was checked and its signature verified.
#[derive(Clone, Default)]
pub struct Catalogue {
    /// Cursor of the feed that this state of things belongs to.
    pub cursor: u64,
    /// The documents.
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

/// The ways to pay that can work in a visit begun this way, with this kiosk's devices.
pub(crate) const fn method_works(method: Method, way: contract::Way) -> bool {
    match (method, way) {
        (Method::CardAccount, contract::Way::Card) | (Method::ResidentCode, contract::Way::Code) => true,
        // A wallet needs the phone's payment page, which no service of this platform offers yet.
        (Method::CardAccount | Method::ResidentCode | Method::Wallet, _) => false,
    }
}
