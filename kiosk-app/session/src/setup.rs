//! Configuration of a kiosk: its site, equipment, time limits, services and texts.

use std::collections::BTreeMap;
use std::sync::Arc;

use contract::{
    Bilingual, CodeRules, DepartmentId, DepartmentKey, DepartmentKeys, GateRules, KioskId, PaymentMethod,
    ServiceDocument, SiteProfile, StaffKey,
};
use view::{Panel, Texts};

/// Configuration of a [`Kiosk`](crate::Kiosk), fixed for its lifetime.
pub struct KioskSetup {
    /// Id of the kiosk.
    pub kiosk: KioskId,
    /// Profile of the site.
    pub profile: SiteProfile,
    /// Name of the hall.
    pub hall: Bilingual,
    /// Minutes east of UTC.
    pub utc_offset_minutes: i16,
    /// Beginning of the address by which a phone fetches a receipt; its number is appended.
    pub receipt_url: String,
    /// Installed devices: an identification method or step without its device is never offered.
    pub equipment: Equipment,
    /// Rules by which codes are judged without the platform; absent: none are judged.
    pub code_rules: Option<CodeRules>,
    /// Rules of a gate; present: this kiosk is a gate.
    pub gate_rules: Option<GateRules>,
    /// Time limits.
    pub time_limits: TimeLimits,
    /// Keys of the staff cards that open the staff view.
    pub staff_keys: Vec<StaffKey>,
    /// The fixed texts, for receipts.
    pub texts: Arc<Texts>,
}

/// Which devices a kiosk has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // independent facts, not a state
pub struct Equipment {
    /// A card slot.
    pub card_reader: bool,
    /// A camera or scanner.
    pub code_reader: bool,
    /// An ID card reader.
    pub id_reader: bool,
    /// A receipt printer.
    pub receipt_printer: bool,
    /// An A4 document printer.
    pub document_printer: bool,
    /// The screen.
    pub screen: ScreenSetup,
}

/// The screen: how large it is, and what its home view shows first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScreenSetup {
    /// Size of the panel.
    pub panel: Panel,
    /// Ids of the services that residents of this site use most, in order.
    pub featured: Vec<String>,
}

/// Time limits in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeLimits {
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
    pub charge_slow_ms: u64,
    /// Notices about a payment or a PIN change after a visit are shown this long.
    pub outcome_notice_ms: u64,
    /// Refusals, code hints and the reminder to take an ID card are shown this long.
    pub short_notice_ms: u64,
}

impl Default for TimeLimits {
    fn default() -> Self {
        Self {
            idle_ms: 60_000,
            idle_elder_ms: 90_000,
            countdown_ms: 20_000,
            read_ms: 10_000,
            answer_ms: 10_000,
            charge_slow_ms: 8_000,
            outcome_notice_ms: 30_000,
            short_notice_ms: 8_000,
        }
    }
}

/// The services in force here, by id. Every document was validated and its signature verified.
#[derive(Clone)]
pub struct Catalogue {
    /// Cursor of the feed at which this catalogue was in force.
    pub cursor: u64,
    /// The service documents.
    pub services: BTreeMap<String, Arc<ServiceDocument>>,
    /// The departments that take submissions.
    pub departments: Arc<DepartmentKeys>,
}

impl Default for Catalogue {
    fn default() -> Self {
        let departments = Arc::new(DepartmentKeys { departments: Vec::new() });
        Self { cursor: 0, services: BTreeMap::new(), departments }
    }
}

impl Catalogue {
    /// The department that takes submissions, if its key is known.
    pub(crate) fn department(&self, id: &DepartmentId) -> Option<&DepartmentKey> {
        self.departments.departments.iter().find(|department| department.id == *id)
    }

    /// The services that a kiosk offers on this day, `2026-12-01`, in the order of the menu: by scene, then id.
    pub(crate) fn offered(&self, setup: &KioskSetup, today: &str) -> Vec<Arc<ServiceDocument>> {
        let is_offered = |doc: &&Arc<ServiceDocument>| doc.is_offered(setup.kiosk, setup.profile, today);
        let mut offered: Vec<_> = self.services.values().filter(is_offered).cloned().collect();
        offered.sort_by(|a, b| (a.scene, &a.id).cmp(&(b.scene, &b.id)));
        offered
    }
}

/// True when a payment method is possible in a visit with this identification method.
pub(crate) const fn is_method_supported(
    method: PaymentMethod,
    identified_by: contract::IdentificationMethod,
) -> bool {
    match (method, identified_by) {
        (PaymentMethod::CardAccount, contract::IdentificationMethod::Card)
        | (PaymentMethod::ResidentCode, contract::IdentificationMethod::Code) => true,
        (PaymentMethod::CardAccount | PaymentMethod::ResidentCode, _) => false,
    }
}
