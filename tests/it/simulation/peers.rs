//! The platform, the acquirer and the department, each with its own database in memory.

use contract::{
    CardEvidence, IssuerKey, IssuerKeys, KioskId, SecretKey, SignedStatement, SiteProfile, UnixMs,
};
use resident_code::FormatKey;
use rusqlite::Connection;
use sandbox::acquirer::{AcquirerChargeRequest, ChargeLedger};
use sandbox::department::{Bill, BillLedger, BillPayment, BillsRequest, parse_bills};
use server::{
    CodeAuthority, IssuingRules, Peer, PeerAnswer, PeerCall, Platform, PlatformRequest, PlatformSetup,
    RegisteredKiosk, parse_demo_residents,
};

use super::kiosk::START_MS;

const RESIDENTS: &str = include_str!("../../../assets/residents.toml");
const RULES: &str = include_str!("../../../provisioning/codes.toml");
const DOCUMENTS: [&str; 4] = [
    include_str!("../../../assets/services/insurance-proof.toml"),
    include_str!("../../../assets/services/medical-balance.toml"),
    include_str!("../../../assets/services/phone-pairing.toml"),
    include_str!("../../../assets/services/water-pay.toml"),
];
/// Additional bills per resident: enough for a run with faults.
const EXTRA_BILLS: u32 = 12;

/// A resident of the simulation.
pub(crate) struct SimResident {
    pub(crate) slug: String,
    pub(crate) name: String,
    pub(crate) id_number: String,
    identification: String,
    number: String,
    version: String,
}

impl SimResident {
    /// Whether the resident's card supports card authentication (version 3.00).
    pub(crate) fn needs_authentication(&self) -> bool {
        self.version == "3.00"
    }

    /// The evidence that a reader reads from the card; a card of version 3.00 gives its holder's data only when it is
    /// authenticated.
    pub(crate) fn card_evidence(&self, authenticated: bool) -> CardEvidence {
        let whole = authenticated || !self.needs_authentication();
        CardEvidence {
            identification: self.identification.clone(),
            number: self.number.clone(),
            version: self.version.clone(),
            id_number: whole.then(|| self.id_number.clone()),
            name: whole.then(|| self.name.clone()),
            authenticated,
        }
    }
}

pub(crate) struct SimCity {
    pub(crate) platform: Platform,
    pub(crate) acquirer: ChargeLedger,
    pub(crate) department: BillLedger,
    pub(crate) residents: Vec<SimResident>,
}

pub(crate) fn catalogue_key() -> SecretKey {
    SecretKey::from_bytes(&[9; 32]).unwrap()
}

/// The city's root key, which signs the list of issuer keys.
pub(crate) fn root_key() -> SecretKey {
    SecretKey::from_bytes(&[0x0e; 32]).unwrap()
}

fn code_authority() -> CodeAuthority {
    let secret = |byte| SecretKey::from_bytes(&[byte; 32]).unwrap();
    let not_before = UnixMs(START_MS - 3_600_000);
    let not_after = not_before.plus_ms(90 * 24 * 3_600_000);
    let list = IssuerKeys {
        city: "YK".into(),
        version: 1,
        not_before,
        not_after,
        revoker: secret(0x0f).public(),
        issuers: vec![IssuerKey { id: 1, key: secret(0x51).public(), not_before, not_after }],
    };
    let (rules, signed) = (IssuingRules::parse(RULES).unwrap(), SignedStatement::sign(&list, &root_key()));
    CodeAuthority::new(rules, signed, &root_key().public(), &[(1, [0x51; 32])], &[0x0f; 32]).unwrap()
}

pub(crate) fn kiosk_id(kiosk: usize) -> KioskId {
    format!("K-{kiosk}").parse().unwrap()
}

pub(crate) fn device_key(kiosk: usize) -> SecretKey {
    SecretKey::from_bytes(&[u8::try_from(kiosk).unwrap() + 20; 32]).unwrap()
}

fn residents() -> Vec<SimResident> {
    let file: toml::Table = RESIDENTS.parse().unwrap();
    let text = |value: &toml::Value| value.as_str().unwrap().to_owned();
    let resident = |one: &toml::Value| SimResident {
        slug: text(&one["id"]),
        name: text(&one["name"]),
        id_number: text(&one["id_number"]),
        identification: text(&one["card"]["identification"]),
        number: text(&one["card"]["number"]),
        version: text(&one["card"]["version"]),
    };
    file["resident"].as_array().unwrap().iter().map(resident).collect()
}

impl SimCity {
    pub(crate) fn new(kiosks: usize) -> Self {
        let memory = || Connection::open_in_memory().unwrap();
        let devices = (0..kiosks).map(|kiosk| RegisteredKiosk {
            id: kiosk_id(kiosk),
            key: device_key(kiosk).public(),
            name: "大厅".into(),
            profile: SiteProfile::DistrictHall,
        });
        let setup = PlatformSetup {
            catalogue_key: catalogue_key(),
            format_key: FormatKey::new(1, [5; 32]),
            kiosks: devices.collect(),
            service_documents: DOCUMENTS.map(str::to_owned).into(),
            residents: parse_demo_residents(RESIDENTS).unwrap(),
            code_authority: Some(code_authority()),
            relying_parties: Vec::new(),
            card_root_keys: None,
        };
        let (mut department, residents) = (BillLedger::open(memory()).unwrap(), residents());
        for (id_number, bill) in parse_bills(RESIDENTS).unwrap() {
            department.issue(&id_number, &bill).unwrap();
            for number in 0..EXTRA_BILLS {
                let key = format!("{}-{number}", bill.key);
                let (period, amount) = (format!("20{:02}-01", 10 + number), i64::from(number) * 100 + 1);
                let more = Bill { key, period, amount, ..bill.clone() };
                department.issue(&id_number, &more).unwrap();
            }
        }
        Self {
            platform: Platform::open(memory(), setup).unwrap(),
            acquirer: ChargeLedger::open(memory()).unwrap(),
            department,
            residents,
        }
    }

    /// A system behind the platform executes a call. `accepts`: whether the account has the money.
    pub(crate) fn serve(&mut self, call: &PeerCall, accepts: bool, now: UnixMs) -> PeerAnswer {
        let json = |status, body| PeerAnswer { status, body };
        match (call.peer, call.target.as_str()) {
            (Peer::Acquirer, "/charges") => {
                let charge: AcquirerChargeRequest = serde_json::from_slice(&call.body).unwrap();
                match self.acquirer.charge(&charge, accepts, now.0) {
                    Ok(answer) => json(200, serde_json::to_vec(&answer).unwrap()),
                    Err(_) => json(409, Vec::new()),
                }
            }
            (Peer::Acquirer, target) => {
                let order = target.strip_prefix("/charges/").and_then(|rest| rest.strip_suffix("/inquire"));
                let answer = self.acquirer.inquire(order.unwrap(), now.0).unwrap();
                json(200, serde_json::to_vec(&answer).unwrap())
            }
            (Peer::Department, "/bills") => {
                let request: BillsRequest = serde_json::from_slice(&call.body).unwrap();
                json(200, serde_json::to_vec(&self.department.open_bills(&request).unwrap()).unwrap())
            }
            // Phones are bound before the run begins, so the identity service is not needed.
            (Peer::Identity, _) => json(503, Vec::new()),
            (Peer::Department, _) => {
                let payment: BillPayment = serde_json::from_slice(&call.body).unwrap();
                json(if self.department.book(&payment).is_ok() { 204 } else { 409 }, Vec::new())
            }
        }
    }

    /// An HTML page or an export of the platform.
    pub(crate) fn page(&mut self, target: &str, now: UnixMs, entropy: u128) -> Vec<u8> {
        match self.platform.handle(&PlatformRequest::get(target), now, entropy) {
            server::PlatformReply::Answer(response) => response.body,
            server::PlatformReply::CallPeer(_) => panic!("{target} must not call a peer"),
        }
    }

    /// 亮码: the text of the online token that the resident's phone shows now.
    pub(crate) fn online_token(&mut self, resident: usize, now: UnixMs, entropy: u128) -> String {
        let target = format!("/phone/{}/token", self.residents[resident].slug);
        let shown: serde_json::Value = serde_json::from_slice(&self.page(&target, now, entropy)).unwrap();
        shown["text"].as_str().unwrap().to_owned()
    }
}
